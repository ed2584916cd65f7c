"""`core.backtest.walk_forward`: backtests of the champion over periods; nothing is refitted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketsim.errors import NotEnoughBarsError
from marketsim.legacy.genesis.atomic_files import plain, write_json
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.root import project_root
from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader


def run_walk_forward(
    *,
    symbol: str,
    timeframe: str,
    windows: Sequence[tuple[str, str]],
    warmup_bars: int = 150,
    output_dir: Path | None = None,
) -> dict[str, Any]:
    """A backtest of each (start, end); period_NN.json and summary.json in a folder of their own.

    Raises:
        NotEnoughBarsError: there are no bars of a period.
    """
    folder = (output_dir or project_root() / "results" / "walk_forward").resolve()
    champion = ChampionLoader().load(symbol, timeframe)
    now = datetime.now(UTC)
    run_id = f"wf_{symbol}_{timeframe}_{now:%Y%m%d_%H%M%S}"
    periods = []
    for index, (start, end) in enumerate(windows, start=1):
        engine = BacktestEngine(symbol, timeframe, start, end, warmup_bars=warmup_bars)
        if not engine.load_data() or engine.candles_df is None or engine.candles_df.empty:
            raise NotEnoughBarsError(
                f"walk-forward: no bars of {symbol} {timeframe} {start}..{end}"
            )
        result = engine.run(policy={}, configs=dict(champion.config))
        result["walk_forward_info"] = {
            "window_index": index,
            "start": start,
            "end": end,
            "champion_source": champion.source,
        }
        write_json(folder / run_id / f"period_{index:02d}.json", result)
        periods.append({"index": index, "start": start, "end": end, "summary": result["summary"]})
    summary = {
        "run_id": run_id,
        "symbol": symbol,
        "timeframe": timeframe,
        "windows": [list(window) for window in windows],
        "champion_source": champion.source,
        "generated_at": now.replace(tzinfo=None).isoformat(),
        "periods": json.loads(json.dumps(periods, default=plain)),
    }
    write_json(folder / run_id / "summary.json", summary)
    return summary
