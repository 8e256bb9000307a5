"""Hypothesis without a deadline (test machines differ), printing what reproduces a failure."""

from hypothesis import settings

settings.register_profile("core", max_examples=100, deadline=None, print_blob=True)
settings.load_profile("core")
