"""User data streams: listen keys, and what happens to an account as Binance tells it."""
