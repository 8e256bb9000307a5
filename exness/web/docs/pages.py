"""The documents as they are served: /openapi.json, /asyncapi.json, and /docs, a page that shows both, and the Binance
face too where that is served.

The page is Swagger UI, whose files come in the wheel of `flask-swagger-ui`; of that package nothing else is used, and
Flask is never imported. Nothing is loaded from elsewhere, and no script stands in the page itself, so its policy allows
none. Its links are relative, so that they are right below any prefix.
"""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import msgspec
from aiohttp import hdrs, web

from exness.web.docs import asyncapi, openapi
from exness.web.http.endpoint import Endpoints
from exness.web.http.errors import ApiError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
CACHED_S = 3600
"""How long a browser keeps the page's files before it asks whether they have changed."""

_OURS = Path(__file__).parent / "static"
_SWAGGER_UI = "flask_swagger_ui"
_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
FILES = {
    "page.js": (_SCRIPT, None),
    "page.css": (_STYLE, None),
    "swagger-ui-bundle.js": (_SCRIPT, _SWAGGER_UI),
    "swagger-ui.css": (_STYLE, _SWAGGER_UI),
}
"""What the page loads, with its type and the package whose `dist` it is in. None: ours."""


FACE = (
    '\n<p>Two APIs are served: <a href="docs">our own</a> and <a href="docs?fapi">the Binance face</a>'
    ' (<a href="fapi/openapi.json">fapi/openapi.json</a>). Of the face, what must be signed can only be read here: each'
    " request wants a signature of its own.</p>"
)
"""Where the page says what else it shows."""


class Documents:
    """The documents of one server, each made when it is first asked for. `public_url`: how users reach it, or ""."""

    def __init__(self, endpoints: Endpoints, version: str, public_url: str, *, has_face: bool = False) -> None:
        self._endpoints = endpoints
        self._has_face = has_face
        self._version = version
        self._public_url = public_url

    @cached_property
    def openapi(self) -> bytes:
        return msgspec.json.encode(openapi.document(self._version, self._endpoints, public_url=self._public_url))

    @cached_property
    def asyncapi(self) -> bytes:
        return msgspec.json.encode(asyncapi.document(self._version, public_url=self._public_url))

    @cached_property
    def page(self) -> str:
        page = (_OURS / "page.html").read_text(encoding="utf-8").replace("<!-- the stream -->", asyncapi.section())
        return page.replace("<!-- the Binance face -->", FACE if self._has_face else "")


DOCUMENTS = web.AppKey("documents", Documents)


async def openapi_json(request: web.Request) -> web.StreamResponse:
    """GET /openapi.json."""
    return _json_file(request.app[DOCUMENTS].openapi)


async def asyncapi_json(request: web.Request) -> web.StreamResponse:
    """GET /asyncapi.json."""
    return _json_file(request.app[DOCUMENTS].asyncapi)


async def docs(request: web.Request) -> web.StreamResponse:
    """GET /docs."""
    return web.Response(text=request.app[DOCUMENTS].page, content_type="text/html")


async def docs_file(request: web.Request) -> web.StreamResponse:
    """GET /docs/{file}. aiohttp reads it piece by piece, and answers 304 to a browser that has it."""
    name = request.match_info["file"]
    if name not in FILES:
        raise ApiError("not_found")
    media_type, package = FILES[name]
    folder = _OURS if package is None else _dist_of(package)
    return web.FileResponse(
        folder / name, headers={hdrs.CONTENT_TYPE: media_type, hdrs.CACHE_CONTROL: f"public, max-age={CACHED_S}"}
    )


def _dist_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, f"{package} is one of our dependencies"
    assert spec.origin is not None
    return Path(spec.origin).parent / "dist"


def _json_file(body: bytes) -> web.Response:
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
