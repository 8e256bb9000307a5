"""A freqtrade strategy that is always in the market: short after a candle that fell, else long.

It is there to be watched, not to earn. With `leverage` 5 the stop, which lies on the exchange, is 2 % away in price,
and profit is taken at 1 %.
"""

from freqtrade.strategy import IStrategy
from pandas import DataFrame


class AlwaysEnter(IStrategy):
    INTERFACE_VERSION = 3
    can_short = True
    timeframe = "1m"
    startup_candle_count = 1
    process_only_new_candles = False
    minimal_roi = {"0": 0.05}
    stoploss = -0.1
    order_types = {
        "entry": "market",
        "exit": "market",
        "emergency_exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 60,
    }

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        fell = dataframe["close"] < dataframe["open"]
        dataframe.loc[fell, "enter_short"] = 1
        dataframe.loc[~fell, "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        return dataframe

    def leverage(self, *_: object, **__: object) -> float:
        return float(self.config.get("leverage", 5))
