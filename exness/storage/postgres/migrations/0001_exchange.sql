-- Everything of one exchange, in a schema of its own. Tables of users, trades and so on are made from the journal, by
-- another script (storage/postgres/tables.py), and again when their version changes.

-- Who writes. The fence of every append: a process whose epoch has passed finds no row here, and writes nothing.
-- It is updated by every commit, so its page has room for many versions of it.
CREATE TABLE shards (
    shard    smallint PRIMARY KEY,
    epoch    bigint      NOT NULL DEFAULT 0,
    last_seq bigint      NOT NULL DEFAULT 0,  -- of the journal's newest record
    holder   text        NOT NULL DEFAULT '', -- random, of the process that has the epoch
    taken_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

-- The truth: all else is made from it.
CREATE TABLE journal (
    shard    smallint NOT NULL,
    seq      bigint   NOT NULL, -- counts from 1 without a hole
    at       bigint   NOT NULL, -- microseconds since the epoch, UTC
    kind     text     NOT NULL, -- the payload's "type"
    payload  text     NOT NULL, -- the event, as JSON
    request  bytea    NOT NULL, -- the X-Request-ID that asked for it, UTF-8, or empty: may hold what text can't
    checksum bigint   NOT NULL, -- CRC-32 over all other columns but the shard
    version  integer  NOT NULL, -- of the payload, counted for each kind
    cause    bytea    NOT NULL, -- what brought the record about: http:ID, replay:ROW
    PRIMARY KEY (shard, seq)
);

-- One round trip, all or nothing: the fence and the rows. False: this epoch is over, or the records do not follow the
-- newest one; nothing was written.
CREATE FUNCTION append_records(
    of_shard smallint, of_epoch bigint, first_seq bigint, ats bigint[], kinds text[], payloads text[],
    requests bytea[], checksums bigint[], versions integer[], causes bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    given bigint := cardinality(ats);
    written bigint;
BEGIN
    UPDATE shards SET last_seq = first_seq + given - 1
        WHERE shard = of_shard AND epoch = of_epoch AND last_seq = first_seq - 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO journal (shard, seq, at, kind, payload, request, checksum, version, cause)
        SELECT of_shard, first_seq + place - 1, at, kind, payload, request, checksum, version, cause
        FROM unnest(ats, kinds, payloads, requests, checksums, versions, causes)
            WITH ORDINALITY AS given_rows (at, kind, payload, request, checksum, version, cause, place);
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> given THEN
        RAISE EXCEPTION '% of % records were written', written, given;
    END IF;
    RETURN true;
END $$;

-- Prices in the journal and in candles are scaled by their asset's decimals.
CREATE TABLE assets (
    symbol       text PRIMARY KEY,
    name         text    NOT NULL,
    decimals     integer NOT NULL,
    venue_symbol text    NOT NULL,
    image_url    text    NOT NULL,
    max_leverage integer NOT NULL
);

-- Pictures of the engine's state. A snapshot counts once its row in `snapshots` is there.
CREATE TABLE snapshots (
    shard        smallint NOT NULL,
    seq          bigint   NOT NULL, -- the last journal record in it
    header       bytea    NOT NULL, -- exness.core.capture.Header, msgpack
    digest       text     NOT NULL, -- exness.core.capture.Digest over header and all accounts
    chunks       integer  NOT NULL,
    stored_bytes bigint   NOT NULL,
    checksum     bigint   NOT NULL, -- CRC-32 over the columns before it but the shard
    PRIMARY KEY (shard, seq)
);

CREATE TABLE chunks (
    shard    smallint NOT NULL,
    seq      bigint   NOT NULL,
    n        integer  NOT NULL, -- from 0, without a hole
    accounts bytea    NOT NULL, -- a msgpack list of encoded accounts, zlib
    checksum bigint   NOT NULL, -- CRC-32 of `accounts`
    PRIMARY KEY (shard, seq, n)
);
ALTER TABLE chunks ALTER COLUMN accounts SET STORAGE EXTERNAL; -- it is compressed already

-- Candles are made from prices, which no journal holds. Prices are scaled, volume is in hundred-millionths.
CREATE TABLE candles (
    asset      text    NOT NULL,
    interval   text    NOT NULL, -- 1m, 5m, 15m, 1h, 4h, 1d
    start      bigint  NOT NULL, -- seconds since the epoch, UTC
    open       bigint  NOT NULL,
    high       bigint  NOT NULL,
    low        bigint  NOT NULL,
    close      bigint  NOT NULL,
    volume     bigint  NOT NULL,
    trades     bigint  NOT NULL,
    backfilled boolean NOT NULL, -- a venue's own, from before we kept any
    PRIMARY KEY (asset, interval, start)
);

-- How far an asset's marks are in its candles, so that none is counted twice when a recording is played again.
CREATE TABLE counted (
    asset text PRIMARY KEY,
    at    bigint NOT NULL, -- time of the last mark
    marks bigint NOT NULL  -- how many marks there were at that very time
);

-- Up to which journal record a reset would have been heard: candles of before one are forgotten.
CREATE TABLE candles_watermark (
    one smallint PRIMARY KEY CHECK (one = 1),
    seq bigint NOT NULL
);
INSERT INTO candles_watermark VALUES (1, 0);

-- Who may come in: see the migrations of auth.db. Only a link's hash is kept, and only a key's sealed secret.
CREATE TABLE links (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash bytea  NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    email      text   NOT NULL,
    purpose    text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX links_by_email ON links (email);
CREATE INDEX links_by_end ON links (expires_at);

CREATE TABLE issuer (
    one        smallint PRIMARY KEY CHECK (one = 1),
    id         text   NOT NULL,
    generation bigint NOT NULL,
    oldest     bigint NOT NULL
);
INSERT INTO issuer VALUES (1, replace(gen_random_uuid()::text, '-', ''), 0, 0);

CREATE TABLE ended (
    generation bigint PRIMARY KEY,
    session    text UNIQUE,
    email      text UNIQUE,
    until      bigint NOT NULL,
    CHECK ((session IS NULL) <> (email IS NULL))
);
CREATE INDEX ended_by_until ON ended (until);

CREATE TABLE api_keys (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text   NOT NULL UNIQUE,
    email      text   NOT NULL,
    name       text   NOT NULL,
    scopes     text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    sealed     bytea  NOT NULL
);
CREATE INDEX api_keys_by_email ON api_keys (email);
