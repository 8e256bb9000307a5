"""Journal, tables, history and snapshots on disk (SQLite) and in memory, behind the ports of `runtime.ports`."""
