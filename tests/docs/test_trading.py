"""docs/TRADING.md: every worked example gives the figures that the document shows, on an exchange that runs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from exness.core.profiles import PROFILES
from tests.docs.worked import TRADING, Differs, Example, check_sums, compare, examples, figures, named
from tests.support.app import Answer, App
from tests.web.dev_control import manual_app

MONDAY = 2_209_075_200_000_000
"""2040-01-02T00:00:00Z, when every example begins: ahead of the clock of whoever runs it."""
EXAMPLES = examples(TRADING)


async def answers(app: App, example: Example) -> list[tuple[Answer, dict[str, str]]]:
    """Of each step, with the ids that are known by then."""
    ann, names, answered = app.trader("ann"), dict[str, str](), []
    for step in example.steps:
        answer = await ann.request(step.method, step.path, body=named(step.body, names))
        if step.name is not None:
            names[step.name] = answer.body["orderId"]
        answered.append((answer, dict(names)))
    return answered


def check(example: Example, answered: list[tuple[Answer, dict[str, str]]]) -> None:
    """Raises Differs."""
    for step, (answer, names) in zip(example.steps, answered, strict=True):
        where = f"{step.method} {step.path}"
        check_sums(step)
        for told in step.told or (None,):
            compare(200 if told is None else told.status, answer.status, where)
            if told is not None:
                compare(named(told.body, names), answer.body, where)


def differs(example: Example, answered: list[tuple[Answer, dict[str, str]]]) -> bool:
    try:
        check(example, answered)
    except Differs:
        return True
    return False


def changed(example: Example) -> Iterator[tuple[str, Example]]:
    """The example with one figure of its answers and sums changed, for each of them."""
    for line in re.finditer(r"^ +(?:->|because) .*(?:\n +(?!->|because).*)*", example.block, flags=re.MULTILINE):
        for number in re.finditer(r"(?<![A-Za-z])\d+(?:\.\d+)?", line[0]):
            end = line.start() + number.end()
            digit = str((int(example.block[end - 1]) + 1) % 10)
            block = example.block[: end - 1] + digit + example.block[end:]
            yield f"{line[0].strip()}: {number[0]}", example._replace(block=block)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
async def test_an_example_gives_what_the_document_says_and_no_figure_of_it_could_be_another(example: Example) -> None:
    async with manual_app() as (app, feed):
        feed.clock.advance_to(MONDAY)
        assert (await app.trader("ann").get("/balance")).status == 200
        answered = await answers(app, example)
    check(example, answered)
    for what, other in changed(example):
        assert differs(other, answered), f"nobody would notice that this is wrong: {what}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
def test_what_is_said_of_an_example_is_in_it(example: Example) -> None:
    assert figures(example.text) <= figures(example.block), "a figure that no test holds"
    told = figures(" ".join(re.findall(r"-> .*(?:\n +(?!->|because).*)*", example.block)))
    sums = [(terms, result) for step in example.steps for terms, result in step.sums]
    for place, (_, result) in enumerate(sums):
        later = {figure for terms, _ in sums[place + 1 :] for figure in figures(terms)}
        assert figures(result.lstrip("-")) <= told | later, f"{result} is in no answer"


def test_every_section_has_one_example() -> None:
    sections = re.findall(r"^## (.+)$", TRADING, flags=re.MULTILINE)
    assert [example.section for example in EXAMPLES] == sections
    assert TRADING.count("```text") == len(EXAMPLES)
    assert len(sections) > 20


def test_the_table_of_profiles_is_that_of_the_code() -> None:
    section = TRADING.partition("## Profiles")[2].partition("\n## ")[0]
    heads, _, *rows = re.findall(r"^\| (.+) \|$", section, flags=re.MULTILINE)
    assert [name.strip("`") for name in heads.split(" | ")[1:]] == list(PROFILES)
    for row in rows:
        key, *values = (cell.strip() for cell in row.split(" | "))
        path: Any = tuple(key.strip("`").split("."))
        assert [_shown(key, PROFILES[name][path].value) for name in PROFILES] == values, key


def _shown(key: str, value: Any) -> str:
    if key.endswith("_s`"):
        return f"{value} s"
    return f"{value / 10**6:g} %" if type(value) is int else str(value.value)
