"""The optimisers: never below DIRECT, whatever the tensors are, and what they refuse."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest
from backends import on_backend
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from marketsim import _core  # noqa: E402
from marketsim.errors import (  # noqa: E402
    ArgumentError,
    CudaUnavailableError,
    MissingDependencyError,
)
from marketsim.kernels.cuda import place as cuda  # noqa: E402
from marketsim.kernels.rules import fill_code  # noqa: E402
from marketsim.kernels.types import DEFAULT_BOUNDS  # noqa: E402
from marketsim.legacy.stock import loss_utils, offset_search  # noqa: E402
from marketsim.legacy.stock.optimization_utils import (  # noqa: E402
    _evaluate_entry_exit_profit,
    _prepare_entry_exit_context,
    optimize_always_on_multipliers,
    optimize_entry_exit_multipliers,
    optimize_entry_exit_multipliers_with_callback,
    optimize_single_parameter,
)

DAY_NAMES = ("close_actual", "high_actual", "low_actual", "high_pred", "low_pred")
_CONTEXT = ("close_actual", "positions", "high_actual", "high_pred", "low_actual", "low_pred")
EXACT = "MARKETSIM_USE_DIRECT_OPTIMIZER"


def problem(seed: int, count: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    close = rng.normal(0, 0.02, count)
    high = np.maximum(close, 0) + rng.exponential(0.01, count)
    low = np.minimum(close, 0) - rng.exponential(0.01, count)
    rows = {
        "close_actual": close,
        "positions": rng.integers(-1, 2, count),
        "high_actual": high,
        "high_pred": rng.normal(0.01, 0.01, count),
        "low_actual": low,
        "low_pred": rng.normal(-0.01, 0.01, count),
    }
    return {name: torch.tensor(row, dtype=dtype) for name, row in rows.items()}


def both_sides(rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    rest = {name: row for name, row in rows.items() if name != "positions"}
    ones = torch.ones_like(rows["close_actual"])
    return rest | {"buy_indicator": ones, "sell_indicator": -ones}


def total_at(rows: dict[str, torch.Tensor], high: float, low: float, **options: Any) -> float:
    """The profit at offsets: the float64 sum of the days' profits."""
    return float(
        loss_utils.calculate_profit_torch_with_entry_buysell_profit_values(
            rows["close_actual"],
            rows["high_actual"],
            rows["high_pred"] + high,
            rows["low_actual"],
            rows["low_pred"] + low,
            rows["positions"],
            **options,
        )
        .double()
        .sum()
    )


@settings(max_examples=25)
@given(
    st.integers(0, 10**6), st.integers(1, 12), st.booleans(), st.booleans(), st.sampled_from([0, 1])
)
def test_never_below_direct(seed: int, count: int, eod: bool, double: bool, later: int) -> None:
    dtype = torch.float64 if double else torch.float32
    rows = problem(seed, count, dtype)
    loss_utils.use_fees(("snapshot", "later")[later])
    try:
        with pytest.MonkeyPatch.context() as patch:
            found = optimize_entry_exit_multipliers(**rows, close_at_eod=eod)
            always = optimize_always_on_multipliers(**both_sides(rows), close_at_eod=eod)
            patch.setenv(EXACT, "1")
            patch.setenv("MARKETSIM_FAST_OPTIMIZE", "1")
            searched = optimize_entry_exit_multipliers(**rows, close_at_eod=eod)
            both = optimize_always_on_multipliers(**both_sides(rows), close_at_eod=eod)
        assert found[2] >= total_at(rows, *searched[:2], close_at_eod=eod) - 1e-12
        assert abs(found[2] - total_at(rows, *found[:2], close_at_eod=eod)) < 1e-12
        assert always[2] >= both[2] - 1e-6  # DIRECT's is a float32 sum
        assert all(type(value) is float for value in (*found, *searched))
    finally:
        loss_utils.use_fees("snapshot")


@pytest.mark.parametrize("count", [1, 6, 40])
def test_the_direct_way_and_the_checked_way_agree(count: int) -> None:
    """Tensors that the compiled entry declines get the same answer to the last bit."""
    for seed in range(20):
        rows = problem(seed, count)
        gaps = {name: torch.stack((row, row), dim=1)[:, 1] for name, row in rows.items()}
        shaped = {name: row[None] for name, row in rows.items()}
        expected = optimize_entry_exit_multipliers(**rows)
        assert optimize_entry_exit_multipliers(**gaps) == expected
        assert optimize_entry_exit_multipliers(**shaped) == expected
        one, other = both_sides(rows), both_sides(gaps)
        assert optimize_always_on_multipliers(**one) == optimize_always_on_multipliers(**other)
        long_only = optimize_always_on_multipliers(**one, is_crypto=True)
        assert long_only == optimize_entry_exit_multipliers(
            **rows | {"positions": one["buy_indicator"]}
        )


def test_what_the_compiled_entry_declines() -> None:
    rows = problem(3, 6)
    order = ("close_actual", "high_actual", "low_actual", "high_pred", "low_pred", "positions")
    given_rows = [rows[name] for name in order]
    legacy = fill_code("legacy", legacy=True)
    bounds = ((-0.03, 0.03), (-0.03, 0.03))
    rest = (None, bounds, legacy, 1, 0.0005)
    found = _core.best_offsets_of_tensors(*given_rows, *rest)
    assert found is not None
    asks = rows["positions"].clone().requires_grad_()
    assert _core.best_offsets_of_tensors(*given_rows[:5], asks, *rest) == found
    for wrong in (
        rows["positions"].double(),
        rows["positions"].numpy(),
        rows["positions"][:5],
        rows["positions"][None],
        torch._neg_view(rows["positions"]),
        rows["positions"].to("meta"),
        [1.0] * 6,
        None,
    ):
        assert _core.best_offsets_of_tensors(*given_rows[:5], wrong, *rest) is None
    parts = torch.zeros(12)[::2]
    assert _core.best_offsets_of_tensors(*given_rows[:5], parts, *rest) is None
    with pytest.raises(ValueError, match="fill"):
        _core.best_offsets_of_tensors(*given_rows, None, bounds, 9, 1, 0.0)
    for other in (
        ((-0.03, 0.03),),
        ((0.03, -0.03), (-0.03, 0.03)),
        ((-2.0, 0.03), (-0.03, 0.03)),
        ((-0.03, float("nan")), (-0.03, 0.03)),
        np.array(bounds),
        None,
    ):
        assert _core.best_offsets_of_tensors(*given_rows, None, other, legacy, 1, 0.0005) is None
    for fee in (-0.1, 1.0, float("nan"), "0.1", None, True, 10**400):
        assert _core.best_offsets_of_tensors(*given_rows, None, bounds, legacy, 1, fee) is None
    whole = _core.best_offsets_of_tensors(*given_rows, None, [[-1, 1], (0, 0)], legacy, 1, 0)
    assert whole == _core.best_offsets_of_tensors(
        *given_rows, None, ((-1.0, 1.0), (0.0, 0.0)), legacy, 1, 0.0
    )
    with pytest.raises(ValueError, match="11 arguments"):
        _core.best_offsets_of_tensors(*given_rows)


def test_float64_is_not_rounded() -> None:
    """Levels that float32 cannot tell apart: a fill that only exists in float64 is found."""
    one = torch.ones(1, dtype=torch.float64)
    rows = {
        "close_actual": one * 0.01,
        "positions": one,
        "high_actual": one * 0.02,
        "high_pred": one * (0.02 + 1e-12),
        "low_actual": one * -0.01,
        "low_pred": one * -0.01,
    }
    tight = ((-1e-11, 0.0), (0.0, 1e-11))
    found = optimize_entry_exit_multipliers(**rows, bounds=tight, trading_fee=0.0)
    assert found[2] == pytest.approx(0.03, abs=1e-10)
    assert found[0] < 0.0 < found[1]


def test_many_days_of_float64_are_not_below_float32() -> None:
    """Beyond the days of which all pairs are tried: at least what float32 finds."""
    rows = problem(0, offset_search.MOST_PAIRED_DAYS + 1, torch.float64)
    found = optimize_entry_exit_multipliers(**rows)
    single = optimize_entry_exit_multipliers(**{n: row.float() for n, row in rows.items()})
    assert found[2] >= single[2] - 1e-6
    ctx = _prepare_entry_exit_context(*(rows[name] for name in _CONTEXT))
    again = _evaluate_entry_exit_profit(
        ctx, high_mult=found[0], low_mult=found[1], close_at_eod=False, trading_fee=None
    )
    assert again.item() == found[2]


def test_complex_tensors() -> None:
    rows = problem(3, 6)
    wrong = rows | {"high_pred": rows["high_pred"].to(torch.complex64)}
    with pytest.raises(ArgumentError, match="high_pred must hold real numbers: got torch.complex"):
        optimize_entry_exit_multipliers(**wrong)


@pytest.mark.parametrize("fee", [float("nan"), float("inf"), -float("inf")])
def test_a_fee_that_is_no_number(fee: float) -> None:
    with pytest.raises(ArgumentError, match="trading_fee must be a fraction of the traded value"):
        optimize_entry_exit_multipliers(**problem(3, 6), trading_fee=fee)


def test_infinite_forecasts_mean_no_limit() -> None:
    """An infinite level is cut as the profit function cuts it."""
    rows = problem(3, 6)
    for name, sign in itertools.product(("high_pred", "low_pred", "high_actual"), (1.0, -1.0)):
        given = rows | {name: rows[name].clone()}
        given[name][::2] = sign * torch.inf
        finite = rows | {name: given[name].clamp(-500.0, 500.0)}
        assert optimize_entry_exit_multipliers(**given) == optimize_entry_exit_multipliers(**finite)


def test_fees_and_bounds_beyond_the_kernels() -> None:
    """As DIRECT would be given them: a fee above one half, a rebate, offsets beyond 1."""
    rows = problem(4, 6)
    ctx = _prepare_entry_exit_context(*(rows[name] for name in _CONTEXT))
    wide = ((-3.0, 3.0), (-3.0, 3.0))
    for fee, bounds in ((0.7, DEFAULT_BOUNDS), (-0.01, DEFAULT_BOUNDS), (0.001, wide)):
        high, low, profit = optimize_entry_exit_multipliers(**rows, trading_fee=fee, bounds=bounds)

        def total(h: float, low_: float, fee: float = fee) -> float:
            value = _evaluate_entry_exit_profit(
                ctx, high_mult=h, low_mult=low_, close_at_eod=False, trading_fee=fee
            )
            return float(value.item())

        # A rebate fits the kernels, which add in float64; the formula adds in float32.
        assert profit == pytest.approx(total(high, low), rel=1e-6)
        grid = np.linspace(*bounds[0], 41)
        assert profit >= max(total(h, low_) for h in grid for low_ in grid) - 1e-6


def test_mixed_precision_is_that_of_torch() -> None:
    rows = problem(5, 6)
    mixed = rows | {"close_actual": rows["close_actual"].double()}
    double = {name: row.double() for name, row in rows.items()}
    assert optimize_entry_exit_multipliers(**mixed) == optimize_entry_exit_multipliers(**double)


def test_errors() -> None:
    rows = problem(1, 6)
    asks = {"positions": rows["positions"].clone().requires_grad_()}
    assert optimize_entry_exit_multipliers(**rows | asks) == optimize_entry_exit_multipliers(**rows)
    with pytest.raises(ArgumentError, match="lengths differ.*high_pred has 5"):
        optimize_entry_exit_multipliers(**rows | {"high_pred": rows["high_pred"][:5]})
    with pytest.raises(ArgumentError, match="low_pred must be a torch tensor"):
        optimize_entry_exit_multipliers(**rows | {"low_pred": rows["low_pred"].numpy()})
    with pytest.raises(ArgumentError, match="bounds must be"):
        optimize_entry_exit_multipliers(**rows, bounds=((0.1, -0.1), (0.0, 0.0)))
    with pytest.raises(ArgumentError, match="trading_fee must be"):
        optimize_entry_exit_multipliers(**rows, trading_fee="a lot")


def test_scipy_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    rows = problem(2, 6)
    assert optimize_entry_exit_multipliers(**rows)[2] >= 0.0
    monkeypatch.setenv(EXACT, "0")
    with pytest.raises(MissingDependencyError, match="pip install scipy"):
        optimize_entry_exit_multipliers(**rows)


def test_searches_of_functions() -> None:
    x, profit = optimize_single_parameter(lambda v: -((v - 0.02) ** 2))
    assert x == pytest.approx(0.02, abs=1e-3)
    assert profit == pytest.approx(0.0, abs=1e-6)
    high, low, _ = optimize_entry_exit_multipliers_with_callback(
        lambda a, b: -((a - 0.01) ** 2) - (b + 0.01) ** 2, maxiter=20
    )
    assert (high, low) == pytest.approx((0.01, -0.01), abs=2e-3)


def test_empty_and_single_days() -> None:
    rows = {name: row[:0] for name, row in problem(0, 3).items()}
    assert optimize_entry_exit_multipliers(**rows) == (0.0, 0.0, 0.0)


def test_tensors_of_a_gpu_are_searched_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the emulation of its kernels: the same answers, for one position and for two."""
    for seed, count in ((1, 7), (2, 60)):
        rows = problem(seed, count)
        one = offset_search.Problem(
            tuple(rows[n] for n in DAY_NAMES), (rows["positions"],), False, 0.0005, "per_entry"
        )
        ones = torch.ones(count)
        two = offset_search.Problem(one.days, (ones, -ones), True, 0.0005, "touched_both")
        for of in (one, two):
            expected = offset_search._exact(of, DEFAULT_BOUNDS)
            with on_backend("emulation"):
                assert offset_search._exact_on_gpu(of, DEFAULT_BOUNDS, "cuda") == expected


def test_a_gpu_without_kernels_is_logged(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def missing() -> None:
        raise CudaUnavailableError("a GPU cannot be used: no kernels")

    monkeypatch.setattr(cuda, "platform", missing)
    offset_search._gpu_has_kernels.cache_clear()
    assert not offset_search._gpu_has_kernels()
    assert not offset_search._gpu_has_kernels()
    offset_search._gpu_has_kernels.cache_clear()
    assert caplog.messages == [
        "offsets of tensors on a GPU are searched on the processor: "
        "a GPU cannot be used: no kernels"
    ]


@pytest.mark.cuda
def test_on_a_gpu() -> None:
    with on_backend("cuda"):
        for seed, count in ((1, 7), (2, 60)):
            rows = problem(seed, count)
            there = {name: row.cuda() for name, row in rows.items()}
            found = optimize_entry_exit_multipliers(**there)
            assert found == optimize_entry_exit_multipliers(**rows)
