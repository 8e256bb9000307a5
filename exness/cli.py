"""The command line: arguments in, exit code out. 0 done, 1 could not (one sentence says why), 2 wrong usage."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exness import __version__
from exness.config import Config, ConfigError, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The process's exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except ConfigError as error:
        return _fail(str(error))
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


def _version(options: argparse.Namespace) -> int:
    print(f"exness {__version__}")
    return 0


def _fail(message: str, code: int = 1) -> int:
    print(f"exness: {message}", file=sys.stderr)
    return code
