"""A whole run of the old backtest, given its hooks: where data, parameters and models come from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import torch

from marketsim.legacy import loss_utils
from marketsim.legacy.forecasting import Predict
from marketsim.legacy.quirks import active_quirks
from marketsim.legacy.result_rows import STRATEGIES
from marketsim.legacy.settings import setting
from marketsim.legacy.simulation import Costs, Simulations, Sources
from marketsim.legacy.symbols import crypto_symbols
from marketsim.legacy.tensorboard import NoWriter, Writer, log_averages, log_simulation
from marketsim.legacy.walk_forward_stats import (
    compute_walk_forward_stats,
    forecast_profits,
    log_summary,
)

logger = logging.getLogger(__name__)

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
        load_kronos: parameters -> wrapper.
        kronos_is_replaced: whether that is not ours.
        toto_params, kronos_params: symbol -> parameters.
        best_model: symbol -> "toto" or "kronos".
        writer: takes scalars for TensorBoard.
    """

    download: Callable[..., pd.DataFrame]
    fetch_spread: Callable[[str], float]
    predict: Predict | None
    load_kronos: Callable[[Mapping[str, Any]], Any]
    kronos_is_replaced: bool
    toto_params: Callable[[str], dict[str, Any]]
    kronos_params: Callable[[str], dict[str, Any]]
    best_model: Callable[[str], str]
    writer: Writer

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

        return Sources(model, self.toto_params(symbol), self.predict, kronos if asked else None)


def simulate_once(
    hooks: Hooks,
    data: pd.DataFrame,
    symbol: str,
    costs: Costs,
    number: int,
) -> Row:
    """One simulation that sees all rows of the data."""
    run = Simulations(data, symbol, costs, hooks.sources(symbol), setting("max_horizon"))
    row = run.run([len(data)])[0]
    _note(hooks.writer, symbol, number, row)
    return row


def backtest(hooks: Hooks, symbol: str, num_simulations: int) -> pd.DataFrame:
    """See `backtest_test3_inline.backtest_forecasts`."""
    if setting("fast_simulate"):
        num_simulations = min(num_simulations, FAST_SIMULATIONS)
        logger.info("MARKETSIM_FAST_SIMULATE: at most %d simulations", FAST_SIMULATIONS)
    now = datetime.now().strftime("%Y-%m-%d--%H-%M-%S")
    data = hooks.download(now, symbols=[symbol])
    if data.empty:
        logger.error("no data for %s: the source returned an empty frame", symbol)
        return pd.DataFrame()
    spread = float(hooks.fetch_spread(symbol))
    is_crypto = symbol in crypto_symbols
    fee = loss_utils.CRYPTO_TRADING_FEE if is_crypto else loss_utils.TRADING_FEE
    rows = simulation_rows(len(data), num_simulations)
    if not rows:
        return pd.DataFrame()
    costs = Costs(fee, is_crypto, spread, spread)
    run = Simulations(data, symbol, costs, hooks.sources(symbol), setting("max_horizon"))
    results = run.run(rows)
    for number, row in enumerate(results):
        _note(hooks.writer, symbol, number, row)
    frame = pd.DataFrame(results)
    added = compute_walk_forward_stats(frame)
    added.update(forecast_profits(_daily_means(results), symbol, hooks.predict))
    frame = frame.assign(**added)
    log_averages(hooks.writer, symbol, frame)
    log_summary(frame, symbol, len(results))
    return frame


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
        name: [row[f"{start}_avg_daily_return"] for row in results]
        for name, (start, _) in STRATEGIES.items()
    }


def _note(writer: Writer, symbol: str, number: int, row: Row) -> None:
    """Scalars of a simulation for TensorBoard."""
    if isinstance(writer, NoWriter):
        return
    preds = row["last_preds"]
    losses = {key: preds[f"{key.lower()}_val_loss"] for key in ("Close", "Low", "High", "Open")}
    known = {key: loss for key, loss in losses.items() if not math.isnan(loss)}
    log_simulation(writer, symbol, number, row, losses=known)
