"""process/standard_streams.py: what is said can neither fail nor hold what is done."""

import contextlib
import fcntl
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exness.process.standard_streams import BYTES, LINES, Outlet, printable
from tests.support.process import ROOT
from tests.support.waiting import until_blocking

SOON_S = 10.0
PIPE_BYTES = 4096


class End(NamedTuple):
    """Both ends of a pipe, and who writes to it."""

    write: int
    read: int
    outlets: list[Outlet]

    def outlet(self, encoding: str = "utf-8", *, lines: int = LINES, size: int = BYTES) -> Outlet:
        self.outlets.append(Outlet(self.write, encoding, lines=lines, size=size))
        return self.outlets[-1]

    def take(self, count: int) -> bytes:
        return b"".join(iter(lambda: os.read(self.read, 65_536) if self.holds() else b"", b""))[:count]

    def holds(self) -> bool:
        return bool(select.select([self.read], [], [], 0.05)[0])


@contextlib.contextmanager
def pipe() -> Iterator[End]:
    """Its number is free for others only once nobody writes to it: a thread that still did would write to theirs."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    outlets: list[Outlet] = []
    try:
        yield End(write, read, outlets)
    finally:
        os.close(read)
        idle = [outlet.drain(SOON_S) for outlet in outlets]
        assert all(idle)
        os.close(write)


def closed() -> int:
    """A number that no file gets, unlike that of one that was closed."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def without_reader() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


REFUSING = {
    "closed": (closed, "closed"),
    "no reader": (without_reader, "no_reader"),
    "a full disk": (lambda: os.open("/dev/full", os.O_WRONLY), "disk_full"),
    "open to read only": (lambda: os.open(os.devnull, os.O_RDONLY), "closed"),
    "a folder": (lambda: os.open("/", os.O_RDONLY), "closed"),
}


@pytest.mark.parametrize("name", REFUSING)
def test_what_a_stream_refuses_is_dropped_and_counted_by_why(name: str) -> None:
    opened, reason = REFUSING[name]
    outlet = Outlet(opened())
    print("one", "line", file=outlet)
    outlet.put("and\ntwo more\n")
    outlet.put_later(lambda: "and one\n")
    assert outlet.drain(SOON_S), "nobody waits for it"
    assert +outlet.dropped == {reason: 4}
    assert outlet.waiting() == 0
    assert outlet.last_error != ""


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "O_NONBLOCK"])
def test_a_pipe_that_nobody_reads_holds_nobody_and_keeps_what_it_has_room_for(blocking: bool) -> None:
    with pipe() as end:
        os.set_blocking(end.write, blocking)
        outlet = end.outlet(lines=100)
        began = time.monotonic()
        for number in range(100_000):
            outlet.put(f"line {number:060}\n")
        assert time.monotonic() - began < SOON_S
        dropped = outlet.dropped["queue_full"]
        assert outlet.waiting() <= 100
        assert dropped > 99_000
        assert not outlet.drain(0.05), "it waits no longer than it is told to"

        text = b""

        def read_all() -> bool:
            nonlocal text
            text += end.take(1 << 20)
            return outlet.waiting() == 0

        until_blocking(read_all)
        text += end.take(1 << 20)
        lines = text.decode().splitlines()
        assert len(lines) == 100_000 - dropped, "each is written or counted"
        assert lines == sorted(lines)
        assert +outlet.dropped == {"queue_full": dropped}


def test_lines_are_bounded_by_their_memory_too() -> None:
    with pipe() as end:
        outlet = end.outlet(size=100_000)
        for _ in range(50):
            outlet.put(f"{'x' * 10_000}\n")
        assert outlet.waiting() <= 10
        assert outlet.dropped["queue_full"] == 50 - outlet.waiting()


def test_lines_that_were_dropped_are_told_of_once_there_is_room_again() -> None:
    with pipe() as end:
        outlet = end.outlet(lines=2)
        outlet.tell_dropped = lambda count: f"{count} lost\n"
        for number in range(2_000):
            outlet.put(f"{number:0100}\n")
        text = b""

        def written() -> bool:
            nonlocal text
            text += end.take(1 << 20)
            return outlet.waiting() == 0

        until_blocking(written)
        lost = outlet.dropped["queue_full"]
        outlet.put("the next\n")
        until_blocking(written)
        outlet.put("the one after it\n")
        until_blocking(written)
        text += end.take(1 << 20)
        told = [int(line.split()[0]) for line in text.decode().splitlines() if line.endswith("lost")]
        assert sum(told) == lost > 1_000
        assert text.decode().endswith("the one after it\n")


def test_a_reader_that_comes_back_gets_the_lines_from_then_on(tmp_path: Path) -> None:
    """A named pipe: whoever read the log goes away, and somebody else opens it."""
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    try:
        outlet = Outlet(writer)
        os.close(reader)
        outlet.put("nobody\n")
        assert outlet.drain(SOON_S)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        outlet.put("somebody\n")
        assert outlet.drain(SOON_S)
        assert os.read(reader, 1000) == b"somebody\n"
        assert +outlet.dropped == {"no_reader": 1}
    finally:
        os.close(reader)
        os.close(writer)


ENCODED = {
    "ascii": b"\\u0141\\xf3d\\u017a \\udc80\n",
    "cp1252": b"\\u0141\xf3d\\u017a \\udc80\n",
    "latin-1": b"\\u0141\xf3d\\u017a \\udc80\n",
    "utf-8": "Łódź \\udc80\n".encode(),
    "utf-16-le": "Łódź \\udc80\n".encode("utf-16-le"),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_what_an_encoding_does_not_have_is_escaped(encoding: str) -> None:
    with pipe() as end:
        outlet = end.outlet(encoding)
        outlet.write("Łódź \udc80\n")
        assert outlet.drain(SOON_S)
        assert end.take(100) == ENCODED[encoding]
        assert +outlet.dropped == {}


def test_a_line_is_written_whole_however_it_is_put_together() -> None:
    with pipe() as end:
        outlet = end.outlet()
        outlet.write("half")
        outlet.put("another\n")
        outlet.writelines([" and half\nthen ", "no end"])
        outlet.flush()
        assert outlet.drain(SOON_S)
        assert end.take(100) == b"another\nhalf and half\nthen no end"


def test_a_line_that_cannot_be_made_is_dropped_alone() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    with pipe() as end:
        outlet = end.outlet()
        outlet.put_later(lambda: "before\n")
        outlet.put_later(broken)
        outlet.put_later(lambda: "after\n")
        assert outlet.drain(SOON_S)
        assert end.take(100) == b"before\nafter\n"
        assert +outlet.dropped == {"failed": 1}


def test_a_line_that_broke_off_is_ended_before_the_next(tmp_path: Path) -> None:
    """A disk that fills in the middle of a line, and is cleaned up."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, resource, signal, sys\n"
        "from exness.process.standard_streams import Outlet\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "outlet = Outlet(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "outlet.put('0123456789 and more\\n')\n"
        "assert outlet.drain(10)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "outlet.put('next\\n')\n"
        "assert outlet.drain(10)\n"
        "assert +outlet.dropped == {'failed': 1}, outlet.dropped\n"
    )
    log = tmp_path / "log"
    subprocess.run([sys.executable, script, log], check=True, env={"PYTHONPATH": str(ROOT)}, timeout=60)
    assert log.read_bytes() == b"0123456789\nnext\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Łódź 取引所", "Łódź 取引所"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc", "a\\r\nb\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\x7f\x00", "\\x7f\\x00"),
    ],
)
def test_what_is_printed_steers_no_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text, one_line=True) == shown.replace("\n", "\\n").replace("\t", "\\t")


def test_every_control_character_is_escaped() -> None:
    steering = [
        chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    ]
    for character in steering:
        assert printable(f"a{character}b", one_line=True) == f"a{ascii(character)[1:-1]}b"
        assert printable(f"a{character}b").isprintable() is (character not in "\t\n")
