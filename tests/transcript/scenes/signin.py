"""How users come in, and go."""

from tests.transcript.steps import Ask, Later, Mailed, Revoke, Scene, SignedIn, get, post

ACCEPT_JSON = {"Accept": "application/json"}
DAY_S = 86_400
FOREIGN = "https://elsewhere.example"


def opened(title: str, link: str, headers: dict[str, str] | None = None, **keep: str) -> Ask:
    return get(f"/signin/post?token=<{link}>", title, headers=headers or {}, keep=keep)


SIGNIN = Scene(
    name="signin",
    users=(),
    steps=[
        get("/account", "nobody is signed in"),
        post("an address that is new", "/signup", {"email": "Carl@Example.COM"}),
        Mailed(title="the mail", link="first link"),
        Ask(title="HEAD uses nothing up", method="HEAD", path="/signin/post?token=<first link>"),
        opened("nor does a prefetch", "first link", {"Sec-Purpose": "prefetch;prerender"}),
        opened("nor one by another name", "first link", {"X-Moz": "prefetch"}),
        opened("JSON for whom asks for it", "first link", ACCEPT_JSON, carl="token"),
        opened("a link works once", "first link", ACCEPT_JSON),
        get("/account", by="carl"),
        post("the same for an address that is known", "/signin", {"email": "carl@example.com"}),
        Mailed(title="the mail", link="second link"),
        post("another link", "/signin", {"email": "carl@example.com"}),
        Mailed(title="the mail", link="third link"),
        opened("the older link is void", "second link"),
        opened("a cookie, and on to the page", "third link", cookie="cookie"),
        get("/balance/usd", "the cookie is a session", headers={"Cookie": "authToken=<cookie>"}),
        post("a link that nobody opens in time", "/signup", {"email": "carl@example.com"}),
        Mailed(title="the mail", link="fourth link"),
        Later(title="five minutes pass", seconds=300),
        opened("it has expired", "fourth link"),
        get("/signin/post?token=nonsense", "a token that is none"),
        get("/signin/post", "no token"),
        get("/signin/post?token=a&token=b", "two tokens"),
        get("/signin/post?token=a&utm_source=mail", "what mailers add does no harm"),
        post("no address", "/signup", {"email": "carl"}),
        post("an address that is no text", "/signin", {"email": 7}),
        post("no address at all", "/signin", {}),
        post("a field that there is not", "/signup", {"email": "carl@example.com", "name": "Carl"}),
        post(
            "the second session ends",
            "/logout",
            headers={"Cookie": "authToken=<cookie>", "Origin": "http://localhost:8002"},
        ),
        get("/balance/usd", "it does not work any more", headers={"Cookie": "authToken=<cookie>"}),
        get("/balance/usd", "the first one still does", by="carl"),
        post("it ends too", "/logout", by="carl"),
        get("/account", "and is none any more", by="carl"),
        post("it can't end twice", "/logout", by="carl"),
        post("nobody signs out", "/logout"),
    ],
)

PROVEN = Scene(
    name="sessions",
    users=("ann", "bob"),
    steps=[
        get("/balance", by="ann"),
        get("/account", "a token that is none", headers={"Authorization": "Bearer nonsense"}),
        get("/account", "another scheme", headers={"Authorization": "Basic YW5uOmE="}),
        get("/account", "no token", headers={"Authorization": "Bearer"}),
        get("/account", "a scheme in lower case", headers={"Authorization": "bearer <ann>"}),
        get(
            "/account",
            "a header that counts before the cookie",
            headers={"Authorization": "Bearer x", "Cookie": "authToken=<ann>"},
        ),
        get("/account", "an empty cookie", headers={"Cookie": "authToken="}),
        get("/account", "a changed token", headers={"Authorization": "Bearer <ann>x"}),
        Revoke(title="an operator ends Bob's sessions", who="bob"),
        get("/account", "his ended", by="bob"),
        get("/account", "hers did not", by="ann"),
        SignedIn(title="he signs in again", who="bob"),
        get("/account", by="bob"),
        Later(title="almost seven days", seconds=7 * DAY_S - 2),
        get("/account", "just not expired", by="ann"),
        Later(title="and two seconds", seconds=2),
        get("/account", "expired", by="ann"),
        *(
            Ask(
                title=f"not signed in: {method} {path}", method=method, path=path, body={} if method == "POST" else None
            )
            for method, path in (
                ("GET", "/balance"),
                ("GET", "/balance/usd"),
                ("GET", "/trade/open"),
                ("GET", "/trade/history"),
                ("POST", "/trade/create"),
                ("POST", "/trade/close"),
            )
        ),
    ],
)


def with_key(number: str = "") -> dict[str, str]:
    return {"X-API-Key": f"<key{number}>", "X-API-Secret": f"<secret{number}>"}


KEYS = Scene(
    name="keys",
    users=("ann", "bob"),
    steps=[
        get("/keys", by="ann"),
        post("a key that may all", "/keys", {"name": "my bot"}, by="ann", keep={"key": "key", "secret": "secret"}),
        post(
            "one that may only read, for a day",
            "/keys",
            {"name": "my chart", "scopes": ["read"], "expiresAt": "2026-02-01T09:15:02Z"},
            by="ann",
            keep={"key 2": "key", "secret 2": "secret"},
        ),
        get("/keys", by="ann"),
        get("/balance", "it reads", headers=with_key()),
        post(
            "it trades",
            "/trade/create",
            {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10},
            headers=with_key(),
        ),
        get("/balance", "the other one reads", headers=with_key(" 2")),
        post("and does not trade", "/order/cancelAll", {}, headers=with_key(" 2")),
        get("/keys", "no key lists keys", headers=with_key()),
        get("/balance", "a wrong secret", headers={"X-API-Key": "<key>", "X-API-Secret": "<secret 2>"}),
        get("/balance", "a key alone", headers={"X-API-Key": "<key>"}),
        get(
            "/balance",
            "a forged signature",
            headers={"X-API-Key": "<key>", "X-API-Timestamp": "1769850902123", "X-API-Signature": "00"},
        ),
        get("/balance", "no time", headers={"X-API-Key": "<key>", "X-API-Timestamp": "now", "X-API-Signature": "00"}),
        post("a key without a name", "/keys", {"name": ""}, by="ann"),
        post("all that can be wrong with one", "/keys", {"name": 7, "scopes": ["all"], "expiresAt": "then"}, by="ann"),
        post("nobody makes a key", "/keys", {"name": "x"}),
        post("hers is not his to end", "/keys/revoke", {"key": "<key>"}, by="bob"),
        post("she ends it", "/keys/revoke", {"key": "<key>"}, by="ann"),
        get("/balance", "it is none any more", headers=with_key()),
        Later(title="a day passes", seconds=DAY_S),
        get("/balance", "the other one has expired", headers=with_key(" 2")),
        get("/keys", by="ann"),
    ],
)


def ending(title: str, path: str, by: str) -> Ask:
    return Ask(title=title, method="DELETE", path=path, by=by)


LISTED = Scene(
    name="sessions-listed",
    users=("ann", "ann@example.com", "bob"),
    steps=[
        get("/sessions", by="ann"),
        get("/sessions", "the same from the other one", by="ann@example.com"),
        get("/sessions", by="bob"),
        ending("hers is not his to end", "/sessions/<session of ann>", "bob"),
        ending("one that there is not", "/sessions/nonsense", "ann"),
        Ask(title="nobody ends one", method="DELETE", path="/sessions/<session of ann>"),
        Ask(
            title="nor does another page end it",
            method="DELETE",
            path="/sessions",
            headers={"Cookie": "authToken=<ann>", "Origin": FOREIGN},
        ),
        ending("she ends the other one", "/sessions/<session of ann@example.com>", "ann"),
        get("/sessions", "it is none any more", by="ann@example.com"),
        get("/sessions", "one is left", by="ann"),
        ending("it can't end twice", "/sessions/<session of ann@example.com>", "ann"),
        SignedIn(title="she signs in once more", who="ann@example.com"),
        ending("that one ends all others", "/sessions", "ann@example.com"),
        get("/sessions", "the first one is none any more", by="ann"),
        get("/sessions", "it is alone", by="ann@example.com"),
        ending("and ends itself", "/sessions/<session of ann@example.com>", "ann@example.com"),
        get("/sessions", "none is left", by="ann@example.com"),
        get("/sessions", "his is as it was", by="bob"),
    ],
)

SCENES = [SIGNIN, PROVEN, KEYS, LISTED]
