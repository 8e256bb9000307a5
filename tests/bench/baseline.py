"""What exness is held against: `python -m tests.bench.baseline aiohttp|raw ANSWERS`, ANSWERS as JSON: path -> body.

`aiohttp` decodes the same body into a struct and answers at once with a body of the same size: the router, a handler,
nothing else, on uvloop. `raw` does not even read the request: it shows how much the load generator itself can do.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
from aiohttp import web

CREATE = "/api/v1/trade/create"
CLOSE = "/api/v1/trade/close"


class Create(msgspec.Struct, rename="camel"):
    asset: str
    type: str
    margin: float | str
    leverage: float | str


class Close(msgspec.Struct, rename="camel"):
    order_id: str


_BODIES: dict[str, msgspec.json.Decoder[Create] | msgspec.json.Decoder[Close]] = {
    CREATE: msgspec.json.Decoder(Create),
    CLOSE: msgspec.json.Decoder(Close),
}


def make_app(answers: dict[str, str]) -> web.Application:
    """POST for the paths whose body is known here, GET for the others."""
    app = web.Application()
    for path, text in answers.items():
        if path in _BODIES:
            app.router.add_post(path, _decoding(_BODIES[path].decode, text.encode()))
        else:
            app.router.add_get(path, _answering(text.encode()))
    return app


def _decoding(decode: Callable[[bytes], object], body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        decode(await request.read())
        return web.Response(body=body, content_type="application/json")

    return handle


def _answering(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return handle


class Raw(asyncio.Protocol):
    """Answers whatever comes in one piece."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self.answer)


async def serve(kind: str, answers: dict[str, str]) -> None:
    """Until ended."""
    if kind == "raw":
        body = answers[CREATE]
        Raw.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        server = await asyncio.get_running_loop().create_server(Raw, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    else:
        runner = web.AppRunner(make_app(answers), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], msgspec.json.decode(sys.argv[2], type=dict[str, str])))


if __name__ == "__main__":
    main()
