"""`range` and `climatology`: bars that could be, scales from the past alone, references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_bars, random_frame

import marketsim as ms
from marketsim import testing
from marketsim.bars import close_moves
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, MemoryStore, run_plan
from marketsim.models import ClimatologyModel, RangeModel
from marketsim.models.statistical.base import LEVELS
from marketsim.models.statistical.range import _lagged_means, range_scales
from marketsim.models.statistical.range import _log_variances as range_logs
from marketsim.models.statistical.seasons import period_of, seasonal_part

LEVEL = np.array(LEVELS)


def moves(count: int, seed: int = 0, flat: float = 0.0) -> np.ndarray:
    """Log moves of random bars against the close before; a share of them without a range."""
    rng = np.random.default_rng(seed)
    size = 0.01 * np.exp(0.5 * rng.normal(size=count))
    close, opened = size * rng.normal(size=count), 0.3 * size * rng.normal(size=count)
    high = np.maximum(close, opened) + size * rng.exponential(0.5, count)
    low = np.minimum(close, opened) - size * rng.exponential(0.5, count)
    made = np.stack([opened, high, low, close])
    made[:, rng.random(count) < flat] = 0.0
    return made


@pytest.mark.parametrize("make", [RangeModel, ClimatologyModel, lambda: RangeModel(window=40)])
def test_the_contract(make) -> None:
    testing.check_model(make)


def reference_scale(bars: np.ndarray, fit: int) -> float:
    """The scale of the next bar, fitted by least squares on the rows themselves."""
    o, h, low, c = bars
    variance = o**2 + np.maximum(0.5 * (h - low) ** 2 - (2 * np.log(2) - 1) * (c - o) ** 2, 0.0)
    count = len(variance)
    if count < 60:
        return float(np.sqrt(variance.mean()))
    so_far = np.cumsum(variance) / np.arange(1, count + 1)
    logs = np.log(np.maximum(variance, 1e-4 * so_far))
    end = 60 + (count - 60) // 20 * 20  # when it was fitted last
    rows = range(max(22, end - fit), end)
    x = [[1.0, *(logs[i - lag : i].mean() for lag in (1, 5, 22))] for i in rows]
    beta = np.linalg.lstsq(np.array(x), logs[list(rows)], rcond=None)[0]
    now = [1.0, *(logs[-lag:].mean() for lag in (1, 5, 22))]
    guess = min(max(float(np.dot(beta, now)), logs.min()), logs.max())
    return math.exp(0.5 * guess)


@pytest.mark.parametrize(("count", "fit"), [(30, 750), (59, 750), (60, 60), (200, 100), (900, 750)])
def test_scales_are_those_of_least_squares(count: int, fit: int) -> None:
    bars = moves(count, seed=count)
    found = range_scales(bars, fit)
    for end in {1, count // 2, count - 1, count}:
        expected = reference_scale(bars[:, :end], fit)
        assert found[end] == pytest.approx(expected, rel=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 160), st.sampled_from([0.0, 0.3, 1.0]))
def test_quantiles_are_of_bars_that_could_be(seed: int, count: int, flat: float) -> None:
    bars = moves(count, seed, flat)
    made = RangeModel(window=50).predict_each(bars, 1).quantile(LEVELS)[:, :, 0]
    opened, high, low, close = made.swapaxes(0, 1)
    assert np.isfinite(made).all()
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()
    assert (np.diff(made, axis=-1) >= 0).all()
    last = RangeModel(window=50).predict(bars[None]).quantile(LEVELS)[0, :, 0]
    np.testing.assert_array_equal(made[-1], last)


def test_shapes_are_those_of_scaled_bars() -> None:
    bars = moves(300, 4)
    scale = range_scales(bars, 750)
    scaled = bars[:, 1:] / scale[1:-1]
    expected = np.quantile(scaled[:, -100:], LEVEL, axis=1).T * scale[-1]
    found = RangeModel(window=100).predict(bars[None]).quantile(LEVELS)[0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_climatology_is_that_of_the_window() -> None:
    series = moves(300, 5)[3]
    series[[3, 250, 251]] = np.nan
    made = ClimatologyModel(window=20).predict_each(series, 1)
    for end in (1, 7, 40, 255, 300):
        part = series[max(0, end - 20) : end]
        part = part[~np.isnan(part)]
        expected = np.quantile(part, LEVEL)
        np.testing.assert_allclose(made.quantile(LEVELS)[end - 1, 0], expected, atol=1e-15)
        assert made.mean[end - 1, 0] == pytest.approx(part.mean(), abs=1e-15)
        assert made.std[end - 1, 0] == pytest.approx(part.std(), abs=1e-12)


def test_it_runs_in_a_walk_forward() -> None:
    """Its records are the moves that it forecasts, and a result shows what came of them."""
    bars, plan = random_bars(150), ForecastPlan(100, 150, 1, 1)
    cube = run_plan(bars, RangeModel(), plan, store=MemoryStore(), progress=False)
    assert cube.schema.targets == "close"
    assert cube.ordered() == (cube, 0)
    row = 120
    made = RangeModel().predict(close_moves(bars)[None, :, : row - 1]).quantile(LEVELS)
    np.testing.assert_array_equal(cube.records[row - 100, 0, :, 2:], made[0, :, 0].astype("f4"))
    result = ms.walk_forward(random_frame(250), "range", progress=False, store=False)
    actual = result.forecasts.loc[result.forecasts["target"] == "high", "actual"].to_numpy()
    assert np.isfinite(actual).all()
    assert set(np.round(actual, 9)) <= set(np.round(close_moves(result.bars)[1], 9))


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        (np.zeros((1, 3, 9)), r"must be \[batch, 4, time\]"),
        (np.zeros((1, 9)), r"must be \[batch, 4, time\]"),
        (np.full((1, 4, 9), np.nan), "no observed value"),
        (np.where(np.arange(36).reshape(1, 4, 9) == 7, np.nan, 0.0), r"some are missing \(NaN\)"),
        (np.full((1, 4, 9), np.inf), "infinite value"),
    ],
)
def test_what_it_cannot_forecast_from(contexts: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RangeModel().predict(contexts)
    for wrong in (59, 1.5, None):
        with pytest.raises(ArgumentError, match="fit must be"):
            RangeModel(fit=wrong)


def daily_moves(count: int, period: int, seed: int) -> np.ndarray:
    """Bars of which those of the first quarter of each period move four times as much."""
    bars = moves(count, seed)
    bars[:, np.arange(count) % period < max(1, period // 4)] *= 4.0
    return bars


@pytest.mark.parametrize("period", [6, 24, 48])
def test_a_session_is_found_and_used(period: int) -> None:
    bars = daily_moves(2500, period, period)
    logs = range_logs(bars)
    assert period_of(logs - logs.mean()) == period
    scale = range_scales(bars, 750)[2000:2500]  # of bars 2000 .. 2499
    loud = np.arange(2000, 2500) % period < max(1, period // 4)
    assert 2.0 < np.median(scale[loud]) / np.median(scale[~loud]) < 6.0


def test_noise_and_clusters_have_no_period() -> None:
    """Volatility that clusters without a session is taken for one in 1 of 100 series or so."""
    rng = np.random.default_rng(0)
    found = [period_of(rng.normal(size=2048)) for _ in range(20)]
    for _ in range(20):
        logs = 1.2 * rng.normal(size=1024)
        cluster = 0.0
        for i in range(logs.size):
            cluster = 0.95 * cluster + 0.25 * rng.normal()
            logs[i] += cluster
        found.append(period_of((logs - _lagged_means(logs)[:, -1])[21:]))
    assert sum(period > 0 for period in found) <= 1
    assert period_of(np.zeros(500)) == 0
    assert period_of(rng.normal(size=20)) == 0


@pytest.mark.parametrize("period", [5, 24])
def test_sessions_change_no_earlier_forecast(period: int) -> None:
    bars = daily_moves(700, period, 7)
    each = RangeModel().predict_each(bars, 120).quantile(LEVELS)
    for end in (127, 128, 129, 255, 256, 257, 511, 512, 513, 699):
        alone = RangeModel().predict(bars[None, :, :end]).quantile(LEVELS)[0]
        np.testing.assert_array_equal(each[end - 120], alone)
        changed = bars.copy()
        changed[:, end:] *= 3.0
        np.testing.assert_array_equal(
            RangeModel().predict_each(changed, 120).quantile(LEVELS)[: end - 119],
            each[: end - 119],
        )


@pytest.mark.parametrize("period", [1, 24])
def test_the_part_of_the_session_is_the_mean_at_its_place(period: int) -> None:
    logs = range_logs(daily_moves(600, period, 3))
    mean = _lagged_means(logs)[:, -1]
    found = seasonal_part(logs, mean)
    deviations = np.where(np.isnan(mean), 0.0, logs - mean)
    for end in (128, 130, 255, 300, 600):
        used = period_of(deviations[: 1 << (end.bit_length() - 1)])
        expected = 0.0
        if used:
            earlier = np.arange(end - used, -1, -used)[:20]
            expected = deviations[earlier].mean()
        assert found[end - 1] == pytest.approx(expected, abs=1e-9)
