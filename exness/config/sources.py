"""Where settings come from: config.toml, the environment and flags, each as a list of `Setting`s that are not read yet.

The file and the flags are ours: what they name and we don't know is an error (`load`). The environment is everybody's:
a bot has an EXNESS_TOKEN of its own, and for a service named exness-server a container runtime sets EXNESS_SERVER_PORT
to tcp://10.0.0.5:8002. There only a setting's name with a value that is meant for it counts; the rest gets a warning.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from exness.config.kinds import FloatText, shown
from exness.config.schema import ASSET_RATES, CURRENCY, ROWS, rows_at
from exness.process.errors import OperatorError
from exness.runtime.texts import TextError, read_whole

DEFAULT_PATH = Path("config.toml")
ENV_PREFIX = "EXNESS_"
COMMAND_LINE = "command line"
ASSET_NAME = re.compile(r"[A-Z0-9]{1,10}")
REQUIRED_OF_ASSET = [row.key for row in ROWS["assets"].values() if row.is_required]
MOST_WARNINGS = 10
LONGEST_COMPARED = 100
"""Characters of an unknown name for which the nearest is looked for."""
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
"""What Docker and Kubernetes put into `<SERVICE>_PORT` and its like."""
_CONTAINER_NAME = re.compile(r"/[^/\s]+/[^/\s]+")
"""What Docker puts into `<ALIAS>_NAME` for a linked container."""


class ConfigError(OperatorError):
    """The settings cannot be used. The message is a sentence, or a line for each setting."""


class UsageError(ConfigError):
    """A flag has a value that cannot be used."""

    exit_code = 2


class Setting(msgspec.Struct, frozen=True):
    """One value as a source gives it."""

    where: str
    """The file, the variable or `command line`: begins the error's sentence."""
    path: tuple[str, ...]
    """("engine", "inbox_size") or ("assets", "SOL", "decimals")."""
    value: object
    is_text: bool = False
    """The source knows only text: "5" may mean the number 5."""

    @property
    def name(self) -> str:
        return printable(".".join(self.path))

    def error(self, problem: str) -> ConfigError:
        kind = UsageError if self.where == COMMAND_LINE else ConfigError
        return kind(f"{self.where}: {problem}")


def nearest(given: str, names: Collection[str]) -> str:
    """The name that reads most like `given`."""
    given = given[:LONGEST_COMPARED]
    close = get_close_matches(given, names, n=1)  # much faster than without a cutoff
    return (close or get_close_matches(given, names, n=1, cutoff=0.0))[0]


def printable(name: str) -> str:
    """A quoted TOML key may hold anything, a line break too; the error stays on one line and short."""
    return name if name and name.isprintable() and len(name) <= LONGEST_COMPARED else shown(name)


# The file


def config_file(given: Path | None) -> Path | None:
    """The file that settings come from: the one given, else ./config.toml if there is one."""
    if given is None and DEFAULT_PATH.exists():
        return DEFAULT_PATH
    return given


def from_file(given: Path | None) -> list[Setting]:
    """Raises ConfigError."""
    path = config_file(given)
    return [] if path is None else list(_flattened(str(path), (), _parse(path)))


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = read_whole(path)
    except TextError as error:
        raise ConfigError(error.about(f"{path}: the config file")) from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such config file") from None
    except OSError as error:
        raise ConfigError(f"{path}: the config file cannot be read ({error.strerror})") from None
    try:
        return tomllib.loads(text, parse_float=FloatText)
    except RecursionError:
        raise ConfigError(f"{path}: the config file is not valid TOML (nested too deeply)") from None
    except ValueError as error:
        raise ConfigError(f"{path}: the config file is not valid TOML ({error})") from None


def _flattened(where: str, path: tuple[str, ...], value: Any) -> Iterator[Setting]:
    """An empty section is a setting too: its name is still to be checked."""
    if isinstance(value, dict) and (value or not path) and _is_section(path):
        for key, inner in value.items():
            yield from _flattened(where, (*path, key), inner)
    else:
        yield Setting(where, path, value)


def _is_section(path: tuple[str, ...]) -> bool:
    """Of fixed keys, or of an asset's: [assets.SOL], [rates.SOL]."""
    return len(path) <= 1 or (len(path) == 2 and (path[0] == "assets" or is_rates_of_an_asset(path)))


def is_rates_of_an_asset(path: tuple[str, ...]) -> bool:
    """True of [rates.SOL] and its keys, not of rates.taker."""
    return path[0] == "rates" and len(path) > 1 and (len(path) > 2 or ASSET_NAME.fullmatch(path[1]) is not None)


# Flags


def from_flags(flags: Mapping[str, object]) -> list[Setting]:
    """Of "section.key" to a value, as text or of the key's type. None: the flag was not given."""
    return [
        Setting(COMMAND_LINE, tuple(name.split(".")), _plain(value), is_text=isinstance(value, str))
        for name, value in flags.items()
        if value is not None
    ]


def _plain(value: object) -> object:
    """Paths as text, as a file would give them; what a list holds, too."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


# The environment


def from_environ(environ: Mapping[str, str], assets: Collection[str]) -> tuple[list[Setting], list[str]]:
    """What the environment sets, and a sentence on each variable of our prefix that is ignored, MOST_WARNINGS of them
    and then their number. They hold no value, which may be secret. `assets` are those that exist without it."""
    settings: list[Setting] = []
    unknown: list[str] = []
    ignored: list[str] = []
    for variable in sorted(name for name in environ if name.startswith(ENV_PREFIX)):
        setting = Setting(variable, _path_of(variable), environ[variable], is_text=True)
        if not _is_setting(setting.path):
            unknown.append(variable)
        elif _is_of_container_runtime(setting):
            ignored.append(
                f"{variable} is ignored: its value is what a container runtime writes for a service of that name"
            )
        else:
            settings.append(setting)
    incomplete = _incomplete_assets(settings, assets)
    added = {path[1] for path in (setting.path[:2] for setting in settings) if path[0] == "assets"}
    known = {*assets, *added} - {asset for _, asset in incomplete}
    incomplete |= {s.path[:2] for s in settings if is_rates_of_an_asset(s.path) and s.path[1] not in known}
    keys = ", ".join(REQUIRED_OF_ASSET)
    ignored += [
        f"{setting.where} is ignored: there is no asset {setting.path[1]}, and a new one must have the keys {keys}"
        for setting in settings
        if setting.path[:2] in incomplete
    ]
    names = _names_of_variables(assets)
    lines = ignored + [
        f"{printable(variable)} is no setting and is ignored; the nearest is {names[nearest(variable.upper(), names)]}"
        for variable in unknown[:MOST_WARNINGS]
    ]
    more = len(ignored) + len(unknown) - MOST_WARNINGS
    lines[MOST_WARNINGS:] = [f"{more} more {ENV_PREFIX}* variables are ignored"] if more > 0 else []
    return [setting for setting in settings if setting.path[:2] not in incomplete], lines


def _path_of(variable: str) -> tuple[str, ...]:
    """EXNESS_AUTH_LINK_MINUTES is auth.link_minutes, EXNESS_ASSETS_SOL_MAX_LEVERAGE assets.SOL.max_leverage."""
    section, _, key = variable.removeprefix(ENV_PREFIX).partition("_")
    section = section.lower()
    if section != "assets" and (section != "rates" or key.lower() in ROWS["rates"]):
        return (section, key.lower())
    asset, _, key = key.partition("_")
    return (section, asset, key.lower())


def _is_setting(path: tuple[str, ...]) -> bool:
    is_asset = len(path) == 2 or (ASSET_NAME.fullmatch(path[1]) is not None and path[1] != CURRENCY)
    return path[0] in ROWS and path[-1] in rows_at(path[:-1]) and is_asset


def _is_of_container_runtime(setting: Setting) -> bool:
    value = str(setting.value)
    is_name = setting.path[-1] == "name" and _CONTAINER_NAME.fullmatch(value) is not None
    return is_name or _SERVICE_LINK.fullmatch(value) is not None


def _incomplete_assets(settings: Sequence[Setting], known: Collection[str]) -> set[tuple[str, ...]]:
    """Sections of assets that only the environment names, and not with all that a new one needs."""
    keys_of: dict[tuple[str, ...], set[str]] = {}
    for setting in settings:
        if setting.path[0] == "assets" and setting.path[1] not in known:
            keys_of.setdefault(setting.path[:2], set()).add(setting.path[2])
    return {section for section, keys in keys_of.items() if not keys.issuperset(REQUIRED_OF_ASSET)}


def _names_of_variables(assets: Collection[str]) -> dict[str, str]:
    """Every variable that is a setting, by its name and, as EXNESS_PORT, by its key alone."""
    sections = {name: rows for name, rows in ROWS.items() if name != "assets"}
    sections |= {f"assets_{asset}": ROWS["assets"] for asset in sorted(assets)}
    sections |= {f"rates_{asset}": ASSET_RATES for asset in sorted(assets)}
    variables = {f"{ENV_PREFIX}{section}_{key}".upper(): key for section, keys in sections.items() for key in keys}
    by_key: dict[str, str] = {}
    for variable, key in variables.items():
        by_key.setdefault(f"{ENV_PREFIX}{key}".upper(), variable)
    return {variable: variable for variable in variables} | by_key
