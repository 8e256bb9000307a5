"""What both clients stand on: where the exchange is, what is tried again, and what an answer or its absence means."""

import ssl
from typing import Any, TypeVar

import httpx
import msgspec
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from exness import __version__
from exness.client import calls
from exness.client.answers import Health
from exness.client.calls import Call
from exness.client.errors import (
    NOTHING_DONE,
    ConnectionFailed,
    InternalError,
    NoAnswer,
    Refused,
    WrongServer,
    WrongVersion,
    refusal_of,
)
from exness.client.told import StreamOptions

T = TypeVar("T")

TRIES = 8
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
TIMEOUT_S = 10.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For addresses with http: to load every certificate there is takes longer than a hundred requests."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Base:
    """What both clients are made of. `url` is where the exchange is, `token` a session; both may be changed.

    `timeout_s` is of one try, `tries` how often something is tried, `longest_wait_s` the most that is waited between
    two tries, also when the exchange asks for more.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        longest_wait_s: float = LONGEST_WAIT_S,
        check_version: bool = True,
    ) -> None:
        parsed = _parsed(url)
        self.url = str(parsed).rstrip("/")
        self.token = token
        self._timeout_s = timeout_s
        self._tries = tries
        self._longest_wait_s = longest_wait_s
        self._checked = not check_version
        self._backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=longest_wait_s)
        # What is on this machine is never reached by a proxy, whatever the environment says.
        self.local = parsed.host in ("localhost", "::1") or parsed.host.startswith("127.")
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout_s,
            "trust_env": not self.local,
            "verify": _NO_TLS if parsed.scheme == "http" else True,
        }

    def _headers(self, call: Call[Any]) -> dict[str, str]:
        return call.headers if self.token is None else {**call.headers, "Authorization": f"Bearer {self.token}"}

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        """The answer. Raises Refused, WrongServer."""
        status, body = response.status_code, response.content
        if status == httpx.codes.OK:
            try:
                return call.read(body)
            except msgspec.DecodeError as error:
                raise _no_exness(self.url, f"{call.method} {call.path} was answered with something else") from error
        refused = refusal_of(status, body, response.headers.get("Retry-After", ""))
        if refused is None:
            raise _no_exness(self.url, f"{call.method} {call.path} was answered with status {status}")
        settled = call.settled(refused) if call.maybe_done and call.settled is not None else None
        if settled is None:
            raise refused
        return settled

    def _failed(self, call: Call[Any], error: httpx.TransportError) -> ConnectionFailed | NoAnswer:
        """What a failure on the way means."""
        why = str(error) or type(error).__name__
        if isinstance(error, _NOT_SENT):
            return ConnectionFailed(f"{self.url} can't be reached: {why}. Is the exchange running there?")
        call.maybe_done = True
        asked = f"{call.method} {call.path}" + (f" with {call.content.decode()}" if call.content else "")
        return NoAnswer(f"{asked} was not answered ({why}): it may have been done or not. Look before you ask again")

    def _retry(self, call: Call[Any]) -> dict[str, Any]:
        def may_be_asked_again(error: BaseException) -> bool:
            if isinstance(error, (ConnectionFailed, *NOTHING_DONE)):
                return True
            return call.again and isinstance(error, NoAnswer | InternalError)

        return {
            "stop": stop_after_attempt(self._tries),
            "wait": self._wait_s,
            "retry": retry_if_exception(may_be_asked_again),
            "reraise": True,
        }

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_for_s = error.retry_after_s if isinstance(error, Refused) else 0
        return max(self._backoff(state), min(asked_for_s, self._longest_wait_s))

    def _check(self, health: Health) -> None:
        """Raises WrongVersion."""
        if _minor(health.version) != _minor(__version__):
            raise WrongVersion(
                f"{self.url} is exness {health.version}, and this client is of {__version__}: "
                f"install exness {_minor(health.version)}.* to talk to it"
            )
        self._checked = True

    def _stream_options(self, channels: tuple[str, ...], resume: int | None, timeout_s: float | None) -> StreamOptions:
        return StreamOptions(
            url=f"ws{self.url.removeprefix('http')}{calls.API}/stream",
            token=self.token,
            channels=channels,
            resume=resume,
            timeout_s=timeout_s,
            open_timeout_s=self._timeout_s,
            local=self.local,
        )


def _parsed(url: str) -> httpx.URL:
    """Raises WrongServer."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise WrongServer(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise WrongServer(f"{url!r} is no URL of an exchange: those begin with http:// or https://")
    return parsed


def _no_exness(url: str, what: str) -> WrongServer:
    return WrongServer(f"what answers at {url} is no exness: {what}. Is the URL right, without /api/v1?")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
