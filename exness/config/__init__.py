"""Settings: config.toml, then the environment, then flags, to one frozen `Config`.

`schema` is the table of every key with its default, unit and bounds; `rules` says what a value may be and reads
it; `load` puts the sources together. A setting that is unknown, ill-typed or out of bounds is a `ConfigError`.
"""

from exness.config.load import config_file, load
from exness.config.rules import ConfigError, UsageError
from exness.config.schema import (
    AssetConfig,
    AuthConfig,
    Config,
    DevConfig,
    EngineConfig,
    FeedConfig,
    LimitsConfig,
    LogConfig,
    ServerConfig,
    StorageConfig,
    StreamConfig,
    TradingConfig,
)

__all__ = [
    "AssetConfig",
    "AuthConfig",
    "Config",
    "ConfigError",
    "DevConfig",
    "EngineConfig",
    "FeedConfig",
    "LimitsConfig",
    "LogConfig",
    "ServerConfig",
    "StorageConfig",
    "StreamConfig",
    "TradingConfig",
    "UsageError",
    "config_file",
    "load",
]
