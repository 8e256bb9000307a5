"""A wall clock that is set back or forward by an hour while the exchange runs, or between two runs of it.

The real process gets its wall clock from a file that the test writes: a `sitecustomize` module on its path adds that
many seconds to whatever `time.time_ns` says. The monotonic clock is the machine's.

How it was seen to fail with its guards taken out (the guard, then the tests that failed):
- `SystemClock.now_us` asks the wall clock each time: the steps while it runs (prices stale at once, or fresh for ever)
- `make_parts` does not start its clock at the journal's last time: the restart with an earlier wall clock (time
  stands still for an hour, and no price ends in it)
"""

from pathlib import Path

import pytest

from tests.faults.trading import SNAPSHOTS_NEVER, Books, signed_in, verified
from tests.storage.tables import journal_rows
from tests.support.process import Server
from tests.support.venue import Venue

HOUR = 3600
SHIFTED = """
import time
from pathlib import Path

_real, _shift = time.time_ns, Path(__file__).with_name("shift")

def time_ns():
    return _real() + int(_shift.read_text()) * 1_000_000_000

time.time_ns = time_ns
"""


class WallClock:
    """The wall clock of the processes that get `env`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SHIFTED)
        self._shift = folder / "shift"
        self.env = {"PYTHONPATH": str(folder), **SNAPSHOTS_NEVER}
        self.step_to(0)

    def step_to(self, seconds: int) -> None:
        """So far from the true time."""
        draft = self._shift.with_suffix(".new")
        draft.write_text(str(seconds))
        draft.rename(self._shift)


@pytest.fixture
def wall(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "clock")


def journal_times(data_dir: Path) -> list[int]:
    return [row[0] for row in journal_rows(data_dir, "SELECT at FROM journal ORDER BY seq")]  # type: ignore[misc]


async def priced(server: Server, books: Books) -> None:
    """A trade is possible: the venue's price has come."""
    while (await books.create(server)).status != 200:
        assert books.refused[-1].body["code"] == "price_unavailable"


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
async def test_a_step_of_the_wall_clock_makes_no_price_stale(tmp_path: Path, wall: WallClock, hours: int) -> None:
    data_dir = tmp_path / "data"
    async with Venue() as venue, Server(data_dir, *feed(venue), env=wall.env) as server:
        books = await signed_in(server, "ann")
        await venue.wait_for_subscription("SOL_USDC")
        await venue.send_quote("SOL_USDC", bid="150", ask="150.02")
        await priced(server, books)
        wall.step_to(hours * HOUR)
        assert (await books.create(server)).status == 200
        assert (await books.close(server, books.created[0]["orderId"])).status == 200
        wall.step_to(0)
        assert (await books.create(server)).status == 200
        assert await server.stop() == 0
    times = journal_times(data_dir)
    assert times == sorted(times)
    assert times[-1] - times[0] < 600 * 1_000_000, "no record is dated an hour off"
    await verified(data_dir)


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
async def test_a_step_of_the_wall_clock_keeps_no_price_fresh(tmp_path: Path, wall: WallClock, hours: int) -> None:
    """The venue has fallen silent: its last price ends when its life is over, whatever the wall clock says."""
    env = wall.env | {"EXNESS_FEED_PRICE_TTL_S": "2"}
    async with Venue() as venue, Server(tmp_path / "data", *feed(venue), env=env) as server:
        books = await signed_in(server, "ann")
        await venue.wait_for_subscription("SOL_USDC")
        await venue.send_quote("SOL_USDC", bid="150", ask="150.02")
        await priced(server, books)
        books.refused.clear()
        wall.step_to(hours * HOUR)
        assert (await books.create(server)).status == 200, "it is not over yet"
        while not books.refused:
            if (await books.create(server)).status == 200:
                await books.close(server, books.created[-1]["orderId"])
        (refused,) = books.refused
        assert (refused.status, refused.body["code"]) == (503, "price_unavailable")
        assert await server.stop() == 0


async def test_a_restart_with_a_wall_clock_an_hour_earlier_goes_on_after_the_newest_record(
    tmp_path: Path, wall: WallClock
) -> None:
    data_dir = tmp_path / "data"
    async with Server(data_dir, env=wall.env) as server:
        books = await signed_in(server, "ann")
        wall.step_to(HOUR)
        server.kill()
        await server.restart()  # now an hour ahead
        assert (await books.create(server)).status == 200
        server.kill()
        await server.wait()
        newest = journal_times(data_dir)[-1]
        wall.step_to(0)
        await server.start()  # an hour behind what it wrote
        created = await books.create(server)
        assert created.status == 200, created.body
        assert (await books.close(server, created.body["orderId"])).status == 200
        await books.assert_kept(server)
        assert await server.stop() == 0
    times = journal_times(data_dir)
    assert times == sorted(times)
    assert newest < times[-2] < times[-1] < newest + 600 * 1_000_000, "time does not stand still for that hour"
    await verified(data_dir)


def feed(venue: Venue) -> tuple[str, ...]:
    return ("--feed", "backpack", "--feed-url", venue.url)
