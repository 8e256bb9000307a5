"""Signing up, in and out."""

import re

from aiohttp import hdrs, web

from exness.access.live_sessions import MadeBy
from exness.access.magic_links import SIGNIN, SIGNUP
from exness.access.sessions import Session
from exness.web.http.browser_rules import COOKIE
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import answer
from exness.web.services import Services, services_of
from exness.web.v1.format import iso
from exness.web.v1.models import MessageAnswer, SignedInAnswer
from exness.web.v1.parse import email_of, link_token
from exness.web.v1.requests import current_session, json_body

LINK_SENT = "If this address can sign in, a link is on its way to it; it works once and for a few minutes"
BAD_LINK = "This sign-in link does not work: it was used, has expired, or a newer one was sent; ask for another"

_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_PREFETCHES = re.compile(r"\b(prefetch|preview|prerender)\b", re.IGNORECASE)


async def signup(request: web.Request) -> web.StreamResponse:
    """POST /signup."""
    return await _send_link(request, SIGNUP)


async def signin(request: web.Request) -> web.StreamResponse:
    """POST /signin."""
    return await _send_link(request, SIGNIN)


async def _send_link(request: web.Request, purpose: str) -> web.StreamResponse:
    services = services_of(request)
    email = email_of(await json_body(request))
    services.limits.hit_mail(email, request[REQUEST_STATE].caller)
    known = services.exchange.known_account(email) is not None
    await services.magic_links.send(email, purpose, known=known)
    services.security_log.note("link_asked", email, request[REQUEST_STATE].request_id, purpose=purpose)
    return answer(MessageAnswer(True, LINK_SENT))


async def open_link(request: web.Request) -> web.StreamResponse:
    """GET /signin/post. A HEAD, or a browser that only fetches ahead, learns nothing and uses nothing up."""
    if request.method == hdrs.METH_HEAD:
        return answer(MessageAnswer(True, "GET opens the link"))
    if any(_PREFETCHES.search(request.headers.get(name, "")) for name in _PREFETCH_HEADERS):
        raise ApiError("prefetch_refused")
    services, token = services_of(request), link_token(request.query)
    email = await _opened(services, token)
    session_token, session = await new_session(request, email, MadeBy.LINK)
    if wants_json(request):
        return answer(SignedInAnswer(True, email, session_token, iso(session.expires_at)))
    return _redirected(services, session_token)


async def new_session(request: web.Request, email: str, made_by: MadeBy) -> tuple[str, Session]:
    """A session of an address that has an account: its token and itself. Raises ApiError(unauthorized)."""
    services = services_of(request)
    await services.revocations.refresh(at_once=True)  # a session of an earlier generation might be ended already
    session_token = services.sessions.issue(email)
    session = services.sessions.check(session_token)
    if session is None:  # all its sessions were ended at this very moment
        raise ApiError("unauthorized")
    ip = services.client_ips.ip_of(request)
    client = request.headers.get(hdrs.USER_AGENT, "")
    await services.live_sessions.note([session], made_by, client, "" if ip is None else str(ip))
    await services.revocations.refresh(at_once=True)  # the account's oldest may have made room
    services.security_log.note("signed_in", email, request[REQUEST_STATE].request_id)
    return session_token, session


async def _opened(services: Services, token: str) -> str:
    """Whose link it was. The account is opened first: should that be refused for now, the link still works."""
    link = await services.magic_links.find(token)
    if link is not None:
        await services.exchange.account_of(link.email)
        link = await services.magic_links.take(token)
    if link is None:
        services.security_log.counters["link_refused"] += 1
        raise ApiError("unauthorized", BAD_LINK)
    return link.email


def _redirected(services: Services, session_token: str) -> web.Response:
    """To the one address that is configured, whatever the request says. That of our own page is a path, so it is of the
    very site that the link was opened on, and so is the cookie."""
    response = web.Response(status=302, headers={hdrs.LOCATION: services.frontend_url})
    set_session(response, services, session_token)
    return response


def set_session(response: web.Response, services: Services, session_token: str) -> None:
    """The cookie that a browser brings back, and no script of a page ever sees."""
    response.set_cookie(
        COOKIE,
        session_token,
        max_age=services.sessions.life_s,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=services.production,
    )


async def logout(request: web.Request) -> web.StreamResponse:
    """POST /logout."""
    services = services_of(request)
    session = await current_session(request)
    await end_own(request, services, session)
    return signed_out(services)


async def end_own(request: web.Request, services: Services, session: Session) -> None:
    """End the session that asks for it."""
    await services.revocations.end(session.id)
    services.security_log.note("signed_out", session.email, request[REQUEST_STATE].request_id)


def signed_out(services: Services) -> web.Response:
    """To whose session has ended: a browser forgets it, too."""
    response = answer(MessageAnswer(True, "You are signed out")).plain()
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax", secure=services.production)
    return response


def wants_json(request: web.Request) -> bool:
    """Whether `Accept` names JSON. Browsers that follow a link do not."""
    ranges = (item.partition(";")[0].strip().lower() for item in request.headers.get(hdrs.ACCEPT, "").split(","))
    return "application/json" in ranges
