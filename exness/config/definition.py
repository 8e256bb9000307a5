"""How one setting is defined: a field of a section's struct, with the docstring that stands below it.

    port: Annotated[int, integer(0, 65_535), Flag("--port")] = 8002
    '''Port to listen on. 0 picks a free one.'''

`rows_of` reads these fields. Validation, error texts, config.toml, docs/SETTINGS.md, the flags of the command line and
their help texts are made from the rows, so that a setting is defined once.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from exness.config.kinds import BOOLEAN, Kind, one_of


class Flag(NamedTuple):
    """The flag of the command line that sets it."""

    name: str
    metavar: str | None = None


class Row(NamedTuple):
    """One setting."""

    key: str
    kind: Kind
    default: Any
    """msgspec.NODEFAULT: it must be given."""
    flag: Flag | None
    section: type[msgspec.Struct]

    @property
    def about(self) -> str:
        """For people. The first sentence can stand alone."""
        return explanations(self.section).get(self.key, "")

    @property
    def is_required(self) -> bool:
        return self.default is msgspec.NODEFAULT


def rows_of(struct: type[msgspec.Struct]) -> dict[str, Row]:
    """Every setting of a section by its key, in the order of their definitions."""
    rows = {}
    for field in msgspec.structs.fields(struct):
        parts = get_args(field.type) if get_origin(field.type) is Annotated else (field.type,)
        kind = next((part for part in parts if isinstance(part, Kind)), None) or _kind_of(parts[0])
        flag = next((part for part in parts if isinstance(part, Flag)), None)
        rows[field.name] = Row(field.name, kind, field.default, flag, struct)
    return rows


def _kind_of(hint: Any) -> Kind:
    """The kind of value that a type says by itself."""
    if get_origin(hint) is Literal:
        return one_of(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return one_of([member for member in hint if isinstance(member, str)])
    assert hint is bool, hint
    return BOOLEAN


def explanations(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """The docstrings below a struct's fields by their keys, and under "" its own, each on one line."""
    return _docstrings(struct.__module__).get(struct.__name__, {})


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """From the source (10 ms), as Python keeps no field's docstring. Nothing where the source is not installed."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {each.name: _of_class(each) for each in tree.body if isinstance(each, ast.ClassDef)}


def _of_class(tree: ast.ClassDef) -> dict[str, str]:
    found = {"": " ".join((ast.get_docstring(tree) or "").split())}
    for field, below in pairwise(tree.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            found[ast.unparse(field.target)] = " ".join(str(ast.literal_eval(below.value)).split())
    return found
