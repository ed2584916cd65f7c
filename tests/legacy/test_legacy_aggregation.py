"""Aggregates of samples, against the formulas written out for one column."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.stock.forecasting import quantile_of_sorted
from marketsim.legacy.stock.toto_aggregation import (
    aggregate_quantile_plus_std,
    aggregate_with_spec,
    setup_toto_aggregation_imports,
)

SAMPLES = np.random.default_rng(5).standard_t(3, size=(128, 7)).astype(np.float32)


def quantile(values: list[float], level: float) -> float:
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def by_hand(values: list[float], spec: str) -> float:
    ordered, n = sorted(values), len(values)
    mean, std = statistics.fmean(values), statistics.pstdev(values)
    return {
        "mean": mean,
        "": mean,
        " MEAN ": mean,
        "median": statistics.median(values),
        "p10": quantile(values, 0.1),
        "p90": quantile(values, 0.9),
        "trimmed_mean_10": statistics.fmean(ordered[int(n * 0.1) : n - int(n * 0.1)]),
        "trimmed_mean_0.2": statistics.fmean(ordered[int(n * 0.2) : n - int(n * 0.2)]),
        "lower_trimmed_mean_15": statistics.fmean(ordered[: int(n * (1 - 0.15))]),
        "upper_trimmed_mean_15": statistics.fmean(ordered[int(n * 0.15) :]),
        "quantile_0.35": quantile(values, 0.35),
        "quantile_35": quantile(values, 0.35),
        "mean_minus_std_0.5": mean - 0.5 * std,
        "mean_plus_std_0.5": mean + 0.5 * std,
        "mean_quantile_mix_0.2_0.35": 0.35 * mean + 0.65 * quantile(values, 0.2),
        # The old code took this for quantile_0.3.
        "quantile_plus_std_0.2_0.3": quantile(values, 0.2) + 0.3 * std,
    }[spec]


SPECS = (
    "mean",
    "",
    " MEAN ",
    "median",
    "p10",
    "p90",
    "trimmed_mean_10",
    "trimmed_mean_0.2",
    "lower_trimmed_mean_15",
    "upper_trimmed_mean_15",
    "quantile_0.35",
    "quantile_35",
    "mean_minus_std_0.5",
    "mean_plus_std_0.5",
    "mean_quantile_mix_0.2_0.35",
    "quantile_plus_std_0.2_0.3",
)


@pytest.mark.parametrize("spec", SPECS)
def test_against_the_formulas(spec: str) -> None:
    found = aggregate_with_spec(SAMPLES, spec)
    assert found.shape == (7,) and found.dtype == np.float64
    expected = [by_hand([float(v) for v in column], spec) for column in SAMPLES.T]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("quantile_0", lambda values: values.min(0)),
        ("quantile_100", lambda values: values.max(0)),
        ("mean_quantile_mix_0_0.25", lambda values: 0.25 * values.mean(0) + 0.75 * values.min(0)),
        ("mean_quantile_mix_100_2", lambda values: values.mean(0)),
        ("quantile_plus_std_1_0.5", lambda values: values.max(0) + 0.5 * values.std(0)),
    ],
)
def test_the_extremes_of_samples(spec: str, expected: Callable[..., np.ndarray]) -> None:
    values = SAMPLES.astype(np.float64)
    np.testing.assert_allclose(aggregate_with_spec(SAMPLES, spec), expected(values), rtol=1e-13)
    with pytest.raises(UnknownNameError):
        aggregate_with_spec(SAMPLES, "mean_quantile_mix_0_nan")


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=15)
@given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_one_step_of_any_number_of_samples(spec: str, values: list[float]) -> None:
    found = aggregate_with_spec(values, spec)
    expected = by_hand(values, spec) if len(values) > 1 else None
    assert found.shape == (1,)
    if expected is not None and (spec, len(values) * 0.85 < 1) != ("lower_trimmed_mean_15", True):
        np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-12)


def test_shapes_and_tensors() -> None:
    torch = pytest.importorskip("torch")
    plain = aggregate_with_spec(SAMPLES, "trimmed_mean_10")
    for same in (
        SAMPLES.T,  # the longer axis holds the samples
        SAMPLES.T[None, None],  # as the old wrapper's forecasts held them
        SAMPLES.tolist(),
        torch.from_numpy(SAMPLES),
        torch.from_numpy(SAMPLES).requires_grad_(),
        torch.from_numpy(SAMPLES.T.copy()).T,
    ):
        np.testing.assert_array_equal(aggregate_with_spec(same, "trimmed_mean_10"), plain)
    assert aggregate_with_spec(torch.tensor([1.0, 2.0, 4.5]).bfloat16(), "mean") == [2.5]
    assert aggregate_with_spec(3.0, "median") == [3.0]


def test_what_is_refused() -> None:
    for bad in (np.zeros((3, 4, 5)), [], np.zeros((0, 7))):
        with pytest.raises(ArgumentError, match="samples must be"):
            aggregate_with_spec(bad, "mean")
    for spec in ("best", "trimmed_mean_50", "quantile_x", "quantile_101", "mean_quantile_mix_0.2"):
        with pytest.raises(UnknownNameError, match="unknown aggregate"):
            aggregate_with_spec(SAMPLES, spec)


def test_quantile_plus_std() -> None:
    found = aggregate_quantile_plus_std(SAMPLES, 20, 0.3)
    np.testing.assert_array_equal(found, aggregate_with_spec(SAMPLES, "quantile_plus_std_20_0.3"))
    with pytest.raises(ArgumentError, match="quantile must lie"):
        aggregate_quantile_plus_std(SAMPLES, 101, 0.3)
    assert setup_toto_aggregation_imports(numpy_module=np) is None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 128, 1000])
@pytest.mark.parametrize("level", [0.0, 0.25, 0.4, 0.5, 0.6, 1.0])
def test_quantiles_of_sorted_rows_are_numpys(count: int, level: float) -> None:
    rows = np.random.default_rng(count).normal(0.0, 0.01, (5, count)).astype(np.float32)
    rows[1, 0], rows[2, -1] = np.nan, np.inf
    found = quantile_of_sorted(np.sort(rows, axis=1), level)
    with np.errstate(all="ignore"):
        expected = np.percentile(rows, 100 * level, axis=1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_names_in_the_old_notation() -> None:
    """As the old code understood them: any notation of numbers, weights cut to [0, 1], extremes."""
    samples = np.random.default_rng(2).normal(size=(50, 3))
    mean = samples.mean(axis=0)
    for spec, expected in {
        "mean_quantile_mix_0.5_2": mean,
        "mean_quantile_mix_50_-1": np.median(samples, axis=0),
        "trimmed_mean_1e-1": aggregate_with_spec(samples, "trimmed_mean_10"),
        "mean_minus_std_-0.5": mean + 0.5 * samples.std(axis=0),
        "quantile_0": samples.min(axis=0),
        "quantile_100": samples.max(axis=0),
        "lower_trimmed_mean_100": samples.min(axis=0),
        "upper_trimmed_mean_1": samples.max(axis=0),
    }.items():
        np.testing.assert_allclose(aggregate_with_spec(samples, spec), expected, rtol=1e-12)
    for spec in ("trimmed_mean_100", "trimmed_mean_50", "quantile_-1", "mean_plus_std_x"):
        with pytest.raises(UnknownNameError, match="aggregate"):
            aggregate_with_spec(samples, spec)
