"""The aiohttp application: the tables of endpoints, joined with what they stand on."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exness.web.dev import endpoints as dev_control
from exness.web.docs import endpoints as docs
from exness.web.docs.pages import DOCUMENTS, Documents
from exness.web.fapi import countdowns
from exness.web.fapi.endpoints import DIALECT as BINANCE
from exness.web.fapi.endpoints import ENDPOINTS as FACE
from exness.web.fapi.endpoints import ROWS as FACE_ROWS
from exness.web.fapi.market.handlers import MARKET_DATA, MarketData
from exness.web.fapi.openapi import DOCUMENT, Document
from exness.web.fapi.streams.hub import BINANCE_HUB, FapiHub
from exness.web.fapi.users import streams as users
from exness.web.fapi.users.listen_keys import ListenKeys
from exness.web.http.aiohttp_protocol import Runner, plain_runner
from exness.web.http.connection_limits import Places
from exness.web.http.endpoint import ENDPOINTS, GET, Endpoints, Mount
from exness.web.http.front import FrontHandler, routed
from exness.web.http.response import complete
from exness.web.services import Services
from exness.web.stream import endpoints as stream
from exness.web.stream.hub import HUB, Hub
from exness.web.terminal import endpoints as terminal
from exness.web.v1 import endpoints as v1
from exness.web.v1.export import EXPORTS, Exports
from exness.web.v1.frames import Frames


def endpoints_of(*, dev: bool, fapi: bool = False) -> Endpoints:
    """Every endpoint of a server, with or without dev control and the Binance face."""
    face = [Mount("Binance", BINANCE, FACE)] if fapi else []
    return Endpoints(
        [
            Mount("Exchange", v1.DIALECT, v1.ENDPOINTS),
            Mount("Stream", v1.DIALECT, stream.ENDPOINTS),
            Mount("Probes", None, v1.PROBES),
            Mount("Documents", None, docs.ENDPOINTS),
            Mount("Terminal", None, terminal.ENDPOINTS),
            Mount("Dev control", v1.DIALECT, dev_control.ENDPOINTS, served=dev),
            *face,
        ]
    )


def make_app(services: Services, endpoints: Endpoints) -> web.Application:
    """The endpoints on one running exchange, as aiohttp serves them. `FrontHandler` stands before it."""
    app = web.Application(middlewares=[routed], client_max_size=services.max_body_bytes)
    for row in endpoints.rows:
        handler = _with_policy(row.handler, row.policy) if row.policy else row.handler
        app.router.add_route(row.method, row.route, handler)
        if row.method == GET:
            app.router.add_route(hdrs.METH_HEAD, row.route, handler)
    app[ENDPOINTS] = endpoints
    documented = endpoints_of(dev=services.dev is not None)
    has_face = services.fapi is not None
    app[DOCUMENTS] = Documents(documented, services.version, services.public_url, has_face=has_face)
    app.on_response_prepare.append(complete)
    app.cleanup_ctx.append(_while_open(services.connections.swept))
    faults = services.dev.faults if services.dev is not None else None
    places = Places(services.stream.subscribers)
    app[EXPORTS] = Exports()
    hub = app[HUB] = Hub(
        services.exchange,
        services.sessions,
        services.revocations,
        services.stream,
        Frames(),
        places,
        faults=faults,
        control=services.dev.control if services.dev is not None else None,
    )
    if services.metrics is not None:
        services.metrics.watch_stream(lambda: len(hub.subscribers), lambda: hub.frames_made, hub.closed)
    app.cleanup_ctx.append(_while_open(hub.running))
    if services.leaderboard is not None:
        app.cleanup_ctx.append(_while_open(services.leaderboard.board.running))
    if services.fapi is not None:
        app[countdowns.COUNTDOWNS] = countdowns.Countdowns(services.exchange, services.fapi)
        app[DOCUMENT] = Document(FACE_ROWS, services.fapi, services.version, services.public_url)
        listen_keys = ListenKeys(services.keys, services.wall)
        app[users.USER_STREAMS] = users.UserStreams(services.exchange, services.fapi, listen_keys, services.revocations)
        app.cleanup_ctx.append(users.running)
        app.cleanup_ctx.append(countdowns.running)
        data = app[MARKET_DATA] = MarketData(services.days, services.wall.wall_us() // 1000)
        face = app[BINANCE_HUB] = FapiHub(
            services.exchange, services.fapi, data, services.stream, places, faults=faults
        )
        face.private = app[users.USER_STREAMS]
        app.cleanup_ctx.append(_while_open(face.running))
        app.on_shutdown.append(lambda _: face.stop())
    app.on_shutdown.append(lambda _: hub.stop())
    return app


def make_runner(services: Services, shutdown_timeout_s: float, *, plain: bool = False) -> web.AppRunner:
    """The application, ready for a port. When a connection is reset its handler is cancelled: a request that still
    waits in the inbox is then not executed. `plain`: on aiohttp as it comes, without its private parts and our fast
    path, to find out whether these are at fault."""
    endpoints = endpoints_of(dev=services.dev is not None, fapi=services.fapi is not None)
    faults = services.dev.faults if services.dev is not None else None
    app, front = make_app(services, endpoints), FrontHandler(services, endpoints, fast=not plain, faults=faults)
    if plain:
        app.middlewares.insert(0, front.middleware)
        return plain_runner(app, services.connections, shutdown_timeout_s)
    return Runner(app, services.connections, shutdown_timeout_s, front.around, v1.DIALECT.render)


def _with_policy(handler: Handler, policy: str) -> Handler:
    """A handler whose answers have a Content-Security-Policy of their own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        response.headers["Content-Security-Policy"] = policy
        return response

    return handle


def _while_open(
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """For `cleanup_ctx`: something that is open for as long as the application is."""

    async def open_until_cleanup(_: web.Application) -> AsyncIterator[None]:
        async with running():
            yield

    return open_until_cleanup
