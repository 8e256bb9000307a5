"""`python -m exness venue`: the venue on prices of a simulation or a recording, until SIGTERM or SIGINT."""

import asyncio
from collections.abc import Callable, Sequence

from exness.config import Config
from exness.core.instruments import Asset
from exness.feeds.replay import ReplayError, ReplayFeed, ReplayOptions
from exness.feeds.simulated import SimulatedFeed
from exness.mockvenue.faults import Fault
from exness.mockvenue.server import HOST, Venue
from exness.process.signals import Stop
from exness.process.sockets import why_not_listening
from exness.process.stopping import stop_event
from exness.process.threads import in_thread_of_its_own

__all__ = ["VenueError", "run"]

_LIFE_US = 30_000_000
"""Only scripts of silence are measured by it: a venue's prices have no life."""


class VenueError(Exception):
    """The venue can't start. The message is one sentence for the operator."""


def run(config: Config, port: int, faults: Sequence[Fault], say: Callable[[str], None], stop: Stop) -> None:
    """Serve until `stop` hears a signal. `say` prints a line. Raises VenueError."""
    try:
        asyncio.run(_serve(config, port, faults, say, stop))
    except ReplayError as error:
        raise VenueError(str(error)) from error


async def _serve(config: Config, port: int, faults: Sequence[Fault], say: Callable[[str], None], stop: Stop) -> None:
    with stop_event(stop) as stopping:
        feed = make_source(config)
        venue = Venue(list(config.instruments().values()), faults=faults, seed=config.feed.seed)
        playing = asyncio.create_task(_play(feed, venue, port, faults, say), name="prices")
        stopped = asyncio.create_task(stopping.wait(), name="stop")
        try:
            await asyncio.wait((playing, stopped), return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()  # raises what ended it
                say("the recording has ended; the venue stays")
                await stopped
        finally:
            playing.cancel()
            stopped.cancel()
            await venue.stop()


async def _play(
    feed: SimulatedFeed | ReplayFeed, venue: Venue, port: int, faults: Sequence[Fault], say: Callable[[str], None]
) -> None:
    if isinstance(feed, ReplayFeed):
        await in_thread_of_its_own(feed.check)
    try:
        await venue.start(port)
    except OSError as error:
        raise VenueError(why_not_listening(HOST, port, error)) from error
    say(_banner(venue, feed, faults))
    say(f"listening on {venue.url}")
    await feed.run(venue.take)


def make_source(config: Config) -> SimulatedFeed | ReplayFeed:
    """Prices as they come, unguarded: to judge them is the client's part."""
    instruments, settings = list(config.instruments().values()), config.feed
    if settings.source == "replay":
        options = ReplayOptions(
            begin_us=settings.replay_from,
            end_us=settings.replay_to,
            loop=settings.loop,
            allow_gaps=settings.allow_gaps,
        )
        return ReplayFeed(settings.replay_files, instruments, _LIFE_US, settings.speed, options)
    return SimulatedFeed(
        instruments,
        _LIFE_US,
        seed=settings.seed,
        ticks_per_s=settings.ticks_per_s,
        scenario=settings.scenario,
        volatility={Asset(name): asset.volatility for name, asset in config.assets.items()},
    )


def _banner(venue: Venue, feed: SimulatedFeed | ReplayFeed, faults: Sequence[Fault]) -> str:
    lines = [
        "a venue to test against: Backpack's public protocol, made-up trades",
        f"  prices   {feed.describe()}",
        f"  streams  {venue.ws_url}",
        f"  REST     {venue.url}/api/v1",
        *(f"  fault    {fault.kind}, at every {fault.every} frames of a connection" for fault in faults),
        f"  try      python -m exness serve --feed backpack --feed-url {venue.ws_url}",
    ]
    return "\n".join(lines)
