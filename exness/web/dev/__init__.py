"""Control of price, clock and money, for development."""
