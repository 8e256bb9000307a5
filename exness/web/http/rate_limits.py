"""How much one client may ask: per client IP before anything else, then per account; and for mails far less.

What is counted are weights (`weights.py`), within fixed windows that begin with their first request. A request is
charged when it is accepted and not when it is refused, so what the headers say is left is left. One that weighs more
than a whole window is accepted when nothing else is in it, and then takes as many windows as it needs: nobody is locked
out, and the rate holds. Rates are read by the `limits` library; the counting is ours, because its strategies charge
what they refuse, ask a storage three times a request (6 us instead of 2) and have no bound. There are so many counters
and no more; when one too many comes, the one whose window began first goes. Who keeps calling after being refused is
not listened to at all for a while.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from limits import parse_many

from exness.web.http.errors import ApiError
from exness.web.http.weights import Budget

REFUSALS_WINDOW_S = 60
BLOCKED_WAIT_S = 0.5
"""How long a blocked address waits for each refusal. Who hammers on waits most of the time, and costs us little: its
connections are bounded, so its requests are."""


class Blocked(ApiError):
    """This address was refused so often that it is not listened to for a while."""

    def __init__(self, left_s: int) -> None:
        super().__init__("rate_limited", "Too many requests after being refused; blocked", retry_after_s=left_s)
        self.headers |= Allowance(0, 0, left_s).headers()


class TooManyOrders(ApiError):
    """An account has placed more orders through the Binance face than it may."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("rate_limited", "Too many orders; wait and try again", retry_after_s=retry_after_s)


class Allowance(NamedTuple):
    """What the tightest limit that was counted still allows, as weights. `reset_s`: seconds until it starts afresh."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


class Rate(NamedTuple):
    """So much weight in a window of so many seconds. `scope` tells its counters from those of other rates."""

    scope: str
    amount: int
    seconds: int


class Counters:
    """What was counted of whom in the window that is under way; at most `most` of them."""

    def __init__(self, most: int) -> None:
        self.windows: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """Count and end of the window, by scope and who, in the order in which the windows began."""
        self._most = most

    def __len__(self) -> int:
        return len(self.windows)

    def begin(self, key: tuple[str, str], count: int, end: float) -> None:
        self.windows.pop(key, None)  # a new window goes to the end of the order
        self.windows[key] = (count, end)
        if len(self.windows) > self._most:
            self.windows.popitem(last=False)


class RateLimits:
    """Rates are texts of the `limits` library, such as `100/second` or `20/minute;100/hour`; what they count is weight,
    but for mails.

    Every `hit_*` raises ApiError(rate_limited), with what is left in its headers. An address that was refused more
    than `block_after` times within a minute is refused everything for `block_s`, but probes; 0 blocks nobody.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        trade_per_account: str,
        trade_per_ip: str,
        read_per_ip: str,
        read_per_account: str,
        probe_per_ip: str,
        mail_per_ip: str,
        mail_per_address: str,
        fapi_per_ip: str,
        fapi_orders_per_account: str,
        block_after: int,
        block_s: float,
        most: int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._enabled = enabled
        self._per_ip = {
            Budget.TRADE: _rates("trade", trade_per_ip),
            Budget.READ: _rates("read", read_per_ip),
            Budget.PROBE: _rates("probe", probe_per_ip),
            Budget.FAPI: _rates("fapi", fapi_per_ip),
        }
        self._per_account = {
            Budget.TRADE: _rates("account-trade", trade_per_account),
            Budget.READ: _rates("account-read", read_per_account),
        }
        self._orders = _rates("fapi-orders", fapi_orders_per_account)
        self._mail_per_ip = _rates("mail-ip", mail_per_ip)
        self._mail_per_address = _rates("mail", mail_per_address)
        self._block_after = block_after
        self._block_s = block_s
        self._now_s = now_s
        self._counters = Counters(most)
        # Their own, so that no flood of addresses pushes these out: who counts here was refused or asked for a mail.
        self._tight = Counters(most)
        self._blocked = Counters(most)

    def hit_address(self, address: str, budget: Budget, weight: int) -> Allowance | None:
        """What an address asks for. Its allowance, or None when limits are switched off."""
        if not self._enabled:
            return None
        if self._blocked.windows and budget is not Budget.PROBE:
            self._refuse_blocked(address)
        return self._hit(self._counters, self._per_ip[budget], address, weight, address)

    def hit_account(self, email: str, budget: Budget, weight: int, address: str) -> Allowance | None:
        """What an account asks for, from this address."""
        if not self._enabled:
            return None
        return self._hit(self._counters, self._per_account[budget], email, weight, address)

    def hit_orders(self, email: str, orders: int, address: str) -> list[tuple[int, int]]:
        """Orders that an account places through the Binance face. The seconds of each window and what it has counted;
        empty when limits are switched off. Raises TooManyOrders."""
        if not self._enabled:
            return []
        try:
            self._hit(self._counters, self._orders, email, orders, address)
        except Blocked:
            raise
        except ApiError as refused:
            raise TooManyOrders(refused.retry_after_s) from refused
        windows = self._counters.windows
        return [(rate.seconds, windows[rate.scope, email][0]) for rate in self._orders]

    @property
    def of_the_face(self) -> tuple[tuple[Rate, ...], tuple[Rate, ...]]:
        """The rates of the Binance face: of weight, and of orders."""
        return self._per_ip[Budget.FAPI], self._orders

    def hit_mail(self, email: str, address: str) -> None:
        """One mail to `email`, asked for by an address."""
        if self._enabled:
            self._hit(self._tight, self._mail_per_ip, address, 1, address)
            self._hit(self._tight, self._mail_per_address, email, 1, address)

    def _hit(self, counters: Counters, rates: Sequence[Rate], who: str, weight: int, address: str) -> Allowance:
        """Charge all rates, or none and raise."""
        now, windows = self._now_s(), counters.windows
        for scope, amount, _ in rates:
            count, end = windows.get((scope, who), _NO_WINDOW)
            if end > now and count + weight > amount:
                self._note_refusal(address)
                raise _rate_limited(Allowance(amount, amount - count, _whole_seconds(end - now)))
        tightest: Allowance | None = None
        for scope, amount, seconds in rates:
            key = (scope, who)
            count, end = windows.get(key, _NO_WINDOW)
            if end > now:
                count += weight
                windows[key] = (count, end)
            else:
                count, end = min(weight, amount), now + seconds * -(-weight // amount)
                counters.begin(key, count, end)
            if tightest is None or amount - count < tightest.remaining:
                tightest = Allowance(amount, amount - count, _whole_seconds(end - now))
        assert tightest is not None, "a rate has at least one item"
        return tightest

    # --- addresses that do not stop -----------------------------------------------------------------------------------

    def _refuse_blocked(self, address: str) -> None:
        """A look-up and nothing more: this is what an abuser's requests should cost."""
        window = self._blocked.windows.get((_BLOCKED, address))
        if window is not None and (left_s := window[1] - self._now_s()) > 0:
            raise Blocked(_whole_seconds(left_s))

    def _note_refusal(self, address: str) -> None:
        """Count it, and block who was refused too often. Raises Blocked for who is blocked already, and probes on."""
        if not self._block_after or not address:
            return
        self._refuse_blocked(address)
        key, now = (_REFUSED, address), self._now_s()
        count, end = self._tight.windows.get(key, _NO_WINDOW)
        if end <= now:
            self._tight.begin(key, 1, now + REFUSALS_WINDOW_S)
        elif count < self._block_after:
            self._tight.windows[key] = (count + 1, end)
        else:
            del self._tight.windows[key]
            self._blocked.begin((_BLOCKED, address), 1, now + self._block_s)


_NO_WINDOW = (0, 0.0)
_REFUSED, _BLOCKED = "refused", "blocked"


def _rates(scope: str, text: str) -> tuple[Rate, ...]:
    return tuple(
        Rate(f"{scope}/{number}", item.amount, item.get_expiry()) for number, item in enumerate(parse_many(text))
    )


def _whole_seconds(left_s: float) -> int:
    return max(1, int(left_s) + 1)


def _rate_limited(allowance: Allowance) -> ApiError:
    error = ApiError("rate_limited", retry_after_s=allowance.reset_s)
    error.headers |= allowance.headers()
    return error
