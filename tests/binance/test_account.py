"""web/fapi/account.py, settings.py, past.py, general.py: what an account has, how it is set, what happened to it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exness.core.rates import Rates, Residual, Tier
from tests.binance.face import Bot, assert_failed, bot, face
from tests.binance.shapes import are_decimals, has_shape
from tests.support.app import App, Stores, unchanged
from tests.support.books import SOL, make_rules

SUMS = (
    "WalletBalance",
    "UnrealizedProfit",
    "MarginBalance",
    "MaintMargin",
    "InitialMargin",
    "PositionInitialMargin",
    "OpenOrderInitialMargin",
    "CrossWalletBalance",
    "CrossUnPnl",
)
FIGURES = " ".join(name[0].lower() + name[1:] for name in SUMS)
ASSET = {"S": f"asset {FIGURES} availableBalance maxWithdrawAmount", "I": "updateTime"}
POSITION = {
    "S": "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet initialMargin "
    "maintMargin",
    "I": "updateTime",
}
SOLD = {"symbol": "SOLUSDC"}


async def wallet(bot: Bot) -> Decimal:
    account = await bot.get("/fapi/v3/account")
    return Decimal(account["totalWalletBalance"])


async def income_of(bot: Bot, **params: object) -> list[tuple[str, str]]:
    return [(row["incomeType"], row["income"]) for row in await bot.get("/fapi/v1/income", **params)]


# --- exchangeInfo ---------------------------------------------------------------------------------------------------


async def test_exchange_info_has_every_field(app: App) -> None:
    info = (await app.get("/fapi/v1/exchangeInfo")).body
    kinds = {"S": "timezone futuresType", "I": "serverTime", "list": "rateLimits exchangeFilters assets symbols"}
    has_shape(info, **kinds)
    for limit in info["rateLimits"]:
        has_shape(limit, S="rateLimitType interval", I="intervalNum limit")
    assert info["assets"] == [{"asset": "USDC", "marginAvailable": True, "autoAssetExchange": "0"}]
    assert [each["symbol"] for each in info["symbols"]] == ["SOLUSDC", "ETHUSDC", "BTCUSDC"]
    for symbol in info["symbols"]:
        has_shape(
            symbol,
            S="symbol pair contractType status maintMarginPercent requiredMarginPercent baseAsset quoteAsset "
            "marginAsset underlyingType triggerProtect liquidationFee marketTakeBound",
            I="deliveryDate onboardDate pricePrecision quantityPrecision baseAssetPrecision quotePrecision settlePlan "
            "maxMoveOrderLimit",
            list="underlyingSubType filters orderTypes timeInForce",
        )
    filters = {each["filterType"]: each for each in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.000001"
    assert (filters["LOT_SIZE"]["stepSize"], filters["MARKET_LOT_SIZE"]["minQty"]) == ("0.001", "0.001")
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert info["symbols"][0]["requiredMarginPercent"] == "1", "at a leverage of 100, in percent"
    assert filters["PERCENT_PRICE"]["multiplierUp"] == "5"
    assert (filters["MAX_NUM_ORDERS"]["limit"], filters["MAX_NUM_ALGO_ORDERS"]["limit"]) == (200, 10)
    for path in ("/api/v3/exchangeInfo", "/dapi/v1/exchangeInfo"):
        assert (await app.get(path)).body["symbols"] == []


async def test_no_filter_names_more_than_the_strictest_client_can_read(ann: Bot) -> None:
    for symbol in (await ann.app.get("/fapi/v1/exchangeInfo")).body["symbols"]:
        filters = {each["filterType"]: each for each in symbol["filters"]}
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        assert Decimal(price["maxPrice"]) % Decimal(price["tickSize"]) == 0
        assert Decimal(lot["maxQty"]) % Decimal(lot["stepSize"]) == 0
        assert 10**11 < Decimal(price["maxPrice"]) <= 10**12
        assert 10**11 < Decimal(lot["maxQty"]) <= 10**12
        wish = {"symbol": symbol["symbol"], "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        beyond = {"quantity": Decimal(lot["maxQty"]) + Decimal(lot["stepSize"]), "price": 1}
        assert_failed(await ann.ask("POST", "/fapi/v1/order", **wish, **beyond), -4005)
        beyond = {"quantity": 1, "price": Decimal(price["maxPrice"]) + Decimal(price["tickSize"])}
        assert_failed(await ann.ask("POST", "/fapi/v1/order", **wish, **beyond), -4002)


# --- balances and positions -----------------------------------------------------------------------------------------


async def test_a_new_account_has_its_first_balance_and_nothing_else(ann: Bot) -> None:
    account = await ann.get("/fapi/v3/account")
    sums = " ".join(f"total{name}" for name in SUMS)
    has_shape(account, S=f"{sums} availableBalance maxWithdrawAmount", list="assets positions")
    (asset,) = account["assets"]
    has_shape(asset, **ASSET)
    are_decimals(asset, ASSET["S"].removeprefix("asset "))
    assert asset["updateTime"] > 0
    assert (asset["asset"], asset["walletBalance"], asset["availableBalance"]) == (
        "USDC",
        "5000.00000000",
        "5000.00000000",
    )
    assert account["positions"] == []
    (row,) = await ann.get("/fapi/v3/balance")
    has_shape(
        row,
        S="accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount",
        B="marginAvailable",
        I="updateTime",
    )
    assert (await ann.get("/fapi/v2/balance"))[0]["balance"] == "5000.00000000"


async def test_what_is_held_and_what_waits_is_in_the_sums(app: App, ann: Bot) -> None:
    await ann.order(quantity=10)
    await ann.order(symbol="ETHUSDC", quantity=1, type="LIMIT", timeInForce="GTC", price=2900)
    await app.quote(SOL, "210")
    account = await ann.get("/fapi/v3/account")
    (asset,), (position,) = account["assets"], account["positions"]
    has_shape(position, **POSITION)
    assert {name: asset[name] for name in ("walletBalance", "unrealizedProfit", "marginBalance", "initialMargin")} == {
        "walletBalance": "5000.00000000",
        "unrealizedProfit": "100.00000000",
        "marginBalance": "5100.00000000",
        "initialMargin": "250.00000000",  # 105 of the position at its mark, 145 of the order
    }
    assert (asset["positionInitialMargin"], asset["openOrderInitialMargin"]) == ("105.00000000", "145.00000000")
    assert (asset["crossWalletBalance"], asset["availableBalance"]) == ("4900.00000000", "4755.00000000")
    assert (position["positionAmt"], position["notional"]) == ("10.000", "2100.00000000")
    assert (position["isolatedWallet"], position["isolatedMargin"]) == ("100.00000000", "200.00000000")


async def test_position_risk_in_both_versions(app: App, ann: Bot) -> None:
    assert await ann.get("/fapi/v3/positionRisk") == []
    await ann.order("SELL", 2)
    await app.quote(SOL, "190")
    (held,) = await ann.get("/fapi/v3/positionRisk", symbol="SOLUSDC")
    has_shape(
        held,
        S="symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice "
        "isolatedMargin notional marginAsset isolatedWallet initialMargin maintMargin positionInitialMargin "
        "openOrderInitialMargin bidNotional askNotional",
        I="adl updateTime",
    )
    assert (held["positionAmt"], held["entryPrice"], held["markPrice"]) == ("-2.000", "200", "190")
    assert (held["unRealizedProfit"], held["notional"], held["liquidationPrice"]) == (
        "20.00000000",
        "-380.00000000",
        "210",
    )
    rows = await ann.get("/fapi/v2/positionRisk")
    assert [row["symbol"] for row in rows] == ["SOLUSDC", "ETHUSDC", "BTCUSDC"]
    for row in rows:
        has_shape(
            row,
            S="symbol positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice leverage "
            "maxNotionalValue marginType isolatedMargin isAutoAddMargin positionSide notional isolatedWallet",
            I="updateTime",
        )
    assert [row["leverage"] for row in rows] == ["20", "20", "20"]
    assert (await ann.get("/fapi/v1/adlQuantile"))[0]["adlQuantile"] == {"BOTH": 0, "LONG": 0, "SHORT": 0}
    assert_failed(await ann.ask("GET", "/fapi/v3/positionRisk", symbol="NOUSDC"), -1121)


async def test_the_account_of_version_2_has_all_symbols(ann: Bot) -> None:
    await ann.order(quantity=2)
    account = await ann.get("/fapi/v2/account")
    assert {"feeTier", "canTrade", "canDeposit", "canWithdraw", "tradeGroupId", "multiAssetsMargin"} <= account.keys()
    assert account["assets"][0]["marginAvailable"] is True
    assert len(account["positions"]) == 3
    for row in account["positions"]:
        has_shape(
            row,
            S="symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet initialMargin "
            "maintMargin leverage entryPrice breakEvenPrice maxNotional bidNotional askNotional positionInitialMargin "
            "openOrderInitialMargin",
            B="isolated",
            I="updateTime",
        )


async def test_separate_trades_are_not_shown_and_move_money_in_and_out(app: App, ann: Bot) -> None:
    await ann.get("/fapi/v2/balance")
    (trader,) = [app.trader("ann")]
    trade = await trader.create(margin=100)
    assert await ann.get("/fapi/v3/positionRisk") == []
    assert await wallet(ann) == 4900
    await app.quote(SOL, "210")
    await trader.close(trade["orderId"])
    assert await ann.get("/fapi/v1/userTrades", **SOLD) == await ann.get("/fapi/v1/allOrders", **SOLD) == []
    assert await income_of(ann) == [
        ("TRANSFER", "5000.00000000"),
        ("TRANSFER", "-100.00000000"),
        ("TRANSFER", "150.00000000"),
    ]
    assert await wallet(ann) == 5050


# --- leverage, margin, modes ----------------------------------------------------------------------------------------


async def test_leverage_rises_and_falls_only_without_a_position(ann: Bot) -> None:
    path = "/fapi/v1/leverage"
    answer = await ann.post(path, **SOLD, leverage=10)
    has_shape(answer, I="leverage", S="symbol maxNotionalValue")
    assert answer["leverage"] == 10
    await ann.order()
    assert (await ann.post(path, **SOLD, leverage=10))["leverage"] == 10
    assert (await ann.post(path, **SOLD, leverage="25"))["leverage"] == 25
    (config,) = await ann.get("/fapi/v1/symbolConfig", **SOLD)
    has_shape(config, S="symbol marginType maxNotionalValue", B="isAutoAddMargin", I="leverage")
    assert config["leverage"] == 25
    with unchanged(ann.app):
        text = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
        assert_failed(await ann.ask("POST", path, **SOLD, leverage=24), -4161, text)
        for wrong in (0, 101, -5):
            assert_failed(await ann.ask("POST", path, **SOLD, leverage=wrong), -4028, f"Leverage {wrong} is not valid.")
        assert_failed(await ann.ask("POST", path, **SOLD), -1102)
        assert_failed(await ann.ask("POST", path, **SOLD, leverage="1.5"), -1102)


async def test_margin_is_isolated_also_while_a_position_is_open(ann: Bot) -> None:
    path = "/fapi/v1/marginType"
    for _ in range(2):
        text = "No need to change margin type."
        assert_failed(await ann.ask("POST", path, **SOLD, marginType="ISOLATED"), -4046, text)
        assert_failed(await ann.ask("POST", path, **SOLD, marginType="CROSSED"), -4084)
        await ann.order()
    assert_failed(await ann.ask("POST", path, **SOLD, marginType="x"), -1130)


async def test_modes_are_one_way_and_one_asset(ann: Bot) -> None:
    dual, multi = "/fapi/v1/positionSide/dual", "/fapi/v1/multiAssetsMargin"
    assert await ann.get(dual) == {"dualSidePosition": False}
    assert_failed(await ann.ask("POST", dual, dualSidePosition="False"), -4059, "No need to change position side.")
    assert_failed(await ann.ask("POST", dual, dualSidePosition="true"), -4084)
    assert_failed(await ann.ask("POST", dual), -1102)
    assert await ann.get(multi) == {"multiAssetsMargin": False}
    assert await ann.post(multi, multiAssetsMargin="false") == {"code": 200, "msg": "success"}
    assert_failed(await ann.ask("POST", multi, multiAssetsMargin="true"), -4084)
    assert await ann.get("/fapi/v1/feeBurn") == {"feeBurn": False}
    assert await ann.post("/fapi/v1/feeBurn", feeBurn="false") == {"code": 200, "msg": "success"}
    assert_failed(await ann.ask("POST", "/fapi/v1/feeBurn", feeBurn="true"), -4084)
    config = await ann.get("/fapi/v1/accountConfig")
    has_shape(
        config,
        I="feeTier updateTime tradeGroupId",
        B="canTrade canDeposit canWithdraw dualSidePosition multiAssetsMargin",
    )
    assert {each["rateLimitType"] for each in await ann.get("/fapi/v1/rateLimit/order")} == {"ORDERS"}
    assert (await ann.get("/fapi/v1/apiTradingStatus"))["indicators"] == {}


async def test_margin_is_added_taken_and_told_of(app: App, ann: Bot) -> None:
    path = "/fapi/v1/positionMargin"
    assert_failed(await ann.ask("POST", path, **SOLD, amount=1, type=1), -4054)
    await ann.order(quantity=10)
    (before,) = await ann.get("/fapi/v3/positionRisk")
    answer = await ann.post(path, **SOLD, amount="50.5", type=1)
    assert answer == {"amount": "50.5", "code": 200, "msg": "Successfully modify position margin.", "type": 1}
    (after,) = await ann.get("/fapi/v3/positionRisk")
    assert after["isolatedWallet"] == "150.50000000"
    assert Decimal(after["liquidationPrice"]) < Decimal(before["liquidationPrice"])
    assert await wallet(ann) == 5000
    await ann.post(path, **SOLD, amount="50", type=2)
    history = await ann.get(f"{path}/history", **SOLD)
    for row in history:
        has_shape(row, S="symbol deltaType amount asset positionSide", I="type time")
    assert [(row["type"], row["amount"]) for row in history] == [(1, "50.5"), (2, "50")]
    assert [row["type"] for row in await ann.get(f"{path}/history", **SOLD, type=2)] == [2]
    assert await ann.get(f"{path}/history", **SOLD, type=1, limit=1) == history[:1], (
        "what a type leaves out does not count"
    )
    assert await income_of(ann) == [("TRANSFER", "5000.00000000")]
    with unchanged(app):
        assert_failed(await ann.ask("POST", path, **SOLD, amount=10, type=2), -4051)
        assert_failed(await ann.ask("POST", path, **SOLD, amount=10_000, type=1), -4050)
        for wrong, code in (
            ({"amount": 0}, -1130),
            ({"amount": "x"}, -1102),
            ({"type": 3}, -1130),
            ({"amount": ""}, -1102),
        ):
            assert_failed(await ann.ask("POST", path, **SOLD | {"amount": 1, "type": 1} | wrong), code)


async def test_what_trading_costs_comes_from_the_rates() -> None:
    tiers = (Tier(0, 400_000), Tier(50_000_000_000, 500_000, 5000))
    rules = replace(make_rules(), rates={SOL: Rates(taker=50_000, maker=20_000, maintenance=tiers)})
    async with face(rules=rules) as app:
        ann = await bot(app, "ann")
        assert await ann.get("/fapi/v1/commissionRate", **SOLD) == {
            "symbol": "SOLUSDC",
            "makerCommissionRate": "0.0002",
            "takerCommissionRate": "0.0005",
            "rpiCommissionRate": "0",
        }
        sol, eth, _ = await ann.get("/fapi/v1/leverageBracket")
        assert sol["brackets"] == [
            {
                "bracket": 1,
                "initialLeverage": 100,
                "notionalCap": "50000.0",
                "notionalFloor": "0.0",
                "maintMarginRatio": "0.004",
                "cum": "0.0",
            },
            {
                "bracket": 2,
                "initialLeverage": 50,
                "notionalCap": "10000000.0",
                "notionalFloor": "50000.0",
                "maintMarginRatio": "0.005",
                "cum": "50.0",
            },
        ]
        (only,) = eth["brackets"]
        assert (only["initialLeverage"], only["maintMarginRatio"]) == (100, "0.0")
        assert isinstance(await ann.get("/fapi/v1/leverageBracket", **SOLD), list)
        await ann.order(quantity=10)
        (trade,) = await ann.get("/fapi/v1/userTrades", **SOLD)
        assert (trade["commission"], trade["commissionAsset"], trade["maker"]) == ("1.00000000", "USDC", False)
        (position,) = await ann.get("/fapi/v3/positionRisk")
        assert position["maintMargin"] == "8.00000000"
        assert Decimal(position["breakEvenPrice"]) > 200


# --- what has happened ----------------------------------------------------------------------------------------------


async def test_fills_are_listed_by_time_by_order_and_from_a_number_on(app: App, ann: Bot) -> None:
    first = await ann.order(quantity=2)
    app.clock.advance(5)
    await app.quote(SOL, "210")
    second = await ann.order("SELL", 3)
    rows = await ann.get("/fapi/v1/userTrades", **SOLD)
    for row in rows:
        has_shape(
            row,
            S="symbol side price qty realizedPnl marginAsset quoteQty commission commissionAsset positionSide",
            I="id orderId time",
            B="buyer maker",
        )
    assert [(row["orderId"], row["side"], row["qty"], row["realizedPnl"]) for row in rows] == [
        (first["orderId"], "BUY", "2.000", "0.00000000"),
        (second["orderId"], "SELL", "2.000", "20.00000000"),
        (second["orderId"], "SELL", "1.000", "0.00000000"),
    ]
    assert [row["quoteQty"] for row in rows] == ["400", "420", "210"]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, orderId=second["orderId"]) == rows[1:]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, fromId=rows[1]["id"], limit=1) == rows[1:2]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, limit=2) == rows[1:]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, startTime=rows[0]["time"], limit=2) == rows[:2]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, endTime=rows[0]["time"]) == rows[:1]
    assert await ann.get("/fapi/v1/userTrades", **SOLD, orderId=77) == []
    week = 7 * 86_400_000
    refusal = await ann.ask("GET", "/fapi/v1/userTrades", **SOLD, startTime=1, endTime=2 + week)
    assert_failed(refusal, -1130, "Data sent for parameter 'endTime' is not valid.")
    orders = await ann.get("/fapi/v1/allOrders", **SOLD)
    assert [each["orderId"] for each in orders] == [first["orderId"], second["orderId"]]
    assert await ann.get("/fapi/v1/allOrders", **SOLD, orderId=second["orderId"]) == orders[1:]
    assert await ann.get("/fapi/v1/allOrders", **SOLD, startTime=orders[1]["time"]) == orders[1:]
    assert await ann.get("/fapi/v1/allOrders", **SOLD, limit=1) == orders[1:]


async def test_a_liquidation_is_an_order_a_fill_and_income(app: App, ann: Bot) -> None:
    await ann.order(quantity=10)
    await app.quote(SOL, "150")
    (order,) = await ann.get("/fapi/v1/forceOrders")
    assert (order["status"], order["side"], order["executedQty"]) == ("FILLED", "SELL", "10.000")
    assert order["origType"] == "LIQUIDATION"
    assert order["clientOrderId"].startswith("autoclose-")
    assert order["price"] == order["avgPrice"] == "190", "where the margin was gone, not the mark of 150"
    assert (await ann.get("/fapi/v1/allOrders", **SOLD))[-1] == order
    assert await ann.get("/fapi/v1/forceOrders", autoCloseType="ADL") == []
    trade = (await ann.get("/fapi/v1/userTrades", **SOLD))[-1]
    assert (trade["orderId"], trade["realizedPnl"], trade["qty"]) == (order["orderId"], "-100.00000000", "10.000")
    assert trade["price"] == "190"
    assert await ann.get("/fapi/v1/userTrades", **SOLD, orderId=order["orderId"]) == [trade]
    assert await income_of(ann) == [("TRANSFER", "5000.00000000"), ("REALIZED_PNL", "-100.00000000")]
    assert await wallet(ann) == 4900


async def test_income_adds_up_to_the_wallet(app: App) -> None:
    rates = Rates(taker=50_000, maker=20_000, funding_interval_s=3600, funding_rate=10_000, residual=Residual.FORFEIT)
    async with face(rules=replace(make_rules(), rates={SOL: rates})) as app:
        ann = await bot(app, "ann")
        await ann.order(quantity=10)
        await ann.order(type="LIMIT", timeInForce="GTC", price=190)
        await ann.order("SELL", 4)
        app.clock.advance(3601)
        await app.quote(SOL, "199")
        await app.quote(SOL, "189")
        trader = app.trader("ann")
        trade = await trader.create(margin=50)
        await app.quote(SOL, "195")
        await trader.close(trade["orderId"])
        await ann.order("SELL", 20)
        rows = await ann.get("/fapi/v1/income", limit=1000)
        for row in rows:
            has_shape(row, S="symbol incomeType income asset info tradeId", I="time tranId")
        assert len({row["tranId"] for row in rows}) == len(rows)
        assert sum(Decimal(row["income"]) for row in rows) == await wallet(ann)
        kinds = {row["incomeType"] for row in rows}
        assert kinds == {"TRANSFER", "REALIZED_PNL", "COMMISSION", "FUNDING_FEE"}
        for kind in kinds:
            only = await ann.get("/fapi/v1/income", incomeType=kind, limit=1000)
            assert only == [row for row in rows if row["incomeType"] == kind]
        assert await ann.get("/fapi/v1/income", incomeType="WELCOME_BONUS") == []
        of_symbol: list[Any] = await ann.get("/fapi/v1/income", **SOLD, incomeType="FUNDING_FEE")
        assert {row["symbol"] for row in of_symbol} == {"SOLUSDC"}
        assert_failed(await ann.ask("GET", "/fapi/v1/income", startTime=5, endTime=4), -1130)


async def test_what_moves_no_wallet_takes_no_place_among_the_rows_of_income(app: App, ann: Bot) -> None:
    await ann.order(quantity=2)
    await app.quote(SOL, "210")
    await ann.order("SELL", 1)
    for price in (190, 189, 188):
        await ann.order(type="LIMIT", timeInForce="GTC", price=price)
    await ann.delete("/fapi/v1/allOpenOrders", **SOLD)
    whole = [("TRANSFER", "5000.00000000"), ("REALIZED_PNL", "10.00000000")]
    assert await income_of(ann, limit=2) == await income_of(ann, limit=2, startTime=0) == whole
    assert await income_of(ann, limit=1) == await income_of(ann, **SOLD) == whole[1:]
    assert await income_of(ann, **SOLD, incomeType="TRANSFER") == []


@pytest.mark.parametrize("path", ["userTrades", "allOrders", "income", "forceOrders"])
async def test_an_account_without_a_past_has_an_empty_one(ann: Bot, path: str) -> None:
    rows = await ann.get(f"/fapi/v1/{path}", **SOLD)
    assert rows == []


async def test_after_a_restart_all_that_waits_has_the_numbers_and_names_of_before(tmp_path: Path) -> None:
    asked = ("openOrders", "openAlgoOrders", "allOrders", "userTrades", "income", "allAlgoOrders")

    async def seen(bot: Bot) -> list[Any]:
        return [await bot.get(f"/fapi/v1/{each}", **SOLD) for each in asked]

    async with Stores.sqlite(tmp_path) as stores, face(stores=stores) as app:
        ann = await bot(app, "ann")
        await ann.order(quantity=3)
        await ann.order(type="LIMIT", timeInForce="GTX", price=190, newClientOrderId="mine")
        stop = {"symbol": "SOLUSDC", "side": "SELL", "algoType": "CONDITIONAL", "quantity": 1, "reduceOnly": "true"}
        await ann.post("/fapi/v1/algoOrder", **stop, type="STOP", triggerPrice=195, price=194)
        await ann.post("/fapi/v1/algoOrder", **stop, type="TRAILING_STOP_MARKET", callbackRate=5)
        before = await seen(ann)
        clock = app.clock
    async with Stores.sqlite(tmp_path) as stores, face(stores=stores, clock=clock) as app:
        ann = await bot(app, "ann")
        assert await seen(ann) == before
        assert [len(each) for each in before] == [1, 2, 2, 1, 0, 2]
        again = {"side": "BUY", "type": "MARKET", "quantity": 1, "newClientOrderId": "mine"}
        answer = await ann.ask("POST", "/fapi/v1/order", **SOLD, **again)
        assert_failed(answer, -4116)


async def test_too_long_a_past_is_refused_and_not_worked_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("exness.storage.history.LOOKED_AT", 3)
    monkeypatch.setattr("exness.storage.history_records.LOOKED_AT", 3)
    async with Stores.sqlite(tmp_path) as stores, face(stores=stores) as app:
        ann = await bot(app, "ann")
        for _ in range(5):
            await ann.order(quantity=1)
        for path in ("userTrades", "allOrders", "income", "allAlgoOrders", "forceOrders", "positionMargin/history"):
            answer = await ann.ask("GET", f"/fapi/v1/{path}", **SOLD)
            assert_failed(answer, -1130, "Data sent for parameter 'startTime' is not valid.")
        assert len(await ann.get("/fapi/v1/userTrades", **SOLD, limit=3)) == 3
