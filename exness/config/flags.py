"""The command line's flags, made from the definitions of the settings that have one."""

import argparse
from collections.abc import Mapping
from typing import Any

import msgspec

from exness.config.definition import Row
from exness.config.kinds import BOOLEAN, ListOf
from exness.config.schema import ROWS, SECTIONS

_FLAGS = {f"{section}.{key}": row for section in SECTIONS for key, row in ROWS[section].items() if row.flag}


def add_flags(parser: argparse._ActionsContainer, *settings: str) -> None:
    """The flags of these settings ("server.port"); without any, those of all that have one."""
    for name in settings or _FLAGS:
        row = _FLAGS[name]
        assert row.flag is not None
        parser.add_argument(row.flag.name, dest=name, default=None, help=row.key, **_form(row))


class Help(argparse.HelpFormatter):
    """What a flag does is in its setting's explanation, which is looked up only when it is shown."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        row = _FLAGS.get(action.dest)
        return super()._get_help_string(action) if row is None else _help(row)


class HelpWithTables(Help, argparse.RawDescriptionHelpFormatter):
    """The same, with an epilog as it stands."""


def flags_of(options: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of each setting: None where nothing is said."""
    return {name: getattr(options, name, None) for name in _FLAGS}


def _form(row: Row) -> Mapping[str, Any]:
    """How argparse takes it. Values stay text, which their kind reads."""
    metavar = row.flag.metavar if row.flag else None
    if row.kind is BOOLEAN:
        return {"action": "store_true"}
    if isinstance(row.kind, ListOf):
        return {"nargs": "+", "metavar": metavar}
    if metavar is None and row.kind.choices:
        return {"choices": row.kind.choices}
    return {"metavar": metavar or row.key.upper()}


def _help(row: Row) -> str:
    first = row.about.split(". ")[0].removesuffix(".")
    default = "" if not row.default or row.default is msgspec.NODEFAULT else row.kind.write(row.default).strip('"')
    return (first[:1].lower() + first[1:] + (f" (default {default})" if default else "")).replace("%", "%%")
