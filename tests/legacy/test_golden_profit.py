"""The old profit functions and optimisers, on tensors, against the transcription."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from legacy_profit import Choice, Days, awkward_problem, confirm, profit_of_days  # noqa: E402
from problems import KINDS  # noqa: E402


def arguments(days: Days) -> tuple[Any, ...]:
    return (days.close, days.high, days.high_pred, days.low, days.low_pred)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("per_entry", [False, True])
def test_profit_of_days(kind: int, dtype: Any, per_entry: bool) -> None:
    from marketsim.legacy.stock import loss_utils as loss

    for seed, close_at_eod, fee in itertools.product(range(4), (False, True), (None, 0.003)):
        days, position = awkward_problem(kind, seed=seed)
        days, position = Days(*(value.to(dtype) for value in days)), position.to(dtype)
        rule = {"close_at_eod": close_at_eod}
        asked = rule | {"trading_fee": fee, "fee_rule": "per_entry" if per_entry else None}
        got = loss.calculate_profit_torch_with_entry_buysell_profit_values(
            *arguments(days), position, **asked
        )
        true_fee = loss.TRADING_FEE if fee is None else fee
        value = profit_of_days(days, position, fee=true_fee, per_entry=per_entry, **rule)
        assert got.dtype == dtype
        # Positions of other sizes than one are multiplied in another order: the last digits differ.
        near = {"rtol": 0.0 if kind != 3 else 1e-6, "atol": 1e-12 if kind != 3 else 1e-7}
        torch.testing.assert_close(got, value, equal_nan=True, **near)
        total = loss.calculate_trading_profit_torch_with_entry_buysell(
            None, None, days.close, position, *arguments(days)[1:], **asked
        )
        torch.testing.assert_close(total, value.sum(), rtol=1e-6, atol=1e-7, equal_nan=True)


def test_profit_of_shapes_and_sizes() -> None:
    """Columns become days; positions beyond 10 count as 10, but pay the fee for all of it."""
    from marketsim.legacy.stock import loss_utils as loss

    days, _ = awkward_problem(0, 11)
    position = torch.tensor([-20.0, -10.0, -2.5, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0, 10.0, 25.0])
    for close_at_eod in (False, True):
        got = loss.calculate_profit_torch_with_entry_buysell_profit_values(
            *(value[:, None] for value in arguments(days)),
            position[:, None],
            close_at_eod=close_at_eod,
        )
        value = profit_of_days(days, position, fee=0.0005, close_at_eod=close_at_eod)
        assert got.shape == (11,)
        torch.testing.assert_close(got, value, rtol=1e-6, atol=1e-7)


def test_profit_of_positions_alone() -> None:
    """The four older functions: positions times returns, less fees."""
    from marketsim.legacy.stock import loss_utils as loss

    days, _ = awkward_problem(0, 40)
    rng = np.random.default_rng(5)
    position = torch.tensor(rng.normal(0.0, 4.0, 40), dtype=torch.float32)
    held = torch.clip(position, -10, 10)
    fees = torch.abs(position) * loss.TRADING_FEE
    near = {"rtol": 1e-6, "atol": 1e-7}
    value = held * days.close - fees
    got = loss.get_trading_profits_list(None, None, days.close, position)
    torch.testing.assert_close(got, value, **near)
    got = loss.calculate_trading_profit_torch(None, None, days.close, position)
    torch.testing.assert_close(got, value.sum() / 40, **near)
    got = loss.calculate_trading_profit_torch(None, None, days.close, position, 0.01)
    value = (held * days.close - torch.abs(position) * 0.01).sum() / 40
    torch.testing.assert_close(got, value, **near)
    got = loss.calculate_trading_profit_torch_buy_only(None, None, days.close, position)
    value = (torch.clip(position, 0, 10) * days.close - fees).sum() / 40
    torch.testing.assert_close(got, value, **near)


def test_profit_with_exits_only() -> None:
    """In from the start of the day, out at a forecast level that is touched, else at the close."""
    from marketsim.legacy.stock import loss_utils as loss

    days, _ = awkward_problem(5, 60)
    position = torch.tensor(np.random.default_rng(6).choice([-1.0, 0.0, 1.0, 2.0], 60)).float()
    sell_at, buy_at = torch.clamp(days.high_pred, 0, 10), torch.clamp(days.low_pred, -1, 0)
    value = []
    for day, size in enumerate(position):
        level, touched = (
            (sell_at[day], sell_at[day] <= days.high[day])
            if size > 0
            else (buy_at[day], buy_at[day] >= days.low[day])
        )
        move = level if touched else days.close[day]
        value.append(float(size * move - abs(size) * loss.TRADING_FEE))
    got = loss.calculate_trading_profit_torch_with_buysell_profit_values(*arguments(days), position)
    torch.testing.assert_close(got, torch.tensor(value), rtol=1e-6, atol=1e-8)
    total = loss.calculate_trading_profit_torch_with_buysell(
        None, None, days.close, position, *arguments(days)[1:]
    )
    assert float(total) == pytest.approx(sum(value), abs=1e-6)


def test_percent_movements_augment() -> None:
    """1.0 first, then changes cut (not rounded) after three decimals."""
    from marketsim.legacy.stock import loss_utils as loss

    prices = np.array([100.0, 101.99, 100.0, 99.9501, 150.0])
    got = loss.percent_movements_augment(prices)
    assert list(got) == [1.0, 0.019, -0.019, 0.0, 0.5]
    assert list(loss.percent_movements_augment([5.0])) == [1.0]


@pytest.mark.parametrize("kind", [0, 1, 2, 5, 6])
def test_optimisers(kind: int) -> None:
    """The pair is a best one, the profit is the formula's at that pair, and all are floats."""
    from marketsim.legacy.stock import optimization_utils as optimization

    for seed, close_at_eod in itertools.product(range(2), (False, True)):
        days, position = awkward_problem(kind, 6, seed)
        rule = {"close_at_eod": close_at_eod, "trading_fee": 0.0005}
        found = optimization.optimize_entry_exit_multipliers(
            days.close, position, days.high, days.high_pred, days.low, days.low_pred, **rule
        )
        assert [type(value) for value in found] == [float, float, float]
        check = {"fee": 0.0005, "policies": (close_at_eod,)}
        choice = Choice(found[0], found[1], close_at_eod)
        confirm(days, [position], choice, **check)
        moved = Days(
            days.close, days.high, days.high_pred + found[0], days.low, days.low_pred + found[1]
        )
        value = profit_of_days(moved, position, fee=0.0005, close_at_eod=close_at_eod)
        assert found[2] == pytest.approx(float(value.double().sum()), abs=1e-7)
        buys = torch.ones(6)
        for crypto in (False, True):
            found = optimization.optimize_always_on_multipliers(
                days.close, buys, buys * (not crypto) * -1.0, days.high, days.high_pred,
                days.low, days.low_pred, is_crypto=crypto, **rule,
            )  # fmt: skip
            assert [type(value) for value in found] == [float, float, float]
            choice = Choice(found[0], found[1], close_at_eod)
            confirm(days, [buys] if crypto else [buys, -buys], choice, **check)


def old_objective(days: Days, sides: list[Any], close_at_eod: bool) -> Any:
    """The loss that the old code gave to SciPy: each side added in float32."""

    def loss(offsets: np.ndarray) -> float:
        moved = days._replace(
            high_pred=days.high_pred + float(offsets[0]), low_pred=days.low_pred + float(offsets[1])
        )
        return -sum(
            profit_of_days(moved, side, fee=0.0005, close_at_eod=close_at_eod).sum().item()
            for side in sides
        )

    return loss


@pytest.mark.parametrize("budget", ["500", "100"])
def test_direct_on_request(monkeypatch: pytest.MonkeyPatch, budget: str) -> None:
    """Where asked for, the old search point by point; the exact answer is never worse."""
    from scipy.optimize import direct

    from marketsim.legacy.stock import optimization_utils as optimization

    for seed in range(2):
        days, position = awkward_problem(0, 6, seed)
        given = (days.high, days.high_pred, days.low, days.low_pred)
        buys = torch.ones(6)
        calls = (
            (optimization.optimize_entry_exit_multipliers, (position,), [position], 500),
            (optimization.optimize_always_on_multipliers, (buys, -buys), [buys, -buys], 240),
        )
        for optimize, sides, loss_sides, evaluations in calls:
            monkeypatch.delenv("MARKETSIM_USE_DIRECT_OPTIMIZER", raising=False)
            exact = optimize(days.close, *sides, *given, trading_fee=0.0005)
            monkeypatch.setenv("MARKETSIM_USE_DIRECT_OPTIMIZER", "1")
            monkeypatch.setenv("MARKETSIM_FAST_OPTIMIZE", "1" if budget == "100" else "0")
            got = optimize(days.close, *sides, *given, trading_fee=0.0005)
            found = direct(
                old_objective(days, loss_sides, False),
                bounds=((-0.03, 0.03), (-0.03, 0.03)),
                maxfun=100 if budget == "100" else evaluations,
            )
            assert got[:2] == tuple(float(v) for v in found.x)
            assert got[2] == pytest.approx(-found.fun, abs=1e-7)
            assert exact[2] >= got[2] - 1e-8


def test_differential_evolution_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from marketsim.legacy.stock import optimization_utils as optimization

    days, position = awkward_problem(0, 6)
    given = (days.close, position, days.high, days.high_pred, days.low, days.low_pred)
    exact = optimization.optimize_entry_exit_multipliers(*given, trading_fee=0.0005)
    monkeypatch.setenv("MARKETSIM_USE_DIRECT_OPTIMIZER", "0")
    options = {"trading_fee": 0.0005, "maxiter": 5, "popsize": 4}
    one = optimization.optimize_entry_exit_multipliers(*given, **options, seed=3)
    again = optimization.optimize_entry_exit_multipliers(*given, **options, seed=3)
    assert one == again
    assert exact[2] >= one[2] - 1e-8
    assert [type(value) for value in one] == [float, float, float]
