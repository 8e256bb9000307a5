"""web/http/access_log.py: a line per request, off its way."""

from collections.abc import Callable

from exness.web.http.access_log import AccessLog, Fields
from tests.support.app import API, running_app


class Later:
    """Logs only when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Callable[[], Fields]]] = []

    def __call__(self, logger: str, fields: Callable[[], Fields]) -> None:
        self.waiting.append((logger, fields))

    def lines(self) -> list[Fields]:
        assert {logger for logger, _ in self.waiting} == {"exness.access"}
        return [fields() for _, fields in self.waiting]


async def test_each_request_leaves_a_line_with_its_id_and_without_its_query() -> None:
    later = Later()
    async with running_app(access=AccessLog(later)) as app:
        await app.get("/signin/post?token=a-secret-token")
        await app.get("/prices", headers={"X-Request-ID": "mine"})
    first, second = later.lines()
    assert [(each["event"], each["method"], each["path"], each["status"]) for each in (first, second)] == [
        ("request", "GET", f"{API}/signin/post", 401),
        ("request", "GET", f"{API}/prices", 200),
    ]
    assert (second["request_id"], second["client"]) == ("mine", "127.0.0.1")
    assert first["timestamp"] < second["timestamp"], "when it was answered, not when the line was made"
    assert "a-secret-token" not in str((first, second))


async def test_a_path_of_any_length_makes_a_short_line() -> None:
    later = Later()
    async with running_app(access=AccessLog(later)) as app:
        await app.get(f"/{'x' * 5000}")
    (line,) = later.lines()
    assert len(line["path"]) == 200
