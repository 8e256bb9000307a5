"""client/calls/sessions.py: one's sessions, listed and ended through the client."""

import pytest

from exness.client import AsyncClient
from exness.client.errors import SessionNotFound, Unauthorized
from tests.client.conftest import strike
from tests.support.app import API, App


async def other(app: App, ann: AsyncClient) -> AsyncClient:
    """Another session of hers."""
    signed_in = await ann.dev_session("ann@example.com")
    return AsyncClient(app.url, token=signed_in.token, longest_wait_s=0.01)


async def test_sessions_are_listed_and_ended(app: App, ann: AsyncClient) -> None:
    async with await other(app, ann) as phone:
        (row,) = [each for each in await phone.sessions() if each.current]
        assert (row.made_by, row.ip) == ("dev", "127.0.0.1")
        assert [each.current for each in await ann.sessions()] == [True, False]
        assert (await ann.end_session(row.id)).message == "The session has ended"
        with pytest.raises(Unauthorized):
            await phone.sessions()
        with pytest.raises(SessionNotFound):
            await ann.end_session(row.id)


async def test_all_others_end(app: App, ann: AsyncClient) -> None:
    async with await other(app, ann) as phone:
        await phone.end_other_sessions()
        with pytest.raises(Unauthorized):
            await ann.sessions()
        assert [each.current for each in await phone.sessions()] == [True]


async def test_an_end_whose_answer_was_lost_is_told_as_done(app: App, ann: AsyncClient) -> None:
    async with await other(app, ann) as phone:
        (of_phone,) = [each.id for each in await phone.sessions() if each.current]
        await strike(app, f"DELETE {API}/sessions/{{id}}", "cut_after", nth=1)
        assert (await ann.end_session(of_phone)).message == "The session has ended"
    async with await other(app, ann) as phone:
        (of_phone,) = [each.id for each in await phone.sessions() if each.current]
        await strike(app, f"DELETE {API}/sessions/{{id}}", "cut_after", nth=1)
        assert (await phone.end_session(of_phone)).message == "The session has ended"
