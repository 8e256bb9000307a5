"""The worked examples of docs/TRADING.md: read out of the document, run on an exchange, and compared with what it says.

A block of an example has requests, what they are answered with, and how a figure comes about:

    A: POST /trade/create {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
       -> {"liquidationPrice": "180.000000"}
       because 200 - 200 / 10 = 180

`A` stands for the `orderId` of that answer from then on. Of an answer an example shows what matters; a status that is
not 200 stands before it. `up` and `down` round to the sixth decimal, in which money and the price of SOL end.
"""

import ast
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TRADING = (ROOT / "docs/TRADING.md").read_text(encoding="utf-8")
_UNIT = 10**6

_EXAMPLE = re.compile(r"^Example: (?P<text>.+?)\n```text\n(?P<block>.+?)\n```$", re.MULTILINE | re.DOTALL)
_REQUEST = re.compile(r"(?:(?P<name>[A-Z]): )?(?P<method>GET|POST|PUT) (?P<path>\S+)(?: (?P<body>\{.*))?")
_ANSWER = re.compile(r"-> (?:(?P<status>\d{3}) )?(?P<body>\{.*)")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")


class Told(NamedTuple):
    """What an example says that a request is answered with."""

    status: int
    body: Any


class Step(NamedTuple):
    """A request, what it is answered with, and sums of figures: `(terms, result)`."""

    name: str | None
    method: str
    path: str
    body: Any
    told: tuple[Told, ...]
    sums: tuple[tuple[str, str], ...]


class Example(NamedTuple):
    section: str
    text: str
    block: str

    @property
    def steps(self) -> list[Step]:
        return list(_steps(self.block))


def examples(document: str) -> list[Example]:
    """Section by section; a section has one."""
    found = []
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        found += [Example(title, match["text"], match["block"]) for match in _EXAMPLE.finditer(section)]
    return found


def _steps(block: str) -> Iterator[Step]:
    step: Step | None = None
    for line in re.sub(r"\n +(?!->|because|\s)", " ", block).splitlines():
        text = line.strip()
        if match := _REQUEST.fullmatch(text):
            if step is not None:
                yield step
            body = json.loads(match["body"]) if match["body"] else None
            step = Step(match["name"], match["method"], match["path"], body, (), ())
            continue
        assert step is not None, f"an example begins with a request, not with {text!r}"
        if match := _ANSWER.fullmatch(text):
            told = Told(int(match["status"] or 200), json.loads(match["body"], parse_float=str))
            step = step._replace(told=(*step.told, told))
        else:
            assert text.startswith("because "), f"{text!r} is neither a request, an answer nor a sum"
            terms, _, result = text.removeprefix("because ").rpartition(" = ")
            step = step._replace(sums=(*step.sums, (terms, result)))
    assert step is not None
    yield step


# --- comparing --------------------------------------------------------------------------------------------------------


class Differs(AssertionError):
    """The document says something else than the exchange."""


def named(value: Any, names: Mapping[str, str]) -> Any:
    """A body with the ids that its names stand for."""
    if isinstance(value, dict):
        return {key: named(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def compare(told: Any, answered: Any, where: str) -> None:
    """Every field that is told has this value. Lists are told whole. Raises Differs."""
    if isinstance(told, dict) and isinstance(answered, dict):
        for key, value in told.items():
            if key not in answered:
                raise Differs(f"{where}: there is no {key} in {answered}")
            compare(value, answered[key], f"{where}.{key}")
    elif isinstance(told, list) and isinstance(answered, list):
        if len(told) != len(answered):
            raise Differs(f"{where}: {len(told)} rows are told, there are {len(answered)}: {answered}")
        for place, (one, other) in enumerate(zip(told, answered, strict=True)):
            compare(one, other, f"{where}[{place}]")
    elif type(told) is not type(answered) or told != answered:
        raise Differs(f"{where}: the document says {told!r}, the exchange {answered!r}")


def check_sums(step: Step) -> None:
    """Raises Differs where terms do not come to their result."""
    for terms, result in step.sums:
        if _value(terms) != Fraction(result):
            raise Differs(f"{terms} is not {result}, but {float(_value(terms))}")


_TWO: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ROUNDED = {"up": lambda x: Fraction(-(-x * _UNIT // 1), _UNIT), "down": lambda x: Fraction(x * _UNIT // 1, _UNIT)}


def _value(terms: str) -> Fraction:
    """Exact: numbers, + - x /, a percent sign, up(...) and down(...)."""
    text = re.sub(r"(\d) %", r"\1 / 100", terms).replace(" x ", " * ")
    return _of(ast.parse(text, mode="eval").body, text)


def _of(node: ast.expr, text: str) -> Fraction:
    match node:
        case ast.Constant():
            return Fraction(str(ast.get_source_segment(text, node)))
        case ast.BinOp(left, operation, right):
            return _TWO[type(operation)](_of(left, text), _of(right, text))
        case ast.UnaryOp(ast.USub(), operand):
            return -_of(operand, text)
        case ast.Call(ast.Name(name), [argument], []):
            return _ROUNDED[name](_of(argument, text))
        case _:
            raise AssertionError(f"{text!r} is no sum")


def figures(text: str) -> set[Decimal]:
    """The numbers in a text, by value."""
    return {Decimal(number) for number in _NUMBER.findall(text)}
