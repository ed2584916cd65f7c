"""Strategies that look ahead in ten ways, reading nothing but their view; and honest ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import marketsim as ms

Rule = Callable[[Any, ms.DecisionView], Any]


def last_returns(view: ms.DecisionView) -> pd.Series:
    return pd.Series(view.last_return, pd.DatetimeIndex(view.dates))


def centred(window: int, **options: Any) -> Rule:
    return lambda _, view: last_returns(view).rolling(window, center=True, **options).mean() > 0.0


def week_of_the_bar(_: Any, view: ms.DecisionView) -> Any:
    x = last_returns(view)
    return x.groupby(x.index.to_period("W")).transform("last") > 0.0


def filled_backwards(_: Any, view: ms.DecisionView) -> Any:
    return last_returns(view).where(np.arange(len(view)) % 3 == 0).bfill() > 0.0


def own_high(_: Any, view: ms.DecisionView) -> Any:
    high = np.append(view.past("high", 1)[1:, 0], 0.0)
    return high > view.past("close", 1)[:, 0] * 1.005


def state_kept(strategy: Any, view: ms.DecisionView) -> Any:
    strategy.calls = getattr(strategy, "calls", 0) + 1
    return np.full(len(view), strategy.calls % 2)


def interpolated(_: Any, view: ms.DecisionView) -> Any:
    return last_returns(view).where(np.arange(len(view)) % 4 == 0).interpolate() > 0.0


def smoothed(_: Any, view: ms.DecisionView) -> Any:
    frequencies = np.fft.rfft(view.last_return)
    return np.fft.irfft(frequencies * (np.arange(len(frequencies)) < 6), len(view)) > 0.0


def calendar(_: Any, view: ms.DecisionView) -> Any:
    days = view.dates.astype("M8[D]").astype(np.int64)
    return np.append(np.diff(days), 1) > 1


LEAKS: dict[str, Rule] = {
    "shift": lambda _, view: last_returns(view).shift(-1) > 0.0,
    "shift, carried": lambda _, view: last_returns(view).shift(-1).ffill() > 0.0,
    "centred 3": centred(3),
    "centred 5": centred(5),
    "centred 7": centred(7),
    "centred 3, shorter at the end": centred(3, min_periods=1),
    "centred 7, shorter at the end": centred(7, min_periods=1),
    "whole-sample scaling": lambda _, view: (
        (last_returns(view) - last_returns(view).mean()) / last_returns(view).std() > 0.5
    ),
    "resampling labels": week_of_the_bar,
    "backfill": filled_backwards,
    "the day's own high": own_high,
    "global state": state_kept,
    "batch statistics": lambda _, view: view.last_return > np.median(view.last_return),
    "sort by date descending": lambda _, view: (
        last_returns(view).sort_index(ascending=False).rolling(3).mean().sort_index() > 0.0
    ),
    "future calendar": calendar,
    "interpolation": interpolated,
    "low-pass filter": smoothed,
    "average backwards": lambda _, view: last_returns(view)[::-1].ewm(span=3).mean()[::-1] > 0.0,
    "rank in the sample": lambda _, view: last_returns(view).rank(pct=True) > 0.5,
    "mean of the month": lambda _, view: (
        last_returns(view).groupby(last_returns(view).index.strftime("%Y%m")).transform("mean")
        > 0.0
    ),
    "number of bars": lambda _, view: np.arange(len(view)) > len(view) - 30,
    "forecast of the next bar": lambda _, view: np.append(view.close[1:], 0.0) > 0.0,
}

HONEST: dict[str, Rule] = {
    "average": lambda _, view: view.past("close", 20)[:, -1] > view.past("close", 20).mean(axis=1),
    "rolling": lambda _, view: last_returns(view).rolling(5).mean() > 0.0,
    "exponential": lambda _, view: last_returns(view).ewm(span=5).mean() > 0.0,
    "expanding": lambda _, view: last_returns(view).expanding().mean() > 0.0,
    "size": lambda _, view: np.clip(50.0 * view.close, -1.0, 1.0),
    "quantile": lambda _, view: view.distribution.quantile([0.4])[:, 3, 0] > -0.002,
}


class Planted:
    """Holds 1 where the rule is true."""

    targets, fitted = ("close",), False

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self.rule = name, rule

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        position = np.nan_to_num(np.asarray(self.rule(self, view), np.float64))
        return ms.Hold(view.allowed(position))
