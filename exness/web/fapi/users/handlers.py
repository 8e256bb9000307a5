"""listenKey: begun, extended, ended, by an API key alone."""

from typing import Any

from exness.access.api_keys import ApiKey
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.users.streams import USER_STREAMS, UserStreams
from exness.web.http.endpoint import DELETE, POST, PUT


async def start(ask: Ask) -> Any:
    return {"listenKey": _streams(ask).listen_keys.start(_key(ask))}


async def extend(ask: Ask) -> Any:
    """With or without naming it."""
    key, listen_keys = _key(ask), _streams(ask).listen_keys
    _check_named(ask, key)
    extended = listen_keys.extend(key)
    if extended is None:
        raise FapiError(Code.INVALID_LISTEN_KEY)
    return {"listenKey": extended}


async def end(ask: Ask) -> Any:
    key, streams = _key(ask), _streams(ask)
    _check_named(ask, key)
    streams.end(streams.listen_keys.end(key))
    return {}


def _check_named(ask: Ask, key: ApiKey) -> None:
    named = ask.params.text("listenKey")
    if named not in (None, ask.services.keys.listen_key(key.key)):
        raise FapiError(Code.INVALID_LISTEN_KEY)


def _streams(ask: Ask) -> UserStreams:
    return ask.request.app[USER_STREAMS]


def _key(ask: Ask) -> ApiKey:
    key = ask.key
    assert key is not None, "the row asks for one"
    return key


_KEY = Security.KEY
ROWS = (
    Row(
        POST, "/fapi/v1/listenKey", 1, _KEY, start, "Begin a user data stream, or go on with it",
        answers.LISTEN_KEY, fast=False,
    ),
    Row(
        PUT, "/fapi/v1/listenKey", 1, _KEY, extend, "Keep it for another hour",
        answers.LISTEN_KEY, "listenKey?", fast=False,
    ),
    Row(DELETE, "/fapi/v1/listenKey", 1, _KEY, end, "End it", answers.NO_FIELDS, "listenKey?", fast=False),
)  # fmt: skip
