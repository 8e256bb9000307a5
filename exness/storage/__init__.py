"""Journal, tables, history and snapshots on disk (SQLite), behind the ports of `runtime.ports`."""
