"""A leveraged-trading exchange in one Python process: exact, durable, deterministic."""

__version__ = "0.2.0"
"""The project's one version number; the package metadata reads it from here."""
