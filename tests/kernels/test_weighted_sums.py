"""Weighted sums: the terms are added one by one from 0, however many rows there are."""

from __future__ import annotations

import numpy as np
import pytest

from marketsim import _core


@pytest.mark.parametrize("shape", [(1,), (25,), (0, 25), (1, 25), (7, 4, 25), (3, 0)])
@pytest.mark.parametrize("scale", [1e-310, 0.0, -0.0, 1.0, 1e300])
def test_added_in_order(shape: tuple[int, ...], scale: float) -> None:
    rng = np.random.default_rng(len(shape))
    values = rng.normal(0.0, 1.0, shape) * scale
    if scale == 1.0:
        values[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf])
    weights = rng.normal(0.0, 1.0, shape[-1])
    expected = np.zeros(shape[:-1])
    with np.errstate(all="ignore"):
        for i, weight in enumerate(weights):
            expected += weight * values[..., i]
    made = _core.weighted_sums(values, weights.tolist())
    assert made.shape == shape[:-1]
    np.testing.assert_array_equal(made, expected)
    assert not np.signbit(made[made == 0.0]).any()


def test_one_weight_a_level() -> None:
    for shape in ((), (3,), (4, 3)):
        with pytest.raises(ValueError, match="values must end in an axis of 4, one a weight"):
            _core.weighted_sums(np.zeros(shape), [0.25] * 4)
