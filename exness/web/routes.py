"""Every address in one table."""

from aiohttp import hdrs
from aiohttp.typedefs import Handler

from exness.web.dev import endpoints as dev
from exness.web.docs import asyncapi, openapi
from exness.web.stream import socket as stream
from exness.web.v1 import account, market, signin
from exness.web.v1 import health as system
from exness.web.v1 import trades as trade

API = "/api/v1"

ROUTES: list[tuple[str, str, Handler]] = [
    (hdrs.METH_POST, f"{API}/signup", signin.signup),
    (hdrs.METH_POST, f"{API}/signin", signin.signin),
    (hdrs.METH_GET, f"{API}/signin/post", signin.open_link),
    (hdrs.METH_POST, f"{API}/logout", signin.logout),
    (hdrs.METH_POST, f"{API}/trade/create", trade.create),
    (hdrs.METH_POST, f"{API}/trade/close", trade.close),
    (hdrs.METH_GET, f"{API}/trade/open", trade.list_open),
    (hdrs.METH_GET, f"{API}/trade/history", trade.history),
    (hdrs.METH_GET, f"{API}/balance", account.balance),
    (hdrs.METH_GET, f"{API}/balance/usd", account.balance_usd),
    (hdrs.METH_GET, f"{API}/account", account.account),
    (hdrs.METH_GET, f"{API}/supportedAssets", market.supported_assets),
    (hdrs.METH_GET, f"{API}/prices", market.prices),
    (hdrs.METH_GET, f"{API}/prices/{{asset}}", market.price),
    (hdrs.METH_GET, f"{API}/klines", market.klines),
    (hdrs.METH_GET, f"{API}/stream", stream.stream),
    (hdrs.METH_GET, "/", openapi.docs),
    (hdrs.METH_GET, "/healthz", system.healthz),
    (hdrs.METH_GET, "/readyz", system.readyz),
    (hdrs.METH_GET, "/metrics", system.metrics),
    (hdrs.METH_GET, "/openapi.json", openapi.openapi_json),
    (hdrs.METH_GET, "/asyncapi.json", asyncapi.asyncapi_json),
    (hdrs.METH_GET, "/docs", openapi.docs),
]

DEV_ROUTES: list[tuple[str, str, Handler]] = [
    (hdrs.METH_PUT, f"{API}/dev/prices/{{asset}}", dev.set_price),
    (hdrs.METH_POST, f"{API}/dev/prices/script", dev.run_script),
    (hdrs.METH_GET, f"{API}/dev/clock", dev.get_clock),
    (hdrs.METH_POST, f"{API}/dev/clock", dev.set_clock),
    (hdrs.METH_POST, f"{API}/dev/deposit", dev.deposit),
    (hdrs.METH_POST, f"{API}/dev/reset", dev.reset),
]
"""Where dev control is on. Elsewhere there is nothing at these addresses."""
