"""Client order ids: what makes two requests equal, and which ids an account still knows.

An id remembers the record of its trade and not the trade, so that what has ended leaves memory. The first answer stands
in that record.
"""

from exness.core.commands import OpenTrade
from exness.core.instruments import LEVERAGE_DECIMALS, Instrument
from exness.core.money import USDC_DECIMALS, parse_scaled
from exness.core.state import Account, SeenOrder


def fingerprint(command: OpenTrade) -> str:
    """What is asked for, in one text: two requests for the same have the same. Journals hold it: it stays as it is."""
    c = command  # in one piece: half the time of two
    return f"{c.asset}|{c.side.value}|{c.margin}|{c.leverage}|{c.slippage}|{c.expected_price}"


def is_repeat(seen: SeenOrder, command: OpenTrade, instrument: Instrument | None) -> bool:
    """Whether the command asks for what its client order id was used for."""
    asked = fingerprint(command)
    return seen.fingerprint == asked or _of_a_script(seen.fingerprint, instrument) == asked


def forgotten(account: Account, kept: int) -> tuple[str, ...]:
    """The oldest client order ids that must go so that one more fits."""
    excess = len(account.seen) - kept + 1
    if excess <= 0:
        return ()
    return tuple(client_order for client_order, _ in zip(account.seen, range(excess), strict=False))


def _of_a_script(stored: str, instrument: Instrument | None) -> str | None:
    """A fingerprint that a replay of 0.1.0 made for a scripted order, as it is made now; None for any other. It was
    `asset=SOL,type=long,margin=100,leverage=10,slippage=,expectedPrice=`, texts as they stood in the file."""
    if instrument is None or not stored.startswith("asset="):
        return None
    fields = dict(field.split("=", 1) for field in stored.split(","))

    def scaled(name: str, decimals: int) -> int | None:
        return parse_scaled(fields[name], decimals) if fields[name] else None

    figures = (
        scaled("margin", USDC_DECIMALS),
        scaled("leverage", LEVERAGE_DECIMALS),
        scaled("slippage", 0),
        scaled("expectedPrice", instrument.decimals),
    )
    return "|".join((fields["asset"], fields["type"], *map(str, figures)))
