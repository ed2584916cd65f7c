from __future__ import annotations

import itertools

import numpy as np
import pytest
from backends import FEW_BACKENDS, Backend, on_backend
from fill_rules import RULES, fitting
from hypothesis import given
from hypothesis import strategies as st
from problems import KINDS, awkward_days, drawn_days, random_days

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels.reference import profit_sums_reference
from marketsim.kernels.sums import window_sums

f32 = np.float32


def assert_equal(got: ms.ProfitSums, at: tuple[int, ...], expected: ms.ProfitSums) -> None:
    assert got.days == expected.days
    for name in ("total", "squares", "wins", "trades"):
        value = np.asarray(getattr(got, name))[at]
        np.testing.assert_array_equal(value, getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_reference(backend: Backend, kind: int) -> None:
    rng = np.random.default_rng([kind, 2])
    # As many candidates as a GPU sums one a thread, and as many as it sums by the block.
    for rule, count in itertools.product(RULES, (5, 70)):
        days = fitting(awkward_days(rng, (3, 23), kind), rule)
        highs, lows = np.round(rng.normal(0.0, 0.01, (2, 3, count)), 3).astype(f32)
        found = backend.profit_sums(**days, high_offset=highs, low_offset=lows, **rule)
        assert found.total.shape == (3, count)
        assert (found.total.dtype, found.trades.dtype) == (np.float64, np.int32)
        for i, c in ((0, 0), (1, count - 1), (2, count // 2)):
            row = {name: None if v is None else v[i] for name, v in days.items()}
            pair = {"high_offset": highs[i, c], "low_offset": lows[i, c]}
            assert_equal(found, (i, c), profit_sums_reference(**row, **pair, **rule))


@pytest.mark.parametrize("name", FEW_BACKENDS)
@given(
    days=drawn_days(),
    rule=st.sampled_from(RULES),
    high=st.sampled_from([0.0, 0.01, -0.005, 3e38]),
    low=st.floats(-0.0625, 0.0625, width=32),
)
def test_equals_reference_on_drawn_days(name, days, rule, high, low) -> None:
    days = fitting(days, rule)
    with on_backend(name) as backend:
        found = backend.profit_sums(**days, high_offset=high, low_offset=low, **rule)
    assert_equal(found, (), profit_sums_reference(**days, high_offset=high, low_offset=low, **rule))


def test_shapes_and_grids(backend: Backend) -> None:
    rng = np.random.default_rng(4)
    rows = random_days(rng, (3, 40))
    one = {name: value[1] for name, value in rows.items()}
    highs, lows = rng.normal(0, 0.01, 5).astype(f32), rng.normal(0, 0.01, 4).astype(f32)
    grid = backend.profit_sums(**one, high_offset=highs, low_offset=lows, grid=True)
    rows_grid = backend.profit_sums(**rows, high_offset=highs, low_offset=lows, grid=True)
    assert (grid.total.shape, rows_grid.total.shape) == ((5, 4), (3, 5, 4))
    np.testing.assert_array_equal(rows_grid.total[1], grid.total)
    pair = backend.profit_sums(**one, high_offset=highs[3], low_offset=lows[2])
    assert_equal(pair, (), ms.ProfitSums(*(v[3, 2] for v in grid[:4]), 40))
    mixed = backend.profit_sums(**rows, high_offset=highs, low_offset=float(lows[0]))
    np.testing.assert_array_equal(mixed.squares, rows_grid.squares[:, :, 0])
    assert backend.profit_sums(**rows).total.shape == (3,)
    none = backend.profit_sums(**{n: v[:, :0] for n, v in rows.items()}, high_offset=highs)
    np.testing.assert_array_equal(none.total, np.zeros((3, 5)))
    assert backend.profit_sums(**{n: v[:0] for n, v in rows.items()}).total.shape == (0,)


def test_figures_are_those_of_the_days(backend: Backend) -> None:
    days = random_days(np.random.default_rng(5), 250)
    highs = np.linspace(-0.02, 0.02, 7).astype(f32)
    found = backend.profit_sums(**days, high_offset=highs, fee=0.0005)
    profits = ms.profit(**days, high_offset=highs, fee=0.0005).astype(np.float64)
    np.testing.assert_allclose(found.mean, profits.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.variance, profits.var(axis=1, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(found.hit_rate, (profits > 0).sum(axis=1) / found.trades)
    idle = backend.profit_sums(**(days | {"position": np.zeros(250, f32)}))
    assert (float(idle.mean), float(idle.variance), int(idle.trades)) == (0.0, 0.0, 0)
    assert np.isnan(idle.hit_rate)
    single = backend.profit_sums(**{name: value[:1] for name, value in days.items()})
    assert np.isnan(single.variance)


def test_more_candidates_than_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from marketsim.kernels import sums

    days = random_days(np.random.default_rng(6), 30)
    highs = np.linspace(-0.02, 0.02, 50).astype(f32)
    expected = ms.profit_sums(**days, high_offset=highs)
    monkeypatch.setattr(sums, "_AT_ONCE", 200)
    for got, value in zip(ms.profit_sums(**days, high_offset=highs), expected, strict=True):
        np.testing.assert_array_equal(got, value)


def test_errors(backend: Backend) -> None:
    rows = random_days(np.random.default_rng(7), (3, 5))
    one = {name: value[0] for name, value in rows.items()}
    two, three = np.zeros(2, f32), np.zeros(3, f32)
    for arguments, message in (
        (one | {"high_offset": two, "low_offset": three}, "high_offset has 2, low_offset has 3"),
        (one | {"high_offset": np.zeros((3, 2), f32)}, "must be a scalar or 1-D"),
        (
            rows | {"high_offset": np.zeros((2, 2), f32)},
            "must have a row for each of 3 problems: got 2 rows",
        ),
        (rows | {"high_offset": 0.0, "low_offset": two, "grid": True}, "1-D with grid=True"),
        (one | {"close": one["close"][:4]}, "lengths differ: close has 4, high has 5"),
        (one | {"low": rows["low"]}, r"shapes differ: close has \(5,\), low has \(3, 5\)"),
        (one | {"open": None, "fill": "open_aware"}, "needs open="),
        (one | {"fee": np.inf}, "fee must be"),
    ):
        with pytest.raises(ArgumentError, match=message):
            backend.profit_sums(**arguments)
    with pytest.raises(UnknownNameError, match="expected one of optimistic"):
        backend.profit_sums(**one, fill="best")
    if not backend.tensors:
        with pytest.raises(ArgumentError, match="low_offset must be finite: element 1 is nan"):
            backend.profit_sums(**one, low_offset=[0.0, np.nan])


@pytest.mark.parametrize("length", [1, 2, 7, 60])
def test_window_sums_add_in_order(length: int) -> None:
    rng = np.random.default_rng(0)
    net = rng.normal(0.001, 0.01, (3, 60))
    values = np.stack([net, np.where(rng.random(net.shape) < 0.7, net, np.nan), -0.0 * net])
    for starts in (np.arange(0, 60 - length + 1, 3), np.array([0])):
        found = window_sums(values, starts, length)
        expected = np.zeros((len(starts), 3, 3))
        for window, start in enumerate(starts):
            for day in range(start, start + length):
                expected[window] += np.nan_to_num(values[:, :, day].T)
        assert found.tobytes() == expected.tobytes()
