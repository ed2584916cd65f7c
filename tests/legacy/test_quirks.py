"""Each quirk has a switch, and each switch does what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from legacy_forecasts import Forecaster  # noqa: E402
from legacy_market import daily  # noqa: E402

from marketsim.legacy.stock import backtest_test3_inline as old  # noqa: E402
from marketsim.legacy.stock import outcomes  # noqa: E402
from marketsim.legacy.stock.evaluation import SPREAD, score_signals  # noqa: E402
from marketsim.legacy.stock.quirks import FIXED, LEGACY, Quirks, active_quirks, using  # noqa: E402

ROWS = 40
DATA = daily(ROWS, 7)
FEE = 0.0005


@pytest.fixture(autouse=True)
def forecaster(monkeypatch: pytest.MonkeyPatch) -> Forecaster:
    made = Forecaster(DATA, "noise")
    monkeypatch.setattr(old, "cached_predict", made.cached_predict)
    monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: DATA.copy())
    return made


def simulate(quirks: Quirks = LEGACY, data: pd.DataFrame = DATA, **options: Any) -> dict[str, Any]:
    with using(quirks):
        return old.run_single_simulation(data, "AAPL", FEE, False, 0, 1.001, **options)


def without(*names: str) -> Quirks:
    return replace(LEGACY, **dict.fromkeys(names, False))


def simple_return(signals: np.ndarray, returns: np.ndarray) -> float:
    held, over = signals.astype(np.float64)[None, None], returns[None]
    return float(score_signals(held, over, FEE, SPREAD, 252)[0].total[0])


def close_returns(first: int, last: int) -> np.ndarray:
    """Returns of the days first .. last of the close, counted from the end: -1 is the last."""
    close = DATA["Close"].to_numpy()
    returns = close[1:] / close[:-1] - 1
    return returns[len(returns) + first : len(returns) + last + 1]


def test_the_variable_turns_all_of_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert active_quirks() == LEGACY
    assert all(getattr(LEGACY, field.name) for field in fields(Quirks))
    monkeypatch.setenv("MARKETSIM_LEGACY_QUIRKS", "fixed")
    assert active_quirks() == FIXED
    assert not any(getattr(FIXED, field.name) for field in fields(Quirks))
    with using(LEGACY):
        assert active_quirks() == LEGACY
    assert active_quirks() == FIXED


def test_every_switch_is_documented() -> None:
    for field in fields(Quirks):
        assert f"        {field.name}: " in (Quirks.__doc__ or "")


@pytest.mark.parametrize("quirks", [LEGACY, without("late_returns"), without("stale_forecasts")])
def test_which_days_signals_are_held_over(quirks: Quirks) -> None:
    result = simulate(quirks)
    forecasts = result["last_preds"]["close_predictions"].numpy()
    signals = np.where(forecasts > 0, 1.0, -1.0)
    days = (-7, -2) if quirks == without("late_returns") else (-6, -1)
    expected = simple_return(signals, close_returns(*days))
    assert result["simple_strategy_return"] == pytest.approx(expected, rel=1e-12)
    actual = result["last_preds"]["close_actual_movement_values"].numpy()
    # The forecasts' own days: what came on them is what they are compared with.
    own = close_returns(-7, -2) if quirks.stale_forecasts else close_returns(-6, -1)
    with using(without("fees_kept_in_forecasts")):
        kept = simulate(replace(quirks, fees_kept_in_forecasts=False))["last_preds"]
    np.testing.assert_allclose(kept["close_actual_movement_values"].numpy(), own, rtol=1e-5)
    assert len(actual) == 6


def test_the_last_forecast_is_of_the_next_day(forecaster: Forecaster) -> None:
    seen: list[int] = []

    def noting(context: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append(len(context))
        return forecaster.cached_predict(context, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old, "cached_predict", noting)
        stale = simulate()
        assert sorted(set(seen)) == list(range(ROWS - 8, ROWS - 1))
        seen.clear()
        fixed = simulate(without("stale_forecasts"))
        assert sorted(set(seen)) == list(range(ROWS - 7, ROWS))
    last = float(DATA["Close"].iloc[-1])
    for result in (stale, fixed):
        move = result["last_preds"]["close_predicted_price"]
        assert result["predicted_close"] == last * (1.0 + move)
    one, other = (r["last_preds"]["close_predictions"].numpy() for r in (stale, fixed))
    np.testing.assert_array_equal(one[1:], other[:-1])


def test_the_newest_row() -> None:
    assert old.backtest_forecasts("AAPL", 3)["date"].tolist() == list(DATA.index[[-2, -3, -4]])
    with using(without("newest_row_dropped")):
        assert old.backtest_forecasts("AAPL", 3)["date"].tolist() == list(DATA.index[[-1, -2, -3]])


def test_what_is_fitted_is_not_reported() -> None:
    both, honest = simulate(), simulate(without("fitted_in_sample"))
    for name in ("maxdiffprofit", "maxdiffalwayson"):
        preds = honest["last_preds"]
        assert preds[f"{name}_profit"] == preds[f"{name}_baseline_return"]
        assert preds[f"{name}_optimized_return"] == both["last_preds"][f"{name}_optimized_return"]
        blended = both["last_preds"]
        assert blended[f"{name}_profit"] == (
            blended[f"{name}_baseline_return"] + 0.3 * blended[f"{name}_optimized_return"]
        )
    assert sum(honest["maxdiffprofit_profit_values"]) == pytest.approx(honest["maxdiff_return"])


def test_levels_are_converted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """With forecasts that are right, the forecast high is the day's own, to the last digit."""

    kept: list[Any] = []
    made = outcomes.maxdiff

    def noting(moves: Any, *args: Any, **options: Any) -> Any:
        kept.append(moves)
        return made(moves, *args, **options)

    monkeypatch.setattr(outcomes, "maxdiff", noting)
    simulate(without("previous_bar_levels"))
    high, close = DATA["High"].to_numpy(), DATA["Close"].to_numpy()
    expected = (high[1:] / close[:-1] - 1)[-7:-1]
    np.testing.assert_allclose(kept[0].high[0], expected, rtol=1e-5, atol=1e-7)
    simulate()
    assert not np.allclose(kept[1].high[0], expected, rtol=1e-5, atol=1e-7)


def test_the_order_within_a_day() -> None:
    favourable, careful = simulate(), simulate(without("favourable_order"))
    for name in ("maxdiffprofit", "maxdiffalwayson"):
        baseline = f"{name}_baseline_return"
        optimised = f"{name}_optimized_return"
        assert careful["last_preds"][optimised] <= favourable["last_preds"][optimised] + 1e-12
        assert careful["last_preds"][baseline] <= favourable["last_preds"][baseline] + 1e-12


def test_fees_stay_out_of_forecasts() -> None:
    kept, clean = simulate(), simulate(without("fees_kept_in_forecasts"))
    assert kept["entry_takeprofit_return"] == clean["entry_takeprofit_return"]
    forecasts = clean["last_preds"]["high_predictions"], kept["last_preds"]["high_predictions"]
    closes = (r["last_preds"]["close_actual_movement_values"] for r in (clean, kept))
    assert not torch.equal(*forecasts) or not torch.equal(*closes)


def test_profits_run_forward_and_are_always_forecast(forecaster: Forecaster) -> None:
    asked: list[torch.Tensor] = []

    def noting(context: torch.Tensor, *args: Any, symbol: str, **options: Any) -> Any:
        if symbol.endswith("_pnl_forecast"):
            asked.append(context)
        return forecaster.cached_predict(context, *args, symbol=symbol, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old, "cached_predict", noting)
        frame = old.backtest_forecasts("AAPL", 8)
        newest_first = list(asked)
        asked.clear()
        with using(without("pnl_newest_first")):
            old.backtest_forecasts("AAPL", 8)
    means = [frame[f"{name}_avg_daily_return"].mean() for name in ("highlow", "maxdiff")]
    assert len(asked) == 8
    assert len(newest_first) < 8 or min(means) >= 0
    backwards = [tuple(context.flip(0).tolist()) for context in asked]
    assert all(tuple(context.tolist()) in backwards for context in newest_first)


def test_the_fall_back_spread() -> None:
    from marketsim.legacy.stock.data_source import fetch_spread

    assert fetch_spread("NOBODY") == 1.05
    with using(without("wide_fallback_spread")):
        assert fetch_spread("NOBODY") == SPREAD


class Bars:
    """A wrapper of Kronos that notes what it is given, and forecasts the last move again."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def predict_series_batch(self, *, data_frames: list[pd.DataFrame], **options: Any) -> Any:
        self.ends += [frame["timestamp"].iloc[-1] for frame in data_frames]
        made = type("Made", (), {"percent": np.full(7, 0.01), "absolute": np.arange(7.0)})
        return [dict.fromkeys(options["columns"], made) for _ in data_frames]


@pytest.mark.parametrize(
    ("quirks", "end"),
    [
        (LEGACY, -1),
        (without("kronos_of_other_days"), -8),
        (without("kronos_of_other_days", "stale_forecasts"), -7),
    ],
)
def test_which_days_kronos_forecasts(
    monkeypatch: pytest.MonkeyPatch, quirks: Quirks, end: int
) -> None:
    wrapper = Bars()
    monkeypatch.setenv("MARKETSIM_FORCE_KRONOS", "1")
    monkeypatch.setattr(old, "load_kronos_wrapper", lambda params: wrapper)
    result = simulate(quirks)
    assert wrapper.ends == [DATA.index[end]]  # one call for the four prices
    assert result["close_prediction_source"] == "kronos"
    assert result["predicted_close"] == 6.0
    assert result["kronos_expected_move_pct"] == pytest.approx(0.01)
    assert result["toto_expected_move_pct"] == 0.0


def test_kronos_beside_toto_may_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(params: Any) -> Any:
        raise RuntimeError("no weights")

    expected = simulate()
    monkeypatch.setattr(old, "load_kronos_wrapper", broken)
    assert simulate()["maxdiff_return"] == expected["maxdiff_return"]
    assert "no weights" in caplog.text
    monkeypatch.setenv("MARKETSIM_FORCE_KRONOS", "1")
    with pytest.raises(RuntimeError, match="no weights"):
        simulate()


@pytest.mark.parametrize("make", [simulate])
def test_a_horizon_of_one_has_the_forecast_and_no_validation(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., dict[str, Any]]
) -> None:
    monkeypatch.setenv("MARKETSIM_MAX_HORIZON", "1")
    for quirks in (LEGACY, FIXED):
        result = make(quirks)
        preds = result["last_preds"]
        assert preds["close_predictions"].shape == (0,)
        assert preds["close_ci_band"].shape == (1,)
        assert result["predicted_close"] != result["close"]
        assert result["maxdiff_return"] == result["simple_strategy_return"] == 0.0
        assert result["buy_hold_return"] == -FEE
        assert np.isnan(result["close_val_loss"])
        assert type(result["close_val_loss"]) is float
        assert type(result["last_preds"]["close_val_loss"]) is np.float64
