"""The command line: arguments in, exit code out. 0 done, 1 could not (one sentence says why), 2 wrong usage."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exness import __version__, upkeep
from exness.config import Config, ConfigError, UsageError, config_file, load, resolve
from exness.config.flags import Help, HelpWithTables, add_flags, flags_of
from exness.feeds.scenarios import table
from exness.mockvenue.faults import Fault, FaultError, parse_fault
from exness.mockvenue.faults import table as fault_table
from exness.process.output import deliver, fail, say, warn
from exness.process.signals import Stop

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(stop: Stop, arguments: Sequence[str] | None = None) -> int:
    """Run one command. The process's exit code.

    A signal ends `serve` and `venue` in order, with 0. In any other command, and before, it raises Interrupted.
    """
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # whatever is made is for this user only
    try:
        code: int = options.run(options, stop) if options.is_server else options.run(options)
        return code
    except ConfigError as error:
        return fail(str(error), code=2 if isinstance(error, UsageError) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exness", description="A leveraged-trading exchange in one process.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_config(commands)
    _add_token(commands)
    _add_verify(commands)
    _add_backup(commands)
    _add_repair(commands)
    _add_venue(commands)
    _command(commands, "version", _version, "print the version")
    return parser


def _add_serve(commands: "Commands") -> None:
    serve = _command(
        commands,
        "serve",
        _serve,
        "run the exchange, everything in one process",
        is_server=True,
        epilog=f"scenarios of the simulated feed:\n{table()}",
    )
    _add_config_file(serve)
    add_flags(serve)


def _add_config(commands: "Commands") -> None:
    config = _command(
        commands,
        "config",
        _config,
        "print the settings that `serve` would use",
        description="Prints every setting, explained and with where it comes from, as a config.toml. Secrets are left "
        "out. It takes the flags of `serve`.",
    )
    form = config.add_mutually_exclusive_group()
    form.add_argument("--defaults", action="store_true", help="print the config.toml of all defaults instead")
    form.add_argument("--table", action="store_true", help="print one line for each setting")
    form.add_argument("--markdown", action="store_true", help="print a table of all there are, as in docs/SETTINGS.md")
    _add_config_file(config)
    add_flags(config)


def _add_token(commands: "Commands") -> None:
    token = _command(
        commands,
        "token",
        _token,
        "print a session token for an address",
        description="Prints a session token, for REST clients and scripts. Its account is made at its first use.",
    )
    token.add_argument("email", metavar="EMAIL")
    token.add_argument(
        "--revoke", action="store_true", help="end every session of the address instead, in a running server too"
    )
    _add_data_dir(token)


def _add_verify(commands: "Commands") -> None:
    verify = _command(
        commands,
        "verify",
        _verify,
        "check a stopped exchange's data, or a backup",
        description="Checks every record, snapshot, table and sum, offline and without changing anything. "
        "Exit code 0: everything agrees; 1: what differs first.",
    )
    verify.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a backup (default: the data directory)")
    _add_data_dir(verify)


def _add_backup(commands: "Commands") -> None:
    backup = _command(commands, "backup", _backup, "copy the exchange's data into one file, also while it runs")
    backup.add_argument("file", metavar="FILE", type=Path, help="the new file")
    _add_data_dir(backup)
    restore = _command(
        commands,
        "restore",
        _restore,
        "put a backup into an empty data directory",
        description="Refuses a directory that is in use or holds an exchange.",
    )
    restore.add_argument("file", metavar="FILE", type=Path, help="what `backup` made")
    _add_data_dir(restore)


def _add_repair(commands: "Commands") -> None:
    rebuild = _command(
        commands,
        "rebuild",
        _rebuild,
        "make the tables of main.db anew from the journal, while no server runs",
        description="A server does so by itself when it has to, behind the open port.",
    )
    _add_data_dir(rebuild)
    repair = _command(
        commands,
        "repair",
        _repair,
        "show the first damaged record of the journal, and cut it if it is the newest",
        description="Without --cut nothing is changed.",
    )
    repair.add_argument("--cut", action="store_true", help="remove the newest record; a copy of it is kept")
    _add_data_dir(repair)


def _add_venue(commands: "Commands") -> None:
    venue = _command(
        commands,
        "venue",
        _venue,
        "serve Backpack's public protocol on this machine, to test clients against",
        is_server=True,
        epilog=f"scenarios:\n{table()}\n\nfaults:\n{fault_table()}",
    )
    _add_config_file(venue)
    venue.add_argument("--port", type=_port, default=8003, help="port to listen on, 0 picks a free one (default 8003)")
    prices = venue.add_mutually_exclusive_group()
    add_flags(prices, "feed.replay_files", "feed.scenario")
    add_flags(venue, "feed.speed", "feed.replay_from", "feed.replay_to", "feed.loop", "feed.allow_gaps", "feed.seed")
    venue.add_argument(
        "--fault",
        metavar="NAME[:every=N]",
        type=_fault,
        action="append",
        default=[],
        help="what goes wrong at every so many frames of a connection; may be repeated",
    )


def _command(
    commands: "Commands",
    name: str,
    run: Callable[..., int],
    summary: str,
    *,
    is_server: bool = False,
    description: str | None = None,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """One more command, and what runs it: `run(options)`, or `run(options, stop)` for a server. An epilog is shown line
    by line as it stands."""
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=HelpWithTables if epilog else Help,
        allow_abbrev=False,
    )
    command.set_defaults(run=run, is_server=is_server)
    return command


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    _add_config_file(parser)
    add_flags(parser, "storage.data_dir")


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings (default ./config.toml, if there is one)")


def _load(options: argparse.Namespace, warn: Callable[[str], None] = warn) -> Config:
    """The configuration with the flags given."""
    return load(options.config, os.environ, _flags(options), warn)


def _flags(options: argparse.Namespace) -> dict[str, object]:
    """What the flags say of each setting. `--replay` alone means the replay feed."""
    flags = flags_of(options)
    if flags["feed.replay_files"] and flags["feed.source"] is None:
        flags["feed.source"] = "replay"
    return flags


def _config(options: argparse.Namespace) -> int:
    from exness.config import texts

    if options.defaults or options.markdown:
        return deliver(texts.default_file() if options.defaults else texts.markdown())
    resolved = resolve(options.config, os.environ, _flags(options), warn)
    return deliver(texts.effective_table(resolved) if options.table else texts.effective_file(resolved))


def _serve(options: argparse.Namespace, stop: Stop) -> int:
    ignored: list[str] = []
    config = _load(options, ignored.append)
    from exness.app import life  # what only a server needs is not loaded for `--help`

    _configure_logs(config, ignored)
    try:
        life.run(config, say, stop, config_file(options.config))
    except (life.StartError, life.StorageError) as error:
        return fail(str(error))
    except BaseExceptionGroup as group:
        return _fail_group(group)
    return 0


def _venue(options: argparse.Namespace, stop: Stop) -> int:
    given = {name: value for name, value in _flags(options).items() if value is not None}
    # Its port is its own: a bad one of the exchange's must not keep it from starting.
    flags = {"feed.source": "simulated", "server.port": options.port, **given}
    ignored: list[str] = []
    config = load(options.config, os.environ, flags, ignored.append)
    from exness.mockvenue.run import VenueError, run

    _configure_logs(config, ignored)
    try:
        run(config, options.port, options.fault, say, stop)
    except VenueError as error:
        return fail(str(error))
    return 0


def _configure_logs(config: Config, ignored: Sequence[str]) -> None:
    """Logging as configured, and in its form what of the environment was ignored."""
    import structlog

    from exness.observability.logs import configure

    configure(config.log.level, config.log.format)
    log = structlog.get_logger("exness.config")
    for line in ignored:
        log.warning(line)


def _fail_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Why the server stopped: the first reason in words, anything unexpected with its trace."""
    from exness.app import life

    expected, unexpected = group.split((life.StartError, life.StorageError))
    if unexpected is not None:
        raise unexpected
    reasons: BaseException | None = expected
    while isinstance(reasons, BaseExceptionGroup):
        reasons = reasons.exceptions[0]
    return fail(str(reasons))


def _token(options: argparse.Namespace) -> int:
    config = _load(options)
    from exness.access.emails import AddressError, normalised
    from exness.app import tokens
    from exness.runtime.ports.journal import StorageError

    try:
        email = normalised(options.email)
        if options.revoke:
            tokens.revoke_sessions(config, email)
            say(f"every session of {email} is ended; it can sign in again")
        else:
            (token,) = tokens.issue_tokens(config, [email])
            return deliver(token)
    except AddressError as error:
        return fail(f"{options.email[:100]!r}: {error}", code=2)
    except StorageError as error:
        return fail(str(error))
    return 0


def _verify(options: argparse.Namespace) -> int:
    return upkeep.verify(_load(options).storage.data_dir, options.file)


def _rebuild(options: argparse.Namespace) -> int:
    return upkeep.rebuild(_load(options).storage.data_dir)


def _repair(options: argparse.Namespace) -> int:
    return upkeep.repair(_load(options).storage.data_dir, cut=options.cut)


def _backup(options: argparse.Namespace) -> int:
    return upkeep.backup(_load(options).storage.data_dir, options.file)


def _restore(options: argparse.Namespace) -> int:
    return upkeep.restore(_load(options).storage.data_dir, options.file)


def _version(options: argparse.Namespace) -> int:
    return deliver(f"exness {__version__}")
