"""The aiohttp application: the routes, joined with what they stand on."""

from collections.abc import AsyncIterator

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exness.web.http.aiohttp_protocol import Runner
from exness.web.http.front import FrontHandler, routed
from exness.web.http.response import complete
from exness.web.routes import API, DEV_ROUTES, ROUTES
from exness.web.services import Services
from exness.web.stream.hub import HUB, Hub

FAST = {
    (hdrs.METH_POST, f"{API}/trade/create"),
    (hdrs.METH_POST, f"{API}/trade/close"),
    (hdrs.METH_GET, f"{API}/trade/open"),
    (hdrs.METH_GET, f"{API}/balance"),
    (hdrs.METH_GET, f"{API}/prices"),
}
"""What is asked most goes straight to its handler; the rest goes through aiohttp's router (5 us a request)."""


def fast_handlers() -> dict[tuple[str, str], Handler]:
    return {(method, path): handler for method, path, handler in ROUTES if (method, path) in FAST}


def make_app(services: Services) -> web.Application:
    """The routes on one running exchange, as aiohttp serves them. `FrontHandler` stands before it."""
    app = web.Application(middlewares=[routed], client_max_size=services.max_body_bytes)
    for method, path, handler in ROUTES + (DEV_ROUTES if services.dev is not None else []):
        app.router.add_route(method, path, handler)
        if method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, path, handler)
    app.on_response_prepare.append(complete)
    connections = services.connections

    async def connections_swept(app: web.Application) -> AsyncIterator[None]:
        async with connections.swept():
            yield

    app.cleanup_ctx.append(connections_swept)
    app[HUB] = Hub(services.exchange, services.sessions, services.revocations, services.stream)
    if services.metrics is not None:
        hub = app[HUB]
        services.metrics.watch_stream(lambda: len(hub.subscribers), lambda: hub.frames_made, hub.closed)
    app.cleanup_ctx.append(_streaming)
    app.on_shutdown.append(_end_streams)
    return app


def make_runner(services: Services, shutdown_timeout_s: float) -> web.AppRunner:
    """The application, ready for a port. When a connection is reset its handler is cancelled: a request that still
    waits in the inbox is then not executed."""
    front = FrontHandler(services, fast_handlers())
    return Runner(make_app(services), services.connections, shutdown_timeout_s, front.around)


async def _streaming(app: web.Application) -> AsyncIterator[None]:
    async with app[HUB].running():
        yield


async def _end_streams(app: web.Application) -> None:
    await app[HUB].stop()
