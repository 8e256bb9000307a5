"""Plays scenes, and writes down what came over the wire."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from email import message_from_bytes, policy
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from tests.transcript.blocks import Block
from tests.transcript.seam import VERSION, FixedTime, Memory, Running, issue_tokens, serving
from tests.transcript.steps import (
    API,
    Ask,
    Connect,
    Goodbye,
    Later,
    Mailed,
    Raw,
    Restart,
    Revoke,
    Say,
    Scene,
    SignedIn,
    Step,
    clock,
    price,
)
from tests.transcript.wire import KEY, Answer, Client, Connection, encoded, request

FIXTURES = Path(__file__).parent.parent / "fixtures"
ROOTS = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/api",
    "/nowhere",
    "//",
)
MARKET = ("prices", "candles")
"""Channels that stand behind the others in the transcript, each for itself: no order among channels is promised."""
LONGEST = 400
"""Characters of a request that are shown."""

QUOTES = [
    clock("", paused=True),
    price("SOL", "200"),
    price("ETH", "3000"),
    price("BTC", "100000"),
]
_LOOK_S, _LOOKS = 0.002, 5000
"""For a mail, which goes out a moment after it was asked for."""
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PSEUDONYM = re.compile(r'"trader-[0-9a-f]{12}"')
_FORM = re.compile(r"version=[\d.]+")
"""Of the text form of metrics."""
_METRIC = re.compile(r"# TYPE (exness_\S+ \S+)")


async def play(scene: Scene, folder: Path, *, in_memory: bool = False) -> list[Block]:
    """Play a scene from its first step to its last, in an empty folder."""
    async with AsyncExitStack() as stack:
        player = Player(
            scene, folder / "data", stack.enter_context(FixedTime().held()), Memory() if in_memory else None
        )
        stack.push_async_callback(player.stop)
        await player.start()
        for number, step in enumerate(scene.steps, 1):
            try:
                await player.do(number, step)
            except Exception as error:
                error.add_note(f"in scene {scene.name}, step {number}: {step.title}")
                raise
        await player.end()
    return player.blocks


class Player:
    """One scene while it is played."""

    def __init__(self, scene: Scene, data_dir: Path, time: FixedTime, memory: Memory | None) -> None:
        self.blocks: list[Block] = []
        self._scene = scene
        self._data_dir = data_dir
        self._time = time
        self._memory = memory
        self._names: dict[str, str] = {}
        """What only the server knows beforehand, by what stands for it."""
        self._streams: dict[str, Connection] = {}
        self._mails: set[str] = set()
        self._running: Running
        self._client: Client
        self._server = AsyncExitStack()

    async def start(self) -> None:
        if self._scene.data:
            shutil.copytree(FIXTURES / self._scene.data, self._data_dir)
        await self._sign_in(*self._scene.users)
        await self._start()
        if self._scene.quoted:
            for step in QUOTES:
                answer = await self._client.ask(self._request(step, "")[0])
                assert answer.status_line.split()[1] == "200", answer

    async def end(self) -> None:
        """Nothing has come on a stream that no step was to hear: the next thing it hears is the answer to a ping."""
        for name, stream in self._streams.items():
            if not stream.is_closed:
                stream.send('{"op": "ping", "id": "the end"}')
                heard = await stream.heard(1)
                assert '"the end"' in heard[0], f"{name} has heard more than the steps say: {heard}"
            assert not stream.frames, f"{name} has heard more than the steps say: {stream.frames}"

    async def stop(self) -> None:
        for stream in self._streams.values():
            await stream.end()
        await self._server.aclose()

    async def do(self, number: int, step: Step) -> None:
        """One step, and what the streams are sent for it."""
        block = Block(f"{number}. {step.title}")
        self.blocks.append(block)
        match step:
            case Ask():
                await self._ask(block, step, f"{self._scene.name}-{number}")
            case Raw():
                block.sent = [step.shown or repr(step.data)[2:-1]]
                self._note(block, await self._alone(step.data), step.data)
            case Connect():
                await self._connect(block, step, f"{self._scene.name}-{number}")
            case Say():
                messages = [self._filled(message) for message in step.messages]
                block.sent = [f"{step.stream}: {line}" for line in _counted(map(shown, step.messages))]
                self._streams[step.stream].send(*(_message(message) for message in messages))
            case Goodbye():
                block.sent = [f"{step.stream}: close {step.code}"]
                self._streams[step.stream].send_close(step.code)
            case Mailed():
                block.sent = [f"(the next mail, to {await self._next_mail(step.link)})"]
            case _:
                block.sent = [f"({await self._aside(step)})"]
        for name, count in sorted(step.hears.items()):
            frames = await self._streams[name].heard(count)
            assert len(frames) == count, f"{name} was closed and has heard {frames}"
            block.frames += [f"{name}: {frame}" for frame in _counted(map(self._named, sorted(frames, key=_place)))]

    # --- steps ----------------------------------------------------------------------------------------------------

    async def _ask(self, block: Block, step: Ask, own_id: str) -> None:
        sent, block.sent = self._request(step, own_id if step.own_id else "")
        answer = await self._client.ask(sent)
        self._keep(step, answer, block.title)
        self._note(block, answer, sent, digest=step.digest)

    def _request(self, step: Ask, own_id: str) -> tuple[bytes, list[str]]:
        """A request, and how it is shown."""
        target = step.path if step.path.startswith(ROOTS) or step.path in ("/", "*") else API + step.path
        headers = {"Authorization": f"Bearer <{step.by}>"} if step.by else {}
        if step.body is not None:
            headers["Content-Type"] = "application/json"
        headers |= step.headers
        body = None if step.body is None else encoded(self._filled(step.body))
        shown_headers = [f"{name}: {value}" for name, value in headers.items() if value != "application/json"]
        block = [f"{step.method} {target}", *shown_headers]
        if step.body is not None:
            block.append(shown(step.body))
        filled = {name: self._filled(value) for name, value in headers.items() if value}
        if own_id:
            filled["X-Request-ID"] = own_id
        return request(step.method, cast(str, self._filled(target)), filled, body), block

    async def _connect(self, block: Block, step: Connect, own_id: str) -> None:
        headers = {"Authorization": f"Bearer <{step.by}>"} if step.by else {}
        headers |= step.headers
        block.sent = [f"{step.stream} connects", *(f"{name}: {value}" for name, value in headers.items())]
        handshake = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": KEY,
            "X-Request-ID": own_id,
        } | {name: self._filled(value) for name, value in headers.items()}
        sent = request("GET", f"{API}/stream", handshake)
        answer, stream = await Connection.open(self._running.port, sent)
        self._note(block, answer, sent)
        if stream is not None:
            if step.stream in self._streams:
                await self._streams[step.stream].end()
            self._streams[step.stream] = stream

    async def _aside(self, step: Step) -> str:
        """What happens beside the wire; how it is shown."""
        match step:
            case Later():
                self._time.advance(step.seconds)
                return f"the machine's clock goes {step.seconds:g} s ahead"
            case Revoke():
                await self._running.revoke(f"{step.who}@example.com")
                return f"exness token --revoke {step.who}@example.com"
            case SignedIn():
                await self._sign_in(step.who)
                return f"exness token {_address(step.who)}"
            case Restart():
                await self._server.aclose()
                await self._start()
                return "the exchange is stopped and started again"
            case _:
                raise AssertionError(f"there is no such step: {step}")

    async def _start(self) -> None:
        self._server = AsyncExitStack()
        serving_ = serving(self._data_dir, self._scene.settings, self._memory)
        self._running = await self._server.enter_async_context(serving_)
        self._client = Client(self._running.port)
        self._server.push_async_callback(self._client.end)

    async def _alone(self, sent: bytes) -> Answer:
        """On a connection of its own."""
        client = Client(self._running.port)
        answer = await client.ask(sent)
        await client.end()
        return answer

    async def _sign_in(self, *names: str) -> None:
        tokens = await issue_tokens(self._data_dir, self._scene.settings, list(map(_address, names)))
        self._names |= dict(zip(names, tokens, strict=True))
        self._names |= {f"session of {name}": _session_in(token) for name, token in zip(names, tokens, strict=True)}

    async def _next_mail(self, link: str) -> str:
        """Wait for it; its address and subject."""
        new: set[str] = set()
        for _ in range(_LOOKS):
            new = _mails_in(self._running.outbox) - self._mails
            if new:
                break
            await asyncio.sleep(_LOOK_S)
        (name,) = new
        self._mails.add(name)
        mail = message_from_bytes((self._running.outbox / name).read_bytes(), policy=policy.default)
        text = mail.get_body(("plain",))
        assert text is not None
        found = re.search(r"/api/v1/signin/post\?token=([\w-]+)", text.get_content())
        assert found is not None
        self._names[link] = found[1]
        return f"{mail['To']}: {mail['Subject']}"

    # --- names ----------------------------------------------------------------------------------------------------

    def _keep(self, step: Ask, answer: Answer, title: str) -> None:
        """Give names to what the step keeps, and to the id of a trade that nobody has named."""
        for name, field in step.keep.items():
            if field == "cookie":
                value = next(value for header, value in answer.headers if header.lower() == "set-cookie")
                self._names[name] = value.partition(";")[0].partition("=")[2]
            else:
                kept = json.loads(answer.body).get(field)
                assert isinstance(kept, str), f"there is no {field} in {answer.body!r}"
                self._names[name] = kept
        if step.path == "/trade/create" and answer.status_line.split()[1] == "200":
            order = json.loads(answer.body)["orderId"]
            if order not in self._names.values():
                self._names[f"order of step {title.partition('.')[0]}"] = order

    def _filled(self, value: Any) -> Any:
        """With what the names in it stand for."""
        match value:
            case str():
                return re.sub(r"<([^<>]+)>", lambda found: self._names.get(found[1], found[0]), value)
            case dict():
                return {name: self._filled(each) for name, each in value.items()}
            case list():
                return [self._filled(each) for each in value]
            case _:
                return value

    def _named(self, text: str) -> str:
        """With names in the place of what they stand for."""
        for name, value in self._names.items():
            text = text.replace(value, f"<{name}>")
        text = _PSEUDONYM.sub('"trader-<of an account>"', text)
        return text.replace(f'"version":"{VERSION}"', '"version":"<version>"')

    # --- notes ----------------------------------------------------------------------------------------------------

    def _note(self, block: Block, answer: Answer, sent: bytes, *, digest: bool = False) -> None:
        block.status = _status(answer.status_line)
        block.body = _digest(answer.body) if digest else self._named(answer.body.decode())
        block.headers = self._headers(answer, sent)

    def _headers(self, answer: Answer, sent: bytes) -> dict[str, str]:
        """By their names in lower case, in the order of the alphabet. What differs from run to run has a name."""
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = self._named(value)
        if headers.get("date", "").endswith(" GMT"):
            headers["date"] = "<date>"
        request_id = headers.get("x-request-id", "")
        assert _GOOD_ID.fullmatch(request_id), "every answer has an id"
        own = f"X-Request-ID: {request_id}\r\n".encode() in sent
        headers["x-request-id"] = "<this request's>" if own else "<a new one>"
        if answer.body:  # a HEAD keeps the length that it tells
            assert headers.get("content-length", str(len(answer.body))) == str(len(answer.body))
        if "content-length" in headers and answer.body:
            headers["content-length"] = "<its length>"
        for name in headers.keys() & {"etag", "last-modified"}:
            headers[name] = "<its file's>"
        if "content-type" in headers:
            headers["content-type"] = _FORM.sub("version=<the library's>", headers["content-type"])
        reset = headers.get("x-ratelimit-reset")
        if reset is not None:
            assert reset.isdigit()
            headers["x-ratelimit-reset"] = "<seconds>"
            if headers.get("retry-after") == reset and answer.status_line.split()[1] == "429":
                headers["retry-after"] = "<seconds>"
        return dict(sorted(headers.items()))


def _address(name: str) -> str:
    return name if "@" in name else f"{name}@example.com"


def _session_in(token: str) -> str:
    """The id of the session that a token is of."""
    payload = token.split(".")[1]
    session: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]
    return session


def _status(line: str) -> str:
    """Without the phrase, which is Python's for this status: versions of it differ."""
    version, status, phrase = line.split(" ", 2)
    assert phrase == HTTPStatus(int(status)).phrase
    return f"{version} {status}"


def shown(body: object) -> str:
    """What is sent, in one line."""
    if isinstance(body, bytes) and not body.isascii():
        return "(bytes)"  # another library would compress to others
    text = body.decode() if isinstance(body, bytes) else body if isinstance(body, str) else json.dumps(body)
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} in all)"


def _message(message: object) -> str | bytes:
    return message if isinstance(message, str | bytes) else json.dumps(message)


def _counted(frames: Iterable[str]) -> list[str]:
    """What comes several times in a row is one line."""
    runs = [(frame, len(list(run))) for frame, run in groupby(frames)]
    return [frame if times == 1 else f"{times} times: {frame}" for frame, times in runs]


def _place(frame: str) -> tuple[bool, str]:
    """Answers, trades and the account in the order they came; then each channel of the market."""
    channel = ""
    with suppress(ValueError):
        channel = json.loads(frame)["channel"]
    is_market = channel.startswith(MARKET)
    return is_market, channel if is_market else ""


def _mails_in(outbox: Path) -> set[str]:
    return {file.name for file in outbox.glob("*.eml")} if outbox.exists() else set()


def _digest(body: bytes) -> str:
    """Of a document its digest and its paths or channels; of metrics their names and types."""
    text = body.decode()
    if text.startswith("# HELP"):
        return json.dumps(sorted(_METRIC.findall(text)))
    with suppress(ValueError):
        document = json.loads(text)
        parts = sorted(document.get("paths") or document["channels"])
        return json.dumps({"sha256": _sha256(_canonical(document)), "has": parts})
    return f"sha256 {_sha256(text)}"


def _sha256(text: str) -> str:
    """Without the version, so that a release by itself changes nothing."""
    unversioned = text.replace(f'"version": "{VERSION}"', "").replace(f"exness {VERSION}", "exness")
    return hashlib.sha256(unversioned.encode()).hexdigest()


def _canonical(document: object) -> str:
    """Versions of Python and of the library that makes schemas differ in spaces, and in the order of keys."""
    match document:
        case dict():
            return _sorted(f"{json.dumps(key)}: {_canonical(each)}" for key, each in document.items())
        case list():
            return _sorted(map(_canonical, document))
        case _:
            return re.sub(r"(\\n|\s)+", " ", json.dumps(document))


def _sorted(parts: Iterable[str]) -> str:
    return f"[{', '.join(sorted(parts))}]"
