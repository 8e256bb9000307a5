"""Is it alive, is it ready."""

import msgspec
from aiohttp import web

from exness.runtime.exchange import Exchange
from exness.web.context import answer, context_of
from exness.web.errors import ERRORS, RETRY_AFTER_S


class Health(msgspec.Struct, frozen=True):
    status: str
    version: str


class Readiness(msgspec.Struct, frozen=True):
    """`reasons` says what is missing; `code` and `message` are those of every error, null when ready."""

    success: bool
    ready: bool
    reasons: list[str]
    feed: str
    simulated: bool
    code: str | None = None
    message: str | None = None


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process answers."""
    return answer(Health("ok", context_of(request).version))


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: recovered (the port opens only then), the journal writable, every asset's price fresh."""
    exchange = context_of(request).exchange
    reasons = not_ready(exchange)
    feed, simulated = exchange.feed.describe(), exchange.feed.simulated
    if not reasons:
        return answer(Readiness(True, True, [], feed, simulated))
    status, message = ERRORS["not_ready"]
    body = Readiness(False, False, reasons, feed, simulated, "not_ready", message)
    return answer(body, status, {"Retry-After": str(RETRY_AFTER_S)})


def not_ready(exchange: Exchange) -> list[str]:
    """What keeps the exchange from trading now, one phrase each."""
    now = exchange.clock.now_us()
    reasons = []
    if exchange.writer.halted:
        reasons.append("the journal can't be written")
    if not exchange.writer.has_room:
        reasons.append("the journal is behind")
    for asset in exchange.rules.instruments:
        if exchange.state.fresh_price(asset, now) is None:
            reasons.append(f"{asset} has no fresh price")
    return reasons
