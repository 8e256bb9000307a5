"""What `trades` and `account` tell: the snapshot of an account, and the frame of each record after it.

An event tells the free balance alone; what is locked is counted along, in a Ledger.
"""

import msgspec

from exness.core.events import AccountOpened, Event, Record, StartedAfresh, TradeClosed, TradeLiquidated, TradeOpened
from exness.core.money import format_usdc
from exness.core.state import Account
from exness.runtime.exchange import Exchange
from exness.web.stream.protocol import (
    TRADES,
    BalanceData,
    Frame,
    FrameEncoder,
    closed_data,
    liquidated_data,
    opened_data,
)
from exness.web.v1.holdings import Holdings
from exness.web.v1.models import iso


class Ledger(msgspec.Struct):
    """What an account has locked after the record `seq`, in micro-USDC. The event tells the free balance."""

    seq: int
    locked: int
    open_trades: int

    def take(self, record: Record, sign: int = 1) -> None:
        """Count a record in, or (`sign` -1) out again."""
        locked, trades = _locks(record.event)
        self.locked += sign * locked
        self.open_trades += sign * trades
        self.seq = record.seq


def _locks(event: Event) -> tuple[int, int]:
    """What an event adds to the locked margin and to the number of open trades."""
    match event:
        case TradeOpened(trade):
            return trade.margin, 1
        case TradeClosed() | TradeLiquidated():
            return -event.margin, -1
        case _:
            return 0, 0


class AccountFrames:
    """Makes the frames of one exchange's accounts."""

    def __init__(self, exchange: Exchange, encoder: FrameEncoder) -> None:
        self._exchange = exchange
        self._rules = exchange.rules
        self._encoder = encoder

    def taken(self, account: Account) -> Holdings:
        """What `snapshot` shows of an account now."""
        return Holdings(self._exchange, account)

    async def snapshot(self, channel: str, holdings: Holdings, seq: int) -> bytes:
        """What a channel shows of an account; `seq` is the state's when it was taken. The loop turns between rows."""
        data: object
        if channel == TRADES:
            data = await holdings.rows(holdings.trades)
        else:
            data = _balance(holdings.account.free, holdings.account.locked, len(holdings.trades))
        return self._encoder.encoded(Frame(channel, seq, iso(holdings.at), "snapshot", data))

    def event(self, channel: str, record: Record, ledger: Ledger) -> bytes | None:
        """What a channel tells of a record: nothing, or one frame. `ledger` is the account after it."""
        told = self._trade_news(record) if channel == TRADES else ("balance", _balance_after(record.event, ledger))
        if told is None:
            return None
        kind, data = told
        return self._encoder.encoded(Frame(channel, record.seq, iso(record.at), kind, data))

    def _trade_news(self, record: Record) -> tuple[str, object] | None:
        match record.event:
            case TradeOpened() as event:
                return "opened", opened_data(event, self._rules)
            case TradeClosed() as event:
                return "closed", closed_data(event, record.at, self._rules)
            case TradeLiquidated() as event:
                return "liquidated", liquidated_data(event, record.at, self._rules)
            case _:
                return None


def _balance(free: int, locked: int, open_trades: int) -> BalanceData:
    return BalanceData(format_usdc(free), format_usdc(locked), open_trades)


def _balance_after(event: Event, ledger: Ledger) -> BalanceData:
    assert not isinstance(event, StartedAfresh), "no account is left to tell of"
    free = event.deposit if isinstance(event, AccountOpened) else event.balance
    return _balance(free, ledger.locked, ledger.open_trades)
