"""Settings as text: config.toml, the settings of this process with where they come from, and tables of both.

All of it is made from the definitions. What is secret is never shown.
"""

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from exness.config.definition import Row, explanations
from exness.config.kinds import BOOLEAN
from exness.config.load import Keys, Resolved, Tables, default_tables
from exness.config.schema import ROWS, SECTIONS, AssetConfig
from exness.config.sources import printable
from exness.core.profiles import PROFILES

WIDTH = 120
HIDDEN = "<hidden>"
OF_PROFILES = {(path[0], path[-1]) for profile in PROFILES.values() for path in profile}
"""Section and key of what a profile may set. In a file such a key would go over the profile."""
DEFAULT = "default"

SOURCES = (
    "A variable of the environment goes before config.toml: EXNESS_<SECTION>_<KEY>, so EXNESS_SERVER_PORT=9000 or "
    "EXNESS_ASSETS_SOL_MAX_LEVERAGE=50; a list stands between commas there. A flag on the command line goes before "
    "both. Of a key only the last value is read, so a flag is the way out of a bad one. A key or section of the file "
    "that is unknown, and a value of another type or out of bounds, is refused at start. Other variables that begin "
    "with EXNESS_ get a warning and are ignored, as are values that container runtimes write (tcp://10.0.0.5:8002)."
)


def default_file() -> str:
    """config.toml as it is shipped: every key, explained, at its default."""
    title = (
        "Settings of exness. Every key is here, at its default; a key left out keeps that default. Keys that a profile "
        "may set are commented out, as one that is given goes over the profile."
    )
    return "\n".join([*_comment(title), "#", *_comment(SOURCES), *_toml(default_tables(), None)])


def effective_file(resolved: Resolved) -> str:
    """The settings of a process as a config.toml, each with where it comes from. Read again it gives the same, but for
    what is secret."""
    title = "Settings as they are in effect. Behind each stands where it comes from. Secrets are left out."
    return "\n".join([*_comment(title), *_toml(resolved.tables, resolved.origins)])


def effective_table(resolved: Resolved) -> str:
    """One line for each setting: its name, its value and where it comes from."""
    rows = [
        (".".join((*path, key)), _shown(ROWS[path[0]][key], value), _origin(resolved.origins, path, key))
        for path, table in resolved.tables.items()
        for key, value in table.items()
    ]
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:{names}}  {value:{min(values, WIDTH // 2)}}  {origin}" for name, value, origin in rows)


def markdown() -> str:
    """docs/SETTINGS.md: a table of every setting for each section."""
    lines = [
        "# Settings",
        "",
        "Made from `exness/config/schema.py` and `rates.py` by `make settings`; edit those. Built-in defaults, then",
        "`config.toml`, then the environment, then flags: the later one wins. `python -m exness config` prints the",
        "settings in effect and where each comes from, `python -m exness config --defaults` a file to begin with.",
        "",
        *wrap(_escaped(SOURCES), WIDTH, break_long_words=False, break_on_hyphens=False),
    ]
    for path, table in default_tables().items():
        if path[:1] == ("assets",) and path != ("assets", "SOL"):
            continue
        lines += ["", f"## [{'.'.join(path)}]", "", _escaped(_about(path[0])), ""]
        lines += ["| key | default | must be | what it is |", "|---|---|---|---|"]
        lines += [_markdown_row(ROWS[path[0]][key], value) for key, value in table.items()]
    return "\n".join(lines)


def _markdown_row(row: Row, default: object) -> str:
    name = f"`{row.key}`" + (f"<br>`{row.flag.name}`" if row.flag else "")
    return f"| {name} | `{row.kind.write(default)}` | {_escaped(row.kind.allowed)} | {_escaped(row.about)} |"


def _escaped(text: str) -> str:
    return text.replace("<", "\\<").replace("|", "\\|").replace("*", "\\*")


def _about(section: str) -> str:
    return explanations(SECTIONS.get(section, AssetConfig))[""]


def _toml(tables: Tables, origins: Mapping[Keys, str] | None) -> Iterator[str]:
    """Lines. Each key is explained where its section is met first; `origins` None: without where a value comes from."""
    explained: set[str] = set()
    for path, table in tables.items():
        is_new = path[0] not in explained
        explained.add(path[0])
        yield from ["", "", *_comment(_about(path[0]))] if is_new else [""]
        yield f"[{'.'.join(path)}]"
        for key, value in table.items():
            row = ROWS[path[0]][key]
            if is_new:
                yield from ["", *_comment(row.about)]
                if row.kind is not BOOLEAN:
                    yield from _comment(f"Must be {row.kind.allowed}.")
            is_left_out = (row.kind.is_secret and value) or (origins is None and (path[0], key) in OF_PROFILES)
            hidden = "# " if is_left_out else ""
            origin = "" if origins is None else f"  # {_origin(origins, path, key)}"
            yield f"{hidden}{key} = {_shown(row, value)}{origin}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def _origin(origins: Mapping[Keys, str], path: Keys, key: str) -> str:
    return printable(origins.get((*path, key), DEFAULT))


def _shown(row: Row, value: Any) -> str:
    return HIDDEN if row.kind.is_secret and value else row.kind.write(value)
