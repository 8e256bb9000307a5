"""What types the fields of an answer have."""

import re
from typing import Any

DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def kind_of(value: Any) -> str:
    match value:
        case bool():
            return "B"
        case int():
            return "I"
        case str():
            return "S"
        case float():
            return "F"
        case _:
            return type(value).__name__


def has_shape(row: dict[str, Any], **kinds: str) -> None:
    """`S="a b", I="c"`: these fields, of these types, and no others than `more` names."""
    expected = {name: kind for kind, names in kinds.items() for name in names.split()}
    assert {name: kind_of(value) for name, value in row.items() if name in expected} == expected
    assert row.keys() == expected.keys(), row.keys() ^ expected.keys()


def are_decimals(row: dict[str, Any], names: str) -> None:
    assert [name for name in names.split() if not DECIMAL.fullmatch(row[name])] == []
