"""process/threads.py: the end waits for no thread that hangs."""

import asyncio
import subprocess
import sys
import threading

import pytest

from exness.process.threads import in_thread_of_its_own
from tests.support.process import ROOT


async def test_what_a_thread_returns_or_raises_comes_back() -> None:
    assert await in_thread_of_its_own(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread_of_its_own(lambda: 1 / 0)


async def test_a_cancelled_caller_does_not_wait_for_the_thread() -> None:
    started, may_end = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        may_end.wait(60)

    waiting = asyncio.create_task(in_thread_of_its_own(work))
    await asyncio.to_thread(started.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (thread,) = [each for each in threading.enumerate() if each.name.endswith("work")]
    assert thread.daemon
    may_end.set()
    await asyncio.to_thread(thread.join)


SCRIPT = """
import asyncio, sys, time
from exness import __main__, cli
from exness.process.threads import Threads, in_thread_of_its_own

async def leaves_threads():
    asyncio.get_running_loop().set_default_executor(Threads())
    hanging = [asyncio.create_task(asyncio.to_thread(time.sleep, 600)) for _ in range(2)]
    hanging.append(asyncio.create_task(in_thread_of_its_own(lambda: time.sleep(600))))
    await asyncio.sleep(0.1)
    print("done")

def command(stop):
    asyncio.run(leaves_threads())
    return 7

cli.main = command
sys.exit(__main__.main())
"""


def test_a_process_ends_although_a_name_look_up_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "done\n", "")
