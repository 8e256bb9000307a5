-- The journal is the truth: everything else is made from it.
-- Prices in it are scaled by their asset's decimals: so these are kept beside it.

PRAGMA application_id = 0x65786D6A; -- "exmj"

CREATE TABLE journal (
    seq      INTEGER PRIMARY KEY,      -- counts from 1 without a hole
    at       INTEGER NOT NULL,         -- microseconds since the epoch, UTC
    kind     TEXT    NOT NULL,         -- the payload's "type"
    payload  TEXT    NOT NULL,         -- the event, as JSON
    request  TEXT    NOT NULL,         -- the X-Request-ID that asked for it, or empty
    checksum INTEGER NOT NULL          -- CRC-32 over the five columns before it
) STRICT;

CREATE TABLE assets (
    symbol       TEXT PRIMARY KEY NOT NULL,
    name         TEXT    NOT NULL,
    decimals     INTEGER NOT NULL,
    venue_symbol TEXT    NOT NULL,
    image_url    TEXT    NOT NULL,
    max_leverage INTEGER NOT NULL
) STRICT;
