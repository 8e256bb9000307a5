"""Puts the sources together: built-in defaults, config.toml, the environment, flags; the later one wins.

Each source becomes a list of `Setting`s. Of each key the last one counts and is read by its rule, so that an error
names where the value stands. What only the whole can tell (two assets on one symbol) is checked at the end.

The file and the flags are ours: what they name and we don't know is an error. The environment is everybody's: a bot has
an EXNESS_TOKEN of its own, and for a service named exness-server a container runtime sets EXNESS_SERVER_PORT to
tcp://10.0.0.5:8002. There only a setting's name with a value that is meant for it counts; the rest gets a warning.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from exness.config.rules import ConfigError, FloatText, Refused, Rule, UsageError, shown
from exness.config.schema import (
    CURRENCY,
    DEFAULT_ASSETS,
    SECTIONS,
    AssetConfig,
    Config,
    FeedConfig,
    is_secret,
)
from exness.runtime.texts import TextError, read_whole

DEFAULT_PATH = Path("config.toml")
ENV_PREFIX = "EXNESS_"
COMMAND_LINE = "command line"
ASSET_NAME = re.compile(r"[A-Z0-9]{1,10}")
REQUIRED_OF_ASSET = ("name", "decimals", "symbol")
MOST_WARNINGS = 10
LONGEST_COMPARED = 100
"""Characters of an unknown name for which the nearest is looked for."""
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
"""What Docker and Kubernetes put into `<SERVICE>_PORT` and its like."""
_CONTAINER_NAME = re.compile(r"/[^/\s]+/[^/\s]+")
"""What Docker puts into `<ALIAS>_NAME` for a linked container."""


def _rules_of(struct: type[msgspec.Struct]) -> dict[str, Rule[object]]:
    return {key: hint.__metadata__[0] for key, hint in get_type_hints(struct, include_extras=True).items()}


RULES = {name: _rules_of(struct) for name, struct in SECTIONS.items()} | {"assets": _rules_of(AssetConfig)}


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
        return _printable(".".join(self.path))

    def error(self, problem: str) -> ConfigError:
        kind = UsageError if self.where == COMMAND_LINE else ConfigError
        return kind(f"{self.where}: {problem}")


def load(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    warn: Callable[[str], None] = lambda line: None,
) -> Config:
    """One `Config` from all sources. Raises ConfigError.

    `path` None means ./config.toml if there is one. `flags` maps "section.key" to a value, of the key's type or
    as text; None means that the flag was not given. `warn` gets a sentence for each variable that is ignored,
    MOST_WARNINGS of them and then their number. It never holds a value, which may be secret.
    """
    from_file = list(_from_file(path))
    from_environ, ignored = _from_environ(environ, _assets_named(from_file))
    # A value that a later source replaces is not read at all: a flag is the way out of a bad one.
    settings = {setting.path: setting for setting in (*from_file, *from_environ, *_from_flags(flags))}
    values = {path: _read(setting) for path, setting in settings.items()}
    for line in ignored:
        warn(line)
    config = Config(assets=_assets(values), **{name: _section(name, values) for name in SECTIONS})
    _check_feed(config.feed)
    _check_manual(config, flags)
    return config


# Sources


def config_file(given: Path | None) -> Path | None:
    """The file that settings come from: the one given, else ./config.toml if there is one."""
    if given is None and DEFAULT_PATH.exists():
        return DEFAULT_PATH
    return given


def _from_file(given: Path | None) -> Iterator[Setting]:
    path = config_file(given)
    if path is None:
        return
    where = str(path)
    for section, table in _parse(path).items():
        if not isinstance(table, dict):
            yield Setting(where, (section,), table)
        elif section == "assets":
            yield from _from_asset_tables(where, table)
        else:
            yield from _from_table(where, (section,), table)


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


def _from_asset_tables(where: str, tables: dict[str, Any]) -> Iterator[Setting]:
    for asset, table in tables.items():
        if isinstance(table, dict):
            yield from _from_table(where, ("assets", asset), table)
        else:
            yield Setting(where, ("assets", asset), table)


def _from_table(where: str, path: tuple[str, ...], table: dict[str, Any]) -> Iterator[Setting]:
    if not table:
        # Nothing to set, but the section's own name is still to be checked.
        yield Setting(where, path, table)
    for key, value in table.items():
        yield Setting(where, (*path, key), value)


def _assets_named(settings: Sequence[Setting]) -> set[str]:
    return set(DEFAULT_ASSETS) | {each.path[1] for each in settings if each.path[0] == "assets" and len(each.path) > 1}


def _from_environ(environ: Mapping[str, str], assets: Collection[str]) -> tuple[list[Setting], list[str]]:
    """What the environment sets, and a sentence on each of our names that it does not. `assets` are known already."""
    given = [
        Setting(variable, _path_of_variable(variable), environ[variable], is_text=True)
        for variable in sorted(environ)
        if variable.startswith(ENV_PREFIX)
    ]
    named = [setting for setting in given if _is_setting(setting.path)]
    meant = [setting for setting in named if not _is_of_container_runtime(setting)]
    incomplete = _incomplete_assets(meant, assets)
    settings = [setting for setting in meant if setting.path[:2] not in incomplete]
    ignored = [setting for setting in named if setting not in settings]
    ignored += [setting for setting in given if setting not in named]
    names = _names_of_variables(assets)
    lines = [_why_ignored(setting, incomplete, names) for setting in ignored[:MOST_WARNINGS]]
    if len(ignored) > MOST_WARNINGS:
        lines.append(f"{len(ignored) - MOST_WARNINGS} more {ENV_PREFIX}* variables are ignored")
    return settings, lines


def _why_ignored(setting: Setting, incomplete: Collection[tuple[str, ...]], names: Mapping[str, str]) -> str:
    variable = _printable(setting.where)
    if not _is_setting(setting.path):
        return f"{variable} is no setting and is ignored; the nearest is {_nearest(setting.where.upper(), names)}"
    if setting.path[:2] in incomplete:
        keys = ", ".join(REQUIRED_OF_ASSET)
        return f"{variable} is ignored: there is no asset {setting.path[1]}, and a new one must have the keys {keys}"
    return f"{variable} is ignored: its value is what a container runtime writes for a service of that name"


def _is_setting(path: tuple[str, ...]) -> bool:
    match path:
        case ("assets", asset, key):
            return ASSET_NAME.fullmatch(asset) is not None and asset != CURRENCY and key in RULES["assets"]
        case (section, key):
            return section in SECTIONS and key in RULES[section]
        case _:
            return False


def _is_of_container_runtime(setting: Setting) -> bool:
    value = str(setting.value)
    if setting.path[-1] == "name" and _CONTAINER_NAME.fullmatch(value):
        return True
    return _SERVICE_LINK.fullmatch(value) is not None


def _incomplete_assets(settings: Sequence[Setting], known: Collection[str]) -> set[tuple[str, ...]]:
    """Sections of assets that only the environment names, and not with all that a new one needs."""
    keys_of: dict[tuple[str, ...], set[str]] = {}
    for setting in settings:
        if setting.path[0] == "assets" and setting.path[1] not in known:
            keys_of.setdefault(setting.path[:2], set()).add(setting.path[2])
    return {section for section, keys in keys_of.items() if not keys.issuperset(REQUIRED_OF_ASSET)}


def _path_of_variable(variable: str) -> tuple[str, ...]:
    """EXNESS_AUTH_LINK_MINUTES is auth.link_minutes, EXNESS_ASSETS_SOL_MAX_LEVERAGE assets.SOL.max_leverage."""
    section, _, key = variable.removeprefix(ENV_PREFIX).partition("_")
    if section != "ASSETS":
        return (section.lower(), key.lower()) if key else (section.lower(),)
    asset, _, key = key.partition("_")
    return ("assets", asset, key.lower()) if key else ("assets", asset)


def _names_of_variables(assets: Collection[str]) -> dict[str, str]:
    """Every variable that is a setting, by its name and, as EXNESS_PORT, by its key alone."""
    sections = [(section, keys) for section, keys in RULES.items() if section != "assets"]
    sections += [(f"assets_{asset}", RULES["assets"]) for asset in sorted(assets)]
    variables = {f"{ENV_PREFIX}{section}_{key}".upper(): key for section, keys in sections for key in keys}
    by_key: dict[str, str] = {}
    for variable, key in variables.items():
        by_key.setdefault(f"{ENV_PREFIX}{key}".upper(), variable)
    return {variable: variable for variable in variables} | by_key


def _nearest(given: str, names: Mapping[str, str]) -> str:
    """The value of the key that reads most like `given`."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(given[:LONGEST_COMPARED])
    nearest, likeness = "", -1.0
    for name, value in names.items():
        matcher.set_seq1(name)
        if matcher.quick_ratio() > likeness and matcher.ratio() > likeness:
            nearest, likeness = value, matcher.ratio()
    return nearest


def _from_flags(flags: Mapping[str, object]) -> Iterator[Setting]:
    for name, value in flags.items():
        if value is not None:
            yield Setting(COMMAND_LINE, tuple(name.split(".")), _plain(value), is_text=isinstance(value, str))


def _plain(value: object) -> object:
    """Paths as text, as a file would give them; what a list holds, too."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


# Reading one setting


def _read(setting: Setting) -> object:
    match setting.path:
        case ("assets", asset, key):
            _check_asset_name(setting, asset)
            return _read_key(setting, ("assets", asset), key)
        case ("assets", asset):
            _check_asset_name(setting, asset)
            return _check_empty_table(setting)
        case (section, key) if section in SECTIONS:
            return _read_key(setting, (section,), key)
        case (section,) if section in RULES:
            return _check_empty_table(setting)
        case _:
            raise _unknown(setting)


def _unknown(setting: Setting) -> ConfigError:
    section, sections = setting.path[0], ", ".join(RULES)
    if len(setting.path) == 1 and setting.value != {}:
        nearest = _nearest(section, {key: f"{name}.{key}" for name in SECTIONS for key in RULES[name]})
        problem = f"unknown setting {setting.name}, the nearest is {nearest}; settings stand in the sections {sections}"
    else:
        nearest = _nearest(section, {name: name for name in RULES})
        problem = f"unknown section {_printable(section)}, the nearest is {nearest}; the sections are {sections}"
    return setting.error(problem)


def _printable(name: str) -> str:
    """A quoted TOML key may hold anything, a line break too; the error stays on one line and short."""
    return name if name and name.isprintable() and len(name) <= LONGEST_COMPARED else shown(name)


def _read_key(setting: Setting, section: tuple[str, ...], key: str) -> object:
    rules = RULES[section[0]]
    rule = rules.get(key)
    if rule is None:
        nearest, keys = _nearest(key, {name: name for name in rules}), ", ".join(rules)
        raise setting.error(
            f"unknown setting {setting.name}, the nearest is {nearest}; the keys of [{'.'.join(section)}] are {keys}"
        )
    try:
        return rule.read_text(str(setting.value)) if setting.is_text else rule.read(setting.value)
    except Refused as refused:
        given = "" if is_secret(section[0], key) else f", not {shown(setting.value)}{refused}"
        raise setting.error(f"{setting.name} must be {rule.allowed}{given}") from None


def _check_empty_table(setting: Setting) -> object:
    if setting.value != {}:
        raise setting.error(f"{setting.name} must be a section [{setting.name}] with keys, not {shown(setting.value)}")
    return None


def _check_asset_name(setting: Setting, asset: str) -> None:
    if not ASSET_NAME.fullmatch(asset):
        raise setting.error(
            f"an asset's name must be 1 to 10 uppercase letters and digits like [assets.SOL], not {shown(asset)}"
        )
    if asset == CURRENCY:
        raise setting.error(f"{CURRENCY} is the currency of every account and cannot be an asset")


# Building the whole


def _section(name: str, values: Mapping[tuple[str, ...], object]) -> Any:
    return SECTIONS[name](**{path[1]: value for path, value in values.items() if path[0] == name and len(path) == 2})


def _assets(values: Mapping[tuple[str, ...], object]) -> dict[str, AssetConfig]:
    """The defaults and what the sources say of them or add to them, without the disabled ones."""
    keys_of: dict[str, dict[str, Any]] = {name: msgspec.structs.asdict(asset) for name, asset in DEFAULT_ASSETS.items()}
    for path, value in values.items():
        if path[0] == "assets" and len(path) > 1:
            keys = keys_of.setdefault(path[1], {})
            keys.update({path[2]: value} if len(path) > 2 else {})
    assets = {name: _asset(name, keys) for name, keys in keys_of.items() if keys.get("enabled", True)}
    if not assets:
        raise ConfigError("at least one asset must stay enabled under [assets]")
    _check_symbols(assets)
    return assets


def _asset(name: str, keys: Mapping[str, Any]) -> AssetConfig:
    missing = [key for key in REQUIRED_OF_ASSET if key not in keys]
    if missing:
        raise ConfigError(
            f"assets.{name}.{missing[0]} is missing; a new asset must have the keys name, decimals and symbol"
        )
    return AssetConfig(**keys)


def _check_symbols(assets: Mapping[str, AssetConfig]) -> None:
    owner: dict[str, str] = {}
    for name, asset in assets.items():
        if asset.symbol in owner:
            raise ConfigError(
                f"assets.{name}.symbol must be different from assets.{owner[asset.symbol]}.symbol, "
                f"not {shown(asset.symbol)} for both"
            )
        owner[asset.symbol] = name


def _check_feed(feed: FeedConfig) -> None:
    if feed.source == "replay" and not feed.replay_files:
        raise ConfigError('feed.replay_files must name at least one file when feed.source is "replay"')


def _check_manual(config: Config, flags: Mapping[str, object]) -> None:
    if config.feed.source == "manual" and not config.dev.control:
        kind = UsageError if flags.get("feed.source") is not None else ConfigError
        raise kind(
            'feed.source "manual" puts prices and the clock into the hands of any program on this machine: '
            "allow that with dev.control = true (--dev-control, or EXNESS_DEV_CONTROL=true)"
        )
