-- What a kind's payload means changes from release to release: `version` counts its forms, and readers lift older ones.
-- Both columns take their default in rows from before this step, whose checksum covers the columns they had.

ALTER TABLE journal ADD COLUMN version INTEGER NOT NULL DEFAULT 1;  -- of the payload, counted for each kind
ALTER TABLE journal ADD COLUMN cause   TEXT    NOT NULL DEFAULT ''; -- what brought the record about: http:ID, replay:ROW
