"""The plain form of an account, as snapshots hold it, and the forms of older releases, which are lifted to it.

Whoever changes what `PlainAccount` holds or means gives the new form the next number and reads the old one here.
"""

from collections.abc import Callable

import msgspec

from exness.core.instruments import AccountId, Asset, Side, TradeId
from exness.core.state import SeenOrder
from exness.core.trades import Order, Trade

FORMAT = 2
"""Of today. 1 is that of 0.1.0 and of what came right after it."""


class PlainAccount(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An account without what follows from its trades: sums are made again, and can be larger than msgpack holds."""

    id: AccountId
    email: str
    opened_at: int
    free: int
    seq: int
    trades: list[Trade]
    seen: dict[str, SeenOrder]
    orders: list[Order] = []
    net_leverage: dict[Asset, int] = {}


class _Trade1(msgspec.Struct, frozen=True, gc=False):
    order: TradeId
    account: AccountId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    entry: int
    liquidation: int
    opened_at: int
    seq: int
    client_order: str | None = None

    def lifted(self) -> Trade:
        fields = msgspec.structs.asdict(self)
        return Trade(id=fields.pop("order"), size=self.margin * self.leverage, **fields)


class _Seen1(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """In 0.1.0 its whole trade stood in place of the trade's id, and the balance behind it."""

    fingerprint: str
    order: TradeId | _Trade1
    seq: int

    def lifted(self) -> SeenOrder:
        if isinstance(self.order, _Trade1):
            return SeenOrder(self.fingerprint, self.order.order, self.order.seq, self.order.seq)
        return SeenOrder(self.fingerprint, self.order, self.seq, self.seq)


class _Account1(msgspec.Struct, frozen=True, gc=False, array_like=True):
    id: AccountId
    email: str
    opened_at: int
    free: int
    seq: int
    trades: list[_Trade1]
    seen: dict[str, _Seen1]


_decode1 = msgspec.msgpack.Decoder(_Account1).decode


def _lift1(encoded: bytes) -> PlainAccount:
    old = _decode1(encoded)
    trades = [trade.lifted() for trade in old.trades]
    seen = {name: each.lifted() for name, each in old.seen.items()}
    return PlainAccount(old.id, old.email, old.opened_at, old.free, old.seq, trades, seen)


DECODERS: dict[int, Callable[[bytes], PlainAccount]] = {
    1: _lift1,
    FORMAT: msgspec.msgpack.Decoder(PlainAccount).decode,
}
"""By format. They raise msgspec.DecodeError for bytes that are no account."""
