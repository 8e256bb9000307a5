"""Where the real process listens, what it calls itself, and a sign-in in a browser that follows what it says."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.support.process import ROOT, Server, finished, run_exness
from tests.support.waiting import until

EMAIL = "ann@example.com"
needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")


def browser() -> aiohttp.ClientSession:
    """A cookie jar that keeps cookies by site and follows redirects. Like a browser it gives none to an IP address that
    got none, and knows 127.0.0.1 and localhost as two sites."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept": "text/html,*/*;q=0.8"})


async def mailed_link(server: Server) -> str:
    """Sign up, and what the mail says."""
    assert (await server.post("/signup", body={"email": EMAIL})).status == 200
    outbox = server.data_dir / "outbox"
    await until(lambda: list(outbox.glob("*.eml")), "for the mail")
    (mail,) = outbox.glob("*.eml")
    (link,) = set(re.findall(r'http[^ "<\n]*token=[A-Za-z0-9_-]*', mail.read_text()))
    return str(link)


async def test_a_browser_that_follows_the_mailed_link_is_signed_in_where_it_lands(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server, browser() as session:
        link = await mailed_link(server)
        port = urlsplit(server.url).port
        assert link.startswith(f"http://localhost:{port}/api/v1/signin/post?token=")
        async with session.get(link) as landed:
            assert (landed.status, str(landed.url)) == (200, f"http://localhost:{port}/")
            assert landed.content_type == "text/html"
            assert "<title>exness" in await landed.text()
        async with session.get(urljoin(str(landed.url), "/api/v1/balance")) as answer:
            assert answer.status == 200
            assert (await answer.json())["USDC"]["balance"] == 5_000_000_000
        order = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}
        page = {"Origin": f"http://localhost:{port}"}
        async with session.post(f"http://localhost:{port}/api/v1/trade/create", json=order, headers=page) as created:
            assert created.status == 200
        async with session.get(f"http://127.0.0.1:{port}/api/v1/balance") as elsewhere:
            assert elsewhere.status == 401, "another site"
        async with session.head(f"http://localhost:{port}/") as head:
            assert (head.status, await head.read()) == (200, b"")


async def test_a_frontend_on_localhost_is_of_the_same_site_as_the_cookie(tmp_path: Path) -> None:
    env = {"EXNESS_SERVER_FRONTEND_URL": "http://localhost:3000/app"}
    async with Server(tmp_path / "data", env=env) as server, browser() as session:
        link = await mailed_link(server)
        async with session.get(link, allow_redirects=False) as opened:
            assert (opened.status, opened.headers["Location"]) == (302, env["EXNESS_SERVER_FRONTEND_URL"])
            assert "Domain" not in opened.headers["Set-Cookie"]
        assert urlsplit(opened.headers["Location"]).hostname == urlsplit(link).hostname
        headers = {"Origin": "http://localhost:3000"}
        async with session.get(f"{urljoin(link, '/')}api/v1/balance", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


LISTENING = [
    # --host, public_url, what links begin with ({} is the port), whether that wants a warning
    ("127.0.0.1", "", "http://localhost:{}", False),
    ("localhost", "", "http://localhost:{}", False),
    ("127.0.0.2", "", "http://127.0.0.2:{}", False),
    ("0.0.0.0", "", "http://localhost:{}", True),
    ("*", "", "http://localhost:{}", True),
    ("0.0.0.0", "https://trade.example.com/", "https://trade.example.com", False),
    ("127.0.0.1", "https://Bücher.example:443/exness/", "https://xn--bcher-kva.example/exness", False),
    pytest.param("::", "", "http://localhost:{}", True, marks=needs_ipv6),
    pytest.param("::1", "", "http://localhost:{}", False, marks=needs_ipv6),
]


@pytest.mark.parametrize(("host", "public_url", "link_begins", "warns"), LISTENING)
async def test_links_lead_to_users_and_not_to_where_it_listens(
    tmp_path: Path, host: str, public_url: str, link_begins: str, warns: bool
) -> None:
    async with Server(tmp_path / "data", "--host", host, env={"EXNESS_SERVER_PUBLIC_URL": public_url}) as server:
        port = urlsplit(server.url).port
        begins = link_begins.format(port)
        assert (await mailed_link(server)).startswith(f"{begins}/api/v1/signin/post?token=")
        assert server.banner("users") == begins
        warnings = [line for line in server.output if line.startswith("  warning    public_url is not set: ")]
        assert [f"mailed links begin with {begins}," in line for line in warnings] == [True] * warns
        said = "\n".join(line for line in server.output if not line.startswith(("  listening ", "  warning ")))
        assert "0.0.0.0" not in said
        assert "[::]" not in said


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "*"])
async def test_on_every_address_a_neighbour_is_a_neighbour_in_both_families(tmp_path: Path, host: str) -> None:
    flags = ("--host", host, "--dev-control")
    async with Server(tmp_path / "data", *flags) as server, aiohttp.ClientSession() as session:
        port = urlsplit(server.url).port
        for address in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{address}:{port}/metrics") as metrics:
                assert metrics.status == 200
            deposit = {"email": EMAIL, "amount": 1}
            async with session.post(f"http://{address}:{port}/api/v1/dev/deposit", json=deposit) as paid:
                assert paid.status == 200, "dev control answers to this machine alone"


@asynccontextmanager
async def proxy(target: list[str], prefix: str) -> AsyncIterator[str]:
    """A proxy that takes a prefix off, as `location /exness/ { proxy_pass http://...:8002/; }` does in nginx."""

    async def forward(request: web.Request) -> web.Response:
        path = request.path_qs.removeprefix(prefix)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with session.request(
                request.method, target[0] + path, headers=headers, data=await request.read(), allow_redirects=False
            ) as answer:
                kept = {
                    name: answer.headers[name]
                    for name in ("Location", "Set-Cookie", "Content-Type")
                    if name in answer.headers
                }
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    app = web.Application()
    app.router.add_route("*", prefix + "/{rest:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://localhost:{runner.addresses[0][1]}{prefix}"
    finally:
        await runner.cleanup()


async def test_behind_a_path_prefix_sign_in_documents_and_links_stay_below_it(tmp_path: Path) -> None:
    target: list[str] = []
    async with (
        proxy(target, "/exness") as public_url,
        browser() as session,
        Server(tmp_path / "data", env={"EXNESS_SERVER_PUBLIC_URL": f"{public_url}/"}) as server,
    ):
        target.append(server.url)
        link = await mailed_link(server)
        assert link.startswith(f"{public_url}/api/v1/signin/post?token=")
        async with session.get(link) as landed:
            assert (landed.status, str(landed.url)) == (200, f"{public_url}/")
            terminal = await landed.text()
        for file in re.findall(r'(?:src|href)="(terminal/[^"]+)"', terminal):
            async with session.get(f"{public_url}/{file}") as response:
                assert response.status == 200, file
        assert "terminal/" in terminal
        async with session.get(f"{public_url}/docs") as landed:
            page = await landed.text()
        for href in ("openapi.json", "asyncapi.json"):
            assert f'href="{href}"' in page
            async with session.get(urljoin(str(landed.url), href)) as response:
                assert response.status == 200
                described = json.loads(await response.text())
            if href == "openapi.json":
                assert described["servers"] == [{"url": public_url}]
                async with session.get(described["servers"][0]["url"] + "/api/v1/balance") as answer:
                    assert answer.status == 200, "signed in"
            else:
                here = described["servers"]["here"]
                address = here["protocol"] + "://" + here["host"] + here["pathname"]
                assert address == public_url.replace("http", "ws")


FOREIGN: Mapping[str, str] = {
    "EXNESS_PORT": "tcp://10.0.0.5:8002",
    "EXNESS_PORT_8002_TCP": "tcp://10.0.0.5:8002",
    "EXNESS_PORT_8002_TCP_ADDR": "10.0.0.5",
    "EXNESS_SERVICE_HOST": "10.0.0.5",
    "EXNESS_SERVER_PORT": "tcp://10.0.0.5:8002",
    "EXNESS_TOKEN": "s3cret",
    "EXNESS_URL": "http://localhost:8002",
}


async def test_variables_of_others_are_told_of_in_the_log_and_the_exchange_starts(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env=FOREIGN) as server:
        assert (await server.get("/healthz")).status == 200
        assert await server.stop() == 0
        for variable in FOREIGN:
            assert len([line for line in server.errors if f"{variable} is" in line]) == 1
        assert not any("s3cret" in line for line in (*server.errors, *server.output))


async def test_a_flag_is_the_way_out_of_a_bad_variable(tmp_path: Path) -> None:
    bad = {"EXNESS_SERVER_PORT": "http", "EXNESS_FEED_SOURCE": "no feed"}
    async with Server(tmp_path / "data", "--feed", "simulated", env=bad) as server:
        assert (await server.get("/healthz")).status == 200
        assert not any("EXNESS_" in line for line in (*server.errors, *server.output))
    done = await finished("serve", "--port", "0", env=bad, cwd=tmp_path)
    assert (done.code, done.output) == (1, "")
    assert done.errors.startswith("exness: EXNESS_FEED_SOURCE: feed.source must be ")


async def test_variables_of_others_keep_no_other_command_from_its_work(tmp_path: Path) -> None:
    for command, begins in (
        (["token", EMAIL], "ey"),
        (["token", "--revoke", EMAIL], "every session"),
        (["serve", "--port", "0", "--replay", str(quotes(tmp_path)), "--speed", "max", "--exit-at-end"], "exness "),
        (["verify"], "verified"),
        (["backup", "copy"], "backed up"),
        (["restore", "copy", "--data-dir", "restored"], "restored"),
        (["version"], "exness "),
    ):
        done = await finished(*command, env=FOREIGN, cwd=tmp_path)
        assert (command, done.code) == (command, 0), done.errors
        assert done.output.startswith(begins)
        if command[0] not in ("serve", "version"):
            warnings = done.errors.splitlines()
            assert [line.split()[2] for line in warnings] == [
                "EXNESS_SERVER_PORT",
                *sorted(set(FOREIGN) - {"EXNESS_SERVER_PORT"}),
            ]
            assert all(line.startswith("exness: warning: EXNESS_") for line in warnings)
        assert "s3cret" not in done.output + done.errors


async def test_variables_of_others_and_a_bad_port_do_not_keep_a_venue_from_starting(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], **FOREIGN, "EXNESS_SERVER_PORT": "http"}
    process = await run_exness("venue", "--port", "0", env=env, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while not (line := await process.stdout.readline()).startswith(b"listening on http://127.0.0.1:"):
            assert line, "it goes on"
        process.terminate()
        log = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert [name for name in FOREIGN if f"{name} is" in log] == [
        name for name in FOREIGN if name != "EXNESS_SERVER_PORT"
    ]


async def test_that_nobody_hears_a_warning_is_no_reason_to_fail(tmp_path: Path) -> None:
    script = 'exec "$0" -m exness token ann@example.com 2>&-'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, sys.executable,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **FOREIGN},
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert re.fullmatch(rb"ey[A-Za-z0-9._-]+\n", output), "the token and nothing else"


def quotes(folder: Path) -> Path:
    path = folder / "quotes.csv"
    path.write_text("timestamp_us,symbol,bid,ask\n1722816000000000,SOL_USDC,150,150.1\n")
    return path
