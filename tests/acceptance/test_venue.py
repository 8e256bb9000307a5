"""`exness venue` and `exness serve --feed backpack` as processes of their own; replays with orders that are killed."""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.process import START_TIMEOUT_S, Server, finished, run_exness
from tests.support.recorded import QUOTE_HEADER
from tests.support.waiting import until

ENDED = re.compile(
    r"replay ended: (\d+) ticks, (\d+) orders done and (\d+) refused, (\d+) liquidations .* seq (\d+), state (\w{64})"
)


@asynccontextmanager
async def venue_process(folder: Path, *flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A running `exness venue` and its port; what it was started with is repeated to start it anew."""
    process = await run_exness("venue", *flags, env={"PATH": os.environ["PATH"]}, cwd=folder)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not (line := (await process.stdout.readline()).decode()).startswith("listening on "):
                assert line, "the venue ended"
        yield process, line.strip().rpartition(":")[2]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def state_of(server: Server, asset: str = "SOL") -> str:
    return str((await server.get(f"/prices/{asset}")).body["state"])


async def becomes(server: Server, state: str) -> None:
    async def has_become() -> bool:
        return await state_of(server) == state

    await until(has_become, state, within_s=20, pause_s=0.02)


async def test_a_killed_venue_makes_prices_stale_and_its_return_makes_them_live(tmp_path: Path) -> None:
    async with venue_process(tmp_path, "--port", "0") as (venue, port):
        flags = ("--feed", "backpack", "--feed-url", f"ws://127.0.0.1:{port}")
        server = Server(tmp_path / "data", *flags, env={"EXNESS_FEED_PRICE_TTL_S": "1"})
        token = await server.token("ann@example.com")
        async with server:
            await becomes(server, "live")
            body = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 5}
            trade = await server.post("/trade/create", token, body)
            assert trade.status == 200
            venue.kill()
            await venue.wait()
            await becomes(server, "stale")
            refused = await server.post("/trade/create", token, body)
            assert (refused.status, refused.body["details"]["reason"]) == (503, "stale")
            ready = await server.get("/readyz")
            assert (ready.status, ready.body["connected"], ready.body["prices"]["SOL"]) == (503, False, "stale")
            assert "the price feed is not connected" in ready.body["reasons"]
            async with venue_process(tmp_path, "--port", port):
                await becomes(server, "live")
                assert [row["orderId"] for row in (await server.get("/trade/open", token)).body["data"]] == [
                    trade.body["orderId"]
                ]
            assert await server.stop() == 0, server.errors


async def test_the_venue_ends_in_order_and_names_what_it_can_not_do(tmp_path: Path) -> None:
    async with venue_process(tmp_path, "--port", "0", "--scenario", "crash", "--fault", "drop:every=9") as (
        venue,
        port,
    ):
        taken = await finished("venue", "--port", port, cwd=tmp_path)
        assert (taken.code, "can't listen" in taken.errors) == (1, True)
        venue.terminate()
        assert await venue.wait() == 0
    for flags, problem in [
        (("--fault", "fire"), "there is no fault 'fire'"),
        (("--scenario", "fire"), "feed.scenario must be"),
        (("--port", "x"), "a port is a number"),
    ]:
        refused = await finished("venue", *flags, cwd=tmp_path)
        assert (refused.code, problem in refused.errors) == (2, True), refused.errors
    missing = await finished("venue", "--replay", "nothing.csv", cwd=tmp_path)
    assert (missing.code, "nothing.csv" in missing.errors) == (1, True)


START_US = 1_722_816_000_000_000


def recording_with_orders(folder: Path) -> tuple[Path, Path]:
    """A day of falling prices, one a second per asset, and 2,000 orders."""
    chance = random.Random(11)
    prices = {"SOL": 200.0, "ETH": 3_000.0}
    rows, orders = [QUOTE_HEADER], ["time,account,do,order,asset,type,margin,leverage"]
    still_open: list[tuple[str, str]] = []
    for second in range(20_000):
        for asset in sorted(prices):
            prices[asset] *= 1 + chance.uniform(-0.0021, 0.002)
            rows.append(f"{second * 1_000_000 + START_US},{asset}_USDC,{prices[asset]:.4f},{prices[asset] + 0.01:.4f}")
        if second % 10 == 5:
            at, who = second * 1_000_000 + START_US, f"t{chance.randrange(20)}@example.com"
            if still_open and chance.random() < 0.3:
                owner, name = still_open.pop(chance.randrange(len(still_open)))
                orders.append(f"{at},{owner},close,{name},,,,")
            else:
                still_open.append((who, f"o{second}"))
                margin, leverage = chance.randint(1, 90), chance.choice((1, 5, 20, 50))
                side = chance.choice(("long", "short"))
                orders.append(f"{at},{who},open,o{second},{chance.choice(sorted(prices))},{side},{margin},{leverage}")
    recording, script = folder / "quotes.csv", folder / "orders.csv"
    recording.write_text("\n".join(rows) + "\n")
    script.write_text("\n".join(orders) + "\n")
    return recording, script


async def test_a_replay_with_orders_ends_in_one_state_also_when_it_is_killed_on_the_way(tmp_path: Path) -> None:
    recording, script = recording_with_orders(tmp_path)
    flags = ("--port", "0", "--replay", str(recording), "--orders", str(script), "--exit-at-end")
    whole = await finished("serve", *flags, "--speed", "max", "--data-dir", "whole", cwd=tmp_path)
    assert whole.code == 0, whole.errors
    ended = ENDED.search(whole.output)
    assert ended is not None, whole.output
    ticks, _done, _refused, liquidations, *state = ended.groups()
    assert (int(ticks), int(liquidations) > 100) == (40_000, True)
    paced = await finished("serve", *flags, "--speed", "20000", "--data-dir", "paced", cwd=tmp_path)
    assert (ENDED.search(paced.output) or [""])[0].rpartition("; ")[2] == ended[0].rpartition("; ")[2]
    chance, kills = random.Random(5), 0
    while True:
        server = await run_exness(
            "serve", *flags, "--speed", "10000", "--data-dir", "killed", env={"PATH": os.environ["PATH"]}, cwd=tmp_path
        )
        assert server.stdout is not None
        output = ""
        while line := (await server.stdout.readline()).decode():
            output += line
            if line.startswith("listening") and kills < 3:
                # A random moment of the two seconds that it takes: what is tested is that the moment does not matter.
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                server.kill()
                kills += 1
                break
        await server.communicate()
        if server.returncode == 0:
            break
    resumed = ENDED.search(output)
    assert resumed is not None, output
    assert list(resumed.groups()[4:]) == state
    assert int(resumed[1]) < 40_000, "it began anew instead of going on"
    verified = await finished("verify", "--data-dir", "killed", cwd=tmp_path)
    assert (verified.code, state[1] in verified.output) == (0, True), verified.errors
    print(f"{kills} kills, resumed after {40_000 - int(resumed[1])} ticks, at {time.monotonic():.0f}")
