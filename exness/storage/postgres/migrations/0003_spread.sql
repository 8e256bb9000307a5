-- An exchange that is spread over several processes (exness.spread).

-- Where the stream of prices was with the newest record: a successor goes on there.
ALTER TABLE shards ADD price_id text NOT NULL DEFAULT '';

-- The last net: a command that is taken twice is an error of the append, and ends its engine. A command's id is its
-- records' cause; `place` is that of a record among them.
ALTER TABLE journal ADD place smallint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX journal_by_command ON journal (shard, cause)
    WHERE place = 0 AND substring(cause FROM 1 FOR 4) = '\x6275733a'::bytea; -- bus:

-- Where the stream of prices was with the newest candles.
ALTER TABLE candles_watermark ADD price_id text NOT NULL DEFAULT '';

DROP FUNCTION append_records;
CREATE FUNCTION append_records(
    of_shard smallint, of_epoch bigint, first_seq bigint, ats bigint[], kinds text[], payloads text[],
    requests bytea[], checksums bigint[], versions integer[], causes bytea[], places smallint[], of_price text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    given bigint := cardinality(ats);
    written bigint;
BEGIN
    UPDATE shards SET last_seq = first_seq + given - 1, price_id = coalesce(of_price, price_id)
        WHERE shard = of_shard AND epoch = of_epoch AND last_seq = first_seq - 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO journal (shard, seq, at, kind, payload, request, checksum, version, cause, place)
        SELECT of_shard, first_seq + number - 1, at, kind, payload, request, checksum, version, cause, place
        FROM unnest(ats, kinds, payloads, requests, checksums, versions, causes, places)
            WITH ORDINALITY AS given_rows (at, kind, payload, request, checksum, version, cause, place, number);
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> given THEN
        RAISE EXCEPTION '% of % records were written', written, given;
    END IF;
    RETURN true;
END $$;
