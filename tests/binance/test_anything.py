"""Whatever is asked of the face, in any order, with good values and bad ones: every answer is one of its own, nothing
of it is an accident, the books balance, and the journal alone makes the same state again."""

import random
from collections import Counter
from typing import Any

import pytest

from exness.core.evolve import evolve
from exness.core.state import State
from exness.web.fapi.endpoints import ROWS
from exness.web.fapi.errors import Code
from exness.web.fapi.frame import Row
from exness.web.fapi.wishes import CONDITIONAL
from tests.binance.documented import assert_documented
from tests.binance.face import FAPI, Bot, bot, face
from tests.support.app import App
from tests.support.books import BTC, ETH, SOL, assert_books_balance, digest_and_interest
from tests.support.lanes import mostly_slow

STEPS = 2_000
GOOD = {
    "symbol": (*FAPI.markets, *["SOLUSDC"] * 6),
    "pair": tuple(FAPI.markets),
    "contractType": ("PERPETUAL",),
    "side": ("BUY", "SELL"),
    "type": ("MARKET", "LIMIT", *CONDITIONAL, "1", "2"),
    "algoType": ("CONDITIONAL",),
    "quantity": ("1", "2.5", "0.1", "10"),
    "price": ("190", "200", "210", "2990", "3010", "99000", "101000"),
    "triggerPrice": ("150", "190", "205", "2900", "3100", "98000"),
    "activatePrice": ("195", "205"),
    "callbackRate": ("0.1", "1", "5"),
    "timeInForce": ("GTC", "IOC", "FOK", "GTX", "GTD"),
    "goodTillDate": ("253402300799000",),
    "reduceOnly": ("true", "false"),
    "closePosition": ("false", "true"),
    "newOrderRespType": ("ACK", "RESULT"),
    "workingType": ("MARK_PRICE", "CONTRACT_PRICE"),
    "newClientOrderId": ("a", "b", "c"),
    "origClientOrderId": ("a", "b", "c"),
    "clientAlgoId": ("d", "e"),
    "leverage": ("1", "10", "50", "100"),
    "marginType": ("ISOLATED", "CROSSED"),
    "amount": ("1", "10"),
    "positionSide": ("BOTH", "LONG"),
    "dualSidePosition": ("false", "true"),
    "multiAssetsMargin": ("false", "true"),
    "countdownTime": ("0", "100000"),
    "interval": ("1m", "3m", "1h", "1d", "1w", "1M"),
    "limit": ("5", "100", "1000"),
    "startTime": ("0",),
    "endTime": ("253402300799000",),
    "fromId": ("0", "1"),
    "incomeType": ("COMMISSION", "REALIZED_PNL"),
    "batchOrders": (
        '[{"symbol":"SOLUSDC","side":"BUY","type":"MARKET","quantity":"1"},{"symbol":"SOLUSDC","side":"SELL",'
        '"type":"LIMIT","quantity":"1","price":"205","timeInForce":"GTC"},{"nothing":1}]',
    ),
    "orderIdList": ("[1, 17, 33]",),
    "feeBurn": ("false", "true"),
}
BAD = ("", "-1", "0", "x", "1e400", "NaN", "null", "\x00", "[", "9" * 30, "0.123456789123", "ä", "true", "1e-30", "{}")
NEAR = {"SOLUSDC": 200, "ETHUSDC": 3000, "BTCUSDC": 100_000}
USUAL: dict[str, tuple[dict[str, str], ...]] = {
    "POST /fapi/v1/order": (
        {"type": "MARKET", "side": "", "quantity": ""},
        {"type": "LIMIT", "side": "", "quantity": "", "price": "near", "timeInForce": ""},
    ),
    "PUT /fapi/v1/order": ({"orderId": "", "side": "", "quantity": "", "price": "near"},),
    "DELETE /fapi/v1/order": ({"orderId": ""}, {"origClientOrderId": ""}),
    "GET /fapi/v1/order": ({"orderId": ""}, {"origClientOrderId": ""}),
    "POST /fapi/v1/algoOrder": (
        {"algoType": "", "type": "STOP_MARKET", "side": "", "quantity": "", "triggerPrice": "near"},
        {"algoType": "", "type": "TAKE_PROFIT_MARKET", "side": "", "closePosition": "true", "triggerPrice": "near"},
        {"algoType": "", "type": "TRAILING_STOP_MARKET", "side": "", "quantity": "", "callbackRate": ""},
    ),
    "DELETE /fapi/v1/algoOrder": ({"algoId": ""},),
    "GET /fapi/v1/klines": ({"interval": ""},),
    "POST /fapi/v1/batchOrders": ({"batchOrders": ""},),
    "POST /fapi/v1/countdownCancelAll": ({"countdownTime": ""},),
    "POST /fapi/v1/positionMargin": ({"amount": "", "type": "1"},),
    "POST /fapi/v1/leverage": ({"leverage": ""},),
}
"""What is mostly sent there, so that much of it is taken. An empty value is drawn, `near` is a price near the mark."""
LIKELY = [row for row in ROWS if f"{row.method} {row.path}" in USUAL] * 6 + list(ROWS)


class Anything:
    """Asks the face. `ids` are those of orders that were told, which are then asked for."""

    def __init__(self, app: App, rng: random.Random, bots: list[Bot]) -> None:
        self.app, self.rng, self.bots = app, rng, bots
        self.ids: dict[str, list[int]] = {each.key.email: [] for each in bots}
        self.answers: Counter[tuple[str, int]] = Counter()
        self.codes: Counter[int] = Counter()

    async def ask(self) -> None:
        row = self.rng.choice(LIKELY)
        before, wrong = self.app.everything(), self.rng.random() < 0.05
        bot = self.rng.choice(self.bots)
        answer = await self._sent(bot, row, self.params(row, self.ids[bot.key.email]), wrong)
        assert answer.headers["Content-Type"].partition(";")[0] == "application/json", (row.path, answer.raw)
        assert_documented(row, answer)
        self.answers[f"{row.method} {row.path}", answer.status] += 1
        if answer.status == 200:
            self._remember(answer.body, self.ids[bot.key.email])
            return
        assert answer.body.keys() == {"code", "msg"}, (row.path, answer.raw)
        code = Code(answer.body["code"])
        self.codes[code] += 1
        assert code is not Code.UNKNOWN, (row.path, answer.raw)
        assert 400 <= answer.status < 500, (row.path, answer.status, answer.raw)
        if row.method == "GET" or wrong:
            assert self.app.everything() == before, row.path

    def params(self, row: Row, ids: list[int]) -> dict[str, str]:
        symbol = self._value("symbol", ids)
        usual = self.rng.choice(USUAL.get(f"{row.method} {row.path}", ({"limit": ""},)))
        params = {"symbol": symbol} | {name: value or self._value(name, ids) for name, value in usual.items()}
        for name, value in usual.items():
            if value == "near":
                params[name] = str(NEAR.get(symbol, 1) * self.rng.randrange(90, 111) // 100)
        if self.rng.random() < 0.3:
            name = self.rng.choice((*GOOD, "orderId", "algoId"))
            params[name] = self._value(name, ids)
        if self.rng.random() < 0.1:
            del params[self.rng.choice(list(params))]
        return params

    def _value(self, name: str, ids: list[int]) -> str:
        if self.rng.random() < 0.03:
            return self.rng.choice(BAD)
        if name in ("orderId", "algoId"):
            return str(self.rng.choice(ids)) if ids else "1"
        return self.rng.choice(GOOD[name])

    async def _sent(self, bot: Bot, row: Row, params: dict[str, str], wrong: bool) -> Any:
        text = bot.signed(params)
        if wrong:
            text = text[:-1] + ("0" if text[-1] != "0" else "1")
        if row.method == "GET" or self.rng.random() < 0.5:
            return await bot.raw(row.method, row.path, text)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await bot.raw(row.method, row.path, body=text, **form)

    def _remember(self, body: Any, ids: list[int]) -> None:
        """Of orders that may wait."""
        for each in body if isinstance(body, list) else [body]:
            if isinstance(each, dict) and each.get("status", "NEW") == "NEW":
                ids += [each[name] for name in ("orderId", "algoId") if isinstance(each.get(name), int)]
        del ids[:-4]


@pytest.mark.parametrize("seed", mostly_slow(range(4), quick=0))
async def test_whatever_is_asked_in_whatever_order_is_answered_in_its_words_and_the_books_balance(seed: int) -> None:
    rng = random.Random(seed)
    async with face() as app:
        bots = [await bot(app, name) for name in ("ann", "bob")]
        for each in bots:
            await each.get("/fapi/v3/balance")  # which makes the account
        asked = Anything(app, rng, bots)
        for number in range(STEPS):
            if rng.random() < 0.05:
                asset, near = rng.choice(((SOL, 200.0), (ETH, 3000.0), (BTC, 100_000.0)))
                await app.quote(asset, f"{near * rng.uniform(0.9, 1.1):.2f}")
            await asked.ask()
            if number % 50 == 0:
                assert_books_balance(app.state)
        assert_books_balance(app.state)
        assert asked.answers["POST /fapi/v1/order", 200] > 10
        for path in (
            "POST /fapi/v1/algoOrder",
            "PUT /fapi/v1/order",
            "DELETE /fapi/v1/order",
            "DELETE /fapi/v1/algoOrder",
        ):
            assert asked.answers[path, 200] > 0, path
        assert sum(count for (_, status), count in asked.answers.items() if status == 200) > STEPS / 4

        assert len(asked.codes) > 15, asked.codes
        again = State()
        async for records in app.journal.read():
            for record in records:
                evolve(again, record)
        assert digest_and_interest(again) == digest_and_interest(app.state)
