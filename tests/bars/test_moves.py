"""Log moves against the close before, and simple moves of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from marketsim import _core
from marketsim.bars import simple_moves

PRICES = st.floats(1e-6, 1e9)


@given(arrays(np.float64, st.tuples(st.just(4), st.integers(0, 40)), elements=PRICES))
def test_close_moves_are_logarithms(prices: np.ndarray) -> None:
    opened, high, low, close = prices
    top = np.maximum.reduce([opened, high, low, close])
    bottom = np.minimum.reduce([opened, high, low, close])
    found = _core.close_moves(opened, top, bottom, close)
    assert found.shape == (4, max(len(close) - 1, 0))
    if len(close) > 1:
        exact = np.log(np.stack([opened, top, bottom, close])[:, 1:] / close[:-1])
        np.testing.assert_allclose(found, exact, rtol=4e-16, atol=4e-16)
        assert (found[1] >= np.maximum(found[0], found[3])).all()
        assert (found[2] <= np.minimum(found[0], found[3])).all()


def test_close_moves_keep_order_where_prices_differ_by_one_bit() -> None:
    before = np.exp(np.random.default_rng(0).normal(0, 3, 5_000))
    close = np.nextafter(before, 0.0)
    high = np.nextafter(close, np.inf)
    found = _core.close_moves(close, high, close, close)
    assert (found[1] >= found[3]).all()
    same = np.full(10, 123.456)
    np.testing.assert_array_equal(_core.close_moves(same, same, same, same), 0.0)


def test_close_moves_do_not_depend_on_where_a_bar_stands() -> None:
    columns = np.exp(np.random.default_rng(1).normal(0, 0.02, (4, 100)).cumsum(axis=1))
    whole = _core.close_moves(*columns)
    for first in range(1, 9):
        part = _core.close_moves(*(np.ascontiguousarray(row[first:]) for row in columns))
        np.testing.assert_array_equal(part, whole[:, first:])


def test_close_moves_refuse_columns_that_differ() -> None:
    with pytest.raises(ValueError, match="one length"):
        _core.close_moves(np.ones(3), np.ones(3), np.ones(4), np.ones(3))


def test_simple_moves_are_exponentials() -> None:
    rng = np.random.default_rng(2)
    logs = np.concatenate([rng.normal(0, scale, 5_000) for scale in (1e-9, 1e-3, 0.1, 1.0, 100.0)])
    found = simple_moves(logs)
    np.testing.assert_allclose(found, np.expm1(logs), rtol=1e-15)
    assert simple_moves(np.array([0.0, -0.0])).tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(
        simple_moves(np.array([1e9, -1e9, np.nan, np.inf])), [np.inf, -1.0, np.nan, np.inf]
    )


def test_simple_moves_of_tensors_are_the_same_bits() -> None:
    torch = pytest.importorskip("torch")
    logs = np.random.default_rng(3).normal(0, 0.5, 1_000)
    logs[:4] = 800.0, -800.0, np.nan, 0.0
    found = simple_moves(torch.from_numpy(logs)).numpy()
    np.testing.assert_array_equal(found.view(np.int64)[3:], simple_moves(logs).view(np.int64)[3:])
    np.testing.assert_array_equal(found, simple_moves(logs))
