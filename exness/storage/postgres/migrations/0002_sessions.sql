-- Sessions as their owners see them, and the one that ending all others spares: see the migrations of auth.db.
CREATE TABLE sessions (
    n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    email      text   NOT NULL,
    generation bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    signed_by  text   NOT NULL,
    made_by    text   NOT NULL,
    client     text   NOT NULL,
    ip         text   NOT NULL
);
CREATE INDEX sessions_by_email ON sessions (email, n);
CREATE INDEX sessions_by_end ON sessions (expires_at);

ALTER TABLE ended ADD COLUMN spared text;
