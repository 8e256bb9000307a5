-- Sessions as their owners see them: a session is good by its signature, and with or without a row here. `n` is their
-- order, in which no clock counts; `generation` is that of their issuing. `signed_by` is a fingerprint of the auth secret
-- that signed the session: once that secret is gone, so is the session. `client` and `ip` are what asked for it.
CREATE TABLE sessions (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    signed_by TEXT NOT NULL,
    made_by TEXT NOT NULL,
    client TEXT NOT NULL,
    ip TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_email ON sessions (email, n);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Of the sessions of a mail address that were ended, the one that was not: it is whose owner ended all others.
ALTER TABLE ended ADD COLUMN spared TEXT;
