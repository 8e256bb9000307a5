"""The command line: arguments in, exit code out. 0 done, 1 could not (one sentence says why), 2 wrong usage."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from exness import __version__, upkeep
from exness.arguments import (
    add_config_file,
    config_takes,
    data_dir_takes,
    file_takes,
    key_takes,
    open_takes,
    serve_takes,
    statement_takes,
    switch_takes,
    token_takes,
)
from exness.config import Config, config_file, load, resolve
from exness.config.flags import Help, HelpWithTables, add_flags, flags_of
from exness.feeds.scenarios import table
from exness.mockvenue.faults import Fault, FaultError, parse_fault
from exness.mockvenue.faults import table as fault_table
from exness.process.errors import OperatorError
from exness.process.output import deliver, fail, say, warn
from exness.process.signals import Stop

if TYPE_CHECKING:
    from exness.storage.postgres.session import Address


def main(stop: Stop, arguments: Sequence[str] | None = None) -> int:
    """Run one command. The process's exit code.

    A signal ends `serve` and `venue` in order, with 0. In any other command, and before, it raises Interrupted.
    """
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # whatever is made is for this user only
    command: Command = options.command
    try:
        return command.run(options, stop) if command.is_server else command.run(options)
    except OperatorError as error:
        return fail(str(error), error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exness", description="A leveraged-trading exchange in one process.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"exness {__version__}")
    parsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = parsers.add_parser(
            command.name,
            help=command.summary,
            description=command.described,
            epilog=command.epilog,
            formatter_class=HelpWithTables if command.epilog else Help,
            allow_abbrev=False,
        )
        added.set_defaults(command=command)
        if command.takes is not None:
            command.takes(added)
    return parser


class Command(NamedTuple):
    """One command, and what runs it: `run(options)`, or `run(options, stop)` for a server."""

    name: str
    run: Callable[..., int]
    summary: str
    takes: Callable[[argparse.ArgumentParser], object] | None
    """Adds its arguments."""
    details: str = ""
    """What its help says after the summary."""
    epilog: str | None = None
    """Is shown line by line as it stands."""
    is_server: bool = False

    @property
    def described(self) -> str:
        return f"{self.summary[0].upper()}{self.summary[1:]}. {self.details}".strip()


# Arguments


def _venue_takes(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser)
    parser.add_argument("--port", type=_port, default=8003, help="port to listen on, 0 picks a free one (default 8003)")
    prices = parser.add_mutually_exclusive_group()
    add_flags(prices, "feed.replay_files", "feed.scenario")
    add_flags(parser, "feed.speed", "feed.replay_from", "feed.replay_to", "feed.loop", "feed.allow_gaps", "feed.seed")
    parser.add_argument(
        "--fault",
        metavar="NAME[:every=N]",
        type=_fault,
        action="append",
        default=[],
        help="what goes wrong at every so many frames of a connection; may be repeated",
    )


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


# What they do


def _load(options: argparse.Namespace, warn: Callable[[str], None] = warn) -> Config:
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
    from exness.app import entry  # what only a server needs is not loaded for `--help`

    _configure_logs(config, ignored)
    try:
        entry.run(config, say, stop, config_file(options.config))
    except BaseExceptionGroup as group:
        raise _first_reason(group) from None
    return 0


def _venue(options: argparse.Namespace, stop: Stop) -> int:
    given = {name: value for name, value in _flags(options).items() if value is not None}
    # Its port is its own: a bad one of the exchange's must not keep it from starting.
    flags = {"feed.source": "simulated", "server.port": options.port, **given}
    ignored: list[str] = []
    config = load(options.config, os.environ, flags, ignored.append)
    from exness.mockvenue.run import run

    _configure_logs(config, ignored)
    run(config, options.port, options.fault, say, stop)
    return 0


def _configure_logs(config: Config, ignored: Sequence[str]) -> None:
    """Logging as configured, and in its form what of the environment was ignored."""
    import structlog

    from exness.observability.logs import configure

    configure(config.log.level, config.log.format)
    log = structlog.get_logger("exness.config")
    for line in ignored:
        log.warning(line)


def _first_reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Why the server stopped: the first reason in words, or all that is unexpected, to be shown with its trace."""
    expected, unexpected = group.split(OperatorError)
    reason: BaseException | None = unexpected or expected
    while unexpected is None and isinstance(reason, BaseExceptionGroup):
        reason = reason.exceptions[0]
    assert reason is not None, "a group has its reasons"
    return reason


class _BadAddress(OperatorError):
    exit_code = 2


def _address(text: str) -> str:
    from exness.access.emails import AddressError, normalised

    try:
        return normalised(text)
    except AddressError as error:
        raise _BadAddress(f"{text[:100]!r}: {error}") from error


def _token(options: argparse.Namespace) -> int:
    config, email = _load(options), _address(options.email)
    from exness.app import tokens

    if not options.revoke:
        (token,) = tokens.issue_tokens(config, [email])
        return deliver(token)
    tokens.revoke_sessions(config, email)
    say(f"every session of {email} is ended; it can sign in again")
    return 0


def _key(options: argparse.Namespace) -> int:
    config, email = _load(options), _address(options.email)
    from exness.app import keys

    match options.action:
        case "create":
            return keys.create(config, email, options.name, read_only=options.read_only, days=options.days)
        case "list":
            return keys.list_all(config, email)
        case _:
            return keys.revoke(config, email, options.key)


def _ledger() -> ModuleType:
    from exness.app import ledger

    return ledger


def _open(options: argparse.Namespace) -> int:
    import webbrowser

    config = _load(options)
    from exness.app import tokens
    from exness.app.banner import YOU

    link = tokens.make_link(config, _address(options.email or YOU))
    if link is None:
        return fail(
            f"no exchange runs on {config.storage.data_dir}: start one with `serve`, or name it with --data-dir"
        )
    code = deliver(link)
    if not options.no_browser and not webbrowser.open(link):
        warn("no browser could be opened: open the link yourself")
    return code


def _restore(options: argparse.Namespace) -> int:
    config = _load(options)
    from exness.app.build import auth_secrets_there

    if config.deploy.database:
        return fail(
            "a backup is restored into a data directory, and deploy.database is set: bring a database back with "
            "PostgreSQL's own means (pg_restore, pg_basebackup), or unset it for this command"
        )
    return upkeep.restore(config.storage.data_dir, options.file, auth_secrets_there(config))


def _place(options: argparse.Namespace) -> "tuple[Path, Address | None]":
    """Where the exchange is kept: the data directory, or a database."""
    config = _load(options)
    from exness.app.databases import address_of

    return config.storage.data_dir, address_of(config)


COMMANDS = (
    Command(
        "serve",
        _serve,
        "run the exchange, everything in one process",
        serve_takes,
        epilog=f"scenarios of the simulated feed:\n{table()}",
        is_server=True,
    ),
    Command(
        "config",
        _config,
        "print the settings that `serve` would use",
        config_takes,
        "Each is explained and has where it comes from, as a config.toml; secrets are left out. It takes the flags of "
        "`serve`.",
    ),
    Command(
        "token",
        _token,
        "print a session token for an address",
        token_takes,
        "It is for REST clients and scripts. The account is made at the token's first use.",
    ),
    Command(
        "key",
        _key,
        "make, list and revoke API keys",
        key_takes,
        "They are for programs: they sign requests of this API, and those of Binance clients. A running "
        "server learns of each at once. The account is made at a key's first use.",
    ),
    Command(
        "open",
        _open,
        "open the terminal of a running exchange in the browser, signed in",
        open_takes,
        "The link works once and for a few minutes; it is printed, too. The exchange is the one that runs on the data "
        "directory.",
    ),
    Command(
        "accounts",
        lambda options: _ledger().accounts(_load(options), as_csv=options.csv),
        "list all accounts, also while the exchange runs",
        switch_takes("--csv", "print it as CSV, for a spreadsheet or a program"),
        "Each with its free and locked USDC, how many trades it has opened, how many of them are open, and what those "
        "that have ended have realized.",
    ),
    Command(
        "statement",
        lambda options: _ledger().statement(_load(options), _address(options.email), as_csv=options.csv),
        "print what moved the balance of an address, also while the exchange runs",
        statement_takes,
        "Newest first, every row of /account/statement.",
    ),
    Command(
        "verify",
        lambda options: upkeep.verify(*_place(options), options.file),
        "check a stopped exchange's data, or a backup",
        file_takes("a backup (default: the data directory)", nargs="?"),
        "Every record, snapshot, table and sum is checked; nothing is changed. The exit code is 0 if all agree, or 1 "
        "with the first difference.",
    ),
    Command(
        "backup",
        lambda options: upkeep.backup(*_place(options), options.file),
        "copy the exchange's data into one file, also while it runs",
        file_takes("the new file"),
        "The file appears under its name when it is whole, and never replaces another one.",
    ),
    Command(
        "restore",
        _restore,
        "put a backup into an empty data directory",
        file_takes("what `backup` made"),
        "A directory that is in use or holds an exchange is refused.",
    ),
    Command(
        "archive",
        lambda options: upkeep.archive(*_place(options), back=options.restore),
        "move the beginning of the journal into a compressed file, also while the exchange runs",
        switch_takes("--restore", "put all of it back, while no server runs"),
        "Only records that no start needs are moved: a replay of the journal has first confirmed the snapshot after "
        "them.",
    ),
    Command(
        "upgrade",
        lambda options: upkeep.upgrade(_load(options), check=options.check),
        "bring a stopped exchange's data to this version's form, as a start does",
        switch_takes("--check", "only say what would happen and about how long it would take"),
    ),
    Command(
        "rebuild",
        lambda options: upkeep.rebuild(*_place(options)),
        "make the tables of main.db anew from the journal, while no server runs",
        data_dir_takes,
        "A server does this by itself when it has to, behind the open port.",
    ),
    Command(
        "repair",
        lambda options: upkeep.repair(*_place(options), cut=options.cut),
        "show the first damaged record of the journal, and cut it if it is the newest",
        switch_takes("--cut", "remove the newest record; a copy of it is kept"),
        "Nothing is changed without --cut.",
    ),
    Command(
        "venue",
        _venue,
        "serve Backpack's public protocol on this machine, to test clients against",
        _venue_takes,
        epilog=f"scenarios:\n{table()}\n\nfaults:\n{fault_table()}",
        is_server=True,
    ),
    Command("version", lambda options: deliver(f"exness {__version__}"), "print the version", None),
)
