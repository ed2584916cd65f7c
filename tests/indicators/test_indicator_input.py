"""Inputs that are no numbers, parameters that are none, windows that no memory holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from indicator_inputs import same_bits, series

from marketsim import indicators
from marketsim.errors import ArgumentError
from marketsim.indicators import stream

pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")
CLOSE = series("walk", 40).close


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3"],
        [1 + 1j, 2, 3],
        [True, False, True],
        np.array(["2024-01-01", "2024-01-02"], "datetime64[D]"),
        np.array([1.0, "x", 2.0], dtype=object),
        [[1.0, 2.0], [3.0]],
    ],
)
def test_what_is_no_number_is_refused(values: Any) -> None:
    with pytest.raises((ArgumentError, ValueError)) as failed:
        indicators.sma(values, 2)
    assert isinstance(failed.value, ArgumentError) or "inhomogeneous" in str(failed.value)


def test_missing_numbers_of_other_kinds_are_nan() -> None:
    expected = [np.nan, 1.5, np.nan, np.nan, 4.5]
    for values in (
        np.ma.masked_array([1.0, 2.0, 9.0, 4.0, 5.0], mask=[0, 0, 1, 0, 0]),
        np.array([1, 2, None, 4, 5], dtype=object),
        pd.Series([1.0, 2.0, None, 4.0, 5.0]),
        [1, 2, np.nan, 4, 5],
    ):
        assert same_bits(indicators.sma(values, 2), expected)


def test_parameters_that_are_none() -> None:
    for window in ("14", True, 2**31, 1j):
        with pytest.raises(ArgumentError, match=r"window must be"):
            indicators.sma(CLOSE, window)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="shapes that go together: got {'fast': .2,., 'slow'"):
        indicators.macd(CLOSE, [3, 5], [10, 12, 14])
    for lookback in (20.5, True, "20"):
        with pytest.raises(ArgumentError, match="lookback must be a whole number of rows"):
            indicators.ema(CLOSE, 3, lookback=lookback)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="unknown parameter 'windw': expected window"):
        stream.windowed("ema", 10, window=3, windw=5)


def test_windows_that_no_memory_holds() -> None:
    huge = 2**31 - 1
    assert np.isnan(indicators.sma(CLOSE, huge)).all()
    assert np.isnan(indicators.rolling_quantile(CLOSE, huge)).all()
    found = indicators.swings(CLOSE, CLOSE, CLOSE, depth=huge)
    assert same_bits(found.high, np.maximum.accumulate(CLOSE))
    assert (found.highs == 0).all()
    for start in (
        lambda: stream.sma(huge),
        lambda: stream.rolling_quantile(huge),
        lambda: stream.swings(depth=huge),
        lambda: stream.windowed("ema", huge, window=3),
    ):
        with pytest.raises(ArgumentError, match=r"keeps the rows of its window: expected at most"):
            start()
    assert stream.ema(huge).update(1.0) != 1.0  # keeps no rows: NaN until it has its mean


def test_sessions_of_a_zone_are_its_own_days() -> None:
    stamps = pd.date_range("2024-01-01T20:00", periods=40, freq="h", tz="America/New_York")
    days = stamps.tz_localize(None).to_numpy()
    volume = np.ones(40)
    expected = indicators.vwap(CLOSE, CLOSE, CLOSE, volume, days)
    for session in (stamps, pd.Series(stamps)):
        assert same_bits(indicators.vwap(CLOSE, CLOSE, CLOSE, volume, session), expected)
    utc = stamps.tz_convert("UTC")
    assert not same_bits(indicators.vwap(CLOSE, CLOSE, CLOSE, volume, utc), expected)
    with pytest.raises(ArgumentError, match="session must hold numbers or timestamps"):
        indicators.vwap(CLOSE, CLOSE, CLOSE, volume, ["a"] * 40)
