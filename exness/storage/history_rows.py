"""What the tables hold, as the rows of `ports.History`. `decimals` are those of every asset there ever was."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from exness.core.events import CloseReason
from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.runtime.ports.tables import OrderRow, TradeRow
from exness.storage.wide import joined


def order_row(decimals: Mapping[str, int], row: tuple[Any, ...]) -> OrderRow:
    """Its columns are the fields, in order."""
    fields = dict(zip(OrderRow.__struct_fields__, row, strict=False))
    trailing = None if fields["trailing"] is None else msgspec.json.decode(fields["trailing"])
    more = {"net": bool(fields["net"]), "trailing": trailing, "decimals": decimals[fields["asset"]]}
    return msgspec.convert(fields | more, OrderRow)


def trade_row(decimals: Mapping[str, int], row: Sequence[Any]) -> TradeRow:
    """Its columns are those of `history.COLUMNS`."""
    trade_id, account, asset, side, margin, leverage, entry, liquidation, opened_at, client_order, *end = row
    reason, close_price, pnl, returned, shortfall, closed_at, net, size, size_e18, *sums = end
    commission, funding, realized, seq = sums
    return TradeRow(
        id=TradeId(trade_id),
        account=AccountId(account),
        asset=Asset(asset),
        side=Side(side),
        margin=margin,
        leverage=leverage,
        entry=entry,
        liquidation=liquidation,
        opened_at=opened_at,
        client_order=client_order,
        liquidated=reason == CloseReason.LIQUIDATION,
        close_price=close_price,
        pnl=pnl,
        returned=returned,
        shortfall=shortfall,
        closed_at=closed_at,
        decimals=decimals[asset],
        net=bool(net),
        size=joined(size, size_e18),
        commission=commission,
        funding=funding,
        realized=realized,
        close_reason=None if reason is None else CloseReason(reason),
        seq=seq,
    )
