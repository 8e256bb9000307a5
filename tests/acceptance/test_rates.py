"""Rates and profiles in the real process: what is set reaches the engine, and the insurance is paid in once."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exness.app.build import make_rules
from exness.config import load
from exness.core.instruments import Asset, Execution, LimitFill, Trigger
from exness.core.profiles import PROFILES
from exness.core.rates import Rates, Tier
from tests.support.process import DidNotStart, Server

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ("--feed", "manual", "--dev-control")


def kinds(server: Server) -> list[str]:
    with closing(sqlite3.connect(server.data_dir / "journal.db")) as journal:
        return [kind for (kind,) in journal.execute("SELECT kind FROM journal ORDER BY seq")]


def test_every_setting_of_trading_reaches_the_engine() -> None:
    given = {
        "EXNESS_TRADING_EXECUTION": "touch",
        "EXNESS_TRADING_TRIGGER": "mark",
        "EXNESS_TRADING_LIMIT_FILL": "limit",
        "EXNESS_TRADING_NET_LEVERAGE": "7.5",
        "EXNESS_TRADING_MAX_OPEN_ORDERS_PER_ACCOUNT": "3",
        "EXNESS_TRADING_MAX_EXITS_PER_TRADE": "4",
        "EXNESS_ASSETS_SOL_QUANTITY_DECIMALS": "2",
        "EXNESS_RATES_TAKER": "0.0005",
        "EXNESS_RATES_SOL_MAINTENANCE": "0.01",
    }
    rules = make_rules(load(None, given, {}))
    assert rules.execution is Execution.TOUCH
    assert rules.trigger is Trigger.MARK
    assert rules.limit_fill is LimitFill.LIMIT
    assert (rules.net_leverage, rules.max_open_orders_per_account, rules.max_exits_per_trade) == (750, 3, 4)
    assert [instrument.quantity_places for instrument in rules.instruments.values()] == [2, 4, 5]
    assert rules.rates_of(Asset("ETH")) == Rates(taker=50_000)
    assert rules.rates_of(Asset("SOL")) == Rates(taker=50_000, maintenance=(Tier(0, 1_000_000),))


@pytest.mark.parametrize("profile", PROFILES)
async def test_an_exchange_starts_as_each_venue_with_the_shipped_settings(tmp_path: Path, profile: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "config.toml").read_text())
    async with Server(tmp_path / "data", "--config", str(config), "--profile", profile) as server:
        token = await server.token("ann@example.com")
        order = {"asset": "SOL", "type": "long", "margin": 10, "leverage": 10}
        assert (await server.post("/trade/create", token, order)).status == 200
    rules = make_rules(load(config, {}, {"trading.profile": profile}))
    execution = PROFILES[profile]["trading", "execution"].value
    assert rules.execution is execution
    assert rules.rates_of(Asset("SOL")).taker == PROFILES[profile]["rates", "taker"].value


async def test_the_insurance_is_paid_in_at_the_first_start_and_after_a_reset_and_only_then(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL, env={"EXNESS_RATES_INSURANCE": "1000"}) as server:
        assert kinds(server) == ["insurance_paid"]
        server.kill()
        await server.restart()
        assert kinds(server) == ["insurance_paid"]
        assert (await server.post("/dev/reset", body={})).status == 200
        assert kinds(server) == ["insurance_paid", "exchange_reset", "insurance_paid"]
        assert await server.stop() == 0
        await server.start()
        assert kinds(server) == ["insurance_paid", "exchange_reset", "insurance_paid"]


async def test_a_broken_file_of_funding_rates_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("time,asset,rate\n2024-08-05T00:00:00Z,SOL,1.5\n")
    env = {"EXNESS_RATES_FUNDING_RATE": "schedule", "EXNESS_RATES_FUNDING_FILE": str(rates)}
    with pytest.raises(DidNotStart) as refused:
        async with Server(tmp_path / "data", env=env):
            pass
    assert f"funding file {rates}, line 2: rate must be between -1 and 1" in refused.value.errors
    assert not (tmp_path / "data" / "journal.db").exists()
