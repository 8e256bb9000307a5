"""What a request may cost: its weight, and the rate that it is counted against.

Weight 1 is the cheapest request of an account, GET /balance/usd: some 40 microseconds of the process. The others are
measured against it, by CPU time of the whole process, loop and threads: `python -m tests.web.measure_weights`. Where
the cost grows with what is asked for, so does the weight. Limits count weights, not requests, so they bound how much of
the process one client can take.
"""

from enum import StrEnum
from typing import NamedTuple


class Budget(StrEnum):
    """Which rate a request counts against."""

    TRADE = "trade"
    """What changes something on the exchange."""
    READ = "read"
    """Everything else."""
    FAPI = "fapi"
    """What is asked of the Binance face, in Binance's weights."""
    PROBE = "probe"
    """What watches the process. It is apart so that no load, and no block, of the same client IP makes a probe fail:
    an orchestrator would restart, or take out of service, a server that is well."""


class Weight(NamedTuple):
    """`base` of each request; `rows`: one more unit for each so many rows, 0 where there are none to count; `what`: the
    rows' name, for the documents."""

    base: int
    rows: int = 0
    what: str = ""
    budget: Budget = Budget.READ

    def of_rows(self, rows: int) -> int:
        """What so many rows weigh beside the base."""
        return rows // self.rows if self.rows else 0

    def __str__(self) -> str:
        parts = [str(self.base)] if self.base else []
        many = f"1 for every {self.rows} {self.what}" if self.rows > 1 else f"1 for each {self.what}"
        return " + ".join([*parts, many] if self.rows else parts)


OTHER = Weight(2)
"""What is none of them: a path or method that there is not, and a browser that asks whether it may."""

BODY_BYTES = 2048
"""Of a request's body weigh one unit more."""
