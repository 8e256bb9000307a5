"""Dev control: price, clock, script, money and reset in a test's hand."""

from tests.transcript.steps import Ask, Scene, clock, close, create, get, post, price, quote


def script(title: str, *entries: tuple[object, str, object]) -> Ask:
    prices = [{"offset": offset, "asset": asset, "price": mid} for offset, asset, mid in entries]
    return post(title, "/dev/prices/script", {"prices": prices})


def put(title: str, body: object, asset: str = "SOL", **headers: str) -> Ask:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Ask(title=title, method="PUT", path=f"/dev/prices/{asset}", body=body, headers=names)


DEV = Scene(
    name="dev-control",
    quoted=False,
    in_memory=True,
    steps=[
        get("/dev/clock", "the clock runs"),
        clock("it is held", paused=True),
        clock("another speed, while it stands", speed="2.5"),
        clock("real speed", speed=1),
        clock("a step", step="0.000001"),
        clock("all at once", paused=True, speed=1000, step=10),
        clock("null is left out", paused=None, speed=None, step=1),
        clock("nothing to do"),
        clock("bad figures", paused=1, speed=0, step=-1),
        clock("others", paused="yes", speed="0.0001", step="1.0000001"),
        clock("too much", speed=1001, step=31_622_401),
        clock("a field that there is not", paused=True, rate=1),
        price("SOL", "200"),
        quote("SOL", "199.9", "200.1"),
        put("a price that is none", {"mid": 0}),
        put("bid above ask", {"bid": 2, "ask": 1}),
        put("bid alone", {"bid": 2}),
        put("all three", {"bid": 1, "ask": 2, "mid": 1}),
        put("nothing", {}),
        put("too many decimals", {"mid": "1.0000001"}),
        put("a field that there is not", {"mid": 1, "at": 2}),
        put("no number", {"bid": "x", "ask": True}),
        put("no JSON", "x"),
        put("another type", b"{}", Content_Type="text/plain"),
        put("no asset of ours", {"mid": 1}, asset="DOGE"),
        put("passed on by a proxy", {"mid": 1}, X_Forwarded_For="127.0.0.1"),
        put("and of another kind", {"mid": 1}, Via="1.1 proxy"),
        put("to another name", {"mid": 1}, Host="exness.example"),
        put("to an address of this machine", {"mid": 200}, Host="127.0.0.1:1"),
        put("from a foreign page", {"mid": 1}, Origin="https://elsewhere.example"),
        create("a trade", keep="long", leverage=100),
        create("another", keep="short", type="short", leverage=50),
        script(
            "prices to come",
            (0, "SOL", 200),
            (10, "SOL", "199.5"),
            (20, "SOL", "197"),
            (20, "BTC", 90_000),
            (40, "SOL", 250),
        ),
        get("/dev/clock", "four are left", by=""),
        clock("ten seconds", step=10),
        get("/trade/open", by="ann"),
        clock("ten more: it is liquidated, with a shortfall", step=10),
        get("/prices", "at the times they were scripted for"),
        close("long", "it was liquidated"),
        script("another script takes its place", ("1.5", "SOL", "203.94"), (2, "SOL", "203.999999"), (2, "SOL", "204")),
        clock("liquidated exactly at its margin", step=3),
        close("short", "it was liquidated"),
        script("the end of the script"),
        script("bad entries", (-1, "SOL", 1), (5, "DOGE", 1), (3, "SOL", 0), ("x", "SOL", "y"), (1, "SOL", 1)),
        script("offsets that fall", (5, "SOL", 1), (3, "SOL", 1)),
        script("too far ahead", (31_622_401, "SOL", 1)),
        post("no list", "/dev/prices/script", {"prices": 7}),
        post("no objects", "/dev/prices/script", {"prices": [7, {}]}),
        post("nothing", "/dev/prices/script", {}),
        post("a deposit", "/dev/deposit", {"email": "ann@example.com", "amount": "0.000001"}),
        post("into an account that is made", "/dev/deposit", {"email": "New@Example.com", "amount": 1_000_000_000}),
        post("nothing", "/dev/deposit", {"email": "ann@example.com", "amount": 0}),
        post("too much", "/dev/deposit", {"email": "ann@example.com", "amount": "1000000000.000001"}),
        post("too many decimals", "/dev/deposit", {"email": "ann@example.com", "amount": "0.0000001"}),
        post("no address", "/dev/deposit", {"email": "ann", "amount": "x"}),
        post("neither", "/dev/deposit", {}),
        post(
            "passed on by a proxy",
            "/dev/deposit",
            {"email": "ann@example.com", "amount": 1},
            headers={"X-Real-IP": "127.0.0.1"},
        ),
        post("a browser's session", "/dev/session", {"email": "Ann@Example.com"}, keep={"cookie": "cookie"}),
        post("a session for nobody", "/dev/session", {"email": "ann"}),
        post("a session by a proxy", "/dev/session", {"email": "ann@example.com"}, headers={"Via": "1.1 proxy"}),
        get("/trade/history", by="ann"),
        get("/account", by="ann"),
        post("everything is forgotten", "/dev/reset"),
        get("/dev/clock", "the clock runs on"),
        get("/prices", "no price"),
        get("/account", "a new account, on the same session", by="ann"),
        get("/trade/history", "no history", by="ann"),
        get("/klines?asset=SOL&interval=1m", "no candle"),
        close("long", "no trade"),
        post("a reset by a proxy", "/dev/reset", headers={"Forwarded": "for=127.0.0.1"}),
    ],
)

NOT_MANUAL = Scene(
    name="dev-not-manual",
    quoted=False,
    settings={"EXNESS_FEED_SOURCE": "simulated"},
    steps=[
        put("no price by hand", {"mid": 1}),
        script("no script", (0, "SOL", 1)),
        get("/dev/clock", "no clock"),
        clock("no step", step=1),
        post("no reset by a page", "/dev/reset", headers={"Origin": "https://elsewhere.example"}),
    ],
)

CREATE = "POST /api/v1/trade/create"


def faults(title: str, *rules: object) -> Ask:
    return Ask(title=title, method="PUT", path="/dev/faults", body={"rules": rules})


FAULTS = Scene(
    name="dev-faults",
    steps=[
        post(
            "a token without a mail",
            "/dev/session",
            {"email": "Bob@Example.com"},
            keep={"bob": "token"},
            headers={"Accept": "application/json"},
        ),
        post("no address", "/dev/session", {"email": "bob"}),
        get("/balance/usd", "it is one", by="bob"),
        create("a trade"),
        get("/dev/books", "the books"),
        get("/dev/faults", "nothing goes wrong"),
        faults(
            "two rules",
            {"on": CREATE, "do": "status", "status": 503, "nth": 2},
            {"on": CREATE, "do": "twice", "every": 1, "times": 1, "email": "ANN@example.com"},
        ),
        create("taken twice"),
        create("not taken"),
        get("/account", "two are there beside the first", by="ann"),
        get("/dev/faults", "how often each has struck"),
        faults("another status", {"on": CREATE, "do": "status", "status": 429, "share": 1, "seed": 7}),
        create("refused"),
        faults("and another", {"on": "GET /api/v1/prices/{asset}", "do": "status", "status": 500, "every": 1}),
        get("/prices/SOL", "refused"),
        faults("a slow answer", {"on": "GET /api/v1/account", "do": "slow_body", "delay_s": 0.01, "every": 1}),
        get("/account", by="ann"),
        faults("none", *[]),
        faults("bad rules", {"on": "GET /nowhere", "do": "delay", "nth": 1}, {"on": CREATE, "do": "x"}, {}, 7),
        faults("rules that mean nothing", {"on": CREATE, "do": "delay", "nth": 1}, {"on": "stream", "do": "twice"}),
        Ask(title="no list", method="PUT", path="/dev/faults", body={"rules": 7}),
        Ask(title="nothing", method="PUT", path="/dev/faults", body={}),
        Ask(title="by a proxy", method="PUT", path="/dev/faults", body={}, headers={"Forwarded": "for=127.0.0.1"}),
    ],
)

SCENES = [DEV, FAULTS, NOT_MANUAL]
