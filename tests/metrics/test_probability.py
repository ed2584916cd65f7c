from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from marketsim.metrics.probability import (
    chi_square_p_value,
    incomplete_beta,
    share_interval,
    student_t_p_value,
)


def test_against_scipy() -> None:
    for a in (0.5, 1.0, 3.5, 40.0, 5000.0):
        for b in (0.5, 2.0, 77.0):
            for x in (0.0, 1e-9, 0.01, 0.3, 0.5, 0.97, 1.0):
                assert incomplete_beta(a, b, x) == pytest.approx(
                    special.betainc(a, b, x), rel=1e-10, abs=1e-300
                )
    for freedom in (1, 2, 9, 75, 4000):
        for t in (0.0, 0.3, -2.0, 6.0, 40.0):
            assert student_t_p_value(t, freedom) == pytest.approx(
                2 * stats.t.sf(abs(t), freedom), rel=1e-10
            )
        for x in (0.0, 0.1, 1.0, 9.0, 80.0, 4100.0):
            assert chi_square_p_value(x, freedom) == pytest.approx(
                stats.chi2.sf(x, freedom), rel=1e-9, abs=1e-13
            )
    assert math.isnan(student_t_p_value(math.nan, 5)) and student_t_p_value(math.inf, 5) == 0.0


def test_the_share_interval_is_wilsons() -> None:
    for hits, count in ((0, 10), (3, 10), (10, 10), (612, 764)):
        low, high = share_interval(hits, count)
        known = stats.binomtest(hits, count).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((known.low, known.high), abs=1e-12)
    assert np.isnan(share_interval(0, 0)[0])
    with pytest.raises(ValueError, match="confidence"):
        share_interval(1, 2, confidence=1.0)


def test_the_share_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = rng.binomial(76, 0.8, 20_000)
    low, high = share_interval(hits, np.full(hits.shape, 76))
    assert ((low <= 0.8) & (high >= 0.8)).mean() == pytest.approx(0.95, abs=0.012)
