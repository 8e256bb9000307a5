"""A bug in the core, met by a request: whoever asked hears that the outcome is not known, and nobody hears of anything
that was decided after it. That the process then ends: tests/faults/test_bug.py."""

from collections.abc import Awaitable, Callable

import pytest

from tests.support.app import App, Trader, assert_error, order
from tests.support.planted import WHAT, PlantedBug
from tests.web.dev_control import manual_app, set_price
from tests.web.streams import listening

UNKNOWN = (
    "The exchange stopped before it was certain that this is on disk; "
    "ask again after the restart, with the same clientOrderId if there was one"
)


def script(offset: int) -> dict[str, object]:
    """A price that liquidates, in so many seconds."""
    return {"prices": [{"offset": offset, "asset": "SOL", "price": "150"}]}


Ask = Callable[[App, Trader, str], Awaitable[object]]
WAYS: dict[str, Ask] = {
    "create": lambda app, ann, _: ann.try_create(),
    "close": lambda app, ann, trade: ann.try_close(trade),
    "a first sign-in": lambda app, ann, _: app.trader("bob").get("/balance"),
    "a first create": lambda app, ann, _: app.trader("bob").post("/trade/create", order()),
    "deposit": lambda app, ann, _: app.post("/dev/deposit", {"email": ann.email, "amount": 1}),
    "a first deposit": lambda app, ann, _: app.post("/dev/deposit", {"email": "bob@example.com", "amount": 1}),
    "reset": lambda app, ann, _: app.post("/dev/reset"),
    "a price": lambda app, ann, _: app.request("PUT", "/dev/prices/SOL", body={"mid": "150"}),
    "a script": lambda app, ann, _: app.post("/dev/prices/script", script(offset=0)),
    "a step of the clock": lambda app, ann, _: app.post("/dev/clock", {"step": 10}),
}


@pytest.mark.parametrize("name", WAYS)
async def test_a_bug_in_the_core_is_answered_with_unknown_and_is_the_last_that_happens(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manual_app(core_fails=WHAT) as (app, _):
        await set_price(app, "SOL", "200")
        (ann,) = await app.known("ann")
        trade = await ann.create(leverage=10)
        if name == "a step of the clock":
            scripted = await app.post("/dev/prices/script", script(offset=5))
            assert scripted.status == 200, scripted
        on_disk = len(app.journal.rows)
        bug = PlantedBug(monkeypatch)
        bug.arm()
        answer = await WAYS[name](app, ann, trade["orderId"])
        assert_error(answer, 500, "internal_error", UNKNOWN)  # type: ignore[arg-type]
        assert bug.met
        for late in (ann.try_create(), ann.try_close(trade["orderId"]), app.trader("eve").get("/balance")):
            assert_error(await late, 503, "shutting_down", retry=True)
        late_price = await app.request("PUT", "/dev/prices/SOL", body={"mid": "201"})
        assert_error(late_price, 500, "internal_error", UNKNOWN)
        assert bug.applied_after == 0
        assert len(app.journal.rows) == on_disk
        assert (await app.get("/readyz")).status == 503


async def test_a_bug_that_a_first_subscription_meets_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with manual_app(core_fails=WHAT) as (app, _):
        bug = PlantedBug(monkeypatch)
        async with listening(app, app.trader("bob")) as client:
            bug.arm()
            await client.say("subscribe", channels=["trades"])
            assert await client.closed() == 1011
        assert len(app.journal.rows) == 0
