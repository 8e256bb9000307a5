"""HTTP in front of the exchange: decode, authenticate, ask, encode. No rule of trading lives here."""
