"""The terminal as it is served: the page, with what only the server knows in its `data-` attributes, and its files.

Its policy allows no inline script or style and no other host, and Trusted Types keep every script from writing HTML:
what users and venues say is shown as text. The page is asked for anew each time, its files are kept for ever: their
addresses change with them. All links are relative, so that they are right below any prefix.
"""

from collections.abc import Mapping
from html import escape

from aiohttp import hdrs, web

from exness.web.dev.access import is_local
from exness.web.http.endpoint import ENDPOINTS, Endpoints
from exness.web.http.errors import ApiError
from exness.web.services import Services, services_of
from exness.web.terminal.files import CHART, MEDIA_TYPES, files
from exness.web.v1 import PREFIX
from exness.web.v1.health import source_for
from exness.web.v1.requests import current_session

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
CACHED_S = 365 * 86_400


async def page(request: web.Request) -> web.StreamResponse:
    """GET /."""
    services = services_of(request)
    facts = _facts(services, request.app[ENDPOINTS], local=is_local(request))
    facts["feed"] = source_for(request)
    facts["email"] = await _email_of(request)
    return web.Response(text=_page(facts), content_type="text/html")


async def page_file(request: web.Request) -> web.StreamResponse:
    """GET /terminal/{release}/{file}. Of an earlier release there is nothing any more."""
    held, name = files(), request.match_info["file"]
    if request.match_info["release"] != held.release or name not in held.by_name:
        raise ApiError("not_found")
    headers = {
        hdrs.CONTENT_TYPE: MEDIA_TYPES[name[name.rindex(".") :]],
        hdrs.CACHE_CONTROL: f"public, max-age={CACHED_S}, immutable",
    }
    return web.Response(body=held.by_name[name], headers=headers)


async def _email_of(request: web.Request) -> str:
    """Who is signed in, or nothing."""
    try:
        return (await current_session(request)).email
    except ApiError:
        return ""


def _facts(services: Services, endpoints: Endpoints, *, local: bool) -> dict[str, str]:
    """What the page can't ask for. `dev`: none, money (deposits and reset), or market (price and clock too)."""
    dev = services.dev if local else None
    return {
        "version": services.version,
        "dev": "none" if dev is None else "market" if dev.control is not None else "money",
        "simulated": str(services.exchange.feed.simulated).lower(),
        "execution": services.exchange.rules.execution.value,
        "calls": " ".join(
            f"{row.method}:{row.path.removeprefix(PREFIX)}" for row in endpoints.rows if row.path.startswith(PREFIX)
        ),
    }


def _page(facts: Mapping[str, str]) -> str:
    held = files()
    base = f"terminal/{held.release}"
    preloads = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in held.modules)
    chart = f'<script src="{base}/{CHART}" defer></script>' if CHART in held.by_name else ""
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in facts.items())
    parts = {"data-facts": attributes, "<!-- modules -->": preloads, "<!-- chart -->": chart, "{files}": base}
    text = held.template
    for place, part in parts.items():
        text = text.replace(place, part)
    return text
