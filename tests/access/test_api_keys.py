"""API keys: what is kept of them opens under the auth secret alone, and what is found is what was made."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exness.access.api_keys import KEYS_PER_ACCOUNT, ApiKey, ApiKeys, Scope, Sealer, TooManyKeys
from exness.access.ports import StoredKey
from exness.access.revocations import RevocationWatch
from exness.access.sessions import Sessions
from exness.storage.auth import AUTH_DB, open_auth
from tests.support.app import SetWallClock
from tests.support.memory_auth import MemoryAuth

SECRET = b"the auth secret of these tests, which is long"
OTHER = b"another one that is as long as the first one was"
ANN, BOB = "ann@example.com", "bob@example.com"


class Desk:
    """A server's keys, and what they stand on."""

    def __init__(self, *auth_secrets: bytes, store: MemoryAuth | None = None) -> None:
        self.store = store or MemoryAuth()
        self.clock = SetWallClock()
        self.keys = ApiKeys(self.store, self.clock, Sealer(auth_secrets or (SECRET,)))
        sessions = Sessions(SECRET, self.clock, days=7, remembered=10)
        self.watch = RevocationWatch(self.store, sessions, self.keys, self.clock, look_s=0)

    async def made(self, email: str = ANN, name: str = "bot", **how: Any) -> ApiKey:
        key = await self.keys.create(email, name, **how)
        await self.watch.refresh(at_once=True)
        return key


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def sealed(desk: Desk) -> StoredKey:
    """A row of the database."""
    await desk.made()
    (row,) = desk.store.keys.values()
    return row


async def test_a_key_is_found_as_it_was_made(desk: Desk) -> None:
    now = desk.clock.wall_us()
    key = await desk.made(expires_at=now + 5)
    assert key == ApiKey(key.key, key.secret, ANN, "bot", frozenset(Scope), now, now + 5)
    assert (len(key.key), len(key.secret), key.may_trade) == (64, 64, True)
    assert desk.keys.find(key.key) == key
    assert desk.keys.find(key.key[:-1]) is None
    assert desk.keys.find("") is None


async def test_no_two_keys_or_secrets_are_the_same(desk: Desk) -> None:
    keys = [await desk.made() for _ in range(20)]
    assert len({each.key for each in keys} | {each.secret.decode() for each in keys}) == 40


async def test_who_may_trade_may_read_and_who_may_read_may_not_trade(desk: Desk) -> None:
    trading = await desk.made(scopes=[Scope.TRADE])
    reading = await desk.made(scopes=[Scope.READ])
    assert (trading.scopes, trading.may_trade) == (frozenset(Scope), True)
    assert (reading.scopes, reading.may_trade) == (frozenset({Scope.READ}), False)


async def test_a_key_ends_at_its_last_microsecond(desk: Desk) -> None:
    key = await desk.made(expires_at=desk.clock.wall_us() + 1_000_000)
    desk.clock.advance(0.999_999)
    assert desk.keys.find(key.key) == key
    desk.clock.advance(0.000_001)
    assert desk.keys.find(key.key) is None
    assert desk.keys.of(ANN) == []


async def test_an_account_sees_its_own_keys_oldest_first(desk: Desk) -> None:
    first = await desk.made(name="first")
    desk.clock.advance(1)
    await desk.made(BOB)
    second = await desk.made(name="second")
    assert desk.keys.of(ANN) == [first, second]
    assert desk.keys.of("nobody@example.com") == []


async def test_a_revoked_key_is_gone_at_once_and_another_ones_can_not_be_revoked(desk: Desk) -> None:
    key, other = await desk.made(), await desk.made(BOB)
    assert not await desk.keys.revoke(ANN, other.key)
    assert not await desk.keys.revoke(ANN, "no key")
    assert await desk.keys.revoke(ANN, key.key)
    assert desk.keys.find(key.key) is None
    await desk.watch.refresh()
    assert (desk.keys.find(key.key), desk.keys.find(other.key)) == (None, other)
    assert not await desk.keys.revoke(ANN, key.key)


async def test_an_account_has_so_many_keys_and_no_more(desk: Desk) -> None:
    keys = [await desk.made() for _ in range(KEYS_PER_ACCOUNT)]
    with pytest.raises(TooManyKeys):
        await desk.made()
    assert {each.key for each in desk.keys.of(ANN)} == {each.key for each in keys}
    await desk.made(BOB)
    await desk.keys.revoke(ANN, keys[0].key)
    await desk.made()


async def test_what_another_process_made_or_revoked_counts_after_a_refresh(desk: Desk) -> None:
    elsewhere = Desk(store=desk.store)
    key = await elsewhere.keys.create(ANN, "of the command line")
    assert desk.keys.find(key.key) is None
    await desk.watch.refresh()
    assert desk.keys.find(key.key) == key
    await elsewhere.keys.load()
    await elsewhere.keys.revoke(ANN, key.key)
    await desk.watch.refresh()
    assert desk.keys.find(key.key) is None


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_under_its_secret_alone(sealed: StoredKey) -> None:
    opened = Sealer([SECRET]).open(sealed)
    assert opened is not None
    assert opened[0].key == sealed.key
    assert Sealer([OTHER]).open(sealed) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"email": BOB},
        {"scopes": "read"},
        {"expires_at": 1},
        {"name": "other"},
        {"key": "0" * 64},
        {"created_at": 0},
        {"sealed": b""},
        {"sealed": b"short"},
        {"sealed": bytes(92)},
    ],
    ids=str,
)
def test_a_row_that_was_changed_is_no_key(sealed: StoredKey, changed: dict[str, Any]) -> None:
    assert Sealer([SECRET]).open(msgspec.structs.replace(sealed, **changed)) is None


async def test_a_key_outlives_a_change_of_the_secret_and_then_needs_the_old_one_no_more(desk: Desk) -> None:
    key = await desk.made()
    await desk.made(BOB)
    changing = Desk(OTHER, SECRET, store=desk.store)
    await changing.keys.load()
    assert changing.keys.find(key.key) == key
    after = Desk(OTHER, store=desk.store)
    await after.keys.load()
    assert after.keys.find(key.key) == key
    assert len(after.keys.of(BOB)) == 1
    without = Desk(SECRET, store=desk.store)
    await without.keys.load()
    assert without.keys.find(key.key) is None


def test_nothing_that_has_a_repr_shows_a_secret_or_an_address(sealed: StoredKey) -> None:
    opened = Sealer([SECRET]).open(sealed)
    assert opened is not None
    key = opened[0]
    for shown in (repr(key), repr(sealed), str(key)):
        assert key.secret.decode() not in shown
        assert ANN not in shown
        assert key.key not in shown


@pytest.fixture
async def stolen(tmp_path: Path) -> tuple[Path, ApiKey]:
    """auth.db as a thief gets it, and the key that is in it."""
    async with open_auth(tmp_path) as store:
        key = await ApiKeys(store, SetWallClock(), Sealer([SECRET])).create(ANN, "bot")
    return tmp_path / AUTH_DB, key


async def test_who_steals_the_database_has_no_secret_of_a_key(stolen: tuple[Path, ApiKey]) -> None:
    path, key = stolen
    assert key.key.encode() in path.read_bytes(), "it is the right file"
    for form in (key.secret, bytes.fromhex(key.secret.decode())):
        assert form not in path.read_bytes()


async def test_who_changes_the_database_gets_no_key_that_does_more(stolen: tuple[Path, ApiKey]) -> None:
    path, key = stolen
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE api_keys SET email = ?", (BOB,))
    async with open_auth(path.parent) as store:
        keys = ApiKeys(store, SetWallClock(), Sealer([SECRET]))
        await keys.load()
        assert keys.find(key.key) is None
        assert keys.of(BOB) == []
