"""The ports of storage in PostgreSQL, with a fence: of two engines of one shard, one writes. Needs the extra
`exness[spread]`; nothing else in exness imports asyncpg."""
