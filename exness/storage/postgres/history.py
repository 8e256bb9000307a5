"""Puts the questions of `storage.history` to PostgreSQL."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from exness.storage.asking import Asking, Parameters
from exness.storage.history import TablesHistory
from exness.storage.postgres.session import Connection, Session, quoted

TEXTS = {"account", "asset", "side", "label"}
BOOLEANS = {"is_open", "profitable", "liquidated"}
"""Parameters by name; all others are numbers. PostgreSQL can't tell what a parameter is that may be NULL."""
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)|\?")
_INDEX = re.compile(r"INDEXED BY \w+")


@cache
def translated(statement: str) -> tuple[str, tuple[str, ...]]:
    """A statement with numbered parameters of a type, and the names of those that have one. Which index to take is left
    to PostgreSQL, which takes none by name."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            names.append("")
            return f"${len(names)}"
        if name not in names:
            names.append(name)
        kind = "text" if name in TEXTS else "boolean" if name in BOOLEANS else "bigint"
        return f"${names.index(name) + 1}::{kind}"

    text = quoted(_INDEX.sub("", statement))
    text = text.replace("SELECT value FROM json_each(?)", "SELECT jsonb_array_elements_text(?::text::jsonb)")
    return _PARAMETER.sub(numbered, text), tuple(names)


async def ask(connection: Connection, statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    text, names = translated(statement)
    values = parameters if isinstance(parameters, tuple) else [parameters[name] for name in names]
    return [tuple(row) for row in await connection.fetch(text, *values)]


async def answered(connection: Connection, asking: Asking[Any]) -> Any:
    """The answer. All of its statements see one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows: list[tuple[Any, ...]] | None = None
        try:
            while True:
                statement, parameters = next(asking) if rows is None else asking.send(rows)
                rows = await ask(connection, statement, parameters)
        except StopIteration as end:
            return end.value


def postgres_history(reader: Session, decimals: dict[str, int]) -> TablesHistory:
    """Implements `ports.History`."""

    async def answer(asking: Asking[Any]) -> Any:
        work: Callable[[Connection], Any] = lambda connection: answered(connection, asking)  # noqa: E731
        return await reader.run(work)

    return TablesHistory(answer, decimals)
