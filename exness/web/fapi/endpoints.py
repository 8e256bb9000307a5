"""The second table of endpoints, and its dialect."""

from exness.web.fapi import account, algo, countdowns, general, openapi, orders, past, settings
from exness.web.fapi.errors import render
from exness.web.fapi.frame import endpoint_of, session_of
from exness.web.fapi.market import handlers as market
from exness.web.fapi.streams.endpoints import ENDPOINTS as STREAMS
from exness.web.fapi.streams.endpoints import ROOTS as STREAM_ROOTS
from exness.web.fapi.users import handlers as users
from exness.web.http.endpoint import Dialect

ROOTS = ("/fapi", "/futures", "/dapi", "/sapi", "/api/v3", *STREAM_ROOTS)
"""Whatever is asked below these, also what there is not, is answered in Binance's words."""

DIALECT = Dialect("", render, session_of, ROOTS)
ROWS = (
    *openapi.ROWS,
    *general.ROWS,
    *account.ROWS,
    *settings.ROWS,
    *orders.ROWS,
    *algo.ROWS,
    *countdowns.ROWS,
    *past.ROWS,
    *users.ROWS,
    *market.ROWS,
)
ENDPOINTS = (*map(endpoint_of, ROWS), *STREAMS)
