"""The exchange as a calculator: data in, data out.

Everything in this package is pure: standard library and msgspec, no clock, no randomness, no I/O.
Time and ids come in as arguments, so the same commands give the same state, byte for byte.
"""
