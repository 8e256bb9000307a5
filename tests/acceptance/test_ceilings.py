"""Figures without measure in the real process: it answers, stores, shows and restarts, whatever they come to."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exness.core.ceilings import MOST_HELD
from exness.core.money import format_usdc
from exness.storage.files import EXCHANGE_DBS, MARKET_DB
from tests.acceptance.test_dev_control import MANUAL, ORDER, assert_verified, done
from tests.support.ceilings import assert_columns_are_within
from tests.support.process import DidNotStart, Server, finished

FULL = format_usdc(MOST_HELD)
PAGES = ("/balance", "/balance/usd", "/account", "/trade/open", "/trade/history", "/trade/history?profitable=true",
         "/trade/history?asset=SOL&sortBy=pnl", "/prices", "/klines?asset=SOL&interval=1d", "/metrics")  # fmt: skip


async def assert_shows_everything(server: Server, token: str) -> None:
    for path in PAGES:
        answer = await server.get(path, token)
        assert answer.status == 200, (path, answer.body)


def assert_stored(server: Server) -> None:
    for name, database in ((name, name.removesuffix(".db")) for name in EXCHANGE_DBS):
        with closing(sqlite3.connect(server.data_dir / name)) as connection:
            assert_columns_are_within(connection, database)


async def test_a_price_of_nearly_nothing_that_rises_to_a_thousand_million_pays_what_an_account_can_hold(
    tmp_path: Path,
) -> None:
    async with Server(tmp_path / "data", *MANUAL, env={"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.1"}) as server:
        token, other = await server.token("ann@example.com"), await server.token("bob@example.com")
        await done(server, "PUT", "/dev/prices/SOL", {"mid": "0.000001"})
        trade = await done(server, "POST", "/trade/create", ORDER | {"leverage": 100}, token)
        await done(server, "PUT", "/dev/prices/SOL", {"mid": 1_000_000_000})
        await assert_shows_everything(server, token)
        closed = await done(server, "POST", "/trade/close", {"orderId": trade["orderId"]}, token)
        assert (closed["balance"], closed["pnl"]) == (FULL, format_usdc(MOST_HELD - 5_000_000_000))
        full = await server.post("/dev/deposit", body={"email": "ann@example.com", "amount": "0.000001"})
        assert (full.status, full.body["code"]) == (422, "amount_out_of_range")
        assert full.body["details"]["figure"] == "balance"
        assert full.body["details"]["allowed"] == f"0.000000 to {FULL}"
        lost = await done(server, "POST", "/trade/create", ORDER | {"type": "short", "leverage": 1}, other)
        await done(server, "PUT", "/dev/prices/SOL", {"mid": "999999999999.999999"})
        history = (await server.get("/trade/history", token)).body
        assert history["analytics"]["totalPnl"] == closed["pnl"]
        (row,) = (await server.get("/trade/history?liquidated=true", other)).body["data"]
        assert (row["orderId"], row["pnl"]) == (lost["orderId"], "-100.000000")
        await assert_shows_everything(server, token)
        assert await server.stop() == 0
        assert_stored(server)
        await assert_verified(server)
        await server.start()
        assert (await server.get("/balance/usd", token)).body["usd"] == FULL


async def test_a_price_of_more_digits_than_any_has_is_refused_and_sets_nothing(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL) as server:
        refused = await server.request("PUT", "/dev/prices/SOL", body={"mid": 10**12})
        assert (refused.status, refused.body["code"]) == (400, "invalid_request")
        assert refused.body["message"] == "mid is out of range"
        assert (await server.get("/prices/SOL")).body["mark"] is None


async def test_accounts_that_begin_with_all_there_is_are_in_every_snapshot(tmp_path: Path) -> None:
    """Nineteen of them hold more than 64 bits together."""
    env = {"EXNESS_TRADING_INITIAL_BALANCE": "1000000000000", "EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "3600"}
    async with Server(tmp_path / "data", *MANUAL, env=env) as server:
        tokens = [await server.token("ann@example.com")]
        for number in range(19):
            await done(server, "POST", "/dev/deposit", {"email": f"t{number}@example.com", "amount": 1})
        usd = (await server.get("/balance/usd", tokens[0])).body["usd"]
        assert usd == "1000000000000.000000"
        assert (await server.get("/metrics")).status == 200
        assert await server.stop() == 0
        assert not [line for line in server.errors if "snapshot failed" in line]
        await assert_verified(server)
        await server.start()
        assert (server.recovered.snapshot, server.recovered.replayed) == (server.recovered.seq, 0)
        assert server.recovered.accounts == 20
        assert_stored(server)


CONFIG = """
[assets.PEPE]
name = "Pepe"
decimals = 12
symbol = "PEPE_USDC"
"""


@pytest.mark.parametrize("volume", ["10000000000000", "1e30"])
async def test_a_coin_of_which_ten_million_million_are_traded_a_day_is_replayed_to_its_end(
    tmp_path: Path, volume: str
) -> None:
    recording, orders, config = tmp_path / "candles1d_PEPE_x.csv", tmp_path / "orders.csv", tmp_path / "exness.toml"
    first = 1_722_816_000
    recording.write_text(
        "timestamp_s,open,high,low,close,volume\n"
        + "".join(f"{first + day * 86_400},0.00001,0.000011,0.000009,0.00001,{volume}\n" for day in range(20))
    )
    orders.write_text(
        "time,account,do,order,asset,type,margin,leverage,slippage,expectedPrice\n"
        "2024-08-05T00:00:00Z,ann@example.com,open,a1,PEPE,long,6000,2,,0.00001\n"
        "2024-08-05T00:00:00Z,ann@example.com,open,a2,PEPE,long,100,2,,0.00001\n"
    )
    config.write_text(CONFIG)
    flags = ("--feed", "replay", "--replay", str(recording), "--speed", "max", "--orders", str(orders), "--exit-at-end")
    done = await finished(
        *("serve", "--port", "0", "--config", str(config), "--data-dir", str(tmp_path / "data"), *flags), cwd=tmp_path
    )
    assert done.code == 0, done.errors
    assert "replay ended: 80 ticks, 1 orders done and 1 refused" in done.output
    with closing(sqlite3.connect(tmp_path / "data" / MARKET_DB)) as connection:
        assert_columns_are_within(connection, "market")
        volumes = connection.execute("SELECT DISTINCT volume FROM candles WHERE interval = '1d'").fetchall()
    assert volumes == [(2**63 - 4,)], "four quarters of the most that is taken in"
    verified = await finished("verify", "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert verified.code == 0, verified.errors


async def test_a_setting_above_its_ceiling_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart) as refused:
        async with Server(tmp_path / "data", env={"EXNESS_TRADING_INITIAL_BALANCE": "1000000000000.000001"}):
            pass
    assert refused.value.code == 1
    assert refused.value.errors == (
        "exness: EXNESS_TRADING_INITIAL_BALANCE: trading.initial_balance must be an amount of USDC from 0 to "
        '1000000000000 with at most 6 decimals, not "1000000000000.000001"'
    )
    assert not (tmp_path / "data").exists()


async def test_the_largest_settings_start_and_take_snapshots(tmp_path: Path) -> None:
    env = {
        "EXNESS_TRADING_INITIAL_BALANCE": "1000000000000",
        "EXNESS_TRADING_MAX_NOTIONAL_PER_ACCOUNT": "1000000000000",
        "EXNESS_TRADING_MAX_OPEN_INTEREST_PER_ASSET": "1000000000000",
        "EXNESS_TRADING_MAX_OPEN_TRADES_PER_ACCOUNT": "1000000000",
        "EXNESS_STORAGE_SNAPSHOTS_KEPT": "1000000000",
        "EXNESS_STREAM_MESSAGE_BYTES": "1000000000",
        "EXNESS_SERVER_MAX_CONNECTIONS": "1000000000",
        "EXNESS_STORAGE_WRITER_BATCH": "1000000000",
    }
    async with Server(tmp_path / "data", *MANUAL, env=env) as server:
        token = await server.token("ann@example.com")
        await done(server, "PUT", "/dev/prices/SOL", {"mid": 1})
        more = {"margin": 500_000_000, "leverage": 100}
        refused = await server.request("POST", "/trade/create", token, ORDER | more)
        assert (refused.status, refused.body["code"]) == (422, "amount_out_of_range"), "a size is at most 2^62"
        margin = {"margin": 400_000_000, "leverage": 100}
        trade = await done(server, "POST", "/trade/create", ORDER | margin, token)
        await done(server, "PUT", "/dev/prices/SOL", {"mid": 2})
        closed = await done(server, "POST", "/trade/close", {"orderId": trade["orderId"]}, token)
        assert closed["pnl"] == "40000000000.000000", "what fits is paid, however much it is"
        assert await server.stop() == 0
        await assert_verified(server)
        await server.start()
        assert server.recovered.replayed == 0
