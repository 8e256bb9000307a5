"""Lesson 4, types of orders: five ways into and out of the same hour.

python examples/course/lesson_4_order_types.py
"""

from lesson import a_picture, an_exchange

PATH = [200, 201, 199, 197, 195, 194, 196, 199, 203, 207, 210, 212, 211, 208, 206, 204, 205, 207]


def main() -> None:
    ends = {}
    with an_exchange() as exchange:
        exchange.set_price("SOL", PATH[0])
        names = ("market", "limit at 195", "stop at 205", "market, take profit at 207", "market, trailing stop of 4")
        traders = {name: exchange.trader(f"trader{number}") for number, name in enumerate(names)}
        market, limit, stop, profit, trailing = traders.values()
        market.create_trade("SOL", "long", margin=100, leverage=5)
        limit.create_order("SOL", "long", margin=100, leverage=5, limit_price=195)
        stop.create_order("SOL", "long", margin=100, leverage=5, stop_price=205)
        profit.create_trade("SOL", "long", margin=100, leverage=5, take_profit=207)
        trailing.create_trade("SOL", "long", margin=100, leverage=5, trailing_stop={"distance": 4})
        for price in PATH[1:]:
            exchange.step(60)
            exchange.set_price("SOL", price)
        for name, trader in traders.items():
            for row in trader.open_trades():
                trader.close_trade(row.order_id)
            (row,) = trader.history().data
            ends[name] = row
            end = f"out at {row.close_price:.2f} ({row.close_reason}), {row.pnl:+.2f} USDC"
            print(f"{name:>28}: in at {row.entry_price:.2f}, {end}")
        began = ends["market"].created_at
    with a_picture("lesson_4_order_types.png", "Five ways through the same hour", "minutes", "SOL in USDC") as axes:
        axes.plot(PATH, color="grey", label="price")
        for name, row in ends.items():
            minutes = [(at - began).total_seconds() / 60 for at in (row.created_at, row.closed_at)]
            axes.plot(minutes, [row.entry_price, row.close_price], "o--", label=name)


if __name__ == "__main__":
    main()
