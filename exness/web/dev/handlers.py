"""Dev control: a script holds prices and clock, pays money in, resets. Only where `[dev] control` is on.

What is done here goes through the engine and into the journal like everything else, and is durable before it is
answered.
"""

from aiohttp import web

from exness.access.live_sessions import MadeBy
from exness.core.commands import Deposit
from exness.core.events import Deposited
from exness.core.margin import mark_price
from exness.core.money import format_scaled, format_usdc
from exness.core.outcomes import Done
from exness.core.rejects import Refusal
from exness.core.sums import AllBooks
from exness.runtime.clock import shown_speed
from exness.runtime.exchange import Exchange
from exness.runtime.ports.prices import ManualControl, OutOfTime
from exness.web.dev.access import let_in
from exness.web.dev.models import (
    BooksAnswer,
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
)
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import iso
from exness.web.v1.models import SignedInAnswer
from exness.web.v1.parse import email_of
from exness.web.v1.refusals import refused
from exness.web.v1.requests import instrument_in_path, json_body
from exness.web.v1.signin import new_session, set_session, wants_json


async def get_clock(request: web.Request) -> web.StreamResponse:
    """GET /dev/clock."""
    control = _control(request)
    now, speed = iso(control.now_us()), shown_speed(control.speed)
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
            speed=shown_speed(control.speed),
            script_left=control.script_left,
            scripted=moved.scripted,
            liquidated=moved.liquidated,
        )
    )


async def set_price(request: web.Request) -> web.StreamResponse:
    """PUT /dev/prices/{asset}: answered once everything that the price set off is durable."""
    control, exchange = _control(request), _exchange(request)
    instrument = instrument_in_path(request)
    asset, decimals = instrument.asset, instrument.decimals
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
    let_in(request)
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
    """POST /dev/session: sign in as whoever it names, without a mail. The token is in a cookie that no script of a page
    sees, or, for who asks for JSON, in the answer."""
    let_in(request)
    services = services_of(request)
    email = email_of(await json_body(request))
    await services.exchange.account_of(email)
    session_token, begun = await new_session(request, email, MadeBy.DEV)
    if wants_json(request):
        return answer(SignedInAnswer(True, email, session_token, iso(begun.expires_at)))
    response = answer(SessionAnswer(True, email, iso(begun.expires_at))).plain()
    set_session(response, services, session_token)
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """POST /dev/reset: no account, no trade, no price, no script, no fault; the clock runs at real speed. Sessions stay
    good."""
    dev, exchange = let_in(request), _exchange(request)
    control = dev.control
    dev.faults.set([])
    if control is not None:
        await control.reset()
    outcome = await exchange.reset(request[REQUEST_STATE].request_id)
    match outcome:
        case Done([record, *_]):
            return answer(ResetAnswer(True, record.seq, iso(record.at)))
        case _:
            raise AssertionError(f"a reset can't have {outcome!r}")


async def books(request: web.Request) -> web.StreamResponse:
    """GET /dev/books: the sums over all accounts, of one moment."""
    let_in(request)
    sums = await _exchange(request).see(AllBooks())
    return answer(
        BooksAnswer(
            success=True,
            seq=sums.seq,
            accounts=sums.accounts,
            open_trades=sums.open_trades,
            free=format_usdc(sums.free),
            locked=format_usdc(sums.locked),
            reserved=format_usdc(sums.reserved),
            house_pnl=format_usdc(sums.house_pnl),
            commission=format_usdc(sums.commission),
            funding=format_usdc(sums.funding),
            insurance=format_usdc(sums.insurance),
            deposits=format_usdc(sums.deposits),
            balanced=sums.is_balanced,
        )
    )


def _control(request: web.Request) -> ManualControl:
    """Raises ApiError(local_only, forbidden_origin, not_manual)."""
    control = let_in(request).control
    if control is None:
        raise ApiError("not_manual")
    return control


def _exchange(request: web.Request) -> Exchange:
    return services_of(request).exchange
