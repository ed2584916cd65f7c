"""A whole run of the old backtest, and what it adds to its simulations: averages and forecasts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import torch

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError
from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.context_forecasts import forecast_contexts
from marketsim.legacy.stock.forecasting import Predict, exact_of, samples_of
from marketsim.legacy.stock.pipelines import load_toto_pipeline, prediction_store
from marketsim.legacy.stock.quirks import active_quirks
from marketsim.legacy.stock.replaced import Functions
from marketsim.legacy.stock.result_rows import STRATEGIES
from marketsim.legacy.stock.settings import setting
from marketsim.legacy.stock.simulation import Costs, Simulations, Sources
from marketsim.legacy.stock.tensorboard import NoWriter, Writer, log_averages, log_simulation
from marketsim.text import get_logger

logger = get_logger(__name__)

# Fewer values are not forecast from; with fewer than seven fewer samples are drawn.
_LEAST, _FEW = 4, 7
_SAMPLES, _FEW_SAMPLES, _PER_BATCH = 512, 256, 64
# Column of the statistics: the column it is the mean of.
_MEANS = {
    "walk_forward_highlow_sharpe": "highlow_sharpe",
    "walk_forward_takeprofit_sharpe": "entry_takeprofit_sharpe",
    "walk_forward_maxdiff_sharpe": "maxdiff_sharpe",
    "walk_forward_maxdiffalwayson_sharpe": "maxdiffalwayson_sharpe",
}


def compute_walk_forward_stats(results_df: pd.DataFrame) -> dict[str, float]:
    """Averages over the rows of a backtest's frame.

    Returns:
        walk_forward_oos_sharpe (of the simple strategy), walk_forward_turnover (in fact its mean
        absolute return, as the old function had it), and the mean Sharpe ratios of highlow,
        takeprofit, maxdiff and maxdiffalwayson where the frame has their columns. Nothing for an
        empty frame.
    """
    if results_df.empty:
        return {}
    missing = pd.Series(dtype=np.float64)
    sharpe = results_df.get("simple_strategy_sharpe", missing)
    returns = results_df.get("simple_strategy_return", missing)
    stats = {
        "walk_forward_oos_sharpe": float(sharpe.mean()),
        "walk_forward_turnover": float(returns.abs().mean()),
    }
    for name, column in _MEANS.items():
        if column in results_df:
            stats[name] = float(results_df[column].mean())
    return stats


def forecast_profits(
    results: Mapping[str, list[float]], symbol: str, predict: Predict | None
) -> dict[str, float]:
    """The forecast of each strategy's next average daily return.

    Args:
        results: by strategy, its average daily returns, newest simulation first.
        symbol: named in what is asked.
        predict: a function like `cached_predict`; None for the model that is set, through the
            prediction store.

    Returns:
        By strategy, under "<strategy>_forecasted_pnl": the median of the forecast; the mean where
        there are fewer than four values, or where it is negative (quirk `pnl_newest_first`).
    """
    found: dict[str, float] = {}
    asked: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    quirk = active_quirks().pnl_newest_first
    for name, values in results.items():
        known = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
        mean = float(known.mean()) if known.size else float("nan")
        if known.size < _LEAST or (quirk and mean < 0):
            found[name] = mean
        else:
            asked[name] = known if quirk else np.ascontiguousarray(known[::-1])
    found.update(_forecast(asked, symbol, predict))
    return {f"{name}_forecasted_pnl": found[name] for name in results}


def _forecast(
    asked: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]],
    symbol: str,
    predict: Predict | None,
) -> dict[str, float]:
    if predict is None and asked:
        model = load_toto_pipeline().model
        assert model is not None  # it has just been loaded
        contexts = [values.astype(np.float32).astype(np.float64) for values in asked.values()]
        made = forecast_contexts(model, contexts, 1, prediction_store())
        return {
            name: float(one.aggregate("median").reshape(-1)[0])
            for name, one in zip(asked, made, strict=True)
        }
    found = {}
    for name, values in asked.items():
        assert predict is not None
        column = f"{STRATEGIES[name][0]}_avg_daily_return"
        one = predict(
            torch.tensor(values, dtype=torch.float32),
            prediction_length=1,
            num_samples=_SAMPLES if len(values) >= _FEW else _FEW_SAMPLES,
            samples_per_batch=_PER_BATCH,
            symbol=f"{symbol}_{column}_pnl_forecast",
        )[0]
        found[name] = _median(one)
    return found


def _median(made: Any) -> float:
    exact = exact_of(made)
    if exact is not None:
        return float(exact.aggregate("median").reshape(-1)[0])
    return float(np.median(samples_of(made)))


def log_summary(
    results: pd.DataFrame, symbol: str, num_simulations: int, say: Callable[..., None] = logger.info
) -> None:
    """Write the averages of a backtest to the log, one line a strategy, and the errors."""
    for name, (start, last_day) in STRATEGIES.items():
        columns = {
            "return": f"{start}_return",
            "sharpe": f"{start}_sharpe",
            "annual": f"{start}_annual_return",
            "forecast": f"{name}_forecasted_pnl",
            "last day": last_day,
        }
        shown = [
            f"{what} {float(results[column].mean()):.4f}"
            for what, column in columns.items()
            if column in results
        ]
        if shown:
            say("%s, %d simulations, %s: %s", symbol, num_simulations, name, ", ".join(shown))
    losses = [
        f"{key} {float(results[f'{key}_val_loss'].mean()):.6f}"
        for key in ("close", "high", "low")
        if f"{key}_val_loss" in results
    ]
    if losses:
        say("%s, mean absolute error: %s", symbol, ", ".join(losses))


# Function that measures the rows of a simulation: its column.
_FIGURES = {"_compute_avg_dollar_volume": "dollar_vol_20d", "_compute_atr_pct": "atr_pct_14"}
# Functions of the old module that are called only where a program assigns one.
ADDED = (
    *_FIGURES,
    "_forecast_pnl_with_toto",
    "_log_strategy_summary",
    "_log_validation_losses",
    "set_strategy_for_symbol",
)
# What `set_strategy_for_symbol` is told, of equally good ones the first.
_RANKED = {
    "highlow": "highlow_return",
    "takeprofit": "entry_takeprofit_return",
    "maxdiff": "maxdiff_return",
    "all_signals": "all_signals_strategy_return",
    "simple": "simple_strategy_return",
}
# What MARKETSIM_FAST_SIMULATE leaves of the simulations.
FAST_SIMULATIONS = 35
Row = dict[str, Any]


@dataclass(frozen=True)
class Hooks:
    """What a program may have put in the place of ours, as it is at the time of a call.

    Attributes:
        download: (path, symbols=[...]) -> frame.
        fetch_spread: symbol -> ask / bid.
        predict: a function in the place of `cached_predict`; None: ours.
        forecast_frame: a function in the place of `_compute_toto_forecast`, or None.
        aggregate: a function in the place of `aggregate_with_spec`, or None.
        load_kronos: parameters -> wrapper.
        kronos_is_replaced: whether that is not ours.
        toto_params, kronos_params: symbol -> parameters.
        best_model: symbol -> "kronos", or what Toto forecasts.
        writer: takes scalars for TensorBoard.
        crypto_symbols: those that are crypto.
        functions: the strategies, and which of them were replaced.
        fits: functions in the place of those that fit offsets, by name.
        simulate: a function in the place of `run_single_simulation`, or None.
        walk_forward_stats: frame -> averages.
        finish: called with the symbol at the end, or None.
        added: functions that ours has no counterpart of and the old backtest called, by `ADDED`.
    """

    download: Callable[..., pd.DataFrame]
    fetch_spread: Callable[[str], float]
    predict: Predict | None
    forecast_frame: Callable[..., Any] | None
    aggregate: Callable[..., Any] | None
    load_kronos: Callable[[Mapping[str, Any]], Any]
    kronos_is_replaced: bool
    toto_params: Callable[[str], dict[str, Any]]
    kronos_params: Callable[[str], dict[str, Any]]
    best_model: Callable[[str], str]
    writer: Writer
    crypto_symbols: Collection[str]
    functions: Functions
    fits: Mapping[str, Callable[..., Any]]
    simulate: Callable[..., Row] | None
    walk_forward_stats: Callable[[pd.DataFrame], dict[str, float]]
    finish: Callable[..., object] | None
    added: Mapping[str, Callable[..., Any]]

    def sources(self, symbol: str) -> Sources:
        """Where the forecasts of a symbol come from.

        Kronos also forecasts the close beside Toto where there is a GPU, as it did.
        """
        model = self.best_model(symbol)
        beside = self.kronos_is_replaced or torch.cuda.is_available()
        asked = model == "kronos" or beside

        def kronos() -> tuple[Any, Mapping[str, Any]]:
            params = self.kronos_params(symbol)
            return self.load_kronos(params), params

        return Sources(
            "kronos" if model == "kronos" else "toto",
            self.toto_params(symbol),
            self.predict,
            kronos if asked else None,
            self.forecast_frame,
            self.aggregate,
        )

    def simulations(self, data: pd.DataFrame, symbol: str, costs: Costs) -> Simulations:
        """Simulations of the data by these functions."""
        sources = self.sources(symbol)
        horizon = setting("max_horizon")
        return Simulations(data, symbol, costs, sources, horizon, self.fits, self.functions)


def simulate_once(
    hooks: Hooks,
    data: pd.DataFrame,
    symbol: str,
    costs: Costs,
    number: int,
) -> Row:
    """One simulation that sees all rows of the data."""
    run = hooks.simulations(data, symbol, costs)
    row = run.run([len(data)])[0]
    _measure(hooks.added, row, data)
    _note(hooks.writer, symbol, number, row, run.daily_returns(len(data)))
    return row


def backtest(hooks: Hooks, symbol: str, num_simulations: int) -> pd.DataFrame:
    """See `backtest_test3_inline.backtest_forecasts`."""
    if not is_whole(num_simulations):
        raise ArgumentError(f"num_simulations must be a whole number: got {num_simulations!r}")
    if setting("fast_simulate"):
        num_simulations = min(num_simulations, FAST_SIMULATIONS)
        logger.info("MARKETSIM_FAST_SIMULATE: at most %d simulations", FAST_SIMULATIONS)
    now = datetime.now().strftime("%Y-%m-%d--%H-%M-%S")
    data = hooks.download(now, symbols=[symbol])
    if data.empty:
        logger.error("no data for %s: the source returned an empty frame", symbol)
        return pd.DataFrame()
    spread = float(hooks.fetch_spread(symbol))
    is_crypto = symbol in hooks.crypto_symbols
    fee = loss_utils.CRYPTO_TRADING_FEE if is_crypto else loss_utils.TRADING_FEE
    rows = simulation_rows(len(data), num_simulations)
    if not rows:
        return pd.DataFrame()
    if setting("max_horizon") == 1:
        logger.warning(
            "MARKETSIM_MAX_HORIZON=1 leaves no day to validate on: returns, losses and the "
            "calibration are empty, and only the forecast of the next day is filled in; "
            "unset it for all seven days"
        )
    costs = Costs(fee, is_crypto, spread, spread)
    if hooks.simulate is None:
        run = hooks.simulations(data, symbol, costs)
        results = run.run(rows)
        for number, (count, row) in enumerate(zip(rows, results, strict=True)):
            _measure(hooks.added, row, data, count)
            _note(hooks.writer, symbol, number, row, run.daily_returns(count))
    else:
        results = [
            hooks.simulate(data.iloc[:count].copy(), symbol, fee, is_crypto, number, spread)
            for number, count in enumerate(rows)
        ]
    frame = pd.DataFrame(results)
    added = hooks.walk_forward_stats(frame)
    if own := hooks.added.get("_forecast_pnl_with_toto"):
        added.update(_forecast_by(own, frame, symbol))
    else:
        added.update(forecast_profits(_daily_means(results), symbol, hooks.predict))
    if added.keys().isdisjoint(frame.columns):  # all at once: in a fifth of the time of assign
        frame = pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
    else:
        frame = frame.assign(**added)
    log_averages(hooks.writer, symbol, frame)
    if say := hooks.added.get("_log_validation_losses"):
        say(frame)
    if say := hooks.added.get("_log_strategy_summary"):
        say(frame, symbol, num_simulations)
    elif logger.isEnabledFor(logging.INFO):
        log_summary(frame, symbol, len(results))
    if record := hooks.added.get("set_strategy_for_symbol"):
        record(symbol, best_strategy(frame))
    if hooks.finish is not None:
        hooks.finish(symbol, num_comparisons=10)
    return frame


def _measure(
    added: Mapping[str, Callable[..., Any]], row: Row, data: pd.DataFrame, count: int | None = None
) -> None:
    """Figures of a simulation's rows, by functions of the program; None leaves ours."""
    for name, column in _FIGURES.items():
        if name in added:
            value = added[name](data.iloc[:count].copy())
            if value is not None:
                row["last_preds"][column] = value
                row[column] = float(value)


def _forecast_by(own: Callable[..., Any], frame: pd.DataFrame, symbol: str) -> dict[str, float]:
    """What `forecast_profits` gives, by a function of the program."""
    found = {}
    for name, (start, _) in STRATEGIES.items():
        column = f"{start}_avg_daily_return"
        values = frame[column].dropna() if column in frame else pd.Series(dtype=np.float64)
        known = float(own(values, f"{symbol}_{column}")) if len(values) else math.nan
        found[f"{name}_forecasted_pnl"] = known if column in frame else 0.0
    return found


def best_strategy(frame: pd.DataFrame) -> str:
    """The strategy with the highest mean return over a backtest, by the old names."""
    means = {name: float(frame[column].mean()) for name, column in _RANKED.items()}
    if not math.isfinite(means["maxdiff"]):
        means["maxdiff"] = -math.inf
    return max(means, key=lambda name: means[name])


def simulation_rows(rows: int, simulations: int) -> list[int]:
    """How many rows each simulation sees, newest first; fewer simulations where data are short."""
    newest = rows - 1 if active_quirks().newest_row_dropped else rows
    number = max(min(simulations, newest), 0)
    if number < simulations:
        logger.warning(
            "%d rows are too few for %d simulations: %d are made", rows, simulations, number
        )
    return [newest - back for back in range(number)]


def _daily_means(results: Sequence[Row]) -> dict[str, list[float]]:
    """By strategy, its average daily returns."""
    return {
        name: [row.get(f"{start}_avg_daily_return", math.nan) for row in results]
        for name, (start, _) in STRATEGIES.items()
    }


def _note(
    writer: Writer, symbol: str, number: int, row: Row, returns: Mapping[str, Sequence[float]]
) -> None:
    """Scalars of a simulation for TensorBoard."""
    if isinstance(writer, NoWriter):
        return
    preds = row["last_preds"]
    losses = {key: preds[f"{key.lower()}_val_loss"] for key in ("Close", "Low", "High", "Open")}
    known = {key: loss for key, loss in losses.items() if not math.isnan(loss)}
    log_simulation(writer, symbol, number, row, losses=known, returns=returns)
