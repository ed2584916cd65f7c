"""Spans, simulations, benchmarks and costs that cannot be, as a user would give them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.errors import ArgumentError, NotEnoughBarsError, UnknownNameError

BARS = ms.Bars(ms.demo_bars().frame.iloc[:400], "DEMO")
INDEX = pd.DatetimeIndex(BARS.frame.index)
MARKET = pd.Series(0.001, index=INDEX)


def run(**options: object) -> ms.WalkForwardResult:
    settings = {"model": "ewma", "strategies": ["simple"], "store": False, "progress": False}
    return ms.walk_forward(BARS, **{**settings, **options})


@pytest.mark.parametrize(
    "as_given",
    [
        str,
        lambda day: day.to_pydatetime(),
        lambda day: day.date(),
        lambda day: np.datetime64(day),
        lambda day: np.datetime64(day, "D"),
        lambda day: day.tz_localize("UTC"),
    ],
    ids=["text", "datetime", "date", "datetime64", "datetime64[D]", "with a zone"],
)
def test_dates_in_any_form(as_given) -> None:
    first, last = INDEX[200].tz_localize(None), INDEX[300].tz_localize(None)
    dates = pd.DatetimeIndex(run(start=as_given(first), end=as_given(last)).returns.index)
    assert dates[0] == first and dates[-1] == last and len(dates) == 101


def test_a_date_stands_for_its_whole_day() -> None:
    hours = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC")
    frame = BARS.frame.set_axis(hours)
    bars = ms.Bars(frame, "HOURS")
    for end in ("2024-01-10", datetime.date(2024, 1, 10), np.datetime64("2024-01-10")):
        result = ms.walk_forward(
            bars, "ewma", end=end, strategies=["simple"], store=False, progress=False
        )
        assert pd.DatetimeIndex(result.days["date"])[-1] == pd.Timestamp("2024-01-10 23:00Z")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"simulations": "ALL"}, ArgumentError, r'at least 1, or "all": got \'ALL\''),
        ({"simulations": "70"}, ArgumentError, r'at least 1, or "all": got \'70\''),
        ({"simulations": np.nan}, ArgumentError, "whole number of at least 1: got nan"),
        ({"start": INDEX[-3]}, NotEnoughBarsError, "start and end leave 3, need window=7"),
        ({"start": "2100-01-01"}, ArgumentError, "no bar lies between start='2100-01-01'"),
        ({"start": "no date"}, ArgumentError, "start and end must be dates"),
        ({"start": np.nan}, ArgumentError, "start and end must be dates"),
        ({"fee": np.nan}, ArgumentError, "finite fraction of the value traded.*got nan"),
        ({"fee": -np.inf}, ArgumentError, "finite fraction of the value traded.*got -inf"),
        ({"fee": 1.0}, ArgumentError, r"in \(-1, 1\): got 1.0"),
        ({"risk_free": np.nan}, ArgumentError, "risk_free must be a rate a year.*got nan"),
        ({"calendar": "24/6"}, UnknownNameError, "unknown calendar '24/6': expected one of 24/7, "),
        ({"benchmark": MARKET.set_axis(INDEX + pd.DateOffset(years=60))}, ArgumentError,
         "does not overlap with the bars: it covers 2059-01-04"),
        ({"benchmark": MARKET[:0]}, ArgumentError, "does not overlap .* it covers nothing"),
        ({"benchmark": MARKET[::2]}, ArgumentError, "no return for 38 of 76 bars, first 2000"),
        ({"benchmark": pd.concat([MARKET, MARKET[-1:]])}, ArgumentError, "got 2000-.* twice; drop"),
        ({"benchmark": MARKET * np.nan}, ArgumentError,
         r"finite returns of at least -1, as fractions: got nan at 2000-.*\(76 of 76 bars\)"),
        ({"benchmark": MARKET.where(INDEX[-3] != INDEX, -1.5)}, ArgumentError,
         r"got -1.5 at 2000-.*\(1 of 76 bars\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        run(**options)


def test_fewer_simulations_than_asked_are_told() -> None:
    with pytest.warns(UserWarning, match="simulations of the 1000000 requested"):
        result = run(simulations=1_000_000)
    assert len(result.windows.as_of) == len(run(simulations="all").windows.as_of)


def test_a_position_beyond_the_limit_is_shown_as_it_is() -> None:
    class Short:
        name, targets, fitted = "short", (), False

        def decide(self, view: ms.DecisionView) -> ms.Hold:
            return ms.Hold(np.full(len(view), -11.0))

    with pytest.raises(ArgumentError, match=r"in \[-10, 10\]: got -11.0"):
        run(strategies=[Short()])
