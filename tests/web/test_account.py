"""web/v1/account.py: balances and the account."""

import asyncio

import pytest

from tests.support.app import App, Stores, Trader, assert_error, running_app
from tests.support.books import BTC, SOL
from tests.support.waiting import until


async def test_the_balance_is_in_integer_minor_units_for_usdc_and_every_asset(app: App, ann: Trader) -> None:
    await ann.create(margin="0.000001")
    answer = await ann.get("/balance")
    assert answer.status == 200
    assert answer.body == {
        "USDC": {"balance": 4_999_999_999, "decimals": 6},
        "SOL": {"balance": 0, "decimals": 6},
        "ETH": {"balance": 0, "decimals": 6},
        "BTC": {"balance": 0, "decimals": 4},
    }


async def test_the_balance_in_usd_is_told_as_an_integer_and_as_text(app: App, ann: Trader) -> None:
    answer = await ann.get("/balance/usd")
    assert answer.status == 200
    assert answer.body == {"balance": 5_000_000_000, "decimals": 6, "usd": "5000.000000"}
    await ann.create(margin="1.5")
    assert (await ann.get("/balance/usd")).body == {"balance": 4_998_500_000, "decimals": 6, "usd": "4998.500000"}


async def test_the_account_adds_up(app: App, ann: Trader) -> None:
    await ann.create(margin=100, leverage=10)
    await ann.create(margin=50, leverage=2, asset="BTC", type="short")
    await app.quote(SOL, "199")
    await app.quote(BTC, "99000")
    answer = await ann.get("/account")
    assert answer.status == 200
    assert answer.body == {
        "email": "ann@example.com",
        "balance": "4850.000000",
        "lockedMargin": "150.000000",
        "reserved": "0.000000",
        "unrealizedPnl": "-4.000000",
        "closePnl": "-4.000000",
        "equity": "4996.000000",
        "stale": False,
        "openTrades": 2,
        "notional": "1094.000000",
        "leverage": "0.22",
    }


async def test_without_trades_equity_is_the_balance_even_without_prices() -> None:
    async with running_app() as app:
        answer = await app.trader("ann").get("/account")
        assert answer.body == {
            "email": "ann@example.com",
            "balance": "5000.000000",
            "lockedMargin": "0.000000",
            "reserved": "0.000000",
            "unrealizedPnl": "0.000000",
            "closePnl": "0.000000",
            "equity": "5000.000000",
            "stale": False,
            "openTrades": 0,
            "notional": "0.000000",
            "leverage": 0,
        }


async def test_equity_is_unknown_while_an_open_trade_has_no_price() -> None:
    stores = Stores.memory()
    async with running_app(stores) as app:
        await app.quote_all()
        await app.trader("ann").create()
    async with running_app(stores) as app:
        account = (await app.trader("ann").get("/account")).body
        assert (account["unrealizedPnl"], account["closePnl"], account["equity"]) == (None, None, None)
        assert account["stale"] is True
        assert (account["balance"], account["lockedMargin"], account["openTrades"]) == ("4900.000000", "100.000000", 1)


async def test_the_first_request_opens_an_account_with_the_configured_balance() -> None:
    async with running_app(initial_balance="123.456789") as app:
        assert (await app.trader("ann").get("/balance/usd")).body["usd"] == "123.456789"


async def test_ten_first_requests_at_once_open_one_account(app: App) -> None:
    ann = app.trader("ann")
    answers = await asyncio.gather(*(ann.get("/balance/usd") for _ in range(10)))
    assert [answer.body["usd"] for answer in answers] == ["5000.000000"] * 10
    assert len(app.state.account_list) == 1


async def test_a_balance_is_not_shown_before_it_is_on_disk(app: App, ann: Trader) -> None:
    app.hold_disk()
    creating = asyncio.create_task(ann.try_create())
    await until(lambda: app.state.open_trades == 1)
    reading = asyncio.create_task(ann.get("/balance/usd"))
    await until(lambda: len(app.writer._mark._waiters) == 2, "for both to wait for the disk")
    assert (creating.done(), reading.done()) == (False, False)
    app.release_disk()
    assert (await creating).status == 200
    assert (await reading).body["usd"] == "4900.000000"


@pytest.mark.parametrize("path", ["/balance", "/balance/usd", "/account", "/trade/open", "/trade/history"])
async def test_what_is_private_needs_a_session(app: App, path: str) -> None:
    assert_error(await app.get(path), 401, "unauthorized")
    assert app.state.seq == 0
