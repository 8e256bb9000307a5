"""How often one caller may call: per address before anything else, then per account; and for mails far less.

The counting is the `limits` library's (fixed windows), on a storage of ours: its own in-memory storage keeps a thread
alive to expire entries and knows no bound. Ours holds so many counters and no more; when one too many comes, the one
that was made first goes. Who keeps calling after being refused is not listened to at all for a while.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from exness.web.errors import ApiError

REFUSALS_WINDOW_S = 60


class Blocked(ApiError):
    """This address was refused so often that it is not listened to for a while."""

    def __init__(self, left_s: int) -> None:
        super().__init__("rate_limited", "Too many requests after being refused; blocked", retry_after_s=left_s)
        self.headers |= Allowance(0, 0, left_s).headers()


class Allowance(NamedTuple):
    """What the tightest limit that was counted still allows. `reset_s`: seconds until it starts afresh."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


class BoundedStorage(Storage):
    """A storage of the `limits` library for one thread, with at most `most` counters."""

    def __init__(self, most: int, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.storage: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Count and end of the window, in the order in which the windows began."""
        self.latest = (0, 0.0)
        """Count and end of the counter that was increased last: asking the library again would cost three times as
        much as the hit itself (10 us instead of 3)."""
        self._most = most
        self._now_s = now_s

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self._now_s()
        count, end = self.storage.get(key, (0, 0.0))
        if end <= now:
            count, end = 0, now + expiry
            self.storage.pop(key, None)  # a new window goes to the end of the order
        self.storage[key] = self.latest = (count + amount, end)
        if len(self.storage) > self._most:
            self.storage.popitem(last=False)
        return count + amount

    def get(self, key: str) -> int:
        count, end = self.storage.get(key, (0, 0.0))
        return count if end > self._now_s() else 0

    def get_expiry(self, key: str) -> float:
        return self.storage.get(key, (0, self._now_s()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self.storage)
        self.storage.clear()
        return count

    def clear(self, key: str) -> None:
        self.storage.pop(key, None)


class _Limiter(FixedWindowRateLimiter):
    """The library's strategy on a storage of ours."""

    def __init__(self, most: int, now_s: Callable[[], float]) -> None:
        self.counters = BoundedStorage(most, now_s)
        super().__init__(self.counters)


class RateLimits:
    """Rates are texts of the `limits` library, such as `100/second` or `20/minute;100/hour`.

    Every `hit_*` raises ApiError(rate_limited), with what is left in its headers. An address that was refused more
    than `block_after` times within a minute is refused everything for `block_s`; 0 blocks nobody.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        trade_per_account: str,
        trade_per_ip: str,
        read_per_ip: str,
        most: int,
        read_per_account: str = "1000000/second",
        mail_per_ip: str = "1000000/second",
        mail_per_address: str = "1000000/second",
        block_after: int = 0,
        block_s: float = 300.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._enabled = enabled
        self._trade_per_account = parse_many(trade_per_account)
        self._read_per_account = parse_many(read_per_account)
        self._trade_per_ip = parse_many(trade_per_ip)
        self._read_per_ip = parse_many(read_per_ip)
        self._mail_per_ip = parse_many(mail_per_ip)
        self._mail_per_address = parse_many(mail_per_address)
        self._block_after = block_after
        self._block_s = block_s
        self._now_s = now_s
        self._limiter = _Limiter(most, now_s)
        # Their own, so that no flood of addresses pushes these out: who counts here was refused or asked for a mail.
        self._tight = _Limiter(most, now_s)
        self._blocked = BoundedStorage(most, now_s)

    def hit_address(self, address: str, *, reading: bool) -> Allowance | None:
        """One request of an address. Its allowance, or None when limits are switched off."""
        if not self._enabled:
            return None
        if self._blocked.storage:
            self._refuse_blocked(address)
        rates = self._read_per_ip if reading else self._trade_per_ip
        return self._hit(self._limiter, rates, "read" if reading else "trade", address, address)

    def hit_account(self, email: str, *, reading: bool, address: str = "") -> Allowance | None:
        """One request of an account, which came from this address."""
        if not self._enabled:
            return None
        rates = self._read_per_account if reading else self._trade_per_account
        return self._hit(self._limiter, rates, "account-read" if reading else "account", email, address)

    def hit_mail(self, email: str, address: str) -> None:
        """One mail to `email`, asked for by an address."""
        if self._enabled:
            self._hit(self._tight, self._mail_per_ip, "mail-ip", address, address)
            self._hit(self._tight, self._mail_per_address, "mail", email, address)

    def _hit(
        self, limiter: "_Limiter", rates: Sequence[RateLimitItem], scope: str, who: str, address: str
    ) -> Allowance:
        tightest: Allowance | None = None
        for rate in rates:
            allowed = limiter.hit(rate, scope, who)
            count, end = limiter.counters.latest
            allowance = Allowance(rate.amount, max(0, rate.amount - count), max(1, int(end - self._now_s()) + 1))
            if not allowed:
                self._note_refusal(address)
                raise _rate_limited(allowance)
            if tightest is None or allowance.remaining < tightest.remaining:
                tightest = allowance
        assert tightest is not None, "a rate has at least one item"
        return tightest

    # --- addresses that do not stop -----------------------------------------------------------------------------------

    def _refuse_blocked(self, address: str) -> None:
        """A look-up and nothing more: this is what an abuser's requests should cost."""
        count, end = self._blocked.storage.get(address, (0, 0.0))
        left_s = end - self._now_s()
        if count and left_s > 0:
            raise Blocked(int(left_s) + 1)

    def _note_refusal(self, address: str) -> None:
        if not self._block_after or not address:
            return
        if self._tight.counters.incr(f"refused/{address}", REFUSALS_WINDOW_S) > self._block_after:
            self._tight.counters.clear(f"refused/{address}")
            self._blocked.incr(address, self._block_s)


def _rate_limited(allowance: Allowance) -> ApiError:
    error = ApiError("rate_limited", retry_after_s=allowance.reset_s)
    error.headers |= allowance.headers()
    return error
