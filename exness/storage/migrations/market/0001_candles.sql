-- Candles are made from prices, which no journal holds: nothing else knows them. They are written whole, in the place of
-- their earlier state.
-- Prices are scaled by their asset's decimals, volume is in hundred-millionths of the asset.

PRAGMA application_id = 0x65786D63; -- "exmc"

CREATE TABLE candles (
    asset      TEXT    NOT NULL,
    interval   TEXT    NOT NULL,       -- 1m, 5m, 15m, 1h, 4h, 1d
    start      INTEGER NOT NULL,       -- seconds since the epoch, UTC
    open       INTEGER NOT NULL,
    high       INTEGER NOT NULL,
    low        INTEGER NOT NULL,
    close      INTEGER NOT NULL,
    volume     INTEGER NOT NULL,
    trades     INTEGER NOT NULL,
    backfilled INTEGER NOT NULL CHECK (backfilled IN (0, 1)),  -- 1: a venue's own, from before we kept any
    PRIMARY KEY (asset, interval, start)
) STRICT, WITHOUT ROWID;

-- How far an asset's marks are in its candles, so that none is counted twice when a recording is played again.
CREATE TABLE counted (
    asset TEXT PRIMARY KEY NOT NULL,
    at    INTEGER NOT NULL,            -- time of the last mark
    marks INTEGER NOT NULL             -- how many marks there were at that very time
) STRICT, WITHOUT ROWID;

-- Up to which journal record a reset would have been heard: candles of before one are forgotten.
CREATE TABLE watermark (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO watermark (one, seq) VALUES (1, 0);
