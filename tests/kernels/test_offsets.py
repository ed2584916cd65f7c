from __future__ import annotations

import functools
import hashlib
import itertools
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from backends import FEW_BACKENDS, Backend, on_backend
from fill_rules import RULES, fitting
from hypothesis import given
from hypothesis import strategies as st
from offset_totals import total
from problems import KINDS, NAMES, awkward_days, drawn_days, random_days

import marketsim as ms
from marketsim import _core
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels import rules
from marketsim.kernels.reference import _profit_with_margin, best_offsets_reference
from marketsim.kernels.types import Offsets

f32 = np.float32
OPTIONS = [
    rule | {"always_on": always_on, "long_only": long_only}
    for rule, (always_on, long_only) in itertools.product(
        RULES, ((False, False), (False, True), (True, False), (True, True))
    )
]


def with_neighbours(values: np.ndarray, steps: int = 2) -> np.ndarray:
    found = [values]
    below = above = values
    for _ in range(steps):
        below, above = np.nextafter(below, f32(-np.inf)), np.nextafter(above, f32(np.inf))
        found += [below, above]
    return np.concatenate(found)


def grid(days, axis: str, bounds: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Breakpoints of all days +- 2 ulp, of the price and of the offset, and points between."""
    limits = with_neighbours(
        np.concatenate([days[n] for n in ("close", "high", "low", "open") if days[n] is not None])
    )
    limits = limits[np.isfinite(limits)]
    forecast = days[axis][np.isfinite(days[axis])]
    with np.errstate(over="ignore", invalid="ignore"):
        points = with_neighbours((limits[:, None] - forecast).reshape(-1).astype(f32))
    points = points[np.isfinite(points)]
    spread = rng.uniform(*bounds, 25).astype(f32)
    inside = np.array([np.nextafter(f32(b), f32(0)) for b in bounds] + [0.0], dtype=f32)
    points = np.unique(np.concatenate([points, spread, inside]))
    exact = points.astype(np.float64)  # the nearest float32 to a bound may lie beyond it
    return points[(exact >= bounds[0]) & (exact <= bounds[1])]


def sample(points: np.ndarray, rng: np.random.Generator, most: int = 220) -> np.ndarray:
    return points if len(points) <= most else rng.choice(points, most, replace=False)


@pytest.mark.parametrize("part", range(4))
def test_optimal_against_brute_force(backend: Backend, part: int) -> None:
    """No pair among all breakpoints +- 2 ulp, and none between, has a higher total, and none that
    shares an offset with the best and is nearer to 0 on the other axis has the same."""
    rng = np.random.default_rng(part)
    for case, options in enumerate(OPTIONS[part::4]):
        count = int(rng.integers(1, 9))
        days = fitting(awkward_days(rng, count, case % len(KINDS)), options)
        bounds = ((-0.03, 0.03), (-0.03, 0.03)) if case % 3 else ((0.001, 0.02), (-0.015, 0.004))
        found = backend.best_offsets(**days, bounds=bounds, **options)
        all_highs, all_lows = (
            grid(days, name, of, rng)
            for name, of in zip(("high_pred", "low_pred"), bounds, strict=True)
        )
        pairs = np.meshgrid(sample(all_highs, rng), sample(all_lows, rng))
        highs, lows = (pair.reshape(-1) for pair in pairs)
        assert total(days, highs, lows, **options).max() <= found.profit
        again = total(days, np.array([found.high]), np.array([found.low]), **options)
        assert again[0] == found.profit
        assert bounds[0][0] <= found.high <= bounds[0][1]
        assert bounds[1][0] <= found.low <= bounds[1][1]
        highs = nearer(all_highs, found.high, bounds[0])
        lows = nearer(all_lows, found.low, bounds[1])
        beside = (highs, np.full(len(highs), found.low, f32))
        assert not (total(days, *beside, **options) == found.profit).any()
        beside = (np.full(len(lows), found.high, f32), lows)
        assert not (total(days, *beside, **options) == found.profit).any()


def nearer(points: np.ndarray, than: float, bounds: tuple[float, float]) -> np.ndarray:
    """The points nearer to 0, and the floats next to `than`, within the bounds."""
    neighbours = [f32(than)]
    for _ in range(5 if than else 0):
        neighbours.append(np.nextafter(neighbours[-1], f32(0)))
    points = np.append(points[np.abs(points) < abs(than)], neighbours[1:]).astype(f32)
    return points[(points >= bounds[0]) & (points <= bounds[1])]


@pytest.mark.parametrize("name", FEW_BACKENDS)
@given(
    days=drawn_days(max_days=5),
    options=st.sampled_from(OPTIONS),
    margin=st.sampled_from([0.0, 0.0, 0.001]),
    isa_name=st.sampled_from(_core.supported_isas()),
)
def test_both_solvers_equal_reference(name, days, options, margin, isa_name) -> None:
    """One problem (the sweep), a batch (the lanes) and the reference agree to the last bit."""
    days = fitting(days, options)
    rows = {of: value if value is None else np.tile(value, (17, 1)) for of, value in days.items()}
    with on_backend(isa_name if name == "cpu" else name) as backend:
        single = backend.best_offsets(**days, margin=margin, **options)
        batch = backend.best_offsets(**rows, margin=margin, **options)
    expected = best_offsets_reference(**days, margin=margin, **options)
    np.testing.assert_equal(tuple(single), tuple(expected))
    for got, value in zip(batch, expected, strict=True):
        np.testing.assert_array_equal(got, np.full(17, value, dtype=got.dtype))


def test_no_days_whatever_memory_held(backend: Backend) -> None:
    """Batches of no days: the answer is 0 whatever their scratch was used for before."""
    rng = np.random.default_rng(5)
    for _ in range(300):
        used = rng.standard_normal(int(rng.integers(10, 20_000))).astype(f32)
        del used
        none = backend.best_offsets(**{name: np.zeros((17, 0), f32) for name in NAMES})
        for answers in none:
            np.testing.assert_array_equal(answers, np.zeros(17))


@pytest.mark.parametrize("kind", KINDS)
def test_lanes_equal_sweep(backend: Backend, kind: int) -> None:
    rng = np.random.default_rng([kind, 1])
    for count, options in zip(itertools.cycle((1, 2, 5, 11, 16)), OPTIONS[kind::8], strict=False):
        rows = fitting(awkward_days(rng, (37, count), kind), options)
        batch = backend.best_offsets(**rows, **options)
        for i in range(37):
            row = {name: None if value is None else value[i] for name, value in rows.items()}
            single = backend.best_offsets(**row, **options)
            assert (f32(single.high), f32(single.low)) == (batch.high[i], batch.low[i])
            np.testing.assert_equal(single.profit, batch.profit[i])


@pytest.mark.parametrize("rule", RULES[::2], ids=lambda rule: "-".join(map(str, rule.values())))
@pytest.mark.parametrize("always_on", [False, True])
def test_many_days_against_all_candidates(rule, always_on) -> None:
    """Several blocks of columns: compared with every pair of thresholds, by the profit kernel."""
    rng = np.random.default_rng([RULES.index(rule), always_on])
    count = int(rng.choice([70, 130, 300]))
    days = fitting(awkward_days(rng, count, int(rng.integers(0, 4))), rule)
    options = rule | {"always_on": always_on}
    answers = set()
    for name in _core.supported_isas():
        with on_backend(name) as backend:
            answers.add(backend.best_offsets(**days, **options))
    assert len(answers) == 1
    (found,) = answers
    highs = np.unique(np.append(_thresholds(days["high_pred"], days, 1), [0.0, 0.0299999993]))
    lows = np.unique(np.append(_thresholds(days["low_pred"], days, -1), [0.0, -0.0299999993]))
    highs, lows = (rng.permutation(v)[:260].astype(f32) for v in (highs, lows))
    pairs = [pair.reshape(-1) for pair in np.meshgrid(highs, lows)]
    assert total(days, *pairs, **options).max() <= found.profit
    again = total(days, np.array([found.high]), np.array([found.low]), **options)
    assert again[0] == found.profit


def _thresholds(forecast: np.ndarray, days, sign: int) -> np.ndarray:
    """Safe candidates of all days: the level stays on the inner side of high, low and open."""
    points = []
    for name in ("high", "low", "open", "close"):
        if days[name] is None:
            continue
        exact = days[name].astype(np.float64) - forecast.astype(np.float64)
        rounded = exact.astype(f32)
        points += [rounded, np.nextafter(rounded, f32(-sign)), np.nextafter(rounded, f32(sign))]
    found = np.concatenate(points)
    return found[(found >= -0.0299999993) & (found <= 0.0299999993)]


def test_two_thousand_days_equal_reference_totals(backend: Backend) -> None:
    days = random_days(np.random.default_rng(8), 2000)
    found = backend.best_offsets(**days, fill="open_aware", fee=0.0002)
    rng = np.random.default_rng(9)
    highs = rng.choice(_thresholds(days["high_pred"], days, 1), 3000).astype(f32)
    lows = rng.choice(_thresholds(days["low_pred"], days, -1), 3000).astype(f32)
    totals = total(days, highs, lows, fill="open_aware", fee=0.0002)
    assert totals.max() <= found.profit
    near = np.clip(np.array([found.high]) + np.linspace(-1e-6, 1e-6, 201), -0.03, 0.03).astype(f32)
    for low in (
        found.low,
        np.nextafter(f32(found.low), f32(-1)),
        np.nextafter(f32(found.low), f32(1)),
    ):
        around = total(days, near, np.full(201, low, dtype=f32), fill="open_aware", fee=0.0002)
        assert around.max() <= found.profit


def test_never_below_direct() -> None:
    from scipy.optimize import direct

    rng = np.random.default_rng(11)
    for case in range(40):
        days = awkward_days(rng, int(rng.integers(2, 40)), case % 4)
        fill = rules.FILLS[case % 3]

        def loss(at: np.ndarray, days=days, fill=fill) -> float:
            point = np.float32(at)
            return -float(total(days, point[:1], point[1:], fill=fill, fee=0.0005)[0])

        searched = direct(loss, [(-0.03, 0.03)] * 2, maxfun=500)
        assert ms.best_offsets(**days, fill=fill, fee=0.0005).profit >= -searched.fun


def test_equality_hole_of_touched_both_is_found(backend: Backend) -> None:
    # Leaving at exactly the high pays no fee under touched_both: the exact optimum uses it.
    day = {
        "close": [0.0], "high": [0.02], "low": [-0.03], "high_pred": [0.01], "low_pred": [-0.02],
        "position": [1.0], "open": None, "fill": "legacy",
    }  # fmt: skip
    found = backend.best_offsets(**day, fee=0.001, fee_rule="touched_both")
    level = f32(0.01) + f32(found.high)
    assert level == f32(0.02)
    per_entry = backend.best_offsets(**day, fee=0.001)
    assert found.profit == pytest.approx(per_entry.profit + 0.001, abs=1e-8)


def test_ties_go_to_the_pair_nearest_to_zero(backend: Backend) -> None:
    # Nothing trades: every pair ties, and (0, 0) or the point of the bounds nearest to it wins.
    idle = {
        "close": [0.01], "high": [0.03], "low": [-0.03], "high_pred": [0.01], "low_pred": [-0.01],
        "position": [0.0], "open": [0.0],
    }  # fmt: skip
    assert backend.best_offsets(**idle) == Offsets(0.0, 0.0, 0.0)
    away = backend.best_offsets(**idle, bounds=((0.0078125, 0.02), (-0.02, -0.00390625)))
    assert (away.high, away.low) == (0.0078125, -0.00390625)  # exact in float32
    # The entry at the low level is worth the same whatever the exit is (the close is below it and
    # the high is out of reach for every offset): the high offset stays at 0.
    unreached = idle | {"high": [0.01], "high_pred": [0.05], "position": [1.0]}
    found = backend.best_offsets(**unreached, bounds=((-0.03, 0.03), (-0.03, 0.03)))
    assert found.high == 0.0
    assert found.low == pytest.approx(-0.02, abs=1e-6)
    assert found.profit == pytest.approx(0.04, abs=1e-6)


def test_best_is_drawn_in_to_the_near_end_of_its_plateau(backend: Backend) -> None:
    # Best not to trade: that needs h of at least 0.01, and any more would do as well.
    falls = {
        "close": [0.03], "high": [0.03], "low": [-0.01], "high_pred": [0.02], "low_pred": [-0.05],
        "position": [-1.0], "open": [0.0],
    }  # fmt: skip
    found = backend.best_offsets(**falls)
    assert (found.low, found.profit) == (0.0, 0.0)
    assert found.high == pytest.approx(0.01, abs=1e-8)
    assert f32(0.02) + f32(found.high) >= f32(0.03)
    assert f32(0.02) + np.nextafter(f32(found.high), f32(0)) < f32(0.03)
    rises = {
        "close": [-0.03], "high": [0.01], "low": [-0.03], "high_pred": [0.05], "low_pred": [-0.02],
        "position": [1.0], "open": [0.0],
    }  # fmt: skip
    found = backend.best_offsets(**rises)
    assert (found.high, found.profit) == (0.0, 0.0)
    assert f32(-0.02) + f32(found.low) <= f32(-0.03)
    assert f32(-0.02) + np.nextafter(f32(found.low), f32(0)) > f32(-0.03)


@functools.cache
def overflowing_days() -> list[tuple[dict[str, np.ndarray], list[Offsets]]]:
    """Problems with a day worth more than float32 can hold, and their answers."""
    rng = np.random.default_rng(8)
    found = []
    for kind in (0, 5):
        days = awkward_days(rng, (24, 20), kind)
        days["close"][:, 7] = 3e38
        days["position"][:, 7] = 10.0
        rows = [{name: value[i] for name, value in days.items()} for i in range(24)]
        found.append((days, [best_offsets_reference(**row, fee=0.0005) for row in rows]))
    return found


def test_pairs_whose_profit_overflows_tie(backend: Backend) -> None:
    """A day worth more than float32 can hold makes every pair that trades it the best."""
    for days, answers in overflowing_days():
        batch = backend.best_offsets(**days, fee=0.0005)
        assert np.isinf(batch.profit).any()
        for i, expected in enumerate(answers):
            row = {name: value[i] for name, value in days.items()}
            assert backend.best_offsets(**row, fee=0.0005) == expected
            assert (batch.high[i], batch.low[i], batch.profit[i]) == expected


def test_empty_and_missing_days(backend: Backend) -> None:
    assert backend.best_offsets(**{n: np.empty(0) for n in NAMES}) == Offsets(0.0, 0.0, 0.0)
    batch = backend.best_offsets(**{n: np.empty((3, 0)) for n in NAMES}, always_on=True)
    np.testing.assert_array_equal(batch.profit, np.zeros(3))
    none = backend.best_offsets(**{n: np.empty((0, 4)) for n in NAMES})
    assert none.profit.shape == (0,)
    days = random_days(np.random.default_rng(3), 30)
    holes = {name: value.copy() for name, value in days.items()}
    rng = np.random.default_rng(4)
    for name in holes:
        holes[name][rng.choice(30, 2, replace=False)] = np.nan
    kept = np.isfinite(np.sum(list(holes.values()), axis=0))
    assert 10 < kept.sum() < 30
    whole = {name: value[kept] for name, value in holes.items()}
    for always_on in (False, True):
        options = {"fill": "open_aware", "always_on": always_on, "fee": 0.0005}
        assert backend.best_offsets(**holes, **options) == backend.best_offsets(**whole, **options)


@pytest.mark.parametrize("fill", rules.FILLS)
def test_margin_keeps_fills_clear_of_the_edge(backend: Backend, fill: str) -> None:
    """What is searched counts a price as gone through only beyond the margin; what is returned is
    the profit of the true bars."""
    rng = np.random.default_rng(13)
    margin = f32(0.0005)
    rule = {"fill": fill, "fee": 0.0, "costs": (0.0, 0.0002, 0.001), "fee_rule": None}
    for _ in range(20):
        days = random_days(rng, 12)
        found = backend.best_offsets(**days, fill=fill, costs=rule["costs"], margin=float(margin))
        rows = np.array([days[name] for name in NAMES])

        def searched(high: float, low: float, rows=rows, days=days) -> float:
            at = {"high_offset": high, "low_offset": low}
            return sum(_profit_with_margin(rows, days["position"], margin, at, rule).tolist())

        best = searched(found.high, found.low)
        assert max(searched(*at) for at in rng.uniform(-0.03, 0.03, (40, 2))) <= best
        pair = (np.array([found.high], f32), np.array([found.low], f32))
        assert found.profit == total(days, *pair, fill=fill, costs=rule["costs"])[0]


@pytest.mark.parametrize("days_count", [6, 60])
def test_same_bits_for_any_batch_and_thread_count(threads: None, isa: str, days_count: int) -> None:
    rows = random_days(np.random.default_rng(21), (1200, days_count))
    digests = set()
    for count in (1, 2, 3):
        _core.set_thread_limit(count)
        found = ms.best_offsets(**rows, fill="open_aware", fee=0.0005)
        digests.add(hashlib.sha256(b"".join(np.ascontiguousarray(v) for v in found)).hexdigest())
    parts = [
        ms.best_offsets(
            **{n: v[i : i + 113] for n, v in rows.items()}, fill="open_aware", fee=0.0005
        )
        for i in range(0, 1200, 113)
    ]
    joined = (np.concatenate(values) for values in zip(*parts, strict=True))
    digests.add(hashlib.sha256(b"".join(np.ascontiguousarray(v) for v in joined)).hexdigest())
    assert len(digests) == 1


def test_rows_of_a_sliding_window_are_not_copied_wrongly(backend: Backend) -> None:
    days = random_days(np.random.default_rng(22), 90)
    windows = {n: np.lib.stride_tricks.sliding_window_view(v, 30) for n, v in days.items()}
    copied = {name: value.copy() for name, value in windows.items()}
    reversed_rows = {name: value[::-1] for name, value in windows.items()}
    transposed = {name: np.asfortranarray(value) for name, value in windows.items()}
    expected = backend.best_offsets(**copied)
    for variant in (windows, transposed):
        for got, value in zip(backend.best_offsets(**variant), expected, strict=True):
            np.testing.assert_array_equal(got, value)
    np.testing.assert_array_equal(
        backend.best_offsets(**reversed_rows).profit, expected.profit[::-1]
    )


def test_releases_the_gil() -> None:
    rows = random_days(np.random.default_rng(23), (400, 250))
    _core.set_thread_limit(1)
    with ThreadPoolExecutor(1) as pool:
        start = time.perf_counter()
        running = pool.submit(lambda: [ms.best_offsets(**rows) for _ in range(5)])
        ticks = 0
        while not running.done():
            ticks += 1
            time.sleep(0.0005)
        elapsed = time.perf_counter() - start
    _core.set_thread_limit(0)
    running.result()
    # With the GIL held the loop would get a turn about once a call: five in all.
    assert ticks > 20, f"only {ticks} turns in {elapsed:.3f} s"


def test_errors_say_got_and_expected() -> None:
    days = random_days(np.random.default_rng(0), 5)
    with pytest.raises(ArgumentError, match="lengths differ: close has 5, high_pred has 4"):
        ms.best_offsets(**(days | {"high_pred": days["high_pred"][:4]}))
    with pytest.raises(ArgumentError, match=r"shapes differ: close has \(5,\), low has \(1, 5\)"):
        ms.best_offsets(**(days | {"low": days["low"][None]}))
    with pytest.raises(ArgumentError, match=r"\[problem, day\].*\(1, 1, 5\)"):
        ms.best_offsets(**{name: value[None, None] for name, value in days.items()})
    for bounds in (((0.03, -0.03), (-0.03, 0.03)), ((-2, 0), (0, 1)), (0.1, 0.2), None):
        with pytest.raises(ArgumentError, match="bounds must be"):
            ms.best_offsets(**days, bounds=bounds)
    with pytest.raises(ArgumentError, match="margin"):
        ms.best_offsets(**days, margin=-0.1)
    with pytest.raises(ArgumentError, match="margin"):
        ms.best_offsets(**days, margin=float("nan"))
    with pytest.raises(UnknownNameError, match="expected one of optimistic"):
        ms.best_offsets(**days, fill="x")
    with pytest.raises(ArgumentError, match="needs open="):
        ms.best_offsets(**(days | {"open": None}))


def test_environment_is_read_once_at_load() -> None:
    """getenv on a kernel call would race with whoever writes the environment."""
    code = """if True:
        import os
        from marketsim import _core
        os.environ |= {"MARKETSIM_NUM_THREADS": "5", "MARKETSIM_ISA": "mmx"}
        print(_core.thread_limit(), _core.isa())
        _core.set_thread_limit(2)
        print(_core.thread_limit())
        _core.set_thread_limit(0)
        print(_core.thread_limit())"""
    environment = os.environ | {"MARKETSIM_NUM_THREADS": "3", "MARKETSIM_ISA": "baseline"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["3", "baseline", "2", "3"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("always_on", [False, True])
def test_the_best_of_several_fills(kind: int, always_on: bool) -> None:
    """Row by row the policy with the highest profit, the first of equal ones."""
    given = awkward_days(np.random.default_rng(kind), (40, 6), kind)
    days = [np.ascontiguousarray(given[name], dtype=f32) for name in NAMES[:6]]
    bounds, fee = (-0.03, 0.03, -0.03, 0.03), (rules.fee_rule_code("touched_both"), 0.0005)
    codes = [rules.fill_code(fill, legacy=True) for fill in rules.LEGACY_FILLS]
    each = [
        _core.best_offsets(*days, None, *bounds, code, *fee, fee[1], 0.0, always_on, False)
        for code in codes
    ]
    for count in (1, 2, 3):
        found = _core.best_offsets_of_fills(*days, *bounds, codes[:count], *fee, always_on)
        best = np.argmax([profit for _, _, profit in each[:count]], axis=0)
        np.testing.assert_array_equal(found[0], best)
        for made, part in zip(found[1:], range(3), strict=True):
            expected = [each[fill][part][row] for row, fill in enumerate(best)]
            np.testing.assert_array_equal(made, np.array(expected, dtype=made.dtype))


def test_fills_must_be_some_that_need_no_open() -> None:
    days, bounds = [np.zeros((2, 6), dtype=f32)] * 6, (-0.03, 0.03, -0.03, 0.03)
    for wrong in ([], [0] * 5):
        with pytest.raises(ValueError, match="fills: expected 1 to 4 of them"):
            _core.best_offsets_of_fills(*days, *bounds, wrong, 0, 0.0, False)
    with pytest.raises(ValueError, match="open= is needed"):
        codes = [3, rules.fill_code("open_aware")]
        _core.best_offsets_of_fills(*days, *bounds, codes, 0, 0.0, False)
