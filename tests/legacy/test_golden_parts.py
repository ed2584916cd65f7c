"""The functions of the old modules one by one, against the transcription."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import legacy_strategies as expected  # noqa: E402
from legacy_forecasts import Forecaster  # noqa: E402
from legacy_golden import Old, assert_same, same  # noqa: E402
from legacy_market import AWKWARD, daily  # noqa: E402
from legacy_profit import Choice, Days, confirm, profit_of_days  # noqa: E402
from legacy_transcription import KEYS, Setting, changes, forecasts, targets  # noqa: E402
from problems import KINDS, awkward_days  # noqa: E402


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    return Old(monkeypatch, tmp_path)


def problem(kind: int, count: int = 9, seed: int = 0) -> tuple[Days, Any]:
    days = awkward_days(np.random.default_rng([seed, kind]), count, kind)
    tensors = {name: torch.from_numpy(value) for name, value in days.items()}
    position = tensors.pop("position")
    return Days(*(tensors[name] for name in Days._fields)), position


def arguments(days: Days) -> tuple[Any, ...]:
    return (days.close, days.high, days.high_pred, days.low, days.low_pred)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (3, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_profit_of_days(kind: int, dtype: Any) -> None:
    from marketsim.legacy import loss_utils as loss

    for seed, close_at_eod, fee in itertools.product(range(8), (False, True), (None, 0.0, 0.003)):
        days, position = problem(kind, seed=seed)
        days, position = Days(*(value.to(dtype) for value in days)), position.to(dtype)
        rule = {"close_at_eod": close_at_eod}
        got = loss.calculate_profit_torch_with_entry_buysell_profit_values(
            *arguments(days), position, trading_fee=fee, **rule
        )
        true_fee = loss.TRADING_FEE if fee is None else fee
        value = profit_of_days(days, position, fee=true_fee, **rule)
        assert got.dtype == dtype
        # Prices far beyond the clamps are multiplied in another order: the last digit may differ.
        torch.testing.assert_close(got, value, rtol=1e-7, atol=1e-7 if kind != 4 else 1e-6)
        if dtype == torch.float32 and kind != 4:
            assert torch.equal(got, value)
        total = loss.calculate_trading_profit_torch_with_entry_buysell(
            None, None, days.close, position, *arguments(days)[1:], trading_fee=fee, **rule
        )
        torch.testing.assert_close(total, value.sum(), rtol=1e-6, atol=1e-7)


def test_profit_of_shapes_and_sizes() -> None:
    """Columns become days; positions beyond 10 count as 10, but pay the fee for all of it."""
    from marketsim.legacy import loss_utils as loss

    days, _ = problem(0, 11)
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
    from marketsim.legacy import loss_utils as loss

    days, _ = problem(0, 40)
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
    from marketsim.legacy import loss_utils as loss

    days, _ = problem(5, 60)
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
    from marketsim.legacy import loss_utils as loss

    prices = np.array([100.0, 101.99, 100.0, 99.9501, 150.0])
    got = loss.percent_movements_augment(prices)
    assert list(got) == [1.0, 0.019, -0.019, 0.0, 0.5]
    assert list(loss.percent_movements_augment([5.0])) == [1.0]


@pytest.mark.parametrize("case", AWKWARD)
def test_pre_process_data(old: Old, case: str) -> None:
    data = AWKWARD[case]()
    before = data.copy(deep=True)
    for key in KEYS:
        with np.errstate(all="ignore"):
            value = changes(data, key)
        got = old.module.pre_process_data(data, key)
        pd.testing.assert_frame_equal(got, value, check_exact=True)
    pd.testing.assert_frame_equal(data, before, check_exact=True)


def test_pre_process_data_of_nothing(old: Old) -> None:
    empty = daily(5).iloc[:0]
    pd.testing.assert_frame_equal(old.module.pre_process_data(empty, "Close"), empty)
    one = old.module.pre_process_data(daily(1), "Close")
    assert list(one["Close"]) == [1.0]


def prediction_rows() -> list[Any]:
    rng = np.random.default_rng(7)
    rows = [torch.tensor(rng.choice([-0.01, -0.0, 0.0, 1e-9, 0.02], 6)).float() for _ in range(60)]
    return [*rows, torch.zeros(6), torch.tensor([]), torch.tensor([0.1, torch.nan, -0.1])]


@pytest.mark.parametrize("crypto", [False, True])
def test_signals(old: Old, crypto: bool) -> None:
    rows = prediction_rows()
    rng = np.random.default_rng(8)
    for close, high, low in zip(rows, rows[1:] + rows[:1], rows[2:] + rows[:2], strict=True):
        assert torch.equal(
            old.module.simple_buy_sell_strategy(close, is_crypto=crypto),
            expected.simple(close, crypto),
        )
        assert torch.equal(old.module.buy_hold_strategy(close), expected.buy_hold(close))
        if len(close) == len(high) == len(low):
            assert torch.equal(
                old.module.all_signals_strategy(close, high, low, is_crypto=crypto),
                expected.all_signals(close, high, low, crypto),
            )
        actual = pd.Series(rng.choice([-0.01, 0.0, 0.01], len(close)))
        assert torch.equal(
            old.module.unprofit_shutdown_buy_hold(close, actual, is_crypto=crypto),
            expected.unprofit_shutdown(close, actual, crypto),
        )
        band = torch.tensor(rng.choice([-0.02, 0.0, 0.005, 0.02], len(close))).float()
        for multiplier in (0.5, 1.0, 2.0):
            got = old.module.confidence_guard_strategy(
                close, band, ci_multiplier=multiplier, is_crypto=crypto
            )
            assert torch.equal(got, expected.confidence_guard(close, band, multiplier, crypto))


def test_signals_take_arrays_and_lists(old: Old) -> None:
    for value in ([0.1, -0.2, 0.0], np.array([0.1, -0.2, 0.0], dtype=np.float32)):
        assert old.module.simple_buy_sell_strategy(value).tolist() == [1.0, -1.0, -1.0]
        assert old.module.buy_hold_strategy(value).tolist() == [1.0, 0.0, 0.0]
        assert old.module.all_signals_strategy(value, value, value).tolist() == [1.0, -1.0, 0.0]


def check_evaluation(got: Any, value: expected.Evaluation) -> None:
    """Totals, means and ratios to the last digit, and the returns with their index."""
    for name in value._fields[:4]:
        assert same(getattr(got, name), getattr(value, name)), (name, got, value)
    if isinstance(value.returns, pd.Series):
        pd.testing.assert_series_equal(got.returns, value.returns, check_exact=True)
    else:
        assert got.returns.dtype == value.returns.dtype
        np.testing.assert_array_equal(got.returns, value.returns)


@pytest.mark.parametrize("spread", [1.0, 1.0008711461252937, 1.05])
def test_evaluate_strategy(old: Old, spread: float) -> None:
    old.patch.setattr(old.module, "SPREAD", spread)
    rng = np.random.default_rng(9)
    for days, held in itertools.product((0, 1, 2, 6, 30), (0, 1, 2, 6, 30)):
        for choices in ([1.0], [0.0], [-1.0, 1.0], [-1.0, 0.0, 1.0]):
            signals = torch.tensor(rng.choice(choices, held)).float()
            actual = pd.Series(rng.normal(0.0, 0.02, days))
            got = old.module.evaluate_strategy(signals, actual, 0.0015, 252)
            value = expected.follow_signals(signals, actual, fee=0.0015, periods=252, spread=spread)
            check_evaluation(got, value)


def test_evaluate_daily_returns(old: Old) -> None:
    rng = np.random.default_rng(10)
    cases = [rng.normal(0.0, 0.01, 20), np.zeros(5), np.array([]), np.full(3, 0.25)]
    cases += [np.array([0.01, np.nan, 0.03])]
    for returns, periods in itertools.product(cases, (252, 365, 0)):
        with np.errstate(all="ignore"):
            value = expected.sum_of_returns(returns, periods)
        check_evaluation(old.module._evaluate_daily_returns(returns, periods), value)
    series = pd.Series(cases[0])
    check_evaluation(
        old.module._evaluate_daily_returns(series, 252), expected.sum_of_returns(cases[0], 252)
    )


@pytest.mark.parametrize("kind", [0, 1, 2, 5, 6])
def test_evaluate_entry_takeprofit_and_highlow(old: Old, kind: int) -> None:
    for seed, crypto in itertools.product(range(10), (False, True)):
        days, position = problem(kind, 6, seed)
        close_pred = position * torch.tensor([0.01, 0.0, 0.02, 0.01, 0.0, 0.03])
        values = [close_pred, days.high_pred, days.low_pred, days.close, days.high, days.low]
        options = {"fee": 0.0015, "periods": 365}
        value = expected.highlow(*(v.clone() for v in values), crypto=crypto, **options)
        got = old.module.evaluate_highlow_strategy(
            *(v.clone() for v in values), 0.0015, is_crypto=crypto, trading_days_per_year=365
        )
        check_evaluation(got, value)
        value = expected.entry_takeprofit(*(v.clone() for v in values), **options)
        got = old.module.evaluate_entry_takeprofit_strategy(
            *(v.clone() for v in values), 0.0015, 365
        )
        check_evaluation(got, value)


def test_evaluate_entry_takeprofit_of_unequal_lengths(old: Old) -> None:
    days, position = problem(0, 6)
    values = [position, days.high_pred, days.low_pred, days.close[:4], days.high, days.low]
    value = expected.entry_takeprofit(*(v.clone() for v in values), fee=0.0005, periods=252)
    got = old.module.evaluate_entry_takeprofit_strategy(*(v.clone() for v in values), 0.0005, 252)
    assert len(got.returns) == 4
    check_evaluation(got, value)
    nothing = [v[:0] for v in values]
    for evaluate in (
        old.module.evaluate_entry_takeprofit_strategy,
        old.module.evaluate_highlow_strategy,
    ):
        check_evaluation(evaluate(*nothing, 0.0005, trading_days_per_year=252), expected.EMPTY)


def prepared(data: pd.DataFrame, family: str) -> dict[str, Any]:
    """What a simulation hands to the entry and exit strategies."""
    setting = Setting(Forecaster(data, family))
    preds: dict[str, Any] = {}
    for key in ("Close", "High", "Low"):
        y, name = targets(data.iloc[:-1], key), key.lower()
        predicted, _ = forecasts(y, setting)
        preds[f"{name}_predictions"] = predicted[:-1]
        preds[f"{name}_actual_movement_values"] = torch.tensor(y[-7:-1], dtype=torch.float32)
        preds[f"{name}_predicted_price_value"] = float(data[key].iloc[-2])
    return preds


@pytest.mark.parametrize("close_at_eod", [None, False, True])
@pytest.mark.parametrize("crypto", [False, True])
@pytest.mark.parametrize("family", ["noise", "inverted", "ticks"])
def test_evaluate_maxdiff(old: Old, family: str, crypto: bool, close_at_eod: bool | None) -> None:
    data = daily(60, 61)
    preds = prepared(data, family)
    policies = (False, True) if close_at_eod is None else (close_at_eod,)
    given = {"trading_fee": 0.0015, "trading_days_per_year": 365, "is_crypto": crypto}
    options = {"fee": 0.0015, "periods": 365, "crypto": crypto, "policies": policies}
    for skip in (True, False):
        got, returns, tells = old.module.evaluate_maxdiff_strategy(
            dict(preds), data.iloc[:-1], **given, skip_invalid_forecasts=skip,
            close_at_eod=close_at_eod,
        )  # fmt: skip
        start = "maxdiffprofit_profit_"
        reported = Choice(
            tells[start + "high_multiplier"],
            tells[start + "low_multiplier"],
            tells["maxdiff_close_at_eod"],
        )
        value, metadata = expected.maxdiff(
            preds, data.iloc[:-1], reported, **options, skip_invalid=skip
        )
        check_evaluation(got, value)
        np.testing.assert_array_equal(returns, value.returns)
        assert_same(tells, metadata)
    got, returns, tells = old.module.evaluate_maxdiff_always_on_strategy(
        dict(preds), data.iloc[:-1], **given, close_at_eod=close_at_eod
    )
    start = "maxdiffalwayson_"
    reported = Choice(
        tells[start + "high_multiplier"],
        tells[start + "low_multiplier"],
        tells[start + "close_at_eod"],
    )
    value, metadata = expected.always_on(preds, data.iloc[:-1], reported, **options)
    check_evaluation(got, value)
    np.testing.assert_array_equal(returns, value.returns)
    assert_same(tells, metadata)


def test_evaluate_maxdiff_takes_arrays_and_answers_nothing_without_days(old: Old) -> None:
    data = daily(60, 62)
    preds = prepared(data, "noise")
    arrays = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in preds.items()}
    given = {"trading_fee": 0.0005, "trading_days_per_year": 252}
    for evaluate in (
        old.module.evaluate_maxdiff_strategy,
        old.module.evaluate_maxdiff_always_on_strategy,
    ):
        one, other = (evaluate(dict(of), data.iloc[:-1], **given) for of in (preds, arrays))
        assert_same(one[2], other[2])
        for few in ({}, {"close_actual_movement_values": torch.tensor([])}):
            got, returns, tells = evaluate(dict(few), data.iloc[:-1], **given)
            check_evaluation(got, expected.EMPTY)
            assert len(returns) == 0
            assert tells[next(name for name in tells if name.endswith("profit"))] == 0.0
        got, _, _ = evaluate(dict(preds), data.iloc[:7], **given)  # fewer rows than days and two
        check_evaluation(got, expected.EMPTY)


@pytest.mark.parametrize("kind", [0, 1, 2, 5, 6])
def test_optimisers(kind: int) -> None:
    """The pair is a best one, the profit is the formula's at that pair, and all are floats."""
    from marketsim.legacy import optimization_utils as optimization

    for seed, close_at_eod in itertools.product(range(3), (False, True)):
        days, position = problem(kind, 6, seed)
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
    from marketsim.legacy import optimization_utils as optimization
    from scipy.optimize import direct

    for seed in range(2):
        days, position = problem(0, 6, seed)
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
    from marketsim.legacy import optimization_utils as optimization

    days, position = problem(0, 6)
    given = (days.close, position, days.high, days.high_pred, days.low, days.low_pred)
    exact = optimization.optimize_entry_exit_multipliers(*given, trading_fee=0.0005)
    monkeypatch.setenv("MARKETSIM_USE_DIRECT_OPTIMIZER", "0")
    options = {"trading_fee": 0.0005, "maxiter": 5, "popsize": 4}
    one = optimization.optimize_entry_exit_multipliers(*given, **options, seed=3)
    again = optimization.optimize_entry_exit_multipliers(*given, **options, seed=3)
    assert one == again
    assert exact[2] >= one[2] - 1e-8
    assert [type(value) for value in one] == [float, float, float]


def test_calibrate_signal(old: Old) -> None:
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=8).astype(np.float32), rng.normal(size=8)
    slope, intercept = old.module.calibrate_signal(x, y)
    assert (slope, intercept) == tuple(float(v) for v in np.polyfit(x, y, 1))
    for count in (0, 1):
        assert old.module.calibrate_signal(x[:count], y) == (1.0, 0.0)
    assert old.module.calibrate_signal(x, y[:5]) == old.module.calibrate_signal(x[:5], y[:5])


def test_compute_walk_forward_stats(old: Old) -> None:
    assert old.module.compute_walk_forward_stats(pd.DataFrame()) == {}
    rng = np.random.default_rng(13)
    names = ["simple_strategy_sharpe", "simple_strategy_return", "highlow_sharpe"]
    names += ["entry_takeprofit_sharpe", "maxdiff_sharpe", "maxdiffalwayson_sharpe"]
    rows = pd.DataFrame(rng.normal(size=(7, 6)), columns=names)
    from legacy_frames import walk_forward

    assert_same(old.module.compute_walk_forward_stats(rows), walk_forward(rows))
    few = old.module.compute_walk_forward_stats(rows[names[:2]])
    assert set(few) == {"walk_forward_oos_sharpe", "walk_forward_turnover"}


def test_compute_toto_forecast(old: Old) -> None:
    data = daily(40, 63)
    forecaster = Forecaster(data, "noise")
    old.patch.setattr(old.module, "cached_predict", forecaster.cached_predict)
    y = targets(data, "Close")
    for count in (39, 20, 8, 7, 3, 2, 1, 0):
        value, bands = forecasts(y[:count], Setting(forecaster))
        params = {"num_samples": 256, "samples_per_batch": 64, "aggregate": "trimmed_mean_10"}
        frame = pd.DataFrame({"y": y[:count]})
        got, got_bands, price = old.module._compute_toto_forecast(
            "TEST", "Close", frame, 50.0, params
        )
        assert torch.equal(got, value)
        assert torch.equal(got_bands, bands)
        assert price == 50.0 * (1.0 + value[-1].item())


def test_constants() -> None:
    from marketsim.legacy import backtest_test3_inline, loss_utils

    assert (loss_utils.TRADING_FEE, loss_utils.CRYPTO_TRADING_FEE) == (0.0005, 0.0015)
    assert backtest_test3_inline.SPREAD == 1.0008711461252937
    evaluation = backtest_test3_inline.StrategyEvaluation(1.0, 2.0, 3.0, 4.0, np.zeros(1))
    with pytest.raises(AttributeError):
        evaluation.total_return = 2.0
