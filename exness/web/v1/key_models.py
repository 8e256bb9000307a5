"""What goes over the wire of API keys: bodies and answers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.access.api_keys import LONGEST_NAME, Scope
from exness.web.v1.models import NULL
from exness.web.v1.order_models import Expiry

_LIST: dict[str, Any] = {
    "type": "array",
    "items": {"enum": [scope.value for scope in Scope]},
    "minItems": 1,
    "maxItems": len(Scope),
    "uniqueItems": True,
}
_NAME: dict[str, Any] = {"minLength": 1, "maxLength": LONGEST_NAME}
_Scopes = Annotated[
    Raw,
    Meta(
        description="What it may do, all by default; null is the field left out",
        extra_json_schema={"anyOf": [_LIST, NULL]},
    ),
]


class CreateKeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """POST /keys. Who may trade may read, too. Without `expiresAt` the key has no end. null of an optional field is the
    field left out."""

    name: Annotated[str, Meta(extra_json_schema=_NAME)]
    scopes: _Scopes | UnsetType = UNSET
    expires_at: Expiry = UNSET


class KeyIdBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /keys/revoke."""

    key: str


class KeyRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A key. `expiresAt` null: it has no end."""

    key: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None


class KeyCreated(KeyRow, frozen=True, kw_only=True):
    """`secret` is told this once."""

    success: bool
    secret: str


class KeysAnswer(msgspec.Struct, frozen=True):
    """GET /keys, oldest first."""

    success: bool
    data: list[KeyRow]


class KeyRevoked(msgspec.Struct, frozen=True):
    success: bool
    key: str
