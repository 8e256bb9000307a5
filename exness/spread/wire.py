"""What goes over the wire, as msgpack: commands and questions to the engine, its answers, its records, prices.

Commands and figures of refusals go with the name of what they are: each is one row of a table made from their unions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import msgspec
import structlog

from exness.core.commands import AccountCommand, Command, OpenAccount, PayInsurance, PriceTick
from exness.core.events import Record
from exness.core.outcomes import Outcome, Repeated
from exness.core.rejects import Figures, Refusal, Reject
from exness.core.state import SeenOrder
from exness.runtime.inbox import Busy

_log = structlog.get_logger("exness.spread")

_SENT = (*get_args(AccountCommand), OpenAccount, PayInsurance)
"""What a server may ask for. Prices and time are the engine's own affair, and what dev control does is not for here."""
_COMMANDS = {command.__name__: msgspec.msgpack.Decoder(command) for command in _SENT}
_FIGURES = {figures.__name__: msgspec.msgpack.Decoder(figures) for figures in get_args(Figures)}
_pack = msgspec.msgpack.Encoder().encode


class Named(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of several kinds."""

    kind: str
    body: msgspec.Raw


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command. `id` is the cause of its records."""

    id: str
    command: Named
    request: str = ""


class Asks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a server asks in one turn. `question`: how far is the journal? 0: it does not ask."""

    server: str = ""
    asks: list[Ask] = []
    question: int = 0


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """To a command. One of `busy` (it was not taken), `refusal`, `repeated`; none of them: it is done, in `records`
    records, the last of which is `shows`. Else `shows` is the last record that the answer tells of."""

    id: str
    shows: int = 0
    records: int = 0
    busy: Busy | None = None
    reject: Reject | None = None
    figures: Named | None = None
    repeated: SeenOrder | None = None


class Answers(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """To one server, of one epoch. `question`: that one and all before it are answered by `seq`."""

    epoch: str
    answers: list[Answer] = []
    question: int = 0
    seq: int = 0


class News(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The journal is on disk up to `last`; `records` are those from `first` on, packed. None: a sign of life."""

    epoch: str
    first: int
    last: int
    records: bytes = b""


class Ticks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Prices at the poller's time `at` (microseconds), and how its source does."""

    at: int
    ticks: list[PriceTick] = []
    source: "SourceState | None" = None


class SourceState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    simulated: bool
    connected: bool
    description: str
    counters: dict[str, int] = {}


_asks = msgspec.msgpack.Decoder(Asks).decode
_answers = msgspec.msgpack.Decoder(Answers).decode
_news = msgspec.msgpack.Decoder(News).decode
_ticks = msgspec.msgpack.Decoder(Ticks).decode
_records = msgspec.msgpack.Decoder(list[Record]).decode


class WireGarbled(Exception):
    """An entry is not what it should be: another version wrote it, or somebody else."""


@contextmanager
def garbled_is_passed_over(what: str) -> Iterator[None]:
    """What can't be read is told to the log, and nothing comes of it."""
    try:
        yield
    except WireGarbled as error:
        _log.error("an entry of the wire can't be read; it is passed over", what=what, why=str(error))


def pack(message: Asks | Answers | News | Ticks) -> bytes:
    return _pack(message)


def ask_of(id: str, command: Command, request: str) -> Ask:  # noqa: A002 - that is what it is
    return Ask(id, _named(command), request)


def command_of(ask: Ask) -> Command:
    """Raises WireGarbled."""
    decoder = _COMMANDS.get(ask.command.kind)
    if decoder is None:
        raise WireGarbled(f"no command is called {ask.command.kind}")
    return _read(decoder.decode, ask.command.body)  # type: ignore[no-any-return]


def answer_of(id: str, outcome: Outcome, shows: int) -> Answer:  # noqa: A002
    match outcome:
        case Refusal(reject, figures):
            return Answer(id, shows, reject=reject, figures=None if figures is None else _named(figures))
        case Repeated(seen):
            return Answer(id, shows, repeated=seen)
        case _:
            return Answer(id, shows, len(outcome.records))


def refusal_of(answer: Answer) -> Refusal:
    """Of an answer that is one. Raises WireGarbled."""
    assert answer.reject is not None
    if answer.figures is None:
        return Refusal(answer.reject)
    decoder = _FIGURES.get(answer.figures.kind)
    if decoder is None:
        raise WireGarbled(f"no figures are called {answer.figures.kind}")
    return Refusal(answer.reject, _read(decoder.decode, answer.figures.body))


def pack_records(records: Sequence[Record]) -> bytes:
    return _pack(records)


def records_of(news: News) -> list[Record]:
    """Raises WireGarbled."""
    return _read(_records, news.records) if news.records else []


def read_asks(payload: bytes) -> Asks:
    """Raises WireGarbled, as the next three do."""
    return _read(_asks, payload)  # type: ignore[no-any-return]


def read_answers(payload: bytes) -> Answers:
    return _read(_answers, payload)  # type: ignore[no-any-return]


def read_news(payload: bytes) -> News:
    return _read(_news, payload)  # type: ignore[no-any-return]


def read_ticks(payload: bytes) -> Ticks:
    return _read(_ticks, payload)  # type: ignore[no-any-return]


def _named(body: Any) -> Named:
    return Named(type(body).__name__, msgspec.Raw(_pack(body)))


def _read(decode: Any, payload: Any) -> Any:
    try:
        return decode(payload)
    except msgspec.MsgspecError as error:
        raise WireGarbled(str(error)) from error
