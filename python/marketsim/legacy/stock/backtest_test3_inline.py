"""The old module `backtest_test3_inline`: its names, which lead to modules of marketsim.legacy.

A program may put functions of its own in the place of these, as it could before:
`download_daily_stock_data`, `fetch_spread`, `cached_predict`, `load_kronos_wrapper` and the
`resolve_` functions are looked up here at each call. What it does on purpose and one would not
expect has a switch in `marketsim.legacy.quirks`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import torch

from marketsim.legacy.stock import pipelines
from marketsim.legacy.stock.backtest import (
    Hooks,
    backtest,
    compute_walk_forward_stats,
    simulate_once,
)
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
from marketsim.legacy.stock.maxdiff import (
    evaluate_maxdiff_always_on_strategy,
    evaluate_maxdiff_strategy,
)
from marketsim.legacy.stock.parameters import (
    resolve_best_model,
    resolve_close_policy,
    resolve_kronos_params,
    resolve_toto_params,
)
from marketsim.legacy.stock.pipelines import (
    cached_predict,
    load_kronos_wrapper,
    load_toto_pipeline,
    profile_toto_memory,
    release_model_resources,
)
from marketsim.legacy.stock.price_frame import pre_process_data
from marketsim.legacy.stock.quirks import crypto_symbols
from marketsim.legacy.stock.settings import setting
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

__all__ = [
    "SPREAD",
    "StrategyEvaluation",
    "aggregate_with_spec",
    "all_signals_strategy",
    "backtest_forecasts",
    "buy_hold_strategy",
    "cached_predict",
    "calibrate_signal",
    "compute_walk_forward_stats",
    "confidence_guard_strategy",
    "crypto_symbols",
    "download_daily_stock_data",
    "evaluate_entry_takeprofit_strategy",
    "evaluate_highlow_strategy",
    "evaluate_maxdiff_always_on_strategy",
    "evaluate_maxdiff_strategy",
    "evaluate_strategy",
    "fetch_spread",
    "load_kronos_wrapper",
    "load_toto_pipeline",
    "pre_process_data",
    "prepare_kronos_dataframe",
    "profile_toto_memory",
    "release_model_resources",
    "resolve_best_model",
    "resolve_close_policy",
    "resolve_kronos_params",
    "resolve_toto_params",
    "run_single_simulation",
    "simple_buy_sell_strategy",
    "tb_writer",
    "unprofit_shutdown_buy_hold",
]

_evaluate_daily_returns = evaluate_daily_returns
_own_predict, _own_kronos = cached_predict, load_kronos_wrapper

tb_writer = open_writer(datetime.now().strftime("%Y-%m-%d-%H-%M-%S"))


def __getattr__(name: str) -> Any:
    """`pipeline`: the loaded TotoPipeline, or None."""
    if name == "pipeline":
        return pipelines.current_pipeline()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def backtest_forecasts(symbol: str, num_simulations: int = 50) -> pd.DataFrame:
    """Run simulations of a symbol, each as if its last row were the newest.

    Simulation s sees the data without its last s + 1 rows (quirk `newest_row_dropped`). Every
    forecast is made once, whatever the number of simulations that use it.

    Args:
        symbol: what `download_daily_stock_data` is asked for; those in `crypto_symbols` are not
            sold short, and cost `CRYPTO_TRADING_FEE`.
        num_simulations: how many; at most 35 with MARKETSIM_FAST_SIMULATE.

    Returns:
        One row a simulation, newest first; fewer, and a line in the log, where data are short.
        Empty where there are none.

    Raises:
        ArgumentError: no source of data is set; else what the source, the parameter files and the
            model raise.
    """
    return backtest(_hooks(), symbol, num_simulations)


def run_single_simulation(
    simulation_data: pd.DataFrame,
    symbol: str,
    trading_fee: float,
    is_crypto: bool,
    sim_idx: int,
    spread: float,
) -> dict[str, Any]:
    """One simulation, which sees all rows of the data.

    Args:
        simulation_data: open, high, low, close and, if there is one, volume, in names of any case.
        symbol: whose parameters are used.
        trading_fee: fraction of the value traded.
        is_crypto: no shorts, and 365 days a year.
        sim_idx: its number, for TensorBoard.
        spread: ask / bid; shown in the result. What trades cost follows from `SPREAD`.

    Returns:
        The columns of a row of `backtest_forecasts`, and all that they were made from in
        "last_preds".

    Raises:
        NotEnoughBarsError: no row.
        UnknownNameError: a column is missing; else as `backtest_forecasts`.
    """
    costs = Costs(trading_fee, is_crypto, SPREAD, spread)
    return simulate_once(_hooks(), simulation_data, symbol, costs, sim_idx)


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


def _hooks() -> Hooks:
    """The functions of this module as they are now."""
    return Hooks(
        download=download_daily_stock_data,
        fetch_spread=fetch_spread,
        predict=None if cached_predict is _own_predict else cached_predict,
        load_kronos=load_kronos_wrapper,
        kronos_is_replaced=load_kronos_wrapper is not _own_kronos,
        toto_params=resolve_toto_params,
        kronos_params=resolve_kronos_params,
        best_model=resolve_best_model,
        writer=tb_writer,
    )
