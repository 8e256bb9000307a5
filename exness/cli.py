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
from exness.config import Config, ConfigError, UsageError, load
from exness.core.money import format_usdc
from exness.runtime.ports import StorageError

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
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser("serve", help="run the exchange, everything in one process", allow_abbrev=False)
    _add_config(serve)
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on, 0 picks a free one (default 8002)")
    serve.add_argument("--feed", choices=("simulated", "backpack", "replay"), help="where prices come from")
    serve.add_argument("--feed-url", metavar="URL", help="the venue's WebSocket, for --feed backpack")
    serve.add_argument("--replay", metavar="FILE", nargs="+", type=Path, help="recorded files, for --feed replay")
    serve.add_argument("--speed", metavar="X", help="recorded seconds per second, for --feed replay (default 1)")
    serve.set_defaults(run=_serve)


def _add_token(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    token = commands.add_parser(
        "token",
        help="print a session token for an address",
        description="Prints a session token, for REST clients and scripts. Its account is made at its first use.",
        allow_abbrev=False,
    )
    token.add_argument("email", metavar="EMAIL")
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


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings (default ./config.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="where everything is kept (default ./data)")


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
        app.run(config, lambda line: print(line, flush=True))
    except (app.StartError, app.StorageError) as error:
        return _fail(str(error))
    except BaseExceptionGroup as group:
        return _fail_group(group)
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
        print(app.issue_token(config, normalised(options.email)))
    except AddressError as error:
        return _fail(str(error), code=2)
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
