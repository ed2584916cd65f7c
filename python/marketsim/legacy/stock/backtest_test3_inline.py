"""The old module `backtest_test3_inline`: its names, which lead to modules of marketsim.legacy.

A program may put functions of its own in the place of these, as it could before: they are looked up
here at each call. What cannot be honoured is refused with the reason (`REFUSED`), never ignored.
What the old backtest does on purpose and one would not expect has a switch in
`marketsim.legacy.quirks`. `python -m marketsim.legacy.backtest_test3_inline SYMBOL` is the program.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch

from marketsim.errors import LegacyReplacementError
from marketsim.legacy.stock import chronos, parameters, pipelines, settings
from marketsim.legacy.stock.assignments import watch
from marketsim.legacy.stock.backtest import (
    ADDED,
    Hooks,
    backtest,
    compute_walk_forward_stats,
    log_summary,
    simulate_once,
)
from marketsim.legacy.stock.caller_names import (
    compiled_models_folder,
    compute_kronos_forecast,
    ensure_compilation_artifacts,
    ensure_kronos_ready,
    get_lazy_numpy,
    inductor_folder,
)
from marketsim.legacy.stock.chronos import load_chronos2_wrapper, resolve_chronos2_params
from marketsim.legacy.stock.close_policy import evaluate_close_policy
from marketsim.legacy.stock.data_source import download_daily_stock_data, fetch_spread
from marketsim.legacy.stock.evaluation import (
    SPREAD,
    StrategyEvaluation,
    calibrate_signal,
    evaluate_daily_returns,
    evaluate_signals,
)
from marketsim.legacy.stock.forecasting import forecast_price_frame
from marketsim.legacy.stock.kronos_forecasting import prepare_kronos_dataframe
from marketsim.legacy.stock.kronos_wrapper import KronosForecastingWrapper
from marketsim.legacy.stock.loss_utils import (
    calculate_profit_torch_with_entry_buysell_profit_values,
)
from marketsim.legacy.stock.maxdiff import (
    evaluate_maxdiff_always_on_strategy,
    evaluate_maxdiff_strategy,
)
from marketsim.legacy.stock.optimization_utils import (
    optimize_always_on_multipliers,
    optimize_entry_exit_multipliers,
    run_bounded_optimizer,
)
from marketsim.legacy.stock.parameters import (
    DEFAULT_KRONOS_PARAMS,
    asked_once,
    load_best_config,
    load_close_policy,
    load_model_selection,
    save_close_policy,
)
from marketsim.legacy.stock.pctdiff import evaluate_pctdiff_strategy
from marketsim.legacy.stock.pipelines import profile_toto_memory
from marketsim.legacy.stock.price_frame import pre_process_data
from marketsim.legacy.stock.quirks import crypto_symbols, symbols_of_program
from marketsim.legacy.stock.replaced import NAMES, Functions
from marketsim.legacy.stock.settings import current_settings, setting
from marketsim.legacy.stock.simulation import Costs
from marketsim.legacy.stock.strategies import (
    all_signals_strategy,
    buy_hold_strategy,
    confidence_guard_strategy,
    evaluate_entry_takeprofit_strategy,
    evaluate_highlow_strategy,
    simple_buy_sell_strategy,
    unprofit_shutdown_buy_hold,
)
from marketsim.legacy.stock.tensorboard import open_writer
from marketsim.legacy.stock.toto_aggregation import aggregate_with_spec
from marketsim.legacy.stock.toto_wrapper import TotoPipeline

__all__ = [
    "DEFAULT_KRONOS_PARAMS",
    "SPREAD",
    "KronosForecastingWrapper",
    "StrategyEvaluation",
    "TotoPipeline",
    "aggregate_with_spec",
    "all_signals_strategy",
    "backtest_forecasts",
    "buy_hold_strategy",
    "cached_predict",
    "calculate_profit_torch_with_entry_buysell_profit_values",
    "calibrate_signal",
    "compute_walk_forward_stats",
    "confidence_guard_strategy",
    "crypto_symbols",
    "download_daily_stock_data",
    "ensure_kronos_ready",
    "evaluate_and_save_close_policy",
    "evaluate_entry_takeprofit_strategy",
    "evaluate_highlow_strategy",
    "evaluate_maxdiff_always_on_strategy",
    "evaluate_maxdiff_strategy",
    "evaluate_pctdiff_strategy",
    "evaluate_strategy",
    "fetch_spread",
    "kronos_wrapper_cache",
    "load_best_config",
    "load_chronos2_wrapper",
    "load_close_policy",
    "load_kronos_wrapper",
    "load_model_selection",
    "load_toto_pipeline",
    "log_prediction_cache_stats",
    "optimize_always_on_multipliers",
    "optimize_entry_exit_multipliers",
    "pre_process_data",
    "prepare_kronos_dataframe",
    "profile_toto_memory",
    "release_model_resources",
    "resolve_best_model",
    "resolve_chronos2_params",
    "resolve_close_policy",
    "resolve_kronos_params",
    "resolve_toto_params",
    "run_bounded_optimizer",
    "run_single_simulation",
    "save_close_policy",
    "series_to_tensor",
    "simple_buy_sell_strategy",
    "tb_writer",
    "unprofit_shutdown_buy_hold",
    "validate_forecast_order",
]

# What a program cannot replace, and why; `_check_replacements` refuses it.
REFUSED = {
    "pre_process_data": "moves of all simulations are computed at once, without it",
    "calculate_profit_torch_with_entry_buysell_profit_values": (
        "profits of all simulations are computed by a kernel"
    ),
    "series_to_tensor": "moves of all simulations are computed at once, without it",
    "validate_forecast_order": "all simulations are checked at once, without it",
    "_compute_return_profile": "means of all simulations are computed at once, without it",
    "_evaluate_daily_returns": "means of all simulations are computed at once, without it",
}

logger = logging.getLogger(__name__)
# Where the module is reloaded, what was assigned is gone, as it was.
globals().pop("pipeline", None)
settings.forget_assigned()
_evaluate_daily_returns = evaluate_daily_returns
_log_strategy_summary = log_summary
_GPU_FALLBACK_ENV = "MARKETSIM_ALLOW_CPU_FALLBACK"
_FORCE_RELEASE_ENV = "MARKETSIM_FORCE_RELEASE_MODELS"
kronos_wrapper_cache = pipelines.kronos_wrappers
_kronos_last_used_at = pipelines.kronos_used
_cpu_fallback_log_state: set[tuple[str, str | None]] = set()
_ensure_compilation_artifacts = ensure_compilation_artifacts
_get_lazy_numpy = get_lazy_numpy
_compute_kronos_forecast = compute_kronos_forecast

tb_writer = open_writer(datetime.now().strftime("%Y-%m-%d-%H-%M-%S"))


def __getattr__(name: str) -> Any:
    """`pipeline`: the loaded TotoPipeline, or None; constants that the environment decides.

    Later names: `Chronos2OHLCWrapper` is the program's own, `_chronos2_wrapper_cache` holds those
    that are loaded.
    """
    if name == "pipeline":
        return pipelines.current_pipeline()
    if name == "FAST_TOTO_PARAMS":  # a change of it would be lost
        return MappingProxyType(parameters.fast_toto_params(current_settings()))
    if name == "COMPILED_MODELS_DIR":
        return compiled_models_folder()
    if name == "INDUCTOR_CACHE_DIR":
        return inductor_folder()
    if name == "Chronos2OHLCWrapper":
        return chronos.wrapper_class()
    if name == "_chronos2_wrapper_cache":
        return chronos.wrappers
    if name in _CONSTANTS:
        return setting(_CONSTANTS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Constants of the old module: the setting that they are.
_CONSTANTS = {
    "DEFAULT_TOTO_AGG_SPEC": "toto_aggregation_spec",
    "DEFAULT_TOTO_NUM_SAMPLES": "toto_num_samples",
    "DEFAULT_TOTO_SAMPLES_PER_BATCH": "toto_samples_per_batch",
    "FAST_TESTING": "fast_testing",
    "KRONOS_KEEPALIVE_SECONDS": "kronos_keepalive_seconds",
    "REAL_TESTING": "real_testing",
    "TOTO_CI_GUARD_MULTIPLIER": "toto_ci_guard_multiplier",
    "TOTO_KEEPALIVE_SECONDS": "toto_keepalive_seconds",
    "TOTO_MAX_NUM_SAMPLES": "toto_max_num_samples",
    "TOTO_MAX_SAMPLES_PER_BATCH": "toto_max_samples_per_batch",
    "TOTO_MIN_NUM_SAMPLES": "toto_min_num_samples",
    "TOTO_MIN_SAMPLES_PER_BATCH": "toto_min_samples_per_batch",
    "TOTO_MODEL_ID": "toto_model_id",
}


def backtest_forecasts(
    symbol: str, num_simulations: int = 50, model_override: str | None = None
) -> pd.DataFrame:
    """Run simulations of a symbol, each as if its last row were the newest.

    Simulation s sees the data without its last s + 1 rows (quirk `newest_row_dropped`). Every
    forecast is made once, whatever the number of simulations that use it.

    Args:
        symbol: what `download_daily_stock_data` is asked for; those in `crypto_symbols` are not
            sold short, and cost `CRYPTO_TRADING_FEE`.
        num_simulations: how many; at most 35 with MARKETSIM_FAST_SIMULATE.
        model_override: "toto" or "kronos", in place of what `resolve_best_model` says; empty: that.

    Returns:
        One row a simulation, newest first; fewer, and a line in the log, where data are short.
        Empty where there are none.

    Raises:
        LegacyReplacementError: a function was replaced that cannot be, see `REFUSED`.
        ArgumentError: `num_simulations` is no whole number, or no source of data is set; else what
            the source, the parameter files and the model raise.
    """
    global SPREAD
    before = SPREAD
    try:
        return backtest(_hooks(model_override), symbol, num_simulations)
    finally:
        SPREAD = before


def run_single_simulation(
    simulation_data: pd.DataFrame,
    symbol: str,
    trading_fee: float,
    is_crypto: bool,
    sim_idx: int,
    spread: float,
    *,
    model_override: str | None = None,
    skip_strategy_eval: bool = False,
) -> dict[str, Any]:
    """One simulation, which sees all rows of the data.

    Args:
        simulation_data: open, high, low, close and, if there is one, volume, in names of any case.
        symbol: whose parameters are used.
        trading_fee: fraction of the value traded.
        is_crypto: no shorts, and 365 days a year.
        sim_idx: its number, for TensorBoard.
        spread: ask / bid; shown in the result. What trades cost follows from `SPREAD`.
        model_override: as for `backtest_forecasts`.
        skip_strategy_eval: only "last_preds", and of it only forecasts and what came.

    Returns:
        The columns of a row of `backtest_forecasts`, and all that they were made from in
        "last_preds".

    Raises:
        NotEnoughBarsError: no row.
        UnknownNameError: a column is missing; else as `backtest_forecasts`.
    """
    costs = Costs(trading_fee, is_crypto, SPREAD, spread)
    row = simulate_once(_hooks(model_override), simulation_data, symbol, costs, sim_idx)
    if not skip_strategy_eval:
        return row
    strategies = ("maxdiff",)
    preds = row["last_preds"]
    return {"last_preds": {name: v for name, v in preds.items() if not name.startswith(strategies)}}


def evaluate_strategy(
    strategy_signals: Any,
    actual_returns: Any,
    trading_fee: float,
    trading_days_per_year: int,
) -> StrategyEvaluation:
    """The evaluation of signals that are held over returns, at the spread `SPREAD`.

    See `marketsim.legacy.stock.evaluation.evaluate_signals`.
    """
    return evaluate_signals(
        strategy_signals, actual_returns, trading_fee, trading_days_per_year, SPREAD
    )


def _compute_toto_forecast(
    symbol: str,
    target_key: str,
    price_frame: pd.DataFrame,
    current_last_price: float,
    toto_params: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Forecasts of the last values of the column y of a frame, each from those before it.

    Args:
        symbol: handed to `cached_predict`.
        target_key: without effect.
        price_frame: with a column y.
        current_last_price: what the last forecast moves.
        toto_params: num_samples, samples_per_batch and aggregate.

    Returns:
        (points float32 [forecast], bands float32 [forecast], price); zeros, and the price as it is,
        where there are fewer than two values.
    """
    values = price_frame["y"].to_numpy(dtype=float) if len(price_frame) else np.zeros(0)
    return forecast_price_frame(
        symbol,
        values,
        float(current_last_price),
        toto_params,
        cached_predict,
        setting("max_horizon"),
    )


def load_toto_pipeline() -> Any:
    """The program's own `pipeline` where it has set one, else the one that is set; see `pipelines`.

    It is made by `TotoPipeline.from_pretrained` as this module has it.
    """
    own = globals().get("pipeline")
    if own is not None and not pipelines.is_ours(own):
        return own
    loaded = pipelines.load_toto_pipeline(TotoPipeline)
    if "pipeline" in globals():  # the program has set it, to None or to one of ours
        globals()["pipeline"] = loaded
    return loaded


def load_kronos_wrapper(params: Mapping[str, Any]) -> Any:
    """The Kronos wrapper of these parameters, by `KronosForecastingWrapper`; see `pipelines`."""
    return pipelines.load_kronos_wrapper(params, KronosForecastingWrapper, _release_toto)


def cached_predict(
    context: Any,
    prediction_length: int,
    num_samples: int,
    samples_per_batch: int,
    *,
    symbol: str | None = None,
) -> Any:
    """Forecast what follows a context, by `load_toto_pipeline()`; see `pipelines.cached_predict`.

    A pipeline of marketsim is asked through the prediction store, any other by its `predict`.
    """
    pipeline = load_toto_pipeline()
    return pipelines.cached_predict(
        context, prediction_length, num_samples, samples_per_batch, symbol=symbol, pipeline=pipeline
    )


def release_model_resources(*, force: bool = False) -> None:
    """Let go of models that nobody has asked for a while; see `pipelines`.

    With `force` a pipeline that the program has set is unloaded and forgotten, too.
    """
    used = globals().get("_pipeline_last_used_at")
    idle = 0.0 if used is None else time.monotonic() - used
    if force or idle >= setting("toto_keepalive_seconds"):
        _forget_pipeline()
    pipelines.release_model_resources(force=force)


def _forget_pipeline() -> None:
    own = globals().get("pipeline")
    if "pipeline" in globals():
        globals()["pipeline"] = None
    if own is not None and not pipelines.is_ours(own) and hasattr(own, "unload"):
        own.unload()


def _release_toto() -> None:
    _forget_pipeline()
    pipelines.drop_toto()


def _reset_model_caches() -> None:
    """Let go of every model, and of what the program's own loaders of parameters said."""
    parameters.forget_answers()
    release_model_resources(force=True)


def log_prediction_cache_stats() -> None:
    """Log what the prediction store of the old functions holds, in one line."""
    pipelines.log_store()


def resolve_toto_params(symbol: str) -> dict[str, Any]:
    """num_samples, samples_per_batch and aggregate of a symbol, by `load_best_config`; clamped."""
    return parameters.resolve_toto_params(symbol, asked_once(load_best_config))


def resolve_kronos_params(symbol: str) -> dict[str, Any]:
    """temperature, top_p, top_k, sample_count, max_context and clip, by `load_best_config`."""
    return parameters.resolve_kronos_params(
        symbol, asked_once(load_best_config), DEFAULT_KRONOS_PARAMS
    )


def resolve_best_model(symbol: str) -> str:
    """Which model forecasts a symbol, by `load_model_selection`; see `parameters`."""
    load = asked_once(load_model_selection)
    return parameters.resolve_best_model(symbol, load, testing=in_test_mode())


def resolve_close_policy(symbol: str) -> str:
    """INSTANT_CLOSE or KEEP_OPEN, by `load_close_policy`; crypto is closed at once by default."""
    return parameters.resolve_close_policy(symbol, _crypto_symbols(), load_close_policy)


def evaluate_and_save_close_policy(symbol: str, num_comparisons: int = 10) -> None:
    """Compare leaving at the close with waiting for the limit, and keep the better policy.

    Backtests do not call it, as the old ones did: it writes
    {HYPERPARAM_ROOT}/close_policy/{SYMBOL}.json. Replace it to be called at the end of each.

    Args:
        symbol: what `download_daily_stock_data` is asked for.
        num_comparisons: simulations that are compared.
    """
    global SPREAD
    before = SPREAD
    try:
        found = evaluate_close_policy(_hooks(), symbol, num_comparisons)
    finally:
        SPREAD = before
    if found is not None:
        save_close_policy(symbol, found["best_policy"], comparison_results=found)


def series_to_tensor(series_pd: pd.Series) -> torch.Tensor:
    """A series as a float32 tensor."""
    return torch.tensor(series_pd.to_numpy(), dtype=torch.float32)


def validate_forecast_order(high_pred: torch.Tensor, low_pred: torch.Tensor) -> torch.Tensor:
    """Where the forecast low lies below the forecast high, bool [day]."""
    return low_pred < high_pred


def in_test_mode() -> bool:
    """Whether TESTING or MARKETSIM_ALLOW_MOCK_ANALYTICS is set: both make the model Toto."""
    return bool(setting("testing") or setting("allow_mock_analytics"))


def _compute_return_profile(daily_returns: Any, trading_days_per_year: int) -> tuple[float, float]:
    """(mean of the finite daily returns, that a year)."""
    made = evaluate_daily_returns(daily_returns, trading_days_per_year)
    return made.avg_daily_return, made.annualized_return


def _cpu_fallback_enabled() -> bool:
    return bool(setting("allow_cpu_fallback"))


def _require_cuda(
    feature: str, *, symbol: str | None = None, allow_cpu_fallback: bool = True
) -> None:
    """Raise where there is no GPU and the CPU may not stand in for it.

    Nothing of ours calls it: every model computes on a CPU, too.
    """
    if torch.cuda.is_available():
        return
    said = (feature, symbol)
    if allow_cpu_fallback and _cpu_fallback_enabled():
        if said not in _cpu_fallback_log_state:
            _cpu_fallback_log_state.add(said)
            pipelines.log_cpu(feature, symbol)
        return
    pipelines.require_cuda(feature, symbol, allow_cpu_fallback)


def _crypto_symbols() -> Any:
    """This module's list where it was replaced, else that of `src.fixtures`, else ours."""
    if crypto_symbols is not _OWN["crypto_symbols"]:
        return crypto_symbols
    return symbols_of_program(crypto_symbols)


def _is_replaced(name: str) -> bool:
    return globals().get(name) is not _OWN.get(name)


def _fetch_spread(symbol: str) -> float:
    """The symbol's spread, which is `SPREAD` for as long as its backtest runs."""
    global SPREAD
    SPREAD = float(fetch_spread(symbol))
    return SPREAD


def _is_own_pipeline() -> bool:
    own = globals().get("pipeline")
    return own is None or pipelines.is_ours(own)


def _check_replacements() -> None:
    for name, reason in REFUSED.items():
        if _is_replaced(name):
            raise LegacyReplacementError(
                f"{name} was replaced, which has no effect: {reason}. "
                "Put the old function back, or replace evaluate_maxdiff_strategy and "
                "evaluate_maxdiff_always_on_strategy, or cached_predict, which are called"
            )


def _predict() -> Callable[..., Any] | None:
    """What forecasts a context; None for our model, which is asked for all of them at once."""
    names = ("cached_predict", "load_toto_pipeline", "TotoPipeline", "aggregate_with_spec")
    if any(map(_is_replaced, names)) or not _is_own_pipeline():
        return cached_predict
    if pipelines.is_patched(TotoPipeline):
        return cached_predict
    return None


def _hooks(model_override: str | None = None) -> Hooks:
    """The functions of this module as they are now.

    Raises:
        LegacyReplacementError: one was replaced that cannot be.
    """
    _check_replacements()
    best_model = resolve_best_model
    if model_override is not None and model_override.strip():
        best_model = functools.partial(parameters.check_override, model_override)
    replaced = frozenset(name for name in NAMES if _is_replaced(name))
    fits = ("optimize_entry_exit_multipliers", "optimize_always_on_multipliers")
    return Hooks(
        download=download_daily_stock_data,
        fetch_spread=_fetch_spread,
        predict=_predict(),
        forecast_frame=_compute_toto_forecast if _is_replaced("_compute_toto_forecast") else None,
        aggregate=aggregate_with_spec if _is_replaced("aggregate_with_spec") else None,
        load_kronos=load_kronos_wrapper,
        kronos_is_replaced=_is_replaced("load_kronos_wrapper")
        or _is_replaced("KronosForecastingWrapper"),
        toto_params=resolve_toto_params,
        kronos_params=resolve_kronos_params,
        best_model=best_model,
        writer=tb_writer,
        crypto_symbols=_crypto_symbols(),
        functions=Functions({name: globals()[name] for name in NAMES}, replaced),
        fits={name: globals()[name] for name in fits if _is_replaced(name)},
        simulate=run_single_simulation if _is_replaced("run_single_simulation") else None,
        walk_forward_stats=compute_walk_forward_stats,
        finish=evaluate_and_save_close_policy
        if _is_replaced("evaluate_and_save_close_policy")
        else None,
        added={name: globals()[name] for name in ADDED if _is_replaced(name)},
    )


_OWN = dict(globals())
# What is looked up here at each call.
_READ = (
    *ADDED,
    *NAMES,
    *REFUSED,
    "DEFAULT_KRONOS_PARAMS",
    "KronosForecastingWrapper",
    "SPREAD",
    "TotoPipeline",
    "_compute_toto_forecast",
    "_cpu_fallback_enabled",
    "_pipeline_last_used_at",
    "aggregate_with_spec",
    "cached_predict",
    "compute_walk_forward_stats",
    "crypto_symbols",
    "download_daily_stock_data",
    "evaluate_and_save_close_policy",
    "fetch_spread",
    "in_test_mode",
    "load_best_config",
    "load_close_policy",
    "load_kronos_wrapper",
    "load_model_selection",
    "load_toto_pipeline",
    "optimize_always_on_multipliers",
    "optimize_entry_exit_multipliers",
    "pipeline",
    "resolve_best_model",
    "resolve_kronos_params",
    "resolve_toto_params",
    "run_single_simulation",
    "save_close_policy",
    "tb_writer",
)
watch(__name__, _READ, _CONSTANTS, settings.assign)


if __name__ == "__main__":
    from marketsim.legacy.stock.program import main

    main()
