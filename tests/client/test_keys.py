"""client/calls/keys.py: keys made, listed and revoked through the client."""

from datetime import timedelta

import pytest

from exness.client import AsyncClient
from exness.client.errors import KeyNotFound, NoAnswer, TooManyKeys
from tests.client.conftest import strike
from tests.support.app import API, App


async def test_a_key_from_its_making_to_its_end(app: App, ann: AsyncClient) -> None:
    made = await ann.create_api_key("bot", scopes=["read"])
    assert (made.name, made.scopes, made.expires_at) == ("bot", ["read"], None)
    assert made.secret not in repr(made)
    (row,) = await ann.api_keys()
    assert (row.key, row.created_at) == (made.key, made.created_at)
    ends = made.created_at + timedelta(days=1)
    assert (await ann.create_api_key("for a day", expires_at=ends)).expires_at == ends
    assert (await ann.revoke_api_key(made.key)).key == made.key
    assert [each.name for each in await ann.api_keys()] == ["for a day"]


async def test_a_revoke_whose_answer_was_lost_is_told_as_done(app: App, ann: AsyncClient) -> None:
    made = await ann.create_api_key("bot")
    await strike(app, f"POST {API}/keys/revoke", "cut_after", nth=1)
    assert (await ann.revoke_api_key(made.key)).key == made.key
    assert await ann.api_keys() == []
    with pytest.raises(KeyNotFound):
        await ann.revoke_api_key(made.key)


async def test_a_key_whose_answer_was_lost_is_not_made_twice(app: App, ann: AsyncClient) -> None:
    await strike(app, f"POST {API}/keys", "cut_after", nth=1)
    with pytest.raises(NoAnswer):
        await ann.create_api_key("bot")
    assert len(await ann.api_keys()) == 1


async def test_too_many_keys_are_refused_by_name(app: App, ann: AsyncClient) -> None:
    for number in range(30):
        await ann.create_api_key(str(number))
    with pytest.raises(TooManyKeys):
        await ann.create_api_key("one more")
