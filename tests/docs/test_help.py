"""What `--help` says: every command and every flag is explained in words."""

import argparse
from collections.abc import Iterator

import pytest

from exness import cli


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


PARSERS = list(parsers(cli._parser()))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_every_flag_is_explained_in_words_and_not_by_the_name_of_its_setting(parser: argparse.ArgumentParser) -> None:
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.option_strings:
            assert len((formatter._get_help_string(action) or "").split()) > 2, action.option_strings


def test_every_command_begins_with_what_it_does() -> None:
    assert {"exness", "exness serve", "exness key create"} <= {parser.prog for parser in PARSERS}
    for command in cli.COMMANDS:
        assert command.described.startswith(command.summary[0].upper() + command.summary[1:] + ".")
