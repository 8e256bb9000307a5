"""GET /stream: the handshake, the conversation with one client, its goodbye. Who gets what is the hub's business."""

import asyncio
from typing import assert_never

import msgspec
from aiohttp import WSMsgType, hdrs, web
from msgspec import UNSET, UnsetType

from exness.access.sessions import Session, Sessions
from exness.core.instruments import AccountId
from exness.runtime.inbox import NotTaken
from exness.web.http.browser_rules import API_KEY
from exness.web.http.endpoint import ENDPOINTS
from exness.web.http.errors import HTTP_ERRORS, ApiError
from exness.web.http.rate_limits import BLOCKED_WAIT_S, Blocked
from exness.web.http.request import REQUEST_STATE
from exness.web.http.weights import Budget
from exness.web.services import Services, services_of
from exness.web.stream.connection import SocketWire, Window, check_handshake, require_upgrade, serve
from exness.web.stream.hub import HUB, Hub
from exness.web.stream.protocol import (
    PRIVATE,
    STREAM_ERRORS,
    Auth,
    AuthenticatedData,
    CloseCode,
    Message,
    MessageId,
    Ping,
    PongData,
    StreamError,
    Subscribe,
    Unsubscribe,
    UnsubscribedData,
    decode_message,
)
from exness.web.stream.subscriber import Subscriber
from exness.web.stream.weights import CHANNELS, MESSAGE

SUBPROTOCOL = "json"
BAD_MESSAGES = 20
"""How many messages of one connection may be unreadable, or refused for what they say, within BAD_WITHIN_S."""
BAD_WITHIN_S = 60.0
KEEP_ALIVES = frozenset({"ping", "pong"})
"""Plain texts that clients made for other venues say every so often: refused, but nobody is let go for them."""


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /stream. Raises ApiError before the upgrade; after it, errors are frames and close codes."""
    services, hub = services_of(request), request.app[HUB]
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), compress=False, autoping=False, max_msg_size=hub.bounds.message_bytes + 1
    )
    require_upgrade(request)
    _choose_protocol(request, socket)
    check_handshake(request, socket)
    services.browser_rules.check_stream(request)
    session = await _session_of(request)
    wire = SocketWire(request)
    subscriber = hub.join(wire, request[REQUEST_STATE].caller, session)
    conversation = _Conversation(services, hub, subscriber, socket)
    return await serve(request, socket, hub, wire, subscriber, conversation.listen)


def _choose_protocol(request: web.Request, socket: web.WebSocketResponse) -> None:
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
    offered = [each.strip() for each in ",".join(lines).split(",")]
    if any(offered):
        if SUBPROTOCOL not in offered:  # a browser would close without a word, as none of those it offers was chosen
            message = f"The stream speaks the subprotocol {SUBPROTOCOL}: offer that one, or none"
            raise ApiError("invalid_request", message)
        socket.headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = SUBPROTOCOL


async def _session_of(request: web.Request) -> Session | None:
    """The session that the request brings. A bad token or key is refused; a cookie that has ended is as good as
    none."""
    try:
        return await request.app[ENDPOINTS].dialect_of(request.path).session_of(request)
    except ApiError:
        if hdrs.AUTHORIZATION in request.headers or API_KEY in request.headers:
            raise
        return None


class _Refused(Exception):
    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.code = str(code)
        self.message = message or STREAM_ERRORS.get(code) or HTTP_ERRORS[code][1]


class _Conversation:
    """What one client says, until one side has had enough."""

    def __init__(self, services: Services, hub: Hub, subscriber: Subscriber, socket: web.WebSocketResponse) -> None:
        self._services = services
        self._hub = hub
        self._subscriber = subscriber
        self._socket = socket
        self._messages = Window(1.0)
        self._bad = Window(BAD_WITHIN_S)

    async def listen(self) -> None:
        """One message after the other: the next one is read when the last one is answered."""
        loop, allowed = asyncio.get_running_loop(), self._hub.bounds.messages_per_s
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
        message_id: MessageId | UnsetType = UNSET
        try:
            message = self._understood(text, too_fast=too_fast)
            message_id = message.own_id
            self._charge(MESSAGE.base)
            await self._do(message)
        except _Refused as refusal:
            self._hub.refuse(self._subscriber, refusal.code, refusal.message, message_id)
            if refusal.code in ("invalid_request", "unauthorized") and text not in KEEP_ALIVES:
                self._count_bad()
        except NotTaken as refusal:
            self._hub.refuse(self._subscriber, refusal.why, HTTP_ERRORS[refusal.why][1], message_id)
        except ApiError as refusal:  # of the limits
            self._services.security_log.refused(refusal.code, self._subscriber.client)
            if isinstance(refusal, Blocked):
                await asyncio.sleep(BLOCKED_WAIT_S)
            self._hub.refuse(self._subscriber, refusal.code, refusal.message, message_id)

    def _understood(self, text: str | bytes, *, too_fast: bool) -> Message:
        """What a message says. One that says nothing, or comes too fast, weighs like any other.

        Raises _Refused, ApiError(rate_limited).
        """
        try:
            if too_fast:
                raise _Refused("rate_limited")
            return _read(text)
        except _Refused:
            self._charge(MESSAGE.base)
            raise

    def _count_bad(self) -> None:
        if self._bad.hit() > BAD_MESSAGES:
            self._subscriber.end(CloseCode.BAD_MESSAGES)

    async def _do(self, message: Message) -> None:
        hub, subscriber = self._hub, self._subscriber
        match message:
            case Ping():
                hub.control(subscriber, "pong", PongData(message.own_id), hub.position(subscriber))
            case Auth():
                await self._sign_in(message)
            case Subscribe():
                await self._subscribe(message)
            case Unsubscribe():
                channels = self._known(message.channels)
                self._charge(CHANNELS.of_rows(len(channels)))
                hub.unsubscribe(subscriber, channels)
                hub.control(subscriber, "unsubscribed", UnsubscribedData(channels, message.own_id))
            case _:
                assert_never(message)

    async def _subscribe(self, message: Subscribe) -> None:
        subscriber = self._subscriber
        channels = self._known(message.channels)
        added = [each for each in channels if each not in subscriber.market and each not in subscriber.private]
        if subscriber.subscriptions + len(added) > self._hub.bounds.subscriptions:
            raise _Refused(StreamError.TOO_MANY_SUBSCRIPTIONS)
        account = await self._account() if any(channel in PRIVATE for channel in channels) else None
        resume = None if isinstance(message.resume, UnsetType) else message.resume
        weight = CHANNELS.of_rows(len(channels))
        await self._hub.subscribe(
            subscriber, channels, account, resume, message.own_id, lambda shown: self._charge(weight + shown)
        )

    def _charge(self, weight: int) -> None:
        """Count it for the client IP and, once somebody is signed in, the account. Raises ApiError(rate_limited)."""
        if not weight:
            return
        limits, subscriber = self._services.limits, self._subscriber
        limits.hit_address(subscriber.client, Budget.READ, weight)
        if subscriber.email:
            limits.hit_account(subscriber.email, Budget.READ, weight, subscriber.client)

    async def _account(self) -> AccountId:
        """Whose private channels they are. Raises _Refused(unauthorized)."""
        await self._services.revocations.refresh()
        session = self._subscriber.session
        if session is None or not self._services.sessions.holds(session):
            raise _Refused("unauthorized")
        return await self._services.exchange.account_of(session.email)

    async def _sign_in(self, message: Auth) -> None:
        services, subscriber = self._services, self._subscriber
        await services.revocations.refresh()
        session = _checked(services.sessions, message.token)
        if subscriber.private and subscriber.session is not None and subscriber.session.email != session.email:
            raise _Refused("invalid_request", "Unsubscribe from trades and account before you sign in as another")
        self._hub.sign_in(subscriber, session)
        data = AuthenticatedData(session.email, self._hub.encoder.time(session.expires_at), message.own_id)
        self._hub.control(subscriber, "authenticated", data)

    def _known(self, names: list[str]) -> list[str]:
        """The channels, each once. Raises _Refused(invalid_request) for one that there is not."""
        channels = list(dict.fromkeys(names))
        for channel in channels:
            if not self._hub.is_channel(channel):
                shown = ascii(channel)
                raise _Refused("invalid_request", f"There is no channel {shown}; see /asyncapi.json for all of them")
        return channels


def _read(text: str | bytes) -> Message:
    if not isinstance(text, str):
        raise _Refused("invalid_request", "A message must be text, and a JSON object")
    try:
        message: Message = decode_message(text.removeprefix("\ufeff"))  # a byte order mark that came along
    except msgspec.ValidationError as error:
        raise _Refused("invalid_request", f"This message is not understood: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        hint = '; for a pong say {"op": "ping"}' if text in KEEP_ALIVES else ""
        raise _Refused("invalid_request", f"A message must be a JSON object{hint}") from None
    return message


def _checked(sessions: Sessions, token: str) -> Session:
    session = sessions.check(token)
    if session is None:
        raise _Refused("unauthorized")
    return session
