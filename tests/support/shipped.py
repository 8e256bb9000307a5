"""The config.toml that is shipped."""

import re

from exness.config.texts import OF_PROFILES

_KEYS = "|".join(sorted({key for _, key in OF_PROFILES}))


def with_keys_of_profiles(text: str) -> str:
    """The file with every key in it: those that a profile may set are commented out."""
    return re.sub(rf"^# ((?:{_KEYS}) = )", r"\1", text, flags=re.MULTILINE)
