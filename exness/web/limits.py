"""How often one caller may call: a first line of defence per address, a second per account.

Counting is the `limits` library's, in memory. How many callers are counted at once is bounded: when there are too many,
counting starts afresh, which costs an abuser nothing it did not have and the exchange no memory.
"""

import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from exness.web.errors import ApiError


class RateLimits:
    """Rates are texts of the `limits` library, such as `100/second`. Every `hit_*` raises ApiError(rate_limited)."""

    def __init__(
        self, *, enabled: bool, trade_per_account: str, trade_per_ip: str, read_per_ip: str, most: int
    ) -> None:
        self._enabled = enabled
        self._trade_per_account = parse(trade_per_account)
        self._trade_per_ip = parse(trade_per_ip)
        self._read_per_ip = parse(read_per_ip)
        self._most = most
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)

    def hit_address(self, address: str, *, reading: bool) -> None:
        if self._enabled:
            self._hit(self._read_per_ip if reading else self._trade_per_ip, f"ip:{reading:d}", address)

    def hit_account(self, email: str) -> None:
        if self._enabled:
            self._hit(self._trade_per_account, "account", email)

    def _hit(self, rate: RateLimitItem, scope: str, who: str) -> None:
        if len(self._storage.storage) > self._most:
            self._storage.reset()
        if not self._limiter.hit(rate, scope, who):
            reset_at = self._limiter.get_window_stats(rate, scope, who).reset_time
            raise ApiError("rate_limited", retry_after_s=max(1, int(reset_at - time.time()) + 1))
