"""What the lessons share: an exchange of their own, and where their pictures go."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files, also where there is no screen
from matplotlib import pyplot

from exness.client import Client
from exness.testing import Exchange

PRICE_LIVES_S = 30


@contextmanager
def an_exchange() -> Iterator[Exchange]:
    """Fresh, with its price and its clock in our hand, and gone afterwards."""
    with Exchange() as exchange:
        yield exchange


@contextmanager
def a_picture(name: str, title: str, x: str, y: str) -> Iterator[Any]:
    """Axes to draw on; afterwards the picture is a file in the folder that the command names, or here."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    yield axes
    axes.legend()
    figure.savefig(folder / name, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    print(f"picture: {folder / name}")


def equity(trader: Client) -> Decimal:
    """What it would have if it closed everything now. A lesson always has a fresh price."""
    value = trader.account().equity
    assert value is not None
    return value
