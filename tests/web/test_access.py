"""web/access.py: a line per request, off its way."""

import asyncio

import structlog
from structlog.testing import capture_logs

from exness.web.access import AccessLog, Line
from tests.support.app import API, running_app


def line(number: int) -> Line:
    return Line("GET", f"/{number}", 200, 0.0012345, "127.0.0.1", f"id-{number}")


async def test_each_request_leaves_a_line_with_its_id_and_without_its_query() -> None:
    structlog.configure(cache_logger_on_first_use=False)
    with capture_logs() as logs:
        async with running_app(access=AccessLog()) as app:
            await app.get("/signin/post?token=a-secret-token")
            await app.get("/prices", headers={"X-Request-ID": "mine"})
        lines = [each for each in logs if each["event"] == "request"]
        assert [(each["method"], each["path"], each["status"]) for each in lines] == [
            ("GET", f"{API}/signin/post", 401),
            ("GET", f"{API}/prices", 200),
        ]
        assert lines[1]["request_id"] == "mine"
        assert lines[1]["client"] == "127.0.0.1"
        assert "a-secret-token" not in str(logs)


async def test_what_finds_no_room_is_dropped_and_counted() -> None:
    log = AccessLog(bound=2)
    for number in range(5):
        log.note(line(number))
    with capture_logs() as logs:
        async with log.running():
            await asyncio.sleep(0)
    assert [each["path"] for each in logs if each["event"] == "request"] == ["/0", "/1"]
    assert [each["count"] for each in logs if each["event"] == "access log lines dropped"] == [3]
    assert log.dropped == 3
