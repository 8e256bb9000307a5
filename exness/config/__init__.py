"""Settings: config.toml, then the environment, then flags, to one frozen `Config`.

`schema` and `rates` define every setting (`definition` says how), `kinds` and `rate_kinds` say what a value may be,
`sources` reads the sources, `load` puts them together; `texts` prints settings, `flags` gives the command line its
flags. A setting that is unknown, ill-typed or out of bounds is a `ConfigError`.
"""

from exness.config.load import load, resolve
from exness.config.schema import Config
from exness.config.sources import ConfigError, UsageError, config_file

__all__ = ["Config", "ConfigError", "UsageError", "config_file", "load", "resolve"]
