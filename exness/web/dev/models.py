"""What goes over the wire for dev control: bodies, checked, and answers. Amounts are read from their text, exactly."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.core.money import USDC_DECIMALS
from exness.core.rules import Rules
from exness.runtime.ports.prices import ScriptedPrice
from exness.web.http.errors import InvalidRequest
from exness.web.v1.bodies import Problems, asset_named, email_address, given, read_body, scaled
from exness.web.v1.body_fields import above_0, decimals_of
from exness.web.v1.models import Amount, OptionalAmount

SECOND_DECIMALS = 6
SPEED_DECIMALS = 3
LONGEST_S = 366 * 86_400
"""Of a step and of a script's offsets."""
FASTEST = 1000
MOST_SCRIPTED = 10_000
MOST_DEPOSIT = 1_000_000_000
"""USDC."""


class PriceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PUT /dev/prices/{asset}: `bid` and `ask`, or `mid` for both, in USDC."""

    bid: OptionalAmount = UNSET
    ask: OptionalAmount = UNSET
    mid: OptionalAmount = UNSET


class ScriptEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`offset`: seconds of engine time from now, with up to 6 decimals. `price`: the mid, in USDC."""

    offset: Amount
    asset: str
    price: Amount


class ScriptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /dev/prices/script. Offsets must not fall. An empty list ends the script that runs."""

    prices: Annotated[list[ScriptEntry], Meta(max_length=MOST_SCRIPTED)]


class ClockBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /dev/clock: at least one of them; they are done in this order. `speed`: 0.001 to 1000 times real time.
    `step`: seconds ahead, with up to 6 decimals. null is the field left out."""

    paused: bool | UnsetType | None = UNSET
    speed: OptionalAmount = UNSET
    step: OptionalAmount = UNSET


class DepositBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /dev/deposit. `amount` in USDC."""

    email: str
    amount: Amount


# --- answers ------------------------------------------------------------------------------------------------------


class PriceSetAnswer(msgspec.Struct, frozen=True):
    """`at` is engine time; `liquidated` how many trades this price closed."""

    success: bool
    asset: str
    bid: str
    ask: str
    mark: str
    at: str
    liquidated: int


class ScriptAnswer(msgspec.Struct, frozen=True):
    """`scripted` prices are set by now, those of offset 0; `left` are to come; `replaced` of an earlier script are
    not."""

    success: bool
    at: str
    scripted: int
    left: int
    replaced: int
    liquidated: int


class ClockAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`now` is engine time, `speed` a multiple of real time, `scriptLeft` how many scripted prices are to come."""

    success: bool
    now: str
    paused: bool
    speed: int | float
    script_left: int


class ClockSetAnswer(ClockAnswer, frozen=True, rename="camel"):
    """`scripted` prices were set on the way, and closed `liquidated` trades."""

    scripted: int
    liquidated: int


class DepositAnswer(msgspec.Struct, frozen=True):
    success: bool
    email: str
    amount: str
    balance: str
    at: str


class SessionAnswer(msgspec.Struct, frozen=True, rename="camel"):
    success: bool
    email: str
    expires_at: str


class ResetAnswer(msgspec.Struct, frozen=True):
    """`seq` is the journal record that everything before is forgotten by."""

    success: bool
    seq: int
    at: str


class BooksAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Sums over all accounts after the record `seq`, in USDC, and the four accounts of the house. `balanced`: free +
    locked + reserved + these four = deposits, to the last unit."""

    success: bool
    seq: int
    accounts: int
    open_trades: int
    free: str
    locked: str
    reserved: str
    house_pnl: str
    commission: str
    funding: str
    insurance: str
    deposits: str
    balanced: bool


# --- checks -------------------------------------------------------------------------------------------------------


class ClockOrder(msgspec.Struct, frozen=True):
    """A ClockBody in our units: thousandths of real time, microseconds."""

    paused: bool | None
    speed: int | None
    step_us: int


def parse_price(body: bytes, decimals: int) -> tuple[int, int]:
    """Bid and ask of a PriceBody, scaled. Raises InvalidRequest."""
    problems = Problems()
    fields = read_body(body, PriceBody, problems)
    raws = {name: raw for name in ("bid", "ask", "mid") if (raw := given(getattr(fields, name))) is not None}
    bid, ask, mid = (_price(raws.get(name), name, decimals, problems) for name in ("bid", "ask", "mid"))
    if not problems.all and list(raws) not in (["mid"], ["bid", "ask"]):
        problems.malformed("body", "Give bid and ask, or mid alone")
    if bid is not None and ask is not None and bid > ask:
        problems.not_allowed("bid", "bid must not be greater than ask")
    problems.raise_if_any()
    if mid is not None:
        return mid, mid
    assert bid is not None
    assert ask is not None
    return bid, ask


def script_of(body: bytes, rules: Rules) -> list[ScriptedPrice]:
    """The prices of a ScriptBody. Raises InvalidRequest, which names the entry: `prices[3].offset`."""
    problems = Problems()
    entries: Any = read_body(body, ScriptBody, problems).prices
    if isinstance(entries, Raw):
        entries = _entries(entries, problems)
    if entries is not None and len(entries) > MOST_SCRIPTED:
        problems.not_allowed("prices", f"prices can have at most {MOST_SCRIPTED} entries")
    problems.raise_if_any()
    script: list[ScriptedPrice] = []
    latest = 0
    for number, entry in enumerate(entries):
        if (price := _scripted(entry, f"prices[{number}]", rules, problems)) is None:
            continue
        if price.offset < latest:
            problems.not_allowed(f"prices[{number}].offset", "offset must not be less than the one before")
        latest = max(latest, price.offset)
        script.append(price)
    problems.raise_if_any()
    return script


def clock_order(body: bytes) -> ClockOrder:
    """Raises InvalidRequest."""
    problems = Problems()
    fields = read_body(body, ClockBody, problems)
    speed = _bounded(given(fields.speed), "speed", SPEED_DECIMALS, FASTEST, "times real time", problems)
    step = _bounded(given(fields.step), "step", SECOND_DECIMALS, LONGEST_S, "seconds", problems)
    is_paused = None if isinstance(fields.paused, UnsetType) else fields.paused
    if not problems.all and is_paused is None and speed is None and step is None:
        problems.malformed("body", "Give paused, speed or step")
    problems.raise_if_any()
    return ClockOrder(is_paused, speed, step or 0)


def deposit_of(body: bytes) -> tuple[str, int]:
    """Mail address as accounts are kept under, and micro-USDC. Raises InvalidRequest."""
    problems = Problems()
    fields = read_body(body, DepositBody, problems)
    email = email_address(fields.email, problems)
    amount = _bounded(fields.amount, "amount", USDC_DECIMALS, MOST_DEPOSIT, "USDC", problems)
    problems.raise_if_any()
    assert amount is not None
    return email, amount


def _entries(raw: Raw, problems: Problems) -> list[ScriptEntry]:
    """The entries of a list in which at least one is bad."""
    try:
        raws = msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError:
        problems.malformed("prices", "prices must be a list of objects with offset, asset and price")
        return []
    entries = []
    for number, each in enumerate(raws[: MOST_SCRIPTED + 1]):
        inner = Problems()
        try:
            entries.append(read_body(bytes(each), ScriptEntry, inner))
            inner.raise_if_any()
        except InvalidRequest as bad:
            problems.adopt(f"prices[{number}]", bad.errors, bad.more_details)
    return entries


def _scripted(entry: ScriptEntry, where: str, rules: Rules, problems: Problems) -> ScriptedPrice | None:
    inner = Problems()
    asset = asset_named(entry.asset, rules, inner)
    decimals = decimals_of(None if asset is None else rules.instruments[asset])
    offset = _bounded(entry.offset, "offset", SECOND_DECIMALS, LONGEST_S, "seconds", inner, zero=True)
    price = _price(entry.price, "price", decimals, inner)
    if inner.all or asset is None or offset is None or price is None:
        problems.adopt(where, inner.all)
        return None
    return ScriptedPrice(offset, asset, price)


def _price(raw: Raw | None, field: str, decimals: int, problems: Problems) -> int | None:
    return above_0(scaled(raw, field, decimals, problems), field, problems)


def _bounded(
    raw: Raw | None, field: str, decimals: int, most: int, unit: str, problems: Problems, *, zero: bool = False
) -> int | None:
    """A number above 0 (or from it) up to `most`, scaled."""
    value = scaled(raw, field, decimals, problems, beyond=-1)
    if value is not None and not (0 if zero else 1) <= value <= most * 10**decimals:
        least = "from 0 to" if zero else "greater than 0 and at most"
        problems.not_allowed(field, f"{field} must be {least} {most} {unit}")
    return value
