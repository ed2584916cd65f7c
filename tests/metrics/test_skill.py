from __future__ import annotations

import math

import numpy as np
import pytest

from marketsim.metrics import climatology, diebold_mariano, forecast_skill
from marketsim.models import QuantileDistribution

LEVELS = tuple(np.round(np.arange(1, 20) / 20, 2))


def skill_of_noise(seed: int, window: int = 500):
    """Skill of the plain quantiles of the last `window` values on noise without any skill."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(5, (2750, 2)) * 0.01
    usual = climatology(moves, LEVELS, start=250)[:-1]
    own = climatology(moves, LEVELS, start=250, window=window)[:-1]
    stated = QuantileDistribution(LEVELS, own)
    return forecast_skill(moves[250:], np.zeros((2500, 2)), stated, LEVELS, usual)


def test_pure_noise_scores_one() -> None:
    for seed in range(3):
        found = skill_of_noise(seed)
        np.testing.assert_array_equal(found.mae_ratio, 1.0)
        assert np.isnan(found.mae_p_value).all()  # exactly no change: nothing differs
        np.testing.assert_allclose(found.pinball_ratio, 1.0, atol=0.006)
        np.testing.assert_allclose(found.crps_ratio, 1.0, atol=0.006)
        assert (found.coverage_low < 0.8).all() and (found.coverage_high > 0.8).all()
    same = skill_of_noise(0, window=250)
    np.testing.assert_array_equal(same.pinball_ratio, 1.0)


def test_yesterday_again_is_worse_than_no_change() -> None:
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.01, (1000, 1))
    usual = climatology(moves, LEVELS, start=300)[:-1]
    stated = QuantileDistribution(LEVELS, usual)
    found = forecast_skill(moves[300:], moves[299:-1], stated, LEVELS, usual)
    assert found.mae_ratio[0] == pytest.approx(math.sqrt(2), rel=0.05)
    assert found.mae_p_value[0] < 1e-6
    # What is real shows: half of the move known in advance.
    known = forecast_skill(moves[300:], moves[300:] * 0.5, stated, LEVELS, usual)
    assert known.mae_ratio[0] == pytest.approx(0.5)
    assert known.rank_correlation[0] == 1.0 and known.direction[0] == 1.0
    assert known.mae_p_value[0] < 1e-6


def test_figures_by_numpy() -> None:
    rng = np.random.default_rng(4)
    came, point = rng.normal(size=(2, 120, 3))
    walk = rng.normal(size=(120, 3)) * 0.2
    quantiles = np.sort(rng.normal(size=(120, 3, len(LEVELS))), axis=-1)
    usual = np.sort(rng.normal(size=(120, 3, len(LEVELS))), axis=-1)
    stated = QuantileDistribution(LEVELS, quantiles)
    got = forecast_skill(
        came, point, stated, LEVELS, usual, random_walk=walk, scale=[0.5, 0.7, 0.9], horizon=2
    )
    levels = np.array(LEVELS)

    def losses(q: np.ndarray) -> np.ndarray:
        error = came[..., None] - q
        return np.where(error > 0, levels * error, (levels - 1) * error).mean(axis=-1)

    error, naive = np.abs(point - came), np.abs(walk - came)
    np.testing.assert_allclose(got.mae, error.mean(axis=0))
    np.testing.assert_allclose(got.mae_ratio, error.mean(axis=0) / naive.mean(axis=0))
    np.testing.assert_allclose(got.mase, error.mean(axis=0) / [0.5, 0.7, 0.9])
    np.testing.assert_allclose(got.rmse, np.sqrt((error**2).mean(axis=0)))
    np.testing.assert_allclose(
        got.rmse_ratio, np.sqrt((error**2).mean(axis=0) / (naive**2).mean(axis=0))
    )
    np.testing.assert_allclose(
        got.pinball_ratio, losses(quantiles).mean(axis=0) / losses(usual).mean(axis=0)
    )
    # Levels in equal steps of 5 %: the trapezoids are 2 / 20 of each loss.
    np.testing.assert_allclose(got.crps, losses(quantiles).mean(axis=0) * 19 * 2 / 20)
    low, high = quantiles[..., 1], quantiles[..., 17]
    np.testing.assert_allclose(got.coverage, ((low <= came) & (came <= high)).mean(axis=0))
    for i in range(3):
        test = diebold_mariano(error[:, i], naive[:, i], horizon=2)
        assert got.mae_p_value[i] == pytest.approx(test.p_value)
    assert (got.direction == (np.sign(point - walk) == np.sign(came - walk)).mean(axis=0)).all()
    assert (got.bars == 120).all()


def test_shapes_are_checked() -> None:
    stated = QuantileDistribution(LEVELS, np.zeros((5, 1, len(LEVELS))))
    for actual, point in ((np.zeros((5, 1)), np.zeros((4, 1))), (np.zeros(5), np.zeros(5))):
        with pytest.raises(ValueError, match="actual and point"):
            forecast_skill(actual, point, stated, LEVELS, np.zeros((5, 1, len(LEVELS))))
    with pytest.raises(ValueError, match="quantiles must have the shape"):
        forecast_skill(np.zeros((5, 1)), np.zeros((5, 1)), stated, LEVELS, np.zeros((5, 1, 2)))
