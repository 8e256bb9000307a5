"""What each endpoint answers, field by field."""

from exness.web.fapi.schemas import (
    DECIMAL,
    EMPTY,
    FAILURE,
    FLAG,
    INTEGER,
    TEXT,
    either,
    fields,
    just,
    many,
    named,
)

NO_FIELDS = EMPTY
NO_ROWS = many(EMPTY, maxItems=0)
DONE = named("Done", fields(integer="code", text="msg"))

# --- the exchange ---------------------------------------------------------------------------------------------------

TIME = named("ServerTime", fields(integer="serverTime"))
STATUS = named("SystemStatus", fields(integer="status", text="msg"))
RATE_LIMIT = named("RateLimit", fields(text="rateLimitType interval", integer="intervalNum limit"))
FILTER = named(
    "Filter",
    fields(
        text="filterType multiplierDecimal?",
        decimal="minPrice? maxPrice? tickSize? minQty? maxQty? stepSize? notional? multiplierUp? multiplierDown?",
        integer="limit?",
    ),
)
SYMBOL = named(
    "Symbol",
    fields(
        text="symbol pair contractType status baseAsset quoteAsset marginAsset underlyingType",
        decimal="maintMarginPercent requiredMarginPercent triggerProtect liquidationFee marketTakeBound",
        integer="deliveryDate onboardDate pricePrecision quantityPrecision baseAssetPrecision quotePrecision "
        "settlePlan maxMoveOrderLimit",
        underlyingSubType=many(TEXT),
        filters=many(FILTER),
        orderTypes=many(TEXT),
        timeInForce=many(TEXT),
    ),
)
EXCHANGE_INFO = named(
    "ExchangeInfo",
    fields(
        text="timezone futuresType",
        integer="serverTime",
        rateLimits=many(RATE_LIMIT),
        exchangeFilters=NO_ROWS,
        assets=many(fields(text="asset autoAssetExchange", flag="marginAvailable")),
        symbols=many(SYMBOL),
    ),
)
NO_SYMBOLS = named(
    "NoSymbols",
    fields(text="timezone", integer="serverTime", rateLimits=NO_ROWS, exchangeFilters=NO_ROWS, symbols=NO_ROWS),
)

# --- the account ----------------------------------------------------------------------------------------------------

_TOTALS = (
    "totalWalletBalance totalUnrealizedProfit totalMarginBalance totalMaintMargin totalInitialMargin "
    "totalPositionInitialMargin totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl availableBalance "
    "maxWithdrawAmount"
)
_ASSET = (
    "walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin "
    "openOrderInitialMargin crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount"
)
_POSITION = "positionAmt unrealizedProfit isolatedMargin notional isolatedWallet initialMargin maintMargin"
_MORE = "entryPrice breakEvenPrice bidNotional askNotional positionInitialMargin openOrderInitialMargin"
_RISK = (
    "positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice isolatedMargin notional "
    "isolatedWallet"
)
_MODES = "canTrade canDeposit canWithdraw multiAssetsMargin"
ACCOUNT_V3 = named(
    "Account",
    fields(
        decimal=_TOTALS,
        assets=many(named("AccountAsset", fields(text="asset", decimal=_ASSET, integer="updateTime"))),
        positions=many(
            named("AccountPosition", fields(text="symbol positionSide", decimal=_POSITION, integer="updateTime"))
        ),
    ),
)
ACCOUNT_V2 = named(
    "AccountV2",
    fields(
        decimal=_TOTALS,
        integer="feeTier updateTime tradeGroupId",
        flag=f"{_MODES} feeBurn",
        assets=many(
            named("AccountAssetV2", fields(text="asset", decimal=_ASSET, integer="updateTime", flag="marginAvailable"))
        ),
        positions=many(
            named(
                "AccountPositionV2",
                fields(
                    text="symbol positionSide",
                    decimal=f"{_POSITION} {_MORE} leverage maxNotional",
                    integer="updateTime",
                    flag="isolated",
                ),
            )
        ),
    ),
)
BALANCES = many(
    named(
        "Balance",
        fields(
            text="accountAlias asset",
            decimal="balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount",
            flag="marginAvailable",
            integer="updateTime",
        ),
    )
)
POSITIONS_V3 = many(
    named(
        "PositionRisk",
        fields(
            text="symbol positionSide marginAsset",
            decimal=f"{_RISK} initialMargin maintMargin positionInitialMargin openOrderInitialMargin bidNotional "
            "askNotional",
            integer="adl updateTime",
        ),
    )
)
POSITIONS_V2 = many(
    named(
        "PositionRiskV2",
        fields(
            text="symbol marginType isAutoAddMargin positionSide",
            decimal=f"{_RISK} leverage maxNotionalValue",
            integer="updateTime",
        ),
    )
)
ADL = many(named("AdlQuantile", fields(text="symbol", adlQuantile=fields(integer="BOTH LONG SHORT"))))

# --- settings -------------------------------------------------------------------------------------------------------

LEVERAGE = named("Leverage", fields(integer="leverage", decimal="maxNotionalValue", text="symbol"))
MARGIN_MOVED = named("MarginMoved", fields(number="amount", integer="code type", text="msg"))
POSITION_MODE = named("PositionMode", fields(flag="dualSidePosition"))
ASSETS_MODE = named("AssetsMode", fields(flag="multiAssetsMargin"))
FEE_BURN = named("FeeBurn", fields(flag="feeBurn"))
ACCOUNT_CONFIG = named(
    "AccountConfig", fields(integer="feeTier updateTime tradeGroupId", flag=f"{_MODES} dualSidePosition")
)
SYMBOL_CONFIGS = many(
    named(
        "SymbolConfig",
        fields(text="symbol marginType", decimal="maxNotionalValue", flag="isAutoAddMargin", integer="leverage"),
    )
)
COMMISSION = named(
    "CommissionRate", fields(text="symbol", decimal="makerCommissionRate takerCommissionRate rpiCommissionRate")
)
BRACKET = named(
    "Bracket", fields(integer="bracket initialLeverage", number="notionalCap notionalFloor maintMarginRatio cum")
)
BRACKETS = many(named("Brackets", fields(text="symbol", number="notionalCoef", brackets=many(BRACKET))))
RATE_LIMITS = many(RATE_LIMIT)
TRADING_STATUS = named("TradingStatus", fields(integer="updateTime", indicators=EMPTY))

# --- orders ---------------------------------------------------------------------------------------------------------

_OF_ALL_ORDERS = "symbol side positionSide timeInForce workingType priceMatch selfTradePreventionMode"
ORDER = named(
    "Order",
    fields(
        text=f"{_OF_ALL_ORDERS} status clientOrderId type origType",
        decimal="price avgPrice origQty executedQty cumQty cumQuote stopPrice activatePrice? priceRate?",
        flag="reduceOnly closePosition priceProtect",
        integer="orderId goodTillDate time updateTime",
    ),
)
ORDERS = many(ORDER)
BATCH = many(either(ORDER, FAILURE))
ALGO = named(
    "AlgoOrder",
    fields(
        text=f"{_OF_ALL_ORDERS} clientAlgoId algoType orderType algoStatus actualOrderId actualType tpOrderType",
        decimal="quantity actualPrice actualQty triggerPrice price tpTriggerPrice tpPrice slTriggerPrice slPrice "
        "activatePrice? callbackRate?",
        flag="closePosition priceProtect reduceOnly",
        integer="algoId createTime updateTime triggerTime goodTillDate",
        icebergQuantity={"type": "null"},
    ),
)
ALGOS = many(ALGO)
ALGO_CANCELLED = named("AlgoCancelled", fields(integer="algoId", text="clientAlgoId code msg"))
COUNTDOWN = named("Countdown", fields(text="symbol countdownTime"))

# --- what has happened ----------------------------------------------------------------------------------------------

FILLS = many(
    named(
        "UserTrade",
        fields(
            text="symbol side marginAsset commissionAsset positionSide",
            decimal="price qty realizedPnl quoteQty commission",
            integer="id orderId time",
            flag="buyer maker",
        ),
    )
)
INCOME = many(
    named("Income", fields(text="symbol incomeType asset info tradeId", decimal="income", integer="time tranId"))
)
MARGIN_HISTORY = many(
    named("MarginChange", fields(text="symbol deltaType asset positionSide", decimal="amount", integer="type time"))
)
LISTEN_KEY = named("ListenKey", fields(text="listenKey"))

# --- the market -----------------------------------------------------------------------------------------------------

DAY = named(
    "DayTicker",
    fields(
        text="symbol",
        decimal="priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume "
        "quoteVolume",
        integer="openTime closeTime firstId lastId count",
    ),
)
PRICE = named("PriceTicker", fields(text="symbol", decimal="price", integer="time"))
BOOK_TICKER = named("BookTicker", fields(text="symbol", decimal="bidPrice bidQty askPrice askQty", integer="time"))
DAYS, PRICES, BOOK_TICKERS = (either(each, many(each)) for each in (DAY, PRICE, BOOK_TICKER))
_LEVELS = many(just(2, DECIMAL))
DEPTH = named("Depth", fields(integer="lastUpdateId E T", bids=_LEVELS, asks=_LEVELS))
KLINES = many(named("Kline", just(12, INTEGER, DECIMAL)))
AGG_TRADES = many(named("AggTrade", fields(integer="a f l T", decimal="p q nq", flag="m")))
TRADES = many(named("Trade", fields(integer="id time", decimal="price qty quoteQty", flag="isBuyerMaker")))
PREMIUM = named(
    "PremiumIndex",
    fields(
        text="symbol",
        decimal="markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate",
        integer="nextFundingTime time",
    ),
)
PREMIUMS = either(PREMIUM, many(PREMIUM))
FUNDING_RATES = many(
    named("FundingRate", fields(text="symbol", decimal="fundingRate markPrice", integer="fundingTime"))
)
FUNDING_INFO = many(
    named(
        "FundingInfo",
        fields(
            text="symbol",
            decimal="adjustedFundingRateCap adjustedFundingRateFloor",
            integer="fundingIntervalHours",
            disclaimer=FLAG,
        ),
    )
)
OPEN_INTEREST = named("OpenInterest", fields(text="symbol", decimal="openInterest", integer="time"))
