"""A signal to end, as an event of the loop."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from exness.process.signals import Stop


@contextmanager
def stop_event(stop: Stop) -> Iterator[asyncio.Event]:
    """Set by the first signal, also by one that came before."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    with _woken_by_signals(loop), stop.heard(lambda: loop.call_soon_threadsafe(event.set)):
        if stop.number:
            event.set()
        yield event


@contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """A handler runs in Python only once the loop does. uvloop sees to that itself; asyncio's, when a signal comes just
    before it waits, would wait for whatever comes next."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            yield
            return
        loop.add_reader(ours, ours.recv, 4096)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            loop.remove_reader(ours)
