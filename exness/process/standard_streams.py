"""Standard input, output and error: what the process says can neither fail nor hold what it does.

`install` puts an `Outlet` in the place of `sys.stdout` and `sys.stderr`, so that whatever writes there (a log line, the
banner, argparse, a warning, a traceback, a progress bar) only leaves text in a bounded queue; a daemon thread writes
it. When a stream is closed, full, slow or gone, lines are dropped and counted, and nothing else happens. What its
encoding does not have is escaped. Nobody waits for that thread, but for a moment at the end of the process.
"""

import codecs
import errno
import os
import re
import select
import sys
import time
from collections import Counter
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from typing import NamedTuple, TextIO, cast

LINES = 10_000
BYTES = 4 * 1024 * 1024
"""What waits for a stream, at most, as lines and as memory."""

AT_THE_END_S = 0.5
"""How long the end of the process waits for what has been said, at most."""

REASONS = {errno.EPIPE: "no_reader", errno.EBADF: "closed", errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full"}
"""Why a line was not written, beside `queue_full`; anything else is `failed`."""

_BATCH = 256
_CHUNK_BYTES = 65_536
_LONGEST_PARTIAL = 65_536
_LATER_S = 0.05
"""How long a line that is made later waits for others to be made and written with it: the fewer turns this thread takes
from a busy loop, the better."""
_LATER_BYTES = 600
"""What a line that is made later may take, roughly."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL_OR_SPACING = re.compile(rf"{_CONTROL.pattern}|[\t\n]")


def printable(text: str, *, one_line: bool = False) -> str:
    """`text` with control characters escaped, so that it can't steer a terminal; also those that turn the direction of
    writing. Tabs and line ends stay, but for `one_line`."""
    if text.isprintable():
        return text
    pattern = _CONTROL_OR_SPACING if one_line else _CONTROL
    return pattern.sub(lambda found: ascii(found.group())[1:-1], text)


class _Item(NamedTuple):
    """What waits to be written: `lines` lines that take `size` bytes of memory."""

    text: str | Callable[[], str]
    lines: int
    size: int


class Outlet:
    """One standard stream, as far as `sys.stdout` and `sys.stderr` are asked for. `write` never raises nor waits.

    `dropped` counts lines that were not written, by why.
    """

    errors = "backslashreplace"
    closed = False

    def __init__(self, fd: int, encoding: str = "utf-8", *, lines: int = LINES, size: int = BYTES) -> None:
        """`lines` and `size` (bytes of memory): what may wait."""
        self.encoding = encoding
        self.bound = lines
        self.dropped: Counter[str] = Counter(dict.fromkeys(("queue_full", *REASONS.values(), "failed"), 0))
        self.tell_dropped: Callable[[int], str] = lambda count: ""
        """The line that says how many were dropped, once lines can be written again."""
        self.last_error = ""
        """What the system said of the latest line that it did not take."""
        self._fd = fd
        self._size = size
        self._encoder = codecs.getincrementalencoder(encoding)(self.errors)
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._lock = RLock()  # of one thread's two uses, one may be in a finalizer
        self._waiting = 0
        self._waiting_bytes = 0
        self._partial = ""
        self._told = 0
        self._is_broken_off = False
        self._thread: Thread | None = None

    def waiting(self) -> int:
        """Lines that wait to be written."""
        return self._waiting

    def put(self, text: str) -> None:
        """Write `text`, whole lines, as soon as the stream takes it."""
        self._enqueue(text, max(1, text.count("\n")), sys.getsizeof(text))

    def put_later(self, make: Callable[[], str]) -> None:
        """Write the line that `make` returns. It is made in the thread that writes, and only if it is not dropped."""
        self._enqueue(make, 1, _LATER_BYTES)

    def write(self, text: str) -> int:
        """For `print`: keeps what is no whole line until it is one, or until `flush`."""
        with self._lock:
            whole, end, self._partial = (self._partial + text).rpartition("\n")
            if end:
                self.put(whole + end)
            if len(self._partial) > _LONGEST_PARTIAL:
                self.flush()
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Does not wait, see `drain`."""
        with self._lock:
            partial, self._partial = self._partial, ""
            if partial:
                self.put(partial)

    def drain(self, seconds: float | None) -> bool:
        """Wait until everything is written or dropped, no longer than `seconds`. Whether it is."""
        self.flush()
        deadline = None if seconds is None else time.monotonic() + seconds
        while self._waiting:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def isatty(self) -> bool:
        try:
            return os.isatty(self._fd)
        except OSError:
            return False

    def fileno(self) -> int:
        return self._fd

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def _enqueue(self, text: str | Callable[[], str], lines: int, size: int) -> None:
        with self._lock:
            if self._waiting + lines > self.bound or self._waiting_bytes + size > self._size:
                self.dropped["queue_full"] += lines
                return
            if self._thread is None and not self._start():
                self.dropped["failed"] += lines
                return
            self._waiting += lines
            self._waiting_bytes += size
        self._queue.put(_Item(text, lines, size))

    def _start(self) -> bool:
        self._thread = Thread(target=self._run, name=f"output to {self._fd}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # there may be no more threads, or the process is ending
            self._thread = None
            return False
        return True

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            size = batch[0].size
            if not isinstance(batch[0].text, str) and self._queue.qsize() < _BATCH:
                time.sleep(_LATER_S)
            while len(batch) < _BATCH and size < _CHUNK_BYTES:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
                size += batch[-1].size
            lines = sum(item.lines for item in batch)
            self._write(batch, lines)
            with self._lock:
                self._waiting -= lines
                self._waiting_bytes -= size

    def _write(self, batch: list["_Item"], lines: int) -> None:
        text = "".join(map(self._made, batch))
        dropped = self.dropped.total()
        if dropped > self._told:
            text += self.tell_dropped(dropped - self._told)
        reason = self._write_bytes(self._encoder.encode(f"\n{text}" if self._is_broken_off else text))
        if reason:
            self.dropped[reason] += lines
        else:
            self._told = dropped

    def _made(self, item: "_Item") -> str:
        if isinstance(item.text, str):
            return item.text
        try:
            return item.text()
        except Exception as error:  # noqa: BLE001 - a line that can't be made is one that is dropped
            self.last_error = repr(error)
            self.dropped["failed"] += item.lines
            return ""

    def _write_bytes(self, data: bytes) -> str:
        """Why it was not written whole; "" when it was. Waits for as long as the stream takes nothing."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:_CHUNK_BYTES]) :]
            except BlockingIOError:  # somebody who shares the stream wants it that way
                if sys.platform == "win32":  # which waits for files in no other way
                    time.sleep(_LATER_S)
                else:
                    poll = select.poll()
                    poll.register(self._fd, select.POLLOUT)
                    poll.poll()
            except OSError as error:
                self.last_error = (error.strerror or str(error)).lower()
                self._is_broken_off = self._is_broken_off or len(rest) < len(data)
                if error.errno == errno.EBADF:
                    self._fd = -1  # the number may soon be somebody else's
                return REASONS.get(error.errno or 0, "failed")
        self._is_broken_off = False
        return ""


def install() -> None:
    """Open those of the three streams that are closed on the null device, and have an Outlet for what is said.

    Before anything else is opened: a socket or a database would else become stream 0, 1 or 2.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, open to the end
    sys.stdout = cast(TextIO, Outlet(1, _encoding(sys.stdout)))
    sys.stderr = cast(TextIO, Outlet(2, _encoding(sys.stderr)))


def _encoding(stream: TextIO | None) -> str:
    return stream.encoding if stream is not None else "utf-8"


def outlet(stream: TextIO) -> Outlet | None:
    """The Outlet that `install` has put there, None for what somebody else has."""
    standard: object = stream
    return standard if isinstance(standard, Outlet) else None


def deliver(text: str) -> str:
    """Print what a command was asked for, and wait until it is written: why it could not be, "" when it is."""
    sys.stdout.write(f"{text}\n")
    standard = outlet(sys.stdout)
    if standard is None:
        sys.stdout.flush()
        return ""
    standard.drain(None)
    return (standard.last_error or "it takes nothing") if standard.dropped.total() else ""


def _outlets() -> dict[str, Outlet]:
    both = {"stdout": outlet(sys.stdout), "log": outlet(sys.stderr)}
    return {name: standard for name, standard in both.items() if standard is not None}


def dropped() -> dict[str, Counter[str]]:
    """Lines that were not written, by why: `log` (standard error) and `stdout`."""
    return {name: standard.dropped for name, standard in _outlets().items()}


def queues() -> dict[str, tuple[Callable[[], int], int]]:
    """Lines that wait and how many may, of the same two."""
    return {name: (standard.waiting, standard.bound) for name, standard in _outlets().items()}


def drain(seconds: float = AT_THE_END_S) -> None:
    """Wait for what has been said to be written, no longer than `seconds`."""
    deadline = time.monotonic() + seconds
    for standard in _outlets().values():
        standard.drain(max(0.0, deadline - time.monotonic()))
