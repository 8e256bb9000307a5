"""web/http/endpoint.py: the rows of all endpoints say what is true of them, and docs/API.md says the same."""

import re
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
from aiohttp import web

from exness.web.dev import endpoints as dev
from exness.web.http.endpoint import Auth, Dialect, Endpoint, Endpoints, Mount
from exness.web.http.errors import ApiError, Rendered
from exness.web.http.request import read_body
from exness.web.http.response import answer
from exness.web.http.weights import OTHER, Weight
from exness.web.stream import endpoints as stream
from exness.web.v1 import PREFIX
from exness.web.v1 import endpoints as v1
from exness.web.v1.health import Readiness
from tests.support.app import ENDPOINTS, assert_error, running_app

MANUAL = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")


class Told(NamedTuple):
    """A line of the manual's table of endpoints, as text."""

    needs: str
    asked: str
    answered: str


def told() -> dict[tuple[str, str], Told]:
    """The manual's table by method and path below the prefix."""
    table = MANUAL.partition("| call | needs | body or query | answer |\n|---|---|---|---|\n")[2].partition("\n\n")[0]
    lines = {}
    for line in table.splitlines():
        calls, needs, asked, answered = (cell.strip() for cell in line.strip("|").split(" | "))
        method = ""
        for call in calls.split(", "):
            *named, path = call.split()
            method = named[0] if named else method
            assert (method, path.partition("?")[0]) not in lines
            lines[method, path.partition("?")[0]] = Told(needs, asked, answered)
    return lines


TOLD = told()
SIGNED_IN = (Auth.SESSION, Auth.KEY)
PUBLIC = (*v1.ENDPOINTS, *stream.ENDPOINTS)


def fields_of(kind: Any) -> list[str]:
    """The fields of a struct, or of those in a list or a dictionary, that are always there."""
    kinds = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    return [field.encode_name for each in kinds for field in msgspec.structs.fields(each) if field.required]


def test_the_manual_has_a_line_for_every_endpoint_and_for_nothing_else() -> None:
    assert set(TOLD) == {row.key for row in PUBLIC}
    for row in (*v1.PROBES, *dev.ENDPOINTS):
        assert f"{row.method} {row.path}" in MANUAL or f"{row.method} {PREFIX}{row.path}" in MANUAL


@pytest.mark.parametrize("row", PUBLIC, ids=lambda row: " ".join(row.key))
def test_the_manual_tells_what_an_endpoint_needs_takes_and_answers(row: Endpoint) -> None:
    line = TOLD[row.key]
    if row.answer is not None:
        assert line.needs == (row.auth.value if row.auth in SIGNED_IN else "-")
    for kind in (row.body, row.query):
        for field in msgspec.structs.fields(kind) if kind is not None else ():
            assert re.search(rf"\b{field.encode_name}\b", line.asked) or "token" in row.path + line.asked
    for name in fields_of(row.answer):
        assert re.search(rf"\b{name}\b", line.answered), f"{name} is not in the manual"


def test_the_manual_lists_the_calls_that_have_a_client_order_id() -> None:
    named = {
        row.path
        for row in PUBLIC
        if row.body is not None and "clientOrderId" in [each.encode_name for each in msgspec.structs.fields(row.body)]
    }
    (sentence,) = re.findall(r"^- `clientOrderId` is one window .*?\.", MANUAL, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"/\w+/\w+", sentence)) == named - {"/trade/quote", "/net/quote"}


def test_the_manual_names_every_error_code_of_every_endpoint() -> None:
    for row in ENDPOINTS.rows:
        for code in row.error_codes:
            assert f"`{code}`" in MANUAL, code


@pytest.mark.parametrize("row", v1.ENDPOINTS, ids=lambda row: " ".join(row.key))
async def test_who_is_not_signed_in_gets_what_the_row_allows(row: Endpoint) -> None:
    async with running_app() as app:
        await app.quote_all()
        answer = await app.request(row.method, row.path.replace("{asset}", "SOL").replace("{id}", "1"))
        if row.auth in SIGNED_IN:
            assert_error(answer, 401, "unauthorized")
        else:
            assert answer.status == 200 or answer.code in row.error_codes
            assert answer.status != 401 or "unauthorized" in row.errors


def test_a_path_is_mounted_below_its_prefix_and_weighed_there() -> None:
    (row,) = [each for each in v1.ENDPOINTS if each.parameters == ["asset"]]
    one, two = v1.DIALECT._replace(prefix="/one"), v1.DIALECT._replace(prefix="/two")
    endpoints = Endpoints([Mount("1", one, [row]), Mount("2", two, [row]), Mount("", None, v1.PROBES)])
    assert endpoints.prefixes == ("/one", "/two")
    assert [each.path for each in endpoints.rows[:2]] == ["/one/prices/{asset}", "/two/prices/{asset}"]
    assert endpoints.weight_of("HEAD", "/two/prices/SOL") == Weight(1)
    assert endpoints.weight_of("GET", "/three/prices/SOL") == OTHER
    assert [endpoints.local(each) for each in ("/two/prices/{asset}", "/healthz", "/twofold")] == [
        "/prices/{asset}",
        "/healthz",
        "/twofold",
    ]


async def whisper(request: web.Request) -> web.StreamResponse:
    """GET /whisper of a second dialect."""
    how = request.query.get("how")
    if how == "limited":
        raise ApiError("rate_limited", retry_after_s=7)
    if how == "bug":
        raise KeyError("a bug")
    return answer({"heard": await read_body(request, "text/plain") == b""})


def shouted(error: ApiError) -> Rendered:
    """Another form of every error, with another status."""
    return Rendered(418, {"msg": error.code.upper()}, {"X-Shouted": str(error.retry_after_s)})


async def test_a_second_dialect_is_a_table_with_errors_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Dialect("/other", shouted, v1.DIALECT.session_of)
    row = Endpoint("POST", "/whisper", whisper, Weight(5), "", None, body=msgspec.Struct)
    endpoints = Endpoints([Mount("ours", v1.DIALECT, v1.ENDPOINTS), Mount("other", other, [row])])
    monkeypatch.setattr("exness.web.app.endpoints_of", lambda dev, fapi=False: endpoints)
    async with running_app() as app:
        assert app.http is not None

        async def asked(path: str, media_type: str = "text/plain") -> tuple[int, str, bytes]:
            assert app.http is not None
            async with app.http.post(app.url + path, headers={"Content-Type": media_type}) as response:
                return response.status, response.headers.get("X-Shouted", ""), await response.read()

        assert await asked("/other/whisper") == (200, "", b'{"heard":true}')
        assert await asked("/other/whisper?how=limited") == (418, "7", b'{"msg":"RATE_LIMITED"}')
        assert await asked("/other/whisper?how=bug") == (418, "1", b'{"msg":"INTERNAL_ERROR"}')
        assert await asked("/other/whisper", "text/html") == (418, "1", b'{"msg":"UNSUPPORTED_MEDIA_TYPE"}')
        assert await asked("/other/nothing") == (418, "1", b'{"msg":"NOT_FOUND"}')
        assert_error(await app.get("/nothing"), 404, "not_found", "There is nothing at this address")
        hint = await app.get("/nowhere/../whisper")
        assert_error(hint, 404, "not_found", "There is nothing at this address; did you mean /other/whisper?")
        assert_error(await app.post("/logout"), 401, "unauthorized")


def test_no_two_rows_can_have_the_same_method_and_path() -> None:
    with pytest.raises(AssertionError, match="the same method and path"):
        Endpoints([Mount("", None, v1.PROBES), Mount("", None, v1.PROBES)])


def test_a_fast_endpoint_needs_nothing_of_the_router() -> None:
    fast = [row for row in ENDPOINTS.rows if row.fast]
    assert {row.key for row in fast} == set(ENDPOINTS.fast)
    assert len(fast) == 10
    assert not any(row.parameters or row.policy for row in fast)


def test_what_is_no_error_and_no_200_is_said_too() -> None:
    others = {row.path: row.others for row in ENDPOINTS.rows if row.others}
    assert {path: list(each) for path, each in others.items()} == {
        "/api/v1/signin/post": [302],
        "/api/v1/stream": [101],
        "/readyz": [503],
    }
    assert others["/readyz"][503].body is Readiness
