"""Builds the exchange of its parts and runs it."""
