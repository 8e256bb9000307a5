"""Bodies that name a trade or an order, as the commands that they ask for: see `opening_bodies`.

Which decimals their prices have depends on its asset, so they are read in two steps: what it is that they name, then
all else.
"""

import msgspec
from msgspec import UNSET

from exness.core.commands import AddExit, AmendOrder, CancelOrders, ChangeLeverage, ChangeMargin, CloseTrade, SetExits
from exness.core.instruments import LEVERAGE_DECIMALS, AccountId, Asset, Instrument, OrderId, TradeId
from exness.core.money import USDC_DECIMALS
from exness.core.rules import Rules, out_of_range
from exness.runtime.ports.clock import Ids
from exness.web.v1.bodies import Problems, asset_named, given, present, read_body, scaled
from exness.web.v1.body_fields import (
    BEYOND,
    EXIT_KINDS,
    above_0,
    changed,
    changed_exits,
    choice,
    decimals_of,
    figure,
    part_of,
    places_of,
    text_of,
    time_of,
)
from exness.web.v1.order_models import AddExitBody, AmendOrderBody, CancelAllBody, OrderIdBody
from exness.web.v1.refusals import FIELDS, sentence
from exness.web.v1.trade_models import CloseAllBody, CloseTradeBody, ExitsBody, LeverageBody, MarginBody

MAX_ORDER_ID = 64


class Named(msgspec.Struct, frozen=True):
    """A body that names a trade or an order, read but for what its asset says the decimals of."""

    order_id: str
    fields: msgspec.Struct
    problems: Problems

    @property
    def client_order(self) -> str | None:
        return text_of(getattr(self.fields, "client_order_id", None))

    @property
    def has_quantity(self) -> bool:
        return given(getattr(self.fields, "quantity", None)) is not None


def named_in(body: bytes, kind: type[msgspec.Struct]) -> Named:
    """Raises InvalidRequest where it names none that can be."""
    problems = Problems()
    fields = read_body(body, kind, problems, is_small=True)
    order_id: str | None = fields.order_id  # type: ignore[attr-defined]
    if order_id is not None and not 1 <= len(order_id) <= MAX_ORDER_ID:
        problems.not_allowed("orderId", f"orderId must have 1 to {MAX_ORDER_ID} characters")
    if order_id is None:
        problems.raise_if_any()
    named = Named(present(order_id), fields, problems)
    if named.client_order is not None:
        for wrong in out_of_range(None, None, None, None, None, named.client_order):
            problems.not_allowed(FIELDS[wrong.figure], sentence(wrong))
    return named


def order_named(body: bytes) -> OrderId:
    """The body of /order/cancel."""
    named = named_in(body, OrderIdBody)
    named.problems.raise_if_any()
    return OrderId(named.order_id)


def close_trade(named: Named, account: AccountId, instrument: Instrument | None) -> CloseTrade:
    """The body of /trade/close."""
    fields, problems = named.fields, named.problems
    assert isinstance(fields, CloseTradeBody)
    percent, margin, size = part_of(fields, instrument, problems, least=0)
    problems.raise_if_any()
    return CloseTrade(account, TradeId(named.order_id), percent, margin, size, text_of(fields.client_order_id))


def set_exits(named: Named, account: AccountId, instrument: Instrument | None) -> SetExits:
    """The body of /trade/exits."""
    fields, problems, decimals = named.fields, named.problems, decimals_of(instrument)
    assert isinstance(fields, ExitsBody)
    if fields.take_profit is UNSET and fields.stop_loss is UNSET and fields.trailing_stop is UNSET:
        problems.malformed("body", "Give takeProfit, stopLoss or trailingStop")
    command = SetExits(account, TradeId(named.order_id), **changed_exits(fields, decimals, problems))
    problems.raise_if_any()
    return command


def add_exit(named: Named, account: AccountId, ids: Ids, instrument: Instrument | None) -> AddExit:
    """The body of /trade/exit."""
    fields, problems = named.fields, named.problems
    assert isinstance(fields, AddExitBody)
    kind = choice(fields.kind, "kind", EXIT_KINDS, problems)
    price = above_0(scaled(fields.price, "price", decimals_of(instrument), problems), "price", problems)
    percent, margin, size = part_of(fields, instrument, problems, least=1)
    problems.raise_if_any()
    return AddExit(
        account,
        TradeId(named.order_id),
        OrderId(ids.new()),
        present(kind),
        present(price),
        percent,
        margin,
        size,
        text_of(fields.client_order_id),
    )


def change_margin(named: Named, account: AccountId) -> ChangeMargin:
    """The body of /trade/margin."""
    fields, problems = named.fields, named.problems
    assert isinstance(fields, MarginBody)
    amount = scaled(fields.amount, "amount", USDC_DECIMALS, problems)
    if amount == 0:
        problems.not_allowed("amount", "amount must not be 0")
    problems.raise_if_any()
    return ChangeMargin(account, TradeId(named.order_id), present(amount), text_of(fields.client_order_id))


def change_leverage(named: Named, account: AccountId) -> ChangeLeverage:
    """The body of /trade/leverage."""
    fields, problems = named.fields, named.problems
    assert isinstance(fields, LeverageBody)
    leverage = scaled(fields.leverage, "leverage", LEVERAGE_DECIMALS, problems, beyond=BEYOND)
    problems.raise_if_any()
    return ChangeLeverage(account, TradeId(named.order_id), present(leverage))


def amend_order(
    named: Named, account: AccountId, instrument: Instrument | None, *, has_quantity: bool = True
) -> AmendOrder:
    """The body of /order/amend. `has_quantity`: what it amends is measured in one."""
    fields, problems, decimals = named.fields, named.problems, decimals_of(instrument)
    assert isinstance(fields, AmendOrderBody)
    expires_at = fields.expires_at
    changes = {
        "limit": changed(fields.limit_price, "limitPrice", decimals, problems),
        "stop": changed(fields.stop_price, "stopPrice", decimals, problems),
        "expires_at": UNSET if expires_at is UNSET else time_of(text_of(expires_at), "expiresAt", problems),
        "margin": figure(fields.margin, "margin", USDC_DECIMALS, problems),
        "leverage": figure(fields.leverage, "leverage", LEVERAGE_DECIMALS, problems),
        "size": figure(fields.quantity, "quantity", places_of(instrument), problems),
        **changed_exits(fields, decimals, problems),
    }
    if not has_quantity and given(fields.quantity) is not None:
        problems.not_allowed("quantity", "quantity must not be given for such an order")
    if not problems.all and all(each is UNSET for each in changes.values()):
        problems.malformed("body", "Give what changes")
    problems.raise_if_any()
    return AmendOrder(account, OrderId(named.order_id), **changes)


def cancel_orders(body: bytes, rules: Rules, account: AccountId) -> CancelOrders:
    """The body of /order/cancelAll."""
    return CancelOrders(account, asset_of(body, CancelAllBody, rules))


def asset_of(body: bytes, kind: type[CancelAllBody] | type[CloseAllBody], rules: Rules) -> Asset | None:
    """Of a body that is about one asset, or about all: None."""
    problems = Problems()
    name = text_of(read_body(body, kind, problems, is_small=True).asset)
    asset = asset_named(name, rules, problems)
    problems.raise_if_any()
    return asset
