"""The same work by marketsim and by other packages: one function a task and package.

A function takes the input and returns a call without arguments that does the work and returns a
number, by which answers are compared. Imports are part of it: they are counted as cold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

BARS, ROWS, UPDATES, RECORDS = 2_148, 100_000, 10_000, 8_000
FAST, SLOW, FEE = 20, 50, 0.001
GRID = (range(2, 102), range(102, 202))

Call = Callable[[], float]


class Input(NamedTuple):
    """Bars of one symbol, a long series, and the flags of a moving-average cross."""

    frame: pd.DataFrame
    entries: np.ndarray
    exits: np.ndarray
    series: np.ndarray


def make_input() -> Input:
    """The same input in every process."""
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0003, 0.01, BARS)))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.005, BARS))
    low = np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.005, BARS))
    index = pd.date_range("2010-01-01", periods=BARS, freq="D")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    frame = pd.DataFrame(columns, index)
    fast, slow = (frame["close"].rolling(n).mean().to_numpy() for n in (FAST, SLOW))
    above = fast > slow
    crossed = np.concatenate(([False], above[1:] & ~above[:-1] & np.isfinite(slow[:-1])))
    left = np.concatenate(([False], ~above[1:] & above[:-1]))
    series = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, ROWS)))
    return Input(frame, crossed, left, series)


def replay_marketsim(given: Input) -> Call:
    import marketsim as ms
    from marketsim.replay import replay

    bars = ms.Bars(given.frame.tz_localize("UTC"), "RANDOM")

    def call() -> float:
        found = replay(bars, given.entries, given.exits, fee_bps=10, fill="same_close")
        return found.metrics["total_return"]

    return call


def replay_raptorbt(given: Input) -> Call:
    import raptorbt

    config = raptorbt.BacktestConfig(initial_capital=1e4, fees=FEE, upon_bar_close=True)
    times = given.frame.index.to_numpy().astype("M8[ns]").view(np.int64)
    prices = [given.frame[name].to_numpy() for name in given.frame]

    def call() -> float:
        found = raptorbt.run_single_backtest(
            times, *prices, given.entries, given.exits, config=config
        )
        return float(found.metrics.total_return_pct) / 100.0

    return call


def replay_vectorbt(given: Input) -> Call:
    import vectorbt as vbt

    close = given.frame["close"]
    flags = [pd.Series(x, close.index) for x in (given.entries, given.exits)]

    def call() -> float:
        found = vbt.Portfolio.from_signals(close, *flags, fees=FEE, init_cash=1e4, freq="1D")
        found.sharpe_ratio(), found.max_drawdown()
        return float(found.total_return())

    return call


def replay_backtesting(given: Input) -> Call:
    import backtesting

    class Cross(backtesting.Strategy):
        def init(self) -> None: ...

        def next(self) -> None:
            t = len(self.data) - 1
            if not self.position and given.entries[t]:
                self.buy()
            elif self.position and given.exits[t]:
                self.position.close()

    frame = given.frame.rename(columns=str.capitalize)
    options: dict[str, Any] = {"cash": 1e7, "commission": FEE, "trade_on_close": True}
    options["finalize_trades"] = True

    def call() -> float:  # whole units of a large account
        return float(backtesting.Backtest(frame, Cross, **options).run()["Return [%]"]) / 100.0

    return call


def grid_marketsim(given: Input) -> Call:
    import marketsim as ms
    from marketsim.search import grid

    bars = ms.Bars(given.frame.tz_localize("UTC"), "RANDOM")
    space = {"fast": GRID[0], "slow": GRID[1]}

    def call() -> float:
        found = grid("sma_cross", bars, space, fee_bps=10, fill="same_close", progress=False)
        return float(found.scores[found.best])

    return call


def grid_vectorbt(given: Input) -> Call:
    import vectorbt as vbt

    close = given.frame["close"]

    def call() -> float:
        averages = vbt.MA.run(close, [*GRID[0], *GRID[1]]).ma.to_numpy()
        fast, slow = averages[:, : len(GRID[0])], averages[:, len(GRID[0]) :]
        best = -np.inf
        for i in range(fast.shape[1]):  # all at once takes more than 3 GB
            above = fast[:, i : i + 1] > slow
            known = np.isfinite(slow)
            up = np.zeros_like(above)
            down = np.zeros_like(above)
            up[1:] = above[1:] & ~above[:-1] & known[:-1]
            down[1:] = ~above[1:] & above[:-1]
            found = vbt.Portfolio.from_signals(
                close.to_numpy(), up, down, fees=FEE, init_cash=1e4, freq="1D"
            )
            best = max(best, float(found.total_return().max()))
        return best

    return call


def rsi_marketsim(given: Input) -> Call:
    from marketsim.indicators import rsi

    return lambda: float(rsi(given.series, 14, convention="talib")[-1])


def rsi_talib(given: Input) -> Call:
    import talib

    return lambda: float(talib.RSI(given.series, 14)[-1])


def rsi_vectorbt(given: Input) -> Call:
    import vectorbt as vbt

    return lambda: float(vbt.RSI.run(given.series, 14, ewm=True).rsi.to_numpy()[-1])


def rsi_raptorbt(given: Input) -> Call:
    import raptorbt

    return lambda: float(raptorbt.rsi(given.series, 14)[-1])


def stream_marketsim(given: Input) -> Call:
    from marketsim.indicators import stream

    values = given.series[:UPDATES].tolist()

    def call() -> float:
        indicator, last = stream.rsi(14, convention="talib"), np.nan
        for value in values:
            last = indicator.update(value)
        return float(last)

    return call


def stream_talipp(given: Input) -> Call:
    from talipp.indicators import RSI

    values = given.series[:UPDATES].tolist()

    def call() -> float:
        indicator = RSI(14)
        for value in values:
            indicator.add(value)
        return float(indicator[-1])

    return call


def _records() -> tuple[np.ndarray, list[bytes]]:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(RECORDS, 11)).astype(np.float32)
    return rows, [rng.bytes(16) for _ in range(RECORDS)]


def store_marketsim(given: Input) -> Call:
    import marketsim as ms
    from marketsim.forecasts import ForecastPlan, PlanKeys, PredictionStore, ReturnTable, run_plans

    bars = ms.Bars(given.frame.tz_localize("UTC"), "RANDOM")
    model = ms.load_model("ewma")
    plan = ForecastPlan.of_rows(len(bars), len(bars) - RECORDS // 4, None, (1,))
    table = ReturnTable.for_model(bars, model)
    store = PredictionStore(Path(tempfile.mkdtemp()), sync="none")
    run_plans([(table, plan)], model, store=store, progress=False)
    keys = PlanKeys.of(table, model, plan)

    def call() -> float:
        records, found = store.read(keys.series, keys.batch)
        return float(records.size > 0 and found.all())

    return call


def store_lmdb(given: Input) -> Call:
    import lmdb

    rows, keys = _records()
    environment = lmdb.open(tempfile.mkdtemp(), map_size=1 << 28, sync=False)
    with environment.begin(write=True) as transaction:
        for key, row in zip(keys, rows, strict=True):
            transaction.put(key, row.tobytes())

    def call() -> float:
        with environment.begin(buffers=True) as transaction:
            found = transaction.cursor().getmulti(keys)
            joined = b"".join([value for _, value in found])
        return float(np.frombuffer(joined, dtype=np.float32).size > 0)

    return call


class Task(NamedTuple):
    """What is measured.

    Attributes:
        title: heading of its table.
        note: what differs between the contenders, or "".
        contenders: distribution name to function.
    """

    title: str
    note: str
    contenders: dict[str, Callable[[Input], Call]]


TASKS = {
    "replay": Task(
        f"Replay of {FAST}/{SLOW} crosses on {BARS:,} bars, fills at the close, fee 10 bps",
        "backtesting.py trades whole units of a large account.",
        {
            "marketsim": replay_marketsim, "raptorbt": replay_raptorbt,
            "vectorbt": replay_vectorbt, "backtesting": replay_backtesting,
        },
    ),
    "grid": Task(
        f"{len(GRID[0]) * len(GRID[1]):,} pairs of averages on {BARS:,} bars, best total return",
        "vectorbt runs 100 pairs at a time: all at once needs more than 3 GB.",
        {"marketsim": grid_marketsim, "vectorbt": grid_vectorbt},
    ),
    "rsi": Task(
        f"RSI(14) of {ROWS:,} rows",
        "marketsim follows TA-Lib's start; the others' differ in the first rows alone.",
        {
            "marketsim": rsi_marketsim, "TA-Lib": rsi_talib, "raptorbt": rsi_raptorbt,
            "vectorbt": rsi_vectorbt,
        },
    ),
    "stream": Task(
        f"RSI(14) bar by bar, {UPDATES:,} updates from Python",
        "",
        {"marketsim": stream_marketsim, "talipp": stream_talipp},
    ),
    "store": Task(
        f"Read about {RECORDS:,} stored records of 11 float32",
        "Both are given their keys and return one array.",
        {"marketsim": store_marketsim, "lmdb": store_lmdb},
    ),
}  # fmt: skip
