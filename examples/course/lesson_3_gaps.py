"""Lesson 3, gaps: a stop loss is filled at the price that comes, not at the one that was set. What can one lose?

python examples/course/lesson_3_gaps.py
"""

from decimal import Decimal

from lesson import a_picture, an_exchange

from exness.testing import Exchange

GAPS = (2, 4, 6, 8, 10, 15, 20, 30, 50)
MARGIN, STOP = 1000, 192
FALLEN, STEPWISE = "stop loss at -4 %, in one tick", "stop loss at -4 %, percent by percent"
PLAIN, UNPROTECTED = "no stop loss", "no protection at all"


def gain(exchange: Exchange, prices: list[int], **exits: int) -> Decimal:
    """What a long of 10x has gained after these prices."""
    exchange.reset()
    exchange.set_price("SOL", 200)
    trader = exchange.trader("ann")
    trader.create_trade("SOL", "long", margin=MARGIN, leverage=10, **exits)
    for price in prices:
        exchange.set_price("SOL", price)
    for row in trader.open_trades():
        trader.close_trade(row.order_id)
    (end,) = trader.history().data
    print(f"  {end.close_reason} at {end.close_price:.2f}: {end.pnl:+.2f} USDC, balance {trader.account().balance:.2f}")
    return end.pnl or Decimal(0)


def main() -> None:
    gains: dict[str, list[Decimal]] = {PLAIN: [], FALLEN: [], STEPWISE: [], UNPROTECTED: []}
    with an_exchange() as exchange:
        for gap in GAPS:
            end, steps = 200 - 2 * gap, list(range(198, 200 - 2 * gap - 1, -2))
            print(f"from 200 to {end}: without a stop, with one in one tick, with one percent by percent")
            gains[PLAIN].append(gain(exchange, [end]))
            gains[FALLEN].append(gain(exchange, [end], stop_loss=STOP))
            gains[STEPWISE].append(gain(exchange, steps, stop_loss=STOP))
            gains[UNPROTECTED].append(Decimal(-gap * MARGIN * 10) / 100)
    with a_picture("lesson_3_gaps.png", "Gaps", "fall in %", "gain in USDC, of 1000 USDC at 10x") as axes:
        for name, values in gains.items():
            axes.plot(GAPS, values, "--" if name == UNPROTECTED else "-o", label=name)


if __name__ == "__main__":
    main()
