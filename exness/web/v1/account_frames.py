"""What `trades` and `account` tell: the snapshot of an account, and the frame of each record after it."""

import msgspec

from exness.core.events import AccountOpened, Event, Record, StartedAfresh, TradeClosed, TradeLiquidated, TradeOpened
from exness.core.money import format_scaled, format_usdc
from exness.core.rules import Rules
from exness.core.views import Holdings
from exness.web.stream.encoding import Ledger, StreamEncoder
from exness.web.stream.protocol import TRADES
from exness.web.v1.holdings import rows_of
from exness.web.v1.models import OpenTradeFixed, iso, opened_with


class BalanceData(msgspec.Struct, frozen=True, rename="camel"):
    """The account after the record of this frame."""

    balance: str
    locked_margin: str
    open_trades: int


class OpenedData(OpenTradeFixed, frozen=True, kw_only=True, rename="camel"):
    """As the answer to /trade/create."""

    balance: str


class ClosedData(msgspec.Struct, frozen=True, rename="camel"):
    """As the answer to /trade/close, with its asset."""

    order_id: str
    asset: str
    close_price: str
    pnl: str
    returned: str
    liquidated: bool
    shortfall: str
    closed_at: str
    balance: str


class LiquidatedData(ClosedData, frozen=True, rename="camel"):
    """Like `closed`; `closePrice` is the mark of the tick that did it, which had this bid and ask."""

    mark: str
    bid: str
    ask: str


class AccountFrames:
    """Makes the frames of one exchange's accounts."""

    def __init__(self, rules: Rules, encoder: StreamEncoder) -> None:
        self._rules = rules
        self._encoder = encoder

    async def snapshot(self, channel: str, holdings: Holdings) -> bytes:
        """What a channel shows of an account. The loop turns between rows."""
        data: object
        if channel == TRADES:
            data = await rows_of(holdings, holdings.trades, self._rules)
        else:
            data = _balance(holdings.owner.free, holdings.owner.locked, len(holdings.trades))
        return self._encoder.frame(channel, holdings.newest, holdings.at, "snapshot", data)

    def event(self, channel: str, record: Record, ledger: Ledger) -> bytes | None:
        """What a channel tells of a record: nothing, or one frame. `ledger` is the account after it."""
        told = self._trade_news(record) if channel == TRADES else ("balance", _balance_after(record.event, ledger))
        if told is None:
            return None
        kind, data = told
        return self._encoder.frame(channel, record.seq, record.at, kind, data)

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


def opened_data(event: TradeOpened, rules: Rules) -> OpenedData:
    """Raises KeyError when the asset is not configured any more. So do the two below."""
    fixed = opened_with(event.trade, rules.instruments[event.trade.asset].decimals)
    return OpenedData(**msgspec.structs.asdict(fixed), balance=format_usdc(event.balance))


def closed_data(event: TradeClosed, at: int, rules: Rules) -> ClosedData:
    return ClosedData(
        order_id=event.order,
        asset=event.asset,
        close_price=format_scaled(event.price, rules.instruments[event.asset].decimals),
        pnl=format_usdc(event.pnl),
        returned=format_usdc(event.returned),
        liquidated=False,
        shortfall=format_usdc(event.shortfall),
        closed_at=iso(at),
        balance=format_usdc(event.balance),
    )


def liquidated_data(event: TradeLiquidated, at: int, rules: Rules) -> LiquidatedData:
    decimals = rules.instruments[event.asset].decimals
    mark = format_scaled(event.mark, decimals)
    return LiquidatedData(
        order_id=event.order,
        asset=event.asset,
        close_price=mark,
        pnl=format_usdc(event.pnl),
        returned=format_usdc(0),
        liquidated=True,
        shortfall=format_usdc(event.shortfall),
        closed_at=iso(at),
        balance=format_usdc(event.balance),
        mark=mark,
        bid=format_scaled(event.bid, decimals),
        ask=format_scaled(event.ask, decimals),
    )
