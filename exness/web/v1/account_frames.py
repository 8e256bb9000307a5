"""What `trades` and `account` tell: the snapshot of an account, and the frame of each record after it."""

import msgspec

from exness.core.events import AccountEvent, Record, TradeClosed, TradeOpened
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
        assert isinstance(record.event, AccountEvent), "what concerns no account is told to none"
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
                return "liquidated" if event.liquidated else "closed", closed_data(event, record.at, self._rules)
            case _:
                return None


def _balance(free: int, locked: int, open_trades: int) -> BalanceData:
    return BalanceData(format_usdc(free), format_usdc(locked), open_trades)


def _balance_after(event: AccountEvent, ledger: Ledger) -> BalanceData:
    return _balance(event.balance, ledger.locked, ledger.open_trades)


def opened_data(event: TradeOpened, rules: Rules) -> OpenedData:
    """Raises KeyError when the asset is not configured any more. So does the one below."""
    fixed = opened_with(event.trade, rules.instruments[event.trade.asset].decimals)
    return OpenedData(**msgspec.structs.asdict(fixed), balance=format_usdc(event.balance))


def closed_data(event: TradeClosed, at: int, rules: Rules) -> ClosedData | LiquidatedData:
    """A liquidation shows the tick that did it."""
    decimals = rules.instruments[event.asset].decimals
    price = format_scaled(event.price, decimals)
    closed = ClosedData(
        order_id=event.trade_id,
        asset=event.asset,
        close_price=price,
        pnl=format_usdc(event.pnl),
        returned=format_usdc(event.returned),
        liquidated=event.liquidated,
        shortfall=format_usdc(event.shortfall),
        closed_at=iso(at),
        balance=format_usdc(event.balance),
    )
    if not event.liquidated:
        return closed
    assert event.bid is not None, "a tick liquidates"
    assert event.ask is not None, "and has both"
    bid, ask = format_scaled(event.bid, decimals), format_scaled(event.ask, decimals)
    return LiquidatedData(**msgspec.structs.asdict(closed), mark=price, bid=bid, ask=ask)
