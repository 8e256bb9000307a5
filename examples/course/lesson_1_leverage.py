"""Lesson 1, what 100x does to you: the same fall of 12 % and the same recovery, at six leverages.

python examples/course/lesson_1_leverage.py
"""

from decimal import Decimal

from lesson import a_picture, an_exchange, equity

LEVERAGES = (1, 2, 5, 10, 25, 100)
MARGIN = 1000
PATH = [
    "200",
    "199",
    "198.4",
    "197",
    "195",
    "192",
    "188",
    "184",
    "180.5",
    "177",
    "176",
    "178",
    "183",
    "189",
    "195",
    "200",
    "204",
]


def main() -> None:
    with an_exchange() as exchange:
        exchange.set_price("SOL", PATH[0])
        traders = {leverage: exchange.trader(f"trader{leverage}") for leverage in LEVERAGES}
        for leverage, trader in traders.items():
            trade = trader.create_trade("SOL", "long", margin=MARGIN, leverage=leverage)
            room = (trade.entry_price - trade.liquidation_price) / trade.entry_price
            at = f"{trade.liquidation_price:.2f}, {room:.1%} below"
            print(f"{leverage:>3}x: moves {MARGIN * leverage:>6} USDC, is liquidated at {at}")
        kept: dict[int, list[Decimal]] = {leverage: [] for leverage in LEVERAGES}
        for price in PATH:
            exchange.set_price("SOL", price)
            for leverage, trader in traders.items():
                kept[leverage].append(equity(trader) - 4000)  # what became of the margin: 4000 USDC were never at risk
        for leverage, values in kept.items():
            print(f"{leverage:>3}x: of {MARGIN} USDC there are {values[-1]:.2f} in the end")
    with a_picture(
        "lesson_1_leverage.png", "The same market, at six leverages", "step", "what is left of 1000 USDC"
    ) as axes:
        for leverage, values in kept.items():
            axes.plot(values, label=f"{leverage}x")


if __name__ == "__main__":
    main()
