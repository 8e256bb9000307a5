"""`serve --profile NAME`: one position of each side is liquidated where the venue's published formula says (the sources
are named in tests/support/formulas.py), not one unit before, and leaves what the venue leaves."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from exness.core.profiles import PROFILES
from tests.acceptance.reckoning import micro, usdc
from tests.support.formulas import FORMULAS, first_whole
from tests.support.process import Server
from tests.support.recorded import decimal_text

MANUAL = ("--feed", "manual", "--dev-control")
ROOT = Path(__file__).resolve().parents[2]
MARGIN, LEVERAGE, ENTRY = Fraction(1_000), 10, Fraction(100_000)
SIZE = MARGIN * LEVERAGE / ENTRY
DECIMALS = 4

FEE = dict.fromkeys(PROFILES, Fraction(0)) | {
    "binance": Fraction(125, 10_000),
    "gmx": Fraction(2, 1_000),
    "backpack": Fraction(1, 100),
}
"""Of a liquidation, of the notional at the mark."""


async def done(server: Server, method: str, path: str, token: str | None = None, body: Any = None) -> Any:
    answer = await server.request(method, path, token, body)
    assert answer.status == 200, answer.body
    return answer.body


async def price(server: Server, scaled: int) -> int:
    """Set it; how many trades it has liquidated."""
    told = await done(server, "PUT", "/dev/prices/BTC", body={"mid": decimal_text(scaled, DECIMALS)})
    liquidated: int = told["liquidated"]
    return liquidated


@pytest.mark.parametrize("kind", ["long", "short"])
@pytest.mark.parametrize("profile", PROFILES)
async def test_a_position_is_liquidated_where_the_venue_says(tmp_path: Path, profile: str, kind: str) -> None:
    side = 1 if kind == "long" else -1
    due = first_whole(side, FORMULAS[profile](side, MARGIN, SIZE, ENTRY), DECIMALS)
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "config.toml").read_text())
    flags = ("--config", str(config), "--profile", profile, *MANUAL)
    async with Server(tmp_path / "data", *flags) as server:
        token = await server.token("ann@example.com")
        await price(server, int(ENTRY * 10**DECIMALS))
        body = {"asset": "BTC", "type": kind, "margin": str(MARGIN), "leverage": LEVERAGE}
        trade = await done(server, "POST", "/trade/create", token, body)
        assert (trade["entryPrice"], trade["liquidationPrice"]) == ("100000.0000", decimal_text(due, DECIMALS))
        assert await price(server, due + side) == 0
        assert await price(server, due) == 1
        (row,) = (await done(server, "GET", "/trade/history", token))["data"]
        account = await done(server, "GET", "/account", token)
    assert (row["closeReason"], row["closePrice"]) == ("liquidation", decimal_text(due, DECIMALS))
    mark = Fraction(due, 10**DECIMALS)
    rest = micro(str(MARGIN)) + max(-micro(str(MARGIN)), math.floor(side * SIZE * (mark - ENTRY) * 10**6))
    left = rest - min(rest, math.ceil(SIZE * mark * FEE[profile] * 10**6))
    if profile == "exness":
        left = 0  # what is left is the insurance's
    paid = micro(trade["commission"])
    assert account["balance"] == usdc(micro("5000") - paid - micro(str(MARGIN)) + left)
