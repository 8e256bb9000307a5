"""Lesson 2, funding: nothing moves for 30 days, and yet somebody pays.

python examples/course/lesson_2_funding.py
"""

from decimal import Decimal

from lesson import a_picture, an_exchange, equity

DAYS = 30
HOUR_S = 3600
EVERY_H = 8


def main() -> None:
    with an_exchange() as exchange:
        exchange.control.dev_set_rates("SOL", funding_interval_s=EVERY_H * HOUR_S, funding_rate="0.0001")
        exchange.set_price("SOL", "200")
        traders = {}
        for name, side, leverage in (("long, 1x", "long", 1), ("long, 10x", "long", 10), ("short, 10x", "short", 10)):
            traders[name] = exchange.trader(name.replace(", ", "-"))
            traders[name].create_trade("SOL", side, margin=1000, leverage=leverage)
        kept: dict[str, list[Decimal]] = {name: [equity(trader) - 5000] for name, trader in traders.items()}
        for _ in range(DAYS * 24 // EVERY_H):
            exchange.step(EVERY_H * HOUR_S)
            exchange.set_price("SOL", "200")
            for name, trader in traders.items():
                kept[name].append(equity(trader) - 5000)
        for name, values in kept.items():
            print(f"{name:>10}: {values[-1]:+.2f} USDC in {DAYS} days, {values[-1] / 10:+.1f} % of the margin")
    with a_picture("lesson_2_funding.png", "The price stands, funding runs", "days", "gain in USDC") as axes:
        for name, values in kept.items():
            axes.step([number * EVERY_H / 24 for number in range(len(values))], values, where="post", label=name)


if __name__ == "__main__":
    main()
