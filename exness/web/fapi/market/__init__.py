"""Public market data of the face: what stored candles and the price of now come to in its words."""
