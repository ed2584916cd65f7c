"""What a program assigns to the old modules is used, refused with a reason, or named in the log."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from legacy_market import daily  # noqa: E402

from marketsim.errors import LegacyReplacementError  # noqa: E402
from marketsim.legacy.stock import (  # noqa: E402
    assignments,
    disk_cache,
    kronos_wrapper,
    loss_utils,
    optimization_utils,
    prediction_cache,
    toto_aggregation,
    toto_wrapper,
)
from marketsim.legacy.stock import backtest_test3_inline as old  # noqa: E402

DATA = daily(60, 5)


@pytest.fixture(autouse=True)
def market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("TESTING", "1")
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: DATA.copy())
    monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)
    monkeypatch.setattr(assignments, "_said", set())


def test_figures_of_a_simulations_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "_compute_atr_pct", lambda data: float(len(data)), raising=False)
    monkeypatch.setattr(old, "_compute_avg_dollar_volume", lambda data: None, raising=False)
    plain = old.backtest_forecasts("AAPL", 2)
    assert plain["atr_pct_14"].tolist() == [59.0, 58.0]
    assert plain["last_preds"][0]["atr_pct_14"] == 59.0
    assert (plain["dollar_vol_20d"] > 0).all()  # None leaves ours
    assert old.run_single_simulation(DATA, "AAPL", 0.0005, False, 0, 1.0)["atr_pct_14"] == 60.0


def test_forecasts_of_profits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[float]] = {}

    def own(values: pd.Series, symbol: str) -> float:
        seen[symbol] = values.tolist()
        return 0.25

    monkeypatch.setattr(old, "_forecast_pnl_with_toto", own, raising=False)
    frame = old.backtest_forecasts("AAPL", 3)
    assert (frame.filter(like="_forecasted_pnl") == 0.25).all(axis=None) and len(seen) == 8
    name = "AAPL_maxdiff_avg_daily_return"
    assert seen[name] == frame["maxdiff_avg_daily_return"].tolist()


def test_what_is_called_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    for name in ("set_strategy_for_symbol", "_log_strategy_summary", "_log_validation_losses"):
        noted = lambda *given, _name=name: calls.append((_name, *given))  # noqa: E731
        monkeypatch.setattr(old, name, noted, raising=False)
    frame = old.backtest_forecasts("AAPL", 2)
    assert [call[0] for call in calls] == [
        "_log_validation_losses", "_log_strategy_summary", "set_strategy_for_symbol",
    ]  # fmt: skip
    assert calls[0][1] is frame or calls[0][1].equals(frame)
    means = {
        "highlow": frame["highlow_return"].mean(),
        "takeprofit": frame["entry_takeprofit_return"].mean(),
        "maxdiff": frame["maxdiff_return"].mean(),
        "all_signals": frame["all_signals_strategy_return"].mean(),
        "simple": frame["simple_strategy_return"].mean(),
    }
    assert calls[1][2:] == ("AAPL", 2) and calls[2][1] == "AAPL"
    assert means[calls[2][2]] == max(means.values())


@pytest.mark.parametrize(
    "name", ["series_to_tensor", "validate_forecast_order", "_evaluate_daily_returns"]
)
def test_what_changed_results_and_cannot_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old, name, lambda *_: None)
    with pytest.raises(LegacyReplacementError, match=f"{name} was replaced"):
        old.backtest_forecasts("AAPL", 2)


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        (optimization_utils, "optimize_entry_exit_multipliers", "assign the name there"),
        (optimization_utils, "ENTRY_EXIT_OPTIMIZER_BACKEND", "nothing"),
        (loss_utils, "DEVICE", "nothing"),
        (loss_utils, "_cached", "nothing"),
        (toto_wrapper, "TotoPipeline", "assign the name there"),
        (kronos_wrapper, "KronosForecastingWrapper", "assign the name there"),
        (toto_aggregation, "aggregate_with_spec", "assign the name there"),
        (prediction_cache, "_global_cache", "nothing"),
        (disk_cache, "CACHE", "nothing"),
        (old, "_clamp_toto_params", "nothing"),
    ],
)
def test_what_nothing_reads_is_named_once(
    module: ModuleType,
    name: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            monkeypatch.setattr(module, name, getattr(module, name, None), raising=False)
    (line,) = (r.getMessage() for r in caplog.records if r.name == assignments.__name__)
    assert f".{name} was assigned" in line and text in line


def test_what_is_read_is_not_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        monkeypatch.setattr(loss_utils, "TRADING_FEE", 0.002)
        for name in ("_USE_DIRECT", "_FAST_MODE", "direct"):
            monkeypatch.setattr(optimization_utils, name, None, raising=False)
        for name in ("Toto", "TotoForecaster", "MaskedTimeseries"):
            monkeypatch.setattr(toto_wrapper, name, None, raising=False)
    assert not [r for r in caplog.records if r.name == assignments.__name__]


def test_a_reload_forgets_what_was_assigned() -> None:
    before = dict(vars(old)), dict(vars(optimization_utils))
    try:
        old.pipeline = object()  # type: ignore[attr-defined]
        old.TOTO_MODEL_ID = "persistence"  # type: ignore[attr-defined]
        old.simple_buy_sell_strategy = None  # type: ignore[assignment]
        optimization_utils._USE_DIRECT = False  # type: ignore[attr-defined]
        assert importlib.reload(old) is old
        assert importlib.reload(optimization_utils) is optimization_utils
        assert "pipeline" not in vars(old) and old.TOTO_MODEL_ID == "ewma"
        assert old.simple_buy_sell_strategy is not None
        assert optimization_utils._USE_DIRECT is True
        assert optimization_utils._optimizer() == "exact"
    finally:
        for module, names in zip((old, optimization_utils), before, strict=True):
            vars(module).update(names)
