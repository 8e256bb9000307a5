"""Who has gained most, where that is shown and where it is not."""

from tests.transcript.steps import Scene, close, create, get, price

SHOWN = Scene(
    name="leaderboard",
    users=("ann", "bob", "carl"),
    settings={"EXNESS_LEADERBOARD_ENABLED": "true", "EXNESS_LEADERBOARD_SIZE": "2"},
    steps=[
        get("/leaderboard?period=7d", "nobody has closed a trade", by="carl"),
        create("she opens a trade", keep="first"),
        create("he opens a smaller one", by="bob", keep="second", margin=10),
        price("SOL", "220"),
        close("first"),
        close("second", by="bob"),
        get("/leaderboard?period=24h", by="bob"),
        get("/leaderboard?limit=1", "who has no rank sees the others'", by="carl"),
        get("/leaderboard?period=1h", "a period that there is not", by="ann"),
        get("/leaderboard?limit=0", "no rows at all", by="ann"),
        get("/leaderboard", "nobody is signed in"),
    ],
)

OFF = Scene(name="no-leaderboard", steps=[get("/leaderboard", "by default there is none", by="ann")])

SCENES = [SHOWN, OFF]
