"""web/fapi/market over HTTP: every row by its types, klines of every interval, trades, funding and what is refused."""

from typing import Any

import msgspec
import pytest

from exness.core.rates import FundingSource, Rates
from exness.runtime.candles import Candle, CandleBatch, Interval
from exness.web.fapi.market.handlers import DEPTHS, MARKET_DATA
from exness.web.fapi.market.intervals import KlineInterval
from exness.web.fapi.market.ladder import Ladder
from exness.web.fapi.market.tape import trade_id
from tests.binance.face import FAPI, KEY_HEADER, Bot, assert_failed, face
from tests.binance.shapes import DECIMAL, has_shape
from tests.support.app import App, Stores, running_app
from tests.support.books import BTC, SECOND, SOL, START, make_rules

MINUTE = START // SECOND // 60 * 60
SOLS = "symbol=SOLUSDC"


async def good(app: App, path: str) -> Any:
    answer = await app.get(path)
    assert answer.status == 200, (answer.status, answer.raw)
    return answer.body


def candle(start: int, prices: str, *, volume: int = 0, trades: int = 4, interval: Interval = Interval.M1) -> Candle:
    """One of SOL, of four whole prices."""
    opened, high, low, close = (int(price) * 1_000_000 for price in prices.split())
    return Candle(SOL, interval, start, opened, high, low, close, volume, trades)


async def stored(*candles: Candle) -> Stores:
    stores = Stores.memory()
    await stores.candles.write(CandleBatch(list(candles), []), 0)
    return stores


# --- rows -----------------------------------------------------------------------------------------------------------

SHAPES = {
    "/fapi/v1/ticker/24hr": {
        "S": "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice "
        "volume quoteVolume",
        "I": "openTime closeTime firstId lastId count",
    },
    "/fapi/v1/ticker/price": {"S": "symbol price", "I": "time"},
    "/fapi/v2/ticker/price": {"S": "symbol price", "I": "time"},
    "/fapi/v1/ticker/bookTicker": {"S": "symbol bidPrice bidQty askPrice askQty", "I": "time"},
    "/fapi/v1/premiumIndex": {
        "S": "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate",
        "I": "nextFundingTime time",
    },
}


@pytest.mark.parametrize("path", SHAPES)
async def test_one_symbol_is_an_object_and_none_is_a_list_of_all(app: App, path: str) -> None:
    one, rows = await good(app, f"{path}?{SOLS}"), await good(app, path)
    assert [row["symbol"] for row in rows] == ["SOLUSDC", "ETHUSDC", "BTCUSDC"]
    assert rows[0] == one
    for row in rows:
        has_shape(row, **SHAPES[path])
        assert all(DECIMAL.fullmatch(v) for n, v in row.items() if isinstance(v, str) and n != "symbol")
    assert_failed(await app.get(f"{path}?symbol=NOPE"), -1121)


async def test_a_symbol_without_a_price_is_in_no_list_and_tried_again_by_name() -> None:
    async with running_app(fapi=FAPI) as empty:
        await empty.quote(BTC, "100000")
        for path in SHAPES:
            assert [row["symbol"] for row in await good(empty, path)] == ["BTCUSDC"]
            assert_failed(await empty.get(f"{path}?{SOLS}"), -1001, status=408)
        assert_failed(await empty.get(f"/fapi/v1/depth?{SOLS}"), -1001, status=408)
        for path in ("klines", "markPriceKlines", "premiumIndexKlines"):
            assert await good(empty, f"/fapi/v1/{path}?{SOLS}&interval=1m") == []
        assert await good(empty, f"/fapi/v1/trades?{SOLS}") == []
        assert (await good(empty, f"/fapi/v1/openInterest?{SOLS}"))["openInterest"] == "0.000"


async def test_a_book_has_so_many_levels_best_first_and_is_the_same_each_time(app: App) -> None:
    await app.quote(SOL, "200.1", "200.2")
    for limit in DEPTHS:
        book = await good(app, f"/fapi/v1/depth?{SOLS}&limit={limit}")
        has_shape(book, I="lastUpdateId E T", list="bids asks")
        bids, asks = ([float(price) for price, _ in book[side]] for side in ("bids", "asks"))
        assert (len(bids), len(asks)) == (limit, limit)
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert (bids[0], asks[0]) == (200.1, 200.2)
        assert all(float(quantity) > 0 for side in ("bids", "asks") for _, quantity in book[side])
        assert book == await good(app, f"/fapi/v1/depth?{SOLS}&limit={limit}")
    book = await good(app, f"/fapi/v1/depth?{SOLS}&limit=5")
    ticker = await good(app, f"/fapi/v1/ticker/bookTicker?{SOLS}")
    assert [ticker["bidPrice"], ticker["bidQty"]] == book["bids"][0]
    assert len((await good(app, f"/fapi/v1/depth?{SOLS}"))["bids"]) == 500
    for wrong in ("7", "0", "-5", "1001"):
        assert_failed(await app.get(f"/fapi/v1/depth?{SOLS}&limit={wrong}"), -4021)


def test_a_book_changes_where_it_says_and_nowhere_else() -> None:
    ladders = [
        Ladder(bid, ask)
        for bid, ask in ((200_000_000, 200_010_000), (200_013_333, 200_013_334), (205_000_000, 205_500_000), (99, 101))
    ] + [Ladder(1, 1), Ladder(99_999_999, 100_000_000), Ladder(100_000_000, 100_000_001)]
    for before in ladders:
        for after in ladders:
            bids, asks = before.changes(after)
            assert bids == set(before.bids()) ^ set(after.bids())
            assert asks == set(before.asks()) ^ set(after.asks())


async def test_a_quiet_books_number_stays_and_one_that_moved_has_a_higher_one(app: App) -> None:
    first = (await good(app, f"/fapi/v1/depth?{SOLS}&limit=5"))["lastUpdateId"]
    assert first > 2 * app.wall.now // 1000
    assert (await good(app, f"/fapi/v1/depth?{SOLS}&limit=5"))["lastUpdateId"] == first
    await app.quote(SOL, "201")
    assert (await good(app, f"/fapi/v1/depth?{SOLS}&limit=5"))["lastUpdateId"] == first + 2
    assert app.runner.app[MARKET_DATA].books.of(SOL).snapshot == first + 2


# --- klines ---------------------------------------------------------------------------------------------------------

KLINES = ("klines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines", "continuousKlines")
KINDS = [int, str, str, str, str, str, int, str, int, str, str, str]


@pytest.mark.parametrize("path", KLINES)
@pytest.mark.parametrize("interval", KlineInterval)
async def test_every_interval_of_every_kline_has_twelve_fields(app: App, path: str, interval: KlineInterval) -> None:
    named = "pair=SOLUSDC&contractType=PERPETUAL" if path[0] in "ic" else SOLS
    (row,) = await good(app, f"/fapi/v1/{path}?{named}&interval={interval}")
    assert [type(field) for field in row] == KINDS
    start = interval.start_of(app.clock.now // SECOND)
    assert (row[0], row[6]) == (start * 1000, interval.step(start, 1) * 1000 - 1)
    if path == "premiumIndexKlines":
        assert row[1:5] == ["0.00000000"] * 4
    else:
        assert row[1:5] == ["200.000000"] * 4
    assert row[5] == ("0.001" if path in ("klines", "continuousKlines") else "0")


async def test_klines_round_up_fill_gaps_flat_and_end_with_the_one_that_grows() -> None:
    first = MINUTE - 600
    stores = await stored(
        candle(first, "10 12 9 11", volume=150_000_000),
        candle(first + 60, "11 15 11 14", trades=3),
        candle(first + 240, "20 21 19 20", trades=1),
    )
    async with face(stores=stores) as app:
        path = f"/fapi/v1/klines?{SOLS}&interval=1m"
        rows = await good(app, path)
        assert [row[0] for row in rows] == [(first + 60 * number) * 1000 for number in range(11)]
        assert [row[4].partition(".")[0] for row in rows] == ["11", "14", "14", "14", *["20"] * 6, "200"]
        assert [row[5] for row in rows[:4]] == ["1.500", "0.003", "0.000", "0.000"]
        assert rows[0] == [
            first * 1000, "10.000000", "12.000000", "9.000000", "11.000000", "1.500", first * 1000 + 59_999,
            "15.75000000", 4, "0.750", "7.87500000", "0",
        ]  # fmt: skip
        assert rows[2][1:5] == ["14.000000"] * 4
        assert rows[2][8] == 0
        for start, end, limit, expected in (
            (first * 1000 + 1, None, None, rows[1:]),  # rounded up
            (first * 1000, (first + 120) * 1000, None, rows[:3]),
            (first * 1000, (first + 120) * 1000 - 1, None, rows[:2]),
            ((first - 10**6) * 1000, None, 2, rows[:2]),  # from the first there is
            (0, None, 1, rows[:1]),
            (None, (first + 125) * 1000, 2, rows[1:3]),
            (None, None, 3, rows[-3:]),
            ((first + 180) * 1000, None, 2, rows[3:5]),  # begins in a gap
            ((MINUTE + 60) * 1000, None, None, []),
            ((MINUTE + 120) * 1000, first * 1000, None, []),
            (10**17, None, None, []),
            (None, 0, None, []),
            (None, 10**17, 1, rows[-1:]),
        ):
            given = {"startTime": start, "endTime": end, "limit": limit}
            query = "".join(f"&{name}={value}" for name, value in given.items() if value is not None)
            assert await good(app, path + query) == expected, query


async def test_longer_bars_are_made_of_the_candles_that_divide_them() -> None:
    hour = MINUTE // 86_400 * 86_400
    stores = await stored(
        *(
            candle(hour + 3600 * n, f"{10 + n} {20 + n} {5 + n} {11 + n}", interval=Interval.H1, volume=10**8)
            for n in range(6)
        )
    )
    async with face(stores=stores) as app:
        rows = await good(app, f"/fapi/v1/klines?{SOLS}&interval=2h&startTime={hour * 1000}&limit=3")
        assert [row[1:6] for row in rows] == [
            ["10.000000", "21.000000", "5.000000", "12.000000", "2.000"],
            ["12.000000", "23.000000", "7.000000", "14.000000", "2.000"],
            ["14.000000", "25.000000", "9.000000", "16.000000", "2.000"],
        ]
        (row,) = await good(app, f"/fapi/v1/klines?{SOLS}&interval=6h&startTime={hour * 1000}&limit=1")
        assert row[1:6] == ["10.000000", "25.000000", "5.000000", "16.000000", "6.000"]
        assert row[8] == 24


async def test_an_answer_has_at_most_1500_rows_and_reads_in_pieces() -> None:
    first = MINUTE - 4000 * 60
    stores = await stored(*(candle(first + 60 * n, "10 12 9 11") for n in range(4000)))
    async with face(stores=stores) as app:
        rows = await good(app, f"/fapi/v1/klines?{SOLS}&interval=1m&limit=5000")
        assert len(rows) == 1500
        assert rows[-1][0] == MINUTE * 1000
        three = await good(app, f"/fapi/v1/klines?{SOLS}&interval=3m&limit=1200&startTime={first * 1000}")
        assert len(three) == 1200
        assert sum(row[8] for row in three) in range(4 * 3596, 4 * 3601)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("interval=1m", -1102),
        (SOLS, -1102),
        (f"{SOLS}&interval=7m", -1120),
        (f"{SOLS}&interval=1w1", -1120),
        ("symbol=X&interval=1m", -1121),
        (f"{SOLS}&interval=1m&startTime=soon", -1102),
        (f"{SOLS}&interval=1m&limit=0", -1130),
    ],
)
async def test_klines_refuse_what_they_cannot_read(app: App, query: str, code: int) -> None:
    assert_failed(await app.get(f"/fapi/v1/klines?{query}"), code)


# --- the day --------------------------------------------------------------------------------------------------------


async def test_the_day_adds_up_what_is_stored_once_and_grows_with_the_ticks() -> None:
    slot = MINUTE // 300 * 300
    stores = await stored(
        candle(slot - 86_400, "1 900 1 1", interval=Interval.M5),  # too old
        candle(slot - 7200, "100 120 90 110", interval=Interval.M5, volume=3 * 10**8, trades=7),
        candle(slot - 300, "110 130 100 125", interval=Interval.M5, volume=10**8, trades=2),
    )
    async with face(stores=stores) as app:
        reads = []
        klines = app.exchange.klines

        async def counted(query: Any) -> Any:
            reads.append(query)
            return await klines(query)

        app.exchange.klines = counted  # type: ignore[method-assign]
        row = await good(app, f"/fapi/v1/ticker/24hr?{SOLS}")
        assert {name: row[name] for name in ("openPrice", "highPrice", "lowPrice", "lastPrice", "count")} == {
            "openPrice": "100.000000", "highPrice": "200.000000", "lowPrice": "90.000000",
            "lastPrice": "200.000000", "count": 10,
        }  # fmt: skip
        assert (row["volume"], row["priceChange"], row["priceChangePercent"]) == ("4.001", "100.000000", "100.000")
        assert (row["openTime"], row["closeTime"]) == ((slot - 86_100) * 1000, app.clock.now // 1000)
        assert (row["firstId"], row["lastId"]) == (trade_id(slot - 7200, 1), trade_id(MINUTE, 1))
        await app.quote(SOL, "50")
        again = await good(app, f"/fapi/v1/ticker/24hr?{SOLS}")
        assert (again["lowPrice"], again["priceChangePercent"], again["count"]) == ("50.000000", "-50.000", 11)
        assert len(reads) == 1


# --- trades ---------------------------------------------------------------------------------------------------------


async def test_trades_are_told_by_id_by_time_and_the_newest() -> None:
    first = MINUTE - 600
    stores = await stored(
        candle(first, "10 12 9 11", volume=4 * 10**8),
        candle(first + 120, "20 20 18 18", trades=3),
        candle(first + 180, "5 5 5 5", trades=1),
    )
    async with face(stores=stores) as app:
        rows = await good(app, f"/fapi/v1/aggTrades?{SOLS}")
        for row in rows:
            has_shape(row, I="a f l T", S="p q nq", B="m")
        assert [(row["p"].partition(".")[0], row["m"]) for row in rows] == [
            ("10", False), ("9", True), ("12", False), ("11", True),
            ("20", True), ("18", True), ("5", False), ("200", False),
        ]  # fmt: skip
        assert [row["a"] for row in rows] == sorted({row["a"] for row in rows})
        assert [row["T"] for row in rows] == sorted(row["T"] for row in rows)
        assert [row["q"] for row in rows[:4]] == ["1.000"] * 4
        path = f"/fapi/v1/aggTrades?{SOLS}"
        assert await good(app, f"{path}&fromId={rows[2]['a']}&limit=3") == rows[2:5]
        assert await good(app, f"{path}&startTime={rows[1]['T']}&endTime={rows[4]['T']}") == rows[1:5]
        assert await good(app, f"{path}&fromId={rows[3]['a'] + 1}&limit=1") == rows[4:5], "after the last of a minute"
        assert await good(app, f"{path}&startTime={rows[3]['T'] + 1}&limit=1") == rows[4:5]
        assert await good(app, f"{path}&limit=2") == rows[-2:]
        trades = await good(app, f"/fapi/v1/trades?{SOLS}&limit=8")
        for row in trades:
            has_shape(row, I="id time", S="price qty quoteQty", B="isBuyerMaker")
        assert [row["id"] for row in trades] == [row["a"] for row in rows]
        assert trades[1]["quoteQty"] == "9.00000000"
        uneven, last = trades[4:6]
        assert (uneven["qty"], uneven["quoteQty"]) == ("0.001", "0.02000000"), "of 0.003 in two trades"
        assert (last["qty"], last["quoteQty"]) == ("0.002", "0.03600000")


async def test_old_trades_ask_for_a_key_and_no_signature(app: App, ann: Bot) -> None:
    path = f"/fapi/v1/historicalTrades?{SOLS}"
    assert_failed(await app.get(path), -2014, status=401)
    (row,) = (await app.get(path, headers={KEY_HEADER: ann.key.key})).body
    assert row == (await good(app, f"/fapi/v1/trades?{SOLS}"))[0]
    assert (await app.get(f"{path}&fromId={row['id'] + 1}", headers={KEY_HEADER: ann.key.key})).body == []


# --- funding, open interest -----------------------------------------------------------------------------------------

HOURS_8 = 8 * 3600


def with_rates(**rates: Any) -> Any:
    return msgspec.structs.replace(make_rules(), rates={SOL: Rates(**rates)})


async def test_without_funding_there_is_none_to_tell(app: App) -> None:
    row = await good(app, f"/fapi/v1/premiumIndex?{SOLS}")
    assert (row["lastFundingRate"], row["nextFundingTime"]) == ("0.00000000", 0)
    assert await good(app, "/fapi/v1/fundingRate") == await good(app, "/fapi/v1/fundingInfo") == []


async def test_funding_is_told_as_it_was_due_and_at_which_mark() -> None:
    settled = MINUTE // HOURS_8 * HOURS_8
    stores = await stored(
        *(candle(settled - n * HOURS_8 - 14_400, "1 1 1 1" if n else "9 9 9 7", interval=Interval.H4) for n in range(3))
    )
    rules = with_rates(funding_interval_s=HOURS_8, funding_rate=10_000)
    async with face(stores=stores, rules=rules) as app:
        index = await good(app, f"/fapi/v1/premiumIndex?{SOLS}")
        assert (index["lastFundingRate"], index["nextFundingTime"]) == ("0.00010000", (settled + HOURS_8) * 1000)
        rows = await good(app, "/fapi/v1/fundingRate")
        for row in rows:
            has_shape(row, S="symbol fundingRate markPrice", I="fundingTime")
        assert [row["fundingTime"] for row in rows] == [(settled - n * HOURS_8) * 1000 for n in (2, 1, 0)]
        assert [row["markPrice"] for row in rows] == ["1.000000", "1.000000", "7.000000"]
        path = f"/fapi/v1/fundingRate?{SOLS}"
        assert await good(app, f"{path}&limit=1") == rows[-1:]
        assert await good(app, f"{path}&startTime={rows[1]['fundingTime']}&limit=1") == rows[1:2]
        between = f"&startTime={rows[0]['fundingTime'] + 1}&endTime={rows[1]['fundingTime']}"
        assert await good(app, path + between) == rows[1:2]
        assert await good(app, f"{path}&startTime={(settled + 1) * 1000}") == []
        (info,) = await good(app, "/fapi/v1/fundingInfo")
        texts = "symbol adjustedFundingRateCap adjustedFundingRateFloor"
        has_shape(info, S=texts, I="fundingIntervalHours", B="disclaimer")
        assert info["fundingIntervalHours"] == 8


async def test_of_a_venues_rates_only_the_newest_is_known() -> None:
    settled = MINUTE // HOURS_8 * HOURS_8
    stores = await stored(*(candle(settled - n * 14_400, "3 3 3 3", interval=Interval.H4) for n in range(1, 7)))
    rules = with_rates(funding_interval_s=HOURS_8, funding_rate=FundingSource.FEED)
    async with face(stores=stores, rules=rules) as app:
        rows = await good(app, f"/fapi/v1/fundingRate?{SOLS}")
        assert [(row["fundingTime"], row["fundingRate"]) for row in rows] == [(settled * 1000, "0.00000000")]


async def test_open_interest_is_what_is_open_at_the_mark(app: App, ann: Bot) -> None:
    await ann.order("BUY", "2")
    assert await good(app, f"/fapi/v1/openInterest?{SOLS}") == {
        "symbol": "SOLUSDC", "openInterest": "2.000", "time": app.clock.now // 1000,
    }  # fmt: skip
    assert_failed(await app.get("/fapi/v1/openInterest"), -1102)
