-- API keys. `sealed` is the secret, encrypted under the auth secret and bound to the other columns: it signs requests, so
-- its hash would not do, and who reads this file alone can neither use a key nor change what one may do.
-- `id` is their order. Times are microseconds; `expires_at` is NULL where a key has no end.
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX api_keys_by_email ON api_keys (email);
