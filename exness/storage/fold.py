"""Records -> rows. Pure, and the same for every backend: `project` says what one record does, `gather` what many do
together, each row once.

Amounts come from what each event says happened, never from the balance it reports after it: so the tables add up on
their own, and `verify` can hold them against the state.
"""

from collections.abc import Sequence
from typing import assert_never

from exness.core.ceilings import summed
from exness.core.events import (
    AccountEvent,
    AccountOpened,
    Deposited,
    EndStatus,
    ExchangeReset,
    InsurancePaid,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    ProfileSet,
    RatesSet,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    TrailMoved,
    Why,
)
from exness.core.instruments import Asset
from exness.core.statement import Reason, entries
from exness.core.trades import PLACES, Trade
from exness.runtime.ports.tables import Told
from exness.storage import rows
from exness.storage.changes import CHANGED, COUNTED, ENDED, PAID, Batch, Change, Clear, Effect
from exness.storage.fold_orders import BY_EXIT, POSITION_CLOSED, end, exit_filled, filled_at_once, of_order, of_trade
from exness.storage.rows import HOUSE

BITS = {reason: 1 << place for place, reason in enumerate(Reason)}
"""Of the reasons in `account_records.reasons`."""

TOLD = {each: 1 << (16 + place) for place, each in enumerate(Told)}
"""Of the others there."""
_FILL = TOLD[Told.NET] | TOLD[Told.FILL]
_LIQUIDATION = _FILL | TOLD[Told.LIQUIDATION]

_MARGIN, _PNL, _COMMISSION = BITS[Reason.MARGIN], BITS[Reason.PNL], BITS[Reason.COMMISSION]


def project(record: Record) -> list[Effect]:
    """What one record does to the tables, in order."""
    event = record.event
    match event:
        case TradeOpened():
            return _opened(record, event)
        case TradeClosed():
            return _closed(record, event)
        case AccountOpened(account, email, deposit):
            return [
                rows.User(account, email, record.at, record.seq),
                rows.Balance(account, free=deposit, deposited=deposit),
                rows.Sums(account),
                rows.AccountRecord(account, record.seq, record.at, BITS[Reason.DEPOSIT] if deposit else 0),
            ]
        case Deposited(account, amount):
            return [
                Change(PAID, account, (amount, 0, amount)),
                rows.AccountRecord(account, record.seq, record.at, BITS[Reason.DEPOSIT]),
            ]
        case OrderPlaced() | OrderAmended() | OrderTriggered() | OrderEnded():
            return [*of_order(record, event), *_moved(record, event)]
        case TradeReduced() | TradeIncreased() | TradeChanged():
            return [_changed(event.trade), *of_trade(record, event), *_moved(record, event, event.trade.seq)]
        case NetLeverageSet():
            return _moved(record, event)
        case ExchangeReset():
            return [Clear(record.seq)]
        case InsurancePaid(amount):
            return [Change(PAID, HOUSE, (amount, 0, amount))]
        case TrailMoved() | RatesSet() | ProfileSet():
            return []
        case _:
            assert_never(event)


# --- money ----------------------------------------------------------------------------------------------------------


def _moved(record: Record, event: AccountEvent, changes: int | None = None) -> list[Effect]:
    """What an event moves of its account's money."""
    free = bound = 0
    reasons = _told(event)
    for reason, amount in entries(event):
        free += amount
        reasons |= BITS[reason]
        if reason is Reason.MARGIN or reason is Reason.RESERVE:
            bound -= amount
    if isinstance(event, OrderAmended):
        changes = event.order.number // PLACES
    effects: list[Effect] = [
        rows.AccountRecord(event.account, record.seq, record.at, reasons, asset_of(event), changes)
    ]
    if free or bound:
        effects.append(_pay(event.account, free, bound))
    if free + bound:
        effects.append(_pay(HOUSE, -free - bound, 0))
    return effects


def _told(event: AccountEvent) -> int:
    match event:
        case TradeIncreased() | TradeReduced():
            return _FILL if event.trade.net else 0
        case TradeChanged():
            moved = TOLD[Told.MARGIN_MOVED] if event.why is Why.MARGIN else 0
            return TOLD[Told.NET] | moved if event.trade.net else 0
        case OrderPlaced() | OrderAmended():
            return TOLD[Told.NET] if event.order.net else 0
        case OrderEnded():
            return TOLD[Told.NET] if event.net else 0
        case _:
            return 0


def asset_of(event: AccountEvent) -> Asset | None:
    """What it is in, if in anything."""
    match event:
        case TradeOpened(trade) | TradeIncreased(trade) | TradeReduced(trade) | TradeChanged(trade):
            return trade.asset
        case OrderPlaced(order) | OrderAmended(order):
            return order.asset
        case OrderTriggered() | OrderEnded() | TradeClosed() | NetLeverageSet():
            return event.asset
        case AccountOpened() | Deposited():
            return None
        case _:
            assert_never(event)


def _pay(account: str, free: int, locked: int) -> Change:
    return Change(PAID, account, (free, locked, 0))


# --- trades ---------------------------------------------------------------------------------------------------------


def _opened(record: Record, event: TradeOpened) -> list[Effect]:
    trade, fee = event.trade, event.fee
    reasons = _MARGIN | _COMMISSION if fee else _MARGIN
    if trade.net:
        reasons |= _FILL
    effects: list[Effect] = [
        rows.Trade(
            opened_seq=trade.seq,
            id=trade.id,
            account_id=trade.account,
            asset=trade.asset,
            side=trade.side.value,
            margin=trade.margin,
            leverage=trade.leverage,
            entry_price=trade.entry,
            liquidation_price=trade.liquidation,
            created_at=trade.opened_at,
            client_order_id=trade.client_order,
            fingerprint=event.fingerprint or None,
            balance_after=event.balance,
            net=int(trade.net),
            size=trade.size,
            commission=fee,
        ),
        _pay(trade.account, -trade.margin - fee, trade.margin),
        Change(COUNTED, trade.account, (1, 0, 0, 0, 0, 0, 0)),
        rows.AccountRecord(trade.account, record.seq, record.at, reasons, trade.asset),
    ]
    if fee:
        effects.append(_pay(HOUSE, fee, 0))
    if event.placed is not None:
        effects += filled_at_once(record, event.placed, trade.size, trade.entry)
    return effects


def _changed(trade: Trade) -> Change:
    """What a trade has become."""
    prices = trade.entry, trade.liquidation
    sums = trade.commission, trade.funding, trade.realized
    return Change(CHANGED, trade.id, (trade.margin, trade.leverage, *prices, trade.size, *sums))


def _closed(record: Record, event: TradeClosed) -> list[Effect]:
    account, pnl, fee, realized = event.account, event.pnl, event.fee, event.pnl
    if event.realized_before:
        realized = summed(event.realized_before, pnl)
    reasons = _MARGIN | _PNL if pnl else _MARGIN
    if event.net is not None:
        reasons |= _LIQUIDATION if event.liquidated else _FILL
    if event.liquidated:
        counted = (0, 0, 0, 0, 1, int(realized > 0), realized)
        if fee:
            reasons |= BITS[Reason.LIQUIDATION_FEE]
        if event.forfeited:
            reasons |= BITS[Reason.FORFEIT]
        commission = event.commission_before
    else:
        counted = (0, 1, int(realized > 0), realized, 0, 0, 0)
        if fee:
            reasons |= _COMMISSION
        commission = summed(event.commission_before, fee)
    ended = (event.reason.value, event.price, event.bid, event.ask, pnl, event.returned, event.shortfall)
    effects: list[Effect] = [
        Change(ENDED, event.trade_id, (*ended, record.at, record.seq, commission, realized)),
        _pay(account, event.returned, -event.margin),
        _pay(HOUSE, event.margin - event.returned, 0),
        Change(COUNTED, account, counted),
        rows.AccountRecord(account, record.seq, record.at, reasons, event.asset),
    ]
    if event.placed is not None:
        effects += filled_at_once(record, event.placed, event.filled + event.placed.opens, event.price)
    elif event.by is not None and event.reason in BY_EXIT:
        effects += exit_filled(record, account, event.by, event.filled, event.price)
    for order_id in event.ended:
        effects += end(record, account, order_id, EndStatus.CANCELLED, POSITION_CLOSED)
    return effects


def gather(records: Sequence[Record]) -> Batch:
    """What these records do together."""
    batch = Batch()
    for record in records:
        batch.take(project(record))
    return batch
