"""Balances and positions. What separate trades of the account hold is not in them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from exness.core import line as lines
from exness.core.instruments import LEVERAGE_UNIT, Side
from exness.core.rates import FREE
from exness.core.trades import Trade
from exness.core.views import NetHoldings, NetHoldingsOf
from exness.web.fapi import answers
from exness.web.fapi.frame import Ask, Row, Security
from exness.web.fapi.symbols import market_if_named, markets_asked, money_text, notional_of, price_text, quantity_text
from exness.web.http.endpoint import GET
from exness.web.services import Market


class Money(msgspec.Struct, frozen=True):
    """What an account has for net positions, in micro-USDC: `margins` of positions and `reserved` of orders are in
    `wallet`."""

    wallet: int
    margins: int
    reserved: int
    unrealized: int
    maintenance: int
    initial: int
    """Of positions, at the mark."""

    @property
    def cross(self) -> int:
        return self.wallet - self.margins

    @property
    def available(self) -> int:
        return max(0, self.cross - self.reserved)


class Stand(msgspec.Struct, frozen=True):
    """How a position stands at the mark. Money is micro-USDC, and so is `notional`, which has the position's sign."""

    trade: Trade
    mark: int
    unrealized: int
    notional: int
    initial: int
    maintenance: int
    break_even: int | None

    @property
    def amount(self) -> int:
        return self.trade.size if self.trade.side is Side.LONG else -self.trade.size


def stand_of(holdings: NetHoldings, trade: Trade) -> Stand:
    """Without a price, at its entry."""
    price, line = holdings.prices.get(trade.asset), trade.line
    mark, rates = trade.entry if price is None else price.mark, holdings.rates.get(trade.asset, FREE)
    notional = lines.notional(line, mark)
    owed = trade.commission + trade.funding - trade.realized
    return Stand(
        trade,
        mark,
        lines.pnl(line, mark),
        notional if trade.side is Side.LONG else -notional,
        -(-notional * LEVERAGE_UNIT // trade.leverage),
        lines.requirement(line, rates, mark),
        lines.break_even_price(line, rates.taker, owed),
    )


def money_of(holdings: NetHoldings) -> Money:
    stands = [stand_of(holdings, trade) for trade in holdings.trades.values()]
    margins = sum(stand.trade.margin for stand in stands)
    reserved = sum(order.reserved for order in holdings.orders)
    return Money(
        wallet=holdings.free + reserved + margins,
        margins=margins,
        reserved=reserved,
        unrealized=sum(stand.unrealized for stand in stands),
        maintenance=sum(stand.maintenance for stand in stands),
        initial=sum(stand.initial for stand in stands),
    )


async def holdings_of(ask: Ask) -> NetHoldings:
    return await ask.exchange.see(NetHoldingsOf(ask.account))


# --- balances -------------------------------------------------------------------------------------------------------


async def account_v3(ask: Ask) -> Any:
    holdings = await holdings_of(ask)
    return _sums(ask, holdings) | {
        "assets": [_asset(ask, holdings)],
        "positions": [_position(market, stand, holdings) for market, stand in _held(ask, holdings)],
    }


async def account_v2(ask: Ask) -> Any:
    holdings = await holdings_of(ask)
    modes = {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }
    most = ask.exchange.rules.max_notional_per_account
    positions = [_position_v2(market, holdings, most) for market in ask.fapi.markets.values()]
    assets = [_asset(ask, holdings) | {"marginAvailable": True}]
    return modes | _sums(ask, holdings) | {"assets": assets, "positions": positions}


async def balance(ask: Ask) -> Any:
    holdings = await holdings_of(ask)
    money = money_of(holdings)
    return [
        {
            "accountAlias": ask.account[:16],
            "asset": ask.fapi.quote,
            "balance": money_text(money.wallet),
            "crossWalletBalance": money_text(money.cross),
            "crossUnPnl": money_text(0),
            "availableBalance": money_text(money.available),
            "maxWithdrawAmount": money_text(money.available),
            "marginAvailable": True,
            "updateTime": holdings.updated_at // 1000,
        }
    ]


def _figures(money: Money) -> dict[str, str]:
    return {
        "walletBalance": money_text(money.wallet),
        "unrealizedProfit": money_text(money.unrealized),
        "marginBalance": money_text(money.wallet + money.unrealized),
        "maintMargin": money_text(money.maintenance),
        "initialMargin": money_text(money.initial + money.reserved),
        "positionInitialMargin": money_text(money.initial),
        "openOrderInitialMargin": money_text(money.reserved),
        "crossWalletBalance": money_text(money.cross),
        "crossUnPnl": money_text(0),
    }


def _sums(ask: Ask, holdings: NetHoldings) -> dict[str, Any]:
    """There is one asset, so they are its figures."""
    money = money_of(holdings)
    sums = {f"total{name[0].upper()}{name[1:]}": text for name, text in _figures(money).items()}
    return sums | {
        "availableBalance": money_text(money.available),
        "maxWithdrawAmount": money_text(money.available),
    }


def _asset(ask: Ask, holdings: NetHoldings) -> dict[str, Any]:
    money = money_of(holdings)
    return {
        "asset": ask.fapi.quote,
        **_figures(money),
        "availableBalance": money_text(money.available),
        "maxWithdrawAmount": money_text(money.available),
        "updateTime": holdings.updated_at // 1000,
    }


# --- positions ------------------------------------------------------------------------------------------------------


def _held(ask: Ask, holdings: NetHoldings, only: Market | None = None) -> Iterable[tuple[Market, Stand]]:
    for market in ask.fapi.markets.values():
        trade = holdings.trades.get(market.asset)
        if trade is not None and only in (None, market):
            yield market, stand_of(holdings, trade)


def _position(market: Market, stand: Stand, holdings: NetHoldings) -> dict[str, Any]:
    trade = stand.trade
    return {
        "symbol": market.symbol,
        "positionSide": "BOTH",
        "positionAmt": quantity_text(market, stand.amount),
        "unrealizedProfit": money_text(stand.unrealized),
        "isolatedMargin": money_text(trade.margin + stand.unrealized),
        "notional": money_text(stand.notional),
        "isolatedWallet": money_text(trade.margin),
        "initialMargin": money_text(stand.initial),
        "maintMargin": money_text(stand.maintenance),
        "updateTime": holdings.updated_at // 1000,
    }


def _position_v2(market: Market, holdings: NetHoldings, most: int) -> dict[str, Any]:
    """Of any symbol, also of one that is not held."""
    trade = holdings.trades.get(market.asset)
    stand = None if trade is None else stand_of(holdings, trade)
    bid, ask_ = _waiting_notionals(market, holdings)
    reserved = sum(order.reserved for order in holdings.orders if order.asset == market.asset)
    initial = 0 if stand is None else stand.initial
    return {
        "symbol": market.symbol,
        "initialMargin": money_text(initial + reserved),
        "maintMargin": money_text(0 if stand is None else stand.maintenance),
        "unrealizedProfit": money_text(0 if stand is None else stand.unrealized),
        "positionInitialMargin": money_text(initial),
        "openOrderInitialMargin": money_text(reserved),
        "leverage": str(holdings.leverages[market.asset] // LEVERAGE_UNIT),
        "isolated": True,
        "entryPrice": price_text(market, None if trade is None else trade.entry),
        "breakEvenPrice": price_text(market, None if stand is None else stand.break_even),
        "maxNotional": money_text(most),
        "positionSide": "BOTH",
        "positionAmt": quantity_text(market, 0 if stand is None else stand.amount),
        "notional": money_text(0 if stand is None else stand.notional),
        "isolatedMargin": money_text(0 if stand is None else stand.trade.margin + stand.unrealized),
        "isolatedWallet": money_text(0 if stand is None else stand.trade.margin),
        "bidNotional": money_text(bid),
        "askNotional": money_text(ask_),
        "updateTime": 0 if stand is None else holdings.updated_at // 1000,
    }


def _waiting_notionals(market: Market, holdings: NetHoldings) -> tuple[int, int]:
    """Of orders that wait to buy, and to sell."""
    sums = {Side.LONG: 0, Side.SHORT: 0}
    for order in holdings.orders:
        if order.asset == market.asset:
            sums[order.side] += notional_of(market, order.quantity, order.price)
    return sums[Side.LONG], sums[Side.SHORT]


async def position_risk_v3(ask: Ask) -> Any:
    """Of the symbols that are held."""
    holdings = await holdings_of(ask)
    rows = []
    for market, stand in _held(ask, holdings, market_if_named(ask)):
        trade, (bid, ask_) = stand.trade, _waiting_notionals(market, holdings)
        reserved = sum(order.reserved for order in holdings.orders if order.asset == market.asset)
        rows.append(
            {
                "symbol": market.symbol,
                "positionSide": "BOTH",
                "positionAmt": quantity_text(market, stand.amount),
                "entryPrice": price_text(market, trade.entry),
                "breakEvenPrice": price_text(market, stand.break_even),
                "markPrice": price_text(market, stand.mark),
                "unRealizedProfit": money_text(stand.unrealized),
                "liquidationPrice": price_text(market, trade.liquidation),
                "isolatedMargin": money_text(trade.margin + stand.unrealized),
                "notional": money_text(stand.notional),
                "marginAsset": ask.fapi.quote,
                "isolatedWallet": money_text(trade.margin),
                "initialMargin": money_text(stand.initial + reserved),
                "maintMargin": money_text(stand.maintenance),
                "positionInitialMargin": money_text(stand.initial),
                "openOrderInitialMargin": money_text(reserved),
                "adl": 1,
                "bidNotional": money_text(bid),
                "askNotional": money_text(ask_),
                "updateTime": holdings.updated_at // 1000,
            }
        )
    return rows


async def position_risk_v2(ask: Ask) -> Any:
    """Of all symbols."""
    holdings, rules = await holdings_of(ask), ask.exchange.rules
    rows = []
    for market in markets_asked(ask):
        trade, price = holdings.trades.get(market.asset), holdings.prices.get(market.asset)
        stand = None if trade is None else stand_of(holdings, trade)
        rows.append(
            {
                "symbol": market.symbol,
                "positionAmt": quantity_text(market, 0 if stand is None else stand.amount),
                "entryPrice": price_text(market, None if trade is None else trade.entry),
                "breakEvenPrice": price_text(market, None if stand is None else stand.break_even),
                "markPrice": price_text(market, None if price is None else price.mark),
                "unRealizedProfit": money_text(0 if stand is None else stand.unrealized),
                "liquidationPrice": price_text(market, None if trade is None else trade.liquidation),
                "leverage": str(holdings.leverages[market.asset] // LEVERAGE_UNIT),
                "maxNotionalValue": money_text(rules.max_notional_per_account),
                "marginType": "isolated",
                "isolatedMargin": money_text(0 if stand is None else stand.trade.margin + stand.unrealized),
                "isAutoAddMargin": "false",
                "positionSide": "BOTH",
                "notional": money_text(0 if stand is None else stand.notional),
                "isolatedWallet": money_text(0 if stand is None else stand.trade.margin),
                "updateTime": 0 if stand is None else holdings.updated_at // 1000,
            }
        )
    return rows


async def adl_quantile(ask: Ask) -> Any:
    """Of what is held: nobody is deleveraged here."""
    holdings, only = await holdings_of(ask), market_if_named(ask)
    quantile = {"BOTH": 0, "LONG": 0, "SHORT": 0}
    return [{"symbol": market.symbol, "adlQuantile": quantile} for market, _ in _held(ask, holdings, only)]


_SIGNED = Security.SIGNED
ROWS = (
    Row(GET, "/fapi/v3/account", 5, _SIGNED, account_v3, "Balances, and what is held", answers.ACCOUNT_V3),
    Row(GET, "/fapi/v2/account", 5, _SIGNED, account_v2, "Balances, and all symbols", answers.ACCOUNT_V2),
    Row(GET, "/fapi/v3/balance", 5, _SIGNED, balance, "Balances", answers.BALANCES),
    Row(GET, "/fapi/v2/balance", 5, _SIGNED, balance, "Balances", answers.BALANCES),
    Row(
        GET, "/fapi/v3/positionRisk", 5, _SIGNED, position_risk_v3, "What is held, at the mark",
        answers.POSITIONS_V3, "symbol?",
    ),
    Row(
        GET, "/fapi/v2/positionRisk", 5, _SIGNED, position_risk_v2, "All symbols, at the mark",
        answers.POSITIONS_V2, "symbol?",
    ),
    Row(GET, "/fapi/v1/adlQuantile", 5, _SIGNED, adl_quantile, "There is no deleveraging", answers.ADL, "symbol?"),
)  # fmt: skip
