"""Settings from one source, and what is said when they are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exness.config import Config, ConfigError, load


def from_file(text: str) -> Config:
    Path("config.toml").write_text(text, encoding="utf-8")
    return load(Path("config.toml"), {}, {})


def from_env(**variables: str) -> Config:
    return load(None, variables, {})


def value_at(config: Config, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    return str(caught.value)
