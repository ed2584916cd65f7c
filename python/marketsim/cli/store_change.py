"""The commands of `marketsim store` that write: repair, compact, gc, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from marketsim.cli.arguments import NAMES, add_lock_timeout
from marketsim.cli.outputs import add_force, check_output
from marketsim.cli.store_look import (
    add_filters,
    add_ls_arguments,
    chosen_models,
    open_reader,
    relative,
    require_series,
)
from marketsim.cli.store_text import (
    minutes_text,
    model_text,
    name_text,
    parse_age,
    parse_size,
    plural,
    print_json,
    size_text,
)

if TYPE_CHECKING:
    from marketsim.forecasts import PredictionStore
    from marketsim.forecasts.store.gc import Collected
    from marketsim.forecasts.store.maintain import Outcome

REPAIR = """Mends what verify finds, and says what it did with each file.

examples:
  marketsim store repair
  marketsim store repair --models ewma --json

A file with broken records or one broken header is written anew with what is right in it. A file
whose headers are both broken is renamed (*.bad-...) and stays. The records of a file that lies in a
wrong place are added to the file in the right place, and it is renamed. Records of a file that was
set aside before are added likewise. Safe beside backtests that use the store.

exit codes: 0 the store is all right now, 2 something was left as it is
"""
COMPACT = """Writes files anew that hold broken or superseded records, without them.

examples:
  marketsim store compact
  marketsim store compact --series SP500

Files with nothing to gain are not touched. Safe beside backtests that use the store.
"""
GC = """Removes whole files, the ones unused for longest first. It asks nothing: try --dry-run.

examples:
  marketsim store gc --older-than 90d --dry-run
  marketsim store gc --keep-models ewma 3f2a
  marketsim store gc --max-bytes 2GiB
  marketsim store gc                       only what is left over

Given together, the options must all allow a file to be removed. Temporary (*.tmp-...) files go once
they are a day old and quarantined ones (*.bad-...) after 30 days, whatever the options. Safe beside
backtests that use the store: a file that is written to meanwhile stays.
"""
EXPORT = """Writes all forecasts as one table, a row each, for any other program. The store is not
changed.

examples:
  marketsim store export forecasts.parquet
  marketsim store export sp500.arrow --series SP500 --models ewma

Columns: model, model_name, series, target, horizon, as_of, imported, key, mean, std, one for each
quantile (q0.1), and samples where there are any. Needs pyarrow: pip install "marketsim[parquet]"
"""


def add_repair_arguments(parser: argparse.ArgumentParser) -> None:
    """Which models."""
    add_filters(parser)
    add_lock_timeout(parser)


def add_compact_arguments(parser: argparse.ArgumentParser) -> None:
    """Which models and symbols."""
    add_ls_arguments(parser)
    add_lock_timeout(parser)


def add_gc_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be removed."""
    parser.add_argument(
        "--keep-models",
        **NAMES,
        metavar="MODEL",
        help="keep all of these: names, fingerprints, or the first digits of one",
    )
    parser.add_argument(
        "--older-than",
        type=parse_age,
        metavar="AGE",
        help="only files last written to that long ago (12h, 90d, 2w) or before a date "
        "(2026-01-31, UTC)",
    )
    parser.add_argument(
        "--max-bytes",
        type=parse_size,
        metavar="SIZE",
        help="no more than it takes to get down to 500MB, 2GiB, ...",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    add_lock_timeout(parser)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and which models and symbols."""
    parser.add_argument("table", type=Path, metavar="FILE", help="*.arrow or *.parquet")
    add_force(parser, "export")
    add_ls_arguments(parser)


def _open_writer(args: argparse.Namespace) -> PredictionStore:
    """The store, open for writing; an error where there is none yet."""
    from marketsim.forecasts import PredictionStore

    return PredictionStore(open_reader(args).path, lock_timeout=args.lock_timeout)


def run_repair(args: argparse.Namespace) -> int:
    """Mend the store; returns 0, or 2 where something was left as it is."""
    from marketsim.forecasts.store.maintain import repair

    store = _open_writer(args)
    outcomes = repair(store, models=chosen_models(store, args.models), progress=not args.quiet)
    _print_outcomes(args, store, outcomes, "nothing needs to be repaired")
    return 2 if any(outcome.action == "left" for outcome in outcomes) else 0


def run_compact(args: argparse.Namespace) -> int:
    """Compact files; returns 0."""
    from marketsim.forecasts.store.maintain import compact

    store = _open_writer(args)
    models = chosen_models(store, args.models)
    require_series(store, args.series, models)
    outcomes = compact(store, models=models, series=args.series, progress=not args.quiet)
    _print_outcomes(args, store, outcomes, "no file would get smaller")
    return 0


def _print_outcomes(
    args: argparse.Namespace, store: PredictionStore, outcomes: list[Outcome], nothing: str
) -> None:
    saved = sum(outcome.saved for outcome in outcomes)
    if args.json:
        files = [
            {
                "path": relative(store, outcome.path),
                "action": outcome.action,
                "text": outcome.text,
                "saved": outcome.saved,
            }
            for outcome in outcomes
        ]
        print_json({"store": str(store.path), "saved": saved, "files": files})
        return
    for outcome in outcomes:
        print(f"{relative(store, outcome.path)}: {outcome.action}: {outcome.text}")
    print(f"{plural(len(outcomes), 'file')}, {size_text(saved)} saved" if outcomes else nothing)


def run_gc(args: argparse.Namespace) -> int:
    """Remove files; returns 0."""
    from marketsim.forecasts.store.gc import collect_garbage

    store = open_reader(args) if args.dry_run else _open_writer(args)
    done = collect_garbage(
        store,
        keep_models=args.keep_models,
        older_than=args.older_than,
        max_bytes=args.max_bytes,
        dry_run=args.dry_run,
        progress=not args.quiet,
    )
    _print_collected(args, store, done)
    if args.max_bytes is not None and done.left > args.max_bytes and not args.json:
        print(f"the rest may not be removed: {size_text(args.max_bytes)} were asked for")
    return 0


def _print_collected(args: argparse.Namespace, store: PredictionStore, done: Collected) -> None:
    from marketsim.forecasts.store.listing import list_models
    from marketsim.text import aligned

    if args.json:
        removed, kept = (
            [
                {
                    "path": relative(store, r.entry.path),
                    "series": r.symbol or None,
                    "bytes": r.entry.bytes,
                    "why": r.reason,
                }
                for r in part
            ]
            for part in (done.removed, done.kept)
        )
        facts = {"store": str(store.path), "dry_run": done.dry_run, "freed": done.freed}
        print_json(facts | {"left": done.left, "removed": removed, "kept": kept})
        return
    names = {model.fingerprint: model.name for model in list_models(store)}
    rows = [
        [
            name_text(r.symbol) or r.entry.kind,
            model_text(names.get(r.entry.model, ""), r.entry.model),
            size_text(r.entry.bytes),
            minutes_text(r.entry.written),
            r.reason,
        ]
        for r in done.removed
    ]
    if rows:
        print("\n".join(aligned(["series", "model", "size", "written (UTC)", "why"], rows)))
    for removal in done.kept:
        print(f"kept: {relative(store, removal.entry.path)}: {removal.reason}")
    verb = "would be removed" if done.dry_run else "removed"
    files, freed, left = plural(len(rows), "file"), size_text(done.freed), size_text(done.left)
    print(f"{files} {verb}, {freed}; {left} stay")


def _is_export(path: Path, head: bytes) -> bool:
    """Whether a file is a table of forecasts; one that cannot be read is none."""
    from marketsim.forecasts.store.export import is_export

    return head[:4] in (b"PAR1", b"ARRO") and is_export(path)


def run_export(args: argparse.Namespace) -> int:
    """Write the table; returns 0, or 2 where files had to be left out."""
    import sys

    from marketsim.forecasts.store.export import export_table

    check_output(args.table, "export", args.force, _is_export)
    store = open_reader(args)
    models = chosen_models(store, args.models)
    require_series(store, args.series, models)
    done = export_table(
        store, args.table, models=models, series=args.series, progress=not args.quiet
    )
    left_out = [(relative(store, path), why) for path, why in done.left_out]
    if args.json:
        listed = [{"path": path, "why": why} for path, why in left_out]
        facts = {"table": str(done.path), "rows": done.rows, "columns": list(done.columns)}
        print_json(facts | {"left_out": listed})
    else:
        print(f"{plural(done.rows, 'row')} of {len(done.columns)} columns: {done.path}")
    for path, why in left_out:
        print(f"error: left out: {path}: {why}", file=sys.stderr)
    return 2 if left_out else 0
