"""How the rows of the journal are asked for."""

LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM journal"

# Texts come as bytes: damaged ones need not be UTF-8.
_COLUMNS = """seq, at, CAST(kind AS BLOB), CAST(payload AS BLOB), CAST(request AS BLOB), checksum, version,
    CAST(cause AS BLOB)"""
SELECT_RECORDS = f"SELECT {_COLUMNS} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"  # of constants  # nosec B608
SELECT_RECORD = f"SELECT {_COLUMNS} FROM journal WHERE seq = ?"  # of constants  # nosec B608
SELECT_CHECKSUMS = "SELECT checksum FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq"
