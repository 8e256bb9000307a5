"""What a process without users has at its port: whether it is alive, whether it is ready, and how it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from exness import __version__
from exness.app.build import StartError
from exness.config import Config
from exness.observability.forms import histogram, plain
from exness.process.sockets import why_not_listening
from exness.runtime.meters import LoopWatch
from exness.web.http.client_ip import ClientIps
from exness.web.http.listening import Listening, bind

LAGGING_S = 1.0


class Role(msgspec.Struct, frozen=True):
    """`troubles` says what keeps it from its work, one phrase each, `figures` how it does."""

    name: str
    troubles: Callable[[], list[str]]
    figures: Callable[[], Iterable[Metric]]


class _Figures(Collector):
    def __init__(self, role: Role, loop: LoopWatch) -> None:
        self._role = role
        self._loop = loop
        self._taken: list[Metric] = []

    def take(self) -> None:
        """In the loop, where nothing is half done."""
        self._taken = [
            *self._role.figures(),
            plain("ready", "1 when the process can do its work", int(not self._role.troubles())),
            histogram("loop_lag_seconds", "How late the loop comes to what is due", self._loop.lags),
        ]

    def collect(self) -> Iterator[Metric]:
        yield from self._taken


@asynccontextmanager
async def probes(config: Config, role: Role, loop: LoopWatch) -> AsyncIterator[Listening]:
    """GET /healthz, /readyz and /metrics, as a server has them. Raises StartError."""
    server, figures = config.server, _Figures(role, loop)
    client_ips = ClientIps(server.trusted_proxies, metrics_networks=server.metrics_networks)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)

    async def healthz(_: web.Request) -> web.Response:
        return _json({"status": "ok", "version": __version__, "role": role.name})

    async def readyz(_: web.Request) -> web.Response:
        reasons = role.troubles()
        if loop.lag_s > LAGGING_S:
            reasons.append("the loop lags behind")
        body = {"success": not reasons, "ready": not reasons, "role": role.name, "reasons": reasons}
        return _json(body, 503 if reasons else 200)

    async def metrics(request: web.Request) -> web.Response:
        if not client_ips.may_watch(request):
            raise web.HTTPNotFound
        figures.take()
        text = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=server.max_body_bytes)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=server.shutdown_timeout_s)
    await runner.setup()
    try:
        try:
            listening = await bind(server.host, server.port)
            for bound in listening.sockets:
                await web.SockSite(runner, bound).start()
        except (OSError, ValueError) as error:
            raise StartError(why_not_listening(server.host, server.port, error)) from error
        yield listening
    finally:
        await runner.cleanup()


def _json(body: dict[str, object], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
