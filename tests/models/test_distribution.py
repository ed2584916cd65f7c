from __future__ import annotations

import pickle
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models import QuantileDistribution, parse_aggregate

NORMAL = NormalDist(0.3, 2.0)
LEVELS = (0.05, 0.2, 0.5, 0.7, 0.95)
SPECS = (
    "mean",
    "median",
    "p10",
    "p90",
    "trimmed_mean_10",
    "lower_trimmed_mean_20",
    "upper_trimmed_mean_0.3",
    "quantile_0.25",
    "mean_minus_std_0.5",
    "mean_plus_std_1.5",
    "mean_quantile_mix_0.4_0.3",
    "quantile_plus_std_0.6_0.7",
)


def by_samples(samples: np.ndarray, spec: str) -> float:
    """The aggregate of samples, as the words say it."""
    ordered, n = np.sort(samples), len(samples)
    form, numbers = parse_aggregate(spec)
    match form:
        case "mean":
            return samples.mean()
        case "median":
            return np.median(samples)
        case "quantile" | "p":
            return np.quantile(samples, numbers[0])
        case "trimmed_mean":
            cut = int(n * numbers[0])
            return ordered[cut : n - cut].mean()
        case "lower_trimmed_mean":
            return ordered[: n - int(n * numbers[0])].mean()
        case "upper_trimmed_mean":
            return ordered[int(n * numbers[0]) :].mean()
        case "mean_minus_std":
            return samples.mean() - numbers[0] * samples.std()
        case "mean_plus_std":
            return samples.mean() + numbers[0] * samples.std()
        case "mean_quantile_mix":
            q, w = numbers
            return w * samples.mean() + (1 - w) * np.quantile(samples, q)
        case "quantile_plus_std":
            return np.quantile(samples, numbers[0]) + numbers[1] * samples.std()
    raise AssertionError(form)


def test_a_normal_distribution_is_represented_exactly() -> None:
    d = QuantileDistribution(LEVELS, [[NORMAL.inv_cdf(level) for level in LEVELS]])
    np.testing.assert_allclose(d.mean, [0.3], atol=1e-12)
    np.testing.assert_allclose(d.std, [2.0], atol=1e-12)
    wanted = [0.001, 0.05, 0.33, 0.5, 0.6, 0.999]
    np.testing.assert_allclose(d.quantile(wanted)[0], [NORMAL.inv_cdf(p) for p in wanted])


def test_aggregates_are_the_limit_of_many_samples() -> None:
    quantiles = [-3.0, -0.5, 0.1, 0.2, 4.0]
    d = QuantileDistribution(LEVELS, [quantiles])
    # 400,000 evenly spread levels instead of random ones: the limit up to the tails' grid.
    levels = (np.arange(400_000) + 0.5) / 400_000
    z = np.array([NormalDist().inv_cdf(p) for p in levels])
    knots = np.array([NormalDist().inv_cdf(p) for p in LEVELS])
    at = np.clip(np.searchsorted(knots, z) - 1, 0, 3)
    low, high = np.take(quantiles, at), np.take(quantiles, at + 1)
    samples = low + (high - low) * (z - knots[at]) / (knots[at + 1] - knots[at])
    for spec in SPECS:
        assert d.aggregate(spec)[0] == pytest.approx(by_samples(samples, spec), abs=2e-3), spec
        assert d.aggregate(spec.upper())[0] == d.aggregate(spec)[0]


def test_samples_follow_the_quantiles_and_the_seed() -> None:
    d = QuantileDistribution(LEVELS, [[-3.0, -0.5, 0.1, 0.2, 4.0], [0, 1, 2, 3, 4]])
    samples = d.sample(200_000, seed=7)
    assert samples.shape == (200_000, 2)
    shares = (samples[:, :1] <= d.quantiles[0]).mean(axis=0)
    np.testing.assert_allclose(shares, LEVELS, atol=0.005)
    np.testing.assert_array_equal(samples, d.sample(200_000, seed=7))
    assert (samples[:10] != d.sample(10, seed=8)).any()


@given(
    values=hnp.arrays(np.float64, (3, 5), elements=st.floats(-1e3, 1e3)),
    spec=st.sampled_from(SPECS),
)
def test_a_forecast_does_not_depend_on_its_neighbours(values, spec) -> None:
    values = np.sort(values, axis=1)
    together = QuantileDistribution(LEVELS, values)
    for i in range(3):
        alone = QuantileDistribution(LEVELS, values[i : i + 1])
        assert alone.aggregate(spec)[0] == together.aggregate(spec)[i]
        assert alone.std[0] == together.std[i]
    inner = together.quantile(np.linspace(0.01, 0.99, 21))
    assert (np.diff(inner, axis=1) >= -1e-9).all()
    np.testing.assert_array_equal(together.quantile(LEVELS), values)


def test_declared_mean_and_std_are_kept() -> None:
    d = QuantileDistribution((0.1, 0.9), [[0.0, 1.0]], mean=[0.4], std=[0.2])
    assert (d.mean[0], d.std[0]) == (0.4, 0.2)
    assert d.aggregate("mean_plus_std_1")[0] == pytest.approx(0.6)
    assert isinstance(d, ms.Distribution)


def test_aggregate_names() -> None:
    assert parse_aggregate("").form == "mean"
    assert parse_aggregate("Trimmed_Mean_10") == ("trimmed_mean", (0.1,))
    assert parse_aggregate("trimmed_mean_0.1") == ("trimmed_mean", (0.1,))
    assert parse_aggregate("p5") == ("p", (0.05,))
    # The older program took this for quantile_; ours does what the name says.
    assert parse_aggregate("quantile_plus_std_0.5_1") == ("quantile_plus_std", (0.5, 1.0))
    for wrong in (
        "trimmed",
        "trimmed_mean_50",
        "quantile_0",
        "p100",
        "mean_",
        "trimmed_mean_x",
        "p",
    ):
        with pytest.raises(UnknownNameError, match="expected one of mean, median") as caught:
            parse_aggregate(wrong)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="must not decrease"):
        QuantileDistribution((0.1, 0.9), [[1.0, 0.0]])
    with pytest.raises(ArgumentError, match=r"axis of 2 levels: got shape \(1, 3\)"):
        QuantileDistribution((0.1, 0.9), [[0.0, 1.0, 2.0]])
    for levels in ((0.9, 0.1), (0.5,), (0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(ArgumentError, match=r"ascending in \(0, 1\)"):
            QuantileDistribution(levels, [np.arange(float(len(levels)))])
    with pytest.raises(ArgumentError, match=r"mean must have shape \(1,\): got \(2,\)"):
        QuantileDistribution((0.1, 0.9), [[0.0, 1.0]], mean=[1.0, 2.0])
    d = QuantileDistribution((0.1, 0.9), [[0.0, 1.0]])
    with pytest.raises(ArgumentError, match=r"\(0, 1\)"):
        d.quantile([0.0])
    with pytest.raises(ArgumentError, match="at least 1"):
        d.sample(0, seed=1)
