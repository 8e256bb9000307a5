"""Lists as CSV: all their rows, read page by page and written as they come, so that a million take no more memory than
one page, and nobody else waits for longer than some rows take.

The columns are the fields of the JSON rows, by their names, and hold the same text. What a spreadsheet would take for a
formula gets an apostrophe before it. A reader who takes nothing for a while is cut off; who is cut off gets no end of
the answer, and so can tell.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET

from exness.runtime.inbox import Busy
from exness.web.http.endpoint import CSV_TYPE
from exness.web.http.errors import ApiError

ROWS_AT_ONCE = 20
"""Made and written before the loop gets a turn."""
ROWS_A_PAGE = 200
"""Read at a time."""
MOST_EXPORTS = 4
"""At a time, of all users."""
WRITE_S = 30.0
"""How long a reader may take nothing."""
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")

Row = msgspec.Struct
Page = Sequence[Callable[[], Row]]


class Exports:
    """How many are under way, in one process."""

    def __init__(self) -> None:
        self.running = 0

    def __enter__(self) -> None:
        """Raises ApiError(overloaded)."""
        if self.running >= MOST_EXPORTS:
            raise ApiError(Busy.OVERLOADED)
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1


EXPORTS = web.AppKey("exports", Exports)


def wants_csv(request: web.Request, named: bool | None) -> bool:
    """`named` is what the parameter `format` says; without one it is what the client accepts."""
    if named is not None:
        return named
    accepted = [each.partition(";")[0].strip() for each in request.headers.get(hdrs.ACCEPT, "").lower().split(",")]
    return CSV_TYPE in accepted and "application/json" not in accepted


async def send_csv(request: web.Request, name: str, kind: type[Row], pages: AsyncIterator[Page]) -> web.StreamResponse:
    """Write pages of rows, each of which is made as it is written. What the first page raises is answered in JSON."""
    with request.app[EXPORTS]:
        page: Page | None = await anext(pages, None)
        headers = {hdrs.CONTENT_TYPE: f"{CSV_TYPE}; charset=utf-8"}
        headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}.csv"'
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            await _write(response, kind, page, pages)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response


async def _write(response: web.StreamResponse, kind: type[Row], page: Page | None, pages: AsyncIterator[Page]) -> None:
    """Raises TimeoutError."""
    fields = msgspec.structs.fields(kind)
    text = io.StringIO(newline="")
    write = csv.writer(text)
    write.writerow(field.encode_name for field in fields)
    while page is not None:
        for first in range(0, len(page), ROWS_AT_ONCE):
            for make in page[first : first + ROWS_AT_ONCE]:
                row = make()
                write.writerow([_cell(getattr(row, field.name)) for field in fields])
            await _written(response, text)
        page = await anext(pages, None)
    await _written(response, text)


async def _written(response: web.StreamResponse, text: io.StringIO) -> None:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    async with asyncio.timeout(WRITE_S):
        await response.write(data)
    await asyncio.sleep(0)


def _cell(value: Any) -> object:
    if value is None or value is UNSET:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
