"""Sums that can outgrow the 64 bits of a column: kept as two, the sum being `column + column_e18 * 10**18`.

What is added up over a whole history (deposits, pnls) or over all accounts (what the house has won) has no bound. As
long as such a sum is less than 10**18 either way, `column` is all of it and `column_e18` is 0.
"""

WIDE = 10**18

_LIMB_BITS = 32


def split(total: int) -> tuple[int, int]:
    """Any sum as its two columns, of which the first is less than WIDE either way."""
    if -WIDE < total < WIDE:
        return total, 0
    high, low = divmod(abs(total), WIDE)
    return (low, high) if total > 0 else (-low, -high)


def joined(low: int, high: int) -> int:
    """The sum back."""
    return low + high * WIDE


def add(column: str, low: str, high: str) -> str:
    """What SETs a sum to itself plus another, given as two SQL expressions in the form of `split`.

    The first column is less than WIDE either way before and after it. The second would take WIDE additions of the
    largest numbers to overflow.
    """
    return (
        f"{column} = ({column} + {low}) % {WIDE}, "
        f"{column}_e18 = {column}_e18 + {high} + ({column} + {low}) / {WIDE}"
    )  # of column names and constants alone


def sum_of(number: str) -> str:
    """Two aggregates that are the sum of a 64-bit number over up to 2**31 rows: for `summed`."""
    return f"coalesce(sum({number} >> {_LIMB_BITS}), 0), coalesce(sum({number} & {2**_LIMB_BITS - 1}), 0)"


def summed(high: int, low: int) -> int:
    """What `sum_of` selected, as one number."""
    return (high << _LIMB_BITS) + low
