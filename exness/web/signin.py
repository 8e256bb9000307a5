"""Signing up, in and out."""

import re

from aiohttp import hdrs, web

from exness.web.answers import JSON, encode
from exness.web.auth import COOKIE
from exness.web.context import VISIT, Context, answer, context_of, current_session, json_body
from exness.web.errors import ApiError
from exness.web.links import SIGNIN, SIGNUP
from exness.web.validate import email_of, link_token
from exness.web.wire import MessageAnswer, SignedInAnswer, iso

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
    context = context_of(request)
    email = email_of(await json_body(request))
    context.limits.hit_mail(email, request[VISIT].caller)
    known = email in context.exchange.state.by_email
    await context.links.send(email, purpose, known=known)
    context.audit.note("link_asked", email, request[VISIT].request_id, purpose=purpose)
    return answer(MessageAnswer(True, LINK_SENT))


async def open_link(request: web.Request) -> web.StreamResponse:
    """GET /signin/post. A HEAD, or a browser that only fetches ahead, learns nothing and uses nothing up."""
    if request.method == hdrs.METH_HEAD:
        return answer(MessageAnswer(True, "GET opens the link"))
    if any(_PREFETCHES.search(request.headers.get(name, "")) for name in _PREFETCH_HEADERS):
        raise ApiError("prefetch_refused")
    context, token = context_of(request), link_token(request.query)
    email = await _opened(context, token)
    await context.revocations.refresh(at_once=True)  # a session of an earlier generation might be ended already
    session_token = context.sessions.issue(email)
    session = context.sessions.check(session_token)
    if session is None:  # all its sessions were ended at this very moment
        raise ApiError("unauthorized")
    context.audit.note("signed_in", email, request[VISIT].request_id)
    if _wants_json(request):
        return answer(SignedInAnswer(True, email, session_token, iso(session.expires_at)))
    return _redirected(context, session_token)


async def _opened(context: Context, token: str) -> str:
    """Whose link it was. The account is opened first: should that be refused for now, the link still works."""
    link = await context.links.find(token)
    if link is not None:
        await context.exchange.account_of(link.email)
        link = await context.links.take(token)
    if link is None:
        context.audit.counters["link_refused"] += 1
        raise ApiError("unauthorized", BAD_LINK)
    return link.email


def _redirected(context: Context, session_token: str) -> web.Response:
    """To the one address that is configured, whatever the request says. That of our own page is a path, so it is of the
    very site that the link was opened on, and so is the cookie."""
    response = web.Response(status=302, headers={hdrs.LOCATION: context.frontend_url})
    response.set_cookie(
        COOKIE,
        session_token,
        max_age=context.sessions.life_s,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=context.production,
    )
    return response


async def logout(request: web.Request) -> web.StreamResponse:
    """POST /logout."""
    context = context_of(request)
    session = await current_session(request)
    await context.revocations.end(session)
    context.audit.note("signed_out", session.email, request[VISIT].request_id)
    body = encode(MessageAnswer(True, "You are signed out"))
    response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: JSON})
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax", secure=context.production)
    return response


def _wants_json(request: web.Request) -> bool:
    """Whether `Accept` names JSON. Browsers that follow a link do not."""
    ranges = (item.partition(";")[0].strip().lower() for item in request.headers.get(hdrs.ACCEPT, "").split(","))
    return "application/json" in ranges
