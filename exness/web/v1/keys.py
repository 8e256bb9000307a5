"""API keys of the account: made, listed, revoked. By a session only: no key makes another one."""

from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import Raw, UnsetType

from exness.access.api_keys import (
    KEYS_PER_ACCOUNT,
    LONGEST_LIFE_DAYS,
    LONGEST_NAME,
    ApiKey,
    Scope,
    TooManyKeys,
    is_name,
)
from exness.core.rates import DAY_US
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.bodies import Problems, given, read_body
from exness.web.v1.body_fields import text_of, time_of
from exness.web.v1.format import iso
from exness.web.v1.key_models import CreateKeyBody, KeyCreated, KeyIdBody, KeyRevoked, KeyRow, KeysAnswer
from exness.web.v1.requests import json_body, signed_in_person

Row = TypeVar("Row", bound=KeyRow)


async def create(request: web.Request) -> web.StreamResponse:
    """POST /keys: the only answer that has the secret."""
    services = services_of(request)
    await signed_in_person(request)
    email, request_id = request[REQUEST_STATE].email, request[REQUEST_STATE].request_id
    name, scopes, expires_at = wanted(await json_body(request), services.sessions.wall_us())
    try:
        key = await services.keys.create(email, name, scopes, expires_at)
    except TooManyKeys:
        raise ApiError("too_many_keys", details={"allowed": KEYS_PER_ACCOUNT}) from None
    await services.revocations.refresh(at_once=True)
    services.security_log.note("key_made", email, request_id, key=key.key[:8], scopes=",".join(sorted(key.scopes)))
    return answer(_row(KeyCreated, key, success=True, secret=key.secret.decode()))


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /keys: those that are good, oldest first, without their secrets."""
    await signed_in_person(request)
    keys = services_of(request).keys.of(request[REQUEST_STATE].email)
    return answer(KeysAnswer(success=True, data=[_row(KeyRow, key) for key in keys]))


async def revoke(request: web.Request) -> web.StreamResponse:
    """POST /keys/revoke: from now on it is none."""
    services = services_of(request)
    await signed_in_person(request)
    email, problems = request[REQUEST_STATE].email, Problems()
    key = read_body(await json_body(request), KeyIdBody, problems, is_small=True).key
    problems.raise_if_any()
    if not await services.keys.revoke(email, key):
        raise ApiError("key_not_found")
    await services.revocations.refresh(at_once=True)
    services.security_log.note("key_revoked", email, request[REQUEST_STATE].request_id, key=key[:8])
    return answer(KeyRevoked(success=True, key=key))


def wanted(body: bytes, now_us: int) -> tuple[str, list[Scope], int | None]:
    """Name, scopes and expiry. Raises InvalidRequest."""
    problems = Problems()
    fields = read_body(body, CreateKeyBody, problems, is_small=True)
    name = _name(fields.name, problems)
    scopes = _scopes(fields.scopes, problems)
    expires_at = time_of(text_of(fields.expires_at), "expiresAt", problems)
    if expires_at is not None and not now_us < expires_at <= now_us + LONGEST_LIFE_DAYS * DAY_US:
        problems.not_allowed("expiresAt", f"expiresAt must lie ahead, by at most {LONGEST_LIFE_DAYS} days")
    problems.raise_if_any()
    return name, scopes, expires_at


def _name(text: str | None, problems: Problems) -> str:
    if text is not None and not is_name(text):
        problems.not_allowed("name", f"name must be 1 to {LONGEST_NAME} printable characters")
    return text or ""


def _scopes(raw: Raw | UnsetType, problems: Problems) -> list[Scope]:
    listed = given(raw)
    try:
        scopes = list(Scope) if listed is None else msgspec.json.decode(listed, type=list[Scope])
    except msgspec.ValidationError:
        scopes = []
    if not scopes or len(scopes) != len(set(scopes)):
        problems.not_allowed("scopes", f"scopes must be a list of {' and '.join(Scope)}, or of one of them")
    return scopes


def _row(kind: type[Row], key: ApiKey, **more: object) -> Row:
    return kind(
        key=key.key,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=iso(key.created_at),
        expires_at=None if key.expires_at is None else iso(key.expires_at),
        **more,
    )
