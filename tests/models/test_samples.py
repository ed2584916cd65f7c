from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marketsim.errors import ArgumentError
from marketsim.models import SampleDistribution

finite = st.floats(-1e3, 1e3, allow_nan=False)
draws = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(1)), elements=finite)


def plain_aggregate(values: list[float], spec: str) -> float:
    """The specifications in plain words, for one list of draws."""
    n, ordered = len(values), sorted(values)
    mean = math.fsum(ordered) / n

    def at(level: float) -> float:
        place = level * (n - 1)
        low = int(place)
        high = min(low + 1, n - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    std = math.sqrt(math.fsum((v - mean) ** 2 for v in ordered) / n)
    cut = int(n * 0.1)
    return {
        "mean": mean,
        "median": at(0.5),
        "p10": at(0.1),
        "trimmed_mean_10": math.fsum(ordered[cut : n - cut]) / (n - 2 * cut),
        "lower_trimmed_mean_0.1": math.fsum(ordered[: n - cut]) / (n - cut),
        "upper_trimmed_mean_0.1": math.fsum(ordered[cut:]) / (n - cut),
        "quantile_0.35": at(0.35),
        "mean_minus_std_0.5": mean - 0.5 * std,
        "mean_plus_std_2": mean + 2.0 * std,
        "mean_quantile_mix_0.15_0.3": 0.3 * mean + 0.7 * at(0.15),
        "quantile_plus_std_0.15_0.18": at(0.15) + 0.18 * std,
    }[spec]


SPECS = (
    "mean", "median", "p10", "trimmed_mean_10", "lower_trimmed_mean_0.1", "upper_trimmed_mean_0.1",
    "quantile_0.35", "mean_minus_std_0.5", "mean_plus_std_2", "mean_quantile_mix_0.15_0.3",
    "quantile_plus_std_0.15_0.18",
)  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@given(samples=draws)
def test_aggregates_are_those_of_the_draws(spec: str, samples: np.ndarray) -> None:
    got = SampleDistribution(samples).aggregate(spec)
    assert got.shape == (1,)
    expected = plain_aggregate(samples[:, 0].tolist(), spec)
    assert got[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples=draws, levels=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5))
def test_quantiles_are_numpys(samples: np.ndarray, levels: list[float]) -> None:
    got = SampleDistribution(samples).quantile(levels)[0]
    np.testing.assert_allclose(got, np.quantile(samples[:, 0], levels), rtol=1e-9, atol=1e-9)


def test_what_stands_beside_changes_nothing() -> None:
    samples = np.random.default_rng(3).normal(size=(128, 7, 2))
    whole = SampleDistribution(samples)
    for row in range(7):
        alone = SampleDistribution(samples[:, row : row + 1])
        for spec in SPECS:
            np.testing.assert_array_equal(whole.aggregate(spec)[row], alone.aggregate(spec)[0])


def test_draws_come_from_the_draws() -> None:
    samples = np.random.default_rng(3).normal(size=(16, 5, 2))
    distribution = SampleDistribution(samples)
    drawn = distribution.sample(50, seed=9)
    assert drawn.shape == (50, 5, 2)
    np.testing.assert_array_equal(drawn, distribution.sample(50, seed=9))
    assert not np.array_equal(drawn, distribution.sample(50, seed=10))
    assert all(
        set(drawn[:, row, step]) <= set(samples[:, row, step])
        for row in range(5)
        for step in range(2)
    )


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([1.0, 2.0], r"\[sample, ..., horizon\]: got \(2,\)"),
        (np.empty((0, 1)), r"got \(0, 1\)"),
        ([[np.nan]], "finite"),
        ([[np.inf]], "finite"),
    ],
)
def test_what_is_no_distribution(samples, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        SampleDistribution(samples)


def test_levels_and_counts_out_of_range() -> None:
    distribution = SampleDistribution([[1.0]])
    with pytest.raises(ArgumentError, match="levels must"):
        distribution.quantile([0.0])
    with pytest.raises(ArgumentError, match="at least 1"):
        distribution.sample(0, seed=1)
