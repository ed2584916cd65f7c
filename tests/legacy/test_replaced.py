"""What a program puts in the place of the old module's functions is used, or refused."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from legacy_market import daily  # noqa: E402

from marketsim.errors import ArgumentError, LegacyReplacementError  # noqa: E402
from marketsim.legacy.stock import backtest_test3_inline as old  # noqa: E402
from marketsim.legacy.stock import optimization_utils, settings  # noqa: E402
from marketsim.legacy.stock.quirks import LEGACY, using  # noqa: E402

DATA = daily(60, 5)


@pytest.fixture(autouse=True)
def market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("TESTING", "1")
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: DATA.copy())
    monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)


class Forecast:
    def __init__(self, value: float, count: int) -> None:
        self._samples = np.full(count, value, np.float32)

    def numpy(self) -> Any:
        return self._samples


class Pipeline:
    """A pipeline of the program's own."""

    def __init__(self, value: float = 0.05) -> None:
        self.value, self.calls = value, 0

    def predict(self, context: Any, prediction_length: int, num_samples: int, **_: Any) -> Any:
        self.calls += 1
        return [Forecast(self.value, num_samples)]


def assert_forecasts(pipeline: Pipeline, frame: pd.DataFrame) -> None:
    assert pipeline.calls > 0
    assert (frame["toto_expected_move_pct"] == np.float32(pipeline.value)).all()


def test_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Pipeline()
    monkeypatch.setattr(old, "pipeline", own, raising=False)
    assert_forecasts(own, old.backtest_forecasts("AAPL", 2))


def test_what_loads_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Pipeline()
    monkeypatch.setattr(old, "load_toto_pipeline", lambda: own)
    assert_forecasts(own, old.backtest_forecasts("AAPL", 2))


@pytest.mark.parametrize("whole_class", [False, True])
def test_what_makes_a_pipeline(monkeypatch: pytest.MonkeyPatch, whole_class: bool) -> None:
    own = Pipeline()
    if whole_class:
        made = type("Own", (), {"from_pretrained": staticmethod(lambda **_: own)})
        monkeypatch.setattr(old, "TotoPipeline", made)
    else:
        monkeypatch.setattr(old.TotoPipeline, "from_pretrained", lambda **_: own)
    assert_forecasts(own, old.backtest_forecasts("AAPL", 2))
    old._reset_model_caches()


def test_what_forecasts_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []

    def forecast(symbol: str, key: str, frame: Any, last: float, params: Any) -> Any:
        frames.append((key, len(frame), last))
        return torch.full((7,), 0.02), torch.zeros(7), last * 1.02

    monkeypatch.setattr(old, "_compute_toto_forecast", forecast)
    result = old.backtest_forecasts("AAPL", 1)
    assert result["toto_expected_move_pct"].iloc[0] == np.float32(0.02)
    assert {key for key, _, _ in frames} == {"Close", "Low", "High", "Open"}
    assert frames[0][1] == 58 and frames[0][2] == DATA["Close"].iloc[-2]
    monkeypatch.setattr(old, "_compute_toto_forecast", lambda *_: ([0.0], [0.0], 1.0))
    with pytest.raises(ArgumentError, match="must give 7 forecasts"):
        old.backtest_forecasts("AAPL", 1)


def test_point_forecasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "aggregate_with_spec", lambda samples, spec: np.array([0.125]))
    assert old.backtest_forecasts("AAPL", 1)["raw_expected_move_pct"].iloc[0] == 0.125


def test_crypto_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = old.backtest_forecasts("SOLUSD", 1).iloc[0]
    monkeypatch.setattr(old, "crypto_symbols", ["SOLUSD"])
    assert old.resolve_close_policy("SOLUSD") == "INSTANT_CLOSE"
    crypto = old.backtest_forecasts("SOLUSD", 1).iloc[0]
    assert crypto["maxdiffalwayson_sell_contribution"] == 0.0
    assert stock["maxdiffalwayson_sell_contribution"] != 0.0
    monkeypatch.undo()


def test_crypto_symbols_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    fixtures = ModuleType("src.fixtures")
    fixtures.crypto_symbols = ["SOLUSD"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "src", ModuleType("src"))
    monkeypatch.setitem(sys.modules, "src.fixtures", fixtures)
    assert old.resolve_close_policy("SOLUSD") == "INSTANT_CLOSE"
    assert old.resolve_close_policy("BTCUSD") == "KEEP_OPEN"


def test_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    record = type("Record", (), {"config": {"num_samples": 300, "aggregate": "median"}})
    monkeypatch.setattr(old, "load_best_config", lambda model, symbol: record)
    assert old.resolve_toto_params("AAPL")["num_samples"] == 300
    monkeypatch.setattr(old, "load_close_policy", lambda symbol: "INSTANT_CLOSE")
    assert old.resolve_close_policy("AAPL") == "INSTANT_CLOSE"
    monkeypatch.delenv("TESTING")
    monkeypatch.setattr(old, "load_model_selection", lambda symbol: {"model": "kronos"})
    assert old.resolve_best_model("AAPL") == "kronos"


def test_own_loaders_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    record = type("Record", (), {"config": {"num_samples": 300}})
    monkeypatch.delenv("TESTING")
    monkeypatch.setattr(old, "load_best_config", lambda *of: asked.append(of) or record)
    monkeypatch.setattr(old, "load_model_selection", lambda *of: asked.append(of))
    for _ in range(2):
        assert old.resolve_toto_params("AAPL")["num_samples"] == 300
        old.resolve_kronos_params("AAPL")
        assert old.resolve_best_model("AAPL") == "toto"
    assert asked == [("toto", "AAPL"), ("kronos", "AAPL"), ("AAPL",)]
    old._reset_model_caches()
    old.resolve_toto_params("AAPL")
    assert len(asked) == 4


def test_toto_makes_room_for_kronos(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Wrapper:
        def __init__(self, **_: Any) -> None:
            made.append(old.pipeline)
            if len(made) == 1:
                raise RuntimeError("CUDA out of memory")

    own = Pipeline()
    monkeypatch.setattr(old, "KronosForecastingWrapper", Wrapper)
    monkeypatch.setattr(old, "pipeline", own, raising=False)
    try:
        wrapper = old.load_kronos_wrapper(old.resolve_kronos_params("AAPL"))
        assert isinstance(wrapper, Wrapper) and made == [own, None]
        monkeypatch.setattr(Wrapper, "__init__", lambda self, **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            old.load_kronos_wrapper({**old.resolve_kronos_params("AAPL"), "top_k": 7})
    finally:
        old._reset_model_caches()


def test_prices_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    from marketsim.legacy.stock import data_source

    own = ModuleType("data_curate_daily")
    own.download_daily_stock_data = lambda path, symbols: DATA.copy()  # type: ignore[attr-defined]
    own.fetch_spread = lambda symbol: 1.0625  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "data_curate_daily", own)
    monkeypatch.setattr(old, "download_daily_stock_data", data_source.download_daily_stock_data)
    monkeypatch.setattr(old, "fetch_spread", data_source.fetch_spread)
    monkeypatch.setattr(data_source, "_data", None)  # no source that another test has set
    frame = old.backtest_forecasts("AAPL", 1)
    assert frame["spread_bps_estimate"].iloc[0] == pytest.approx(625.0)


# Every function that is called for each simulation: itself, and how it can be told that it was.
@pytest.mark.parametrize(
    "name",
    [
        "simple_buy_sell_strategy",
        "all_signals_strategy",
        "buy_hold_strategy",
        "unprofit_shutdown_buy_hold",
        "evaluate_strategy",
        "evaluate_entry_takeprofit_strategy",
        "evaluate_highlow_strategy",
        "evaluate_maxdiff_strategy",
        "evaluate_maxdiff_always_on_strategy",
        "calibrate_signal",
        "optimize_entry_exit_multipliers",
        "optimize_always_on_multipliers",
        "compute_walk_forward_stats",
        "run_single_simulation",
    ],
)
def test_a_wrapper_changes_nothing_and_is_called(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Our own function called through one of the program's gives what it gave before."""
    # Fees that are kept in forecasts would be kept again by a second call.
    with using(replace(LEGACY, fees_kept_in_forecasts=False)):
        before = old.backtest_forecasts("AAPL", 3)
        function, calls = getattr(old, name), []

        def wrapper(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*args, **options)

        monkeypatch.setattr(old, name, wrapper)
        after = old.backtest_forecasts("AAPL", 3)
    assert calls
    columns = [column for column in before if column != "last_preds"]
    pd.testing.assert_frame_equal(after[columns], before[columns], rtol=1e-12)


def test_a_strategy_of_the_program_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        old, "simple_buy_sell_strategy", lambda preds, is_crypto: torch.zeros(len(preds))
    )
    monkeypatch.setattr(old, "calibrate_signal", lambda *_: (2.0, 0.5))
    row = old.backtest_forecasts("AAPL", 1).iloc[0]
    assert row["simple_strategy_return"] == 0.0
    assert row["calibrated_expected_move_pct"] == 2.0 * row["raw_expected_move_pct"] + 0.5


def test_what_is_called_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(
        old, "evaluate_and_save_close_policy", lambda *a, **k: called.append((a, k))
    )
    old.backtest_forecasts("AAPL", 1)
    assert called == [(("AAPL",), {"num_comparisons": 10})]


def test_close_policies_are_compared_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: daily(130, 5))
    before = old.SPREAD
    old.evaluate_and_save_close_policy("AAPL", 2)
    assert old.SPREAD == before != old.fetch_spread("AAPL")
    kept = old.load_close_policy("AAPL")
    assert kept in ("INSTANT_CLOSE", "KEEP_OPEN") and old.resolve_close_policy("AAPL") == kept


@pytest.mark.parametrize("name", old.REFUSED)
def test_what_cannot_be_replaced_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(old, name, lambda *_, **__: None)
    with pytest.raises(LegacyReplacementError, match=name):
        old.backtest_forecasts("AAPL", 1)


def test_own_objectives_of_the_optimiser_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "calculate_trading_profit_torch_with_entry_buysell"
    rows = [torch.zeros(3)] * 6
    with monkeypatch.context() as patch:
        patch.setattr(optimization_utils, name, lambda *_, **__: torch.zeros(()))
        with pytest.raises(LegacyReplacementError, match=name):
            optimization_utils.optimize_entry_exit_multipliers(*rows)
    vars(optimization_utils).pop(name, None)
    assert optimization_utils.optimize_entry_exit_multipliers(*rows)[2] == 0.0


def test_flags_of_the_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert optimization_utils._USE_DIRECT is True and optimization_utils._FAST_MODE is False
    calls = []

    def direct(loss: Any, bounds: Any, maxfun: int) -> Any:
        calls.append(maxfun)
        raise RuntimeError("it failed")

    def evolution(loss: Any, **options: Any) -> Any:
        calls.append(options["updating"])
        return type("Result", (), {"x": (0.0, 0.0), "fun": 0.0})

    monkeypatch.setenv("MARKETSIM_USE_DIRECT_OPTIMIZER", "1")
    for name, value in (("direct", direct), ("differential_evolution", evolution)):
        monkeypatch.setattr(optimization_utils, name, value)
    rows = [torch.zeros(3)] * 6
    optimization_utils.optimize_entry_exit_multipliers(*rows)
    monkeypatch.setattr(optimization_utils, "_FAST_MODE", True, raising=False)
    optimization_utils.optimize_entry_exit_multipliers(*rows)
    monkeypatch.setattr(optimization_utils, "_USE_DIRECT", False, raising=False)
    optimization_utils.optimize_entry_exit_multipliers(*rows)
    assert calls == [500, "immediate", 100, "immediate", "immediate"]
    monkeypatch.undo()
    for name in ("_USE_DIRECT", "_FAST_MODE", "direct", "differential_evolution"):
        vars(optimization_utils).pop(name, None)


def test_variables_that_choose_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTING")
    monkeypatch.setenv("MARKETSIM_FORCE_KRONOS", "1")
    assert old.resolve_best_model("AAPL") == "kronos" and not old.in_test_mode()
    monkeypatch.setenv("MARKETSIM_FORCE_TOTO", "1")
    assert old.resolve_best_model("AAPL") == "toto"
    monkeypatch.delenv("MARKETSIM_FORCE_TOTO")
    monkeypatch.setenv("MARKETSIM_ALLOW_MOCK_ANALYTICS", "true")
    assert old.resolve_best_model("AAPL") == "toto" and old.in_test_mode()


def test_variables_without_effect_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KRONOS_DTYPE", "bfloat16")
    settings._log_unused.cache_clear()
    settings.current_settings()
    assert "KRONOS_DTYPE: precision is float32" in caplog.text
    caplog.clear()
    settings.current_settings()
    assert not caplog.text


def test_one_day_says_what_it_gives_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MARKETSIM_MAX_HORIZON", "1")
    assert old.backtest_forecasts("AAPL", 1)["predicted_close"].iloc[0] > 0.0
    assert "MARKETSIM_MAX_HORIZON=1 leaves no day to validate on" in caplog.text


def test_a_pipeline_that_nobody_asks_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    unloaded = []
    own = Pipeline()
    monkeypatch.setattr(own, "unload", lambda: unloaded.append(1), raising=False)
    monkeypatch.setattr(old, "pipeline", own, raising=False)
    monkeypatch.setattr(old, "TOTO_KEEPALIVE_SECONDS", 60.0, raising=False)
    monkeypatch.setattr(old, "_pipeline_last_used_at", time.monotonic(), raising=False)
    old.release_model_resources()
    assert not unloaded
    monkeypatch.setattr(old, "_pipeline_last_used_at", time.monotonic() - 61.0, raising=False)
    old.release_model_resources()
    assert unloaded and old.pipeline is None


def test_the_loaded_pipeline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "pipeline", None, raising=False)  # as old tests forget a pipeline
    loaded = old.load_toto_pipeline()
    assert old.pipeline is loaded
    old._reset_model_caches()


def test_forecasts_that_answer_to_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mock has an attribute `distribution`, too: only its samples count."""
    made = MagicMock()
    made.numpy.return_value = np.full(16, 0.03, np.float32)
    monkeypatch.setattr(old, "cached_predict", lambda *_, **__: [made])
    frame = old.backtest_forecasts("AAPL", 5)
    assert (frame["toto_expected_move_pct"] == np.float32(0.03)).all()


def test_constants_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were looked up at each call, and a program may assign them; the environment follows."""
    files = type("Record", (), {"config": {"num_samples": 48}})
    monkeypatch.setattr(old, "load_best_config", lambda *_: files)
    assert old.resolve_toto_params("AAPL")["num_samples"] == 128
    with monkeypatch.context() as patched:
        patched.setattr(old, "TOTO_MIN_NUM_SAMPLES", 40)
        assert old.TOTO_MIN_NUM_SAMPLES == 40
        assert old.resolve_toto_params("AAPL")["num_samples"] == 48
    assert old.resolve_toto_params("AAPL")["num_samples"] == 128
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "64")
    assert old.TOTO_MIN_NUM_SAMPLES == 64  # nothing of the assignment is left
    with patch.object(old, "FAST_TESTING", True):
        assert old.resolve_toto_params("AAPL") == dict(old.FAST_TOTO_PARAMS)
    assert not old.FAST_TESTING
    with pytest.raises(
        ArgumentError, match=r"^backtest_test3_inline\.TOTO_MIN_NUM_SAMPLES must be"
    ):
        old.TOTO_MIN_NUM_SAMPLES = "many"
    with pytest.raises(TypeError):
        old.FAST_TOTO_PARAMS["num_samples"] = 1


def test_default_parameters_of_kronos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "DEFAULT_KRONOS_PARAMS", {**old.DEFAULT_KRONOS_PARAMS, "top_k": 3})
    assert old.resolve_kronos_params("AAPL")["top_k"] == 3


def test_what_nothing_reads_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("marketsim.legacy.stock.assignments._said", set())
    for _ in range(2):
        monkeypatch.setattr(old, "prepare_kronos_dataframe", None)
        monkeypatch.setattr(old, "no_such_name", None, raising=False)
        monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)
    said = [record.getMessage().partition(" was")[0] for record in caplog.records]
    assert said == [
        "backtest_test3_inline.prepare_kronos_dataframe",
        "backtest_test3_inline.no_such_name",
    ]


@pytest.mark.parametrize("number", [None, 2.5, "3"])
def test_a_number_of_simulations_that_is_none(number: Any) -> None:
    with pytest.raises(ArgumentError, match="num_simulations must be a whole number: got"):
        old.backtest_forecasts("AAPL", number)


def test_returns_are_as_precise_as_the_prices() -> None:
    """The old code's returns of a float32 column are float32, too."""
    data = DATA.astype(np.float32)
    closes = data["Close" if "Close" in data else "close"].iloc[-7:]
    found = old.run_single_simulation(data, "AAPL", 0.0005, False, 0, 1.0)
    single = closes.pct_change().dropna()
    assert single.dtype == np.float32
    deviation = single.astype(np.float64).std() * 100
    exact = closes.astype(np.float64).pct_change().std() * 100
    assert found["realized_volatility_pct"] == pytest.approx(deviation, rel=1e-12)
    assert abs(deviation - exact) > 1e-10 * exact
