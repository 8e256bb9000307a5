"""Pages of other origins, and cookies."""

from tests.transcript.steps import Ask, Connect, Scene, get, order, post

ALLOWED, OWN, FOREIGN = "http://localhost:3000", "http://localhost:8002", "https://elsewhere.example"
COOKIE = {"Cookie": "authToken=<ann>"}


def preflight(title: str, path: str, origin: str, method: str = "POST") -> Ask:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    return Ask(title=title, method="OPTIONS", path=path, headers=asked)


SCENES = [
    Scene(
        name="browsers",
        steps=[
            get("/prices", "an allowed page reads", headers={"Origin": ALLOWED}),
            get("/prices", "a foreign page gets no leave to", headers={"Origin": FOREIGN}),
            get("/prices", "no page at all", headers={"Origin": "null"}),
            get("/nowhere", "an allowed page reads an error", headers={"Origin": ALLOWED}),
            get("/account", "an allowed page is not signed in", headers={"Origin": ALLOWED}),
            get("/openapi.json", "an allowed page reads a document", headers={"Origin": ALLOWED}, digest=True),
            preflight("an allowed page asks whether it may", "/trade/create", ALLOWED),
            preflight("of a GET", "/account", ALLOWED, "GET"),
            preflight("of a path with an asset", "/dev/prices/SOL", ALLOWED, "PUT"),
            preflight("of what there is not", "/nowhere", ALLOWED),
            preflight("a foreign page asks", "/trade/create", FOREIGN),
            post(
                "the cookie with an allowed origin",
                "/trade/create",
                order(),
                headers=COOKIE | {"Origin": ALLOWED},
                keep={"a": "orderId"},
            ),
            post("with our own", "/trade/close", {"orderId": "<a>"}, headers=COOKIE | {"Origin": OWN}),
            post("with a foreign one", "/trade/create", order(), headers=COOKIE | {"Origin": FOREIGN}),
            post("with none", "/trade/create", order(), headers=COOKIE),
            post("a logout from a foreign page", "/logout", headers=COOKIE | {"Origin": FOREIGN}),
            get("/account", "reading is no change", headers=COOKIE | {"Origin": FOREIGN}),
            post("a token needs no origin", "/trade/close", {"orderId": "<a>"}, by="ann", headers={"Origin": FOREIGN}),
            post(
                "dev control for an allowed page",
                "/dev/deposit",
                {"email": "ann@example.com", "amount": 1},
                headers={"Origin": ALLOWED},
            ),
            post(
                "for a foreign one",
                "/dev/deposit",
                {"email": "ann@example.com", "amount": 1},
                headers={"Origin": FOREIGN},
            ),
            Connect(title="a stream for an allowed page", stream="page", headers=COOKIE | {"Origin": ALLOWED}),
            Connect(title="a stream for a foreign page", stream="foreign", headers=COOKIE | {"Origin": FOREIGN}),
            Connect(title="a foreign page without a session", stream="other", headers={"Origin": FOREIGN}),
        ],
    )
]
