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
from legacy_golden import BANDS, Old, assert_same, same  # noqa: E402
from legacy_market import AWKWARD, daily  # noqa: E402
from legacy_profit import Choice, awkward_problem  # noqa: E402
from legacy_transcription import KEYS, Setting, changes, forecasts, targets  # noqa: E402


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    return Old(monkeypatch, tmp_path)


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
        days, position = awkward_problem(kind, 6, seed)
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
    days, position = awkward_problem(0, 6)
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
        torch.testing.assert_close(got_bands, bands, rtol=BANDS, atol=0.0)
        assert price == 50.0 * (1.0 + value[-1].item())


def test_constants() -> None:
    from marketsim.legacy.stock import backtest_test3_inline, loss_utils

    assert (loss_utils.TRADING_FEE, loss_utils.CRYPTO_TRADING_FEE) == (0.0005, 0.0015)
    assert backtest_test3_inline.SPREAD == 1.0008711461252937
    evaluation = backtest_test3_inline.StrategyEvaluation(1.0, 2.0, 3.0, 4.0, np.zeros(1))
    with pytest.raises(AttributeError):
        evaluation.total_return = 2.0
