"""The GPU's profit kernels, run on the host: equal to the CPU's to the last bit."""

from __future__ import annotations

import cuda_emulation as emulation
import numpy as np
import pytest
from fill_rules import RULES, fitting
from hypothesis import given
from hypothesis import strategies as st
from problems import KINDS, awkward_days, drawn_days, random_days

import marketsim as ms
from marketsim.kernels import rules
from marketsim.kernels.profit import fills

f32 = np.float32


def assert_same_bits(got: np.ndarray, expected: np.ndarray) -> None:
    """Zeros of the same sign too; any NaN is as good as any other."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype == f32
    same = got.view(np.int32) == expected.view(np.int32)
    assert (same | (np.isnan(got) & np.isnan(expected))).all()


def row(days: dict, i: int) -> dict:
    return {name: None if value is None else value[i] for name, value in days.items()}


def offsets_for(rng: np.random.Generator, count: int, kind: int) -> np.ndarray:
    return np.round(rng.normal(0.0, 0.01, (2, count)), 3 if kind in (1, 2) else 9).astype(f32)


def check_sums(
    sums: emulation.Sums, days: dict, high: np.ndarray, low: np.ndarray, options
) -> None:
    """Sums [candidate] against running sums of what the CPU says of each day."""
    of_days = ms.profit(**days, high_offset=high, low_offset=low, **options).astype(np.float64)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(sums.total, running_sum(of_days))
        np.testing.assert_array_equal(sums.squares, running_sum(of_days * of_days))
    np.testing.assert_array_equal(sums.wins, (of_days > 0).sum(axis=1))
    entered = rules.LONG_ENTERED | rules.SHORT_ENTERED
    for c, (h, offset) in enumerate(zip(high, low, strict=True)):
        with np.errstate(all="ignore"):
            moved = {"high_pred": days["high_pred"] + h, "low_pred": days["low_pred"] + offset}
        if not np.isfinite(list(moved.values())).all():
            continue
        flags = fills(**(days | moved), **options).flags
        assert sums.trades[c] == np.count_nonzero(flags & entered)


def running_sum(values: np.ndarray) -> np.ndarray:
    return np.cumsum(values, axis=1)[:, -1] if values.shape[1] else np.zeros(len(values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 7, 5), (2, 33, 17), (2, 130, 70)])
def test_equals_cpu(size: tuple[int, int, int], kind: int) -> None:
    rng = np.random.default_rng([kind, 40])
    problems, count, candidates = size
    for options in RULES[kind % 3 :: 3]:
        days = fitting(awkward_days(rng, (problems, count), kind), options)
        high, low = offsets_for(rng, candidates, kind)
        of_days = emulation.profit_days(days, high, low, **options)
        sums = emulation.profit_sums(days, high, low, **options)
        for i in range(problems):
            expected = ms.profit(**row(days, i), high_offset=high, low_offset=low, **options)
            assert_same_bits(of_days[i], expected)
        check_sums(emulation.Sums(*(v[0] for v in sums)), row(days, 0), high, low, options)
        np.testing.assert_array_equal(
            sums.total, [running_sum(values.astype(np.float64)) for values in of_days]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_candidates_equal_cpu(kind: int) -> None:
    """From 64 candidates on a block sums them, with code for longs and code for shorts."""
    rng = np.random.default_rng([kind, 41])
    for options in RULES:
        days = fitting(awkward_days(rng, (1, 30), kind), options)
        high, low = offsets_for(rng, 64, kind)
        sums = emulation.profit_sums(days, high, low, **options)
        check_sums(emulation.Sums(*(v[0] for v in sums)), row(days, 0), high, low, options)


@given(
    days=drawn_days(),
    options=st.sampled_from(RULES),
    offsets=st.lists(
        st.tuples(
            st.floats(-0.0625, 0.0625, width=32), st.sampled_from([0.0, -0.0, 0.01, -0.01, 0.005])
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_equals_cpu_on_drawn_days(days, options, offsets) -> None:
    high, low = np.ascontiguousarray(np.array(offsets, dtype=f32).T)
    days = fitting(days, options)
    batch = {name: None if value is None else value[None] for name, value in days.items()}
    got = emulation.profit_days(batch, high, low, **options)
    expected = ms.profit(**days, high_offset=high, low_offset=low, **options)
    assert_same_bits(got[0], expected)
    sums = emulation.profit_sums(batch, high, low, **options)
    check_sums(emulation.Sums(*(v[0] for v in sums)), days, high, low, options)


def test_blocks_of_candidates_and_tiles_of_days(order: int) -> None:
    """More candidates than a block's, more days than a tile's; the last ones are not whole."""
    rng = np.random.default_rng(7)
    days = random_days(rng, (2, 300))
    high, low = offsets_for(rng, 600, 0)
    options = {"fill": "open_aware", "fee": 0.0005}
    sums = emulation.profit_sums(days, high, low, **options)
    for i in range(2):
        check_sums(emulation.Sums(*(v[i] for v in sums)), row(days, i), high, low, options)


def test_one_sum_alone_is_the_same() -> None:
    rng = np.random.default_rng(8)
    days, (high, low) = random_days(rng, (2, 40)), offsets_for(rng, 90, 0)
    batch, _ = emulation.batch_of(days, high, low, None, None, False, {})
    all_sums = emulation.profit_sums(days, high, low)
    total = np.full((2, 90), np.nan)
    emulation.native.profit_sums(batch, emulation.address(total), 0, 0, 0, **emulation.HERE)
    np.testing.assert_array_equal(total, all_sums.total)
    trades = np.zeros((2, 90), np.uint32)
    emulation.native.profit_sums(batch, 0, 0, 0, emulation.address(trades), **emulation.HERE)
    np.testing.assert_array_equal(trades, all_sums.trades)


def test_grid_and_offsets_of_each_problem() -> None:
    rng = np.random.default_rng(9)
    days = random_days(rng, (3, 20))
    high, low = rng.normal(0, 0.01, 9).astype(f32), rng.normal(0, 0.01, 8).astype(f32)
    pairs = [np.ascontiguousarray(v.reshape(-1)) for v in np.meshgrid(high, low, indexing="ij")]
    for function in (emulation.profit_days, emulation.profit_sums):
        on_grid, listed = function(days, high, low, grid=True), function(days, *pairs)
        np.testing.assert_array_equal(np.asarray(on_grid), np.asarray(listed))
    own = rng.normal(0, 0.01, (2, 3, 4)).astype(f32)
    got = emulation.profit_days(days, *own)
    for i in range(3):
        expected = ms.profit(**row(days, i), high_offset=own[0, i], low_offset=own[1, i])
        assert_same_bits(got[i], expected)


def test_windows_and_strides() -> None:
    rng = np.random.default_rng(10)
    days = random_days(rng, 200)
    starts = rng.integers(0, 193, 30)
    high, low = offsets_for(rng, 3, 0)
    got = emulation.profit_days(days, high, low, starts=starts, count=7)
    sums = emulation.profit_sums(days, high, low, starts=starts, count=7)
    for i, start in enumerate(starts):
        window = {name: value[start : start + 7] for name, value in days.items()}
        expected = ms.profit(**window, high_offset=high, low_offset=low)
        assert_same_bits(got[i], expected)
        np.testing.assert_array_equal(sums.total[i], running_sum(expected.astype(np.float64)))
    sliding = {
        name: np.lib.stride_tricks.sliding_window_view(value, 7) for name, value in days.items()
    }
    rows = emulation.profit_days(sliding, high, low)
    np.testing.assert_array_equal(rows[starts], got)


def test_window_sums() -> None:
    rng = np.random.default_rng(11)
    values = rng.normal(0, 0.01, 100).astype(f32)
    values[::7] = 0.0
    starts = rng.integers(0, 90, 25)
    sums = emulation.window_sums(values, starts, 10)
    windows = np.stack([values[start : start + 10] for start in starts]).astype(np.float64)
    np.testing.assert_array_equal(sums.total, running_sum(windows))
    np.testing.assert_array_equal(sums.squares, running_sum(windows * windows))
    np.testing.assert_array_equal(sums.wins, (windows > 0).sum(axis=1))
    np.testing.assert_array_equal(sums.trades, (windows != 0).sum(axis=1))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
@pytest.mark.parametrize("candidates", [0, 1, 70])
def test_nothing_to_do(shape: tuple[int, int], candidates: int) -> None:
    days = random_days(np.random.default_rng(0), shape)
    high = np.zeros(candidates, f32)
    assert emulation.profit_days(days, high, high).shape == (shape[0], candidates, shape[1])
    sums = emulation.profit_sums(days, high, high)
    for values in sums:
        np.testing.assert_array_equal(values, np.zeros((shape[0], candidates)))
