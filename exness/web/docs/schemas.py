"""JSON Schemas of the structs, for /openapi.json and /asyncapi.json."""

from collections.abc import Sequence
from typing import Any

import msgspec


def schemas_of(types: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each type's schema by the type's `str`, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for struct in types:
        _mend_schema(struct, components)
    return dict(zip(map(str, types), schemas, strict=True)), components


def _mend_schema(struct: Any, components: dict[str, Any]) -> None:
    """A field that may be left out is not required, though it has no default when we make the struct."""
    for name, schema in components.items():
        for kind in (*_nested(struct), struct):
            if getattr(kind, "__name__", "") == name and "required" in schema:
                optional = {
                    field.encode_name for field in msgspec.structs.fields(kind) if "UnsetType" in str(field.type)
                }
                schema["required"] = [field for field in schema["required"] if field not in optional]


def _nested(struct: Any) -> list[type[msgspec.Struct]]:
    """Structs that a struct's fields, or a list, are made of."""
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
        kinds = [getattr(field.type, "__args__", (field.type,)) for field in msgspec.structs.fields(struct)]
    else:
        kinds = [getattr(struct, "__args__", ())]
    flat = [kind for group in kinds for kind in group]
    return [kind for kind in flat if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
