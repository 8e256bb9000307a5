"""One WebSocket: topics in, frames out."""
