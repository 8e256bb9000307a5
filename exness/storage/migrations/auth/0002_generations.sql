-- Sessions end by order, not by time: clocks of two processes, or of one machine before and after it was set, can't be
-- compared. `generation` counts how often sessions were ended here, and a session carries the one it was issued in.
-- `id` is in every session as its issuer: one that another auth.db issued (lost, replaced by a restore) is none here.
-- It is empty in a file from before this step, whose sessions carry no id and count as of generation 0.
-- Of a generation below `oldest` every session is ended.
CREATE TABLE issuer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    oldest INTEGER NOT NULL
) STRICT;

-- What was ended, by the generation that began with it: the session of an id, or all of a mail address that were issued
-- in an earlier generation. By `until` (microseconds) they would have expired; then the row goes, and `oldest` rises.
CREATE TABLE ended (
    generation INTEGER PRIMARY KEY,
    session TEXT UNIQUE,
    email TEXT UNIQUE,
    until INTEGER NOT NULL,
    CHECK ((session IS NULL) <> (email IS NULL))
) STRICT;
CREATE INDEX ended_by_until ON ended (until);

-- Ten years: the longest that a session issued before this step can live.
INSERT INTO ended (session, until)
    SELECT id, (CAST(strftime('%s', 'now') AS INTEGER) + 3650 * 86400) * 1000000 FROM ended_sessions;
INSERT INTO ended (email, until)
    SELECT email, (CAST(strftime('%s', 'now') AS INTEGER) + 3650 * 86400) * 1000000 FROM ended_addresses;
INSERT INTO issuer (one, id, generation, oldest)
    SELECT 1, CASE WHEN is_new_database() THEN lower(hex(randomblob(16))) ELSE '' END, count(*), 0 FROM ended;

DROP TABLE ended_sessions;
DROP TABLE ended_addresses;
