"""Text that people and their tools hand us: the one place where its bytes become characters.

All of it is UTF-8, with or without the byte order mark that Excel and Windows put before it, in lines that end in LF,
CRLF or CR. Settings are read here (`read_whole`), JSON that begins with a mark (`without_mark`), and recordings and
orders, which are tables (`open_table`). A table is CSV as RFC 4180 has it: fields may stand in quotes and between
spaces, blank lines say nothing. It may be gzip, by its content whatever its name says, and as no rule makes CSV UTF-8
it may be UTF-16 or UTF-32 if its byte order mark says so. It is read a line at a time, and no line is longer than
MAX_LINE: a file without line ends would fill the memory.

Every TextError completes the sentence "<file> ..." or, with a `line`, "<file>, line <n>: ...".
"""

import codecs
import csv
import gzip
import io
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MAX_LINE = 1_000
"""Characters, the line's end among them."""
MAX_WHOLE = 2**20
"""Bytes of a file that is read as a whole."""

_HEAD = 16
_GZIP = b"\x1f\x8b"
_UTF_16_OR_32 = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NO_TEXT = (
    (_GZIP, "a gzip file"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format", "a database"),
    (b"%PDF", "a PDF file"),
)


class TextError(Exception):
    """Not text that we read. `line` counts from 1; None: the file as a whole."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line

    def about(self, file: str) -> str:
        """The whole sentence."""
        return f"{file} {self}" if self.line is None else f"{file}, line {self.line}: {self}"


def read_whole(path: Path) -> str:
    """A small file that has to be UTF-8, its lines ended by LF. Raises TextError, and OSError like `open`."""
    with path.open("rb") as file:
        data = file.read(MAX_WHOLE + 1)
    if len(data) > MAX_WHOLE:
        raise TextError(f"is larger than {MAX_WHOLE} bytes")
    other = _other_than_utf_8(data[:_HEAD])
    if other is not None:
        raise TextError(f"is not UTF-8 text: it is {other}")
    try:
        return _with_lf(data.decode("utf-8-sig"))
    except UnicodeDecodeError as wrong:
        before = _with_lf(wrong.object[: wrong.start].decode()).split("\n")
        where = f"line {len(before)}, column {len(before[-1]) + 1}"
        raise TextError(f"is not UTF-8 text (byte 0x{wrong.object[wrong.start]:02x} at {where})") from None


def without_mark(data: bytes) -> bytes:
    """JSON as it is, but without a byte order mark, which RFC 8259 (8.1) allows to ignore."""
    return data.removeprefix(codecs.BOM_UTF8)


class Table:
    """A CSV file: its header, and its rows as lists of fields, without the spaces around them."""

    def __init__(self, lines: "_Lines") -> None:
        self.line = 0
        """The number of the line that was taken last."""
        self._rows = self._read(lines)
        self.header: Sequence[str] = next(self._rows, ())
        """The first line that is not blank; empty when there is none."""

    def __iter__(self) -> Iterator[list[str]]:
        """Rows that are not blank, each with as many fields as the header. Raises TextError."""
        count = len(self.header)
        for fields in self._rows:
            if len(fields) != count:
                raise TextError(f"has {len(fields)} fields instead of {count}", self.line)
            yield fields

    def _read(self, lines: "_Lines") -> Iterator[list[str]]:
        try:
            for fields in csv.reader(iter(lines), strict=True, skipinitialspace=True):
                self.line += 1
                if lines.number != self.line:
                    raise TextError("is no row of CSV: a quote is opened and not closed", self.line)
                stripped = [field.strip() for field in fields]
                if any(stripped):
                    yield stripped
        except csv.Error as wrong:
            raise TextError(f"is no row of CSV: {wrong}", self.line + 1) from None


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A CSV file, read a line at a time. Raises TextError for whatever is wrong with it, also when rows are taken."""
    lines: _Lines | None = None
    try:
        _check_regular(path)
        with path.open("rb") as file:
            lines = _Lines(_as_text(file))
            yield Table(lines)
    except (gzip.BadGzipFile, EOFError, zlib.error) as wrong:
        taken = lines.number if lines else 0
        raise TextError(f"is not a complete gzip file (after line {taken})") from wrong
    except UnicodeError as wrong:
        taken = lines.number if lines else 0
        raise TextError(f"is not the text that its byte order mark says (after line {taken})") from wrong
    except OSError as wrong:
        raise TextError(f"cannot be read: {wrong.strerror or wrong}") from wrong


class _Lines:
    """The lines of an open file. `number` is that of the last one taken, 0 before the first."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._readline = text.readline
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._readline(MAX_LINE):
            self.number += 1
            if len(line) == MAX_LINE and line[-1] != "\n":
                raise TextError(f"is longer than {MAX_LINE} characters", self.number)
            if not line.isascii():
                self._check(line)
            yield line

    def _check(self, line: str) -> None:
        """Bytes that are no UTF-8 have come as surrogates, so that it is known where they stand."""
        for column, character in enumerate(line, 1):
            if "\udc80" <= character <= "\udcff":
                byte = ord(character) - 0xDC00
                raise TextError(f"is not UTF-8 text (byte 0x{byte:02x} as character {column})", self.number)


def _check_regular(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise TextError("cannot be read: it is a pipe or a device, and it has to be read twice, to check it first")


def _as_text(file: io.BufferedReader) -> io.TextIOWrapper:
    head = file.peek(_HEAD)[:_HEAD]
    if not head.startswith(_GZIP):
        return _decoded(file, head)
    packed = gzip.GzipFile(fileobj=file, mode="rb")
    return _decoded(packed, packed.peek(_HEAD)[:_HEAD])


def _decoded(source: io.BufferedReader | gzip.GzipFile, head: bytes) -> io.TextIOWrapper:
    for mark, encoding in _UTF_16_OR_32:
        if head.startswith(mark):
            return io.TextIOWrapper(source, encoding)
    other = _other_than_utf_8(head)
    if other is not None:
        raise TextError(f"is not text: it is {other}")
    return io.TextIOWrapper(source, "utf-8-sig", errors="surrogateescape")


def _other_than_utf_8(head: bytes) -> str | None:
    """What the first bytes say, when that is something else."""
    for start, name in (*_UTF_16_OR_32, *_NO_TEXT):
        if head.startswith(start):
            return name
    return "UTF-16 without a byte order mark, or no text at all" if b"\0" in head else None


def _with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
