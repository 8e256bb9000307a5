-- Pictures of the engine's state. A snapshot counts once its row in `snapshots` is there.

PRAGMA application_id = 0x6578736e; -- "exsn"

CREATE TABLE snapshots (
    seq          INTEGER PRIMARY KEY,  -- the last journal record in it
    header       BLOB    NOT NULL,     -- exness.core.capture.Header, msgpack
    digest       TEXT    NOT NULL,     -- exness.core.capture.Digest over header and all accounts
    chunks       INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    checksum     INTEGER NOT NULL      -- CRC-32 over the columns before it
) STRICT;

CREATE TABLE chunks (
    seq      INTEGER NOT NULL,
    n        INTEGER NOT NULL,         -- from 0, without a hole
    accounts BLOB    NOT NULL,         -- a msgpack list of encoded accounts, zlib
    checksum INTEGER NOT NULL,         -- CRC-32 of `accounts`
    PRIMARY KEY (seq, n)
) STRICT;
