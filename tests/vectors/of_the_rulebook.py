"""The vectors' adapter of the reckoning in tests/reference/rulebook."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.reference.rulebook import commands as c
from tests.reference.rulebook import exits, formulas, parts, quotes, statement
from tests.reference.rulebook.book import Exit
from tests.reference.rulebook.commands import Trailing
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.formulas import Position
from tests.reference.rulebook.rules import AssetRules, Rates, Rules, Tier
from tests.vectors.running import Events, Play

SECOND = 1_000_000
FOREVER = 10**18
KINDS = {"profit": "take_profit", "stop": "stop_loss", "loss": "stop_loss", None: None}
Given = dict[str, Any]


def position_of(given: Given) -> Position:
    """Of the vectors' two forms."""
    side, leverage = given["side"], given["leverage"]
    if "entry" not in given:
        return Position(side, given["size"], given["cost"], given["unit"], given["margin"], leverage, is_net=True)
    opened = formulas.trade_position(side, given["margin"], leverage, given["entry"])
    size: int = given.get("size", opened.size)
    margin: int = given.get("held_margin", opened.margin)
    return replace(opened, size=size, cost=size * given["entry"], margin=margin)


def rates_of(terms: Given) -> Rates:
    funding = terms.get("funding", {})
    return Rates(
        taker=terms.get("taker", 0),
        maker=terms.get("maker", 0),
        maintenance=tuple(Tier(*tier) for tier in terms.get("tiers", ())),
        maintenance_basis=terms.get("basis", "mark"),
        hold_close_fee=terms.get("hold_close_fee", False),
        min_margin=terms.get("min_margin", 0),
        liquidation_fee=terms.get("liquidation_fee", 0),
        residual=terms.get("residual", "forfeit"),
        funding_interval=funding.get("interval", 0) * SECOND,
        funding_offset=funding.get("offset", 0) * SECOND,
        funding_rate=funding.get("long_rate", 0),
        funding_rate_short=funding.get("short_rate"),
        funding_weekdays=tuple(funding.get("weights", (1,) * 7)),
    )


def _liquidation(given: Given, position: Position, rates: Rates) -> Given:
    return {
        "liquidation": formulas.liquidation_price(position, rates),
        "bankruptcy": formulas.bankruptcy_price(position),
        "size": position.size,
        "cost": position.cost,
        "unit": position.unit,
    }


def _requirement(given: Given, position: Position, rates: Rates) -> Given:
    mark = given["mark"]
    exact = formulas.requirement(position, rates, mark) + formulas.held(position, rates, mark)
    return {
        "requirement_floor": math.floor(exact),
        "requirement_ceil": math.ceil(exact),
        "due": formulas.is_due(position, rates, mark),
    }


def _close(given: Given, position: Position, rates: Rates) -> Given:
    settled = formulas.close(position, given["price"], given.get("rate", 0))
    return {name: getattr(settled, name) for name in ("pnl", "fee", "returned", "shortfall")}


def _liquidate(given: Given, position: Position, rates: Rates) -> Given:
    settled = formulas.liquidate(position, given["mark"], rates)
    insurance = given.get("insurance", 0)
    covered = min(settled.shortfall, insurance)
    return {
        **vars(settled),
        "covered": covered,
        "insurance": insurance - covered + settled.fee + settled.forfeited,
        "bad_debt": settled.shortfall - covered,
    }


def _reduce(given: Given, position: Position, rates: Rates) -> Given:
    size = parts.part_of(position, given.get("percent"), given.get("margin"), given.get("size"))
    parts.checks_part(position, size)
    part, left = formulas.split(position, size)
    settled = formulas.close(part, given["price"], given.get("rate", 0))
    figures = {name: getattr(settled, name) for name in ("pnl", "fee", "returned", "shortfall")}
    return {
        "closed": {"size": part.size, "cost": part.cost, "margin": part.margin, **figures},
        "left": {
            "size": left.size,
            "cost": left.cost,
            "margin": left.margin,
            "liquidation": formulas.liquidation_price(left, rates),
        },
        "liquidation_before": formulas.liquidation_price(position, rates),
    }


def _margin(given: Given, position: Position, rates: Rates) -> Given:
    most = formulas.removable(position, given["mark"])
    amount = given.get("amount", 0)
    if -amount > most:
        raise c.Refused("margin_too_low", removable=most)
    changed = replace(position, margin=position.margin + amount)
    return {
        "initial_margin": formulas.initial_margin(position.cost, position.unit, position.leverage),
        "removable": most,
        "margin": changed.margin,
        "liquidation_before": formulas.liquidation_price(position, rates),
        "liquidation": formulas.liquidation_price(changed, rates),
    }


def _leverage(given: Given, position: Position, rates: Rates) -> Given:
    added = formulas.added_by_leverage(position, given["leverage"])
    changed = replace(position, margin=position.margin + added, leverage=given["leverage"])
    return {
        "added": added,
        "margin": changed.margin,
        "liquidation": formulas.liquidation_price(changed, rates),
        "removable": formulas.removable(changed, given["mark"]),
    }


def _funding(given: Given, position: Position, rates: Rates) -> Given:
    paid, unpaid = formulas.funding(position, given["mark"], given["rate"] * given.get("weight", 1))
    changed = replace(position, margin=position.margin - paid)
    return {
        "paid": paid,
        "unpaid": unpaid,
        "margin": changed.margin,
        "liquidation_before": formulas.liquidation_price(position, rates),
        "liquidation": formulas.liquidation_price(changed, rates),
        "due": formulas.is_due(changed, rates, given["mark"]),
    }


OF_A_POSITION: dict[str, Callable[[Given, Position, Rates], Given]] = {
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
    size = given["margin"] * given["leverage"]
    fee = formulas.fee(Fraction(size, 100), given["rate"])
    return {"size": size, "fee": fee, "required": given["margin"] + fee}


def _trail(given: Given) -> Given:
    trailing = Trailing(given.get("distance"), given.get("percent"), given.get("activation"))
    it = Exit("trailing_stop", trailing=trailing)
    levels, fires_at = [], None
    for index, price in enumerate(given["prices"]):
        exits.follow(it, given["side"], price)
        level = it.level(given["side"])
        levels.append(level)
        due = level is not None and (price <= level if given["side"] == "long" else price >= level)
        fires_at = index if due and fires_at is None else fires_at
    return {"levels": levels, "fires_at": fires_at}


def _quote(given: Given) -> Given:
    rates, entry = rates_of(given.get("terms", {})), given["entry"]
    position = formulas.trade_position(given["side"], given["margin"], given["leverage"], entry)
    figures = quotes.figures(position, rates, entry, entry, given["free"], rates.taker)
    renamed = {"commission": "fee", "close_commission": "close_fee_at_entry", "is_due": "due"}
    return {renamed.get(name, name): value for name, value in figures.items()}


def _net(given: Given) -> Given:
    """Each fill at one price, as a taker."""
    asset = {key: given[key] for key in ("decimals", "quantity_decimals")} | given.get("terms", {})
    play = RulebookPlay({"assets": {"IT": asset}})
    play.do({"do": "deposit", "account": "ann", "amount": 10**15})
    play.do({"do": "net_leverage", "account": "ann", "asset": "IT", "leverage": given["leverage"]})
    after = []
    for number, (side, quantity, price) in enumerate(given["fills"]):
        play.do({"do": "tick", "asset": "IT", "bid": price, "ask": price})
        order = {"do": "net", "id": f"o{number}", "account": "ann", "asset": "IT", "side": side, "quantity": quantity}
        events = play.do(order)
        after.append(
            {
                "realized": [each["pnl"] for each in events if "pnl" in each],
                "fees": [each["fee"] for each in events],
                "position": _shown(play.exchange),
            }
        )
    return {"after": after}


def _shown(exchange: Exchange) -> Given | None:
    trade = exchange.book.net_trade("ann", "IT")
    if trade is None:
        return None
    return {**vars(trade.position), "entry": trade.position.shown_entry, "liquidation": trade.liquidation}


WITHOUT_ONE: dict[str, Callable[[Given], Given]] = {"open": _open, "trail": _trail, "quote": _quote, "net": _net}


class RulebookPlay:
    def __init__(self, rules: Given) -> None:
        assets = {
            name: AssetRules(each["decimals"], each["quantity_decimals"], rates=rates_of(each))
            for name, each in rules["assets"].items()
        }
        start = rules.get("start", 0) * SECOND
        modes = {key: rules[key] for key in ("execution", "trigger", "limit_fill") if key in rules}
        self.exchange = Exchange(Rules(assets, **modes), start)
        self.at = start
        if rules.get("insurance"):
            self.exchange.execute(c.DepositHouse(rules["insurance"]), start)

    def do(self, step: Given) -> Events:
        book = self.exchange.book
        self.at = step["at"] * SECOND if "at" in step else self.at
        if step.get("account", "") not in ("", *book.accounts):
            self.exchange.execute(c.OpenAccount(step["account"], step["account"], 0), self.at)
        outcome = self.exchange.execute(command_of(self._by_its_names(step), self._owner), self.at)
        book.check()
        events = [self._told(each) for each in outcome.events if each["event"] != "net_leverage_set"]
        return events if outcome.refusal is None else [*events, {"refused": outcome.refusal.code}]

    def _owner(self, name: str) -> str:
        """Whose order, exit or trade this is; steps don't say."""
        book = self.exchange.book
        for account in book.accounts:
            ids = {each.id for each in book.trades_of(account)} | {each.id for each in book.orders_of(account)}
            if name in ids | {each.id for _, each in book.exits_of(account)}:
                return account
        return next(iter(book.accounts))

    def _by_its_names(self, step: Given) -> Given:
        """An amended exit has a price and a size, whatever the step calls them."""
        exits = {each.id: each for trade in self.exchange.book.trades.values() for each in trade.exits}
        if step["do"] != "amend" or step["id"] not in exits:
            return step
        names = {"quantity": "size", "stop": "price"}
        if exits[step["id"]].kind == "limit":
            names["limit"] = "price"
        return {names.get(name, name): value for name, value in step.items()}

    def _told(self, event: Given) -> Given:
        """The vectors show an exit over all there is as the position's own, whoever made it."""
        trade = self.exchange.book.trades.get(event.get("order", ""))
        if event["event"] != "trade_changed" or trade is None:
            return event
        whole = {each.kind: each.price for each in trade.exits if each.size is None and each.trailing is None}
        shown = {kind: whole.get(kind) for kind in ("take_profit", "stop_loss")}
        trailing = event["trailing"]
        said = {key: value for key, value in vars(trailing or Trailing()).items() if value is not None}
        return {**event, **shown, "trailing": said or None}

    def accounts(self) -> dict[str, Given]:
        book = self.exchange.book
        return {
            each.id: {
                "free": each.free,
                "locked": book.locked(each.id),
                "reserved": book.reserved(each.id),
                "ledger": statement.sums(each.rows),
            }
            for each in book.accounts.values()
        }

    def house(self) -> dict[str, int]:
        house = self.exchange.book.house
        return {name: getattr(house, name) for name in ("pnl", "commission", "funding", "insurance")}

    def shortfall(self) -> int:
        return self.exchange.book.house.shortfall


def _trailing(given: Given | None) -> Trailing | None:
    return None if given is None else Trailing(given.get("distance"), given.get("percent"), given.get("activation"))


def _exits(step: Given) -> Given:
    return {
        "take_profit": step.get("take_profit"),
        "stop_loss": step.get("stop_loss"),
        "trailing": _trailing(step.get("trailing")),
    }


def _expiry(step: Given, key: str = "expires") -> int | None:
    return None if step.get(key) is None else step[key] * SECOND


def command_of(step: Given, owner: Callable[[str], str]) -> c.Command:
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
            kind: str = KINDS.get(step["kind"]) or step["kind"]
            sizes: dict[str, Any] = {key: step.get(key) for key in ("percent", "margin", "size")}
            return c.AddExit(owner(step["closes"]), step["closes"], step["id"], kind, step["price"], **sizes)
        case _:
            return _of_what_there_is(step, owner(step["id"]))


def _opening(step: Given) -> c.Command:
    who: Given = {"account": step["account"], "order": step["id"], "asset": step["asset"]}
    waiting: Given = {
        "limit": step.get("limit"),
        "stop": step.get("stop"),
        "tif": step.get("tif", step.get("time_in_force")),
        "expires_at": _expiry(step),
        "post_only": step.get("post_only", False),
    }
    if step["do"] == "net":
        return c.NetOrder(
            **who,
            side=step["side"],
            quantity=step.get("quantity"),
            close_position=step.get("close_position", False),
            trailing=_trailing(step.get("trailing")),
            kind=KINDS.get(step.get("kind"), step.get("kind")),
            reduce_only=step.get("reduce_only", False),
            **waiting,
        )
    figures: Given = {**who, "side": step["type"], "margin": step["margin"], "leverage": step["leverage"]}
    if step["do"] == "order":
        return c.PlaceOrder(**figures, **waiting, **_exits(step))
    slipping: Given = {"slippage": step.get("slippage"), "expected_price": step.get("expected_price")}
    return c.OpenTrade(**figures, **slipping, **_exits(step))


def _of_what_there_is(step: Given, account: str) -> c.Command:
    who = (account, step["id"])
    match step["do"]:
        case "cancel":
            return c.CancelOrder(*who)
        case "amend":
            names = ("limit", "stop", "margin", "leverage", "quantity", "price", "size", "take_profit", "stop_loss")
            changes = {name: step[name] for name in names if name in step}
            changes |= {"expires_at": _expiry(step)} if "expires" in step else {}
            changes |= {"trailing": _trailing(step["trailing"])} if "trailing" in step else {}
            return c.AmendOrder(*who, changes)
        case "exits":
            given = _exits(step)
            return c.SetExits(*who, {name: given[name] for name in given if name in step})
        case "close":
            return c.CloseTrade(*who, step.get("percent"), step.get("margin"), step.get("size", step.get("quantity")))
        case "margin":
            return c.ChangeMargin(*who, step["amount"])
        case "leverage":
            return c.ChangeLeverage(*who, step["leverage"])
        case _:
            raise AssertionError(f"an unknown step: {step}")


class RulebookAdapter:
    """As an `Adapter` of `running`."""

    def reckon(self, op: str, given: Given) -> Given:
        try:
            if op in WITHOUT_ONE:
                return WITHOUT_ONE[op](given)
            return OF_A_POSITION[op](given, position_of(given["position"]), rates_of(given.get("terms", {})))
        except c.Refused as refused:
            return {"refused": refused.code, **refused.details}

    def play(self, rules: Given) -> Play:
        return RulebookPlay(rules)
