"""What every AuthStore does: links that open once, sessions that stay ended."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exness.access.ports import AuthStore, Link, Revocations, StoredKey, StoredSession
from exness.storage.auth import open_auth
from tests.support.memory_auth import MemoryAuth
from tests.support.postgres import Postgres

KEPT = 3
"""Links."""
ENDED_KEPT = 20
KEYS_KEPT = 6
SESSIONS_KEPT = 8
PURPOSES = ("signup", "signin")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuthStore]:
    kept: dict[str, Any] = {"links_kept": KEPT, "ended_kept": ENDED_KEPT}
    kept |= {"keys_kept": KEYS_KEPT, "sessions_kept": SESSIONS_KEPT}
    if request.param == "memory":
        yield MemoryAuth(**kept)
    elif request.param == "sqlite":
        async with open_auth(tmp_path, **kept) as auth:
            yield auth
    else:
        server: Postgres = request.getfixturevalue("postgres")
        from exness.storage.postgres import auth as in_postgres  # needs asyncpg
        from exness.storage.postgres.session import Address

        async with in_postgres.open_auth(Address(server.url, request.getfixturevalue("schema")), **kept) as access:
            yield access


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


@pytest.mark.parametrize(("now", "works"), [(99, True), (1, True), (-100, True), (-101, False), (-(10**9), False)])
async def test_a_link_from_the_future_works_while_it_is_ahead_by_no_more_than_its_life(
    store: AuthStore, now: int, works: bool
) -> None:
    """The clock was set back since: nobody gets a link that works for years."""
    await store.put_link(link(1))
    assert (await store.find_link(link(1).token_hash, PURPOSES, now) is not None) == works
    assert (await store.take_link(link(1).token_hash, PURPOSES, now) is not None) == works


# --- sessions that end ----------------------------------------------------------------------------------------------


async def news(store: AuthStore, after: int = 0) -> Revocations:
    """Without the id of the store."""
    revocations = await store.revocations(after)
    return Revocations("", *(getattr(revocations, name) for name in Revocations.__struct_fields__[1:]))


async def test_what_ended_is_told_in_the_order_in_which_it_did(store: AuthStore) -> None:
    assert await news(store) == Revocations()
    await store.end_session("a", 10, 100)
    await store.end_sessions_of("ann@example.com", 5, 95)
    await store.end_session("b", 5, 95)
    everything = Revocations("", 3, 0, {"a": 1, "b": 3}, {"ann@example.com": 2})
    assert await news(store) == everything
    assert await news(store, after=1) == Revocations("", 3, 0, {"b": 3}, {"ann@example.com": 2})
    assert await news(store, after=3) == Revocations("", 3)
    await store.end_sessions_of("ann@example.com", 5, 95)
    assert await news(store, after=3) == Revocations("", 4, 0, {}, {"ann@example.com": 4})
    assert await news(store) == Revocations("", 4, 0, {"a": 1, "b": 3}, {"ann@example.com": 4})


async def test_only_what_another_process_may_have_done_makes_it_worth_reading_again(store: AuthStore) -> None:
    assert store.changed(), "nothing was read yet"
    await store.revocations(0)
    assert not store.changed()
    await store.end_session("a", 10, 100)
    assert not store.changed(), "who ends a session knows it"
    for _ in range(3):
        await store.end_sessions_of("ann@example.com", 10, 100)
        assert store.changed()
        await store.revocations(0)
        assert not store.changed()


async def test_what_has_expired_makes_room_and_is_covered_by_the_oldest_generation(store: AuthStore) -> None:
    await store.end_session("a", 10, 110)
    await store.end_sessions_of("ann@example.com", 20, 120)
    await store.end_session("b", 30, 130)
    await store.end_session("c", 119, 219)
    assert await news(store) == Revocations("", 4, 1, {"b": 3, "c": 4}, {"ann@example.com": 2})
    await store.end_session("d", 120, 220)
    assert await news(store) == Revocations("", 5, 2, {"b": 3, "c": 4, "d": 5})


async def test_there_is_a_bound_beyond_which_the_oldest_make_room(store: AuthStore) -> None:
    for number in range(100):
        await store.end_session(f"session {number}", number, 10**6)
    revocations = await news(store)
    assert (revocations.generation, revocations.oldest) == (100, 80)
    assert revocations.sessions == {f"session {number}": number + 1 for number in range(80, 100)}


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_clock_says_nothing_that_ended_is_forgotten(store: AuthStore, seed: int) -> None:
    """Each of many sessions is issued in some generation and may be ended by its id or its address, at times that leap
    in both directions: it is then in the list, or of a generation that is covered."""
    rng = random.Random(seed)
    issued: list[tuple[str, str, int]] = []
    ended: set[str] = set()
    for number in range(60):
        generation = (await store.revocations(10**6)).generation
        issued.append((f"session {number}", f"{rng.randrange(5)}@example.com", generation))
        now = rng.choice([0, 10, 10**3, 10**6]) + number
        name, email, _ = rng.choice(issued)
        if rng.random() < 0.5:
            await store.end_session(name, now, now + 100)
            ended.add(name)
        elif rng.random() < 0.3:
            await store.end_sessions_of(email, now, now + 100)
            ended |= {each for each, theirs, _ in issued if theirs == email}
        known = await store.revocations(0)
        assert len(known.sessions) + len(known.addresses) <= ENDED_KEPT
        for name, email, generation in issued:
            if name in ended:
                assert (
                    generation < known.oldest or name in known.sessions or generation < known.addresses.get(email, 0)
                ), f"seed {seed}: {name} is back"


# --- API keys -------------------------------------------------------------------------------------------------------

ANN, BOB = "ann@example.com", "bob@example.com"


def key(number: int, email: str = ANN, *, expires_at: int | None = None) -> StoredKey:
    return StoredKey(f"key {number}", email, "bot", "read,trade", number, expires_at, bytes([number]) * 40)


async def kept(store: AuthStore) -> list[StoredKey]:
    return sorted(await store.api_keys(), key=lambda each: each.created_at)


async def test_a_key_is_kept_whole_until_its_owner_removes_it(store: AuthStore) -> None:
    assert await kept(store) == []
    assert await store.put_api_key(key(1, expires_at=100), 0, 9)
    assert await store.put_api_key(key(2, BOB), 0, 9)
    assert await kept(store) == [key(1, expires_at=100), key(2, BOB)]
    assert not await store.remove_api_key(BOB, "key 1"), "it is not his"
    assert not await store.remove_api_key(ANN, "key 3")
    assert await kept(store) == [key(1, expires_at=100), key(2, BOB)]
    assert await store.remove_api_key(ANN, "key 1")
    assert not await store.remove_api_key(ANN, "key 1")
    assert await kept(store) == [key(2, BOB)]


async def test_an_address_has_so_many_keys_and_what_has_expired_makes_room(store: AuthStore) -> None:
    assert await store.put_api_key(key(1, expires_at=100), 0, 2)
    assert await store.put_api_key(key(2), 0, 2)
    assert not await store.put_api_key(key(3), 99, 2)
    assert await kept(store) == [key(1, expires_at=100), key(2)]
    assert await store.put_api_key(key(3), 100, 2)
    assert await kept(store) == [key(2), key(3)]


async def test_all_addresses_together_have_so_many_keys_too(store: AuthStore) -> None:
    for number in range(1, KEYS_KEPT + 1):
        assert await store.put_api_key(
            key(number, f"{number}@example.com", expires_at=100 if number < 3 else None), 0, 9
        )
    full = await kept(store)
    assert not await store.put_api_key(key(7), 99, 9)
    assert await kept(store) == full
    assert await store.put_api_key(key(7), 100, 9)
    assert await kept(store) == [*full[2:], key(7)]


async def test_a_key_that_is_made_or_removed_makes_it_worth_reading_again(store: AuthStore) -> None:
    async def is_news() -> bool:
        changed = store.changed()
        await store.revocations(0)
        assert not store.changed()
        return changed

    assert await is_news(), "nothing was read yet"
    await store.put_api_key(key(1), 0, 1)
    assert await is_news()
    await store.put_api_key(key(2), 0, 1)
    await store.remove_api_key(BOB, "key 1")
    await store.reseal_api_key(key(1))
    assert not await is_news()
    await store.remove_api_key(ANN, "key 1")
    assert await is_news()


async def test_the_secret_of_a_key_is_sealed_anew_and_nothing_else_changes(store: AuthStore) -> None:
    await store.put_api_key(key(1), 0, 9)
    await store.put_api_key(key(2), 0, 9)
    await store.reseal_api_key(StoredKey("key 1", BOB, "other", "read", 7, 8, b"anew"))
    first, second = await kept(store)
    assert (first, second) == (msgspec.structs.replace(key(1), sealed=b"anew"), key(2))
    await store.reseal_api_key(key(3))
    assert len(await kept(store)) == 2, "one that was removed meanwhile does not come back"


# --- sessions that are listed -----------------------------------------------------------------------------------------


def session(number: int, email: str = ANN, *, at: int = 0, generation: int = 0) -> StoredSession:
    return StoredSession(
        f"s{number}", email, generation, at, at + 100, "signer", "link", f"client {number}", "192.0.2.7"
    )


async def put(store: AuthStore, *sessions: StoredSession, now: int = 0, most: int = 9) -> None:
    await store.put_sessions(sessions, now, now + 100, most)


async def listed(store: AuthStore, email: str = ANN) -> list[str]:
    return [each.id for each in await store.sessions_of(email)]


async def test_a_session_is_listed_whole_to_its_own_address_oldest_first(store: AuthStore) -> None:
    await put(store, session(1, at=7), session(2, BOB))
    await put(store, session(3))
    assert await store.sessions_of(ANN) == [session(1, at=7), session(3)], "by no clock"
    assert await store.sessions_of(BOB) == [session(2, BOB)]
    assert await store.sessions_of("eve@example.com") == []


async def test_what_ends_is_listed_no_more(store: AuthStore) -> None:
    await put(store, session(1), session(2), session(3, BOB), session(4))
    await store.end_session("s1", 10, 110)
    assert await listed(store) == ["s2", "s4"]
    await store.end_sessions_of(ANN, 10, 110)
    assert (await listed(store), await listed(store, BOB)) == ([], ["s3"])
    await store.end_session("s2", 10, 110)
    await put(store, session(5, generation=3))
    assert await listed(store) == ["s5"]


async def test_the_oldest_of_an_address_is_ended_when_there_are_too_many(store: AuthStore) -> None:
    await put(store, session(1), session(2, BOB), session(3), most=2)
    await store.revocations(0)
    assert not store.changed()
    await put(store, session(4), most=2)
    assert await listed(store) == ["s3", "s4"]
    assert store.changed(), "a server has to learn it"
    assert (await news(store)).sessions == {"s1": 1}
    await put(store, session(5), session(6), session(7), most=2)
    assert (await listed(store), await listed(store, BOB)) == (["s6", "s7"], ["s2"])
    assert (await news(store)).sessions.keys() == {"s1", "s3", "s4", "s5"}


async def test_a_session_that_has_expired_makes_room_and_is_not_ended(store: AuthStore) -> None:
    await put(store, session(1), session(2, BOB), session(3, at=50), most=2)
    await put(store, session(4, at=100), now=100, most=2)
    assert (await listed(store), await listed(store, BOB)) == (["s3", "s4"], [])
    assert await news(store) == Revocations()


async def test_of_all_addresses_the_last_so_many_are_listed_and_no_other_is_ended(store: AuthStore) -> None:
    for number in range(SESSIONS_KEPT + 2):
        await put(store, session(number, f"{number}@example.com"))
    rows = [await listed(store, f"{number}@example.com") for number in range(SESSIONS_KEPT + 2)]
    assert rows == [[], [], *([f"s{number}"] for number in range(2, SESSIONS_KEPT + 2))]
    assert await news(store) == Revocations()


async def test_all_others_of_an_address_end_but_the_one_that_asks(store: AuthStore) -> None:
    await put(store, session(1), session(2), session(3, BOB))
    await store.revocations(0)
    assert await store.end_other_sessions("s1", ANN, 0, 10, 110)
    assert store.changed(), "a server has to learn it"
    assert (await listed(store), await listed(store, BOB)) == (["s1"], ["s3"])
    assert await news(store) == Revocations("", 1, 0, {}, {ANN: 1}, {ANN: "s1"})
    assert await store.end_other_sessions("s1", ANN, 0, 10, 110), "again, and it is still spared"
    assert await news(store) == Revocations("", 2, 0, {}, {ANN: 2}, {ANN: "s1"})
    await store.end_sessions_of(ANN, 10, 110)
    assert await listed(store) == []
    assert await news(store, after=2) == Revocations("", 3, 0, {}, {ANN: 3})


async def test_one_that_has_been_ended_ends_no_others_and_does_not_come_back(store: AuthStore) -> None:
    await put(store, session(1), session(2), session(4))
    assert await store.end_other_sessions("s1", ANN, 0, 10, 110)
    before = await news(store)
    assert not await store.end_other_sessions("s2", ANN, 0, 10, 110), "by the others' end"
    await store.end_session("s1", 10, 110)
    assert not await store.end_other_sessions("s1", ANN, 0, 10, 110), "by its own"
    assert (await news(store)).addresses == before.addresses
    await put(store, session(5, generation=2))
    assert await store.end_other_sessions("s5", ANN, 2, 10, 110), "made since"
    assert (await news(store)).spared == {ANN: "s5"}
    for number in range(ENDED_KEPT + 1):
        await store.end_session(f"other {number}", 10, 110)
    assert not await store.end_other_sessions("s5", ANN, 2, 10, 110), "of a generation that made room"


async def test_of_two_that_end_each_other_at_the_same_time_one_is_left(store: AuthStore) -> None:
    await put(store, session(1), session(2))
    done = await asyncio.gather(*(store.end_other_sessions(each, ANN, 0, 10, 110) for each in ("s1", "s2")))
    assert sorted(done) == [False, True]
    assert await listed(store) == [("s1", "s2")[done.index(True)]]
