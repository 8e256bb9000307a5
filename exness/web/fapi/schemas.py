"""What is sent and what is answered, as JSON schemas: the words that rows describe their parameters and answers with.

Handlers read parameters by hand and answer with plain dictionaries, as that is what is fast; tests hold both against
what is said here.
"""

from collections.abc import Mapping
from typing import Any

from exness.web.fapi.errors import STATUSES, TEXTS, Code

Schema = Mapping[str, Any]
SCHEMAS: dict[str, Schema] = {}
"""All that have a name, as `components.schemas` of the document."""
OPTIONAL = "?"
"""Behind the name of a field or parameter: it may be left out."""
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
EMPTY: Schema = {"type": "object", "additionalProperties": False}


def named(name: str, schema: Schema) -> Schema:
    assert name not in SCHEMAS, name
    SCHEMAS[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def fields(
    text: str = "", decimal: str = "", integer: str = "", number: str = "", flag: str = "", **nested: Schema
) -> Schema:
    """An object with these fields and no others. Each argument names fields of one type, apart by spaces."""
    plain = ((text, TEXT), (decimal, DECIMAL), (integer, INTEGER), (number, NUMBER), (flag, FLAG))
    given = {name: schema for names, schema in plain for name in names.split()} | nested
    return {
        "type": "object",
        "properties": {name.removesuffix(OPTIONAL): schema for name, schema in given.items()},
        "required": [name for name in given if not name.endswith(OPTIONAL)],
        "additionalProperties": False,
    }


def many(schema: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": schema, **bounds}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def just(length: int, *schemas: Schema) -> Schema:
    """An array of so many, each one of these. Which is where Binance's manual says: few tools know `prefixItems`."""
    return many(schemas[0] if len(schemas) == 1 else either(*schemas), minItems=length, maxItems=length)


def failure(codes: list[Code]) -> Schema:
    """The body of an error with one of these codes."""
    return fields(text="msg", code={"type": "integer", "enum": [int(each) for each in codes]})


def codes_at(status: int) -> list[Code]:
    return [code for code in TEXTS if STATUSES.get(code, 400) == status]


FAILURE = named("Failure", failure(list(Code)))
