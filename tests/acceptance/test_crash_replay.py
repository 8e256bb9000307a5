"""A recorded crash through the real process, and every liquidation against an independent computation."""

import random
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.desk import (
    close_all,
    last_unmistakable,
    open_all,
    random_position,
    sign_in,
    until_mark,
)
from tests.acceptance.reckoning import (
    Position,
    Reckoning,
    assert_as_reckoned,
    assert_history_as_reckoned,
    count_of,
    micro,
    opened_seqs,
)
from tests.support.process import Answer, Server
from tests.support.recorded import DECIMALS, Tick, candle_ticks, decimal_text, read_candles, recorded
from tests.support.venue import Venue

SEED = 20240805
FROM_S, TO_S = 1_722_751_200, 1_722_945_600
"""2024-08-04 06:00 to 2024-08-06 12:00 UTC: a quiet morning, then SOL and ETH lose a quarter in a night."""

OPEN_AFTER_H = (0.5, 3, 6, 8, 11, 14, 17, 18.5, 24, 30)
"""Hours into the recording at which trades are opened; the worst of the fall is at 19 to 25."""

PER_MOMENT = 350
CLOSES = 15
USERS = 6
INITIAL = "1000000"

ENV = {
    "EXNESS_TRADING_INITIAL_BALANCE": INITIAL,
    "EXNESS_ENGINE_TICK_QUEUE_PER_ASSET": "1000000",  # longer than the recording: no tick can be shed
    "EXNESS_FEED_PRICE_TTL_S": "600",  # however slow the machine, the paused market stays tradable
}


class Moment(NamedTuple):
    """What was asked while the market stood still: after `ticks[:played]`."""

    played: int
    opened: list[Position]
    closed: list[Position]
    close_answers: list[Answer]


async def test_a_recorded_crash_liquidates_exactly_what_fractions_say(tmp_path: Path) -> None:
    ticks = crash_ticks()
    chance = random.Random(SEED)
    started = time.monotonic()
    async with Venue() as venue:
        server = Server(tmp_path / "data", "--feed", "backpack", "--feed-url", venue.url, env=ENV)
        async with server:
            await venue.wait_for_subscription(*(f"{asset}_USDC" for asset in DECIMALS))
            tokens = await sign_in(server, USERS)
            moments = await trade_through(ticks, venue, server, tokens, chance)
            reckoning = reckon(ticks, moments, opened_seqs(server.data_dir))
            await assert_history_as_reckoned(server, reckoning, tokens)
            assert await server.stop() == 0, server.errors
        assert_as_reckoned(reckoning, server.data_dir)
        await assert_recovers_the_same(server, reckoning, tokens)
    print(f"seed {SEED}: {count_of(reckoning, ticks)}, {time.monotonic() - started:.1f} s")
    assert len(reckoning.positions) == len(OPEN_AFTER_H) * PER_MOMENT + 2 * len(DECIMALS)
    assert reckoning.most_open >= 2_000
    assert len(reckoning.liquidated) >= 500


def crash_ticks() -> list[Tick]:
    """The ticks of all three assets, by time and then by symbol."""
    ticks: list[Tick] = []
    for asset in DECIMALS:
        candles = read_candles(recorded(f"candles5m_{asset}_2024-08-crash.csv.gz"))
        ticks += candle_ticks(asset, (each for each in candles if FROM_S <= each.start_s < TO_S), 300)
    return sorted(ticks)


async def trade_through(
    ticks: list[Tick], venue: Venue, server: Server, tokens: dict[str, str], chance: random.Random
) -> list[Moment]:
    """Play the recording as fast as it goes, standing still at each moment to trade."""
    moments: list[Moment] = []
    every_position: list[Position] = []
    played = 0
    for hours in OPEN_AFTER_H:
        at_us = (FROM_S + round(hours * 3600)) * 1_000_000
        end = last_unmistakable(ticks, played, max(i for i, tick in enumerate(ticks) if tick.time_us <= at_us))
        await play(ticks[played : end + 1], venue, server)
        played = end + 1
        closed = chance.sample(every_position, CLOSES) if every_position else []
        answers = await close_all(server, tokens, closed)
        every_position = [each for each in every_position if each not in closed]
        opened = [random_position(chance, list(tokens), number) for number in range(PER_MOMENT)]
        await open_all(server, tokens, opened)
        every_position += opened
        moments.append(Moment(played, opened, closed, answers))
    # The very end may show a price that was there before, so the wait is for the last one that was not.
    end = last_unmistakable(ticks, played, len(ticks) - 1)
    await play(ticks[played : end + 1], venue, server)
    del ticks[end + 1 :]
    return [*moments, await touch_exactly(ticks, venue, server, tokens)]


async def touch_exactly(ticks: list[Tick], venue: Venue, server: Server, tokens: dict[str, str]) -> Moment:
    """Open a long and a short of each asset and lead the price to one step before where they are due, half a step
    nearer, and there: a recording hardly ever meets a liquidation price, nor a mark between two steps."""
    user, played = next(iter(tokens)), len(ticks)
    both = [
        Position(user, asset, side, 1_234_567, Fraction("33.33")) for asset in DECIMALS for side in ("long", "short")
    ]
    for position in both:
        position.enter(next(tick.mark for tick in reversed(ticks) if tick.asset == position.asset))
    await open_all(server, tokens, both)
    for position in both:
        for twice_mark in (2 * (position.due + position.sign), 2 * position.due + position.sign, 2 * position.due):
            bid = twice_mark // 2 - 5
            ticks.append(Tick(ticks[-1].time_us + 1, position.asset, bid, twice_mark - bid))
        await play(ticks[-3:], venue, server)
    return Moment(played, both, [], [])


async def play(ticks: list[Tick], venue: Venue, server: Server) -> None:
    """Send ticks and wait until the last one is the exchange's price. Bid and ask are sent as decimal text."""
    for tick in ticks:
        decimals = DECIMALS[tick.asset]
        sent = await venue.send_quote(
            f"{tick.asset}_USDC", decimal_text(tick.bid, decimals), decimal_text(tick.ask, decimals)
        )
        assert sent == 1, "the exchange is not subscribed"
    await until_mark(server, ticks[-1])


def reckon(ticks: list[Tick], moments: list[Moment], seqs: dict[str, int]) -> Reckoning:
    """The whole story again, by fractions, and the answers to each close against it."""
    reckoning = Reckoning(micro(INITIAL))
    played = 0
    for moment in moments:
        for tick in ticks[played : moment.played]:
            reckoning.tick(tick)
        played = moment.played
        for position, answer in zip(moment.closed, moment.close_answers, strict=True):
            reckoning.close(position)
            assert_close_answer(position, answer)
        for position in moment.opened:
            position.opened_seq = seqs[position.order]
        reckoning.open(moment.opened)
    for tick in ticks[played:]:
        reckoning.tick(tick)
    return reckoning


def assert_close_answer(position: Position, answer: Answer) -> None:
    """200 with the figures reckoned, or 409 with those of the liquidation."""
    end = position.end
    assert end is not None
    assert answer.status == (200 if end.tick is None else 409)
    told = answer.body if end.tick is None else answer.body["details"]
    assert told["orderId"] == position.order
    assert told["liquidated"] == (end.tick is not None)
    assert told["closePrice"] == decimal_text(end.price, DECIMALS[position.asset])
    assert micro(told["pnl"]) == end.pnl
    assert micro(told["returned"]) == position.margin + end.pnl


async def assert_recovers_the_same(server: Server, reckoning: Reckoning, tokens: dict[str, str]) -> None:
    """The same accounts, the same open trades, the same history after a restart and a `kill -9`."""
    async with server:
        digest = server.banner("state")
        assert server.recovered.open_trades == len(reckoning.positions) - sum(
            each.end is not None for each in reckoning.positions
        )
        await assert_history_as_reckoned(server, reckoning, tokens)
        server.kill()
        await server.restart()
        assert server.banner("state") == digest
        await assert_history_as_reckoned(server, reckoning, tokens)
