-- Links that were mailed and not opened yet. Only a token's SHA-256 is kept: who reads this can sign in as nobody.
-- `id` grows, so that the oldest beyond the bound are found without counting.
CREATE TABLE links (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    email TEXT NOT NULL,
    purpose TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX links_by_email ON links (email);
CREATE INDEX links_by_end ON links (expires_at);

-- Sessions that were ended before their time, until that time.
CREATE TABLE ended_sessions (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_by_end ON ended_sessions (expires_at);

-- Sessions of these addresses that were issued at `before` (microseconds) or earlier are ended.
CREATE TABLE ended_addresses (
    email TEXT PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 0x65786175;
