"""The plain form of the state: taken bit by bit while it changes, restored, and hashed.

The plain form is a `Header` and one msgpack blob per account, in the order the accounts were opened. Prices are not
in it. The same commands give the same bytes in every process, Python version and platform.
"""

import hashlib

import msgspec

from exness.core.events import Trade
from exness.core.instruments import AccountId, Asset, Side
from exness.core.state import Account, SeenOrder, State


class Header(msgspec.Struct, frozen=True):
    """The part of the state that is no account. Money is micro-USDC."""

    seq: int
    at: int
    accounts: int
    house_pnl: int
    deposits: int
    shortfall: int


class PlainAccount(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An account without what follows from its trades: sums are made again, and can be larger than msgpack holds."""

    id: AccountId
    email: str
    opened_at: int
    free: int
    seq: int
    trades: list[Trade]
    seen: dict[str, SeenOrder]


_encode = msgspec.msgpack.Encoder().encode
_decode_account = msgspec.msgpack.Decoder(PlainAccount).decode


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
            account.seen,
        )
    )


def _account(plain: PlainAccount, number: int) -> Account:
    return Account(
        id=plain.id,
        number=number,
        email=plain.email,
        opened_at=plain.opened_at,
        free=plain.free,
        locked=sum(trade.margin for trade in plain.trades),
        notional=sum(trade.margin * trade.leverage for trade in plain.trades),
        seq=plain.seq,
        trades={trade.order: trade for trade in plain.trades},
        seen=plain.seen,
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


def _plain(total: int) -> int | str:
    """A sum over everything that ever happened can leave 64 bits behind, which is all that msgpack holds."""
    return total if abs(total) < 2**63 else str(total)


class Digest:
    """One hash of the state: money, trades and client order ids, not prices. Add every account, in order."""

    def __init__(self, header: Header) -> None:
        self._sha256 = hashlib.sha256(
            _encode((header.seq, header.accounts, *map(_plain, (header.house_pnl, header.deposits, header.shortfall))))
        )

    def add(self, account: bytes) -> None:
        self._sha256.update(account)

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
        self._trades: dict[tuple[Asset, Side], list[Trade]] = {}

    def add(self, encoded: bytes) -> None:
        """Add the next account."""
        state = self._state
        account = _account(_decode_account(encoded), len(state.account_list))
        state.list_account(account)
        for trade in account.trades.values():
            self._trades.setdefault((trade.asset, trade.side), []).append(trade)
        state.open_trades += len(account.trades)
        state.free += account.free
        state.locked += account.locked

    def finish(self) -> State:
        """The whole state. Raises ValueError when accounts are missing, BooksError when the books do not balance."""
        state, header = self._state, self._header
        if len(state.account_list) != header.accounts:
            raise ValueError(f"{header.accounts} accounts were promised, {len(state.account_list)} are there")
        for (asset, side), trades in self._trades.items():
            market = state.market(asset)
            market.index(side).load(trades)
            notional = sum(trade.margin * trade.leverage for trade in trades)
            market.open_interest += notional
            market.exposure += notional if side is Side.LONG else -notional
        state.seq, state.at = header.seq, header.at
        state.house_pnl, state.deposits, state.shortfall = header.house_pnl, header.deposits, header.shortfall
        state.check_books()
        return state
