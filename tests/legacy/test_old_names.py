"""Every name that files of the old repository import, and arguments of later versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

from legacy_market import daily  # noqa: E402

from marketsim.errors import LegacyReplacementError, MissingDependencyError  # noqa: E402
from marketsim.legacy.install import MODULES  # noqa: E402

# Old module: what its callers import from it, from November to December 2025.
NAMES = {
    "backtest_test3_inline": """
        COMPILED_MODELS_DIR INDUCTOR_CACHE_DIR SPREAD StrategyEvaluation TotoPipeline
        KronosForecastingWrapper _GPU_FALLBACK_ENV _compute_kronos_forecast
        _compute_toto_forecast _compute_return_profile _ensure_compilation_artifacts
        _get_lazy_numpy ensure_kronos_ready _cpu_fallback_enabled _cpu_fallback_log_state
        _kronos_last_used_at in_test_mode _evaluate_daily_returns _log_strategy_summary
        _require_cuda _reset_model_caches aggregate_with_spec all_signals_strategy
        backtest_forecasts buy_hold_strategy cached_predict calibrate_signal
        compute_walk_forward_stats
        confidence_guard_strategy crypto_symbols download_daily_stock_data
        evaluate_and_save_close_policy evaluate_entry_takeprofit_strategy evaluate_highlow_strategy
        evaluate_maxdiff_always_on_strategy evaluate_maxdiff_strategy evaluate_pctdiff_strategy
        evaluate_strategy fetch_spread kronos_wrapper_cache load_best_config load_chronos2_wrapper
        load_close_policy load_kronos_wrapper load_model_selection load_toto_pipeline
        log_prediction_cache_stats pipeline pre_process_data prepare_kronos_dataframe
        profile_toto_memory release_model_resources resolve_best_model resolve_chronos2_params
        resolve_close_policy resolve_kronos_params resolve_toto_params run_bounded_optimizer
        run_single_simulation save_close_policy series_to_tensor simple_buy_sell_strategy tb_writer
        unprofit_shutdown_buy_hold validate_forecast_order TOTO_MIN_NUM_SAMPLES FAST_TESTING
        DEFAULT_KRONOS_PARAMS FAST_TOTO_PARAMS logger _chronos2_wrapper_cache
    """,
    "loss_utils": """
        CRYPTO_TRADING_FEE DAILY_LEVERAGE_COST DEFAULT_ANNUAL_LEVERAGE_COST DEFAULT_TRADING_DAYS
        DEVICE TRADING_FEE calculate_profit_torch_with_entry_buysell_profit_values
        calculate_takeprofit_torch calculate_takeprofit_torch_sq calculate_trading_profit
        calculate_trading_profit_no_scale calculate_trading_profit_torch
        calculate_trading_profit_torch_buy_only calculate_trading_profit_torch_with_buysell
        calculate_trading_profit_torch_with_buysell_profit_values
        calculate_trading_profit_torch_with_entry_buysell get_trading_profits_list
        percent_movements_augment percent_movements_augment_to torch_inverse_transform
    """,
    "disk_cache": "disk_cache",
    "src.optimization_utils": """
        ENTRY_EXIT_OPTIMIZER_BACKEND _AlwaysOnObjective _EntryExitObjective _FAST_MODE _USE_DIRECT
        _evaluate_entry_exit_profit _prepare_entry_exit_context direct differential_evolution
        optimize_always_on_multipliers optimize_entry_exit_multipliers
        optimize_entry_exit_multipliers_with_callback optimize_single_parameter
        run_bounded_optimizer
    """,
    "src.prediction_cache": "PredictionCache get_cache hash_dataframe reset_cache",
    "src.models.toto_aggregation": """
        aggregate_quantile_plus_std aggregate_with_spec setup_toto_aggregation_imports
    """,
    "src.models.toto_wrapper": """
        Toto TotoForecast TotoPipeline _inference_context setup_toto_wrapper_imports torch
    """,
    "src.models.kronos_wrapper": """
        KronosForecastResult KronosForecastingWrapper setup_kronos_wrapper_imports
    """,
}


@pytest.mark.parametrize("old", NAMES)
def test_every_name_is_there(old: str) -> None:
    module = import_module(MODULES[old])
    assert [name for name in NAMES[old].split() if not hasattr(module, name)] == []
    public = import_module(MODULES[old].replace(".stock.", "."))
    assert public is module  # one module under both paths: what is patched in one counts in both


def test_all_old_modules_are_covered() -> None:
    assert set(NAMES) == set(MODULES)


# What files of later versions name, of rewrites that docs/migration.md excludes: their tests take
# the old file where these names are missing.
LATER = """
    _align_close_actual_window _marketsim_backtest _prepare_price_window_cache
    _require_price_cache_numpy optimize_maxdiff_entry_exit
"""


def test_names_of_later_rewrites_are_missing_and_listed() -> None:
    module = import_module(MODULES["backtest_test3_inline"])
    guide = Path(__file__).parents[2].joinpath("docs", "migration.md").read_text()
    for name in LATER.split():
        assert not hasattr(module, name) and f"`{name}`" in guide


def test_folders_of_compiled_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = import_module(MODULES["backtest_test3_inline"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPILED_MODELS_DIR", "made")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "made/other")
    made = tmp_path / "made"
    assert made == old.COMPILED_MODELS_DIR and not made.exists()
    old._ensure_compilation_artifacts()
    assert made / "torch_inductor" == old.INDUCTOR_CACHE_DIR
    assert old.INDUCTOR_CACHE_DIR.is_dir()
    assert os.environ["COMPILED_MODELS_DIR"] == str(made)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(made / "other")


def test_arrays_of_a_cache() -> None:
    old = import_module(MODULES["backtest_test3_inline"])
    cache = {"_high_tensor": torch.tensor([1.0, 2.0])}
    first = old._get_lazy_numpy(cache, "high")
    assert first.tolist() == [1.0, 2.0] and old._get_lazy_numpy(cache, "high") is first
    assert old._get_lazy_numpy(cache, "low") is None


def test_names_that_no_version_has_say_so() -> None:
    old = import_module(MODULES["backtest_test3_inline"])
    for name in ("_compute_kronos_forecast", "ensure_kronos_ready"):
        with pytest.raises(LegacyReplacementError, match=rf"{name}.*load_kronos_wrapper"):
            getattr(old, name)("AAPL", "Close")


def test_the_original_toto_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = import_module(MODULES["src.models.toto_wrapper"])
    assert wrapper.torch is torch
    with wrapper._inference_context():
        assert torch.is_inference_mode_enabled()
    network = object()
    for name in ("toto", "toto.model", "toto.model.toto"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["toto.model.toto"], "Toto", network, raising=False)
    assert wrapper.Toto is network
    monkeypatch.setitem(sys.modules, "toto.model.toto", None)
    assert wrapper.Toto is None
    with monkeypatch.context() as patched:
        patched.setattr(wrapper, "Toto", network)
        with pytest.raises(LegacyReplacementError, match=r"toto_wrapper\.Toto was replaced"):
            wrapper.TotoPipeline.from_pretrained("ewma")


def test_later_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    from marketsim.legacy.stock import backtest_test3_inline as old

    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("TESTING", "1")
    data = daily(40, 3)
    row = old.run_single_simulation(
        data, "AAPL", 0.0005, False, 0, 1.0, model_override="toto", skip_strategy_eval=True
    )
    assert list(row) == ["last_preds"] and "close_predictions" in row["last_preds"]
    simulate = (data, "AAPL", 0.0005, False, 0, 1.0)
    for same in (" ", " Toto"):
        again = old.run_single_simulation(*simulate, model_override=same)
        assert again["predicted_close"] == old.run_single_simulation(*simulate)["predicted_close"]
    for wrong, told in (("arima", "model_override"), ("chronos2", "TOTO_MODEL_ID=amazon/chr")):
        with pytest.raises(ValueError, match=told):
            old.run_single_simulation(*simulate, model_override=wrong)


def test_the_chronos_wrapper_is_the_programs_own() -> None:
    from marketsim.legacy.stock import backtest_test3_inline as old

    params = old.resolve_chronos2_params("AAPL")
    with pytest.raises(MissingDependencyError, match=r"src\.models\.chronos2_wrapper.*load_model"):
        old.load_chronos2_wrapper(params)


def test_the_part_beyond_an_entry() -> None:
    """One long that takes its part, one that leaves at the close, one that does not enter."""
    from marketsim.legacy.stock.pctdiff import _Days

    one = [1.0, 1.0, 1.0, -1.0]
    close, high, low = [105.0, 101.0, 99.0, 90.0], [110.0, 102.0, 103.0, 101.0], [98.0] * 4
    entry = [100.0, 100.0, 97.0, 100.0]
    import numpy as np

    days = _Days(*(np.array(row) for row in (one, close, high, low, entry)))
    returns, entered, took = days.returns(0.0, 0.0, (0.05, 0.02), 0.001)
    np.testing.assert_allclose(returns, [0.049, 0.009, 0.0, 0.019])
    assert (entered, took) == (3, 2)


def test_the_program_writes_what_it_wrote(tmp_path: Path) -> None:
    daily(80, 2).to_csv(tmp_path / "AAPL.csv", index_label="timestamp")
    out = tmp_path / "made" / "out.json"
    command = ["-m", "marketsim.legacy.backtest_test3_inline", "AAPL", "--simulations", "3"]
    environment = {"TOTO_MODEL_ID": "ewma", "TESTING": "1", "MARKETSIM_DATA": str(tmp_path)}
    made = subprocess.run(
        [sys.executable, *command, "--output-json", str(out), "--output-label", "apple"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    payload = json.loads(out.read_text())
    assert payload["symbol"] == "apple" and payload["runs"] == 3
    assert set(payload["strategies"]["maxdiff"]) >= {"return", "sharpe", "turnover", "final_day"}
    assert "apple simple: return" in made.stdout
    copy = tmp_path / "backtest_test3_inline.py"  # under the old name, a program and a module
    ours = find_spec("marketsim.legacy.backtest_test3_inline")
    assert ours is not None and ours.origin is not None
    copy.write_bytes(Path(ours.origin).read_bytes())
    both = "import runpy, sys, backtest_test3_inline as b; b.backtest_forecasts('AAPL', 2); "
    both += "sys.argv[1:] = ['AAPL', '--simulations', '2']; runpy.run_path(%r, run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", both % copy.name],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert ran.returncode == 0 and "AAPL simple: return" in ran.stdout, ran.stderr
    failed = subprocess.run([sys.executable, *command, "NONE"], capture_output=True, env={})
    assert failed.returncode != 0
