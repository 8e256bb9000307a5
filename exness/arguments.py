"""Arguments of commands."""

import argparse
from collections.abc import Callable
from pathlib import Path

from exness.config.flags import Help, add_flags


def data_dir_takes(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser)
    add_flags(parser, "storage.data_dir")


def add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings (default ./config.toml, if there is one)")


def serve_takes(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser)
    add_flags(parser)


def config_takes(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--defaults", action="store_true", help="print the config.toml of all defaults instead")
    form.add_argument("--table", action="store_true", help="print one line for each setting")
    form.add_argument("--markdown", action="store_true", help="print a table of all there are, as in docs/SETTINGS.md")
    serve_takes(parser)


def file_takes(what: str, nargs: str | None = None) -> Callable[[argparse.ArgumentParser], None]:
    def takes(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs=nargs, type=Path, help=what)
        data_dir_takes(parser)

    return takes


def switch_takes(flag: str, what: str) -> Callable[[argparse.ArgumentParser], None]:
    def takes(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(flag, action="store_true", help=what)
        data_dir_takes(parser)

    return takes


def token_takes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email", metavar="EMAIL")
    parser.add_argument(
        "--revoke", action="store_true", help="end every session of the address instead, in a running server too"
    )
    data_dir_takes(parser)


def statement_takes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email", metavar="EMAIL")
    switch_takes("--csv", "print it as CSV, for a spreadsheet or a program")(parser)


def open_takes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email", metavar="EMAIL", nargs="?", help="who to sign in (default you@example.com)")
    parser.add_argument("--no-browser", action="store_true", help="print the link only")
    data_dir_takes(parser)


def key_takes(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION", dest="action")
    create = _action(kinds, "create", "make one; prints a line of JSON with key and secret")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--name", metavar="NAME", default="command line", help="what it is called in lists")
    create.add_argument("--read-only", action="store_true", help="it may not trade")
    create.add_argument("--days", metavar="N", type=_days, help="how many days it is valid (default: without end)")
    listed = _action(kinds, "list", "print those of an address, a line of JSON each")
    listed.add_argument("email", metavar="EMAIL")
    revoke = _action(kinds, "revoke", "end one, in a running server too")
    revoke.add_argument("email", metavar="EMAIL")
    revoke.add_argument("key", metavar="KEY")
    for each in (create, listed, revoke):
        data_dir_takes(each)


def _action(
    kinds: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    return kinds.add_parser(name, help=what, formatter_class=Help, allow_abbrev=False)


def _days(text: str) -> int:
    from exness.access.api_keys import LONGEST_LIFE_DAYS

    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_LIFE_DAYS:
        raise argparse.ArgumentTypeError(f"a key is good for 1 to {LONGEST_LIFE_DAYS} days, not {text!r}")
    return int(text)
