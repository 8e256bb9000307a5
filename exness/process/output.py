"""What a command says: its result on standard output, warnings and failures on standard error."""

import sys

from exness.process import standard_streams
from exness.process.standard_streams import printable


def say(text: str) -> None:
    """Tell what is done. It is as well done when nobody takes it."""
    print(printable(text))


def deliver(text: str) -> int:
    """Print what was asked for. The exit code: 1 when standard output does not take it."""
    why_not = standard_streams.deliver(text)
    return fail(f"standard output can't be written: {why_not}") if why_not else 0


def warn(line: str) -> None:
    print(printable(f"exness: warning: {line}"), file=sys.stderr)


def fail(message: str, code: int = 1) -> int:
    """Say why it could not be done. Returns the exit code."""
    print(printable(f"exness: {message}"), file=sys.stderr)
    return code
