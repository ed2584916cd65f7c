from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marketsim.metrics import climatology, pinball_loss, quantile_crps, sample_crps

RNG = np.random.default_rng(7)


def test_pinball_by_hand() -> None:
    loss = pinball_loss([1.0, -1.0], [[0.0, 2.0], [0.0, 2.0]], (0.1, 0.9))
    np.testing.assert_allclose(loss, [(0.1 + 0.1) / 2, (0.9 + 0.3) / 2])


def test_crps_of_a_normal_distribution() -> None:
    levels = np.arange(1, 2000) / 2000
    came = RNG.normal(0, 2, 30)
    quantiles = np.broadcast_to(stats.norm.ppf(levels, 0.5, 1.5), (30, len(levels)))
    z = (came - 0.5) / 1.5
    exact = 1.5 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(quantile_crps(came, quantiles, levels), exact, rtol=2e-3)
    draws = stats.norm.ppf(levels, 0.5, 1.5)
    np.testing.assert_allclose(sample_crps(came, np.tile(draws, (30, 1))), exact, rtol=2e-3)


@given(
    st.floats(-3, 3),
    st.lists(st.floats(-3, 3), min_size=1, max_size=12),
)
def test_sample_crps_is_its_definition(came: float, draws: list[float]) -> None:
    x = np.array(draws)
    expected = np.abs(x - came).mean() - 0.5 * np.abs(x[:, None] - x).mean()
    assert sample_crps([came], [x])[0] == pytest.approx(expected, abs=1e-12)


def test_a_proper_score_is_least_for_the_true_distribution() -> None:
    levels = np.arange(1, 20) / 20
    came = RNG.normal(0, 1, 20_000)
    scores = {
        (shift, scale): quantile_crps(
            came, np.broadcast_to(stats.norm.ppf(levels, shift, scale), (len(came), 19)), levels
        ).mean()
        for shift in (-0.3, 0.0, 0.3)
        for scale in (0.7, 1.0, 1.4)
    }
    assert min(scores, key=scores.get) == (0.0, 1.0)


@given(
    st.lists(st.sampled_from([0.0, 0.01, -0.02, 0.5, np.nan]), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(1, 40),
)
def test_climatology_is_the_quantiles_before_each_bar(
    values: list[float], window: int, start: int
) -> None:
    series, levels = np.array(values), (0.05, 0.3, 0.5, 0.99)
    start = min(start, len(series))
    got = climatology(series, levels, start=start, window=window)
    assert got.shape == (len(series) - start + 1, 4)
    for row, t in zip(got, range(start, len(series) + 1), strict=True):
        past = series[max(0, t - window) : t]
        past = past[~np.isnan(past)]
        expected = np.quantile(past, levels) if len(past) else np.full(4, np.nan)
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-15)


def test_climatology_sees_nothing_of_its_bar_or_later() -> None:
    series = RNG.normal(size=(300, 2))
    before = climatology(series, (0.1, 0.9), start=50)
    assert before.shape == (251, 2, 2)
    spoilt = series.copy()
    spoilt[180:] = 9.9
    after = climatology(spoilt, (0.1, 0.9), start=50)
    np.testing.assert_array_equal(before[:131], after[:131])  # up to the forecast of bar 180
    assert (before[131] != after[131]).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pinball_loss([0.0], [[0.0]], [0.0]), r"\(0, 1\)"),
        (lambda: pinball_loss([0.0], [[0.0, 1.0]], [0.9, 0.1]), "ascend"),
        (lambda: pinball_loss([0.0], [[0.0, 1.0]], [0.5]), r"shape \(1, 1\)"),
        (lambda: sample_crps([0.0], np.zeros((1, 0))), "samples must be"),
        (lambda: climatology([1.0, 2.0], [0.5], start=0), "1 <= start <= bars"),
        (lambda: climatology([1.0, 2.0], [0.5], start=3), "1 <= start <= bars"),
        (lambda: climatology([1.0], [0.5], start=1, window=0), "window >= 1"),
    ],
)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
