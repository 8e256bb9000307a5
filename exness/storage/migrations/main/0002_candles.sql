-- Candles are made from prices, which are not in the journal: nothing else knows them. They are written in the
-- journal's transactions, whole, in the place of their earlier state.
-- Prices are scaled by their asset's decimals, volume is in hundred-millionths of the asset.

CREATE TABLE candles (
    asset      TEXT    NOT NULL REFERENCES assets (symbol),
    interval   TEXT    NOT NULL CHECK (interval IN ('1m', '5m', '15m', '1h', '4h', '1d')),
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
    asset TEXT PRIMARY KEY NOT NULL REFERENCES assets (symbol),
    at    INTEGER NOT NULL,            -- time of the last mark
    marks INTEGER NOT NULL             -- how many marks there were at that very time
) STRICT, WITHOUT ROWID;
