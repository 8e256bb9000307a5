"""What the stream needs of a dialect: the bytes of what it tells. Who is told, and when, is the stream's business."""

from typing import Protocol

import msgspec

from exness.core.events import AccountEvent, Record, TradeClosed, TradeOpened
from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.core.statement import Reason, entries
from exness.core.views import Holdings, Quote
from exness.runtime.candles import Candle


class ShownPrice(Protocol):
    """A price as the dialect shows it."""

    @property
    def state(self) -> str: ...


class AccountEncoder(Protocol):
    """The frames of one exchange's accounts."""

    async def snapshot(self, channel: str, holdings: Holdings) -> bytes:
        """What a channel shows of an account. The loop turns meanwhile."""
        ...

    def event(self, channel: str, record: Record, ledger: "Ledger") -> bytes | None:
        """What a channel tells of a record: nothing, or one frame. `ledger` is the account after it."""
        ...


class StreamEncoder(Protocol):
    """Makes the frames of one stream, and counts them."""

    made: int

    def frame(self, channel: str, seq: int, at: int, kind: str, data: object) -> bytes:
        """A frame as it goes over the wire. `at` is in microseconds; `data` is one of protocol.py, or made below."""
        ...

    def price(self, asset: Asset, quote: Quote, rules: Rules) -> ShownPrice: ...

    def candle(self, candle: Candle, decimals: int) -> object: ...

    def time(self, at: int) -> str:
        """Microseconds as a text."""
        ...

    def accounts(self, rules: Rules) -> AccountEncoder: ...


class Ledger(msgspec.Struct):
    """What an account has locked after the record `seq`, in micro-USDC. An event tells the free balance alone, so it is
    counted along."""

    seq: int
    locked: int
    open_trades: int

    def take(self, record: Record, sign: int = 1) -> None:
        """Count a record in, or (`sign` -1) out again."""
        assert isinstance(record.event, AccountEvent), "what concerns no account locks nothing"
        locked, trades = _locks(record.event)
        self.locked += sign * locked
        self.open_trades += sign * trades
        self.seq = record.seq


def _locks(event: AccountEvent) -> tuple[int, int]:
    """What an event adds to the locked margin and to the number of open trades."""
    match event:
        case TradeOpened(trade):
            return trade.margin, 1
        case TradeClosed():
            return -event.margin, -1
        case _:
            return -sum(amount for reason, amount in entries(event) if reason is Reason.MARGIN), 0
