"""`scripts/run_backtest.py`: one backtest from the command line.

marketsim genesis run-backtest --symbol tBTCUSD --timeframe 1h
python -m marketsim.legacy.genesis.run_backtest --symbol tBTCUSD --timeframe 1h --fast-window
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from marketsim.errors import ArgumentError, MarketsimError
from marketsim.legacy.genesis.config.runtime import runtime_config, settings_file, validate
from marketsim.legacy.genesis.config.unread import check_settings
from marketsim.legacy.genesis.quirks import GenesisQuirks, current_quirks, quirks_of
from marketsim.legacy.genesis.strategy.model_registry import read_json

EXAMPLES = """examples:
  marketsim genesis run-backtest --symbol tBTCUSD --timeframe 1h --start 2018-06-01 --end 2018-10-01
  marketsim genesis run-backtest --symbol tBTCUSD --timeframe 1h --fast-window --precompute-features
  marketsim genesis run-backtest --symbol tBTCUSD --timeframe 1h --config-file trial_001_config.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The old arguments, then our own."""
    add = parser.add_argument
    add("--symbol", required=True, help="such as tBTCUSD")
    add("--timeframe", required=True, help="such as 15m or 1h")
    add("--start", help="first timestamp, YYYY-MM-DD")
    add("--end", help="last timestamp; a bare date is its midnight")
    add("--capital", type=float, default=10000.0, help="initial capital (10000)")
    add("--commission", type=float, default=0.001, help="share of the value of a fill (0.001)")
    add("--slippage", type=float, default=0.0005, help="share of the price of a fill (0.0005)")
    add("--warmup", type=int, default=120, help="bars without decisions (120)")
    add("--verbose", "-v", action="store_true", help="print each trade")
    add("--no-save", action="store_true", help="write no files")
    add("--config-file", type=Path, help="JSON with 'cfg', over the runtime configuration")
    add("--fast-window", action="store_true", help="accepted; changes nothing but time")
    add("--no-fast-window", dest="fast_window", action="store_false", help="the default")
    add("--precompute-features", action="store_true", help="accepted; changes nothing but time")
    add("--compare", type=Path, help="results of another backtest, to print the differences")
    add("--variant", choices=("D", "E"), help="which commit's rules (D)")
    add("--htf", choices=("original", "causal"), help="daily levels; causal: no later row is used")
    add("--exit-atr", choices=("last", "bar"), help="bar: no later row is used")
    add("--no-strict", action="store_true", help="only warn of settings that nothing reads")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 where it fails."""
    parser = argparse.ArgumentParser(
        prog="run_backtest",
        description="Run a backtest of the second old system.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Run with parsed arguments."""
    try:
        with quirks_of(quirks_from(args)):
            return _run(args)
    except (MarketsimError, OSError) as error:
        print(f"\n[FAILED] {error}", file=sys.stderr)
        return 1


def quirks_from(args: argparse.Namespace) -> GenesisQuirks:
    """The quirks that arguments name, over the current ones."""
    named = {"variant": args.variant, "htf": args.htf, "exit_atr": args.exit_atr}
    changes: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    if args.no_strict:
        changes["strict"] = False
    return replace(current_quirks(), **changes)


def _run(args: argparse.Namespace) -> int:
    from marketsim.legacy.genesis.backtest.engine import BacktestEngine
    from marketsim.legacy.genesis.backtest.metrics import calculate_metrics, print_metrics_report
    from marketsim.legacy.genesis.backtest.trade_logger import TradeLogger
    from marketsim.legacy.genesis.optimizer.scoring import score_backtest

    print(f"[SEED] {seed_all()}: nothing in a backtest draws numbers")
    engine = BacktestEngine(
        args.symbol,
        args.timeframe,
        args.start,
        args.end,
        args.capital,
        args.commission,
        args.slippage,
        args.warmup,
        fast_window=bool(args.fast_window or os.environ.get("GENESIS_FAST_WINDOW")),
    )
    engine.precompute_features = bool(
        args.precompute_features or os.environ.get("GENESIS_PRECOMPUTE_FEATURES")
    )
    if not engine.load_data():
        return 1
    config = merged_config(args.config_file)
    if args.compare:
        read_json(args.compare)  # before anything runs
    policy = {"symbol": args.symbol, "timeframe": args.timeframe}
    results = engine.run(policy, config, verbose=args.verbose)
    score = score_backtest(results)
    results["score"] = {key: score[key] for key in ("score", "metrics", "hard_failures")}
    info = results["backtest_info"]
    print_metrics_report(calculate_metrics(results), info)
    print(f"\nScore: {score['score']:.4f}")
    for line in [*info.get("switches", ()), *(f"quirk {line}" for line in info["quirks"])]:
        print(f"[NOTE] {line}")
    if not args.no_save:
        print("\n[OK] Results saved:")
        for kind, path in TradeLogger().save_all(results).items():
            print(f"  {kind}: {path}")
    if args.compare:
        compare(args.compare, results)
    print("\n[SUCCESS] Backtest complete!")
    return 0


def merged_config(path: Path | None) -> dict[str, Any]:
    """The runtime configuration, with a file's settings over it.

    Raises:
        ArgumentError: the file holds no 'cfg', or a value is outside its limits.
        UnreadSettingError: strict, and nothing reads one of its settings.
    """
    from marketsim.legacy.genesis.strategy.evaluate import deep_merge

    config = runtime_config()
    if path is None:
        return config
    own = settings_file(path)
    check_settings(own, config, current_quirks(), str(path))
    return validate(deep_merge(config, own))


def seed_all() -> int:
    """Seed what could draw numbers: GENESIS_RANDOM_SEED, 42.

    Raises:
        ArgumentError: the variable is no whole number.
    """
    import numpy as np

    text = os.environ.get("GENESIS_RANDOM_SEED", "42")
    try:
        seed = int(text)
    except ValueError as error:
        raise ArgumentError(
            f"GENESIS_RANDOM_SEED: expected a whole number, got {text!r}"
        ) from error
    random.seed(seed)
    np.random.seed(seed)
    return seed


def compare(path: Path, results: Mapping[str, Any]) -> None:
    """Print how score and trades differ from those of a file."""
    baseline = read_json(path)
    before = (baseline.get("score") or {}).get("metrics") or {}
    after = results["score"]["metrics"]
    print("\n[DIFF] Metrics delta:")
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, (int, float)) and isinstance(new, (int, float)):
            print(f"{key}: {new - old:+.4f} (old={old}, new={new})")
    old_trades, new_trades = len(baseline.get("trades") or []), len(results["trades"])
    print(f"[DIFF] Trades: old={old_trades} new={new_trades} delta={new_trades - old_trades:+}")


if __name__ == "__main__":
    sys.exit(main())
