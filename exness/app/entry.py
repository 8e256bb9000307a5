"""A server as a process: its loop, its limits, its role."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from exness.app.build import StartError
from exness.app.life import serve_all
from exness.config import Config
from exness.process.signals import Stop
from exness.process.sockets import allow_connections
from exness.process.stopping import stop_event
from exness.process.threads import Threads

_log = structlog.get_logger("exness.app.entry")

SWITCH_INTERVAL_S = 0.000_1
"""How long a busy loop keeps Python's lock from the threads that write. At the usual 5 ms a loop that never idles
starves the journal: one append then took up to 21 s, at 0.1 ms at most 0.1 s."""


async def serve(
    config: Config,
    say: Callable[[str], None],
    stop: Stop,
    config_file: Path | None = None,
    *,
    warnings: Sequence[str] = (),
) -> None:
    """Run the configured role until `stop` hears SIGTERM or SIGINT, also when that is before it listens.

    `say` prints a line to the operator. `config_file` is where the settings came from, `warnings` are what the banner
    is to warn of beside what the settings tell.

    Raises an OperatorError when it can't start, and whatever stopped it when it could not go on.
    """
    with stop_event(stop) as stopping:
        if config.deploy.role == "all":
            if config.deploy.bus:
                raise StartError(
                    'deploy.role "all" does everything by itself: name a part with --role, or unset deploy.bus'
                )
            await serve_all(config, say, stopping, config_file, warnings)
        else:
            from exness.app.roles import serve_role  # what one process needs not is not loaded

            await serve_role(config, say, stopping, warnings)


def run(config: Config, say: Callable[[str], None], stop: Stop, config_file: Path | None = None) -> None:
    """`serve` on uvloop where it installs."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    wanted = config.server.max_connections
    connections = allow_connections(wanted)
    warnings = []
    if connections < wanted:
        _log.warning("the limit of open files allows fewer connections", max_connections=wanted, allowed=connections)
        warnings.append(
            f"the system's limit of open files allows {connections} connections, not max_connections = {wanted}: "
            f"raise it (ulimit -n, LimitNOFILE)"
        )
        config = msgspec.structs.replace(
            config, server=msgspec.structs.replace(config.server, max_connections=connections)
        )
    new_loop = asyncio.new_event_loop
    with suppress(ImportError):
        import uvloop

        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.get_loop().set_default_executor(Threads(thread_name_prefix="exness"))
        runner.run(serve(config, say, stop, config_file, warnings=warnings))
