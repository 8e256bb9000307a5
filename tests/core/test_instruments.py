"""core/instruments.py: the words of the desk."""

import msgspec
import pytest

from exness.core.instruments import LEVERAGE_UNIT, SLIPPAGE_UNIT, Asset, Execution, Instrument, Side


def test_sides_are_called_as_in_the_contract() -> None:
    assert [side.value for side in Side] == ["long", "short"]


def test_units_are_hundredths_of_leverage_and_hundredths_of_a_percent_of_slippage() -> None:
    assert LEVERAGE_UNIT == 100
    assert SLIPPAGE_UNIT == 100 * 100


def test_executions_are_called_as_in_the_configuration() -> None:
    assert [execution.value for execution in Execution] == ["mid", "touch"]


def test_an_instrument_does_not_change() -> None:
    sol = Instrument(Asset("SOL"), 6, 10_000)
    with pytest.raises(AttributeError):
        sol.decimals = 4  # type: ignore[misc]
    assert msgspec.structs.replace(sol, decimals=4).decimals == 4
    assert sol.decimals == 6
