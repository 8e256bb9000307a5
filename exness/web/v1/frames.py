"""The frames of our stream: `{channel, seq, at, type, data}`, where `data` is what the endpoints answer."""

from typing import Any

import msgspec

from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.core.views import Quote
from exness.runtime.candles import Candle
from exness.web.stream.encoding import AccountEncoder
from exness.web.stream.protocol import text_frame
from exness.web.v1.account_frames import AccountFrames
from exness.web.v1.format import iso
from exness.web.v1.models import KlineRow, PriceAnswer, kline_row, price_answer


class Frame(msgspec.Struct, frozen=True):
    """Every frame. `at` is when it happened."""

    channel: str
    seq: int
    at: str
    type: str
    data: Any


_encode = msgspec.json.Encoder().encode


class Frames:
    """A StreamEncoder."""

    def __init__(self) -> None:
        self.made = 0

    def frame(self, channel: str, seq: int, at: int, kind: str, data: object) -> bytes:
        self.made += 1
        return text_frame(_encode(Frame(channel, seq, iso(at), kind, data)))

    def price(self, asset: Asset, quote: Quote, rules: Rules) -> PriceAnswer:
        return price_answer(asset, quote, rules)

    def candle(self, candle: Candle, decimals: int) -> KlineRow:
        return kline_row(candle, decimals)

    def time(self, at: int) -> str:
        return iso(at)

    def accounts(self, rules: Rules) -> AccountEncoder:
        return AccountFrames(rules, self)
