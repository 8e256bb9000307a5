"""A client whose every answer is held against what went over the wire."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import msgspec

from exness.client import AsyncClient
from exness.client.calls import Call
from exness.web.app import endpoints_of

T = TypeVar("T")
ENDPOINTS = endpoints_of(dev=True)
_ROWS = ("data", "assets", "rules")
"""Under these an answer has the list that a method returns."""


class CheckedClient(AsyncClient):
    """`asked` are the endpoints that have answered."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.asked: set[tuple[str, str]] = set()

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        read = super()._read(call, response)
        row = ENDPOINTS.row_of(call.method, call.path.partition("?")[0])
        assert row is not None
        self.asked.add(row.key)
        if response.is_success:
            told = json.loads(response.content, parse_float=Decimal)
            if isinstance(read, list) and isinstance(told, dict):
                (told,) = [told[name] for name in _ROWS if name in told]
            assert_read(read, told, call.path)
        return read


def assert_read(read: Any, told: Any, where: str) -> None:
    """Everything that is told was read, and nothing else."""
    match read:
        case msgspec.Struct():
            _assert_struct(read, told, where)
        case list() | tuple():
            assert len(read) == len(told), where
            for number, (ours, theirs) in enumerate(zip(read, told, strict=True)):
                assert_read(ours, theirs, f"{where}[{number}]")
        case dict():
            assert read.keys() == told.keys(), where
            for name, ours in read.items():
                assert_read(ours, told[name], f"{where}.{name}")
        case Decimal():
            assert read == Decimal(told), where
        case datetime():
            assert read == datetime.fromisoformat(told), where
        case _:
            assert read == told, where


def _assert_struct(read: msgspec.Struct, told: dict[str, Any], where: str) -> None:
    config = read.__struct_config__
    left = {name: value for name, value in told.items() if name != "success"}
    if config.tag_field is not None:
        assert left.pop(config.tag_field) == config.tag, where
    for field in msgspec.structs.fields(read):
        ours = getattr(read, field.name)
        if field.encode_name in left:
            assert_read(ours, left.pop(field.encode_name), f"{where}.{field.name}")
        else:
            assert ours == field.default, f"{where}.{field.name}"
    assert not left, where
