"""The engine, as a peer of the reckoning: its commands, events and state in the reckoning's words."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from exness.core import commands as c
from exness.core import events as e
from exness.core.audit import audit
from exness.core.capture import decode_header, digest_of, encode_header
from exness.core.commands import TimeInForce
from exness.core.engine import Engine
from exness.core.instruments import AccountId, Asset, Execution, Instrument, LimitFill, OrderId, Side, Trigger
from exness.core.outcomes import Done, Repeated
from exness.core.outcomes import Outcome as EngineOutcome
from exness.core.rates import Basis, FundingSource, Rates, Residual, Tier
from exness.core.rejects import Reached, Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.trades import Exit, Kind, Order, Trade, Trailing
from tests.reference.rulebook import commands as r
from tests.reference.rulebook import rules as rulebook
from tests.reference.rulebook.commands import Outcome, Refused
from tests.support.states import picture_of, replayed, restore

SECOND = 1_000_000
Told = dict[str, Any]
SIDES = {"long": Side.LONG, "short": Side.SHORT, "buy": Side.LONG, "sell": Side.SHORT}


class Malformed(Refused):
    """A 400: which field it names is everybody's own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused) and other.code == self.code

    __hash__ = Refused.__hash__


# --- rules ----------------------------------------------------------------------------------------------------------


def rates_of(it: rulebook.Rates) -> Rates:
    return Rates(
        taker=it.taker,
        maker=it.maker,
        maintenance=tuple(Tier(tier.floor, tier.rate, tier.max_leverage) for tier in it.maintenance),
        maintenance_basis=Basis(it.maintenance_basis),
        hold_close_fee=it.hold_close_fee,
        min_margin=it.min_margin,
        liquidation_fee=it.liquidation_fee,
        residual=Residual(it.residual),
        funding_interval_s=it.funding_interval // SECOND,
        funding_offset_s=it.funding_offset // SECOND,
        funding_rate=_funding_rate(it),
        funding_rate_short=it.funding_rate_short,
        funding_weekdays=it.funding_weekdays,
    )


def _funding_rate(it: rulebook.Rates) -> int | FundingSource:
    if it.funding:
        return FundingSource.SCHEDULE
    return FundingSource(it.funding_rate) if isinstance(it.funding_rate, str) else it.funding_rate


def rules_of(it: rulebook.Rules) -> Rules:
    return Rules(
        instruments={
            Asset(name): Instrument(
                Asset(name), each.decimals, each.max_leverage, quantity_decimals=each.quantity_decimals
            )
            for name, each in it.assets.items()
        },
        execution=Execution(it.execution),
        max_open_trades_per_account=it.max_open_trades,
        max_notional_per_account=it.max_notional,
        max_open_interest_per_asset=it.max_open_interest,
        client_order_ids_per_account=it.client_order_ids,
        max_open_orders_per_account=it.max_open_orders,
        max_exits_per_trade=it.max_exits_per_trade,
        net_leverage=it.net_leverage,
        trigger=Trigger(it.trigger),
        limit_fill=LimitFill(it.limit_fill),
        rates={Asset(name): rates_of(each.rates) for name, each in it.assets.items()},
        funding_rows={Asset(name): each.rates.funding for name, each in it.assets.items()},
    )


# --- commands -------------------------------------------------------------------------------------------------------


def _trailing(it: r.Trailing | None) -> Trailing | None:
    return None if it is None else Trailing(it.distance, it.percent, it.activation)


def _tif(it: str | None) -> TimeInForce | None:
    return None if it is None else TimeInForce(it)


def _same(it: Any, *names: str) -> Told:
    return {name: getattr(it, name) for name in names}


def _changes(given: Mapping[str, Any]) -> Told:
    changes = {("trailing_stop" if name == "trailing" else name): value for name, value in given.items()}
    if "trailing_stop" in changes:
        changes["trailing_stop"] = _trailing(changes["trailing_stop"])
    return changes


def _wishes(it: Any) -> Told:
    return {
        **_same(it, "account", "asset", "margin", "leverage", "take_profit", "stop_loss", "client_order"),
        "side": SIDES[it.side],
        "trailing_stop": _trailing(it.trailing),
    }


def _waits(it: Any) -> Told:
    return {**_same(it, "limit", "stop", "expires_at", "post_only"), "time_in_force": _tif(it.tif)}


def _slips(it: Any) -> Told:
    return _same(it, "slippage", "expected_price", "seen_price")


def _amendment(it: r.AmendOrder, kind: Kind | None) -> c.AmendOrder:
    """`kind` is that of an exit: its `price` is a limit's limit, else a stop."""
    changes = _changes(it.changes)
    if "price" in changes:
        price = changes.pop("price")
        if kind is Kind.LIMIT and "limit" in changes:
            changes["stop"] = price  # what a limit exit does not have
        changes["limit" if kind is Kind.LIMIT and "limit" not in changes else "stop"] = price
    elif kind is Kind.LIMIT and "limit" in changes:
        changes["stop"] = changes.pop("limit")
    if "quantity" in changes:
        changes["size"] = changes.pop("quantity")
    return c.AmendOrder(AccountId(it.account), OrderId(it.order), **changes)


TRANSLATED: dict[type[Any], Callable[[Any], c.Command]] = {
    r.OpenAccount: lambda it: c.OpenAccount(it.account, it.email, it.deposit),
    r.Deposit: lambda it: c.Deposit(it.account, it.amount),
    r.DepositHouse: lambda it: c.PayInsurance(it.amount),
    r.OpenTrade: lambda it: c.OpenTrade(trade_id=it.order, **_wishes(it), **_slips(it)),
    r.PlaceOrder: lambda it: c.PlaceOrder(order_id=it.order, **_wishes(it), **_waits(it)),
    r.CancelOrder: lambda it: c.CancelOrder(it.account, it.order),
    r.CancelOrders: lambda it: c.CancelOrders(it.account, it.asset),
    r.SetExits: lambda it: c.SetExits(it.account, it.order, **_changes(it.changes)),
    r.AddExit: lambda it: c.AddExit(
        it.account, it.order, it.exit, Kind(it.kind), it.price, it.percent, it.margin, it.size, it.client_order
    ),
    r.CloseTrade: lambda it: c.CloseTrade(it.account, it.order, it.percent, it.margin, it.size, it.client_order),
    r.ChangeMargin: lambda it: c.ChangeMargin(it.account, it.order, it.amount, it.client_order),
    r.ChangeLeverage: lambda it: c.ChangeLeverage(it.account, it.order, it.leverage),
    r.NetOrder: lambda it: c.NetOrder(
        order_id=it.order,
        side=SIDES[it.side],
        trailing_stop=_trailing(it.trailing),
        kind=None if it.kind is None else Kind(it.kind),
        **_same(it, "account", "asset", "quantity", "close_position", "reduce_only", "client_order"),
        **_waits(it),
        **_slips(it),
    ),
    r.SetNetLeverage: lambda it: c.SetNetLeverage(it.account, it.asset, it.leverage),
    r.PriceTick: lambda it: c.PriceTick(it.asset, it.bid, it.ask, it.life_us, it.suspect, funding=it.funding),
    r.PassTime: lambda it: c.PassTime(),
    r.StartAfresh: lambda it: c.Reset(it.house),
}


# --- events ---------------------------------------------------------------------------------------------------------


def _shown(order: Order) -> Told:
    return {
        "order": order.id,
        "side": order.side.value,
        "kind": order.kind.value,
        "margin": order.margin or None,
        "quantity": order.quantity or None,
        "trailing": _trailed(order.trailing_stop),
        **_same(order, "account", "asset", "leverage", "limit", "stop", "expires_at", "take_profit", "stop_loss"),
        "reserved": order.reserved,
    }


def _trailed(it: Trailing | None) -> r.Trailing | None:
    return None if it is None else r.Trailing(it.distance, it.percent, it.activation)


def _price_of(it: Exit | None) -> int | None:
    return None if it is None else it.price


class EnginePeer:
    def __init__(self, rules: rulebook.Rules, start: int, steps: int = 3) -> None:
        self.rules, self.at = rules, start
        state = State()
        state.at = start
        self.engine = Engine(rules_of(rules), state, steps)
        self.before: dict[str, Trade] = {}
        """Trades as the last event left them."""
        self.asked: dict[tuple[str, str], str | None] = {}
        """What the reckoning says that a client order id was used for."""
        self.changes: Told = {}
        """Of rates, as they were asked for."""

    @property
    def state(self) -> State:
        return self.engine.state

    def execute(self, command: r.Command, at: int) -> Outcome:
        self.at = max(at, self.at)
        told: list[Told] = []
        while self.engine.is_due(self.at):
            told += self._all_of(c.PassTime())[0]
        if isinstance(command, r.PassTime):
            return Outcome(told)
        events, refusal, repeated = self._all_of(self.translated(command))
        audit(self.state)
        return self.answer(command, told + events, refusal, repeated)

    def answer(
        self, command: r.Command, told: list[Told], refusal: Refused | None, repeated: tuple[int, int] | None
    ) -> Outcome:
        """What came of it, in the reckoning's words."""
        name = getattr(command, "client_order", None)
        if name is not None and refusal is None and repeated is None:
            self.asked[getattr(command, "account", ""), name] = getattr(command, "order", None)
        if refusal is not None and refusal.code == "client_order_id_conflict":
            refusal = Refused(refusal.code, order=self.asked[getattr(command, "account", ""), name or ""])
        return Outcome(told, refusal, repeated)

    def translated(self, command: r.Command) -> c.Command:
        match command:
            case r.AmendOrder():
                account = self.state.accounts.get(command.account)  # type: ignore[call-overload]
                trade_id = None if account is None else account.exits.get(command.order)
                kind = None
                if account is not None and trade_id is not None:
                    kind = next(each.kind for each in account.trades[trade_id].exits if each.id == command.order)
                return _amendment(command, kind)
            case r.SetRates():
                self.changes = dict(command.changes)
                changes = _rates_changes(command.changes)
                if self.engine.rules.rates_of(Asset(command.asset)).funding_rate is FundingSource.SCHEDULE:
                    changes.pop("funding_rate", None)  # with the reckoning, a schedule goes over it
                return c.SetRates(Asset(command.asset), changes)
            case r.SetProfile():
                it = self.rules.profiles[command.profile]
                return c.SetProfile(
                    command.profile,
                    Execution(it.execution),
                    Trigger(it.trigger),
                    LimitFill(it.limit_fill),
                    {**self.engine.rules.rates, **{Asset(name): rates_of(rates) for name, rates in it.rates.items()}},
                )
            case _:
                return TRANSLATED[type(command)](command)

    def _all_of(self, command: c.Command) -> tuple[list[Told], Refused | None, tuple[int, int] | None]:
        outcome = self.engine.execute(command, self.at)
        told = [self.told(record) for record in outcome.records] if isinstance(outcome, Done) else []
        return told, *answered(outcome)

    # --- events -------------------------------------------------------------------------------------------------------

    def told(self, record: e.Record) -> Told:
        event = record.event
        fields = self._fields(event)
        if "event" not in fields:
            fields["event"] = type(event).__struct_config__.tag
        if isinstance(event, e.TradeOpened | e.TradeIncreased | e.TradeReduced | e.TradeChanged):
            self.before[event.trade.id] = event.trade
        return {**fields, "seq": record.seq, "at": record.at}

    def _fields(self, event: e.Event) -> Told:
        match event:
            case e.AccountOpened():
                return {**_same(event, "account", "email", "balance"), "amount": event.deposit}
            case e.Deposited():
                return asdict(event)
            case e.InsurancePaid():
                return {"event": "house_deposited", "amount": event.amount}
            case e.OrderPlaced():
                return {**_shown(event.order), "balance": event.balance}
            case e.OrderAmended():
                return {**_shown(event.order), "released": event.released, "balance": event.balance}
            case e.OrderTriggered():
                return {"order": event.order_id, **_same(event, "account", "asset")}
            case e.OrderEnded():
                ended = {"order": event.order_id, "status": event.status.value, "reason": event.reason or None}
                return {**ended, **_same(event, "account", "asset", "released", "balance")}
            case e.NetLeverageSet():
                return _same(event, "account", "asset", "leverage")
            case e.TrailMoved():
                return _same(event, "asset", "bid", "ask", "mark")
            case e.RatesSet():
                return {"asset": event.asset, "changes": self.changes}
            case e.ProfileSet():
                return {"profile": event.profile}
            case e.ExchangeReset():
                return {"event": "started_afresh"}
            case _:
                return self._fields_of_a_trade(event)

    def _fields_of_a_trade(self, event: e.Event) -> Told:
        match event:
            case e.TradeOpened(trade=trade):
                return {
                    "order": trade.id,
                    "side": trade.side.value,
                    "price": trade.entry,
                    **_same(trade, "account", "asset", "margin", "leverage", "size", "liquidation", "net"),
                    **_same(event, "fee", "balance"),
                    **self._exits(trade),
                }
            case e.TradeIncreased(trade=trade):
                return {
                    "order": trade.id,
                    **_same(trade, "account", "asset", "entry", "liquidation"),
                    **_same(event, "by", "price", "size", "margin", "fee", "balance"),
                    "now_size": trade.size,
                    "now_margin": trade.margin,
                }
            case e.TradeReduced(trade=trade):
                return {
                    "order": trade.id,
                    **_same(trade, "account", "asset", "liquidation"),
                    **_same(event, "size", *_PART),
                    "reason": event.reason.value,
                    "left_size": trade.size,
                    "left_margin": trade.margin,
                }
            case e.TradeClosed():
                closed = {
                    "order": event.trade_id,
                    "size": self.before[event.trade_id].size,
                    "reason": event.reason.value,
                }
                closed |= _same(event, "account", "asset", *_PART)
                if event.liquidated:
                    closed["mark"] = closed.pop("price")
                    closed.pop("by")
                    more = _same(event, "bid", "ask", "forfeited", "stop_loss")
                    return {**closed, "event": "trade_liquidated", **more}
                return closed
            case e.TradeChanged(trade=trade):
                changed = {
                    "order": trade.id,
                    "why": event.why.value,
                    "added": event.amount,
                    **_same(trade, "account", "asset", "size", "margin", "leverage", "liquidation"),
                    "balance": event.balance,
                    **self._exits(trade),
                }
                if event.why is e.Why.FUNDING:
                    changed |= _same(event, "paid", "price", "shortfall", "covered")
                if event.exit is not None:
                    changed |= {"exit": event.exit, "ended": event.ended and event.ended.value}
                return changed
            case _:
                raise AssertionError(event)

    def _exits(self, trade: Trade) -> Told:
        trailing = trade.trailing_stop
        return {
            "take_profit": _price_of(trade.take_profit),
            "stop_loss": _price_of(trade.stop_loss),
            "trailing": None if trailing is None else _trailed(trailing.trailing),
            "level": ANY if trailing is not None else None,
        }

    # --- the state ----------------------------------------------------------------------------------------------------

    def picture(self) -> Told:
        state = self.state
        trades = [trade for account in state.account_list for trade in account.trades.values()]
        orders = [order for account in state.account_list for order in account.orders.values()]
        return {
            "seq": state.seq,
            "at": self.at,
            "accounts": {
                each.id: {
                    **_same(each, "free", "locked", "reserved"),
                    "net_leverage": {asset: net.leverage for asset, net in each.nets.items() if net.leverage},
                    "used": {name: (seen.seq, seen.last) for name, seen in each.seen.items()},
                }
                for each in state.account_list
            },
            "trades": {trade.id: self._trade(trade) for trade in trades},
            "orders": {order.id: _order(order) for order in orders},
            "house": {**asdict(state.house), **_same(state, "shortfall", "deposits")},
            "prices": {
                asset: {**_same(market.price, "bid", "ask", "at", "fresh_until"), "is_suspect": market.price.suspect}
                for asset, market in state.markets.items()
                if market.price is not None
            },
        }

    def _trade(self, trade: Trade) -> Told:
        exits = sorted(trade.all_exits(), key=lambda each: (each.number, each.kind.value))
        line = trade.line
        own = ("id", "account", "asset", "liquidation", "opened_at", "number", "client_order")
        return {
            **_same(trade, *own, "commission", "funding", "realized", "leverage"),
            **_same(line, "side", "size", "cost", "unit", "margin"),
            "is_net": trade.net,
            "exits": [self._exit(trade, each) for each in exits],
        }

    def _exit(self, trade: Trade, it: Exit) -> Told:
        market, order = self.state.markets[trade.asset], it.order
        return {
            "kind": it.kind.value,
            "price": None if it.trailing is not None else it.price,
            "size": it.size or None,
            "id": it.id,
            "limit": None if order is None else order.limit,
            "trailing": _trailed(it.trailing),
            "watermark": None if it.trailing is None else market.watermark_of(trade, it),
            "expires_at": None if order is None else order.expires_at,
            "post_only": order is not None and order.post_only,
            "number": it.number,
            "fired": None if order is None or not order.fired else order.fired,
            "level": it.price if it.trailing is None else market.trailing_level(trade, it),
        }


def answered(outcome: EngineOutcome) -> tuple[Refused | None, tuple[int, int] | None]:
    """The refusal, and the records that are repeated."""
    match outcome:
        case Refusal():
            return refused(outcome), None
        case Repeated(seen):
            return None, (seen.seq, seen.last)
        case Done():
            return None, None


class _Any:
    """The trailing level of an event is worked out from the state, when somebody asks."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


ANY = _Any()
_PART = ("margin", "price", "pnl", "fee", "returned", "shortfall", "covered", "by", "balance")


def _order(order: Order) -> Told:
    own = ("id", "account", "asset", "leverage", "limit", "stop", "expires_at", "post_only", "take_profit", "stop_loss")
    return {
        **_same(order, *own, "client_order", "reserved", "opens", "number"),
        "side": order.side.value,
        "margin": order.margin or None,
        "quantity": order.quantity or None,
        "trailing": _trailed(order.trailing_stop),
        "fired": order.fired or None,
        "kind": order.kind.value,
    }


def _rates_changes(given: Mapping[str, Any]) -> Told:
    changes = dict(given)
    whole = rates_of(rulebook.Rates(**changes))
    names = {"funding_interval": "funding_interval_s", "funding_offset": "funding_offset_s"}
    return {names.get(name, name): getattr(whole, names.get(name, name)) for name in changes}


def refused(refusal: Refusal) -> Refused:
    figures = refusal.figures
    if refusal.reject is Reject.INVALID_REQUEST:
        return Malformed("bad_request")
    details = {} if figures is None else asdict(figures)
    if isinstance(figures, Reached):
        details = {"price": figures.price, "level": figures.level}
    elif refusal.reject is not Reject.PRICE_UNAVAILABLE:
        details.pop("asset", None)
    values = {key: value.value if hasattr(value, "value") else value for key, value in details.items()}
    if values.get("figure") == "trailing_percent":
        values["figure"] = "percent"
    return Refused(refusal.reject.value, **values)


class ReopenedPeer(EnginePeer):
    """The same, with an engine that is made anew now and then: from a picture of its state, which must be that which
    its records lead to."""

    def __init__(self, rules: rulebook.Rules, start: int) -> None:
        super().__init__(rules, start)
        self.records: list[e.Record] = []
        self.commands = 0

    def execute(self, command: r.Command, at: int) -> Outcome:
        outcome = super().execute(command, at)
        self.commands += 1
        if self.commands % 17 == 0:
            self._reopen()
        return outcome

    def told(self, record: e.Record) -> Told:
        self.records.append(record)
        return super().told(record)

    def _reopen(self) -> None:
        before = self.state
        header, accounts = picture_of(before)
        after = restore(decode_header(encode_header(header)), accounts)
        audit(after)
        assert digest_of(after) == digest_of(before) == digest_of(replayed(map(_as_stored, self.records)))
        for asset, market in before.markets.items():
            now = after.market(asset)
            now.price, now.funding = market.price, market.funding  # which a feed brings again
        self.engine = Engine(rules_of(self.rules), after, 3)
        for each in before.due._settlements:
            after.due.settle_next(each.asset, each.at)


def _as_stored(record: e.Record) -> e.Record:
    return msgspec.json.decode(msgspec.json.encode(record), type=e.Record)
