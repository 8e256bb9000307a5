"""The vectors' adapter of the engine."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from exness.core import commands as c
from exness.core import line as lines
from exness.core import statement
from exness.core.audit import audit
from exness.core.commands import TimeInForce
from exness.core.decide import parts
from exness.core.decide.opening import trailing_exit
from exness.core.engine import Engine
from exness.core.events import (
    Event,
    NetLeverageSet,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import AccountId, Asset, Execution, Instrument, LimitFill, OrderId, Side, TradeId, Trigger
from exness.core.line import Line
from exness.core.market import Market
from exness.core.outcomes import Done
from exness.core.rates import RATE_UNIT, Basis, Rates, Residual, Tier
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.trades import Kind, Trade, Trailing
from tests.vectors.running import Events, Play

SECOND = 1_000_000
FOREVER = 10**18
KINDS = {"profit": Kind.TAKE_PROFIT, "stop": Kind.STOP_LOSS, "loss": Kind.STOP_LOSS}
SIDES = {"long": Side.LONG, "short": Side.SHORT, "buy": Side.LONG, "sell": Side.SHORT}
Given = dict[str, Any]


def line_of(given: Given) -> Line:
    """Of the vectors' two forms."""
    side = Side(given["side"])
    if "entry" not in given:
        return Line(side, given["size"], given["cost"], given["unit"], given["margin"])
    opened = lines.trade_line(side, given["margin"], given["leverage"], given["entry"])
    size = given.get("size", opened.size)
    return Line(side, size, size * given["entry"], opened.unit, given.get("held_margin", opened.margin))


def rates_of(terms: Given) -> Rates:
    funding = terms.get("funding", {})
    return Rates(
        taker=terms.get("taker", 0),
        maker=terms.get("maker", 0),
        maintenance=tuple(Tier(*tier) for tier in terms.get("tiers", ())),
        maintenance_basis=Basis(terms.get("basis", "mark")),
        hold_close_fee=terms.get("hold_close_fee", False),
        min_margin=terms.get("min_margin", 0),
        liquidation_fee=terms.get("liquidation_fee", 0),
        residual=Residual(terms.get("residual", "forfeit")),
        funding_interval_s=funding.get("interval", 0),
        funding_offset_s=funding.get("offset", 0),
        funding_rate=funding.get("long_rate", 0),
        funding_rate_short=funding.get("short_rate"),
        funding_weekdays=tuple(funding.get("weights", (1,) * 7)),
    )


# --- formulas -------------------------------------------------------------------------------------------------------


def _liquidation(given: Given, line: Line, rates: Rates) -> Given:
    return {
        "liquidation": lines.liquidation_price(line, rates),
        "bankruptcy": lines.bankruptcy_price(line),
        "size": line.size,
        "cost": line.cost,
        "unit": line.unit,
    }


def _requirement(given: Given, line: Line, rates: Rates) -> Given:
    """The engine rounds it up alone; that it is whole is said by its being due or not one unit apart."""
    required = lines.requirement(line, rates, given["mark"])
    exact = lines._required(line, rates, given["mark"])
    floor = exact // (line.unit * RATE_UNIT)
    return {
        "requirement_floor": floor,
        "requirement_ceil": required,
        "due": lines.is_due(line, rates, given["mark"]),
    }


def _close(given: Given, line: Line, rates: Rates) -> Given:
    return msgspec.structs.asdict(lines.settle(line, given["price"], given.get("rate", 0)))


def _liquidate(given: Given, line: Line, rates: Rates) -> Given:
    insurance = given.get("insurance", 0)
    end = lines.settle_liquidation(line, given["mark"], rates, insurance)
    return {
        **msgspec.structs.asdict(end),
        "insurance": insurance - end.covered + end.fee + end.forfeited,
        "bad_debt": end.shortfall - end.covered,
    }


def _reduce(given: Given, line: Line, rates: Rates) -> Given:
    size = parts.part_of(line, given.get("percent"), given.get("margin"), given.get("size"))
    assert isinstance(size, int)
    if parts.is_too_small(line, size):
        return {"refused": "amount_too_small"}
    part, left = lines.split(line, size)
    end = msgspec.structs.asdict(lines.settle(part, given["price"], given.get("rate", 0)))
    return {
        "closed": {"size": part.size, "cost": part.cost, "margin": part.margin, **end},
        "left": {
            "size": left.size,
            "cost": left.cost,
            "margin": left.margin,
            "liquidation": lines.liquidation_price(left, rates),
        },
        "liquidation_before": lines.liquidation_price(line, rates),
    }


def _margin(given: Given, line: Line, rates: Rates) -> Given:
    leverage, amount = given["position"]["leverage"], given.get("amount", 0)
    most = lines.removable(line, leverage, given["mark"])
    if -amount > most:
        return {"refused": "margin_too_low", "removable": most}
    changed = lines.with_margin(line, line.margin + amount)
    return {
        "initial_margin": lines.initial_margin(line, leverage),
        "removable": most,
        "margin": changed.margin,
        "liquidation_before": lines.liquidation_price(line, rates),
        "liquidation": lines.liquidation_price(changed, rates),
    }


def _leverage(given: Given, line: Line, rates: Rates) -> Given:
    leverage = given["leverage"]
    added = max(0, lines.initial_margin(line, leverage) - line.margin)
    changed = lines.with_margin(line, line.margin + added)
    return {
        "added": added,
        "margin": changed.margin,
        "liquidation": lines.liquidation_price(changed, rates),
        "removable": lines.removable(changed, leverage, given["mark"]),
    }


def _funding(given: Given, line: Line, rates: Rates) -> Given:
    payment = lines.funding_payment(line, given["mark"], given["rate"], given.get("weight", 1))
    changed = lines.with_margin(line, line.margin - payment.paid)
    return {
        "paid": payment.paid,
        "unpaid": payment.unpaid,
        "margin": changed.margin,
        "liquidation_before": lines.liquidation_price(line, rates),
        "liquidation": lines.liquidation_price(changed, rates),
        "due": lines.is_due(changed, rates, given["mark"]),
    }


OF_A_POSITION: dict[str, Callable[[Given, Line, Rates], Given]] = {
    "liquidation": _liquidation,
    "requirement": _requirement,
    "close": _close,
    "liquidate": _liquidate,
    "reduce": _reduce,
    "margin": _margin,
    "leverage": _leverage,
    "funding": _funding,
}


def _open(given: Given) -> Given:
    line = lines.trade_line(Side.LONG, given["margin"], given["leverage"], 10**9)
    fee = lines.entry_fee(line, given["rate"])
    return {"size": line.size, "fee": fee, "required": given["margin"] + fee}


def _trail(given: Given) -> Given:
    """One trailing stop in a market."""
    side, prices = Side(given["side"]), given["prices"]
    trailing = _trailing(given)
    assert trailing is not None
    exit_ = trailing_exit(trailing, side, prices[0], 16)
    trade = Trade(TradeId("t"), AccountId("a"), Asset("IT"), side, 1, 100, 1, 0, 0, 1, 100, trailing_stop=exit_)
    market, number = Market(), side is Side.SHORT
    market.list_trade(trade)
    levels, fires_at = [], None
    for index, price in enumerate(prices):
        if market.trail_moves(number, price):
            market.move_trail(number, price, 16 * (index + 2))
        levels.append(market.trailing_level(trade, exit_))
        if market.trailing[number].first_due(price) is not None and fires_at is None:
            fires_at = index
    return {"levels": levels, "fires_at": fires_at}


def _quote(given: Given) -> Given:
    rates, entry, free = rates_of(given.get("terms", {})), given["entry"], given["free"]
    line = lines.trade_line(Side(given["side"]), given["margin"], given["leverage"], entry)
    fee = lines.entry_fee(line, rates.taker)
    return {
        "fee": fee,
        "required": given["margin"] + fee,
        "liquidation": lines.liquidation_price(line, rates),
        "bankruptcy": lines.bankruptcy_price(line),
        "break_even": lines.break_even_price(line, rates.taker, fee),
        "max_margin": lines.max_margin(free, given["leverage"], rates.taker),
        "requirement": lines.requirement(line, rates, entry),
        "due": lines.is_due(line, rates, entry),
        "close_fee_at_entry": lines.fee(line, entry, rates.taker),
    }


def _net(given: Given) -> Given:
    """Each fill at one price, as a taker."""
    asset = {key: given[key] for key in ("decimals", "quantity_decimals")} | given.get("terms", {})
    play = EnginePlay({"assets": {"IT": asset}})
    play.do({"do": "deposit", "account": "ann", "amount": 10**15})
    play.do({"do": "net_leverage", "account": "ann", "asset": "IT", "leverage": given["leverage"]})
    after = []
    for number, (side, quantity, price) in enumerate(given["fills"]):
        play.do({"do": "tick", "asset": "IT", "bid": price, "ask": price})
        order = {"do": "net", "id": f"o{number}", "account": "ann", "asset": "IT", "side": side, "quantity": quantity}
        events = play.do(order)
        realized, fees = [each["pnl"] for each in events if "pnl" in each], [each["fee"] for each in events]
        trade = play.state.accounts[AccountId("ann")].net(Asset("IT"))
        after.append({"realized": realized, "fees": fees, "position": None if trade is None else _position(trade)})
    return {"after": after}


def _position(trade: Trade) -> Given:
    return {name: getattr(trade, name) for name in trade.__struct_fields__} | {"side": trade.side.value}


WITHOUT_ONE: dict[str, Callable[[Given], Given]] = {"open": _open, "trail": _trail, "quote": _quote, "net": _net}


# --- scenarios ------------------------------------------------------------------------------------------------------


class EnginePlay:
    def __init__(self, rules: Given) -> None:
        self.at = rules.get("start", 0) * SECOND
        state = State()
        state.at = self.at
        self.engine = Engine(
            Rules(
                instruments={
                    Asset(name): Instrument(
                        Asset(name), each["decimals"], 10_000, quantity_decimals=each["quantity_decimals"]
                    )
                    for name, each in rules["assets"].items()
                },
                execution=Execution(rules.get("execution", "mid")),
                trigger=Trigger(rules.get("trigger", "side")),
                limit_fill=LimitFill(rules.get("limit_fill", "better")),
                rates={Asset(name): rates_of(each) for name, each in rules["assets"].items()},
            ),
            state,
            3,
        )
        self.ledgers: dict[str, dict[str, int]] = {}

    @property
    def state(self) -> State:
        return self.engine.state

    def do(self, step: Given) -> Events:
        self.at = step["at"] * SECOND if "at" in step else self.at
        name = step.get("account")
        if name is not None and name not in self.state.accounts:
            self._execute(c.OpenAccount(AccountId(name), name, 0))
        told: Events = []
        while self.engine.is_due(self.at):
            told += self._execute(c.PassTime())
        command = command_of(step, self._owner)
        if not isinstance(command, c.PassTime):
            told += self._execute(command)
        audit(self.state)
        return told

    def _execute(self, command: c.Command) -> Events:
        outcome = self.engine.execute(command, self.at)
        if isinstance(outcome, Refusal):
            return [{"refused": outcome.reject.value}]
        assert isinstance(outcome, Done), outcome
        return [told for record in outcome.records if (told := self._told(record.event)) is not None]

    def _told(self, event: Event) -> Given | None:
        account = getattr(event, "account", None)
        if account is not None:
            ledger = self.ledgers.setdefault(account, {})
            for reason, amount in statement.entries(event):
                ledger[reason.value] = ledger.get(reason.value, 0) + amount
        return told_of(event)

    def _owner(self, name: str) -> AccountId:
        """Whose order, exit or trade this is; steps don't say."""
        for account in self.state.account_list:
            if name in account.trades or name in account.orders or name in account.exits:
                return account.id
        return self.state.account_list[0].id

    def accounts(self) -> dict[str, Given]:
        return {
            each.id: {
                "free": each.free,
                "locked": each.locked,
                "reserved": each.reserved,
                "ledger": self.ledgers.get(each.id, {}),
            }
            for each in self.state.account_list
        }

    def house(self) -> dict[str, int]:
        return msgspec.structs.asdict(self.state.house)

    def shortfall(self) -> int:
        return self.state.shortfall


def told_of(event: Event) -> Given | None:
    """An event in the words of the vectors; None for what they leave out."""
    fields: Given
    match event:
        case NetLeverageSet():
            return None
        case OrderPlaced(order=order) | OrderAmended(order=order):
            fields = {"order": order.id, "kind": order.kind.value, "reserved": order.reserved}
        case OrderTriggered(order_id=order_id):
            fields = {"order": order_id}
        case OrderEnded():
            fields = {"order": event.order_id, "status": event.status.value, "reason": event.reason or None}
        case TradeOpened(trade=trade):
            fields = {"order": trade.id, "side": trade.side.value, "price": trade.entry, **_of(trade), "fee": event.fee}
        case TradeIncreased(trade=trade):
            fields = {
                "order": trade.id,
                "now_size": trade.size,
                "now_margin": trade.margin,
                "entry": trade.entry,
                "liquidation": trade.liquidation,
            }
        case TradeReduced(trade=trade):
            fields = {
                "order": trade.id,
                "left_size": trade.size,
                "left_margin": trade.margin,
                "liquidation": trade.liquidation,
                "reason": event.reason.value,
            }
        case TradeClosed() if event.liquidated:
            return {
                **msgspec.structs.asdict(event),
                "event": "trade_liquidated",
                "order": event.trade_id,
                "mark": event.price,
            }
        case TradeClosed():
            fields = {"order": event.trade_id, "reason": event.reason.value, "stop_loss": None}
        case TradeChanged(trade=trade):
            fields = {"order": trade.id, "why": event.why.value, **_of(trade), **_whole_exits(trade)}
        case _:
            fields = {}
    kind = type(event).__struct_config__.tag
    return {"event": kind, **msgspec.structs.asdict(event), **fields}


def _of(trade: Trade) -> Given:
    return {name: getattr(trade, name) for name in ("margin", "leverage", "size", "liquidation")}


def _whole_exits(trade: Trade) -> Given:
    """The vectors show an exit over all there is as the position's own, whoever made it."""
    whole = {each.kind.value: each.price for each in trade.all_exits() if not each.size and each.trailing is None}
    return {kind: whole.get(kind) for kind in ("take_profit", "stop_loss")}


# --- commands -------------------------------------------------------------------------------------------------------


def _trailing(given: Given | None) -> Trailing | None:
    return None if given is None else Trailing(given.get("distance"), given.get("percent"), given.get("activation"))


def _exits(step: Given) -> Given:
    return {
        "take_profit": step.get("take_profit"),
        "stop_loss": step.get("stop_loss"),
        "trailing_stop": _trailing(step.get("trailing")),
    }


def _expiry(step: Given) -> int | None:
    return None if step.get("expires") is None else step["expires"] * SECOND


def command_of(step: Given, owner: Callable[[str], AccountId]) -> c.Command:
    """A step's command. `owner` tells whose an id is."""
    match step["do"]:
        case "deposit":
            return c.Deposit(step["account"], step["amount"])
        case "tick":
            return c.PriceTick(step["asset"], step["bid"], step["ask"], FOREVER)
        case "time":
            return c.PassTime()
        case "create" | "order" | "net":
            return _opening(step)
        case "net_leverage":
            return c.SetNetLeverage(step["account"], step["asset"], step["leverage"])
        case "cancel_all":
            return c.CancelOrders(step["account"], step.get("asset"))
        case "exit":
            kind = KINDS.get(step["kind"]) or Kind(step["kind"])
            sizes: dict[str, Any] = {key: step.get(key) for key in ("percent", "margin", "size")}
            return c.AddExit(owner(step["closes"]), step["closes"], step["id"], kind, step["price"], **sizes)
        case _:
            return _of_what_there_is(step, owner(step["id"]))


def _opening(step: Given) -> c.Command:
    who: Given = {"account": step["account"], "asset": step["asset"]}
    waiting: Given = {
        "limit": step.get("limit"),
        "stop": step.get("stop"),
        "time_in_force": None if step.get("tif") is None else TimeInForce(step["tif"]),
        "expires_at": _expiry(step),
        "post_only": step.get("post_only", False),
    }
    if step["do"] == "net":
        kind = step.get("kind")
        return c.NetOrder(
            **who,
            order_id=OrderId(step["id"]),
            side=SIDES[step["side"]],
            quantity=step.get("quantity"),
            close_position=step.get("close_position", False),
            trailing_stop=_trailing(step.get("trailing")),
            kind=None if kind is None else KINDS.get(kind) or Kind(kind),
            reduce_only=step.get("reduce_only", False),
            **waiting,
        )
    figures: Given = {**who, "side": Side(step["type"]), "margin": step["margin"], "leverage": step["leverage"]}
    if step["do"] == "order":
        return c.PlaceOrder(**figures, order_id=OrderId(step["id"]), **waiting, **_exits(step))
    slipping: Given = {"slippage": step.get("slippage"), "expected_price": step.get("expected_price")}
    return c.OpenTrade(**figures, trade_id=TradeId(step["id"]), **slipping, **_exits(step))


def _of_what_there_is(step: Given, account: AccountId) -> c.Command:
    order, trade = (account, OrderId(step["id"])), (account, TradeId(step["id"]))
    match step["do"]:
        case "cancel":
            return c.CancelOrder(*order)
        case "amend":
            names = ("limit", "stop", "margin", "leverage", "size", "take_profit", "stop_loss")
            changes: Given = {name: step[name] for name in names if name in step}
            changes |= {"size": step["quantity"]} if "quantity" in step else {}
            changes |= {"expires_at": _expiry(step)} if "expires" in step else {}
            changes |= {"trailing_stop": _trailing(step["trailing"])} if "trailing" in step else {}
            return c.AmendOrder(*order, **changes)
        case "exits":
            given = _exits(step)
            keys = {"take_profit": "take_profit", "stop_loss": "stop_loss", "trailing_stop": "trailing"}
            named: Given = {name: given[name] if key in step else UNSET for name, key in keys.items()}
            return c.SetExits(*trade, **named)
        case "close":
            size = step.get("size", step.get("quantity"))
            return c.CloseTrade(*trade, step.get("percent"), step.get("margin"), size)
        case "margin":
            return c.ChangeMargin(*trade, step["amount"])
        case "leverage":
            return c.ChangeLeverage(*trade, step["leverage"])
        case _:
            raise AssertionError(f"an unknown step: {step}")


class EngineAdapter:
    """As an `Adapter` of `running`."""

    def reckon(self, op: str, given: Given) -> Given:
        if op in WITHOUT_ONE:
            return WITHOUT_ONE[op](given)
        return OF_A_POSITION[op](given, line_of(given["position"]), rates_of(given.get("terms", {})))

    def play(self, rules: Given) -> Play:
        return EnginePlay(rules)
