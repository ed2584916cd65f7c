"""marketsim store import-legacy: import forecasts from the legacy cache."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import (
    NAMES,
    add_data_arguments,
    add_lock_timeout,
    read_folder_source,
    read_source,
)
from marketsim.cli.parser import Source
from marketsim.cli.store_text import name_text, plural, print_json
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketsim.bars import Bars
    from marketsim.forecasts import ForecastStore
    from marketsim.legacy.stock.cache.take_over import ImportReport

IMPORT = """Import forecasts from the legacy cache, a folder of pickles named by MD5 sums.

examples:
  marketsim store import-legacy .cache/cached_predict data/BTCUSD.csv --model-fingerprint 3f2a...
  marketsim store import-legacy .cache bars/ --model-fingerprint 3f2a... --first-row any
  marketsim store import-legacy .cache AAPL.csv --model-fingerprint 3f2a... --levels 0.1 0.5 0.9

The files do not name their forecasts. The bars are therefore replayed as the old code read them,
and a file is imported only if its name is the MD5 of one of their contexts: give the bars that the
old code downloaded; later bars may follow. Nothing is unpickled; files that hold anything but
numbers are skipped and named. Imported forecasts are flagged as such and stored under the given
model fingerprint, which is not checked.

Without --levels the draws are stored; with --levels their mean, standard deviation and quantiles,
the record of a model with these quantile levels.

exit codes: 0 done, 2 files without a forecast were skipped
"""


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of import-legacy."""
    parser.add_argument("cache", type=Path, metavar="CACHE", help="folder of *.pkl files")
    parser.add_argument(
        "source", action=Source, metavar="FILE|FOLDER", help="bars of the forecasts"
    )
    parser.add_argument(
        "--model-fingerprint",
        required=True,
        metavar="HEX",
        help="fingerprint of the model of the forecasts (`model.fingerprint`)",
    )
    parser.add_argument(
        "--context-length",
        type=int,
        metavar="ROWS",
        help="number of last rows that the model reads (default: all)",
    )
    parser.add_argument(
        "--levels", nargs="+", type=float, metavar="Q", help="store quantiles (default: the draws)"
    )
    old = parser.add_argument_group("settings of the old code (default: all usual settings)")
    old.add_argument("--num-samples", nargs="+", type=int, metavar="N", help="draws per forecast")
    old.add_argument(
        "--samples-per-batch", nargs="+", type=int, metavar="N", help="draws per batch; 0 for none"
    )
    old.add_argument(
        "--old-symbols", **NAMES, metavar="NAME", help="names of the symbol in the old code"
    )
    old.add_argument(
        "--first-row",
        default="0",
        metavar="N|any",
        help="first row of the old downloads in the bars; any tries all (default: 0)",
    )
    add_lock_timeout(parser)
    add_data_arguments(parser.add_argument_group("the bars"))


def run_import(args: argparse.Namespace) -> int:
    """Import and print the counts; returns 0, or 2 if files were skipped."""
    from marketsim.forecasts import PredictionStore, open_store

    store = open_store(args.store)
    if store is None:
        raise ArgumentError("MARKETSIM_STORE is off: give the folder of a store by --store")
    if isinstance(store, PredictionStore):
        store = PredictionStore(store.path, lock_timeout=args.lock_timeout)
    reports = {bars.symbol: _import(bars, store, args) for bars in _sources(args)}
    return _print(reports, args)


def _import(bars: Bars, store: ForecastStore, args: argparse.Namespace) -> ImportReport:
    from marketsim.bars import TARGETS
    from marketsim.legacy.stock.cache.take_over import import_legacy
    from marketsim.progress import ProgressBar

    first_rows = _first_rows(args.first_row, len(bars))
    replays = len(TARGETS) * len(first_rows)
    with ProgressBar(replays, f"importing {bars.symbol}", enabled=not args.quiet) as bar:
        return import_legacy(
            bars,
            args.cache,
            store,
            model=args.model_fingerprint.lower(),
            context_length=args.context_length,
            levels=tuple(sorted(args.levels)) if args.levels else None,
            first_rows=first_rows,
            progress=lambda done, total: bar.advance(1),
            **_old_settings(args),
        )


def _sources(args: argparse.Namespace) -> Iterator[Bars]:
    if not Path(args.source).is_dir():
        yield read_source(args)
        return
    folder = read_folder_source(args)
    for symbol in folder:
        yield folder[symbol]


def _old_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings given on the command line; others keep their defaults."""
    settings: dict[str, Any] = {}
    if args.num_samples:
        settings["num_samples"] = tuple(args.num_samples)
    if args.samples_per_batch:
        settings["samples_per_batch"] = tuple(n or None for n in args.samples_per_batch)
    if args.old_symbols:
        settings["symbols"] = tuple(args.old_symbols)
    return settings


def _first_rows(text: str, rows: int) -> range:
    if text == "any":
        return range(rows)
    if not text.isdecimal() or int(text) >= rows:
        raise ArgumentError(f"--first-row must be any, or a row from 0 to {rows - 1}: got {text!r}")
    return range(int(text), int(text) + 1)


def _print(reports: dict[str, ImportReport], args: argparse.Namespace) -> int:
    unreadable = [item for report in reports.values() for item in report.unreadable]
    if args.json:
        print_json({symbol: report.to_dict() for symbol, report in reports.items()})
    else:
        for symbol, report in reports.items():
            print(
                f"{name_text(symbol)}: {plural(report.found, 'old forecast')} of these bars; "
                f"{report.imported:,} imported, {report.held:,} held already, "
                f"{report.skipped:,} left out (contexts with gaps)"
            )
        for path, why in unreadable:
            print(f"skipped {name_text(str(path))}: {name_text(why)}")
    return 2 if unreadable else 0
