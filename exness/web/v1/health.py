"""Is it alive, is it ready."""

import msgspec
from aiohttp import web

from exness.core.instruments import Asset
from exness.core.prices import PriceState
from exness.core.views import AllPrices
from exness.runtime.exchange import Exchange
from exness.web.http.errors import RETRY_AFTER_S, ApiError
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.errors import ERRORS

_MISSING = {
    PriceState.SUSPECT: "{} shows a jump that is not confirmed: suspect",
    PriceState.STALE: "{} has no fresh price: stale",
    PriceState.DOWN: "{} has no fresh price: down",
}


_KIND = {True: "simulated prices: no real market", False: "live prices of a venue"}
"""What anybody is told of the source of prices. Its URL or files are for those who may see /metrics."""

STUCK_S = 5.0
"""A commit takes milliseconds; one that takes this long is in trouble."""
LAGGING_S = 1.0


class Health(msgspec.Struct, frozen=True):
    status: str
    version: str


class Readiness(msgspec.Struct, frozen=True):
    """`reasons` says what is missing; `code` and `message` are those of every error, null when ready. `connected`:
    there is a way to the source of prices; `prices`: what each asset's price is good for, see /prices."""

    success: bool
    ready: bool
    reasons: list[str]
    feed: str
    simulated: bool
    connected: bool
    prices: dict[str, str]
    code: str | None = None
    message: str | None = None


async def healthz(request: web.Request) -> web.StreamResponse:
    """GET /healthz: the process answers."""
    return answer(Health("ok", services_of(request).version))


async def metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: Prometheus' text form, for those who may see it."""
    services = services_of(request)
    if services.metrics is None or not services.client_ips.may_watch(request):
        raise ApiError("not_found")
    return await services.metrics.answer()


async def readyz(request: web.Request) -> web.StreamResponse:
    """GET /readyz: recovered (the port opens only then), the journal writable and not stuck, the loop on time, every
    asset's price fresh."""
    services = services_of(request)
    exchange = services.exchange
    reasons = not_ready(exchange)
    if services.loop.lag_s > LAGGING_S:
        reasons.append("the loop lags behind")
    feed, states = exchange.feed, _price_states(exchange)
    prices: dict[str, str] = {asset: state.value for asset, state in states.items()}
    shown = (source_for(request), feed.simulated, feed.connected, prices)
    if not reasons:
        return answer(Readiness(True, True, [], *shown))
    status, message = ERRORS["not_ready"]
    body = Readiness(False, False, reasons, *shown, "not_ready", message)
    return answer(body, status, {"Retry-After": str(RETRY_AFTER_S)})


def source_for(request: web.Request) -> str:
    """Where prices come from, as far as whoever asks may know."""
    services = services_of(request)
    feed = services.exchange.feed
    return feed.describe() if services.client_ips.may_watch(request) else _KIND[feed.simulated]


def not_ready(exchange: Exchange) -> list[str]:
    """What keeps the exchange from trading now, one phrase each."""
    reasons, vitals = exchange.troubles(), exchange.vitals()
    if vitals.halted:
        reasons.append("the journal can't be written")
    if not vitals.has_room:
        reasons.append("the journal is behind")
    if vitals.stuck_s > STUCK_S:
        reasons.append("the journal is stuck: its disk does not answer")
    missing = [_MISSING[state].format(asset) for asset, state in _price_states(exchange).items() if state in _MISSING]
    if missing and not exchange.feed.connected:
        reasons.append("the price feed is not connected")
    return reasons + missing


def _price_states(exchange: Exchange) -> dict[Asset, PriceState]:
    return {asset: quote.state for asset, quote in exchange.look(AllPrices()).quotes.items()}
