"""The plain form of the state: taken bit by bit while it changes, restored, and hashed.

The plain form is a `Header` and one msgpack blob per account, in the order the accounts were opened. Prices are not
in it. The same commands give the same bytes in every process, Python version and platform.
"""

import hashlib
import re
from sys import intern

import msgspec
from msgspec.structs import force_setattr, replace

from exness.core import books
from exness.core.ceilings import STORED
from exness.core.events import ProfileSet
from exness.core.instruments import AccountId, Asset
from exness.core.market import Trails
from exness.core.plain import DECODERS, FORMAT, PlainAccount
from exness.core.rates import Rates
from exness.core.state import NOTHING, Account, Extras, House, Net, State
from exness.core.trades import Order, Trade


class Header(msgspec.Struct, frozen=True):
    """The part of the state that is no account. Money is micro-USDC.

    `journal` ties a stored picture to the journal it is of: what `ports.Journal.fingerprint` says of its `seq`. None
    before it is stored, and in snapshots of 0.1.0. `format` is the form of its accounts (see `plain`). `rates` and
    `profile` were set by hand; `trails` says how far trailing stops have come.
    """

    seq: int
    at: int
    accounts: int
    house_pnl: int
    deposits: int
    shortfall: int
    journal: int | None = None
    format: int = FORMAT
    house_commission: int = 0
    house_funding: int = 0
    insurance: int = 0
    trails: dict[Asset, Trails] = {}
    rates: dict[Asset, Rates] = {}
    profile: ProfileSet | None = None

    @property
    def sums(self) -> tuple[int, ...]:
        """Of everything that ever happened."""
        house = (self.house_pnl, self.house_commission, self.house_funding, self.insurance)
        return (*house, self.deposits, self.shortfall)


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
    house_commission: int | str = 0
    house_funding: int | str = 0
    insurance: int | str = 0
    trails: dict[Asset, Trails] = {}
    rates: dict[Asset, Rates] = {}
    profile: ProfileSet | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(_PlainHeader).decode
_INTEGER = re.compile(r"-?[0-9]{1,100}")


def encode_account(account: Account) -> bytes:
    """The plain form of one account."""
    try:
        return _encode(_plain_account(account, list(account.trades.values())))
    except OverflowError:  # trades of 0.1.0, which knew no ceiling of sizes; nothing but an end comes to them
        trades = [replace(trade, size=min(trade.size, STORED)) for trade in account.trades.values()]
        return _encode(_plain_account(account, trades))


def _plain_account(account: Account, trades: list[Trade]) -> PlainAccount:
    return PlainAccount(
        account.id,
        account.email,
        account.opened_at,
        account.free,
        account.seq,
        trades,
        dict(account.seen),
        list(account.orders.values()),
        {asset: net.leverage for asset, net in sorted(account.nets.items()) if net.leverage},
    )


def header_of(state: State) -> Header:
    return Header(
        seq=state.seq,
        at=state.at,
        accounts=len(state.account_list),
        house_pnl=state.house.pnl,
        deposits=state.deposits,
        shortfall=state.shortfall,
        house_commission=state.house.commission,
        house_funding=state.house.funding,
        insurance=state.house.insurance,
        trails={
            asset: trails for asset, market in sorted(state.markets.items()) if (trails := market.trails()) is not None
        },
        rates=dict(state.rates),
        profile=state.profile,
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
            _plain(header.house_commission),
            _plain(header.house_funding),
            _plain(header.insurance),
            header.trails,
            header.rates,
            header.profile,
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
        _sum_of(plain.house_commission),
        _sum_of(plain.house_funding),
        _sum_of(plain.insurance),
        plain.trails,
        plain.rates,
        plain.profile,
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
    """One hash of the state: money, trades, orders and client order ids, not prices. Add every account, in order."""

    def __init__(self, header: Header) -> None:
        if header.format == 1:
            money = map(_plain, (header.house_pnl, header.deposits, header.shortfall))
            known: tuple[object, ...] = (header.seq, header.accounts, *money)
        else:
            sums = [*map(_plain, header.sums)]
            known = header.seq, header.accounts, sums, header.trails, header.rates, header.profile
        self._sha256 = hashlib.sha256(_encode(known))

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
        """The next encoded accounts: at least one, about `budget` accounts, trades, orders and client order ids
        together. Empty when the picture is whole."""
        taken = []
        while budget > 0 and self._next < self.header.accounts:
            account = self._accounts[self._next]
            taken.append(self._early.pop(self._next, b"") or encode_account(account))
            self._next += 1
            budget -= 1 + len(account.trades) + len(account.orders) + len(account.seen)
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
        )
        if plain.orders or plain.net_leverage or plain.seen:
            account.extras = Extras(
                orders={order.id: order for order in plain.orders},
                nets={asset: Net(leverage) for asset, leverage in plain.net_leverage.items()},
                seen=plain.seen,
            )
        for trade in plain.trades:
            _share_names(trade, plain.id)
            if trade.size == STORED:
                force_setattr(trade, "size", trade.margin * trade.leverage)
            books.count(state, account, trade, 1)
            books.hold(state, account, trade)
            state.markets[trade.asset].load_trade(trade)
        for order in plain.orders:
            _share_names(order, plain.id)
            books.reserve(state, account, order, 1)
            books.await_expiry(state, account, order)
            state.market(order.asset).load_order(order)
        state.list_account(account)
        state.free += account.free

    def finish(self) -> State:
        """The whole state. Raises ValueError when accounts are missing, BooksError when the books do not balance."""
        state, header = self._state, self._header
        if len(state.account_list) != header.accounts:
            raise ValueError(f"{header.accounts} accounts were promised, {len(state.account_list)} are there")
        for asset, market in state.markets.items():
            market.loaded(header.trails.get(asset))
        state.seq, state.at = header.seq, header.at
        state.deposits, state.shortfall = header.deposits, header.shortfall
        state.house = House(header.house_pnl, header.house_commission, header.house_funding, header.insurance)
        state.rates, state.profile = dict(header.rates), header.profile
        state.check_books()
        return state


def _share_names(trade: Trade | Order, account: AccountId) -> None:
    """Its account and asset become the strings that others have, as they were before: decoded copies of its own would
    take 160 bytes for as long as it is open. Equal for equal, so that what is frozen stays what it was."""
    assert trade.account == account, "a trade, or an order, lies in its own account"
    force_setattr(trade, "account", account)
    force_setattr(trade, "asset", intern(trade.asset))
