"""Whole backtests: recorded runs, and the compiled run against the pipeline bar by bar."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genesis_golden import manifest, needs_golden, recorded, run_names, same
from genesis_project import (
    random_candles,
    random_config,
    random_model,
    recorded_project,
    write_candles,
    write_champion,
    write_model,
)

from marketsim.errors import GenesisBarError
from marketsim.legacy.genesis import GenesisQuirks, use_quirks
from marketsim.legacy.genesis.backtest.compiled import Ran
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.backtest.findings import Findings
from marketsim.legacy.genesis.backtest.htf_exit_engine import HTFFibonacciExitEngine
from marketsim.legacy.genesis.backtest.metrics import calculate_metrics
from marketsim.legacy.genesis.backtest.position_tracker import PositionTracker
from marketsim.legacy.genesis.backtest.records import EXITS
from marketsim.legacy.genesis.candles import Candles
from marketsim.legacy.genesis.columns import forget_columns
from marketsim.legacy.genesis.indicators.exit_fibonacci import calculate_exit_fibonacci_levels
from marketsim.legacy.genesis.names import FEATURES, PERIODS
from marketsim.legacy.genesis.optimizer.scoring import score_backtest
from marketsim.legacy.genesis.quirks import current_quirks, quirks_of
from marketsim.legacy.genesis.strategy.evaluate import evaluate_pipeline

# MARKETSIM_LONG_TESTS: as many as the acceptance asks for; a minute or two.
LONG = bool(os.environ.get("MARKETSIM_LONG_TESTS"))
ROWS = {
    "action": "action",
    "size": "size",
    "steps": "decision_steps",
    "cooldown": "cooldown",
    "last_action": "last_action",
    "equity": "equity",
    "capital": "capital",
    "unrealized": "unrealized",
    "side": "pos_side",
    "held": "pos_size",
    "trail": "trail_stop",
    "processed": "processed",
}


class Seen(BacktestEngine):
    """An engine that keeps what its compiled run left."""

    ran: Ran
    findings: Findings

    def _results(self, prepared: Any, ran: Any, config: Any, *rest: Any) -> dict[str, Any]:
        self.ran, self.prepared = ran, prepared
        self.findings = Findings(prepared, ran, config, rest[1])
        return super()._results(prepared, ran, config, *rest)


def recorded_engine(root: Path, name: str) -> tuple[Seen, dict[str, Any], dict[str, Any]]:
    info = recorded_project(root, name)
    use_quirks(GenesisQuirks(variant=info["variant"]))
    engine = Seen(
        info["symbol"],
        info["timeframe"],
        initial_capital=info["capital"],
        commission_rate=info["commission"],
        slippage_rate=info["slippage"],
        warmup_bars=info["warmup"],
    )
    assert engine.load_data()
    return engine, info, engine.run()


def check_columns(engine: Seen, arrays: dict[str, Any], bars: slice) -> None:
    """Every recorded feature, percentile and level: bits, 1e-15 where exp enters."""
    columns = engine.prepared.columns
    cells = {f"f_{name}": row for name, row in zip(FEATURES, columns.features, strict=True)}
    for k, rows in enumerate(PERIODS):
        for share, part in enumerate(("p40", "p80")):
            cells[f"atrp{rows}_{part}"] = columns.percentiles[2 * k + share]
    if columns.lower is not None:
        levels = ("ltf_0", "ltf_0382", "ltf_05", "ltf_0618", "ltf_0786", "ltf_1")
        cells |= dict(zip(levels, columns.lower_levels, strict=True))
        cells |= {"ltf_high": columns.lower.high, "ltf_low": columns.lower.low}
        cells |= {"ltf_nh": np.maximum(columns.lower.highs, 1)}
        cells |= {"ltf_nl": np.maximum(columns.lower.lows, 1), "ltf_ok": columns.lower_ok}
    known = np.isfinite(arrays["f_atr_14"])
    known[: bars.start] = False
    assert np.array_equal(known[bars], np.isfinite(columns.features[5][bars]))
    for name, values in cells.items():
        tolerance = 1e-15 if name.startswith(("f_fib_prox", "f_fib0")) else 0.0
        found, expected = values[known].astype(float), arrays[name][known].astype(float)
        np.testing.assert_allclose(found, expected, tolerance, 0.0, True, name)


@needs_golden
@pytest.mark.parametrize("name", run_names())
def test_recorded_run(own_project: Path, name: str) -> None:
    engine, info, result = recorded_engine(own_project, name)
    arrays, text = recorded(name)
    bars = slice(info["warmup"], None)
    for ours, theirs in ROWS.items():
        found, expected = engine.ran.rows[ours][bars], arrays[theirs][bars]
        np.testing.assert_array_equal(found.astype(float), expected.astype(float), ours)
    regimes = [text["regime_codes"][x] for x in ("bear", "bull", "ranging", "balanced")]
    assert regimes == [0, 1, 2, 3]
    np.testing.assert_array_equal(engine.prepared.columns.regime[bars], arrays["regime"][bars])
    for bar in range(info["warmup"], info["bars"]):
        expected_reasons = text["reason_list"][arrays["reasons"][bar]]
        assert ";".join(engine.findings.reasons(bar)) == expected_reasons, bar
    for row, name_ in enumerate(("p_buy", "p_sell", "p_hold")):
        np.testing.assert_allclose(
            engine.prepared.probas[row][bars], arrays[name_][bars], rtol=1e-15, atol=1e-15
        )
    check_columns(engine, arrays, bars)
    names = [EXITS[code] if code >= 0 else None for code in engine.ran.rows["exit"][bars]]
    codes = [text["exit_list"][code] if code >= 0 else None for code in arrays["exit"][bars]]
    assert names == codes
    daily = np.flatnonzero(arrays["htf_ok"] == 1)
    assert np.array_equal(daily, np.flatnonzero(engine.prepared.arrays["higher_ok"])[-len(daily) :])
    for bar in daily[:: max(len(daily) // 50, 1)]:
        context = engine.findings.higher(int(bar))
        keys = ("htf_0382", "htf_05", "htf_0618", "htf_0786")
        assert list(context["levels"].values()) == [arrays[key][bar] for key in keys]
        assert context["swing_age_bars"] == arrays["htf_age"][bar]
        assert context["data_age_hours"] == arrays["htf_data_age_h"][bar]
    assert len(result["trades"]) == len(text["trades"])
    for k, (ours, theirs) in enumerate(zip(result["trades"], text["trades"], strict=True)):
        assert list(ours) == list(theirs)
        assert same(ours, theirs, 1e-12), (k, ours, theirs)
    for key in ("summary", "backtest_info"):
        own = {x: result[key][x] for x in text[key]}
        assert same(own, text[key], 1e-12), key
    metrics = calculate_metrics(result)
    assert same({x: metrics[x] for x in text["metrics"]}, text["metrics"], 1e-12)
    score = score_backtest(result)
    assert same({x: score[x] for x in text["score"]}, text["score"], 1e-12)
    assert result["summary"]["final_capital"] == info["final_capital"]


@needs_golden
@pytest.mark.parametrize("name", run_names())
def test_recorded_bars_of_the_pipeline(own_project: Path, name: str) -> None:
    engine, info, _ = recorded_engine(own_project, name)
    for bar, snapshot in recorded(name)[1]["snapshots"].items():
        window = engine._build_candles_window(int(bar))
        if info["variant"] == "E":  # it handed its pipeline nanoseconds
            window["timestamp"] = [stamp.value for stamp in window["timestamp"]]
        before = engine.ran.rows[int(bar) - 1]
        state = {
            "last_action": {1: "LONG", -1: "SHORT", 0: None}[int(before["last_action"])],
            "decision_steps": int(before["steps"]),
            "cooldown_remaining": int(before["cooldown"]),
        }
        policy = {"symbol": info["symbol"], "timeframe": info["timeframe"]}
        result, meta = evaluate_pipeline(window, policy=policy, state=state)
        assert same(result, snapshot["result"], 1e-15)
        for key in ("features", "proba", "confidence", "regime"):
            assert same(meta[key], snapshot["meta"][key], 1e-15), (bar, key)
        decision = snapshot["meta"]["decision"]
        assert meta["decision"]["reasons"] == decision["reasons"]
        assert meta["decision"].get("size") == decision.get("size")


def by_bar(
    engine: BacktestEngine, candles: Candles, root: Path, settings: Mapping[str, Any]
) -> tuple[list[Any], Any]:
    """The old loop in plain Python, over the old per-bar functions: the oracle."""
    tracker = PositionTracker()
    exits = HTFFibonacciExitEngine(engine.htf_exit_config)
    state: dict[str, Any] = {}
    actions = []
    exit_range = float(engine.prepared.arrays["exit_atr"][0])  # type: ignore[attr-defined]
    policy = {"symbol": engine.symbol, "timeframe": engine.timeframe}
    import pandas as pd

    assert candles.time is not None
    for bar in range(engine.warmup_bars, len(candles)):
        window = engine._build_candles_window(bar)
        result, meta = evaluate_pipeline(window, policy=policy, state=state)
        time, close = pd.Timestamp(int(candles.time[bar])), float(candles.close[bar])
        if tracker.has_position():
            leave(tracker, exits, candles, bar, result, exit_range, time, settings)
        decision = meta["decision"]
        if result["action"] != "NONE" and decision["size"] > 0:
            done = tracker.execute_action(
                result["action"], decision["size"], close, time, engine.symbol
            )
            if done["executed"]:
                arm(tracker, meta["features"].get("htf_fibonacci") or {})
        tracker.update_equity(close, time)
        tracker.set_pending_reasons(decision["reasons"])
        state = decision["state_out"]
        actions.append((result["action"], decision["reasons"]))
    tracker.close_all_positions(float(candles.close[-1]), pd.Timestamp(int(candles.time[-1])))
    return actions, tracker


def arm(tracker: PositionTracker, context: dict[str, Any]) -> None:
    position = tracker.position
    assert position is not None
    high, low = context.get("swing_high", 0.0), context.get("swing_low", 0.0)
    if context.get("available") and high > low > 0:
        levels = calculate_exit_fibonacci_levels(position.side, high, low)
        position.arm_exit_context({"levels": levels, "swing_low": low, "swing_high": high})


def leave(
    tracker: PositionTracker,
    exits: HTFFibonacciExitEngine,
    candles: Candles,
    bar: int,
    result: dict[str, Any],
    exit_range: float,
    time: Any,
    settings: Mapping[str, Any],
) -> None:
    position = tracker.position
    assert position is not None
    close = float(candles.close[bar])
    prices = {"high": float(candles.high[bar]), "low": float(candles.low[bar]), "close": close}
    for action in exits.check_exits(position, prices, {}, {"atr": exit_range}):
        if action.action == "PARTIAL":
            part = tracker.partial_close(action.size, close, time, action.reason)
            if settings.get("partial_break_even") and part is not None and part.remaining_size > 0:
                to_entry(position, settings.get("partial_break_even_offset", 0.0))
        elif action.action == "TRAIL_UPDATE":
            position.trail_stop = action.stop_price
            least = settings.get("break_even_trigger")
            if least is not None and tracker.get_unrealized_pnl_pct(close) / 100.0 >= least:
                to_entry(position, settings.get("break_even_offset", 0.0))
    if tracker.position is None:
        return
    is_long, stop = position.side == "LONG", position.trail_stop
    if stop and (close <= stop if is_long else close >= stop):
        tracker.close_position_with_reason(close, time, "TRAIL_STOP")
        return
    share = tracker.get_unrealized_pnl_pct(close) / 100.0
    least, most = -settings.get("stop_loss_pct", 0.02), 2.0 * settings.get("take_profit_pct", 0.05)
    reason = "EMERGENCY_SL" if share <= least else "EMERGENCY_TP" if share >= most else None
    confidence = result["confidence"]["buy" if is_long else "sell"]
    if reason is None and confidence < settings.get("exit_conf_threshold", 0.45):
        reason = "CONF_DROP"
    if reason is not None:
        tracker.close_position_with_reason(close, time, reason)


def to_entry(position: Any, offset: float) -> None:
    """Break-even: the stop goes to the entry price and the offset, unless it is nearer already."""
    sign = 1.0 if position.side == "LONG" else -1.0
    price = position.entry_price * (1.0 + sign * offset)
    if position.trail_stop:
        price = sign * max(sign * position.trail_stop, sign * price)
    position.trail_stop = price


# Settings, exits at levels, seed. An update of the trailing stop overwrites that of a partial exit.
EVENS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "trigger": ({"break_even_trigger": 0.0005, "break_even_offset": 0.0003}, {}, 2),
    "partial": (
        {"partial_break_even": True, "partial_break_even_offset": 0.002},
        {"enable_trailing": False},
        12,
    ),
    "both": ({"break_even_trigger": 0.001, "partial_break_even": True}, {}, 2),
}


@pytest.mark.parametrize("kind", EVENS)
def test_break_even_stops(own_project: Path, kind: str) -> None:
    """The compiled run against the old loop; and the stops close positions."""
    settings, levels, seed = EVENS[kind]
    with quirks_of(GenesisQuirks(variant="E")):
        plain = compiled_and_old(own_project, seed, {}, levels)
        even = compiled_and_old(own_project, seed, settings, levels)
    assert even["trades"] != plain["trades"]
    stops = [trade["exit_reason"] for trade in even["trades"]].count("TRAIL_STOP")
    assert stops > [trade["exit_reason"] for trade in plain["trades"]].count("TRAIL_STOP")


@pytest.mark.parametrize("seed", range(6))
def test_compiled_run_is_the_old_loop(own_project: Path, seed: int) -> None:
    compiled_and_old(own_project, seed, {}, {})


def compiled_and_old(
    own_project: Path, seed: int, even: dict[str, Any], levels: dict[str, Any]
) -> dict[str, Any]:
    """Run both and compare; the compiled run's result."""
    symbol, timeframe = "tTEST", "1h" if seed % 3 else "15m"
    candles = random_candles(180, seed)
    write_candles(own_project, symbol, timeframe, candles)
    if seed % 2 == 0:
        write_candles(own_project, symbol, "1D", random_candles(60, seed + 100, step="D"))
    config = random_config(seed)
    config["exit"] = {**config.get("exit", {}), **even}
    exits = config["exit"] if current_quirks().reads_exit else {}
    write_champion(own_project, symbol, timeframe, config)
    write_model(own_project, symbol, timeframe, random_model(seed))
    engine = Seen(symbol, timeframe, warmup_bars=40, htf_exit_config=levels)
    assert engine.load_data()
    result = engine.run()
    actions, tracker = by_bar(engine, candles, own_project, exits)
    for bar, (action, reasons) in enumerate(actions, start=40):
        row = engine.ran.rows[bar]
        assert {1: "LONG", -1: "SHORT", 0: "NONE"}[int(row["action"])] == action, bar
        assert engine.findings.reasons(bar) == reasons, bar
    assert [row["total_equity"] for row in tracker.equity_curve] == [
        row["total_equity"] for row in result["equity_curve"]
    ]
    keys = ("side", "size", "entry_price", "exit_price", "pnl", "pnl_pct", "commission")
    more = ("exit_reason", "is_partial", "remaining_size", "entry_reasons", "position_id")
    for ours, theirs in zip(result["trades"], tracker.trades, strict=True):
        assert {x: ours[x] for x in (*keys, *more)} == {
            x: getattr(theirs, x) for x in (*keys, *more)
        }
    assert same(result["summary"], tracker.get_summary())
    return result


def run_once(root: Path, symbol: str, timeframe: str, **options: Any) -> dict[str, Any]:
    precompute = options.pop("precompute", False)
    engine = BacktestEngine(symbol, timeframe, warmup_bars=30, on_error="skip", **options)
    engine.precompute_features = precompute
    assert engine.load_data()
    result = engine.run()
    return {key: result[key] for key in ("trades", "equity_curve", "summary")}


def test_modes_and_stores_give_the_same(own_project: Path) -> None:
    traded = 0
    for seed in range(200 if LONG else 30):
        candles = random_candles(52 + 7 * (seed % 50), seed)
        write_candles(own_project, "tX", "1h", candles)
        write_champion(own_project, "tX", "1h", random_config(seed))
        write_model(own_project, "tX", "1h", random_model(seed))
        forget_columns()
        modes = [(False, False), (True, False), (False, True), (True, True)]
        found = [
            repr(run_once(own_project, "tX", "1h", fast_window=fast, precompute=ahead))
            for fast, ahead in modes
        ]
        assert len(set(found)) == 1, seed
        traded += "CLOSE_" in found[0]
    assert traded > 12


def test_no_edit_leaves_a_stale_answer(own_project: Path) -> None:
    rng = np.random.default_rng(5)
    candles, daily = random_candles(120, 4), random_candles(40, 8, step="D")
    config, model = random_config(3), random_model(3)
    symbol, timeframe = "tX", "1h"

    def write() -> None:
        write_candles(own_project, symbol, timeframe, candles)
        write_candles(own_project, symbol, "1D", daily)
        write_champion(own_project, symbol, timeframe, config)
        write_model(own_project, symbol, timeframe, model)

    write()
    for _ in range(1000 if LONG else 30):
        kind = int(rng.integers(6))
        if kind < 2:
            bars = candles if kind == 0 else daily
            column = getattr(bars, str(rng.choice(["high", "low", "close"])))
            column[int(rng.integers(len(column)))] *= 1 + rng.normal(0, 0.003)
        elif kind == 2:
            config["thresholds"]["entry_conf_overall"] = float(rng.uniform(0.3, 0.5))
        elif kind == 3:
            model["buy"]["b"] = float(rng.normal(0, 0.3))
        elif kind == 4:
            timeframe = {"1h": "30m", "30m": "1h"}[timeframe]
        else:
            symbol = {"tX": "tY", "tY": "tX"}[symbol]
        write()
        warm = repr(run_once(own_project, symbol, timeframe))
        forget_columns()
        from marketsim.legacy.genesis.indicators import htf_fibonacci

        htf_fibonacci._kept.clear()
        assert repr(run_once(own_project, symbol, timeframe)) == warm


def test_a_failing_bar_is_named_or_counted(own_project: Path) -> None:
    candles = random_candles(200, 0)
    for column in (candles.open, candles.high, candles.low, candles.close):
        column[-30:] = candles.close[-31]  # the exits' average range is 0
    write_candles(own_project, "tX", "1h", candles)
    write_candles(own_project, "tX", "1D", random_candles(40, 8, step="D"))
    config = {"thresholds": {"entry_conf_overall": 0.1, "regime_proba": {}}}
    config["risk"] = {"risk_map": [[0.1, 0.01]]}  # type: ignore[dict-item]
    write_champion(own_project, "tX", "1h", config)
    write_model(own_project, "tX", "1h", random_model(1))
    engine = BacktestEngine("tX", "1h", warmup_bars=60)
    engine.load_data()
    with pytest.raises(GenesisBarError, match=r"bar \d+ \(2020-03-.*average range"):
        engine.run()
    engine = BacktestEngine("tX", "1h", warmup_bars=60, on_error="skip")
    engine.load_data()
    info = engine.run()["backtest_info"]
    assert info["bars_failed"] > 0 and info["bars_processed"] + info["bars_failed"] == 140


@needs_golden
def test_quirks_change_what_they_say(own_project: Path) -> None:
    runs = manifest()["runs"].items()
    names = [n for n, info in runs if (info["variant"], info["timeframe"]) == ("D", "1h")]
    for name in names:
        engine, _, plain = recorded_engine(own_project, name)
        counts = {}
        for change in ({"exit_atr": "bar"}, {"htf": "causal"}, {"exit_settings": "exit"}):
            use_quirks(GenesisQuirks(**change))
            other = BacktestEngine(engine.symbol, engine.timeframe)
            other.load_data()
            result = other.run()
            (option,) = change
            counts[option] = len(result["trades"])
            lines = result["backtest_info"]["quirks"]
            assert not any(line.startswith(f"{option}:") for line in lines)
            assert any(line.startswith(f"{option}:") for line in plain["backtest_info"]["quirks"])
        print(name, len(plain["trades"]), counts)
        use_quirks(GenesisQuirks(reasons="entry"))
        other = BacktestEngine(engine.symbol, engine.timeframe)
        other.load_data()
        for trade in other.run()["trades"]:
            assert trade["entry_reasons"][-1].startswith("ENTRY_")
