"""The face's own OpenAPI document, to hold answers against."""

import json
from functools import cache
from typing import Any

import jsonschema_rs

from exness.web.fapi.endpoints import ROWS
from exness.web.fapi.frame import Row
from exness.web.fapi.openapi import document
from tests.binance.face import FAPI
from tests.support.app import Answer

WHOLE = document(ROWS, list(FAPI.markets), "1")


def operation(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = WHOLE["paths"][row.path][row.method.lower()]
    return found


def parameters(row: Row) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in operation(row)["parameters"]}


def assert_documented(row: Row, answer: Answer) -> None:
    """Its status is one of the row's, and its body is what is said of that."""
    assert str(answer.status) in operation(row)["responses"], (row.method, row.path, answer.status)
    errors = [str(each) for each in _validator(row.method, row.path, answer.status).iter_errors(json.loads(answer.raw))]
    assert not errors, (row.method, row.path, errors, answer.raw)


@cache
def _validator(method: str, path: str, status: int) -> Any:
    response = WHOLE["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in response:
        response = WHOLE["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": WHOLE["components"]})
