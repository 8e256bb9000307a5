"""Dev control: a script holds prices and clock, pays money in, resets. Only where `[dev] control` is on.

Nobody signs in for it, so it answers to this machine alone: the connection comes from loopback, no proxy has passed it
on, and it was made to a name of this machine, by no page or by one that we know. What is done here goes through the
engine and into the journal like everything else, and is durable before it is answered.
"""

from aiohttp import hdrs, web

from exness.core.commands import Deposit, Reset
from exness.core.events import Deposited
from exness.core.instruments import Asset
from exness.core.margin import mark_price
from exness.core.money import format_scaled, format_usdc
from exness.core.outcomes import Done
from exness.core.rejects import Refusal
from exness.runtime.exchange import Exchange
from exness.runtime.ports.prices import ManualControl, OutOfTime
from exness.web.dev.models import (
    ClockAnswer,
    ClockSetAnswer,
    DepositAnswer,
    PriceSetAnswer,
    ResetAnswer,
    ScriptAnswer,
    SessionAnswer,
    clock_order,
    deposit_of,
    parse_price,
    script_of,
    speed_out,
)
from exness.web.http.client_ip import parsed, passed_on
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import JSON, answer, encode
from exness.web.services import Dev, services_of
from exness.web.v1.format import iso
from exness.web.v1.parse import email_of
from exness.web.v1.refusals import refused
from exness.web.v1.requests import json_body
from exness.web.v1.signin import new_session, set_session


async def get_clock(request: web.Request) -> web.StreamResponse:
    """GET /dev/clock."""
    control = _control(request)
    now, speed = iso(control.now_us()), speed_out(control.speed)
    return answer(ClockAnswer(True, now, control.paused, speed, control.script_left))


async def set_clock(request: web.Request) -> web.StreamResponse:
    """POST /dev/clock."""
    control = _control(request)
    order = clock_order(await json_body(request))
    try:
        moved = await control.set_clock(order.paused, order.speed, order.step_us)
    except OutOfTime:
        raise InvalidRequest([FieldError("step", "step must not lead beyond the year 9998")]) from None
    await _exchange(request).told(moved.seq)
    return answer(
        ClockSetAnswer(
            success=True,
            now=iso(moved.at),
            paused=control.paused,
            speed=speed_out(control.speed),
            script_left=control.script_left,
            scripted=moved.scripted,
            liquidated=moved.liquidated,
        )
    )


async def set_price(request: web.Request) -> web.StreamResponse:
    """PUT /dev/prices/{asset}: answered once everything that the price set off is durable."""
    control, exchange = _control(request), _exchange(request)
    asset = Asset(request.match_info["asset"])
    instrument = exchange.rules.instruments.get(asset)
    if instrument is None:
        supported = ", ".join(exchange.rules.instruments)
        raise ApiError("not_found", f"There is no such asset. Supported assets are {supported}")
    decimals = instrument.decimals
    bid, ask = parse_price(await json_body(request), decimals)
    moved = await control.set_price(asset, bid, ask)
    await exchange.told(moved.seq)
    return answer(
        PriceSetAnswer(
            success=True,
            asset=asset,
            bid=format_scaled(bid, decimals),
            ask=format_scaled(ask, decimals),
            mark=format_scaled(mark_price(bid, ask), decimals),
            at=iso(moved.at),
            liquidated=moved.liquidated,
        )
    )


async def run_script(request: web.Request) -> web.StreamResponse:
    """POST /dev/prices/script."""
    control, exchange = _control(request), _exchange(request)
    script = script_of(await json_body(request), exchange.rules)
    replaced = control.script_left
    try:
        moved = await control.run_script(script)
    except OutOfTime:
        raise InvalidRequest([FieldError("prices", "prices must not lead beyond the year 9998")]) from None
    await exchange.told(moved.seq)
    return answer(ScriptAnswer(True, iso(moved.at), moved.scripted, control.script_left, replaced, moved.liquidated))


async def deposit(request: web.Request) -> web.StreamResponse:
    """POST /dev/deposit: into the account of a mail address, which is made, as at a first sign-in, if need be."""
    _let_in(request)
    exchange = _exchange(request)
    email, amount = deposit_of(await json_body(request))
    account = await exchange.account_of(email)
    outcome = await exchange.do(Deposit(account, amount), request[REQUEST_STATE].request_id)
    match outcome:
        case Done([record]):
            assert isinstance(record.event, Deposited)
            return answer(
                DepositAnswer(True, email, format_usdc(amount), format_usdc(record.event.balance), iso(record.at))
            )
        case Refusal():  # the account is full, or it was forgotten meanwhile
            raise refused(outcome, exchange.rules)
        case _:
            raise AssertionError(f"a deposit can't have {outcome!r}")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """POST /dev/session: sign this browser in as whoever it names. The token is in the cookie alone."""
    _let_in(request)
    services = services_of(request)
    email = email_of(await json_body(request))
    await services.exchange.account_of(email)
    session_token, begun = await new_session(request, email)
    body = encode(SessionAnswer(True, email, iso(begun.expires_at)))
    response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: JSON})
    set_session(response, services, session_token)
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """POST /dev/reset: no account, no trade, no price, no script; the clock runs at real speed. Sessions stay good."""
    control, exchange = _let_in(request).control, _exchange(request)
    if control is not None:
        await control.reset()
    outcome = await exchange.do(Reset(), request[REQUEST_STATE].request_id)
    match outcome:
        case Done([record]):
            return answer(ResetAnswer(True, record.seq, iso(record.at)))
        case _:
            raise AssertionError(f"a reset can't have {outcome!r}")


# --- who may ------------------------------------------------------------------------------------------------------


def _let_in(request: web.Request) -> Dev:
    """Raises ApiError(local_only, forbidden_origin)."""
    services = services_of(request)
    if not is_local(request):
        raise ApiError("local_only")
    services.browser_rules.check_page(request)
    assert services.dev is not None, "the routes exist only where it is on"
    return services.dev


def _control(request: web.Request) -> ManualControl:
    """Raises ApiError(local_only, forbidden_origin, not_manual)."""
    control = _let_in(request).control
    if control is None:
        raise ApiError("not_manual")
    return control


def _exchange(request: web.Request) -> Exchange:
    return services_of(request).exchange


def is_local(request: web.Request) -> bool:
    """From this machine to a name of this machine, by no proxy. The name matters: a page whose own name was made to
    lead here would come from its browser's machine, and its Origin would match."""
    if passed_on(request.headers):  # a proxy on this machine may pass on what comes from anywhere
        return False
    return _is_loopback(request.remote or "") and is_local_name(request.host)


def is_local_name(host: str) -> bool:
    """Whether a `Host` header, with or without a port, names the machine itself."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    ip = parsed(address)
    return ip is not None and ip.is_loopback
