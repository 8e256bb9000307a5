"""SIGTERM and SIGINT, from the first line of the process to its last.

Handlers of our own stand before anything heavy is imported: a kernel does not deliver to process 1 of a container what
it has no handler for. The first signal ends what a command does, by an exception or, in a server that has begun, in
order; the second one ends the process at once.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGTERM, signal.SIGINT)
LAST_WORDS_S = 0.2
"""How long the sentence of an end at once may take to be written."""


class Interrupted(KeyboardInterrupt):
    """A command was told to end by a signal of this number. A KeyboardInterrupt, which asyncio lets through."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stop:
    """Whether a signal has asked the process to end. `number` is the signal's, 0 before."""

    def __init__(self) -> None:
        self.number = 0
        self._raises = True
        self._hear: Callable[[], object] | None = None

    def take(self) -> None:
        """Take the signals: the first one raises Interrupted from now on. In the main thread."""
        for number in NUMBERS:
            signal.signal(number, self._on_signal)

    @contextmanager
    def heard(self, hear: Callable[[], object]) -> Iterator[None]:
        """For what ends in order: the first signal calls `hear` instead, also one that has come already."""
        self._hear = hear
        self._raises = False
        if self.number:
            hear()
        try:
            yield
        finally:
            self._hear = None

    def no_longer(self) -> None:
        """What there was to do is done: a first signal changes nothing any more."""
        self._raises = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            self._end_at_once()
        self.number = number
        if self._raises:
            raise Interrupted(number)
        if self._hear is not None:
            self._hear()

    def _end_at_once(self) -> None:
        from exness.process import (
            standard_streams as streams,  # here, because nothing comes before the signals are taken
        )

        sys.stderr.write("stopped at once, without waiting for requests in flight\n" if self._hear else "")
        streams.drain(LAST_WORDS_S)
        os._exit(1)
