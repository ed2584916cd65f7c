"""Our scores against scoringrules and properscoring."""

from __future__ import annotations

import numpy as np
import pytest

from marketsim.metrics import pinball_loss, quantile_crps, sample_crps

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(9)
CAME = RNG.normal(size=200)
DRAWS = RNG.normal(0.2, 1.3, (200, 64))
LEVELS = np.arange(1, 20) / 20
QUANTILES = np.quantile(DRAWS, LEVELS, axis=1).T


def test_scoringrules() -> None:
    sr = pytest.importorskip("scoringrules")
    for estimator in ("nrg", "qd"):
        expected = sr.crps_ensemble(CAME, DRAWS, estimator=estimator)
        np.testing.assert_allclose(sample_crps(CAME, DRAWS), expected, rtol=1e-10)
    # There the mean of the losses times 2; here trapezoids, of which 20 share the levels.
    expected = sr.crps_quantile(CAME, QUANTILES, LEVELS)
    np.testing.assert_allclose(quantile_crps(CAME, QUANTILES, LEVELS), expected * 19 / 20)
    losses = [sr.quantile_score(CAME, QUANTILES[:, i], level) for i, level in enumerate(LEVELS)]
    np.testing.assert_allclose(pinball_loss(CAME, QUANTILES, LEVELS), np.mean(losses, axis=0))


def test_properscoring() -> None:
    ps = pytest.importorskip("properscoring")
    np.testing.assert_allclose(sample_crps(CAME, DRAWS), ps.crps_ensemble(CAME, DRAWS), rtol=1e-10)
