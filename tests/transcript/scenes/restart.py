"""What outlives a restart, and what an earlier release has left."""

import json
from pathlib import Path

from tests.transcript.steps import Ask, Connect, Restart, Scene, clock, close, create, get, price, subscribe

RELEASE = "release-0.1.0"
FIXTURE = Path(__file__).parent.parent.parent / "fixtures" / RELEASE


def everything(who: str) -> list[Ask]:
    paths = ("/account", "/balance", "/trade/open", "/trade/history?sortOrder=asc")
    return [get(path, by=who) for path in paths]


RESTART = Scene(
    name="restart",
    users=("ann", "bob"),
    in_memory=True,
    steps=[
        create("a long", keep="long", clientOrderId="one"),
        create("a short", keep="short", type="short", leverage="12.34", margin="55.5", clientOrderId="two"),
        create("one that is closed", keep="closed", asset="ETH", clientOrderId="three"),
        create("one that is liquidated", keep="dead", asset="BTC", leverage=100),
        create("Bob has one", by="bob", keep="his", asset="BTC", leverage=2),
        clock("time passes", step=20),
        close("closed"),
        price("BTC", "98000"),
        price("SOL", "201.47"),
        *everything("ann"),
        Restart(title="a restart"),
        get("/dev/clock", "time does not go back"),
        get("/readyz", "no prices yet"),
        get("/klines?asset=SOL&interval=1m", "the candles are there"),
        *everything("ann"),
        *everything("bob"),
        create("the first answer again", clientOrderId="one"),
        create("of a trade that is closed", asset="ETH", clientOrderId="three"),
        create("a conflict", clientOrderId="two"),
        close("closed", "it is closed already"),
        close("dead", "it was liquidated"),
        close("long", "no price yet"),
        price("SOL", "201.47"),
        close("long"),
        Restart(title="another"),
        *everything("ann"),
        create("the first answer again", clientOrderId="one"),
        Connect(title="a stream", stream="ann", by="ann"),
        subscribe("ann", "trades", "account", hears=3),
    ],
)

EMAILS = list(json.loads((FIXTURE / "expected.json").read_text())["accounts"])
"""Who has an account in the directory that the first release has left."""


def left_behind() -> list[Ask]:
    steps: list[Ask] = []
    for email in EMAILS:
        steps += [
            get("/account", by=email),
            get("/balance", by=email),
            get("/trade/open", by=email),
            get("/trade/history?limit=500&sortOrder=asc", by=email),
        ]
    return steps


FIRST_RELEASE = Scene(
    name="release-0.1.0",
    users=EMAILS,
    data=RELEASE,
    quoted=False,
    steps=[
        get("/dev/clock", "it goes on where it was"),
        *left_behind(),
        *(get(f"/klines?asset={asset}&interval=1m&limit=5") for asset in ("SOL", "ETH", "BTC")),
        Restart(title="a restart on the taken-over directory"),
        *left_behind(),
    ],
)

SCENES = [RESTART, FIRST_RELEASE]
