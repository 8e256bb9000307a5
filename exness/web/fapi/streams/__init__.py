"""The streams of the face: market data by name, on one socket with the events of users."""
