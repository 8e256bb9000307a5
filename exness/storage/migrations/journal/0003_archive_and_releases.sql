-- The archives beside this file that hold its beginning: records `first` to `last` lie there, some perhaps here too.
CREATE TABLE archives (
    first  INTEGER PRIMARY KEY,
    last   INTEGER NOT NULL UNIQUE,
    digest BLOB    NOT NULL            -- SHA-256 over what is in it
) STRICT;

-- Which releases have written here, in the order in which they came.
CREATE TABLE releases (
    number  INTEGER PRIMARY KEY,
    version TEXT    NOT NULL,
    at      INTEGER NOT NULL,          -- microseconds since the epoch, UTC
    seq     INTEGER NOT NULL           -- the newest record when it came
) STRICT;
