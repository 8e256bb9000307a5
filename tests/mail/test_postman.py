"""Sending off the request: the queue, the retries, the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from exness.access.ports import Mail, MailError
from exness.mail.postman import Postman
from exness.mail.resend import ResendMailer
from exness.mail.smtp import SmtpMailer
from tests.mail.servers import SENDER, assert_no_secret, mail_to, refusal, resend_server, smtp_server
from tests.support.waiting import WAIT_S, until


def transient(retry_after_s: float | None = None) -> MailError:
    return MailError("the provider is busy", transient=True, retry_after_s=retry_after_s)


def permanent() -> MailError:
    return MailError("the provider refuses", transient=False)


class Provider:
    """A Mailer at the port: fails as told, in turn and per address, and remembers what it was given."""

    def __init__(self, *failures: BaseException, **by_name: list[BaseException]) -> None:
        self.failures = list(failures)
        self.by_name = by_name
        self.tried: list[str] = []
        self.sent: list[str] = []
        self.at_once = self.most_at_once = 0
        self.gate: asyncio.Event | None = None

    def describe(self) -> str:
        return "a test"

    async def send(self, mail: Mail) -> None:
        self.tried.append(mail.to)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            failures = self.by_name.get(mail.to.partition("@")[0], self.failures)
            if failures:
                raise failures.pop(0)
            self.sent.append(mail.to)
        finally:
            self.at_once -= 1


class Clock:
    """Time that passes only in waits, which it remembers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def now_s(self) -> float:
        return self.now

    async def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now += wait_s
        await asyncio.sleep(0)


def postman_of(provider: Provider, clock: Clock, **settings: float) -> Postman:
    return Postman(provider, sleep=clock.sleep, now_s=clock.now_s, **settings)  # type: ignore[arg-type]


@asynccontextmanager
async def at_work(postman: Postman) -> AsyncIterator[None]:
    """Leaving lets everything go out."""
    running = asyncio.create_task(postman.run())
    try:
        yield
        assert await postman.drain(WAIT_S) == 0
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def counted(postman: Postman) -> dict[str, int]:
    return {name: count for name, count in postman.counters.items() if count}


async def test_posting_returns_before_anything_is_sent() -> None:
    provider = Provider()
    postman = postman_of(provider, Clock())
    async with at_work(postman):
        assert postman.post(mail_to())
        assert (provider.tried, postman.held) == ([], 1)
    assert provider.sent == ["yuki@example.com"]
    assert counted(postman) == {"sent": 1}
    assert postman.held == 0


async def test_a_mail_posted_before_the_start_is_sent() -> None:
    provider = Provider()
    postman = postman_of(provider, Clock())
    assert postman.post(mail_to())
    async with at_work(postman):
        pass
    assert counted(postman) == {"sent": 1}


async def test_a_passing_failure_is_tried_again() -> None:
    provider, clock = Provider(transient(), transient()), Clock()
    postman = postman_of(provider, clock)
    with capture_logs() as logs:
        async with at_work(postman):
            postman.post(mail_to())
    assert provider.tried == ["yuki@example.com"] * 3
    assert counted(postman) == {"sent": 1, "retried": 2}
    assert [line["event"] for line in logs] == ["mail_retry", "mail_retry", "mail_sent"]
    assert logs[-1] == {
        "event": "mail_sent",
        "log_level": "info",
        "to": "y***@e***.com",
        "subject": "Your link to sign in to exness",
        "attempts": 3,
    }
    assert_no_secret(logs)


async def test_a_final_failure_is_not_tried_again() -> None:
    provider, clock = Provider(permanent()), Clock()
    postman = postman_of(provider, clock)
    with capture_logs() as logs:
        async with at_work(postman):
            postman.post(mail_to())
    assert (provider.tried, provider.sent, clock.waits) == (["yuki@example.com"], [], [])
    assert counted(postman) == {"failed": 1}
    assert logs == [
        {
            "event": "mail_failed",
            "log_level": "error",
            "to": "y***@e***.com",
            "subject": "Your link to sign in to exness",
            "why": "the provider refuses",
            "attempts": 1,
        }
    ]


async def test_it_gives_up_after_so_many_attempts() -> None:
    provider, clock = Provider(*[transient() for _ in range(10)]), Clock()
    postman = postman_of(provider, clock, attempts=4)
    with capture_logs() as logs:
        async with at_work(postman):
            postman.post(mail_to())
    assert (len(provider.tried), len(clock.waits)) == (4, 3)
    assert counted(postman) == {"failed": 1, "retried": 3}
    assert (logs[-1]["event"], logs[-1]["attempts"]) == ("mail_failed", 4)
    assert_no_secret(logs)


async def test_one_attempt_means_one() -> None:
    provider, clock = Provider(transient()), Clock()
    postman = postman_of(provider, clock, attempts=1)
    async with at_work(postman):
        postman.post(mail_to())
    assert counted(postman) == {"failed": 1}
    assert clock.waits == []


async def test_waits_double_up_to_a_bound_and_half_of_each_is_chance() -> None:
    whole = [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    seen: list[list[float]] = []
    for _ in range(50):
        provider, clock = Provider(*[transient() for _ in whole]), Clock()
        postman = postman_of(provider, clock, attempts=7, backoff_initial_s=1.0, backoff_max_s=8.0)
        async with at_work(postman):
            postman.post(mail_to())
        assert counted(postman) == {"sent": 1, "retried": 6}
        seen.append(clock.waits)
    for waits in seen:
        assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, whole, strict=True)), waits
    assert len({tuple(waits) for waits in seen}) == 50


async def test_a_provider_that_names_a_time_gets_it_within_bounds() -> None:
    asked: list[float | None] = [5.0, 1e9, -3.0, None]
    provider, clock = Provider(*[transient(seconds) for seconds in asked]), Clock()
    postman = postman_of(provider, clock, backoff_initial_s=0.01, backoff_max_s=0.01, retry_after_max_s=20.0)
    async with at_work(postman):
        postman.post(mail_to())
    assert [round(wait) for wait in clock.waits] == [5, 20, 0, 0]
    assert all(wait > 0 for wait in clock.waits)


async def test_a_link_that_died_while_its_mail_waited_is_not_sent() -> None:
    provider, clock = Provider(), Clock()
    postman = postman_of(provider, clock, life_s=300)
    postman.post(mail_to())
    clock.now += 300
    with capture_logs() as logs:
        async with at_work(postman):
            pass
    assert provider.tried == []
    assert counted(postman) == {"failed": 1}
    assert logs[-1]["why"] == "too late: its link no longer works"


async def test_nobody_waits_for_a_try_that_would_be_too_late() -> None:
    provider, clock = Provider(transient(), transient(200.0), transient()), Clock()
    postman = postman_of(provider, clock, life_s=100, retry_after_max_s=1000)
    async with at_work(postman):
        postman.post(mail_to())
    assert len(provider.tried) == 2
    assert len(clock.waits) == 1
    assert counted(postman) == {"failed": 1, "retried": 1}


async def test_when_full_it_says_so_at_once_and_logs_it_once() -> None:
    provider = Provider()
    provider.gate = asyncio.Event()
    postman = postman_of(provider, Clock(), queue_size=3, at_once=1)
    with capture_logs() as logs:
        async with at_work(postman):
            assert [postman.post(mail_to()) for _ in range(10)] == [True] * 3 + [False] * 7
            await until(lambda: provider.at_once == 1)
            assert not postman.post(mail_to()), "one under way is still one held"
            assert (postman.held, counted(postman)) == (3, {"dropped": 8})
            provider.gate.set()
    assert counted(postman) == {"dropped": 8, "sent": 3}
    assert [line["event"] for line in logs].count("mail_dropped") == 1
    assert_no_secret(logs)


async def test_there_is_room_again_once_a_mail_is_gone() -> None:
    provider = Provider(permanent())
    postman = postman_of(provider, Clock(), queue_size=1)
    async with at_work(postman):
        for count in (1, 2, 3):
            assert postman.post(mail_to())
            assert not postman.post(mail_to())
            await until(lambda: postman.held == 0)
            assert len(provider.tried) == count
    assert counted(postman) == {"failed": 1, "sent": 2, "dropped": 3}


async def test_so_many_at_once_and_no_more() -> None:
    provider = Provider()
    provider.gate = asyncio.Event()
    postman = postman_of(provider, Clock(), at_once=2)
    async with at_work(postman):
        for _ in range(10):
            postman.post(mail_to())
        await until(lambda: provider.at_once == 2)
        provider.gate.set()
    assert (provider.most_at_once, len(provider.sent)) == (2, 10)


async def test_a_mail_that_waits_for_its_next_try_holds_up_no_other() -> None:
    provider = Provider(slow=[transient()])
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        await waiting.wait()

    postman = Postman(provider, at_once=1, sleep=sleep)
    async with at_work(postman):
        postman.post(mail_to("slow@example.com"))
        for number in range(5):
            postman.post(mail_to(f"trader{number}@example.com"))
        await until(lambda: len(provider.sent) == 5)
        assert "slow@example.com" not in provider.sent
        waiting.set()
    assert provider.sent[-1] == "slow@example.com"


@pytest.mark.parametrize(
    "bug",
    [
        RuntimeError("yuki@example.com"),
        KeyError("token"),
        OSError(5, "x"),
        TimeoutError(),
        ExceptionGroup("", [OSError()]),
    ],
)
async def test_a_poison_mail_stops_nobody_and_says_nothing_of_itself(bug: Exception) -> None:
    provider = Provider(poison=[bug])
    postman = postman_of(provider, Clock())
    with capture_logs() as logs:
        async with at_work(postman):
            postman.post(mail_to("poison@example.com"))
            postman.post(mail_to())
            await until(lambda: len(provider.sent) == 1)
            postman.post(mail_to())
    assert provider.sent == ["yuki@example.com"] * 2
    assert counted(postman) == {"failed": 1, "sent": 2}
    (failed,) = [line for line in logs if line["event"] == "mail_failed"]
    assert failed["why"].startswith(f"bug: {type(bug).__name__} at test_postman.py:")
    assert_no_secret(logs, "poison")


async def test_draining_sends_what_is_held_and_takes_nothing_new() -> None:
    provider = Provider(transient())
    postman = postman_of(provider, Clock())
    running = asyncio.create_task(postman.run())
    for _ in range(20):
        postman.post(mail_to())
    drained = asyncio.create_task(postman.drain(WAIT_S))
    await until(lambda: bool(provider.tried))
    assert not postman.post(mail_to())
    assert await drained == 0
    await running
    assert counted(postman) == {"sent": 20, "retried": 1, "dropped": 1}


@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
async def test_draining_leaves_behind_what_takes_too_long(timeout_s: float) -> None:
    provider = Provider()
    provider.gate = asyncio.Event()
    postman = postman_of(provider, Clock(), at_once=2)
    running = asyncio.create_task(postman.run())
    with capture_logs() as logs:
        for _ in range(5):
            postman.post(mail_to())
        async with asyncio.timeout(WAIT_S):
            assert await postman.drain(timeout_s) == 5
            await running
    assert counted(postman) == {"abandoned": 5}
    assert provider.at_once == 0
    assert logs == [{"event": "mails_abandoned", "log_level": "warning", "mails": 5}]


async def test_draining_does_not_wait_for_a_next_try_beyond_its_time() -> None:
    provider = Provider(transient())
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    postman = Postman(provider, sleep=sleep)
    running = asyncio.create_task(postman.run())
    postman.post(mail_to())
    async with asyncio.timeout(WAIT_S):
        await waiting.wait()
        assert await postman.drain(0.01) == 1
        await running
    assert counted(postman) == {"retried": 1, "abandoned": 1}


async def test_draining_one_that_was_cancelled_returns_at_once() -> None:
    provider = Provider()
    provider.gate = asyncio.Event()
    postman = postman_of(provider, Clock())
    running = asyncio.create_task(postman.run())
    postman.post(mail_to())
    await until(lambda: provider.at_once == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not postman.post(mail_to())
    async with asyncio.timeout(WAIT_S / 2):
        assert await postman.drain(WAIT_S) == 1
    assert counted(postman) == {"dropped": 1, "abandoned": 1}


async def test_draining_one_that_never_ran_returns_and_ends_it_should_it_run_later() -> None:
    provider, postman = Provider(), postman_of(Provider(), Clock())
    assert postman.post(mail_to())
    async with asyncio.timeout(WAIT_S):
        assert await postman.drain(0.01) == 1
        await postman.run()
        assert await postman_of(provider, Clock()).drain(WAIT_S) == 0
    assert provider.tried == []


@pytest.mark.parametrize("nonsense", [{"queue_size": 0}, {"at_once": 0}, {"attempts": 0}])
def test_a_postman_without_room_hands_or_attempts_is_refused(nonsense: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        postman_of(Provider(), Clock(), **nonsense)


async def test_over_smtp_greylisted_first_then_through() -> None:
    async with smtp_server() as served:
        served.refuse["RCPT"] = "450 4.2.0 {address} greylisted"
        clock = Clock()

        async def sleep(wait_s: float) -> None:
            served.refuse.clear()
            await clock.sleep(wait_s)

        mailer = SmtpMailer(f"smtp://127.0.0.1:{served.port}", SENDER, local_hostname="exness.test")
        postman = Postman(mailer, sleep=sleep)
        with capture_logs() as logs:
            async with at_work(postman):
                postman.post(mail_to())
        assert counted(postman) == {"sent": 1, "retried": 1}
        assert len(served.messages) == 1
        assert logs[0]["why"] == "the mail server refused the recipient: 450 4.2.0"
        assert_no_secret(logs)


async def test_over_http_throttled_first_then_through() -> None:
    key = "re_kept-out-of-logs"
    async with resend_server() as served:
        served.answers = [refusal(429, "rate_limit_exceeded", Retry_After="2"), refusal(422, "validation_error")]
        clock = Clock()
        postman = Postman(ResendMailer(key, SENDER, served.url), sleep=clock.sleep, backoff_initial_s=0.1)
        with capture_logs() as logs:
            async with at_work(postman):
                postman.post(mail_to())
        assert counted(postman) == {"failed": 1, "retried": 1}
        assert 2.05 <= clock.waits[0] <= 2.1
        assert_no_secret(logs, key)
