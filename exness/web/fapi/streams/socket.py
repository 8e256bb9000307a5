"""One socket of the face: what its path asks for, and the conversation about what it follows."""

import asyncio
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from exness.web.fapi.streams.hub import BINANCE_HUB, FapiHub, Member
from exness.web.fapi.streams.messages import MessageId, Refused, Result, Wrong, frame
from exness.web.http.errors import ApiError
from exness.web.http.rate_limits import BLOCKED_WAIT_S, Blocked
from exness.web.http.request import REQUEST_STATE
from exness.web.http.weights import Budget
from exness.web.services import Services, services_of
from exness.web.stream.connection import SocketWire, Window, check_handshake, require_upgrade, serve
from exness.web.stream.protocol import CloseCode
from exness.web.stream.subscriber import Subscriber

MOST_STREAMS = 200
"""Of one socket, known ones and others."""
LONGEST_NAME = 128
BAD_MESSAGES = 20
"""How many messages of one connection may be unreadable, or refused for what they say, within BAD_WITHIN_S."""
BAD_WITHIN_S = 60.0
NAMES_PER_WEIGHT = 6
INVALID, NOT_JSON, TOO_MANY = 2, 3, 4
"""Codes of refused requests."""


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /ws, /ws/a/b, /stream?streams=a/b. Raises ApiError before the upgrade."""
    services, hub = services_of(request), request.app[BINANCE_HUB]
    socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=hub.bounds.message_bytes + 1)
    require_upgrade(request)
    check_handshake(request, socket)
    names = _asked_for(request)
    if len(names) > MOST_STREAMS or any(len(name) > LONGEST_NAME for name in names):
        raise ApiError("invalid_request")
    wire = SocketWire(request)
    subscriber = hub.join(wire, request[REQUEST_STATE].caller)
    is_wrapped = "/stream" in request.match_info.route.resource.canonical  # type: ignore[union-attr]
    conversation = _Conversation(services, hub, Member(subscriber, is_wrapped), socket, names)
    return await serve(request, socket, hub, wire, subscriber, conversation.listen)


def _asked_for(request: web.Request) -> list[str]:
    """The names in a path or query, each once."""
    given = [
        *request.match_info.get("streams", "").split("/"),
        *request.query.get("streams", "").split("/"),
        request.query.get("listenKey", ""),
    ]
    return [name for name in dict.fromkeys(given) if name]


class _Refusal(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.wrong = Wrong(code, message)


class _Conversation:
    """What one client says, until one side has had enough."""

    def __init__(
        self, services: Services, hub: FapiHub, member: Member, socket: web.WebSocketResponse, names: list[str]
    ) -> None:
        self._services = services
        self._hub = hub
        self._member = member
        self._subscriber: Subscriber = member.subscriber
        self._socket = socket
        self._names = names
        self._messages = Window(1.0)
        self._bad = Window(BAD_WITHIN_S)

    async def listen(self) -> None:
        """One message after the other: the next one is read when the last one is answered."""
        loop, allowed = asyncio.get_running_loop(), self._hub.bounds.messages_per_s
        await self._hub.subscribe(self._member, self._names)
        async for message in self._socket:
            self._subscriber.heard(loop.time())
            if message.type is WSMsgType.ERROR:  # larger than allowed, or no WebSocket: aiohttp has said why
                return
            if message.type is WSMsgType.PONG:
                continue
            count = self._messages.hit()
            if count > 2 * allowed:
                self._subscriber.end(CloseCode.TOO_MANY_MESSAGES)
                return
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            else:
                await self._take(message.data, too_fast=count > allowed)

    async def _take(self, text: str | bytes, *, too_fast: bool) -> None:
        """Do what a message says, or say why not."""
        message_id: MessageId = None
        try:
            self._charge(1)
            if too_fast:
                raise _Refusal(TOO_MANY, "Too many requests")
            message = _read(text)
            message_id = _id_of(message)
            result, names = self._do(message)
            self._subscriber.put(frame(Result(result, message_id)))
            await self._hub.subscribe(self._member, names)
        except _Refusal as refusal:
            self._subscriber.put(frame(Refused(refusal.wrong, message_id)))
            if refusal.wrong.code != TOO_MANY and self._bad.hit() > BAD_MESSAGES:
                self._subscriber.end(CloseCode.BAD_MESSAGES)
        except ApiError as refusal:  # of the limits
            self._services.security_log.refused(refusal.code, self._subscriber.client)
            if isinstance(refusal, Blocked):
                await asyncio.sleep(BLOCKED_WAIT_S)
            self._subscriber.put(frame(Refused(Wrong(TOO_MANY, "Too many requests"), message_id)))

    def _do(self, message: dict[str, Any]) -> tuple[list[str] | None, list[str]]:
        """The result, and what is followed from now on. Raises _Refusal, ApiError(rate_limited)."""
        match message.get("method"):
            case "SUBSCRIBE":
                names = _names_of(message)
                if len(self._subscriber.market.keys() | set(names)) > MOST_STREAMS:
                    raise _Refusal(INVALID, f"Invalid request: more than {MOST_STREAMS} streams")
                self._charge(len(names) // NAMES_PER_WEIGHT)
                return None, names
            case "UNSUBSCRIBE":
                names = _names_of(message)
                self._charge(len(names) // NAMES_PER_WEIGHT)
                self._hub.unsubscribe(self._subscriber, names)
                return None, []
            case "LIST_SUBSCRIPTIONS":
                return list(self._subscriber.market), []
            case _:
                raise _Refusal(INVALID, "Invalid request: method must be SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS")

    def _charge(self, weight: int) -> None:
        """Count it for the client IP. Raises ApiError(rate_limited)."""
        if weight:
            self._services.limits.hit_address(self._subscriber.client, Budget.READ, weight)


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _Refusal(NOT_JSON, "Invalid JSON") from None
    if not isinstance(message, dict):
        raise _Refusal(INVALID, "Invalid request: a request must be a JSON object")
    return message


def _id_of(message: dict[str, Any]) -> MessageId:
    given = message.get("id")
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**63):
        return given
    if isinstance(given, str) and len(given) <= LONGEST_NAME:
        return given
    raise _Refusal(INVALID, "Invalid request: id must be a whole number or a short text")


def _names_of(message: dict[str, Any]) -> list[str]:
    given = message.get("params")
    if not isinstance(given, list) or not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in given):
        raise _Refusal(INVALID, "Invalid request: params must be a list of streams")
    return list(dict.fromkeys(given))
