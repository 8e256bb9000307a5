"""The Binance face: what clients of Binance's USD-M futures ask for, on the same exchange.

It has no state of its own but listen keys and countdowns. What it answers to whom is in docs/BINANCE.md.
"""
