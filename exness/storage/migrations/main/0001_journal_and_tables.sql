-- The journal is the truth; the tables are its projection, written in the same transaction.
-- Money is micro-USDC, prices are scaled by their asset's decimals, leverage is hundredths, times are microseconds
-- since the epoch, UTC.

PRAGMA application_id = 0x65786d6e; -- "exmn"

CREATE TABLE journal (
    seq      INTEGER PRIMARY KEY,      -- counts from 1 without a hole
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,         -- the payload's "type"
    payload  TEXT    NOT NULL,         -- the event, as JSON
    request  TEXT    NOT NULL,         -- the X-Request-ID that asked for it, or empty
    checksum INTEGER NOT NULL          -- CRC-32 over the five columns before it
) STRICT;

CREATE TABLE users (
    id         TEXT PRIMARY KEY NOT NULL,
    email      TEXT UNIQUE,            -- the house has none
    kind       TEXT    NOT NULL CHECK (kind IN ('trader', 'house')),
    created_at INTEGER NOT NULL,
    opened_seq INTEGER NOT NULL UNIQUE,
    CHECK ((email IS NULL) = (kind = 'house'))
) STRICT;

CREATE TABLE assets (
    symbol       TEXT PRIMARY KEY NOT NULL,
    name         TEXT    NOT NULL,
    decimals     INTEGER NOT NULL,
    venue_symbol TEXT    NOT NULL,
    image_url    TEXT    NOT NULL,
    max_leverage INTEGER NOT NULL
) STRICT;

CREATE TABLE balances (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id),
    free       INTEGER NOT NULL CHECK (free >= 0 OR account_id = 'house'),  -- the house's row holds its pnl
    locked     INTEGER NOT NULL CHECK (locked >= 0),                        -- margin of open trades
    deposited  INTEGER NOT NULL CHECK (deposited >= 0)
) STRICT, WITHOUT ROWID;

-- opened_seq is the primary key, so that trades lie in the order they were opened and new ones go to the end.
CREATE TABLE trades (
    opened_seq        INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    account_id        TEXT    NOT NULL REFERENCES users (id),
    asset             TEXT    NOT NULL REFERENCES assets (symbol),
    side              TEXT    NOT NULL CHECK (side IN ('long', 'short')),
    margin            INTEGER NOT NULL CHECK (margin > 0),
    leverage          INTEGER NOT NULL,
    entry_price       INTEGER NOT NULL,
    liquidation_price INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    client_order_id   TEXT,
    fingerprint       TEXT,                                                 -- what was asked, with client_order_id
    balance_after     INTEGER NOT NULL,                                     -- free balance once it was open
    status            TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed', 'liquidated')),
    close_price       INTEGER,
    pnl               INTEGER,
    returned          INTEGER,
    shortfall         INTEGER NOT NULL DEFAULT 0,
    closed_at         INTEGER,
    closed_seq        INTEGER,
    CHECK ((status = 'open') = (closed_seq IS NULL))
) STRICT;

-- Every history query begins here: one account's trades, by the time they were opened, then by opened_seq.
CREATE INDEX trades_of_account ON trades (account_id, created_at);

CREATE TABLE liquidations (
    trade_id          TEXT PRIMARY KEY NOT NULL REFERENCES trades (id),
    account_id        TEXT    NOT NULL,
    asset             TEXT    NOT NULL,
    side              TEXT    NOT NULL,
    margin            INTEGER NOT NULL,
    entry_price       INTEGER NOT NULL,
    liquidation_price INTEGER NOT NULL,
    mark              INTEGER NOT NULL,
    bid               INTEGER NOT NULL,
    ask               INTEGER NOT NULL,
    pnl               INTEGER NOT NULL,
    shortfall         INTEGER NOT NULL,
    at                INTEGER NOT NULL,
    seq               INTEGER NOT NULL
) STRICT;

INSERT INTO users (id, email, kind, created_at, opened_seq) VALUES ('house', NULL, 'house', 0, 0);
INSERT INTO balances (account_id, free, locked, deposited) VALUES ('house', 0, 0, 0);
