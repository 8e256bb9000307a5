"""What an account has of net positions, kept along with its records, and what each record says on its user stream.

A record tells of one thing; what Binance tells of it takes what was there before, as an order's end names no price. So
orders and positions are kept as they were at one moment and as every record since has left them. Nothing here waits.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from exness.core.events import (
    AccountEvent,
    AccountOpened,
    CloseReason,
    Deposited,
    EndStatus,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    Why,
)
from exness.core.instruments import Asset, OrderId
from exness.core.rules import Rules
from exness.core.trades import PLACES, Exit, Order, Trade
from exness.core.views import NetHoldings
from exness.web.fapi.past import Fill, fill_of
from exness.web.fapi.shown import Shown, of_exit, of_liquidation, of_order
from exness.web.fapi.users import messages
from exness.web.fapi.users.messages import Filled, Payload
from exness.web.services import Fapi, Market

FINISHED_AFTER_S = 0.3
"""When an algo order is told to be finished after its last fill: sooner, and some clients count the fill twice."""
_ENDS = {EndStatus.CANCELLED: "CANCELED", EndStatus.EXPIRED: "EXPIRED", EndStatus.REFUSED: "EXPIRED"}
Fills = TradeOpened | TradeIncreased | TradeReduced | TradeClosed


class Told(NamedTuple):
    """One event, and how much later than those before it."""

    payload: Payload
    after_s: float = 0.0


class _Filling(NamedTuple):
    """An order that is being filled: `whole` is its quantity, `so_far` what is filled before this record."""

    shown: Shown
    whole: int
    so_far: int
    ends_as: str
    """Its state with the last fill."""
    total: int
    """What this fills in all."""
    maker: bool


class Mirror:
    """One account from `seq` on."""

    def __init__(self, holdings: NetHoldings, fapi: Fapi, rules: Rules) -> None:
        self.seq = holdings.seq
        self.trades: dict[Asset, Trade] = dict(holdings.trades)
        self._orders: dict[OrderId, Order] = {order.id: order for order in holdings.orders}
        self._free = holdings.free
        self._fapi = fapi
        self._rules = rules
        self._markets = {market.asset: market for market in fapi.markets.values()}
        self._filling: _Filling | None = None
        self._amended: tuple[OrderId, str] | None = None
        """The order that was amended last, and by what: one that crosses is filled by the same command, as a taker."""

    @property
    def margins(self) -> int:
        return sum(trade.margin for trade in self.trades.values())

    @property
    def wallet(self) -> int:
        """As `account.Money` has it."""
        return self._free + sum(order.reserved for order in self._orders.values()) + self.margins

    @property
    def cross(self) -> int:
        return self.wallet - self.margins

    def tell(self, records: Sequence[Record]) -> list[Told]:
        """What records of this account say, those of one command whole, in Binance's order."""
        told: list[Told] = []
        for number, record in enumerate(records):
            if record.seq > self.seq:
                following = records[number + 1] if number + 1 < len(records) else None
                told += self._of(record, following)
                self.seq = record.seq
        return told

    def _of(self, record: Record, following: Record | None) -> Iterator[Told]:
        event = record.event
        assert isinstance(event, AccountEvent), "it concerns an account"
        before = self.wallet
        match event:
            case OrderPlaced(order=order) if order.net:
                self._take(event)
                yield from self._placed(of_order(order, self._markets[order.asset]), record.at)
            case OrderAmended(order=order) if order.net:
                self._take(event)
                self._amended = order.id, record.cause
                shown = of_order(order, self._markets[order.asset])
                yield Told(messages.order_update(shown, shown.quantity, "AMENDMENT", "NEW", record.at, self._fapi))
            case OrderTriggered(order_id=name) if name in self._orders:
                self._take(event)
                yield from self._fired(of_order(self._orders[name], self._markets[event.asset]), record.at)
            case OrderEnded(order_id=name) if name in self._orders:
                order = self._orders[name]
                self._take(event)
                yield from self._ended(order, event, record)
            case TradeOpened() | TradeIncreased() | TradeReduced() | TradeClosed() if self._is_net(event):
                yield from self._fill(event, record, following)
            case TradeChanged(trade=trade) if trade.net:
                held = self.trades.get(trade.asset)
                self._take(event)
                yield from self._changed(event, held, record)
            case NetLeverageSet(asset=asset, leverage=leverage) if asset in self._markets:
                self._take(event)
                yield Told(messages.config_update(self._markets[asset], leverage, record.at))
            case _:
                self._take(event)
                if self.wallet != before:
                    reason = "DEPOSIT" if isinstance(event, AccountOpened | Deposited) else "ADJUSTMENT"
                    yield self._account(reason, self.wallet - before, [], record.at)

    # --- orders -----------------------------------------------------------------------------------------------------

    def _placed(self, shown: Shown, at: int) -> Iterator[Told]:
        if shown.fires:
            yield Told(messages.algo_update(shown, "NEW", at))
        else:
            yield Told(messages.order_update(shown, shown.quantity, "NEW", "NEW", at, self._fapi))

    def _fired(self, shown: Shown, at: int, whole: int | None = None) -> Iterator[Told]:
        """It has become an order like any other."""
        yield Told(messages.algo_update(replace(shown, fired=0), "TRIGGERING", at))
        yield Told(messages.algo_update(shown, "TRIGGERED", at))
        quantity = shown.quantity if whole is None else whole
        yield Told(messages.order_update(shown, quantity, "NEW", "NEW", at, self._fapi))

    def _ended(self, order: Order, event: OrderEnded, record: Record) -> Iterator[Told]:
        shown = of_order(order, self._markets[order.asset])
        if event.status is EndStatus.FILLED:
            if shown.fires and not order.fired:
                shown = replace(shown, fired=event.fired)
                yield from self._fired(shown, record.at)
            waited = order.fired > 0 if shown.fires else self._amended != (order.id, record.cause)
            maker = shown.limit is not None and waited
            ends_as = "FILLED" if event.filled == order.quantity else "PARTIALLY_FILLED"
            self._filling = _Filling(shown, order.quantity, 0, ends_as, event.filled, maker)
        elif event.status is EndStatus.REFUSED and shown.fires and not order.fired:
            yield Told(messages.trigger_rejected(shown, event.reason, record.at))
            yield Told(messages.algo_update(shown, "REJECTED", record.at, why=event.reason))
        else:
            yield from self._gone(shown, _ENDS[event.status], record.at)

    def _gone(self, shown: Shown, state: str, at: int) -> Iterator[Told]:
        """One that is not filled any more."""
        if not shown.is_order:
            yield Told(messages.algo_update(shown, state, at))
            return
        yield Told(messages.order_update(shown, shown.quantity, state, state, at, self._fapi))
        if shown.fires:
            yield Told(messages.algo_update(shown, "FINISHED", at), FINISHED_AFTER_S)

    # --- fills ------------------------------------------------------------------------------------------------------

    def _fill(self, event: Fills, record: Record, following: Record | None) -> Iterator[Told]:
        asset = _asset_of(event)
        fill = fill_of(record, self._markets[asset])
        held = self.trades.get(asset)
        filling = self._filling
        if filling is None:
            filling = self._begun(event, record, following, fill, held)
            yield from self._opening(filling, record.at)
        so_far = filling.so_far + fill.size
        is_last = so_far >= filling.total
        state = filling.ends_as if is_last else "PARTIALLY_FILLED"
        filled = Filled(fill.number, fill.price, fill.size, so_far, fill.pnl, fill.fee, filling.maker)
        before = self.wallet
        self._take(event)
        moved = self.wallet - before
        other = moved - _earned(event)
        shown, at = filling.shown, record.at
        yield Told(messages.trade_lite(shown, filling.whole, filled, at))
        yield self._account("ORDER", other, [self._position(asset, event)], at)
        yield Told(messages.order_update(shown, filling.whole, "TRADE", state, at, self._fapi, filled))
        self._filling = None if is_last else filling._replace(so_far=so_far)
        if is_last:
            yield from self._over(filling, filled, state, at)
        if isinstance(event, TradeClosed) and held is not None:
            yield from self._left_without_position(event, held, at)

    def _begun(
        self, event: Fills, record: Record, following: Record | None, fill: Fill, held: Trade | None
    ) -> _Filling:
        """The order that no record before this one has told of: placed and filled at once, an exit, or nobody's."""
        market = self._markets[_asset_of(event)]
        if event.placed is not None:
            total, nxt = fill.size, None if following is None else following.event
            if isinstance(event, TradeClosed) and isinstance(nxt, TradeOpened) and str(nxt.trade.id) == event.placed.id:
                total += nxt.trade.size
            shown = of_order(event.placed, market)
            reduces = not event.placed.opens and total < event.placed.quantity
            return _Filling(replace(shown, reduces=reduces), total, 0, "FILLED", total, maker=False)
        if isinstance(event, TradeClosed) and event.liquidated:
            shown = replace(of_liquidation(event, record, market), status=None, filled=0, price=0)
            return _Filling(shown, fill.size, 0, "FILLED", fill.size, maker=False)
        exit_ = None if held is None else _exit_named(held, fill.by)
        if held is None or exit_ is None:
            shown = self._venues(fill, market, record)
            return _Filling(shown, fill.size, 0, "FILLED", fill.size, maker=False)
        shown = of_exit(held, exit_, market)
        maker = not shown.fires or shown.fired > 0
        if shown.fires and not shown.fired:
            shown = replace(shown, fired=record.seq * PLACES)
        return _Filling(shown, fill.size, 0, "FILLED", fill.size, maker)

    def _venues(self, fill: Fill, market: Market, record: Record) -> Shown:
        """What was closed through the native API, or by a trade's own stop: shown as an order at the market."""
        return Shown(
            market=market,
            id=fill.by,
            label=None,
            side=fill.side,
            kind=None,
            number=record.seq * PLACES,
            fired=0,
            quantity=fill.size,
            limit=None,
            stop=None,
            trailing=None,
            expires_at=None,
            reduces=True,
            created_at=record.at,
            updated_at=record.at,
        )

    def _opening(self, filling: _Filling, at: int) -> Iterator[Told]:
        """What comes before the first fill of an order that nothing was told of, or that fires now."""
        shown = filling.shown
        if filling.maker:
            return
        if shown.fires:
            yield from self._fired(shown, at, filling.whole)
        else:
            yield Told(messages.order_update(shown, filling.whole, "NEW", "NEW", at, self._fapi))

    def _over(self, filling: _Filling, filled: Filled, state: str, at: int) -> Iterator[Told]:
        """After the last fill."""
        shown = replace(filling.shown, filled=filled.so_far, price=filled.price)
        if state != "FILLED":  # what it was to open was dropped
            yield Told(messages.order_update(shown, filling.whole, "EXPIRED", "EXPIRED", at, self._fapi))
        if shown.fires:
            finished = messages.algo_update(shown, "FINISHED", at, filled=filled.so_far, price=filled.price)
            yield Told(finished, FINISHED_AFTER_S)

    def _left_without_position(self, event: TradeClosed, held: Trade, at: int) -> Iterator[Told]:
        """Exits end with their position."""
        for each in held.exits:
            if each.id in event.ended:
                yield from self._gone(of_exit(held, each, self._markets[held.asset]), "EXPIRED", at)

    # --- positions --------------------------------------------------------------------------------------------------

    def _changed(self, event: TradeChanged, held: Trade | None, record: Record) -> Iterator[Told]:
        trade, at = event.trade, record.at
        position = [self._position(trade.asset, event)]
        match event.why:
            case Why.FUNDING:
                yield self._account("FUNDING_FEE", -event.paid, position, at)
            case Why.MARGIN | Why.LEVERAGE:
                if event.amount:
                    yield self._account("MARGIN_TRANSFER", 0, position, at)
            case Why.EXITS | Why.TRIGGERED if event.exit is not None:
                yield from self._exit(event, event.exit, held, record)
            case _:
                return

    def _exit(self, event: TradeChanged, name: OrderId, held: Trade | None, record: Record) -> Iterator[Told]:
        trade, at = event.trade, record.at
        market, there = self._markets[trade.asset], _exit_named(trade, name)
        if event.ended is not None:
            gone = None if held is None else _exit_named(held, name)
            if held is not None and gone is not None:
                yield from self._gone(of_exit(held, gone, market), _ENDS[event.ended], at)
            return
        assert there is not None, "it has not ended"
        shown = of_exit(trade, there, market)
        if event.why is Why.TRIGGERED:
            yield from self._fired(shown, at)
        elif there.number // PLACES == record.seq:
            yield from self._placed(shown, at)
        elif shown.fires:
            yield Told(messages.algo_update(shown, "NEW", at))
        else:
            yield Told(messages.order_update(shown, shown.quantity, "AMENDMENT", "NEW", at, self._fapi))

    def _position(self, asset: Asset, event: Fills | TradeChanged) -> Payload:
        market, trade = self._markets[asset], self.trades.get(asset)
        if trade is None:
            assert isinstance(event, TradeClosed), "a fill or a change leaves one"
            return messages.no_position(market, event.realized_before + event.pnl)
        price = event.trade.entry if isinstance(event, TradeOpened) else getattr(event, "price", 0)
        return messages.position_of(market, trade, price or trade.entry, self._rules.rates_of(asset))

    def _account(self, reason: str, changed: int, positions: list[Payload], at: int) -> Told:
        balance = messages.balance_of(self._fapi, self.wallet, self.margins, changed)
        return Told(messages.account_update(reason, balance, positions, at))

    # --- what there is ----------------------------------------------------------------------------------------------

    def _is_net(self, event: Fills) -> bool:
        if _asset_of(event) not in self._markets:
            return False
        return event.net is not None if isinstance(event, TradeClosed) else event.trade.net

    def _take(self, event: AccountEvent) -> None:
        """Have what it leaves."""
        self._free = event.balance
        match event:
            case OrderPlaced(order=order) | OrderAmended(order=order) if order.net:
                self._orders[order.id] = order
            case OrderTriggered(order_id=name) if name in self._orders:
                self._orders[name] = replace(self._orders[name], stop=None, fired=event.fired)
            case OrderEnded(order_id=name):
                self._orders.pop(name, None)
            case TradeOpened(trade=trade) | TradeIncreased(trade=trade) | TradeReduced(trade=trade) if trade.net:
                self.trades[trade.asset] = trade
            case TradeChanged(trade=trade) if trade.net:
                self.trades[trade.asset] = trade
            case TradeClosed(asset=asset, net=side) if side is not None:
                self.trades.pop(asset, None)
            case _:
                pass


def _earned(event: Fills) -> int:
    """What a fill moves of the wallet by pnl and commission."""
    pnl = event.pnl if isinstance(event, TradeReduced | TradeClosed) else 0
    fee = 0 if isinstance(event, TradeClosed) and event.reason is CloseReason.LIQUIDATION else event.fee
    return pnl - fee


def _asset_of(event: Fills) -> Asset:
    return event.asset if isinstance(event, TradeClosed) else event.trade.asset


def _exit_named(trade: Trade, name: OrderId) -> Exit | None:
    return next((each for each in trade.exits if each.id == name), None)
