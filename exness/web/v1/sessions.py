"""Sessions of the account: listed and ended. By a session only: no API key sees or ends one."""

import msgspec
from aiohttp import web

from exness.access.ports import StoredSession
from exness.access.sessions import Session
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import iso
from exness.web.v1.models import MessageAnswer
from exness.web.v1.requests import current_session, signed_in_person
from exness.web.v1.signin import end_own, signed_out


class SessionRow(msgspec.Struct, frozen=True, rename="camel"):
    """A session. `current` is the one that asks; `madeBy` link, dev or command. What is not known is null: of a session
    from before there was a list, all but its times."""

    id: str
    current: bool
    created_at: str
    expires_at: str
    made_by: str | None
    client: str | None
    ip: str | None


class SessionsAnswer(msgspec.Struct, frozen=True):
    """GET /sessions, oldest first."""

    success: bool
    data: list[SessionRow]


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /sessions."""
    session = await _person(request)
    rows = [_row(each, session) for each in await services_of(request).live_sessions.of(session.email)]
    if not any(row.current for row in rows):
        rows.insert(0, SessionRow(session.id, True, iso(session.issued_at), iso(session.expires_at), None, None, None))
    charge_rows(request, len(rows))
    return answer(SessionsAnswer(True, rows))


async def end(request: web.Request) -> web.StreamResponse:
    """DELETE /sessions/{id}. One's own is the same as POST /logout."""
    services, session = services_of(request), await _person(request)
    session_id = request.match_info["id"]
    if session_id == session.id:
        await end_own(request, services, session)
        return signed_out(services)
    if all(session_id != each.id for each in await services.live_sessions.of(session.email)):
        raise ApiError("session_not_found")
    await services.revocations.end(session_id)
    services.security_log.note("session_ended", session.email, request[REQUEST_STATE].request_id)
    return answer(MessageAnswer(True, "The session has ended"))


async def end_others(request: web.Request) -> web.StreamResponse:
    """DELETE /sessions: all but the one that asks, also those that no list has."""
    services, session = services_of(request), await _person(request)
    if not await services.revocations.end_others(session):
        raise ApiError("unauthorized")
    services.security_log.note("sessions_ended", session.email, request[REQUEST_STATE].request_id)
    return answer(MessageAnswer(True, "All your other sessions have ended"))


async def _person(request: web.Request) -> Session:
    """Who asks, counted for their account. Raises ApiError(unauthorized, rate_limited)."""
    await signed_in_person(request)
    return await current_session(request)


def _row(row: StoredSession, current: Session) -> SessionRow:
    return SessionRow(
        row.id,
        row.id == current.id,
        iso(row.created_at),
        iso(row.expires_at),
        row.made_by or None,
        row.client or None,
        row.ip or None,
    )
