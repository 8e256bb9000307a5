"""Structured logs on standard error: for people (console) or for machines (json).

Our own lines and those of the libraries (aiohttp, asyncio, websockets, Python's warnings) come out in one form, with
the name of who logged. A line is made where it is logged and only handed to an `Outlet`: to log neither raises nor
waits.
"""

import logging
import sys
from collections.abc import Callable
from textwrap import indent
from typing import Literal, NamedTuple, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exness.process.standard_streams import Outlet, printable

Form: TypeAlias = Literal["console", "json"]

LEVELS = logging.getLevelNamesMapping()
LIBRARIES_FROM = logging.WARNING
"""What libraries log below it is about their inside, at times with what users sent."""


class Logs:
    """How lines of one process are made, and where they go. `level` is debug, info, warning or error."""

    def __init__(self, level: str, form: Form, outlet: Outlet) -> None:
        self.outlet = outlet
        self.level = LEVELS[level.upper()]
        self._first: list[Processor] = [
            structlog.processors.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
        ]
        self._then: list[Processor] = [structlog.processors.format_exc_info, *_rendered(form, colors=outlet.isatty())]
        outlet.tell_dropped = self._tell_dropped

    def configure(self) -> None:
        """Make these the logs of this process."""
        global _current
        _current = self
        structlog.configure(
            processors=[*self._first, *self._then],
            wrapper_class=structlog.make_filtering_bound_logger(self.level),
            logger_factory=lambda *names: _Lines(names[0] if names else "exness", self.outlet),
            cache_logger_on_first_use=True,
        )
        root = logging.getLogger()
        root.handlers = [_FromLibraries(self.outlet, self._first, self._then)]
        root.setLevel(max(self.level, LIBRARIES_FROM))
        logging.captureWarnings(True)

    def later(self, name: str, fields: Callable[[], EventDict]) -> None:
        """Log what `fields` returns (`event`, `timestamp`, ...) at level info, worked out in the outlet's thread."""
        if self.level <= logging.INFO:
            self.outlet.put_later(lambda: f"{self._line(name, 'info', fields())}\n")

    def _line(self, name: str, level: str, fields: EventDict) -> str:
        logger, line = _Lines(name, self.outlet), fields
        for process in (*self._first, *self._then):
            line = process(logger, level, line)  # type: ignore[assignment]
        return str(line)  # the last one made text of it

    def _tell_dropped(self, count: int) -> str:
        return f"{self._line(__name__, 'warning', {'event': 'log lines were dropped', 'count': count})}\n"


_current: Logs | None = None


def later(name: str, fields: Callable[[], EventDict]) -> None:
    """`Logs.later` of this process's logs, if there are any."""
    if _current is not None:
        _current.later(name, fields)


def configure(level: str, form: Form, stream: TextIO | None = None) -> Logs:
    """Set up logging of this process on `stream`, standard error if it is not named."""
    standard: object = stream or sys.stderr
    logs = Logs(level, form, standard if isinstance(standard, Outlet) else Outlet(2))
    logs.configure()
    return logs


def _rendered(form: Form, *, colors: bool) -> list[Processor]:
    if form == "json":
        return [_whole(structlog.processors.JSONRenderer())]  # ASCII, so that control characters are escaped already
    # Plain tracebacks: the default ones print local variables, tokens and addresses among them.
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [_escaped, _whole(plain)]


def _escaped(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """No value of a line steers the terminal, and none makes a line of its own; those of a trace are indented. What is
    no text is shown as its repr, which has no control characters."""
    return {
        key: _shown(key, value) if isinstance(value, str) and not value.isprintable() else value
        for key, value in event.items()
    }


def _shown(key: str, text: str) -> object:
    if key in ("exception", "stack"):
        return indent(printable(text), "  ")
    return printable(text, one_line=True) if key == "event" else _Quoted(text)


class _Quoted(NamedTuple):
    text: str

    def __repr__(self) -> str:
        return repr(self.text)


def _whole(renderer: Processor) -> Processor:
    """A line that can't be made, because a value can't be shown, says so instead of raising into who logs."""

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        try:
            return str(renderer(logger, name, dict(event)))
        except Exception as error:  # noqa: BLE001 - whatever a value's repr raises
            rest = {key: event.get(key) for key in ("timestamp", "level", "logger", "event")}
            return str(renderer(logger, name, rest | {"unprintable": type(error).__name__}))

    return render


class _Lines:
    """What structlog hands finished lines to."""

    def __init__(self, name: str, outlet: Outlet) -> None:
        self.name = name
        self._outlet = outlet

    def msg(self, line: str) -> None:
        self._outlet.put(f"{line}\n")

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


class _FromLibraries(logging.Handler):
    """Records of Python's logging as lines like ours."""

    def __init__(self, outlet: Outlet, first: list[Processor], then: list[Processor]) -> None:
        super().__init__()
        self._outlet = outlet
        without_record = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=[without_record, *then])
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a message that does not fit its arguments
            record = logging.makeLogRecord(
                {"name": record.name, "levelname": record.levelname, "msg": f"unprintable: {type(error).__name__}"}
            )
            line = self.format(record)
        self._outlet.put(f"{line}\n")
