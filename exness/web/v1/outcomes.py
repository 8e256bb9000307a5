"""From what a command came to, to what is told of it: its records, or why there are none."""

from exness.core.events import Record
from exness.core.instruments import AccountId, Asset, Instrument, OrderId, TradeId
from exness.core.money import format_scaled, format_usdc
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.rejects import Refusal, Reject
from exness.core.views import Held, HeldAs, NamedBy
from exness.runtime.exchange import Exchange
from exness.web.http.errors import ApiError
from exness.web.v1.format import iso
from exness.web.v1.parse import Query, one_query
from exness.web.v1.refusals import refused


async def records_of(outcome: Outcome, exchange: Exchange, account: AccountId, named: str = "") -> list[Record]:
    """The records of a command that was done, now or when it was asked for the first time. `named`: the trade or order
    that it speaks of. Raises ApiError where it was refused."""
    match outcome:
        case Done(records):
            return records
        case Repeated(seen):
            return await exchange.records(seen.seq, seen.last)
        case Refusal(Reject.TRADE_NOT_FOUND):
            raise await trade_gone(exchange, account, TradeId(named))
        case Refusal(Reject.ORDER_NOT_FOUND):
            raise await order_gone(exchange, account, OrderId(named))
        case Refusal():
            raise refused(outcome, exchange.rules)


async def id_asked_for(exchange: Exchange, account: AccountId, query: Query) -> str | None:
    """The id that a query names, itself or by what the client called it; None: nothing is called so. Raises
    InvalidRequest."""
    order_id, client_order = one_query(query)
    if client_order is None:
        return order_id
    return (await exchange.see(NamedBy(account, client_order))).id


def held(exchange: Exchange, account: AccountId, name: str) -> Held:
    """What an account has under an id that a request names."""
    return exchange.look(HeldAs(account, name))


def instrument_of(exchange: Exchange, asset: Asset | None) -> Instrument | None:
    return None if asset is None else exchange.rules.instruments.get(asset)


async def trade_gone(exchange: Exchange, account: AccountId, trade_id: TradeId) -> ApiError:
    """Why there is no such trade: it ended before, or it never was (or is somebody else's, which is the same)."""
    row = await exchange.trade(account, trade_id)
    if row is None or row.closed_at is None or row.close_price is None or row.pnl is None or row.returned is None:
        return ApiError(Reject.TRADE_NOT_FOUND)
    return ApiError(
        "trade_already_closed",
        details={
            "orderId": row.id,
            "closePrice": format_scaled(row.close_price, row.decimals),
            "pnl": format_usdc(row.pnl),
            "returned": format_usdc(row.returned),
            "liquidated": row.liquidated,
            "closedAt": iso(row.closed_at),
        },
    )


async def order_gone(exchange: Exchange, account: AccountId, order_id: OrderId) -> ApiError:
    """The same of an order."""
    row = await exchange.order(account, order_id)
    if row is None or row.status is None:
        return ApiError(Reject.ORDER_NOT_FOUND)
    details = {"orderId": row.order_id, "status": row.status.value, "reason": row.reason or None}
    return ApiError("order_already_ended", details=details)
