"""One asset: its price, and all that waits for one, row by row in the order of a tick.

What belongs to a trade is found by the trade's seq, so that it stays where it is when the trade changes.
"""

from typing import Any

import msgspec

from exness.core.instruments import Side
from exness.core.price_index import FALLING, PriceIndex
from exness.core.prices import Price
from exness.core.tick_order import LIQUIDATIONS, ROWS, TRAILING, Look, Looks, row_of_exit, row_of_order
from exness.core.trades import PLACES, Exit, Order, Trade
from exness.core.trailing import Trail, TrailingStops

_SHORT = Side.SHORT
_NO_PRICE = 2**64
"""Beyond every level."""
_EDGES = tuple([(2 * row.look.value, row.direction == FALLING, row.trails) for row in ROWS])
"""Of each row: where the edges of its look stand, the lower one first, whether a falling price reaches it, and whether
it trails. It is gone through for the first tick after every change."""

_NOT_LOOKED: tuple[int, ...] = ()

Groups = list[tuple[int, int]]
"""Start and watermark of each (see `trailing`)."""


class Trails(msgspec.Struct, frozen=True, array_like=True):
    """How far the trailing stops of one asset have come: the groups of longs and of shorts, each by distance and by
    percent; and those that waited to be activated, with the number of what did it."""

    long: tuple[Groups, Groups]
    short: tuple[Groups, Groups]
    activated: dict[int, int]


class Market:
    """`open_interest` is the notional of open trades, and `exposure` that of longs less that of shorts, which the house
    bears the other side of; see `books`."""

    __slots__ = ("_activated", "_quiet", "exposure", "funding", "open_interest", "price", "rows", "trades", "trailing")

    def __init__(self) -> None:
        self.price: Price | None = None
        self.funding = 0
        """The venue's newest rate."""
        self.open_interest = 0
        self.exposure = 0
        self.trades: dict[int, Trade] = {}
        """By seq, in that order."""
        self.trailing: tuple[TrailingStops[int], TrailingStops[int]] = (
            TrailingStops(Side.LONG),
            TrailingStops(Side.SHORT),
        )
        self.rows: tuple[Any, ...] = tuple(
            self.trailing[number - TRAILING] if row.trails else PriceIndex(row.direction)
            for number, row in enumerate(ROWS)
        )
        """By the rows of `tick_order`, liquidations first: trades by their seq, and orders."""
        self._activated: dict[int, int] = {}
        """Trailing stops that waited to be activated, and the number of what did it."""
        self._quiet: tuple[int, ...] | None = None
        """Of each Look the nearest price below and the nearest above that set anything off; None: it has changed."""

    @property
    def open_trades(self) -> int:
        return len(self.trades)

    def first_liquidation(self, mark: int) -> Trade | None:
        """The trade that this mark liquidates first, or None."""
        for row in LIQUIDATIONS:
            seq = self.rows[row].first_due(mark)
            if seq is not None:
                return self.trades[seq]
        return None

    # --- trades -----------------------------------------------------------------------------------------------------

    def list_trade(self, trade: Trade) -> None:
        self._quiet = None
        seq = trade.seq
        self.trades[seq] = trade
        self.rows[trade.side is _SHORT].add(trade.liquidation, seq * PLACES, seq)
        if trade.exits or trade.stop_loss or trade.take_profit or trade.trailing_stop:
            for each in trade.all_exits():
                self._list_exit(trade, each)

    def unlist_trade(self, trade: Trade) -> None:
        self._quiet = None
        del self.trades[trade.seq]
        self.rows[trade.side is _SHORT].remove(trade.liquidation, trade.seq * PLACES)
        if trade.exits or trade.stop_loss or trade.take_profit or trade.trailing_stop:
            for each in trade.all_exits():
                self._unlist_exit(trade, each)

    def relist_trade(self, before: Trade, after: Trade) -> None:
        """A trade has changed."""
        self._quiet = None
        self.trades[after.seq] = after
        if after.liquidation != before.liquidation:
            liquidations = self.rows[after.side is _SHORT]
            liquidations.remove(before.liquidation, before.seq * PLACES)
            liquidations.add(after.liquidation, after.seq * PLACES, after.seq)
        if (
            before.stop_loss is after.stop_loss
            and before.take_profit is after.take_profit
            and before.trailing_stop is after.trailing_stop
            and before.exits is after.exits
        ):
            return
        had = {_waits(each): each for each in before.all_exits()}
        has = {_waits(each): each for each in after.all_exits()}
        for waits in had.keys() - has.keys():
            self._unlist_exit(before, had[waits])
        for waits in has.keys() - had.keys():
            self._list_exit(after, has[waits])

    # --- ticks ------------------------------------------------------------------------------------------------------

    def is_quiet(self, looks: Looks) -> bool:
        """True when these prices set nothing off and move no watermark, as far as that is known: the first tick after a
        change goes through the rows, which takes it less than to look where the nearest thing of each is. O(1), or
        O(rows) for the second."""
        if self._quiet is None:
            self._quiet = _NOT_LOOKED
            return False
        mark, sell, buy, stop_sell, stop_buy = looks
        a, b, c, d, e, f, g, h, i, j = self._quiet or self._look()
        return a < mark < b and c < sell < d and e < buy < f and g < stop_sell < h and i < stop_buy < j

    def _look(self) -> tuple[int, ...]:
        edges = [-1, _NO_PRICE] * len(Look)
        for (below, is_falling, trails), index in zip(_EDGES, self.rows, strict=True):
            low, high = -1, _NO_PRICE
            if trails:
                low, high = index.quiet()
            elif (first := index.first()) is None:
                continue
            elif is_falling:
                low = first[0]
            else:
                high = first[0]
            if low > edges[below]:
                edges[below] = low
            if high < edges[below + 1]:
                edges[below + 1] = high
        self._quiet = tuple(edges)
        return self._quiet

    # --- pictures ---------------------------------------------------------------------------------------------------

    def trails(self) -> Trails | None:
        """How far trailing stops have come; None: there are none that trail."""
        long, short = (stops.watermarks() for stops in self.trailing)
        return Trails(long, short, dict(self._activated)) if any((*long, *short)) else None

    def load_trade(self, trade: Trade) -> None:
        """List a trade in recovery, when very many come in any order: nothing may be asked for before `loaded`."""
        self.trades[trade.seq] = trade
        liquidations = self.rows[trade.side is _SHORT]
        liquidations.add_unsorted(trade.liquidation, trade.seq * PLACES, trade.seq)
        for each in trade.all_exits():
            row = row_of_exit(each, trade.side)
            assert ROWS[row].trails is (each.trailing is not None), f"exit {each.number} is a {each.kind} in part only"
            if each.trailing is None:
                self.rows[row].add_unsorted(each.price, each.number, trade.seq)

    def load_order(self, order: Order) -> None:
        self.rows[row_of_order(order)].add_unsorted(order.level, order.number, order)

    def loaded(self, trails: Trails | None) -> None:
        """All of it is there."""
        self._quiet = None
        self.trades = dict(sorted(self.trades.items()))
        for row, index in zip(ROWS, self.rows, strict=True):
            if not row.trails:
                index.sort()
        found: tuple[list[tuple[Trail, int]], list[tuple[Trail, int]]] = ([], [])
        self._activated = {} if trails is None else dict(trails.activated)
        for trade in self.trades.values():
            for each in trade.all_exits():
                since = each.number if each.price else self._activated.get(each.number)
                if each.trailing is not None and since is None:
                    self._list_exit(trade, each)
                elif each.trailing is not None and since is not None:
                    found[trade.side is _SHORT].append((_trail(each, since), trade.seq))
        if trails is not None:
            self.trailing[0].restore(trails.long, found[0])
            self.trailing[1].restore(trails.short, found[1])

    # --- exits ------------------------------------------------------------------------------------------------------

    def _list_exit(self, trade: Trade, exit_: Exit) -> None:
        row = self.rows[row_of_exit(exit_, trade.side)]
        trailing = exit_.trailing
        if trailing is None:
            row.add(exit_.price, exit_.number, trade.seq)
        elif exit_.price:
            row.add(_trail(exit_, exit_.number), exit_.price, trade.seq)
        else:
            row.wait(trailing.activation, exit_.number, trade.seq)

    def _unlist_exit(self, trade: Trade, exit_: Exit) -> None:
        row = self.rows[row_of_exit(exit_, trade.side)]
        trailing = exit_.trailing
        if trailing is None:
            row.remove(exit_.price, exit_.number)
        elif exit_.price:
            row.remove(_trail(exit_, exit_.number))
        elif (since := self._activated.pop(exit_.number, None)) is not None:
            row.remove(_trail(exit_, since))
        else:
            row.stop_waiting(trailing.activation, exit_.number)

    def trail_moves(self, side: int, price: int) -> bool:
        """Whether this price moves a watermark of this side (0 those of longs), or starts one."""
        stops = self.trailing[side]
        return stops.betters(price) or stops.first_activated(price) is not None

    def move_trail(self, side: int, price: int, number: int) -> None:
        """Do so. `number` is that of the record that says so."""
        self._quiet = None
        stops = self.trailing[side]
        if stops.betters(price):
            stops.move(price)
        while (seq := stops.first_activated(price)) is not None:
            trade = self.trades[seq]
            exit_ = next(each for each in trade.all_exits() if self._is_activated(each, side, price))
            assert exit_.trailing is not None
            assert exit_.trailing.activation is not None
            stops.stop_waiting(exit_.trailing.activation, exit_.number)
            self._activated[exit_.number] = number
            stops.add(_trail(exit_, number), price, seq)

    def _is_activated(self, exit_: Exit, side: int, price: int) -> bool:
        if exit_.trailing is None or exit_.trailing.activation is None or exit_.price:
            return False
        reached = price <= exit_.trailing.activation if side else price >= exit_.trailing.activation
        return reached and exit_.number not in self._activated

    def merge_trails(self, budget: int) -> bool:
        """True when nothing is left to do of what `move_trail` began. Else a part of about `budget` stops is done."""
        left = [stops for stops in self.trailing if not stops.merge(budget)]
        return not left

    def first_exit(self, row: int, price: int) -> tuple[Trade, Exit]:
        """The first exit of a row that this price has reached, of which there is one, and its trade."""
        index = self.rows[row]
        _, number, seq = index.first(price) if ROWS[row].trails else index.first()
        trade = self.trades[seq]
        return trade, next(each for each in trade.all_exits() if each.number == number)

    def trailing_level(self, trade: Trade, exit_: Exit) -> int | None:
        """The price that sets a trailing stop off by now; None: it waits to be activated."""
        since = exit_.number if exit_.price else self._activated.get(exit_.number)
        return None if since is None else self.trailing[trade.side is _SHORT].level_of(_trail(exit_, since))

    def watermark_of(self, trade: Trade, exit_: Exit) -> int | None:
        """The best price that a trailing stop has seen; None: it waits to be activated."""
        since = exit_.number if exit_.price else self._activated.get(exit_.number)
        return None if since is None else self.trailing[trade.side is _SHORT].watermark_of(_trail(exit_, since))

    # --- orders -----------------------------------------------------------------------------------------------------

    def list_order(self, order: Order) -> None:
        self._quiet = None
        self.rows[row_of_order(order)].add(order.level, order.number, order)

    def unlist_order(self, order: Order) -> None:
        self._quiet = None
        self.rows[row_of_order(order)].remove(order.level, order.number)


def _waits(exit_: Exit) -> tuple[Any, ...]:
    """What an exit waits for: what else may change of it moves it nowhere."""
    return exit_.kind, exit_.number, exit_.price, exit_.trailing


def _trail(exit_: Exit, since: int) -> Trail:
    trailing = exit_.trailing
    assert trailing is not None
    if trailing.distance is not None:
        return Trail(trailing.distance, is_percent=False, number=exit_.number, since=since)
    assert trailing.percent is not None
    return Trail(trailing.percent, is_percent=True, number=exit_.number, since=since)
