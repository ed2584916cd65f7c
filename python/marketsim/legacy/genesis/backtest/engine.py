"""`core.backtest.engine`: a backtest of one symbol and timeframe."""

from __future__ import annotations

import contextlib
import gc
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from marketsim.arguments import as_number, check_whole
from marketsim.errors import ArgumentError, GenesisWarning, UnknownNameError
from marketsim.legacy.genesis.atomic_files import save_npz
from marketsim.legacy.genesis.backtest.compiled import Prepared, Ran, prepare, run_prepared
from marketsim.legacy.genesis.backtest.findings import Findings
from marketsim.legacy.genesis.backtest.htf_exit_engine import HTFFibonacciExitEngine
from marketsim.legacy.genesis.backtest.position_tracker import PositionTracker
from marketsim.legacy.genesis.backtest.settings import EXIT_DEFAULTS, settings_of
from marketsim.legacy.genesis.backtest.trades import as_dict, trades_of
from marketsim.legacy.genesis.candles import COLUMNS, Candles, from_frame, read_frame, within
from marketsim.legacy.genesis.config.runtime import refuse_nan
from marketsim.legacy.genesis.config.unread import check_levels, check_run
from marketsim.legacy.genesis.names import WINDOW
from marketsim.legacy.genesis.quirks import GenesisQuirks, current_quirks, quirks_of
from marketsim.legacy.genesis.root import candles_file, project_root
from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader
from marketsim.legacy.genesis.strategy.evaluate import merge_configs
from marketsim.legacy.genesis.strategy.prob_model import model_of
from marketsim.legacy.genesis.variables import without_effect

if TYPE_CHECKING:
    import pandas as pd

SWITCHES = {
    "fast_window": "accepted; no window is built in any mode, so results and time are the same",
    "precompute_features": "accepted; features are always computed once for the whole series; the "
    "old file of indicators is written and never read",
}


class CandleCache:
    """The old store of frames. The engine reads its file at each load: it can have changed."""

    def __init__(self, max_size: int = 4) -> None:
        self._max_size = max_size
        self._store: dict[tuple[str, str], pd.DataFrame] = {}

    def get(self, key: tuple[str, str]) -> pd.DataFrame | None:
        """The frame of a symbol and timeframe."""
        return self._store.get(key)

    def put(self, key: tuple[str, str], value: pd.DataFrame) -> None:
        """Keep a frame; the oldest goes."""
        if key not in self._store and len(self._store) >= self._max_size:
            del self._store[next(iter(self._store))]
        self._store[key] = value

    def clear(self) -> None:
        """Empty it."""
        self._store.clear()


class BacktestEngine:
    """Runs the pipeline at each close: exits, then entries, all at that close.

    Args:
        symbol: such as tBTCUSD.
        timeframe: such as 1h.
        start_date, end_date: rows with start <= timestamp <= end; a bare date is its midnight.
        initial_capital: in units of the quote currency.
        commission_rate, slippage_rate: shares of the value, and of the price, of each fill.
        warmup_bars: rows without decisions.
        htf_exit_config: settings of the exits at Fibonacci levels, over the defaults.
        fast_window: accepted; see `SWITCHES`.
        quirks: which defects are reproduced; None: those of `use_quirks`.
        on_error: "raise", or "skip": a bar that fails leaves no equity row and is counted.

    Raises:
        ArgumentError: capital, rates or warmup that cannot be.
        UnreadSettingError: strict, and nothing reads one of htf_exit_config.

    Attributes:
        precompute_features: accepted; see `SWITCHES`.
        candles_df: the bars; None before they are loaded.
        state: what the last decision left.
        bar_count: bars processed.
    """

    _candles_cache = CandleCache(max_size=4)

    def __init__(
        self,
        symbol: str,
        timeframe: str,
        start_date: str | None = None,
        end_date: str | None = None,
        initial_capital: float = 10000.0,
        commission_rate: float = 0.001,
        slippage_rate: float = 0.0005,
        warmup_bars: int = 120,
        htf_exit_config: Mapping[str, Any] | None = None,
        fast_window: bool = False,
        *,
        quirks: GenesisQuirks | None = None,
        on_error: str = "raise",
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise UnknownNameError("on_error", on_error, ("raise", "skip"))
        _check_money(initial_capital, commission_rate, slippage_rate)
        self.symbol, self.timeframe = symbol, timeframe
        self.start_date, self.end_date = start_date, end_date
        self.warmup_bars = check_whole("warmup_bars", warmup_bars, 0)
        self.fast_window = bool(fast_window)
        self.precompute_features = False
        self.quirks, self.on_error = quirks, on_error
        self.candles_df: pd.DataFrame | None = None
        self.position_tracker = PositionTracker(initial_capital, commission_rate, slippage_rate)
        self.state: dict[str, Any] = {}
        self.bar_count = 0
        self.champion_loader = ChampionLoader()
        check_levels(htf_exit_config or {}, quirks or current_quirks())
        self.htf_exit_config = {**EXIT_DEFAULTS, **(htf_exit_config or {})}
        self.htf_exit_engine = HTFFibonacciExitEngine(self.htf_exit_config)

    def load_data(self) -> bool:
        """Read the bars under `data`; False where there are none.

        Raises:
            FileFormatError: the file is no Parquet file with the columns of candles.
            ArgumentError: start_date or end_date is no date.
        """
        path, places = candles_file(self.symbol, self.timeframe)
        if path is None:
            print("[ERROR] Data file not found:", *places, sep="\n  ")
            return False
        frame = read_frame(path, ("timestamp", *COLUMNS), path)
        frame = within(frame, self.start_date, self.end_date)
        self.candles_df = frame
        print(f"[OK] {len(frame):,} candles of {path.name}")
        if len(frame) < self.warmup_bars:
            print(f"[WARN] Not enough data for warmup ({len(frame)} < {self.warmup_bars})")
        return True

    def _build_candles_window(self, end_idx: int, window_size: int = WINDOW) -> dict[str, Any]:
        """The rows that the old pipeline was handed at a bar."""
        if self.candles_df is None:
            raise RuntimeError("no candles: call load_data() first")
        rows = self.candles_df.iloc[max(0, end_idx - window_size + 1) : end_idx + 1]
        names = ("open", "high", "low", "close", "volume")
        out: dict[str, Any] = {name: rows[name].to_numpy() for name in names}
        out["timestamp"] = rows["timestamp"].tolist()
        return out

    def run(
        self,
        policy: dict[str, Any] | None = None,
        configs: dict[str, Any] | None = None,
        verbose: bool = False,
    ) -> dict[str, Any]:
        """Backtest; the old dictionary of results, {"error": "no_data"} before loading.

        Args:
            policy: symbol and timeframe of the model; the engine's own where they are missing.
            configs: over the champion's.
            verbose: print each trade.

        Raises:
            GenesisBarError: a bar fails, and on_error is "raise".
            ArgumentError: `configs` is no table, or a setting, a weight of the model or a
                timestamp is no number.
            UnreadSettingError: strict, and nothing reads one of `configs`.
        """
        if self.candles_df is None:
            print("[ERROR] No data loaded. Call load_data() first.")
            return {"error": "no_data"}
        bars = f"{len(self.candles_df):,} bars, warmup {self.warmup_bars}"
        print(f"Running Backtest: {self.symbol} {self.timeframe}, {bars}")
        if not isinstance(configs or {}, Mapping):
            raise ArgumentError(f"configs: expected a table of settings, got {configs!r:.80}")
        refuse_nan(configs or {}, "configs")
        quirks = self.quirks or current_quirks()
        named = {"symbol": self.symbol, "timeframe": self.timeframe, **(policy or {})}
        with quirks_of(quirks):
            champion = self.champion_loader.load(self.symbol, self.timeframe)
            check_run(configs or {}, champion.config, quirks)
            config = merge_configs(champion.config, configs or {})
            if (named["symbol"], named["timeframe"]) != (self.symbol, self.timeframe):
                own = self.champion_loader.load(named["symbol"], named["timeframe"])
                config = merge_configs(own.config, config)
            model = model_of(named["symbol"], named["timeframe"])
            candles = from_frame(self.candles_df)
            _warn_of_prices(candles)
            prepared = prepare(candles, named["symbol"], named["timeframe"], model, quirks)
            ran = self._run(prepared, config, quirks)
            if self.precompute_features:
                self._write_indicators(prepared.candles)
            with _without_collection():
                return self._results(prepared, ran, config, quirks, named["timeframe"], verbose)

    def _run(self, prepared: Prepared, config: Mapping[str, Any], quirks: GenesisQuirks) -> Ran:
        tracker = self.position_tracker
        settings = settings_of(config, self.htf_exit_config, quirks)
        settings.capital = tracker.initial_capital  # each run begins anew
        settings.commission, settings.slippage = tracker.commission_rate, tracker.slippage_rate
        settings.warmup = int(self.warmup_bars)
        return run_prepared(prepared, settings, on_error=self.on_error)

    def _results(
        self,
        prepared: Prepared,
        ran: Ran,
        config: Mapping[str, Any],
        quirks: GenesisQuirks,
        timeframe: str,
        verbose: bool,
    ) -> dict[str, Any]:
        findings = Findings(prepared, ran, config, timeframe)
        tracker, outcome = self.position_tracker, ran.outcome
        tracker.trades = trades_of(
            ran,
            findings,
            self.symbol,
            self.htf_exit_config,
            prepared.arrays["exit_atr"],
            reasons=quirks.reasons,
        )
        tracker.capital, tracker.total_commission = outcome.capital, outcome.commission
        tracker.max_capital, tracker.min_capital = outcome.max_capital, outcome.min_capital
        tracker.equity_curve = equity_curve(findings.times, ran)
        done = np.flatnonzero(ran.rows["processed"])
        if len(done):
            self.state = findings.final_state(int(done[-1]))
        self.bar_count = int(outcome.processed)
        trades = [as_dict(trade, findings.text) for trade in tracker.trades]
        if verbose:
            for trade in trades:
                line = "[{exit_time}] {side} {size:.4f} @ {exit_price:.2f} ({exit_reason})"
                print(line.format(**trade))
        return {
            "backtest_info": self._info(outcome.failed, quirks),
            "summary": tracker.get_summary(),
            "trades": trades,
            "equity_curve": tracker.equity_curve,
        }

    def _info(self, failed: int, quirks: GenesisQuirks) -> dict[str, Any]:
        assert self.candles_df is not None
        stamps = self.candles_df["timestamp"]
        info: dict[str, Any] = {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "start_date": str(stamps.min()),
            "end_date": str(stamps.max()),
            "bars_total": len(self.candles_df),
            "bars_processed": self.bar_count,
            "warmup_bars": self.warmup_bars,
            "variant": quirks.variant,
            "quirks": quirks.lines(),
        }
        switched = {
            "fast_window": self.fast_window or os.environ.get("GENESIS_FAST_WINDOW"),
            "precompute_features": self.precompute_features,
        }
        notes = [f"{name}: {SWITCHES[name]}" for name, on in switched.items() if on]
        notes += without_effect()
        if notes:
            info["switches"] = notes
        if failed:
            info["bars_failed"] = int(failed)
        return info

    def _write_indicators(self, candles: Candles) -> None:
        name = f"{self.symbol}_{self.timeframe}_{len(candles)}.npz"
        save_npz(project_root() / "cache" / "precomputed" / name, candles)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Collect no garbage while thousands of rows are made that stay: a sixth of a run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_money(capital: object, commission: object, slippage: object) -> None:
    if not 0.0 < as_number("initial_capital", capital) < np.inf:
        raise ArgumentError(f"initial_capital must be above 0 and finite: got {capital!r}")
    for name, rate in (("commission_rate", commission), ("slippage_rate", slippage)):
        if not -1.0 < as_number(name, rate) < 1.0:
            raise ArgumentError(f"{name} must be a share between -1 and 1: got {rate!r}")


def _warn_of_prices(candles: Candles) -> None:
    """Report rows whose prices are missing, infinite or not above 0: the pipeline takes them."""
    prices = np.stack([candles.open, candles.high, candles.low, candles.close])
    bad = np.flatnonzero(~((prices > 0) & np.isfinite(prices)).all(0))
    if len(bad):
        row = int(bad[0])
        warnings.warn(
            f"candles: {len(bad)} of {len(candles)} rows have a price that is missing, infinite or "
            f"not above 0; the first is row {row}. Every bar whose 200 rows hold one is affected",
            GenesisWarning,
            stacklevel=3,
        )


def equity_curve(times: Sequence[Any], ran: Ran) -> list[dict[str, Any]]:
    """The old list of equity rows, one a processed bar."""
    rows = ran.rows
    done = np.flatnonzero(rows["processed"])
    columns = zip(
        [times[bar] for bar in done.tolist()],
        rows["capital"][done].tolist(),
        rows["unrealized"][done].tolist(),
        rows["equity"][done].tolist(),
        strict=True,
    )
    return [
        {"timestamp": time, "capital": capital, "unrealized_pnl": pnl, "total_equity": equity}
        for time, capital, pnl, equity in columns
    ]
