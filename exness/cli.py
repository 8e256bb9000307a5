"""The command line: arguments in, exit code out. 0 done, 1 could not (one sentence says why), 2 wrong usage."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exness import __version__
from exness.config import Config, ConfigError, UsageError, config_file, load
from exness.core.money import format_usdc
from exness.feeds.scenarios import table
from exness.runtime.ports import StorageError
from exness.venue.faults import Fault, FaultError, parse_fault
from exness.venue.faults import table as fault_table

if TYPE_CHECKING:
    from exness.storage.verify import Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The process's exit code."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # whatever is made is for this user only
    try:
        code: int = options.run(options)
        return code
    except ConfigError as error:
        return _fail(str(error), code=2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exness", description="A leveraged-trading exchange in one process.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_token(commands)
    _add_verify(commands)
    _add_backup(commands)
    _add_venue(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="run the exchange, everything in one process",
        epilog=f"scenarios of the simulated feed:\n{table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_config(serve)
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on, 0 picks a free one (default 8002)")
    serve.add_argument("--feed", choices=("simulated", "backpack", "replay", "manual"), help="where prices come from")
    serve.add_argument("--feed-url", metavar="URL", help="the venue's WebSocket, for --feed backpack")
    serve.add_argument("--replay", metavar="FILE", nargs="+", type=Path, help="recorded files, for --feed replay")
    serve.add_argument(
        "--speed",
        metavar="X",
        help="recorded seconds per second, for --feed replay (default 1); max: as fast as it goes",
    )
    serve.add_argument("--scenario", metavar="NAME", help="what happens to simulated prices (default calm), see below")
    serve.add_argument("--from", dest="replay_from", metavar="TIME", help="replay from here on (2024-08-05T06:00:00Z)")
    serve.add_argument("--to", dest="replay_to", metavar="TIME", help="replay until just before this")
    serve.add_argument("--loop", action="store_true", default=None, help="replay again and again")
    serve.add_argument("--orders", metavar="FILE", type=Path, help="orders that ride along with a replay (CSV)")
    serve.add_argument("--exit-at-end", action="store_true", default=None, help="stop when the replay has ended")
    serve.add_argument(
        "--dev-control",
        action="store_true",
        default=None,
        help="let programs on this machine pay money in, start afresh and, with --feed manual, hold price and clock",
    )
    serve.set_defaults(run=_serve)


def _add_token(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    token = commands.add_parser(
        "token",
        help="print a session token for an address",
        description="Prints a session token, for REST clients and scripts. Its account is made at its first use.",
        allow_abbrev=False,
    )
    token.add_argument("email", metavar="EMAIL")
    token.add_argument(
        "--revoke", action="store_true", help="end every session of the address instead, in a running server too"
    )
    _add_config(token)
    token.set_defaults(run=_token)


def _add_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser(
        "verify",
        help="check a stopped exchange's data, or a backup",
        description="Checks every record, snapshot, table and sum, offline and without changing anything. "
        "Exit code 0: everything agrees; 1: what differs first.",
        allow_abbrev=False,
    )
    verify.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a backup (default: the data directory)")
    _add_config(verify)
    verify.set_defaults(run=_verify)


def _add_backup(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    backup = commands.add_parser(
        "backup",
        help="copy the exchange's data into one file, also while it runs",
        allow_abbrev=False,
    )
    backup.add_argument("file", metavar="FILE", type=Path, help="the new file")
    _add_config(backup)
    backup.set_defaults(run=_backup)
    restore = commands.add_parser(
        "restore",
        help="put a backup into an empty data directory",
        description="Refuses a directory that is in use or holds an exchange.",
        allow_abbrev=False,
    )
    restore.add_argument("file", metavar="FILE", type=Path, help="what `backup` made")
    _add_config(restore)
    restore.set_defaults(run=_restore)


def _add_venue(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    venue = commands.add_parser(
        "venue",
        help="serve Backpack's public protocol on this machine, to test clients against",
        epilog=f"scenarios:\n{table()}\n\nfaults:\n{fault_table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_config_file(venue)
    venue.add_argument("--port", type=_port, default=8003, help="port to listen on, 0 picks a free one (default 8003)")
    prices = venue.add_mutually_exclusive_group()
    prices.add_argument("--replay", metavar="FILE", nargs="+", type=Path, help="prices of recorded files")
    prices.add_argument("--scenario", metavar="NAME", help="simulated prices to which this happens (default calm)")
    venue.add_argument("--speed", metavar="X", help="recorded seconds per second (default 1)")
    venue.add_argument("--from", dest="replay_from", metavar="TIME", help="replay from here on (2024-08-05T06:00:00Z)")
    venue.add_argument("--to", dest="replay_to", metavar="TIME", help="replay until just before this")
    venue.add_argument("--loop", action="store_true", default=None, help="replay again and again")
    venue.add_argument("--seed", metavar="N", help="of simulated prices and of made-up trades (default 0)")
    venue.add_argument(
        "--fault",
        metavar="NAME[:every=N]",
        type=_fault,
        action="append",
        default=[],
        help="what goes wrong at every so many frames of a connection; may be repeated",
    )
    venue.set_defaults(run=_venue)


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _add_config(parser: argparse.ArgumentParser) -> None:
    _add_config_file(parser)
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="where everything is kept (default ./data)")


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings (default ./config.toml, if there is one)")


def _load(options: argparse.Namespace) -> Config:
    """The configuration with the flags given. `--replay` alone means the replay feed."""
    flags = {
        "storage.data_dir": options.data_dir,
        "server.host": getattr(options, "host", None),
        "server.port": getattr(options, "port", None),
        "feed.source": getattr(options, "feed", None),
        "feed.url": getattr(options, "feed_url", None),
        "feed.replay_files": getattr(options, "replay", None),
        "feed.speed": getattr(options, "speed", None),
        "feed.scenario": getattr(options, "scenario", None),
        "feed.replay_from": getattr(options, "replay_from", None),
        "feed.replay_to": getattr(options, "replay_to", None),
        "feed.loop": getattr(options, "loop", None),
        "feed.orders": getattr(options, "orders", None),
        "feed.exit_at_end": getattr(options, "exit_at_end", None),
        "dev.control": getattr(options, "dev_control", None),
    }
    if flags["feed.replay_files"] and flags["feed.source"] is None:
        flags["feed.source"] = "replay"
    return load(options.config, os.environ, flags)


def _serve(options: argparse.Namespace) -> int:
    config = _load(options)
    from exness import app  # what only a server needs is not loaded for `--help`
    from exness.logs import configure

    configure(config.log.level, config.log.format)
    try:
        app.run(config, lambda line: print(line, flush=True), config_file(options.config))
    except (app.StartError, app.StorageError) as error:
        return _fail(str(error))
    except BaseExceptionGroup as group:
        return _fail_group(group)
    return 0


def _venue(options: argparse.Namespace) -> int:
    flags = {
        "feed.source": "replay" if options.replay else "simulated",
        "feed.scenario": options.scenario,
        "feed.seed": options.seed,
        "feed.replay_files": options.replay,
        "feed.speed": options.speed,
        "feed.replay_from": options.replay_from,
        "feed.replay_to": options.replay_to,
        "feed.loop": options.loop,
    }
    config = load(options.config, os.environ, flags)
    from exness.logs import configure
    from exness.venue.run import VenueError, run

    configure(config.log.level, config.log.format)
    try:
        run(config, options.port, options.fault, lambda line: print(line, flush=True))
    except VenueError as error:
        return _fail(str(error))
    return 0


def _fail_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Why the server stopped: the first reason in words, anything unexpected with its trace."""
    from exness import app

    expected, unexpected = group.split((app.StartError, app.StorageError))
    if unexpected is not None:
        raise unexpected
    reasons: BaseException | None = expected
    while isinstance(reasons, BaseExceptionGroup):
        reasons = reasons.exceptions[0]
    return _fail(str(reasons))


def _token(options: argparse.Namespace) -> int:
    config = _load(options)
    from exness import app
    from exness.web.addresses import AddressError, normalised

    try:
        email = normalised(options.email)
        if options.revoke:
            app.revoke_sessions(config, email)
            print(f"every session of {email} is ended; it can sign in again")
        else:
            print(app.issue_token(config, email))
    except AddressError as error:
        return _fail(f"{options.email[:100]!r}: {error}", code=2)
    except app.StorageError as error:
        return _fail(str(error))
    return 0


def _verify(options: argparse.Namespace) -> int:
    data_dir = _load(options).storage.data_dir
    from exness.storage.datadir import held
    from exness.storage.sqlite import MAIN_DB, SNAPSHOTS_DB
    from exness.storage.verify import Difference, verify

    started = time.monotonic()
    try:
        with ExitStack() as stack:
            bar = stack.enter_context(_progress("records"))
            if options.file is None:
                stack.enter_context(held(data_dir))
                report = verify(data_dir / MAIN_DB, data_dir / SNAPSHOTS_DB, bar)
            else:
                report = verify(options.file, None, bar)
    except Difference as difference:
        return _fail(f"{options.file or data_dir} does not agree: {difference}")
    except StorageError as error:
        return _fail(str(error))
    print(_verified(str(options.file or data_dir.resolve()), report, time.monotonic() - started))
    return 0


def _verified(what: str, report: "Report", seconds: float) -> str:
    return "\n".join(
        (
            f"verified {what} in {seconds:.1f} s",
            f"  journal       {report.records:,} records in an unbroken row, every checksum right",
            f"  snapshots     {report.snapshots}, each the state that the journal leads to",
            f"  tables        {report.users:,} users and balances, {report.trades_opened:,} trades of which "
            f"{report.open_trades:,} open, equal to the journal",
            f"  liquidations  {report.liquidations:,} in {report.liquidating_ticks:,} ticks: each due, none overdue",
            f"  books         free + locked + house = {format_usdc(report.deposits)} USDC deposited, at every record",
            f"  state         {report.digest}",
        )
    )


def _backup(options: argparse.Namespace) -> int:
    data_dir = _load(options).storage.data_dir
    from exness.storage.backup import backup

    try:
        with _progress("pages") as bar:
            backup(data_dir, options.file, bar)
    except StorageError as error:
        return _fail(str(error))
    print(f"backed up {data_dir} to {options.file}, {options.file.stat().st_size:,} bytes")
    return 0


def _restore(options: argparse.Namespace) -> int:
    data_dir = _load(options).storage.data_dir
    from exness.storage.backup import restore

    try:
        restore(options.file, data_dir)
    except StorageError as error:
        return _fail(str(error))
    print(f"restored {options.file} to {data_dir}; check it with: python -m exness verify --data-dir {data_dir}")
    return 0


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error for what takes longer than a second."""
    from tqdm import tqdm

    with tqdm(unit=f" {unit}", delay=1.0, mininterval=0.5, file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _version(options: argparse.Namespace) -> int:
    print(f"exness {__version__}")
    return 0


def _fail(message: str, code: int = 1) -> int:
    print(f"exness: {message}", file=sys.stderr)
    return code
