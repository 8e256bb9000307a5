"""Bodies of what may open something, as commands, or an InvalidRequest that names every bad field.

What stands in a body is checked here: forms, prices above 0, which fields go together. What needs an account, a trade
or the time is the engine's to check, and every bound of a figure that it refuses with 422.
"""

import msgspec
from msgspec import UNSET

from exness.core.commands import NetOrder, OpenTrade, PlaceOrder, SetNetLeverage
from exness.core.instruments import LEVERAGE_DECIMALS, AccountId, OrderId, TradeId
from exness.core.money import USDC_DECIMALS
from exness.core.rules import Rules, out_of_range
from exness.core.trades import Trailing
from exness.runtime.ports.clock import Ids
from exness.web.v1.bodies import Problems, asset_named, given, present, read_body, scaled
from exness.web.v1.body_fields import (
    BEYOND,
    BUY_OR_SELL,
    NET_KINDS,
    SIDES,
    TIMES,
    choice,
    decimals_of,
    places_of,
    price_of,
    slippage_of,
    text_of,
    time_of,
    trailing_of,
)
from exness.web.v1.order_models import CreateOrderBody, NetLeverageBody, NetOrderBody, TradeQuoteBody
from exness.web.v1.refusals import FIELDS, sentence
from exness.web.v1.trade_models import CreateTradeBody

_CREATE_ORDER = (
    *("margin", "asset", "type", "leverage", "slippage", "expectedPrice", "clientOrderId"),
    *("limitPrice", "stopPrice", "timeInForce", "expiresAt", "takeProfit", "stopLoss", "trailingStop"),
)
"""The order in which API.md lists what is not allowed in the fields of what opens a trade."""


def create_order(body: bytes, rules: Rules, account: AccountId, ids: Ids) -> OpenTrade:
    """The body of /trade/create as the command of this account. Raises InvalidRequest, as all of these do."""
    problems = Problems()
    command = _opening(read_body(body, CreateTradeBody, problems, is_small=True), rules, problems, account, ids)
    assert isinstance(command, OpenTrade)
    return command


def place_order(body: bytes, rules: Rules, account: AccountId, ids: Ids) -> PlaceOrder:
    """The body of /order/create."""
    problems = Problems()
    command = _opening(read_body(body, CreateOrderBody, problems, is_small=True), rules, problems, account, ids)
    assert isinstance(command, PlaceOrder)
    return command


def quoted_order(body: bytes, rules: Rules, account: AccountId, ids: Ids) -> OpenTrade | PlaceOrder:
    """The body of /trade/quote: with a price it is that of an order. A quote has no client order id."""
    problems = Problems()
    command = _opening(read_body(body, TradeQuoteBody, problems, is_small=True), rules, problems, account, ids)
    return msgspec.structs.replace(command, client_order=None)


def _opening(
    fields: CreateTradeBody | CreateOrderBody | TradeQuoteBody,
    rules: Rules,
    problems: Problems,
    account: AccountId,
    ids: Ids,
) -> OpenTrade | PlaceOrder:
    """An order where a price is given to wait for, else a trade."""
    margin = scaled(fields.margin, "margin", USDC_DECIMALS, problems)
    asset = asset_named(fields.asset, rules, problems)
    side = choice(fields.type, "type", SIDES, problems, "Invalid trade type. Supported types are long and short")
    instrument = rules.instruments[asset] if asset is not None else None
    decimals = decimals_of(instrument)
    leverage = scaled(fields.leverage, "leverage", LEVERAGE_DECIMALS, problems, beyond=BEYOND)
    slippage = expected_price = limit = stop = time_in_force = expires_at = None
    waits = post_only = False
    if not isinstance(fields, CreateOrderBody):
        slippage = slippage_of(fields.slippage, problems)
        expected_price = scaled(given(fields.expected_price), "expectedPrice", decimals, problems)
    if not isinstance(fields, CreateTradeBody):
        limit = price_of(fields.limit_price, "limitPrice", decimals, problems)
        stop = price_of(fields.stop_price, "stopPrice", decimals, problems)
        time_in_force = choice(text_of(fields.time_in_force), "timeInForce", TIMES, problems)
        expires_at = time_of(text_of(fields.expires_at), "expiresAt", problems)
        post_only = fields.post_only is True
        waits = given(fields.limit_price) is not None or given(fields.stop_price) is not None
    if isinstance(fields, CreateOrderBody) and not waits:
        problems.not_allowed("limitPrice", "Give limitPrice, stopPrice or both")
    client_order = text_of(fields.client_order_id)
    for wrong in out_of_range(instrument, margin, leverage, slippage, expected_price, client_order):
        problems.not_allowed(FIELDS[wrong.figure], sentence(wrong))
    exits = _three(fields, decimals, problems)
    problems.raise_if_any(_CREATE_ORDER)
    opens = present(asset), present(side), present(margin), present(leverage)
    if not waits:
        return OpenTrade(account, TradeId(ids.new()), *opens, slippage, expected_price, client_order, None, *exits)
    return PlaceOrder(
        account, OrderId(ids.new()), *opens, limit, stop, time_in_force, expires_at, post_only, *exits, client_order
    )


def _three(
    fields: CreateTradeBody | CreateOrderBody | TradeQuoteBody, decimals: int, problems: Problems
) -> tuple[int | None, int | None, Trailing | None]:
    """Take profit, stop loss, trailing stop."""
    if fields.take_profit is UNSET and fields.stop_loss is UNSET and fields.trailing_stop is UNSET:
        return None, None, None
    return (
        price_of(fields.take_profit, "takeProfit", decimals, problems),
        price_of(fields.stop_loss, "stopLoss", decimals, problems),
        trailing_of(given(fields.trailing_stop), "trailingStop", decimals, problems),
    )


# --- net positions ---------------------------------------------------------------------------------------------------


def net_order(body: bytes, rules: Rules, account: AccountId, ids: Ids) -> NetOrder:
    """The body of /net/order and of /net/quote."""
    problems = Problems()
    fields = read_body(body, NetOrderBody, problems, is_small=True)
    asset = asset_named(fields.asset, rules, problems)
    instrument = rules.instruments[asset] if asset is not None else None
    decimals = decimals_of(instrument)
    side = choice(fields.side, "side", BUY_OR_SELL, problems)
    quantity = price_of(fields.quantity, "quantity", places_of(instrument), problems)
    closes = fields.close_position is True
    if (given(fields.quantity) is not None) is closes:
        problems.not_allowed("quantity", "Give quantity or closePosition")
    limit = price_of(fields.limit_price, "limitPrice", decimals, problems)
    stop = price_of(fields.stop_price, "stopPrice", decimals, problems)
    trailing = trailing_of(given(fields.trailing_stop), "trailingStop", decimals, problems)
    kind = choice(text_of(fields.kind), "kind", NET_KINDS, problems)
    time_in_force = choice(text_of(fields.time_in_force), "timeInForce", TIMES, problems)
    expires_at = time_of(text_of(fields.expires_at), "expiresAt", problems)
    slippage = slippage_of(fields.slippage, problems)
    expected_price = scaled(given(fields.expected_price), "expectedPrice", decimals, problems)
    client_order = text_of(fields.client_order_id)
    for wrong in out_of_range(instrument, None, None, slippage, expected_price, client_order):
        problems.not_allowed(FIELDS[wrong.figure], sentence(wrong))
    problems.raise_if_any()
    return NetOrder(
        account=account,
        order_id=OrderId(ids.new()),
        asset=present(asset),
        side=present(side),
        quantity=quantity,
        close_position=closes,
        limit=limit,
        stop=stop,
        trailing_stop=trailing,
        kind=kind,
        reduce_only=fields.reduce_only is True,
        time_in_force=time_in_force,
        expires_at=expires_at,
        post_only=fields.post_only is True,
        slippage=slippage,
        expected_price=expected_price,
        client_order=client_order,
    )


def net_leverage(body: bytes, rules: Rules, account: AccountId) -> SetNetLeverage:
    """The body of /net/leverage."""
    problems = Problems()
    fields = read_body(body, NetLeverageBody, problems, is_small=True)
    asset = asset_named(fields.asset, rules, problems)
    leverage = scaled(fields.leverage, "leverage", LEVERAGE_DECIMALS, problems, beyond=BEYOND)
    problems.raise_if_any()
    return SetNetLeverage(account, present(asset), present(leverage))
