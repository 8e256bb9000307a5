"""`python -m exness` and the command `exness`: signals and streams first, then the command line."""

import os
import sys
import threading

from exness.process.signals import Interrupted, Stop
from exness.process.standard_streams import drain, install

SERVERS = ("serve", "venue")
"""Commands that end with 0 when they are told to."""


def main() -> int:
    """Run one command. Returns the process's exit code."""
    stop = Stop()
    stop.take()
    install()
    code = _run(stop)
    drain()
    others = [thread for thread in threading.enumerate() if not (thread.daemon or thread is threading.main_thread())]
    if others:  # one that hangs, in a name look-up for instance, must not hold the end: everything is done and closed
        os._exit(code)
    return code


def _run(stop: Stop) -> int:
    try:
        from exness.cli import main as command  # only now: it takes its time

        return command(stop)
    except Interrupted as signal:
        if sys.argv[1:2] and sys.argv[1] in SERVERS:
            sys.stderr.write("exness: stopped before it was open\n")
            return 0
        sys.stderr.write("exness: interrupted\n")
        return 128 + signal.number
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 - told here, because the streams are drained after it
        import traceback

        traceback.print_exc()
        return 1
    finally:
        stop.no_longer()


if __name__ == "__main__":
    sys.exit(main())
