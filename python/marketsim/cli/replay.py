"""marketsim replay: an indicator strategy, bar by bar."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli import search_ledger
from marketsim.cli.arguments import (
    EXIT_INTERRUPTED,
    add_data_arguments,
    add_with_default,
    folder_exit,
    read_folder_source,
    read_source,
    report_reading,
)
from marketsim.cli.each import add_jobs, each_symbol, ready, refuse_cluster
from marketsim.cli.loading import load_object
from marketsim.cli.outputs import add_force, check_output, is_page, require_folder
from marketsim.cli.parser import Source
from marketsim.errors import ArgumentError, MarketsimError, StrategyError, UnknownNameError
from marketsim.processes import can_share_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marketsim.bars import Bars
    from marketsim.cli.replay_pages import SymbolFigures
    from marketsim.progress import Progress
    from marketsim.replay import ReplayResult

_EXAMPLES = """strategies:
  sma_cross           fast=10 slow=20
  rsi_reversion       window=14 low=30 high=70
  donchian_breakout   entry=20 exit=10
  module:function     function(bars, **params) -> (entries, exits), truth values a bar,
                      or a dict of arguments of marketsim.replay.replay
  path/file.py:function

examples: (`marketsim demo-data` writes demo.csv)
  marketsim replay demo.csv --strategy sma_cross --params fast=20 slow=100 --fee-bps 10
  marketsim replay BTC-USD.csv --strategy rsi_reversion --stop-loss 0.05 --json
  marketsim replay AAPL.csv --strategy mine.py:signals --start 2015-01-01 --trades trades.csv
  marketsim replay demo --strategy donchian_breakout --report demo.html
  marketsim replay demo --params fast=20 slow=100 --ledger marketsim-trials.sqlite
  marketsim replay bars/ --params fast=20 slow=100 --jobs 2    each symbol of a folder
  marketsim replay bars/ --report pages/

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 3 some symbols of a folder
failed, 130 interrupted
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "replay",
        help="replay an indicator strategy bar by bar",
        description=(
            "Replays a strategy bar by bar: a decision after the close of a bar fills at the next "
            "open. A decision may read that bar and those before it."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        action=Source,
        metavar="FILE|FOLDER|demo",
        help="CSV or Parquet file, folder of files, or demo",
    )
    what = parser.add_argument_group("the strategy")
    add_with_default(what, "--strategy", "a name or module:function", "sma_cross", metavar="NAME")
    what.add_argument(
        "--params", nargs="+", default=[], metavar="NAME=VALUE", help="its parameters"
    )
    what.add_argument(
        "--start", metavar="DATE", help="first bar to replay; decisions know the bars before it"
    )
    what.add_argument("--end", metavar="DATE", help="last bar to replay")
    for flag in ("--stop-loss", "--take-profit", "--trailing-stop"):
        what.add_argument(
            flag, type=float, metavar="X", help="exit at this fraction from the entry price"
        )
    add_with_default(what, "--direction", "side", "long", choices=("long", "short", "both"))
    add_jobs(what)
    account = parser.add_argument_group("the account")
    add_with_default(account, "--cash", "at the start", 10_000.0, type=float, metavar="X")
    add_with_default(account, "--fee-bps", "fee of a fill", 0.0, type=float, metavar="X")
    add_with_default(
        account, "--slippage-bps", "half spread of market and stop fills", 0.0, type=float,
        metavar="X",
    )  # fmt: skip
    add_with_default(
        account, "--fill", "market orders fill at", "next_open",
        choices=("next_open", "same_close"),
    )  # fmt: skip
    add_with_default(
        account, "--policy", "order of prices inside a bar", "open_aware",
        choices=("open_aware", "optimistic"),
    )  # fmt: skip
    add_data_arguments(parser.add_argument_group("the data"))
    output = parser.add_argument_group("the output")
    output.add_argument("--trades", type=Path, metavar="PATH", help="write the trades as CSV")
    output.add_argument(
        "--report",
        type=Path,
        metavar="PATH",
        help="write an offline HTML file with the candles; for a folder, one a symbol",
    )
    add_force(output, "--trades or --report")
    output.add_argument("--json", action="store_true", help="print JSON instead of text")
    output.add_argument("--quiet", action="store_true", help="no progress bar of a folder")
    search_ledger.add_behind(parser.add_argument_group("the trials behind it"))
    old = parser.add_argument_group("switches of an older tool: accepted, without effect")
    old.add_argument(
        "--fast-window", action="store_true", help="windows of past bars are never copied"
    )
    old.add_argument(
        "--precompute-features", action="store_true", help="indicators are always computed once"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the replay; returns the exit code."""
    from marketsim.report.files import check_page_path

    for flag in ("fast_window", "precompute_features"):
        if getattr(args, flag):
            name = flag.replace("_", "-")
            print(f"--{name} changes nothing: every replay computes its indicators once and "
                  "gives the same trades", file=sys.stderr)  # fmt: skip
    if args.trades:  # before anything runs that would be lost with it
        check_output(args.trades, "--trades", args.force, _is_trades)
    params = _parameters(args.params)
    if args.source != "demo" and Path(args.source).is_dir():
        return _run_folder(args, params)
    if args.report:
        check_page_path(args.report)
        check_output(args.report, "--report", args.force, is_page)
    refuse_cluster(args)
    bars = read_source(args)
    result = _replayed(args, bars, params)
    study = f"{args.strategy.rpartition(':')[2]} {bars.symbol}"  # as `search` calls it
    result = search_ledger.with_trials(result, args, study, params)
    if args.trades:
        from marketsim.atomic import replace_file

        target = check_output(args.trades, "--trades", args.force, _is_trades)
        replace_file(target, result.trades.to_csv(index=False).encode())
    if args.report:
        page = check_output(args.report, "--report", args.force, is_page)
        _write_page(args, result, bars, params, page)
    print(json.dumps(result.to_dict(bands=True), indent=2, allow_nan=False) if args.json
          else result.summary(bands=True))  # fmt: skip
    return 0


def _write_page(
    args: argparse.Namespace,
    result: ReplayResult,
    bars: Bars,
    params: dict[str, Any],
    page: Path,
    home: str = "",
) -> None:
    """Write the page of one symbol, with the indicators of a built-in strategy."""
    from marketsim.replay.rules import rule_lines

    lines, kept = rule_lines(args.strategy, bars, **params), _range(bars, args.start, args.end)
    drawn = {name: of[kept] for name, of in lines.items()}
    result.report(page, indicators=drawn or None, home=home)


def _replayed(args: argparse.Namespace, bars: Bars, params: dict[str, Any]) -> ReplayResult:
    """Replay the strategy on the bars of one symbol."""
    from marketsim.bars import Bars
    from marketsim.replay import Account, replay

    arguments = _decided(args.strategy, bars, params)
    # Decisions know all bars before the range; only those in it are replayed.
    kept = _range(bars, args.start, args.end)
    if kept != slice(0, len(bars)):
        arguments = {name: _part(value, kept, len(bars)) for name, value in arguments.items()}
        bars = Bars(
            bars.frame.iloc[kept], bars.symbol, bars.repairs, notes=bars.notes,
            calendar=bars.calendar,
        )  # fmt: skip
    account = Account(
        cash=args.cash, fee_bps=args.fee_bps, slippage_bps=args.slippage_bps, fill=args.fill,
        policy=args.policy,
    )  # fmt: skip
    options = {"direction": args.direction} | {
        name: getattr(args, name)
        for name in ("stop_loss", "take_profit", "trailing_stop")
        if getattr(args, name) is not None
    }
    return replay(bars, account=account, **(options | arguments))


def _run_folder(args: argparse.Namespace, params: dict[str, Any]) -> int:
    """Replay each symbol of a folder; prints one row a symbol."""
    from marketsim.cli.combined import INDEX, PORTFOLIO, page_names
    from marketsim.cli.replay_pages import write_pages
    from marketsim.text import aligned

    if args.trades or args.ledger or args.study:
        raise ArgumentError(
            "--trades, --ledger and --study are of one symbol: got a folder; give one of its files"
        )
    folder = read_folder_source(args)
    pages = page_names(folder)
    if args.report:
        require_folder(args.report)
        for name in (INDEX, PORTFOLIO, *pages.values()):
            check_output(args.report / name, "--report", args.force, is_page)
    found: dict[str, SymbolFigures] = {}
    with ready(args, folder, None) as given:
        if given.run is not None and args.report:
            args.report = args.report.resolve()
            given.run.cluster.require_shared(args.report)
        ran = each_symbol(
            _SymbolReplay(args, given.bars, params, pages), list(folder), found.__setitem__, args,
            description="replaying", fork=can_share_memory(), unit="symbols", units=lambda _: 1,
            run=given.run,
        )  # fmt: skip
    errors = folder.problems | ran.errors
    figures = {symbol: one.figures for symbol, one in found.items()}
    cells = _cells(figures)
    if args.report:
        write_pages(args.report, pages, found, cells, errors, args.strategy)
    if args.json:
        facts = {"symbols": list(figures.values()), "errors": errors}
        print(json.dumps(facts, indent=2, allow_nan=False))
    elif figures:
        print("\n".join(aligned(*cells)))
    for symbol, why in errors.items():
        print(f"error: {symbol}: {why}", file=sys.stderr)
    if args.report and not args.json:
        print(f"\nreports: {args.report / INDEX}")
    if ran.left:
        ran.report_left()
        return EXIT_INTERRUPTED
    return folder_exit(len(figures), len(errors))


_SHOWN = {
    "total_return": ("return", "percent"),
    "sharpe": ("Sharpe", "ratio"),
    "max_drawdown": ("max dd", "depth"),
    "exposure": ("exposure", "share"),
    "trades": ("trades", "count"),
    "win_rate": ("won", "share"),
}


def _cells(figures: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row a symbol."""
    import math

    from marketsim.walkforward.summary import format_value

    rows = []
    for symbol, found in figures.items():
        cells = [found["metrics"].get(name) for name in _SHOWN]
        rows.append(
            [symbol, f"{found['bars']:,}"]
            + [
                format_value(math.nan if cell is None else cell, kind)
                for cell, (_, kind) in zip(cells, _SHOWN.values(), strict=True)
            ]
        )
    return ["symbol", "bars", *(title for title, _ in _SHOWN.values())], rows


@dataclass(frozen=True)
class _SymbolReplay:
    """The replay of one symbol of a folder."""

    args: argparse.Namespace
    folder: Mapping[str, Bars]
    params: dict[str, Any]
    pages: Mapping[str, str]

    def __call__(self, symbol: str, _: Progress) -> SymbolFigures:
        from marketsim.cli.combined import INDEX
        from marketsim.cli.replay_pages import SymbolFigures

        bars = self.folder[symbol]
        report_reading(bars, self.args)
        result = _replayed(self.args, bars, self.params)
        if self.args.report:
            _write_page(
                self.args, result, bars, self.params, self.args.report / self.pages[symbol], INDEX
            )
        return SymbolFigures.of(result)


def _decided(name: str, bars: Bars, params: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `replay` that the strategy gives."""
    function = _strategy(name)
    _check_parameters(function, params)
    try:
        found = function(bars, **params)
    except MarketsimError:
        raise
    except Exception as error:
        raise StrategyError(f"{name} raised {type(error).__name__}: {error}") from error
    if isinstance(found, dict):
        return dict(found)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise ArgumentError(
            f"{name} must return (entries, exits) or a dict of arguments of replay: got "
            f"{type(found).__name__}"
        )
    return {"entries": found[0], "exits": found[1]}


def _check_parameters(function: Callable[..., Any], params: dict[str, Any]) -> None:
    import inspect

    try:
        takes = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):  # a builtin does not say
        return
    if any(one.kind is one.VAR_KEYWORD for one in takes):
        return
    known = [one.name for one in takes]
    for name in params:
        if name not in known:
            raise UnknownNameError("parameter", name, known)


def _range(bars: Bars, start: str | None, end: str | None) -> slice:
    """The rows from one date to another; both are in it, the last with all of its day."""
    import pandas as pd

    index = bars.frame.index
    first, last = 0, len(bars)
    if start:
        first = int(index.searchsorted(_stamp(start, index)))
    if end:
        stamp = _stamp(end, index)
        if len(end) <= 10:
            stamp += pd.Timedelta(days=1) - pd.Timedelta(nanoseconds=1)
        last = int(index.searchsorted(stamp, side="right"))
    if first >= last:
        has = f"{bars.symbol} has {index[0]} to {index[-1]}" if len(index) else "there are no bars"
        raise ArgumentError(
            f"no bar lies from {start or 'the first'} to {end or 'the last'}: {has}"
        )
    return slice(first, last)


def _part(value: Any, kept: slice, count: int) -> Any:
    """The rows of an argument that are kept; what is not one a bar stays."""
    if isinstance(value, str) or hasattr(value, "frame") or not hasattr(value, "__len__"):
        return value
    if len(value) != count:  # refused by name
        return value
    return value.iloc[kept] if hasattr(value, "iloc") else value[kept]


def _is_trades(_: Path, head: bytes) -> bool:
    """Whether a file begins with the header of a table of trades."""
    return head.startswith(b"entry_time,exit_time,side,quantity,entry_price,exit_price,profit,")


def _strategy(name: str) -> Callable[..., Any]:
    from marketsim.replay.rules import RULES

    if name in RULES:
        return RULES[name]
    if ":" not in name:
        raise UnknownNameError("strategy", name, [*RULES, "module:function", "file.py:function"])
    found = load_object(name)
    if not callable(found):
        raise ArgumentError(f"--strategy {name}: expected a function, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _parameters(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (equals and name.isidentifier() and text):
            raise ArgumentError(f"--params takes NAME=VALUE: got {pair!r}")
        for kind in (int, float):
            try:
                found[name] = kind(text)
                break
            except ValueError:
                found[name] = {"true": True, "false": False}.get(text.lower(), text)
    return found


def _stamp(text: str, index: Any) -> Any:
    import pandas as pd

    try:
        stamp = pd.Timestamp(text)
    except ValueError as error:
        raise ArgumentError(f"a date such as 2015-01-31 is expected: got {text!r}") from error
    return stamp.tz_localize(index.tz) if stamp.tzinfo is None else stamp
