"""What every AuthStore does: links that open once, sessions that stay ended."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exness.runtime.ports import AuthStore, Link
from exness.storage.auth import MemoryAuth, open_auth

KEPT = 3
PURPOSES = ("signup", "signin")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuthStore]:
    if request.param == "memory":
        yield MemoryAuth(links_kept=KEPT)
    else:
        async with open_auth(tmp_path, links_kept=KEPT) as auth:
            yield auth


def link(number: int, email: str = "", *, purpose: str = "signin", at: int = 0, life: int = 100) -> Link:
    return Link(bytes([number]) * 32, email or f"{number}@example.com", purpose, at, at + life)


async def found(store: AuthStore, numbers: range, now: int = 50) -> list[int]:
    return [number for number in numbers if await store.find_link(bytes([number]) * 32, PURPOSES, now) is not None]


async def test_a_link_is_found_whole_until_it_is_taken(store: AuthStore) -> None:
    await store.put_link(link(1))
    assert await store.find_link(link(1).token_hash, PURPOSES, 99) == link(1)
    assert await store.take_link(link(1).token_hash, PURPOSES, 99) == link(1)
    assert await store.take_link(link(1).token_hash, PURPOSES, 99) is None
    assert await store.find_link(link(1).token_hash, PURPOSES, 99) is None


async def test_of_many_who_take_a_link_at_once_one_gets_it(store: AuthStore) -> None:
    await store.put_link(link(1))
    taken = await asyncio.gather(*(store.take_link(link(1).token_hash, PURPOSES, 1) for _ in range(50)))
    assert [each for each in taken if each is not None] == [link(1)]


async def test_a_link_works_until_its_last_microsecond_and_for_its_purpose_only(store: AuthStore) -> None:
    await store.put_link(link(1, purpose="signup"))
    for purposes, now in ((PURPOSES, 100), (("signin",), 99), ((), 99)):
        assert await store.find_link(link(1).token_hash, purposes, now) is None
        assert await store.take_link(link(1).token_hash, purposes, now) is None
    assert await store.take_link(link(1).token_hash, PURPOSES, 99) is not None


async def test_the_newest_link_voids_the_older_ones_of_its_address(store: AuthStore) -> None:
    await store.put_link(link(1, "ann@example.com", purpose="signup"))
    await store.put_link(link(2, "bob@example.com"))
    await store.put_link(link(3, "ann@example.com"))
    assert await found(store, range(1, 4)) == [2, 3]


async def test_the_oldest_links_go_when_there_are_too_many(store: AuthStore) -> None:
    for number in range(1, 8):
        await store.put_link(link(number))
    assert await found(store, range(1, 8)) == [5, 6, 7]


async def test_a_link_that_is_no_longer_good_makes_room(store: AuthStore) -> None:
    await store.put_link(link(1, life=10))
    await store.put_link(link(2, at=20))
    assert await found(store, range(1, 3), now=5) == [2], "the first is gone, not only too old"
