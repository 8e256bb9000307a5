"""A bot: it buys when the price has fallen, and the exchange keeps its take profit and its stop loss.

    TOKEN=$(.venv/bin/python -m exness token bot@example.com) .venv/bin/python examples/bot.py

It holds one trade at a time. What it has and how the price went it learns from the stream, which connects again and
resumes by itself; an order whose answer got lost is asked for again under its own id. So the exchange may be killed and
started again at any moment, and the bot goes on. Ctrl+C ends it; its trade stays, with its exits.
"""

import asyncio
import os
from collections import deque
from decimal import Decimal

from exness.client import AsyncClient
from exness.client.answers import Event
from exness.client.errors import CannotResume, Refused

URL = os.environ.get("EXNESS_URL", "http://localhost:8002")
ASSET = "SOL"
MARGIN, LEVERAGE = 50, 5
TICKS = 20
"""It looks back so far,"""
FALL = Decimal("0.001")
"""and buys once the price is so much below the highest of them."""
STEP = Decimal("0.002")
"""So far from the entry it takes its profit; twice as far it stops."""


class Bot:
    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.marks: deque[Decimal] = deque(maxlen=TICKS)
        self.open: set[str] = set()

    async def run(self) -> None:
        async with self.client.stream(f"prices.{ASSET}", "trades") as events:
            while True:
                try:
                    await self.hear(await anext(events))
                except CannotResume:
                    continue  # Too long away: what there is now comes next, as a snapshot.

    async def hear(self, event: Event) -> None:
        told = event.data
        match event.channel, event.type:
            case "trades", "snapshot":
                self.open = {trade.order_id for trade in told}
            case "trades", "opened":
                self.open.add(told.order_id)
            case "trades", "closed" | "liquidated":
                self.open.discard(told.order_id)
                print(f"{told.reason} at {told.close_price}: {told.pnl:+} USDC, balance {told.balance}")
            case _, "price" if told.mark is not None:
                self.marks.append(told.mark)
                if not self.open and told.state == "live" and told.mark <= max(self.marks) * (1 - FALL):
                    await self.buy(told.mark)
            case _:
                pass

    async def buy(self, mark: Decimal) -> None:
        above, below = round(mark * (1 + STEP), 2), round(mark * (1 - 2 * STEP), 2)
        try:
            trade = await self.client.create_trade(
                ASSET, "long", margin=MARGIN, leverage=LEVERAGE, take_profit=above, stop_loss=below
            )
        except Refused as refused:  # No money, no fresh price, ...: it says so, and tries again at the next fall.
            print(f"refused: {refused}")
            return
        finally:
            self.marks.clear()
        self.open.add(trade.order_id)
        print(f"bought at {trade.entry_price}, out at {above} or {below}")


async def main() -> None:
    async with AsyncClient(URL, token=os.environ["TOKEN"]) as client:
        await Bot(client).run()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped")
