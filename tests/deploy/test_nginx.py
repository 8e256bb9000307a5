"""deploy/nginx.conf in the real nginx, with TLS and a path: REST, sign-in, terminal, stream and ccxt work there."""

import asyncio
import json
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import ccxt
import pytest
import trustme

from tests.support.process import ROOT, Server, finished
from tests.support.waiting import until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
EMAIL = "ann@example.com"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed here (apt-get install nginx-light)"),
]


class Site:
    """What users see: `url` ends in the path, without a slash. `asking` trusts its certificate."""

    def __init__(self, url: str, server: Server, trusted: Path, asking: aiohttp.ClientSession) -> None:
        self.url, self.server, self.trusted, self.asking = url, server, trusted, asking

    def get(self, path: str, **options: object) -> "aiohttp.client._RequestContextManager":
        return self.asking.get(self.url + path, **options)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def configured(folder: Path, port: int, upstream: str) -> str:
    """deploy/nginx.conf as it stands, but for its port, certificate and upstream."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for shipped, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("server_name trade.example.com;", "server_name localhost;"),
        ("server 127.0.0.1:8002;", f"server {upstream};"),
        ("/etc/ssl/exness/", f"{folder}/"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{text}}}\n"
    )


@asynccontextmanager
async def behind_nginx(tmp_path: Path) -> AsyncIterator[Site]:
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "trusted.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "chain.pem", append=True)
    url = f"https://localhost:{port}/exness"
    env = {
        "EXNESS_SERVER_PUBLIC_URL": url,
        "EXNESS_SERVER_TRUSTED_PROXIES": "127.0.0.1",
        "EXNESS_SERVER_PRODUCTION": "true",
    }
    async with Server(tmp_path / "data", "--feed", "simulated", env=env) as server:
        (folder / "nginx.conf").write_text(configured(folder, port, server.url.removeprefix("http://")))
        assert NGINX is not None
        nginx = await asyncio.create_subprocess_exec(NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder))
        try:
            trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=folder / "trusted.pem"))
            async with aiohttp.ClientSession(connector=trusting) as asking:
                site = Site(url, server, folder / "trusted.pem", asking)

                async def answers() -> bool:
                    try:
                        async with site.get("/readyz") as answer:
                            return answer.status == 200
                    except aiohttp.ClientConnectionError:
                        return False

                await until(answers, "for nginx")
                yield site
        finally:
            nginx.terminate()
            await nginx.wait()


async def test_everything_works_through_tls_and_a_path(tmp_path: Path) -> None:
    async with behind_nginx(tmp_path) as site:
        async with site.get("/api/v1/supportedAssets") as answer:
            assert answer.status == 200
        for inside in ("/metrics", "/api/v1/dev/books"):
            async with site.get(inside) as answer:
                assert answer.status == 404, inside
        await sign_in(site)
        await see_the_terminal(site)
        await trade_and_hear_of_it(site)
        await asyncio.to_thread(trade_by_ccxt, site, await key_of(site))


async def sign_in(site: Site) -> None:
    """By a link as it is mailed; the cookie is for HTTPS alone."""
    done = await finished("open", EMAIL, "--no-browser", "--data-dir", str(site.server.data_dir), cwd=ROOT)
    link = done.output.strip()
    assert link.startswith(f"{site.url}/api/v1/signin/post?"), done
    async with site.asking.get(link, allow_redirects=False) as answer:
        assert answer.status == 302
        assert urljoin(link, answer.headers["Location"]) == f"{site.url}/"
        (cookie,) = answer.cookies.values()
        assert (cookie["secure"], cookie["httponly"]) == (True, True)


async def see_the_terminal(site: Site) -> None:
    """Every file that the page names is there, below the path."""
    async with site.asking.get(f"{site.url}/") as answer:
        page = await answer.text()
        assert f'data-email="{EMAIL}"' in page
    files = re.findall(r'(?:src|href)="([^"#]+\.(?:js|css|svg))"', page)
    assert len(files) > 10
    for file in files:
        assert not file.startswith("/"), file
        async with site.asking.get(urljoin(f"{site.url}/", file)) as answer:
            assert answer.status == 200, file


async def trade_and_hear_of_it(site: Site) -> None:
    """By the cookie alone, as the terminal does it."""
    origin = {"Origin": site.url.removesuffix("/exness")}
    async with site.asking.ws_connect(f"{site.url}/api/v1/stream", headers=origin) as stream:
        await stream.send_json({"op": "subscribe", "channels": ["trades"]})
        body = {"asset": "SOL", "type": "long", "margin": "10", "leverage": 2}
        async with site.asking.post(f"{site.url}/api/v1/trade/create", json=body, headers=origin) as answer:
            trade = await answer.json()
            assert answer.status == 200, trade
        async with asyncio.timeout(20):
            async for message in stream:
                if trade["orderId"] in message.data:
                    break
    foreign = {"Origin": "https://elsewhere.example"}
    async with site.asking.post(f"{site.url}/api/v1/trade/create", json=body, headers=foreign) as answer:
        assert answer.status == 403


async def key_of(site: Site) -> dict[str, str]:
    done = await finished("key", "create", EMAIL, "--data-dir", str(site.server.data_dir), cwd=ROOT)
    key: dict[str, str] = json.loads(done.output)
    return key


def trade_by_ccxt(site: Site, key: dict[str, str]) -> None:
    exchange = ccxt.binanceusdm({"apiKey": key["key"], "secret": key["secret"], "options": {"fetchCurrencies": False}})
    exchange.validateServerSsl = str(site.trusted)  # what it hands to requests as `verify`
    exchange.urls["api"] |= {
        f"fapi{kind}{name}": f"{site.url}/fapi/{path}"
        for kind in ("Public", "Private")
        for name, path in {"": "v1", "V2": "v2", "V3": "v3"}.items()
    }
    exchange.load_markets()
    order = exchange.create_order("SOL/USDC:USDC", "market", "buy", 0.5)
    assert exchange.fetch_order(order["id"], "SOL/USDC:USDC")["status"] == "closed"
