"""Which quirks use later rows: found by the check of look-ahead, and named by the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from genesis_golden import frame_of
from genesis_project import (
    random_candles,
    random_config,
    random_model,
    write_candles,
    write_champion,
    write_model,
)

import marketsim as ms
from marketsim.legacy.genesis import GenesisQuirks
from marketsim.legacy.genesis.backtest.compiled import exit_atr
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.candles import Candles, from_frame
from marketsim.legacy.genesis.columns import columns_of
from marketsim.legacy.genesis.indicators.htf_fibonacci import daily_levels


def candles_of(bars: ms.Bars) -> Candles:
    frame = bars.frame.reset_index(names="timestamp")
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    return from_frame(frame)


def bars_of(candles: Candles) -> ms.Bars:
    frame = frame_of(candles).set_index("timestamp").tz_localize("UTC")
    frame["high"] = frame[["open", "high", "low", "close"]].max(axis=1)
    frame["low"] = frame[["open", "high", "low", "close"]].min(axis=1)
    return ms.Bars(frame, "tX")


def test_features_see_no_later_row() -> None:
    bars = bars_of(random_candles(320, 0))

    def features(bars: ms.Bars) -> dict[str, np.ndarray]:
        found = columns_of(candles_of(bars), "1h", keep=False)
        named = {f"feature {k}": row for k, row in enumerate(found.features)}
        named |= {f"percentile {k}": row for k, row in enumerate(found.percentiles)}
        return named | {"level": found.lower_levels[2]}

    assert ms.check_lookahead(features, bars, reads="before").ok


@pytest.mark.parametrize("how", ["causal", "original"])
def test_daily_levels(how: str) -> None:
    bars = bars_of(random_candles(320, 4, step="D"))

    def levels(bars: ms.Bars) -> np.ndarray:
        days = candles_of(bars)
        found = daily_levels(days.high, days.low, days.close, days.time, how)
        assert days.time is not None
        rows = found.rows_at(days.time)
        return np.where(rows >= 0, found.levels[1][rows], np.nan)

    # A day's levels at its own midnight: "before" is what may be known then.
    assert ms.check_lookahead(levels, bars, reads="before").ok == (how == "causal")


@pytest.mark.parametrize("how", ["bar", "last"])
def test_average_range_of_the_exits(how: str) -> None:
    bars = bars_of(random_candles(320, 0))
    found = ms.check_lookahead(lambda b: exit_atr(candles_of(b), how), bars, reads="current")
    assert found.ok == (how == "bar")


@pytest.mark.parametrize(
    ("htf", "ranges"), [("causal", "bar"), ("original", "bar"), ("causal", "last")]
)
def test_runs(own_project: Path, htf: str, ranges: str) -> None:
    """Equity up to a row must not depend on what comes after it: daily bars are cut as well."""
    quirks = GenesisQuirks(htf=htf, exit_atr=ranges)
    hours = random_candles(2400, 4)
    days = daily(hours)
    config = {
        "thresholds": {"entry_conf_overall": 0.3, "regime_proba": {}},
        "risk": {"risk_map": [[0.2, 0.5]]},
    }
    write_champion(own_project, "tX", "1h", config)
    write_model(own_project, "tX", "1h", random_model(1))

    def equity(rows: int) -> list[tuple[float, float]]:
        end = int(hours.time[rows - 1])
        write_candles(own_project, "tX", "1h", part(hours, rows))
        write_candles(own_project, "tX", "1D", part(days, int((days.time <= end).sum())))
        engine = BacktestEngine("tX", "1h", quirks=quirks)
        engine.load_data()
        result = engine.run()
        named = {line.split(":")[0] for line in result["backtest_info"]["quirks"]}
        assert ("htf" in named, "exit_atr" in named) == (htf == "original", ranges == "last")
        return [(row["capital"], row["total_equity"]) for row in result["equity_curve"]]

    whole = equity(2400)
    assert len({capital for capital, _ in whole}) > 20
    same = True
    for rows in (700, 1100, 1500, 1900):
        short = equity(rows)
        same = same and short == whole[: len(short)]
    assert same == quirks.causal
    assert quirks.causal == (htf == "causal" and ranges == "bar")


def daily(hours: Candles) -> Candles:
    """Bars of 24 hours each."""
    days = [slice(start, start + 24) for start in range(0, len(hours), 24)]
    return Candles(
        np.array([hours.open[day][0] for day in days]),
        np.array([hours.high[day].max() for day in days]),
        np.array([hours.low[day].min() for day in days]),
        np.array([hours.close[day][-1] for day in days]),
        np.array([hours.volume[day].sum() for day in days]),
        np.array([hours.time[day][0] for day in days]),
    )


def part(candles: Candles, rows: int) -> Candles:
    columns = ("open", "high", "low", "close", "volume", "time")
    return Candles(*(getattr(candles, name)[:rows] for name in columns))


def test_random_config_uses_the_gates() -> None:
    """What the other tests draw from does switch things on and off."""
    found = [random_config(seed)["htf_fib"]["entry"]["enabled"] for seed in range(20)]
    assert 4 < sum(found) < 16
