"""What has happened: fills, orders of all times, money that moved, liquidations. Read from records and tables."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from exness.core.events import (
    CloseReason,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import Asset, OrderId, Side
from exness.core.money import USDC_DECIMALS
from exness.core.statement import Reason, entries
from exness.core.trades import PLACES, Kind
from exness.runtime.ports.tables import HistoryTooLong, NetOrderQuery, OrderRow, RecordQuery, Told
from exness.web.fapi import answers
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.params import Params, invalid, trimmed
from exness.web.fapi.shown import OPPOSITE, WORDS, Shown, of_liquidation, of_row, order_object
from exness.web.fapi.symbols import (
    closed_at,
    market_if_named,
    market_of,
    money_text,
    notional_of,
    price_text,
    quantity_text,
)
from exness.web.http.endpoint import GET
from exness.web.services import Fapi, Market

MOST_ROWS = 1000
LONGEST_MS = 7 * 86_400_000
"""That times may be apart, where both are given."""


class Times(NamedTuple):
    """From when to when, in microseconds."""

    start: int | None
    end: int | None

    @property
    def oldest_first(self) -> bool:
        return self.start is not None


def times_asked(params: Params) -> Times:
    start, end = params.integer("startTime", most=10**14), params.integer("endTime", most=10**14)
    if start is not None and end is not None and not 0 <= end - start <= LONGEST_MS:
        raise invalid("endTime")
    return Times(None if start is None else start * 1000, None if end is None else end * 1000 + 999)


async def told_of(ask: Ask, query: RecordQuery) -> list[Record]:
    try:
        return await ask.exchange.told_of(query)
    except HistoryTooLong:
        raise invalid("startTime") from None


# --- fills ----------------------------------------------------------------------------------------------------------


class Fill(NamedTuple):
    """One fill of an order, or the end of a position by liquidation."""

    record: Record
    by: OrderId
    side: Side
    price: int
    size: int
    pnl: int
    fee: int

    @property
    def number(self) -> int:
        return self.record.seq * PLACES


def fill_of(record: Record, market: Market) -> Fill:
    """Of a record that tells of a fill."""
    event = record.event
    match event:
        case TradeOpened(trade=trade, fee=fee):
            return Fill(record, OrderId(trade.id), trade.side, trade.entry, trade.size, 0, fee)
        case TradeIncreased(trade=trade, by=by, price=price, size=size, fee=fee):
            return Fill(record, by, trade.side, price, size, 0, fee)
        case TradeReduced(trade=trade, by=by):
            side = OPPOSITE[trade.side]
            return Fill(record, _by(by, trade.id), side, event.price, event.size, event.pnl, event.fee)
        case TradeClosed(net=Side() as side, by=by):
            fee = 0 if event.liquidated else event.fee
            price = closed_at(market, event)
            return Fill(record, _by(by, event.trade_id), OPPOSITE[side], price, event.filled, event.pnl, fee)
        case _:
            raise AssertionError(f"no fill is {event}")


def _by(order: OrderId | None, trade: str) -> OrderId:
    """Closed through v1 it was by no order; it is shown as one of its own."""
    return OrderId(trade) if order is None else order


async def user_trades(ask: Ask) -> Any:
    market, params = market_of(ask), ask.params
    times, first, number = times_asked(params), params.integer("fromId"), params.integer("orderId")
    query = RecordQuery(
        ask.account,
        told=(Told.NET, Told.FILL),
        asset=market.asset,
        start=times.start,
        end=times.end,
        first=-(-(first or 0) // PLACES),
        limit=params.limit(500, MOST_ROWS),
        newest=first is None and not times.oldest_first,
    )
    if number is not None:
        query = _around(query, await _order_numbered(ask, market, number), number)
    fills = [fill_of(record, market) for record in await told_of(ask, query)]
    rows = await _orders_of(ask, fills)
    shown = [_trade(fill, rows.get(fill.by), market) for fill in fills]
    return [each for each in shown if number in (None, each["orderId"])]


def _around(query: RecordQuery, row: OrderRow | None, number: int) -> RecordQuery:
    """Only fills of one order: none lies before it was placed, or after it has ended."""
    if row is None:  # a liquidation, or nothing
        return RecordQuery(
            query.account, told=query.told, asset=query.asset, first=number // PLACES, limit=1, newest=False
        )
    return RecordQuery(
        query.account,
        told=query.told,
        asset=query.asset,
        start=row.created_at if row.ended_at is None else row.ended_at,
        end=row.ended_at,
        limit=MOST_ROWS,
    )


async def _order_numbered(ask: Ask, market: Market, number: int) -> OrderRow | None:
    query = NetOrderQuery(ask.account, False, market.asset, number=number, limit=1)
    return next(iter(await ask.exchange.net_orders(query)), None)


async def _orders_of(ask: Ask, fills: Sequence[Fill]) -> dict[OrderId, OrderRow]:
    ids = list(dict.fromkeys(fill.by for fill in fills))
    return {row.order_id: row for row in await ask.exchange.orders_named(ask.account, ids)} if ids else {}


def _trade(fill: Fill, row: OrderRow | None, market: Market) -> dict[str, Any]:
    is_own = row is None or _is_of_the_venue(fill.record)
    shown = None if row is None or is_own else of_row(row, market)
    return {
        "symbol": market.symbol,
        "id": fill.number,
        "orderId": fill.number if shown is None else shown.order_id,
        "side": WORDS[fill.side],
        "price": price_text(market, fill.price),
        "qty": quantity_text(market, fill.size),
        "realizedPnl": money_text(fill.pnl),
        "marginAsset": market.symbol.removeprefix(market.asset),
        "quoteQty": trimmed(notional_of(market, fill.size, fill.price), USDC_DECIMALS),
        "commission": money_text(fill.fee),
        "commissionAsset": market.symbol.removeprefix(market.asset),
        "time": fill.record.at // 1000,
        "positionSide": "BOTH",
        "buyer": fill.side is Side.LONG,
        "maker": shown is not None and _is_maker(shown, fill),
    }


def _is_of_the_venue(record: Record) -> bool:
    """Whether no order of the account did it: a liquidation, or a close through v1."""
    event = record.event
    if isinstance(event, TradeClosed | TradeReduced):
        return event.by is None or event.reason is CloseReason.LIQUIDATION
    return False


def _is_maker(shown: Shown, fill: Fill) -> bool:
    """Whether the order rested. What never waited is filled by the record that it is placed in."""
    if shown.limit is None:
        return False
    if shown.kind is Kind.LIMIT:
        return shown.number // PLACES + 1 < fill.record.seq
    return shown.fired // PLACES + 2 < fill.record.seq


# --- orders ---------------------------------------------------------------------------------------------------------


async def all_orders(ask: Ask) -> Any:
    """GET allOrders: liquidations too, as they are orders at Binance."""
    market, params = market_of(ask), ask.params
    times, first = times_asked(params), params.integer("orderId")
    limit, newest = params.limit(500, MOST_ROWS), first is None and not times.oldest_first
    query = NetOrderQuery(
        ask.account,
        False,
        market.asset,
        first=first or 0,
        start=times.start,
        end=times.end,
        limit=limit,
        newest=newest,
    )
    try:
        rows = [of_row(row, market) for row in await ask.exchange.net_orders(query)]
    except HistoryTooLong:
        raise invalid("startTime") from None
    rows += await _liquidations(ask, market, times, first or 0, limit, newest=newest)
    rows.sort(key=lambda each: each.order_id)
    return [order_object(each) for each in (rows[-limit:] if newest else rows[:limit])]


async def force_orders(ask: Ask) -> Any:
    """GET forceOrders: nobody is deleveraged, so they are all liquidations."""
    market, params = market_if_named(ask), ask.params
    times, limit = times_asked(params), params.limit(50, 100)
    if params.word("autoCloseType", ("LIQUIDATION", "ADL")) == "ADL":
        return []
    found = await _liquidations(ask, market, times, 0, limit, newest=not times.oldest_first)
    return [order_object(each) for each in found]


async def _liquidations(
    ask: Ask, market: Market | None, times: Times, first: int, limit: int, *, newest: bool
) -> list[Shown]:
    query = RecordQuery(
        ask.account,
        told=(Told.LIQUIDATION,),
        asset=None if market is None else market.asset,
        start=times.start,
        end=times.end,
        first=-(-first // PLACES),
        limit=limit,
        newest=newest,
    )
    found = []
    for record in await told_of(ask, query):
        assert isinstance(record.event, TradeClosed)
        named = ask.fapi.markets.get(ask.fapi.symbol(record.event.asset))
        if named is not None:
            found.append(of_liquidation(record.event, record, named))
    return found


# --- money ----------------------------------------------------------------------------------------------------------

TRANSFER, CLEARED = "TRANSFER", "INSURANCE_CLEAR"
OF_REASONS: dict[Reason, str] = {
    Reason.PNL: "REALIZED_PNL",
    Reason.COMMISSION: "COMMISSION",
    Reason.FUNDING: "FUNDING_FEE",
    Reason.LIQUIDATION_FEE: CLEARED,
    Reason.FORFEIT: CLEARED,
}
"""Of net positions. Their margins and reserves stay in the wallet; what anything else moves comes into it or leaves."""


async def income(ask: Ask) -> Any:
    market, params, times = market_if_named(ask), ask.params, _free_times(ask.params)
    kind, limit = params.text("incomeType"), params.limit(100, MOST_ROWS)
    reasons = tuple(reason for reason, word in OF_REASONS.items() if kind in (None, word))
    whole = RecordQuery(
        ask.account,
        asset=None if market is None else market.asset,
        start=times.start,
        end=times.end,
        limit=limit,
        newest=not times.oldest_first,
    )
    records: list[Record] = []
    if reasons:
        records += await told_of(ask, replace(whole, told=(Told.NET,), reasons=reasons))
    if market is None and kind in (None, TRANSFER):  # transfers are of no symbol
        records += await told_of(ask, replace(whole, is_net=False, reasons=tuple(Reason)))
    records.sort(key=lambda each: each.seq)
    rows = [row for each in records for row in _moved(each, ask.fapi) if kind in (None, row["incomeType"])]
    return rows[-limit:] if whole.newest else rows[:limit]


def _free_times(params: Params) -> Times:
    start, end = params.integer("startTime", most=10**14), params.integer("endTime", most=10**14)
    if start is not None and end is not None and end < start:
        raise invalid("endTime")
    return Times(None if start is None else start * 1000, None if end is None else end * 1000 + 999)


def _moved(record: Record, fapi: Fapi) -> Iterator[dict[str, Any]]:
    """What a record moves of the wallet."""
    asset, is_net = _of_net(record)
    moves: dict[str, int] = {}
    for reason, amount in entries(record.event):
        kind = OF_REASONS.get(reason) if is_net else TRANSFER
        if kind is not None:
            moves[kind] = moves.get(kind, 0) + amount
    symbol = fapi.symbol(asset) if is_net and asset is not None else ""
    for place, (kind, amount) in enumerate(moves.items()):
        if not amount:
            continue
        number = record.seq * PLACES
        yield {
            "symbol": symbol,
            "incomeType": kind,
            "income": money_text(amount),
            "asset": fapi.quote,
            "info": kind,
            "time": record.at // 1000,
            "tranId": number + place,
            "tradeId": str(number) if kind in ("REALIZED_PNL", "COMMISSION") else "",
        }


def _of_net(record: Record) -> tuple[Asset | None, bool]:
    """The asset of a record, and whether it is of a net position."""
    match record.event:
        case TradeOpened(trade=trade) | TradeIncreased(trade=trade) | TradeReduced(trade=trade):
            return trade.asset, trade.net
        case TradeChanged(trade=trade):
            return trade.asset, trade.net
        case OrderPlaced(order=order) | OrderAmended(order=order):
            return order.asset, order.net
        case OrderEnded(asset=asset, net=net):
            return asset, net
        case TradeClosed(asset=asset, net=side):
            return asset, side is not None
        case _:
            return None, False


async def margin_history(ask: Ask) -> Any:
    """GET positionMargin/history."""
    market, params = market_of(ask), ask.params
    times, way, limit = _free_times(params), params.integer("type", 1, 2), params.limit(500, MOST_ROWS)
    query = RecordQuery(
        ask.account,
        told=(Told.NET, Told.MARGIN_MOVED),
        asset=market.asset,
        start=times.start,
        end=times.end,
        limit=limit if way is None else MOST_ROWS,
        newest=not times.oldest_first,
    )
    rows = []
    for record in await told_of(ask, query):
        assert isinstance(record.event, TradeChanged)
        amount = record.event.amount
        kind = 1 if amount > 0 else 2
        if way in (None, kind):
            rows.append(
                {
                    "symbol": market.symbol,
                    "type": kind,
                    "deltaType": "USER_ADJUST",
                    "amount": trimmed(abs(amount), USDC_DECIMALS),
                    "asset": ask.fapi.quote,
                    "time": record.at // 1000,
                    "positionSide": "BOTH",
                }
            )
    return rows[-limit:] if query.newest else rows[:limit]


_SIGNED = Security.SIGNED
ROWS = (
    Row(
        GET, "/fapi/v1/userTrades", 5, _SIGNED, user_trades, "Fills",
        answers.FILLS, "symbol orderId? fromId? startTime? endTime? limit?",
    ),
    Row(
        GET, "/fapi/v1/allOrders", 5, _SIGNED, all_orders, "Orders of all times",
        answers.ORDERS, "symbol orderId? startTime? endTime? limit?",
    ),
    Row(
        GET, "/fapi/v1/forceOrders", 20, _SIGNED, force_orders, "Liquidations",
        answers.ORDERS, "symbol? autoCloseType? startTime? endTime? limit?",
    ),
    Row(
        GET, "/fapi/v1/income", 30, _SIGNED, income, "What moved the wallet",
        answers.INCOME, "symbol? incomeType? startTime? endTime? limit?",
    ),
    Row(
        GET, "/fapi/v1/positionMargin/history", 1, _SIGNED, margin_history, "Margin added and taken",
        answers.MARGIN_HISTORY, "symbol type:margin_way? startTime? endTime? limit?",
    ),
)  # fmt: skip
