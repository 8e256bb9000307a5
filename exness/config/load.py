"""Puts the sources together: built-in defaults, config.toml, the environment, flags; the later one wins.

Of each key only the last value is read, by the kind of its definition, so that an error names where the value stands
and a flag is the way out of a bad one. What only the whole can tell (two assets on one symbol) is checked at the end.
All values that cannot be used are reported at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from exness.config.kinds import STEP_DECIMALS, Refused, shown
from exness.config.schema import (
    ASSET_RATES,
    CURRENCY,
    DEFAULT_ASSETS,
    ROWS,
    SECTIONS,
    AssetConfig,
    Config,
    rows_at,
)
from exness.config.sources import (
    ASSET_NAME,
    COMMAND_LINE,
    REQUIRED_OF_ASSET,
    ConfigError,
    Setting,
    UsageError,
    from_environ,
    from_file,
    from_flags,
    is_rates_of_an_asset,
    nearest,
    printable,
)
from exness.core.profiles import PROFILES
from exness.core.rates import FundingSource, Rates, problems

MOST_PROBLEMS = 20
"""Settings that are reported at once."""

Keys = tuple[str, ...]
Tables = dict[Keys, dict[str, Any]]
"""("server",) and ("assets", "SOL") to the values of their keys."""


class Resolved(NamedTuple):
    """The settings and where they come from."""

    config: Config
    tables: Tables
    """What `config` is made of; disabled assets, too."""
    origins: Mapping[Keys, str]
    """The file, variable, `command line` or profile that set a key, by its path; others have their default."""


def load(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    warn: Callable[[str], None] = lambda line: None,
) -> Config:
    """One `Config` from all sources. Raises ConfigError.

    `path` None means ./config.toml if there is one. `flags` maps "section.key" to a value, of the key's type or
    as text; None means that the flag was not given. `warn` gets a sentence for each variable that is ignored.
    """
    return resolve(path, environ, flags, warn).config


def resolve(
    path: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    warn: Callable[[str], None] = lambda line: None,
) -> Resolved:
    """The same as `load`, with the sources."""
    file = from_file(path)
    assets = set(DEFAULT_ASSETS) | {each.path[1] for each in file if each.path[0] == "assets" and len(each.path) > 1}
    variables, ignored = from_environ(environ, assets)
    settings = {setting.path: setting for setting in (*file, *variables, *from_flags(flags))}
    values = _read_all(settings.values())
    profile = _of_profile(values, assets)
    tables = _tables({**profile, **values})
    origins = dict.fromkeys(profile, f"profile {values.get(('trading', 'profile'))}")
    origins |= {path: setting.where for path, setting in settings.items()}
    for line in ignored:
        warn(line)
    _refuse(list(islice(_misfits(tables, origins), MOST_PROBLEMS)))
    enabled = {path[1]: AssetConfig(**table) for path, table in _enabled_assets(tables).items()}
    sections: dict[str, Any] = {name: struct(**tables[name,]) for name, struct in SECTIONS.items()}
    rates = {name: _rates_of(tables, name) for name in enabled}
    return Resolved(Config(assets=enabled, asset_rates=rates, **sections), tables, origins)


def default_tables() -> Tables:
    """Every setting at its default."""
    return _tables({})


def _refuse(problems: list[ConfigError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        kind = UsageError if any(isinstance(problem, UsageError) for problem in problems) else ConfigError
        count = f"{len(problems)} settings" if len(problems) < MOST_PROBLEMS else f"{MOST_PROBLEMS} settings or more"
        raise kind("\n  ".join([f"{count} cannot be used:", *map(str, problems)]))


# Reading one setting


def _read_all(settings: Iterable[Setting]) -> dict[Keys, object]:
    values: dict[Keys, object] = {}
    problems: list[ConfigError] = []
    for setting in settings:
        try:
            values[setting.path] = _read(setting)
        except ConfigError as problem:
            problems.append(problem)
        if len(problems) == MOST_PROBLEMS:
            break
    _refuse(problems)
    return values


def _read(setting: Setting) -> object:
    section, *inner = setting.path
    if section not in ROWS:
        raise _unknown(setting)
    if inner and (section == "assets" or is_rates_of_an_asset(setting.path)):
        _check_asset_name(setting, inner.pop(0))
    if inner:
        return _read_key(setting, inner[-1])
    if setting.value != {}:
        raise setting.error(f"{setting.name} must be a section [{setting.name}] with keys, not {shown(setting.value)}")
    return None


def _unknown(setting: Setting) -> ConfigError:
    section, sections = setting.path[0], ", ".join(ROWS)
    if len(setting.path) == 1 and setting.value != {}:
        names = {key: f"{name}.{key}" for name in reversed(SECTIONS) for key in ROWS[name]}
        problem = f"unknown setting {setting.name}, the nearest is {names[nearest(section, names)]}"
        return setting.error(f"{problem}; settings stand in the sections {sections}")
    return setting.error(
        f"unknown section {printable(section)}, the nearest is {nearest(section, ROWS)}; the sections are {sections}"
    )


def _read_key(setting: Setting, key: str) -> object:
    rows = rows_at(setting.path[:-1])
    if key not in rows:
        raise setting.error(
            f"unknown setting {setting.name}, the nearest is {nearest(key, rows)}; "
            f"the keys of [{'.'.join(setting.path[:-1])}] are {', '.join(rows)}"
        )
    kind = rows[key].kind
    try:
        return kind.read(setting.value, is_text=setting.is_text)
    except ValueError as refused:
        hint = refused if isinstance(refused, Refused) else ""
        given = "" if kind.is_secret else f", not {shown(setting.value)}{hint}"
        raise setting.error(f"{setting.name} must be {kind.allowed}{given}") from None


def _check_asset_name(setting: Setting, asset: str) -> None:
    if not ASSET_NAME.fullmatch(asset):
        raise setting.error(
            f"an asset's name must be 1 to 10 uppercase letters and digits like [assets.SOL], not {shown(asset)}"
        )
    if asset == CURRENCY:
        raise setting.error(f"{CURRENCY} is the currency of every account and cannot be an asset")


# The whole


def _tables(values: Mapping[Keys, object]) -> Tables:
    tables: Tables = {(name,): {row.key: row.default for row in ROWS[name].values()} for name in SECTIONS}
    tables |= {("assets", name): msgspec.structs.asdict(asset) for name, asset in DEFAULT_ASSETS.items()}
    new_asset = {row.key: row.default for row in ROWS["assets"].values() if not row.is_required}
    for path, value in values.items():
        if is_rates_of_an_asset(path):
            tables.setdefault(path[:2], {}).update({path[2]: value} if len(path) > 2 else {})
        elif path[0] == "assets" and len(path) > 1:
            table = tables.setdefault(path[:2], dict(new_asset))
            table.update({path[2]: value} if len(path) > 2 else {})
        elif len(path) > 1:
            tables[path[:1]][path[1]] = value
    return tables


def _of_profile(values: Mapping[Keys, object], assets: Collection[str]) -> dict[Keys, object]:
    """What the profile sets, of all assets or of one, where nobody really gives that key."""
    profile = PROFILES.get(str(values.get(("trading", "profile"), "")), {})
    return {
        path: sourced.value
        for path, sourced in profile.items()
        if not is_rates_of_an_asset(path) or (path[1] in assets and ("rates", path[2]) not in values)
    }


def _rates_of(tables: Tables, asset: str) -> Rates:
    """[rates], and over it what is said of the asset."""
    table = tables["rates",] | tables.get(("rates", asset), {})
    return Rates(**{key: table[key] for key in ASSET_RATES})


def _enabled_assets(tables: Tables) -> Tables:
    return {path: table for path, table in tables.items() if path[0] == "assets" and table["enabled"]}


def _misfits(tables: Tables, origins: Mapping[Keys, str]) -> Iterator[ConfigError]:
    """What is allowed by itself and not beside the rest."""
    if not _enabled_assets(tables):
        yield ConfigError("at least one asset must stay enabled under [assets]")
    owners: dict[str, str] = {}
    for (_, name), table in _enabled_assets(tables).items():
        missing = [key for key in REQUIRED_OF_ASSET if key not in table]
        if missing:
            keys = "a new asset must have the keys name, decimals and symbol"
            yield ConfigError(f"assets.{name}.{missing[0]} is missing; {keys}")
        elif (owner := owners.setdefault(table["symbol"], name)) != name:
            yield ConfigError(
                f"assets.{name}.symbol must be different from assets.{owner}.symbol, "
                f"not {shown(table['symbol'])} for both"
            )
        elif table["quantity_decimals"] is not None and AssetConfig(**table).net_quantity_decimals is None:
            yield ConfigError(f"assets.{name}.quantity_decimals and its decimals must together be from 6 to 11")
        else:
            yield from _unfit_steps(name, AssetConfig(**table))
    yield from _unfit_rates(tables)
    yield from _unfit_deployment(tables, origins)
    source = tables["feed",]["source"]
    if source == "replay" and not tables["feed",]["replay_files"]:
        yield ConfigError('feed.replay_files must name at least one file when feed.source is "replay"')
    if source == "manual" and not tables["dev",]["control"]:
        kind = UsageError if origins.get(("feed", "source")) == COMMAND_LINE else ConfigError
        yield kind(
            'feed.source "manual" puts prices and the clock into the hands of any program on this machine: '
            "allow that with dev.control = true (--dev-control, or EXNESS_DEV_CONTROL=true)"
        )


def _unfit_deployment(tables: Tables, origins: Mapping[Keys, str]) -> Iterator[ConfigError]:
    deploy = tables["deploy",]
    if deploy["database"] and not tables["auth",]["secret"]:
        yield ConfigError(
            "auth.secret must be set when deploy.database is: whoever takes over must know it, or everyone is signed "
            "out and no API key opens (EXNESS_AUTH_SECRET, the same in every process)"
        )
    if deploy["bus"] and not deploy["database"]:
        yield ConfigError("deploy.database must be set when deploy.bus is: nothing that matters is kept on the bus")
    role = deploy["role"]
    kind = UsageError if origins.get(("deploy", "role")) == COMMAND_LINE else ConfigError
    if role == "all":
        return
    for missing in ("database", "bus"):
        if not deploy[missing]:
            yield kind(f'deploy.{missing} must be set when deploy.role is "{role}": see docs/SPREAD.md')
    for section, key, value, why in _ONE_PROCESS_ONLY:
        if tables[section,][key] == value:
            yield kind(f'{section}.{key} = {_spelled(value)} works with deploy.role "all" only, not "{role}": {why}')
    if role == "server" and tables["server",]["production"] and not _sends_mail(tables):
        yield kind(
            'deploy.role "server" in production needs auth.resend_api_key or auth.smtp_url: the outbox is a folder of '
            "one process"
        )


_ONE_PROCESS_ONLY: Sequence[tuple[str, str, object, str]] = (
    ("storage", "acknowledge", "memory", "what is acknowledged must outlive the engine"),
    ("dev", "control", True, "prices and time are of no one process"),
    ("feed", "source", "manual", "prices and time are of no one process"),
    ("feed", "source", "replay", "a recording has its own time"),
)


def _spelled(value: object) -> str:
    return "true" if value is True else f'"{value}"'


def _sends_mail(tables: Tables) -> bool:
    auth = tables["auth",]
    return bool(auth["resend_api_key"] or auth["smtp_url"])


def _unfit_steps(name: str, asset: AssetConfig) -> Iterator[ConfigError]:
    """Steps of the Binance face that are not whole steps of the asset."""
    for key, step, decimals in (
        ("fapi_tick", asset.fapi_tick, asset.decimals),
        ("fapi_step", asset.fapi_step, asset.net_quantity_decimals),
    ):
        if step is not None and decimals is not None and step % 10 ** (STEP_DECIMALS - decimals):
            yield ConfigError(f"assets.{name}.{key} must have at most {decimals} decimals, as its own figures have")


def _unfit_rates(tables: Tables) -> Iterator[ConfigError]:
    """What is wrong of [rates] is told once, and not of each asset again."""
    general = list(problems(_rates_of(tables, "")))
    yield from (ConfigError(f"rates.{problem.key} must {problem.must}") for problem in general)
    for path in tables:
        if not is_rates_of_an_asset(path):
            continue
        if ("assets", path[1]) not in tables:
            yield ConfigError(f"rates.{path[1]} must be the section of an asset: there is no [assets.{path[1]}]")
        for problem in problems(_rates_of(tables, path[1])):
            if problem not in general:
                yield ConfigError(f"rates.{path[1]}.{problem.key} must {problem.must}")
    if tables["rates",]["funding_file"] is None:
        for path, table in tables.items():
            if path[0] == "rates" and table.get("funding_rate") is FundingSource.SCHEDULE:
                yield ConfigError(
                    f'rates.funding_file must name a file when {".".join(path)}.funding_rate is "schedule"'
                )
