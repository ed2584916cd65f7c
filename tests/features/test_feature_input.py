"""Declarations, bars and times that cannot be: refused with what was got and expected."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from indicator_inputs import series

from marketsim.errors import ArgumentError, ShortSeriesWarning
from marketsim.features import (
    CrossSection,
    FeatureStore,
    FeatureTable,
    JoinStream,
    Pipeline,
    across,
    column,
    cross_section,
    indicator,
    join,
)

CLOSE = column("close")
DAYS = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
HOURS = np.arange("2024-01-01", "2024-01-03", dtype="datetime64[h]").astype("datetime64[ns]")
TABLE = FeatureTable(np.arange(10.0)[:, None], ("x",), DAYS)


def test_declarations_that_say_nothing() -> None:
    cases: list[tuple[Any, str]] = [
        (lambda: 1 if CLOSE > 1 else 0, "not known when it is declared"),
        (lambda: 1 < CLOSE < 2, "not known when it is declared"),
        (lambda: CLOSE + float("nan"), "must be finite: got nan"),
        (lambda: CLOSE * float("inf"), "must be finite: got inf"),
        (lambda: CLOSE.lag(2**31), "whole number of rows from 0 to 16,777,215"),
        (lambda: CLOSE.lag(True), "whole number of rows from 0"),
        (lambda: CLOSE.mean(0), "mean: expected a whole number of rows from 1 to"),
        (lambda: Pipeline({1: CLOSE}, asof="current"), "names that are texts: got 1"),  # type: ignore[dict-item]
        (lambda: indicator("ema", CLOSE, window=3, lookback=2**30), "lookback must be at most"),
    ]
    for case, message in cases:
        with pytest.raises(ArgumentError, match=message):
            case()
    assert CLOSE.lag(np.int64(2)).describe() == CLOSE.lag(2).describe()  # type: ignore[arg-type]


def test_bars_of_the_wrong_shape(tmp_path: Path) -> None:
    pipeline = Pipeline({"gap": CLOSE - column("open")}, asof="current")
    bars = {"open": [1.0, 2.0], "close": [2.0, 3.0]}
    stored = FeatureStore(tmp_path).open(pipeline, bars)
    for take in (pipeline.stream().update, lambda bar: stored.append("2030-01-01", bar)):
        with pytest.raises(ArgumentError, match=r"expected 2 numbers \(open, close\): got shape"):
            take([1.0, 2.0, 3.0])
        with pytest.raises(ArgumentError, match="bar: close is missing: expected open, close"):
            take({"open": 1.0})
        for wrong in ("2.0", None, True):
            with pytest.raises(ArgumentError, match="bar: expected numbers, NaN where one is miss"):
                take([wrong, wrong])
    with pytest.raises(ArgumentError, match="column 'close' must hold numbers: got <U1"):
        pipeline.all({"open": [1.0, 2.0], "close": ["1", "2"]})
    for stamps, message in ((DAYS[:3], "one a row, 2: got 3"), (DAYS[[1, 0]], "must ascend")):
        wrong_times = SimpleNamespace(
            timestamps=stamps, **{k: np.array(v) for k, v in bars.items()}
        )
        with pytest.raises(ArgumentError, match=message):
            FeatureStore(tmp_path).table(pipeline, wrong_times)  # type: ignore[arg-type]
    assert len(stored) == 2


def test_a_window_longer_than_the_bars_says_so() -> None:
    bars = {name: getattr(series("walk", 30), name) for name in ("high", "low", "close")}
    long = Pipeline({"a": indicator("sma", CLOSE, window=50)}, asof="current")
    with pytest.warns(ShortSeriesWarning, match="sma: a window needs 50 rows, there are 30"):
        assert np.isnan(long.all(bars)["a"]).all()
    blind = Pipeline({"a": indicator("rsi", window=14, lookback=10)}, asof="current")
    with pytest.warns(ShortSeriesWarning, match="rsi: a window needs 15 rows, there are 10"):
        assert np.isnan(blind.all(bars)["a"]).all()
    huge = Pipeline({"a": indicator("sma", CLOSE, window=2**30)}, asof="current")
    with pytest.raises(ArgumentError, match="sma: a stream keeps the rows of its window"):
        huge.stream()


def test_times_out_of_order_give_no_later_value() -> None:
    live = JoinStream(("x",), table_bar="1D", bar="1h", prefix="")
    live.higher(DAYS[1], np.array([2.0]))
    with pytest.raises(ArgumentError, match="higher: expected a bar after the one before"):
        live.higher(DAYS[0], np.array([1.0]))
    with pytest.raises(ArgumentError, match="expected 1 features: got shape"):
        live.higher(DAYS[2], np.array([1.0, 2.0]))
    assert live.at(DAYS[3]) == {"x": 2.0}
    with pytest.raises(ArgumentError, match="at: expected a bar after the one before"):
        live.at(DAYS[0])  # would see what closed later
    with pytest.raises(ArgumentError, match="expected a time: got NaT"):
        live.at("NaT")
    for duration in ("1 fortnight", "1M", "-1D"):
        with pytest.raises(ArgumentError, match="table_bar"):
            join(TABLE, HOURS, table_bar=duration, bar="1h", prefix="")


def test_cross_sections_of_other_times() -> None:
    section = cross_section({"A": TABLE, "B": FeatureTable(np.ones((5, 1)), ("x",), DAYS[:5])}, "x")
    for apart in (np.timedelta64(1, "h"), np.timedelta64(30, "D"), -np.timedelta64(1, "h")):
        with pytest.raises(ArgumentError, match="no symbol has a row at"):
            section.of("B", DAYS[:3] + apart)  # an hour later would be the next day's rank
    with pytest.raises(ArgumentError, match="expected at least one symbol"):
        cross_section({}, "x")
    for stamps in (DAYS[[0, 0, 1]], DAYS[[2, 1, 0]]):
        with pytest.raises(ArgumentError, match="C: timestamps must ascend, each once"):
            cross_section({"C": FeatureTable(np.ones((3, 1)), ("x",), stamps)}, "x")
    assert across(np.empty((3, 0))).shape == (3, 0)
    assert isinstance(section, CrossSection)
