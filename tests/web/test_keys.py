"""API keys over HTTP: made, listed, revoked, used with their secret or a signature, and what they may not do."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from exness.access.api_keys import KEYS_PER_ACCOUNT, LONGEST_LIFE_DAYS, ApiKeys, Sealer
from exness.core.commands import Reset
from exness.web.http.endpoint import Auth
from exness.web.http.weights import Budget
from exness.web.v1 import endpoints as v1
from exness.web.v1.format import iso
from exness.web.v1.requests import BAD_KEY, sign, signed_text
from tests.support.app import API, SECRET, App, Trader, assert_error, bad, order, running_app, unchanged

DAY_US = 86_400_000_000
Headers = dict[str, str]


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """What another process does counts at the very next request."""
    async with running_app(revocations_look_s=0.0) as app:
        await app.quote_all()
        yield app


async def made(trader: Trader, **fields: Any) -> Headers:
    """A new key of hers, as headers of a request."""
    answer = await trader.post("/keys", {"name": "bot"} | fields)
    assert answer.status == 200, answer
    return {"X-API-Key": answer.body["key"], "X-API-Secret": answer.body["secret"]}


def signed(
    key: Headers, app: App, method: str, path: str, body: bytes = b"", *, age_ms: int = 0, window: str | None = None
) -> Headers:
    """What a client sends that signs."""
    timestamp = str(app.wall.now // 1_000 - age_ms)
    text = signed_text(timestamp, window or "5000", method, API + path, body)
    headers = {"X-API-Key": key["X-API-Key"], "X-API-Timestamp": timestamp}
    headers["X-API-Signature"] = sign(key["X-API-Secret"].encode(), text)
    return headers if window is None else headers | {"X-API-Window": window}


# --- made, listed, revoked ----------------------------------------------------------------------------------------


async def test_a_new_key_is_answered_once_with_its_secret_and_listed_without_it(app: App, ann: Trader) -> None:
    ends = iso(app.wall.now + DAY_US)
    created = await ann.post("/keys", {"name": "my bot", "scopes": ["read"], "expiresAt": ends})
    key, secret = created.body["key"], created.body["secret"]
    assert created.body == {
        "success": True,
        "key": key,
        "secret": secret,
        "name": "my bot",
        "scopes": ["read"],
        "createdAt": iso(app.wall.now),
        "expiresAt": ends,
    }
    assert (len(key), len(secret)) == (64, 64)
    listed = await ann.get("/keys")
    row = {name: created.body[name] for name in ("key", "name", "scopes", "createdAt", "expiresAt")}
    assert listed.body == {"success": True, "data": [row]}
    assert secret.encode() not in listed.raw


async def test_by_default_a_key_may_all_and_has_no_end(app: App, ann: Trader) -> None:
    created = await ann.post("/keys", {"name": "b", "scopes": None, "expiresAt": None})
    assert (created.body["scopes"], created.body["expiresAt"]) == (["read", "trade"], None)
    trading = await ann.post("/keys", {"name": "c", "scopes": ["trade"]})
    assert trading.body["scopes"] == ["read", "trade"], "who trades may read"


async def test_a_revoked_key_is_none_at_once(app: App, ann: Trader) -> None:
    key, other = await made(ann), await made(ann)
    assert (await app.get("/balance", headers=key)).status == 200
    revoked = await ann.post("/keys/revoke", {"key": key["X-API-Key"]})
    assert (revoked.status, revoked.body) == (200, {"success": True, "key": key["X-API-Key"]})
    assert_error(await app.get("/balance", headers=key), 401, "unauthorized", BAD_KEY)
    assert (await app.get("/balance", headers=other)).status == 200
    assert [row["key"] for row in (await ann.get("/keys")).body["data"]] == [other["X-API-Key"]]
    assert_error(await ann.post("/keys/revoke", {"key": key["X-API-Key"]}), 404, "key_not_found")


async def test_nobody_sees_or_revokes_a_key_of_another(app: App, ann: Trader) -> None:
    key = await made(ann)
    (bob,) = await app.known("bob")
    assert (await bob.get("/keys")).body["data"] == []
    refused = await bob.post("/keys/revoke", {"key": key["X-API-Key"]})
    assert_error(refused, 404, "key_not_found")
    assert refused.raw == (await bob.post("/keys/revoke", {"key": "0" * 64})).raw, "he learns not even that it is there"
    assert (await app.get("/balance", headers=key)).status == 200


async def test_an_account_has_so_many_keys(app: App, ann: Trader) -> None:
    for _ in range(KEYS_PER_ACCOUNT):
        await made(ann)
    refused = await ann.post("/keys", {"name": "one more"})
    assert_error(refused, 422, "too_many_keys", details={"allowed": KEYS_PER_ACCOUNT})
    assert len((await ann.get("/keys")).body["data"]) == KEYS_PER_ACCOUNT


NAME = "name must be 1 to 50 printable characters"
SCOPES = "scopes must be a list of read and trade, or of one of them"
AHEAD = f"expiresAt must lie ahead, by at most {LONGEST_LIFE_DAYS} days"


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"name": ""}, "name", NAME),
        ({"name": "  "}, "name", NAME),
        ({"name": "x" * 51}, "name", NAME),
        ({"name": "a\nb"}, "name", NAME),
        ({"name": 7}, "name", "name must be a string"),
        ({"name": None}, "name", "name must be a string"),
        ({"name": "b", "scopes": []}, "scopes", SCOPES),
        ({"name": "b", "scopes": ["read", "read"]}, "scopes", SCOPES),
        ({"name": "b", "scopes": ["withdraw"]}, "scopes", SCOPES),
        ({"name": "b", "scopes": "read"}, "scopes", SCOPES),
        ({"name": "b", "scopes": {"read": True}}, "scopes", SCOPES),
        ({"name": "b", "expiresAt": "2020-01-01"}, "expiresAt", AHEAD),
        ({"name": "b", "expiresAt": "9999-01-01"}, "expiresAt", AHEAD),
        ({"name": "b", "email": "x"}, "email", "email is not a known field"),
    ],
    ids=str,
)
async def test_a_bad_key_is_told_what_is_wrong_and_is_not_made(
    app: App, ann: Trader, fields: dict[str, Any], field: str, message: str
) -> None:
    with unchanged(app):
        assert_error(await ann.post("/keys", fields), 400, "invalid_request", message, details=bad(field, message))
    assert (await ann.get("/keys")).body["data"] == []


@pytest.mark.parametrize("body", [{}, {"key": 7}, {"key": None}, {"id": "x"}], ids=str)
async def test_what_names_no_key_revokes_none(app: App, ann: Trader, body: Any) -> None:
    await made(ann)
    assert (await ann.post("/keys/revoke", body)).code == "invalid_request"
    assert len((await ann.get("/keys")).body["data"]) == 1


# --- used ---------------------------------------------------------------------------------------------------------


async def test_a_key_trades_for_its_account(app: App, ann: Trader) -> None:
    key = await made(ann)
    opened = await app.post("/trade/create", order(), headers=key)
    assert opened.status == 200, opened
    assert [row["orderId"] for row in await ann.open_trades()] == [opened.body["orderId"]]
    assert (await app.get("/account", headers=key)).body["email"] == ann.email


async def test_a_key_makes_its_account_at_its_first_use(app: App) -> None:
    """One of the command line: nobody has ever signed in."""
    elsewhere = ApiKeys(app.auth, app.wall, Sealer([SECRET]))
    key = await elsewhere.create("new@example.com", "bot")
    headers = {"X-API-Key": key.key, "X-API-Secret": key.secret.decode()}
    assert "new@example.com" not in app.state.by_email
    assert (await app.get("/balance/usd", headers=headers)).body["usd"] == "5000.000000"
    assert "new@example.com" in app.state.by_email


async def test_a_key_outlives_a_reset_of_the_exchange(app: App, ann: Trader) -> None:
    key = await made(ann)
    await app.post("/trade/create", order(), headers=key)
    await app.exchange.do(Reset())
    assert ann.email not in app.state.by_email
    assert (await app.get("/balance/usd", headers=key)).body["usd"] == "5000.000000"
    assert (await app.get("/trade/open", headers=key)).body["data"] == []


async def test_a_key_ends_with_its_expiry(app: App, ann: Trader) -> None:
    key = await made(ann, expiresAt=iso(app.wall.now + 10_000_000))
    app.wall.advance(9.999_999)
    assert (await app.get("/balance", headers=key)).status == 200
    app.wall.advance(0.000_001)
    assert_error(await app.get("/balance", headers=key), 401, "unauthorized", BAD_KEY)
    assert (await ann.get("/keys")).body["data"] == []


async def test_a_key_counts_before_a_session(app: App, ann: Trader) -> None:
    (bob,) = await app.known("bob")
    key = await made(bob)
    assert (await ann.get("/account", headers=key)).body["email"] == bob.email
    assert_error(await ann.get("/account", headers=key | {"X-API-Secret": "x"}), 401, "unauthorized", BAD_KEY)


WRONG: dict[str, Callable[[Headers], Headers]] = {
    "another secret": lambda key: key | {"X-API-Secret": "0" * 64},
    "an empty secret": lambda key: key | {"X-API-Secret": ""},
    "part of the secret": lambda key: key | {"X-API-Secret": key["X-API-Secret"][:-1]},
    "a secret in other letters": lambda key: key | {"X-API-Secret": "é" * 32},
    "the key as its secret": lambda key: key | {"X-API-Secret": key["X-API-Key"]},
    "no such key": lambda key: key | {"X-API-Key": "0" * 64},
    "an empty key": lambda key: key | {"X-API-Key": ""},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_wrong_key_or_secret_is_unauthorized_in_the_same_words(
    app: App, ann: Trader, wrong: Callable[[Headers], Headers]
) -> None:
    headers = wrong(await made(ann))
    with unchanged(app):
        refused = await app.post("/trade/create", order(), headers=headers)
    assert_error(refused, 401, "unauthorized", BAD_KEY)


async def test_a_key_alone_is_told_what_is_missing(app: App, ann: Trader) -> None:
    key = await made(ann)
    message = "An API key comes with X-API-Secret, or with X-API-Timestamp and X-API-Signature"
    refused = await app.get("/balance", headers={"X-API-Key": key["X-API-Key"]})
    assert_error(refused, 401, "unauthorized", message)


# --- signed -------------------------------------------------------------------------------------------------------


async def test_a_signed_request_needs_no_secret_on_the_wire(app: App, ann: Trader) -> None:
    key, body = await made(ann), b'{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
    headers = signed(key, app, "POST", "/trade/create", body) | {"Content-Type": "application/json"}
    assert "X-API-Secret" not in headers
    assert (await app.request("POST", "/trade/create", data=body, headers=headers)).status == 200
    query = "/trade/history?limit=5&status=open"
    answer = await app.get(query, headers=signed(key, app, "GET", query))
    assert (answer.status, len(answer.body["data"])) == (200, 1)


async def test_a_signature_may_be_in_capitals(app: App, ann: Trader) -> None:
    headers = signed(await made(ann), app, "GET", "/balance")
    headers["X-API-Signature"] = headers["X-API-Signature"].upper()
    assert (await app.get("/balance", headers=headers)).status == 200


FORGED: dict[str, Callable[[Headers], Headers]] = {
    "another signature": lambda headers: headers | {"X-API-Signature": "0" * 64},
    "an empty one": lambda headers: headers | {"X-API-Signature": ""},
    "none of hexadecimal": lambda headers: headers | {"X-API-Signature": "é"},
    "another timestamp": lambda headers: headers | {"X-API-Timestamp": str(int(headers["X-API-Timestamp"]) + 1)},
    "a longer window": lambda headers: headers | {"X-API-Window": "60000"},
    "another key": lambda headers: headers | {"X-API-Key": "0" * 64},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_signature_is_unauthorized(app: App, ann: Trader, forged: Callable[[Headers], Headers]) -> None:
    headers = signed(await made(ann), app, "POST", "/order/cancelAll", b"{}")
    refused = await app.post("/order/cancelAll", {}, headers=forged(headers))
    assert_error(refused, 401, "unauthorized", BAD_KEY)
    assert (await app.post("/order/cancelAll", {}, headers=headers)).status == 200


async def test_a_signature_is_of_one_method_one_path_and_one_body(app: App, ann: Trader) -> None:
    key = await made(ann)
    headers = signed(key, app, "POST", "/trade/create", b'{"asset": "SOL"}')
    with unchanged(app):
        assert_error(await app.post("/trade/create", order(), headers=headers), 401, "unauthorized", BAD_KEY)
        assert_error(await app.post("/trade/close", {"asset": "SOL"}, headers=headers), 401, "unauthorized", BAD_KEY)
    asked = signed(key, app, "GET", "/trade/open?limit=1")
    assert_error(await app.get("/trade/open?limit=2", headers=asked), 401, "unauthorized", BAD_KEY)
    assert (await app.get("/trade/open?limit=1", headers=asked)).status == 200


@pytest.mark.parametrize(
    ("age_ms", "window", "is_good"),
    [
        (5_000, None, True),
        (5_001, None, False),
        (-999, None, True),
        (-1_000, None, False),
        (60_000, "60000", True),
        (60_001, "90000", False),
        (100, "50", False),
        (10**9, None, False),
    ],
)
async def test_a_signed_request_is_good_within_its_window(
    app: App, ann: Trader, age_ms: int, window: str | None, is_good: bool
) -> None:
    headers = signed(await made(ann), app, "GET", "/balance", age_ms=age_ms, window=window)
    answer = await app.get("/balance", headers=headers)
    if is_good:
        assert answer.status == 200
        return
    now_ms = app.wall.now // 1_000
    message = f"X-API-Timestamp is not within the window: the time here is {now_ms}"
    assert_error(answer, 401, "unauthorized", message)


async def test_a_request_that_was_overheard_is_no_good_after_its_window(app: App, ann: Trader) -> None:
    headers = signed(await made(ann), app, "POST", "/order/cancelAll", b"{}")
    assert (await app.post("/order/cancelAll", {}, headers=headers)).status == 200
    app.wall.advance(5.001)
    assert (await app.post("/order/cancelAll", {}, headers=headers)).code == "unauthorized"


@pytest.mark.parametrize("name", ["X-API-Timestamp", "X-API-Window"])
@pytest.mark.parametrize("text", ["", "now", "1.5", "-1", "9" * 16, "١٢"])
async def test_a_time_that_is_none_is_told(app: App, ann: Trader, name: str, text: str) -> None:
    headers = signed(await made(ann), app, "GET", "/balance") | {name: text}
    message = "X-API-Timestamp and X-API-Window are whole milliseconds; X-API-Timestamp is since 1970"
    assert_error(await app.get("/balance", headers=headers), 401, "unauthorized", message)


async def test_a_signed_body_is_bounded_like_any_other(app: App, ann: Trader) -> None:
    headers = signed(await made(ann), app, "POST", "/trade/create") | {"Content-Type": "application/json"}
    answer = await app.request("POST", "/trade/create", data=b" " * 65_537, headers=headers)
    assert_error(answer, 413, "body_too_large")


# --- what a key may do --------------------------------------------------------------------------------------------


async def test_a_key_that_may_only_read_reads_and_does_not_trade(app: App, ann: Trader) -> None:
    key = await made(ann, scopes=["read"])
    for path in ("/balance", "/account", "/trade/open", "/order/open", "/net"):
        assert (await app.get(path, headers=key)).status == 200
    assert (await app.post("/trade/quote", order(), headers=key)).status == 200
    with unchanged(app):
        refused = await app.post("/trade/create", order(), headers=key)
    assert_error(refused, 403, "key_not_allowed", "This API key may only read")


TRADING = [row for row in v1.ENDPOINTS if "key_not_allowed" in row.error_codes]


@pytest.mark.parametrize("row", TRADING, ids=lambda row: row.path)
async def test_a_key_that_may_only_read_is_refused_by_everything_that_trades(app: App, ann: Trader, row: Any) -> None:
    key = await made(ann, scopes=["read"])
    with unchanged(app):
        assert_error(await app.request(row.method, row.path, headers=key, body={}), 403, "key_not_allowed")


def test_whatever_changes_an_account_asks_for_a_key_that_may_trade() -> None:
    """What a key may ask with POST is of the budget for trading, but for the quotes, which change nothing."""
    changing = {row.path for row in v1.ENDPOINTS if row.auth is Auth.KEY and row.method != "GET"}
    assert changing - {row.path for row in TRADING} == {"/trade/quote", "/net/quote"}
    assert all(row.weight.budget is Budget.TRADE for row in TRADING)
    assert len(TRADING) == 13


@pytest.mark.parametrize(
    ("method", "path"), [(row.method, row.path) for row in v1.ENDPOINTS if row.auth is Auth.SESSION]
)
async def test_no_key_manages_keys_or_sessions(app: App, ann: Trader, method: str, path: str) -> None:
    key = await made(ann)
    body = {"key": key["X-API-Key"], "name": "another"} if method == "POST" else None
    refused = await app.request(method, path.replace("{id}", "1"), headers=key, body=body)
    assert_error(refused, 401, "unauthorized")
    assert len((await ann.get("/keys")).body["data"]) == 1


async def test_the_end_of_all_sessions_leaves_keys(app: App, ann: Trader) -> None:
    key = await made(ann)
    await app.revoke(ann.email)
    assert (await ann.get("/balance")).code == "unauthorized"
    assert (await app.get("/balance", headers=key)).status == 200


# --- the stream ---------------------------------------------------------------------------------------------------


async def test_a_key_opens_the_private_channels_of_the_stream_until_it_is_revoked(app: App, ann: Trader) -> None:
    key = await made(ann, scopes=["read"])
    assert app.http is not None
    async with app.http.ws_connect(f"{app.url}{API}/stream", headers=key) as stream:
        await stream.send_json({"op": "subscribe", "channels": ["account"]})
        first = [await stream.receive_json(timeout=5) for _ in range(2)]
        assert [(each["channel"], each["type"]) for each in first] == [
            ("control", "subscribed"),
            ("account", "snapshot"),
        ]
        await ann.create()
        assert (await stream.receive_json(timeout=5))["type"] == "balance"
        await ann.post("/keys/revoke", {"key": key["X-API-Key"]})
        closed = await stream.receive(timeout=5)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_a_wrong_key_opens_no_stream(app: App, ann: Trader) -> None:
    key = await made(ann) | {"X-API-Secret": "0" * 64}
    assert app.http is not None
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await app.http.ws_connect(f"{app.url}{API}/stream", headers=key)


# --- nothing of it is told ----------------------------------------------------------------------------------------


async def test_what_is_noted_of_keys_is_their_beginning_only(
    app: App, ann: Trader, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await made(ann)
    await ann.post("/keys/revoke", {"key": key["X-API-Key"]})
    assert app.services.security_log.counters["key_made"] == app.services.security_log.counters["key_revoked"] == 1
    said = caplog.text + "".join(capsys.readouterr())
    assert key["X-API-Secret"] not in said
    assert key["X-API-Key"] not in said
    assert ann.email not in said
