"""The plain form of the state: taken bit by bit while it changes, restored, and hashed.

The plain form is a `Header` and one msgpack blob per account, in the order the accounts were opened. Prices are not
in it. The same commands give the same bytes in every process, Python version and platform.
"""

import hashlib
import re
from sys import intern

import msgspec
from msgspec.structs import force_setattr

from exness.core.books import lock
from exness.core.events import Trade
from exness.core.instruments import AccountId, Side
from exness.core.plain import DECODERS, FORMAT, PlainAccount
from exness.core.state import NOTHING, Account, State


class Header(msgspec.Struct, frozen=True):
    """The part of the state that is no account. Money is micro-USDC.

    `journal` ties a stored picture to the journal it is of: what `ports.Journal.fingerprint` says of its `seq`. None
    before it is stored, and in snapshots of 0.1.0. `format` is the form of its accounts (see `plain`).
    """

    seq: int
    at: int
    accounts: int
    house_pnl: int
    deposits: int
    shortfall: int
    journal: int | None = None
    format: int = FORMAT


class _PlainHeader(msgspec.Struct, frozen=True):
    """A Header as it is stored. A sum over everything that ever happened can outgrow the 64 bits that msgpack holds:
    then it is its decimal text."""

    seq: int
    at: int
    accounts: int
    house_pnl: int | str
    deposits: int | str
    shortfall: int | str
    journal: int | None = None
    format: int = 1
    """Which was not written at first."""


_encode = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(_PlainHeader).decode
_LONG = Side.LONG  # to look it up for every trade would take 80 ns each
_INTEGER = re.compile(r"-?[0-9]{1,100}")


def encode_account(account: Account) -> bytes:
    """The plain form of one account."""
    return _encode(
        PlainAccount(
            account.id,
            account.email,
            account.opened_at,
            account.free,
            account.seq,
            list(account.trades.values()),
            dict(account.seen),
        )
    )


def header_of(state: State) -> Header:
    return Header(
        seq=state.seq,
        at=state.at,
        accounts=len(state.account_list),
        house_pnl=state.house_pnl,
        deposits=state.deposits,
        shortfall=state.shortfall,
    )


def encode_header(header: Header) -> bytes:
    """The plain form of a header."""
    return _encode(
        _PlainHeader(
            header.seq,
            header.at,
            header.accounts,
            _plain(header.house_pnl),
            _plain(header.deposits),
            _plain(header.shortfall),
            header.journal,
            header.format,
        )
    )


def decode_header(encoded: bytes) -> Header:
    """The header back from its plain form. Raises msgspec.DecodeError for bytes that are none, or of a later form."""
    plain = _decode_header(encoded)
    if plain.format not in DECODERS:
        raise msgspec.DecodeError(f"its format {plain.format} is unknown")
    return Header(
        plain.seq,
        plain.at,
        plain.accounts,
        _sum_of(plain.house_pnl),
        _sum_of(plain.deposits),
        _sum_of(plain.shortfall),
        plain.journal,
        plain.format,
    )


def _plain(total: int) -> int | str:
    return total if abs(total) < 2**63 else str(total)


def _sum_of(plain: int | str) -> int:
    if isinstance(plain, int):
        return plain
    if not _INTEGER.fullmatch(plain):
        raise msgspec.DecodeError(f"{plain[:40]!r} is no sum")
    return int(plain)


class Digest:
    """One hash of the state: money, trades and client order ids, not prices. Add every account, in order."""

    def __init__(self, header: Header) -> None:
        self._sha256 = hashlib.sha256(
            _encode((header.seq, header.accounts, *map(_plain, (header.house_pnl, header.deposits, header.shortfall))))
        )

    def add(self, accounts: bytes) -> None:
        """The next account, or several behind one another."""
        self._sha256.update(accounts)

    def hex(self) -> str:
        """64 hex digits."""
        return self._sha256.hexdigest()


def digest_of(state: State) -> str:
    """The digest of a whole state at once: O(accounts + trades)."""
    digest = Digest(header_of(state))
    for account in state.account_list:
        digest.add(encode_account(account))
    return digest.hex()


class Capture:
    """A picture of the state at one `seq`, taken in steps while the state goes on changing.

    `evolve` shows an account before it changes it: if the picture has not come to it yet, it is encoded then, as it
    was. So the picture is of one moment, and no step of it is long. One picture at a time.

        with Capture(state) as capture:
            while accounts := capture.take(500):
                ...write them, let the loop turn...
    """

    def __init__(self, state: State) -> None:
        self.header = header_of(state)
        self._state = state
        self._accounts = state.account_list
        """The list itself: `State.clear` puts another one in its place and leaves this one as it is."""
        self._next = 0
        self._early: dict[int, bytes] = {}

    def __enter__(self) -> "Capture":
        if self._state.observer is not None:
            raise AssertionError("another picture of this state is being taken")
        self._state.observer = self
        return self

    def __exit__(self, *_: object) -> None:
        self._state.observer = None

    def keep(self, account: Account) -> None:
        """Called by `evolve` before it changes an account."""
        if account.number >= self._next and account.seq <= self.header.seq:
            self._early[account.number] = encode_account(account)

    def take(self, budget: int) -> list[bytes]:
        """The next encoded accounts: at least one, about `budget` accounts, trades and client order ids together.
        Empty when the picture is whole."""
        taken = []
        while budget > 0 and self._next < self.header.accounts:
            account = self._accounts[self._next]
            taken.append(self._early.pop(self._next, b"") or encode_account(account))
            self._next += 1
            budget -= 1 + len(account.trades) + len(account.seen)
        return taken


class Restorer:
    """Builds the state back from its plain form. `add` raises msgspec.DecodeError on bytes that are no account."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._state = State()
        self._decode = DECODERS[header.format]

    def add(self, encoded: bytes) -> None:
        """Add the next account."""
        state = self._state
        plain = self._decode(encoded)
        account = Account(
            id=plain.id,
            number=len(state.account_list),
            email=plain.email,
            opened_at=plain.opened_at,
            free=plain.free,
            seq=plain.seq,
            trades={trade.id: trade for trade in plain.trades} or NOTHING,
            seen=plain.seen or NOTHING,
        )
        lock(state, account, plain.trades)
        for trade in plain.trades:
            _share_names(trade, plain.id)
            market = state.markets[trade.asset]
            (market.longs if trade.side is _LONG else market.shorts).add_unsorted(trade)
        state.list_account(account)
        state.free += account.free

    def finish(self) -> State:
        """The whole state. Raises ValueError when accounts are missing, BooksError when the books do not balance."""
        state, header = self._state, self._header
        if len(state.account_list) != header.accounts:
            raise ValueError(f"{header.accounts} accounts were promised, {len(state.account_list)} are there")
        for market in state.markets.values():
            market.longs.sort()
            market.shorts.sort()
        state.seq, state.at = header.seq, header.at
        state.house_pnl, state.deposits, state.shortfall = header.house_pnl, header.deposits, header.shortfall
        state.check_books()
        return state


def _share_names(trade: Trade, account: AccountId) -> None:
    """Its account and asset become the strings that others have, as they were before: decoded copies of its own would
    take 160 bytes for as long as it is open. Equal for equal, so that what is frozen stays what it was."""
    assert trade.account == account, "a trade lies in its own account"
    force_setattr(trade, "account", account)
    force_setattr(trade, "asset", intern(trade.asset))
