"""The GPU's offset kernels, run on the host: equal to the CPU's to the last bit."""

from __future__ import annotations

import itertools

import cuda_emulation as emulation
import numpy as np
import pytest
from fill_rules import RULES, fitting
from hypothesis import given
from hypothesis import strategies as st
from problems import KINDS, PLATEAUS, awkward_days, drawn_days, plateau_days, random_days

import marketsim as ms
from marketsim.kernels import rules

f32 = np.float32
OPTIONS = [
    rule | {"always_on": always_on, "long_only": long_only}
    for rule, (always_on, long_only) in itertools.product(
        RULES, ((False, False), (False, True), (True, False), (True, True))
    )
]
BOUNDS = (
    ((-0.03, 0.03), (-0.03, 0.03)),
    ((0.001, 0.02), (-0.015, 0.004)),
    ((-0.02, -0.001), (0.001, 0.03)),
    ((0.01, 0.01), (-0.03, 0.0)),
)


def assert_equal_to_cpu(days: dict, **options) -> None:
    days = fitting(days, options)
    got = emulation.best_offsets(days, **options)
    expected = ms.best_offsets(**days, **options)
    for values, wanted in zip(got, expected, strict=False):
        assert values.dtype == wanted.dtype
        np.testing.assert_array_equal(values, wanted)


# Up to 14 days go to teams of four threads, up to 62 to a warp's, more to a block; half of that
# where each day makes two legs, or each leg two candidates an axis.
@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_equals_cpu(number: int) -> None:
    rng = np.random.default_rng([number, 60])
    for case, count in enumerate((1, 2, 6, 7, 14, 15, 31, 32, 62, 63, 100)):
        kind = (number + case) % len(KINDS)
        days = awkward_days(rng, (3, count), kind)
        margin = 0.001 if case % 4 == 1 else 0.0
        assert_equal_to_cpu(days, bounds=BOUNDS[case % 4], margin=margin, **OPTIONS[number])


@pytest.mark.parametrize("kind", KINDS)
def test_equals_cpu_on_awkward_days(order: int, kind: int) -> None:
    rng = np.random.default_rng([kind, 61])
    for count, options in itertools.product((5, 20, 70), OPTIONS[::7]):
        assert_equal_to_cpu(awkward_days(rng, (2, count), kind), **options)


@given(
    days=drawn_days(max_days=6),
    copies=st.sampled_from([1, 4, 12]),
    options=st.sampled_from(OPTIONS),
    margin=st.sampled_from([0.0, 0.0, 0.001]),
    bounds=st.sampled_from(BOUNDS),
)
def test_equals_cpu_on_drawn_days(days, copies, options, margin, bounds) -> None:
    """Days repeated until they go to the kernel for many of them; most pairs tie then."""
    batch = {name: np.tile(value, (1, copies)) for name, value in days.items()}
    assert_equal_to_cpu(batch, margin=margin, bounds=bounds, **options)


@pytest.mark.parametrize("kind", PLATEAUS)
@pytest.mark.parametrize("side", [1.0, -1.0, 0.0])
def test_plateaus_of_equal_totals(kind: str, side: float) -> None:
    rng = np.random.default_rng([PLATEAUS.index(kind), int(side) + 1])
    for rule, always_on in itertools.product(RULES[::2], (False, True)):
        for count in (12, 58, 150):
            days = plateau_days(rng, (1, count), kind)
            if side:
                days["position"] = np.full((1, count), side, f32)
            assert_equal_to_cpu(days, always_on=always_on, **rule)


@pytest.mark.parametrize("fill", rules.FILLS)
def test_two_thousand_days(fill: str) -> None:
    rng = np.random.default_rng(8)
    for days in (random_days(rng, (1, 2000)), plateau_days(rng, (1, 2000), "mostly halted")):
        assert_equal_to_cpu(days, fill=fill, fee=0.0002)
    assert_equal_to_cpu(random_days(rng, (1, 1000)), fill=fill, always_on=True)


def test_pairs_whose_profit_overflows_tie() -> None:
    rng = np.random.default_rng(8)
    for kind, count in itertools.product((0, 5), (20, 70)):
        days = awkward_days(rng, (4, count), kind)
        days["close"][:, 7] = 3e38
        days["position"][:, 7] = 10.0
        assert_equal_to_cpu(days, fee=0.0005)
        days["close"][:, 9] = -3e38  # inf - inf
        days["position"][:, 9] = 10.0
        assert_equal_to_cpu(days, fee=0.0005)


def test_totals_that_depend_on_the_order_of_the_days(order: int) -> None:
    """Profits of very different sizes: float64 rounds their sums, so that the order shows."""
    rng = np.random.default_rng(17)
    for count, options in itertools.product((6, 20, 60, 130), OPTIONS[::5]):
        days = random_days(rng, (3, count))
        days["position"] *= np.exp2(rng.integers(-70, 4, (3, count))).astype(f32)
        assert_equal_to_cpu(days, **options)
        days["position"] = days["position"].round(2) + f32(1e-40)  # the smallest there are
        assert_equal_to_cpu(days, **options)


def test_nothing_to_do() -> None:
    for always_on in (False, True):
        assert_equal_to_cpu(random_days(np.random.default_rng(0), (3, 0)), always_on=always_on)
    assert emulation.best_offsets(random_days(np.random.default_rng(0), (0, 4))).high.shape == (0,)
    nothing = random_days(np.random.default_rng(0), (2, 70))
    nothing["position"][:] = np.nan
    assert_equal_to_cpu(nothing)


def walk_forward_groups(days: dict, starts: np.ndarray) -> list[tuple[dict, dict]]:
    """Strategies by close policies: positions and options of each group."""
    rng = np.random.default_rng(4)
    sides = rng.choice([-1.0, 0.0, 1.0], days["close"].shape).astype(f32)
    strategies = [
        (days, {}),
        (days | {"position": sides}, {}),
        (days, {"always_on": True}),
        (days, {"always_on": True, "long_only": True}),
    ]
    policies = [{"fill": "open_aware", "fee": 0.0005}, {"fill": "close_only", "fee": 0.0005}]
    return [
        (of, options | policy) for (of, options), policy in itertools.product(strategies, policies)
    ]


@pytest.mark.parametrize("window", [7, 60])
def test_whole_walk_forward_in_one_call(order: int, window: int) -> None:
    """Symbols by simulations by strategies by close policies; windows of 60 days go two ways."""
    days = random_days(np.random.default_rng(3), (3, 120))
    flat = {name: value.reshape(-1) for name, value in days.items()}
    first = np.array([5, 6, 30, 47])
    starts = (np.arange(3)[:, None] * 120 + first).reshape(-1)
    kinds = walk_forward_groups(flat, starts)
    gap, applied = 1, 4
    groups = [
        emulation.problems_of(of, starts=starts, count=window, gap=gap, applied=applied, **options)
        for of, options in kinds
    ]
    emulation.solve(*groups)
    for (of, options), group in zip(kinds, groups, strict=True):
        windows = {n: np.stack([v[s : s + window] for s in starts]) for n, v in of.items()}
        expected = ms.best_offsets(**windows, **options)
        for values, wanted in zip(group.answers, expected, strict=False):
            np.testing.assert_array_equal(values, wanted)
        for i, start in enumerate(starts):
            begin = start + window + gap
            behind = {n: v[begin : begin + applied] for n, v in of.items()}
            pair = {"high_offset": group.answers.high[i], "low_offset": group.answers.low[i]}
            np.testing.assert_array_equal(
                group.answers.applied[i], earned_behind(behind, pair, **options)
            )


def earned_behind(
    days: dict, pair: dict, *, always_on=False, long_only=False, **rule
) -> np.ndarray:
    if not always_on:
        return ms.profit(**days, **pair, **rule)
    ones = np.ones(len(days["close"]), f32)
    sides = [ones] if long_only else [ones, -ones]
    return sum(ms.profit(**(days | {"position": side}), **pair, **rule) for side in sides)


def test_workspace_of_one_block_does() -> None:
    days = random_days(np.random.default_rng(5), (5, 90))
    most, least = emulation.problems_of(days), emulation.problems_of(days)
    emulation.solve(most)
    emulation.solve(least, workspace="least")
    for name in ("high", "low", "profit"):
        np.testing.assert_array_equal(getattr(most.answers, name), getattr(least.answers, name))


def test_errors_say_got_and_expected() -> None:
    native = emulation.native
    days = random_days(np.random.default_rng(6), (1, 90))
    problems = emulation.problems_of(days)
    with pytest.raises(RuntimeError, match="at most 16 groups at a time: got 17"):
        native.offsets_workspace([problems.group] * 17, 0)
    with pytest.raises(RuntimeError, match=r"the workspace has 64 bytes, needed are \d+ at least"):
        native.best_offsets([problems.group], 0, 64, 0, 0)
    many = emulation.problems_of(days, count=100_001)
    with pytest.raises(RuntimeError, match="at most 100000 days a problem: got 100001"):
        native.offsets_workspace([many.group], 0)
    unset = {
        **dict.fromkeys(("starts", "problems", "day_count", "high_offset", "low_offset"), 0),
        **dict.fromkeys(("offset_stride", "candidates", "grid_lows", "fee_rule"), 0),
        "days": [0] * 7,
        "strides": [0] * 7,
        "limit_cost": 0.0,
        "close_cost": 0.0,
    }
    with pytest.raises(ValueError, match="open: none given"):
        native.ProfitBatch(**unset, fill=2)
    with pytest.raises(ValueError, match="fill: no policy of that code"):
        native.ProfitBatch(**unset, fill=6)
