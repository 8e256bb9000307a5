"""Leverage, margin and modes, and what trading costs."""

from typing import Any

from msgspec import Raw

from exness.core.commands import ChangeMargin, SetNetLeverage
from exness.core.instruments import LEVERAGE_UNIT
from exness.core.money import USDC_DECIMALS
from exness.core.rates import RATE_DECIMALS, RATE_UNIT, Rates, Tier
from exness.core.rejects import Refusal, Reject
from exness.core.views import NetHoldingsOf
from exness.web.fapi import answers
from exness.web.fapi.errors import Code, FapiError, refused
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.general import rate_limits
from exness.web.fapi.params import invalid, missing, trimmed
from exness.web.fapi.symbols import market_of, markets_asked, money_text
from exness.web.fapi.wishes import check_position_side
from exness.web.http.endpoint import GET, POST
from exness.web.services import Market

DONE = {"code": 200, "msg": "success"}
ADD, REDUCE = 1, 2


# --- leverage and margin --------------------------------------------------------------------------------------------


async def set_leverage(ask: Ask) -> Any:
    """POST leverage: with a position it can only rise."""
    market, text = market_of(ask), ask.params.need("leverage")
    leverage = ask.params.integer("leverage", least=-(10**9), most=10**9) or 0
    if not 1 <= leverage <= market.instrument.max_leverage // LEVERAGE_UNIT:
        raise FapiError(Code.BAD_LEVERAGE, leverage=text)
    holdings = ask.exchange.look(NetHoldingsOf(ask.account))
    held = holdings.trades.get(market.asset)
    if held is not None and leverage * LEVERAGE_UNIT < held.leverage:
        raise FapiError(Code.LEVERAGE_DOWN)
    if leverage * LEVERAGE_UNIT != holdings.leverages[market.asset]:
        command = SetNetLeverage(ask.account, market.asset, leverage * LEVERAGE_UNIT)
        outcome = await ask.exchange.do(command, ask.request_id)
        if isinstance(outcome, Refusal):
            raise refused(outcome)
    return {"leverage": leverage, "maxNotionalValue": _most(ask), "symbol": market.symbol}


async def set_margin_type(ask: Ask) -> Any:
    """POST marginType: always isolated."""
    market_of(ask)
    if ask.params.need_word("marginType", ("ISOLATED", "CROSSED")) == "ISOLATED":
        raise FapiError(Code.SAME_MARGIN_TYPE)
    raise FapiError(Code.NOT_OFFERED)


async def move_margin(ask: Ask) -> Any:
    """POST positionMargin."""
    market, params = market_of(ask), ask.params
    check_position_side(params)
    amount, way = params.number("amount", USDC_DECIMALS), params.need_integer("type", ADD, REDUCE)
    if amount is None:
        raise missing("amount")
    if amount <= 0:
        raise invalid("amount")
    trade = ask.exchange.look(NetHoldingsOf(ask.account)).trades.get(market.asset)
    if trade is None:
        raise FapiError(Code.NO_POSITION)
    command = ChangeMargin(ask.account, trade.id, amount if way == ADD else -amount)
    outcome = await ask.exchange.do(command, ask.request_id)
    if isinstance(outcome, Refusal):
        raise _margin_refused(outcome)
    shown = Raw(trimmed(amount, USDC_DECIMALS).encode())
    return {"amount": shown, "code": 200, "msg": "Successfully modify position margin.", "type": way}


def _margin_refused(refusal: Refusal) -> FapiError:
    match refusal.reject:
        case Reject.INSUFFICIENT_MARGIN:
            return FapiError(Code.CROSS_BALANCE_SHORT)
        case Reject.WOULD_LIQUIDATE:
            return FapiError(Code.ISOLATED_BALANCE_SHORT)
        case _:
            return refused(refusal)


# --- modes ----------------------------------------------------------------------------------------------------------


async def position_mode(ask: Ask) -> Any:
    return {"dualSidePosition": False}


async def set_position_mode(ask: Ask) -> Any:
    if ask.params.need_boolean("dualSidePosition"):
        raise FapiError(Code.NOT_OFFERED)
    raise FapiError(Code.SAME_POSITION_SIDE)


async def assets_mode(ask: Ask) -> Any:
    return {"multiAssetsMargin": False}


async def set_assets_mode(ask: Ask) -> Any:
    if ask.params.need_boolean("multiAssetsMargin"):
        raise FapiError(Code.NOT_OFFERED)
    return DONE


async def account_config(ask: Ask) -> Any:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


async def symbol_config(ask: Ask) -> Any:
    holdings = await ask.exchange.see(NetHoldingsOf(ask.account))
    return [
        {
            "symbol": market.symbol,
            "marginType": "ISOLATED",
            "isAutoAddMargin": False,
            "leverage": holdings.leverages[market.asset] // LEVERAGE_UNIT,
            "maxNotionalValue": _most(ask),
        }
        for market in markets_asked(ask)
    ]


# --- what it costs --------------------------------------------------------------------------------------------------


async def commission_rate(ask: Ask) -> Any:
    market = market_of(ask)
    rates = ask.exchange.rules.rates_of(market.asset)
    return {
        "symbol": market.symbol,
        "makerCommissionRate": trimmed(rates.maker, RATE_DECIMALS),
        "takerCommissionRate": trimmed(rates.taker, RATE_DECIMALS),
        "rpiCommissionRate": "0",
    }


async def leverage_bracket(ask: Ask) -> Any:
    """Always a list."""
    rules = ask.exchange.rules
    most = rules.max_notional_per_account
    return [
        {
            "symbol": market.symbol,
            "notionalCoef": Raw(b"1.0"),
            "brackets": brackets(market, rules.rates_of(market.asset), most),
        }
        for market in markets_asked(ask)
    ]


def brackets(market: Market, rates: Rates, most: int) -> list[dict[str, Any]]:
    """The maintenance tiers; without any, one that asks for none. `most` is the largest notional, in micro-USDC."""
    tiers = rates.maintenance or (Tier(0, 0),)
    rows, cum, before = [], 0, 0
    for number, tier in enumerate(tiers, 1):
        cum += tier.floor * (tier.rate - before)
        before = tier.rate
        cap = tiers[number].floor if number < len(tiers) else max(most, tier.floor)
        leverage = market.instrument.max_leverage if tier.max_leverage is None else tier.max_leverage
        rows.append(
            {
                "bracket": number,
                "initialLeverage": min(leverage, market.instrument.max_leverage) // LEVERAGE_UNIT,
                "notionalCap": _number(cap, USDC_DECIMALS),
                "notionalFloor": _number(tier.floor, USDC_DECIMALS),
                "maintMarginRatio": _number(tier.rate, RATE_DECIMALS),
                "cum": _number(cum // RATE_UNIT, USDC_DECIMALS),
            }
        )
    return rows


def _number(value: int, decimals: int) -> Raw:
    """A JSON number, exact, and written with a point."""
    text = trimmed(value, decimals)
    return Raw((text if "." in text else f"{text}.0").encode())


def _most(ask: Ask) -> str:
    return money_text(ask.exchange.rules.max_notional_per_account)


# --- the rest -------------------------------------------------------------------------------------------------------


async def order_limits(ask: Ask) -> Any:
    return [each for each in rate_limits(ask) if each["rateLimitType"] == "ORDERS"]


async def trading_status(ask: Ask) -> Any:
    return {"indicators": {}, "updateTime": ask.now_ms}


async def fee_burn(ask: Ask) -> Any:
    return {"feeBurn": False}


async def set_fee_burn(ask: Ask) -> Any:
    if ask.params.need_boolean("feeBurn"):
        raise FapiError(Code.NOT_OFFERED)
    return DONE


_SIGNED, _TRADE = Security.SIGNED, Security.TRADE
ROWS = (
    Row(
        POST, "/fapi/v1/leverage", 1, _TRADE, set_leverage, "Set the leverage of a symbol",
        answers.LEVERAGE, "symbol leverage",
    ),
    Row(POST, "/fapi/v1/marginType", 1, _TRADE, set_margin_type, "Margin is isolated", None, "symbol marginType"),
    Row(
        POST, "/fapi/v1/positionMargin", 1, _TRADE, move_margin, "Add margin to a position, or take some",
        answers.MARGIN_MOVED, "symbol amount type:margin_way positionSide?",
    ),
    Row(GET, "/fapi/v1/positionSide/dual", 30, _SIGNED, position_mode, "One position a symbol", answers.POSITION_MODE),
    Row(
        POST, "/fapi/v1/positionSide/dual", 1, _TRADE, set_position_mode, "One position a symbol",
        None, "dualSidePosition",
    ),
    Row(GET, "/fapi/v1/multiAssetsMargin", 30, _SIGNED, assets_mode, "One asset", answers.ASSETS_MODE),
    Row(POST, "/fapi/v1/multiAssetsMargin", 1, _TRADE, set_assets_mode, "One asset", answers.DONE, "multiAssetsMargin"),
    Row(GET, "/fapi/v1/accountConfig", 5, _SIGNED, account_config, "The account's modes", answers.ACCOUNT_CONFIG),
    Row(
        GET, "/fapi/v1/symbolConfig", 5, _SIGNED, symbol_config, "The account's leverages",
        answers.SYMBOL_CONFIGS, "symbol?",
    ),
    Row(
        GET, "/fapi/v1/commissionRate", 20, _SIGNED, commission_rate, "Commission of a symbol",
        answers.COMMISSION, "symbol",
    ),
    Row(
        GET, "/fapi/v1/leverageBracket", 1, _SIGNED, leverage_bracket, "Maintenance by notional",
        answers.BRACKETS, "symbol?",
    ),
    Row(
        GET, "/fapi/v1/rateLimit/order", 1, _SIGNED, order_limits, "How many orders may be placed",
        answers.RATE_LIMITS,
    ),
    Row(
        GET, "/fapi/v1/apiTradingStatus", 1, _SIGNED, trading_status, "Nothing is held against anybody",
        answers.TRADING_STATUS,
    ),
    Row(GET, "/fapi/v1/feeBurn", 30, _SIGNED, fee_burn, "There is no coin to pay fees with", answers.FEE_BURN),
    Row(
        POST, "/fapi/v1/feeBurn", 1, _TRADE, set_fee_burn, "There is no coin to pay fees with",
        answers.DONE, "feeBurn",
    ),
)  # fmt: skip
