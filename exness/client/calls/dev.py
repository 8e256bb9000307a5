"""Dev control."""

from collections.abc import Sequence

import msgspec

from exness.client import answers
from exness.client.calls.call import API, JSON, Amount, Call, in_path, reader

DEV = f"{API}/dev"
_price_set = reader(answers.PriceSet)
_script_set = reader(answers.ScriptSet)
_clock = reader(answers.Clock)
_clock_set = reader(answers.ClockSet)
_deposited = reader(answers.Deposited)
_signed_in = reader(answers.SignedIn)
_rates_set = reader(answers.AssetRatesSet)
_rates = reader(answers.Rates)
_house = reader(answers.House)
_books = reader(answers.Books)
_faults = reader(answers.Faults)
_reset = reader(answers.Reset)


def dev_set_price(
    asset: str, mid: Amount | None = None, *, bid: Amount | None = None, ask: Amount | None = None
) -> Call[answers.PriceSet]:
    """PUT /dev/prices/{asset}: `mid`, or `bid` and `ask`."""
    body = {"mid": mid, "bid": bid, "ask": ask}
    return Call("PUT", f"{DEV}/prices/{in_path(asset)}", _price_set, body)


def dev_script(prices: Sequence[tuple[Amount, str, Amount]]) -> Call[answers.ScriptSet]:
    """POST /dev/prices/script: (seconds from now, asset, mid) each. An empty list ends the script that runs."""
    entries = [{"offset": offset, "asset": asset, "price": mid} for offset, asset, mid in prices]
    return Call("POST", f"{DEV}/prices/script", _script_set, {"prices": entries}, again=False)


def dev_clock() -> Call[answers.Clock]:
    """GET /dev/clock."""
    return Call("GET", f"{DEV}/clock", _clock)


def dev_set_clock(
    *, paused: bool | None = None, speed: Amount | None = None, step: Amount | None = None
) -> Call[answers.ClockSet]:
    """POST /dev/clock: at least one of them. `step` in seconds."""
    body = {"paused": paused, "speed": speed, "step": step}
    return Call("POST", f"{DEV}/clock", _clock_set, body, again=step is None)


def dev_deposit(email: str, amount: Amount) -> Call[answers.Deposited]:
    """POST /dev/deposit: USDC into an account, which is made if need be."""
    return Call("POST", f"{DEV}/deposit", _deposited, {"email": email, "amount": amount}, again=False)


def dev_session(email: str) -> Call[answers.SignedIn]:
    """POST /dev/session: a session without a mail."""
    call = Call("POST", f"{DEV}/session", _signed_in, {"email": email})
    call.headers = {**JSON, "Accept": "application/json"}
    return call


def dev_books() -> Call[answers.Books]:
    """GET /dev/books."""
    return Call("GET", f"{DEV}/books", _books)


def dev_faults() -> Call[list[answers.FaultRule]]:
    """GET /dev/faults: the rules, and how often each has struck."""
    return Call("GET", f"{DEV}/faults", lambda body: _faults(body).rules)


def dev_set_faults(rules: Sequence[answers.FaultRule]) -> Call[list[answers.FaultRule]]:
    """PUT /dev/faults: these rules and no others."""
    body = {"rules": [msgspec.structs.replace(rule, seen=0, struck=0) for rule in rules]}
    return Call("PUT", f"{DEV}/faults", lambda answer: _faults(answer).rules, body)


def dev_reset() -> Call[answers.Reset]:
    """POST /dev/reset."""
    return Call("POST", f"{DEV}/reset", _reset)


def dev_set_rates(
    asset: str,
    *,
    taker: Amount | None = None,
    maker: Amount | None = None,
    maintenance: Amount | Sequence[answers.Tier] | None = None,
    maintenance_basis: str | None = None,
    hold_close_fee: bool | None = None,
    min_margin: Amount | None = None,
    liquidation_fee: Amount | None = None,
    residual: str | None = None,
    funding_interval_s: int | None = None,
    funding_offset_s: int | None = None,
    funding_rate: Amount | None = None,
    funding_rate_short: Amount | None = None,
    funding_weekdays: Sequence[int] | None = None,
) -> Call[answers.AssetRatesSet]:
    """PUT /dev/rates/{asset}: those that change. Rates are fractions: "0.0005" is 0.05 %; `funding_rate` may be "feed"
    or "schedule" too."""
    body = {
        "taker": taker,
        "maker": maker,
        "maintenance": maintenance,
        "maintenanceBasis": maintenance_basis,
        "holdCloseFee": hold_close_fee,
        "minMargin": min_margin,
        "liquidationFee": liquidation_fee,
        "residual": residual,
        "fundingIntervalS": funding_interval_s,
        "fundingOffsetS": funding_offset_s,
        "fundingRate": funding_rate,
        "fundingRateShort": funding_rate_short,
        "fundingWeekdays": funding_weekdays,
    }
    return Call("PUT", f"{DEV}/rates/{in_path(asset)}", _rates_set, body)


def dev_set_profile(profile: str) -> Call[answers.Rates]:
    """PUT /dev/profile: a venue's rates of all assets, and how it fills. An empty one: everything is free."""
    return Call("PUT", f"{DEV}/profile", _rates, {"profile": profile})


def dev_house() -> Call[answers.House]:
    """GET /dev/house."""
    return Call("GET", f"{DEV}/house", _house)
