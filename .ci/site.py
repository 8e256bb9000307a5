"""Gathers the sources of the site: `.ci/site.py FOLDER`. Every page keeps its place, so its links stay as they are.

The site is built from a copy because its pages lie in several folders of the project, and because one of them is made
here, from the endpoint rows.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exness.web.app import endpoints_of
from exness.web.docs import openapi

ROOT = Path(__file__).parents[1]
SOURCES = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE",
    "Containerfile", "compose.yaml", "config.toml", "docs", "examples", "deploy", "tests/README.md",
)  # fmt: skip
"""Pages, and the files that they link to."""
ENDPOINTS = "docs/ENDPOINTS.md"


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for source in SOURCES:
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(ROOT / source, folder / source)
    (folder / ENDPOINTS).write_text("\n".join(endpoints_page()), encoding="utf-8")


def endpoints_page() -> Iterator[str]:
    """Every endpoint with its fields, from the OpenAPI document."""
    document = openapi.document("", endpoints_of(dev=True))
    schemas = document["components"]["schemas"]
    yield "# Endpoints\n"
    yield "Every endpoint with its fields and refusals, as `/openapi.json` has them."
    yield "[The contract](API.md) says what they mean.\n"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"## {method.upper()} {path}\n"
            yield f"{operation['summary']}. {operation['description']}\n"
            yield from fields_table("field", list(fields_of(operation, schemas)))
            yield from fields_table("answer", list(answer_of(operation, schemas)))
            refusals = [
                (status, each["description"]) for status, each in operation["responses"].items() if status != "200"
            ]
            if refusals:
                yield "| status | refusals |\n|---|---|"
                yield from (f"| {status} | {cell(text)} |" for status, text in refusals)
                yield ""


def fields_of(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Of the path, the query and the body: name, kind, what is said of it."""
    for each in operation["parameters"]:
        yield named(each["name"], each["required"]), kind(each["schema"]), each["schema"].get("description", "")
    if "requestBody" in operation:
        yield from fields_in(operation["requestBody"]["content"]["application/json"]["schema"], schemas)


def answer_of(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for content in operation["responses"].get("200", {}).get("content", {}).values():
        yield from fields_in(content["schema"], schemas)


def fields_in(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    struct = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    for name, each in struct.get("properties", {}).items():
        yield named(name, name in struct.get("required", ())), kind(each), each.get("description", "")


def named(name: str, required: bool) -> str:
    return f"`{name}`" if required else f"`{name}`?"


def kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    bounds = [str(schema[each]) for each in ("minimum", "maximum") if each in schema]
    return f"{schema.get('type', 'any')} {' to '.join(bounds)}".strip()


def fields_table(title: str, fields: list[tuple[str, str, str]]) -> Iterator[str]:
    if fields:
        yield f"| {title} | type | |\n|---|---|---|"
        yield from (f"| {name} | {cell(of)} | {cell(told)} |" for name, of, told in fields)
        yield ""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
