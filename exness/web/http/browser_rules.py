"""Browsers: which pages may call, and what a browser is told to keep apart.

A browser sends the session cookie along with a request whoever's page made it. So a request that changes something
and is authorised by the cookie must come from a page we know: its Origin is the frontend's or our own. A Bearer token
is not sent by itself, so who brings one needs no Origin.
"""

from collections.abc import Collection, Mapping

from aiohttp import hdrs, web

from exness.web.http.errors import ApiError

COOKIE = "authToken"
"""The session's."""
API_KEY = "X-API-Key"
"""A header that no browser sends by itself, like `Authorization`."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer. Balances and tokens are for no cache."""

HSTS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
PREFLIGHT_AGE_S = 600
EXPOSED = "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After"
ALLOWED_HEADERS = "Authorization, Content-Type, X-Request-ID"


class BrowserRules:
    """The rules for browsers. `own_origin` is the one that users reach us by; all origins are as browsers send them."""

    def __init__(
        self, allowed_origins: Collection[str] = (), *, own_origin: str | None = None, production: bool = False
    ) -> None:
        self._allowed = frozenset(allowed_origins)
        self._own = own_origin
        self._production = production
        self.headers = SECURITY_HEADERS | (HSTS if production else {})
        self.lines = header_lines(self.headers)

    def check(self, request: web.Request) -> None:
        """Raises ApiError(forbidden_origin) for a change that the cookie alone would authorise from a foreign page."""
        if request.method in SAFE_METHODS or hdrs.COOKIE not in request.headers:
            return
        if hdrs.AUTHORIZATION in request.headers or COOKIE not in request.cookies:
            return
        if not self._is_ours(request.headers.get(hdrs.ORIGIN, ""), request):
            raise ApiError("forbidden_origin")

    def check_stream(self, request: web.Request) -> None:
        """Raises ApiError(forbidden_origin) for a WebSocket that the cookie would authorise from a foreign page.

        A browser names the page's origin with every WebSocket, and no CORS keeps that page from reading it. Who names
        none is no browser.
        """
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or hdrs.AUTHORIZATION in request.headers or COOKIE not in request.cookies:
            return
        if not self._is_ours(origin, request):
            raise ApiError("forbidden_origin")

    def check_page(self, request: web.Request) -> None:
        """Raises ApiError(forbidden_origin) for whatever a foreign page asks, with or without the cookie."""
        if hdrs.ORIGIN in request.headers and not self._is_ours(request.headers[hdrs.ORIGIN], request):
            raise ApiError("forbidden_origin")

    def cors(self, request: web.BaseRequest) -> dict[str, str]:
        """What a page of an allowed origin needs to read the answer; nothing for others."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self._allowed:
            return {}
        return {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: EXPOSED,
        }

    def preflight(self, request: web.Request, methods: str) -> web.Response | None:
        """The answer to an allowed page that asks whether it may call; None when this is no such question."""
        if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return None
        if not methods or request.headers.get(hdrs.ORIGIN) not in self._allowed:
            return None
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_AGE_S),
        }
        return web.Response(status=204, headers=headers)

    def _is_ours(self, origin: str, request: web.Request) -> bool:
        return origin in self._allowed or origin in (self._own, *self._origins_of(request.host.lower()))

    def _origins_of(self, host: str) -> tuple[str, ...]:
        """How a browser names the origin of a page that it got under this `Host`: without the default port, which a
        proxy may have put there. 443 is HTTPS, wherever that ended on its way to us."""
        if host.partition(":")[0] == "":
            return ()
        before_443 = host.removesuffix(":443")
        if self._production:
            return (f"https://{before_443}",)
        if before_443 != host:
            return (f"https://{before_443}", f"http://{host}")
        return (f"http://{host.removesuffix(':80')}",)


def header_lines(headers: Mapping[str, str]) -> str:
    """Headers as they are sent."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
