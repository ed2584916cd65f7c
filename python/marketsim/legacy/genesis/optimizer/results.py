"""The results files of trials: trades and equity in the old layout, of the best or of all."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from marketsim.legacy.genesis.atomic_files import write_json
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.backtest.trade_logger import TradeLogger
from marketsim.legacy.genesis.optimizer.scoring import score_backtest
from marketsim.legacy.genesis.optimizer.trials import TrialConfig
from marketsim.legacy.genesis.strategy.model_registry import read_json

Table = dict[str, Any]


def save_results(results: Iterable[Table], trial: TrialConfig, run_dir: Path) -> None:
    """Write the results files of trials, and their names into trial_NNN.json and the results.

    A trial's files are those of the command with its configuration: results/backtests/*.json and
    *_equity_*.csv, results/trades/*.csv. They take some hundred times as long as its score, which
    needs no list of equity rows.

    Args:
        results: trials that ran; others are left as they are.
        trial: symbol, timeframe, dates and warmup of all of them.
    """
    start, end = trial.dates()
    for result in results:
        if result.get("error") or result.get("skipped") or not result.get("config_path"):
            continue
        config = read_json(run_dir / result["config_path"])["cfg"]
        with redirect_stdout(io.StringIO()):
            engine = BacktestEngine(
                trial.symbol, trial.timeframe, start, end, warmup_bars=trial.warmup_bars
            )
            engine.load_data()
            found = engine.run(configs=config)
            score = score_backtest(found)
            found["score"] = {key: score[key] for key in ("score", "metrics", "hard_failures")}
            paths = TradeLogger().save_all(found)
        result["results_path"] = paths["json"].name
        write_json(run_dir / f"{result['trial_id']}.json", result, sync=False)
