"""Liquidations for those who follow them: of each asset the newest, at most one a second. Nothing is read while nobody
does."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from exness.core.events import Record, TradeClosed
from exness.core.instruments import Asset, Side
from exness.core.money import USDC_DECIMALS
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.ports.journal import StorageError
from exness.web.fapi.market.texts import Texts
from exness.web.fapi.streams.messages import Liquidation
from exness.web.services import Market

RECORDS_PER_TURN = 200


class Liquidations:
    """Follows the records for as long as `followed`; `moved` is called for an asset that has news."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._newest: dict[Asset, Record] = {}
        self._shown: dict[Asset, tuple[int, Liquidation | None]] = {}
        """As it was told, by the record's seq: several streams tell of one."""
        self._wanted = asyncio.Event()
        self.moved: Callable[[Asset], None] = _nobody

    def want(self, *, followed: bool) -> None:
        if followed:
            self._wanted.set()
        else:
            self._wanted.clear()
            self._newest.clear()
            self._shown.clear()

    async def follow(self) -> None:
        """Keep the newest of each asset."""
        while True:
            await self._wanted.wait()
            try:
                if await self._follow():
                    await asyncio.Event().wait()  # the exchange has stopped: nothing more will come
            except (FellBehind, StorageError):
                await asyncio.sleep(0)

    async def _follow(self) -> bool:
        """False once nobody wants any more."""
        async with aclosing(self._exchange.follow(self._exchange.durable_seq)) as records:
            async for record in records:
                if not self._wanted.is_set():
                    return False
                event = record.event
                if isinstance(event, TradeClosed) and event.liquidated:
                    self._newest[event.asset] = record
                    self.moved(event.asset)
                if record.seq % RECORDS_PER_TURN == 0:
                    await asyncio.sleep(0)
        return True

    async def newest(self, market: Market) -> tuple[int, Liquidation | None]:
        """The newest one and its seq. Raises NotTaken, StorageError."""
        record = self._newest.get(market.asset)
        if record is None:
            return 0, None
        shown = self._shown.get(market.asset)
        if shown is None or shown[0] != record.seq:
            shown = self._shown[market.asset] = record.seq, await self._read(record, market)
        return shown

    async def _read(self, record: Record, market: Market) -> Liquidation | None:
        event = record.event
        assert isinstance(event, TradeClosed), "nothing else is kept"
        trade = await self._exchange.trade(event.account, event.trade_id)
        if trade is None:  # a reset has forgotten it
            return None
        quantity = trade.size
        if not trade.net:  # hundredths of micro-USDC, at its entry
            places = trade.decimals + market.instrument.quantity_places
            quantity = trade.size * int(10**places) // (trade.entry * 100 * int(10**USDC_DECIMALS))
        texts = Texts(market.instrument)
        amount, price = texts.quantity(quantity), texts.price(event.price)
        side = "SELL" if trade.side is Side.LONG else "BUY"
        return Liquidation(
            market.symbol, side, "LIMIT", "IOC", amount, price, price, "FILLED", amount, amount, record.at // 1000
        )


def _nobody(asset: Asset) -> None: ...
