"""How much one client may ask, and how many connections it may have."""

from tests.transcript.steps import Connect, Scene, create, get, post, say, subscribe

READ = "EXNESS_LIMITS_READ_PER_IP"

SCENES = [
    Scene(
        name="rates",
        users=("ann", "bob"),
        settings={
            "EXNESS_LIMITS_TRADE_PER_ACCOUNT": "7/day",
            "EXNESS_LIMITS_READ_PER_ACCOUNT": "8/day",
            "EXNESS_LIMITS_PROBE_PER_IP": "2/day",
        },
        steps=[
            create("three of seven", leverage=1, margin=1),
            create("six of seven", leverage=1, margin=1),
            create("three are more than one", leverage=1, margin=1),
            create("others may", by="bob", leverage=1, margin=1),
            get("/account", "one of eight", by="ann"),
            get("/trade/history?limit=1", "three more", by="ann"),
            get("/trade/history?limit=100", "too much in what it asks for", by="ann"),
            get("/balance", by="ann"),
            get("/balance", by="ann"),
            get("/healthz"),
            get("/readyz"),
            get("/healthz", "no probe more"),
            get("/readyz", "nor this"),
            get("/metrics", "nor this"),
            Connect(title="a stream", stream="ann", by="ann"),
            subscribe("ann", "prices", hears=1),
        ],
    ),
    Scene(
        name="blocked",
        users=("ann",),
        settings={READ: "9/day", "EXNESS_LIMITS_BLOCK_AFTER": "2"},
        steps=[
            get("/prices"),
            get("/klines?asset=SOL&interval=1m&limit=1", "three more"),
            Connect(title="a stream is too much", stream="ann"),
            post("a mail is too much", "/signin", {"email": "ann@example.com"}),
            get("/balance", "what is left may be used", by="ann"),
            Connect(title="the third refusal", stream="ann"),
            get("/prices", "blocked"),
            get("/healthz", "probes are answered"),
        ],
    ),
    Scene(
        name="mail-rates",
        users=(),
        settings={"EXNESS_LIMITS_MAIL_PER_ADDRESS": "1/day", "EXNESS_LIMITS_MAIL_PER_IP": "2/day"},
        steps=[
            post("one mail", "/signup", {"email": "ann@example.com"}),
            post("two for one address", "/signup", {"email": "ANN@example.com"}),
            post("another address", "/signup", {"email": "bob@example.com"}),
            post("too many for one client", "/signup", {"email": "carl@example.com"}),
        ],
    ),
    Scene(
        name="limits-off",
        settings={"EXNESS_LIMITS_ENABLED": "false"},
        steps=[get("/healthz", "no figures of limits"), get("/balance", by="ann"), get("/nowhere")],
    ),
    Scene(
        name="stream-places",
        users=("ann", "bob"),
        settings={"EXNESS_STREAM_MAX_READERS": "3", "EXNESS_STREAM_SUBSCRIPTIONS": "2"},
        steps=[
            Connect(title="one", stream="one", by="ann"),
            Connect(title="two", stream="two"),
            Connect(title="a third would be too many of one client", stream="three"),
            subscribe("one", "prices", "trades", hears=3),
            subscribe("one", "account", hears=1),
            subscribe("one", "prices", "trades", hears=3),
            say("one", "one less", {"op": "unsubscribe", "channels": ["prices"]}),
            subscribe("one", "account", hears=2),
        ],
    ),
    Scene(
        name="stream-full",
        settings={"EXNESS_STREAM_MAX_READERS": "1"},
        steps=[
            Connect(title="one", stream="one"),
            Connect(title="there is no room", stream="two"),
        ],
    ),
]
