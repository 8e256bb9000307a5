"""The terminal: one page to see the exchange, to trade on it and, under dev control, to hold its market."""
