"""Commands of `marketsim store` that write: repair, compact, gc, export."""

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

REPAIR = """Repair the defects that verify finds, and print the result of each file.

examples:
  marketsim store repair
  marketsim store repair --models ewma --json

A file with broken records or one broken header is rewritten with its valid records. A file whose
headers are both broken is set aside, that is, renamed to *.bad-... . The records of a misplaced
file are added to the file at the right path, and it is set aside. The records of a file set aside
earlier are added likewise. Safe beside backtests that use the store.

exit codes: 0 no defect is left, 2 some files were left unchanged
"""
COMPACT = """Rewrite files without their broken and superseded records.

examples:
  marketsim store compact
  marketsim store compact --series SP500

Files that would not get smaller are not changed. Safe beside backtests that use the store.
"""
GC = """Remove whole files, longest unused first, without asking: try --dry-run first.

examples:
  marketsim store gc --older-than 90d --dry-run
  marketsim store gc --keep-models ewma 3f2a
  marketsim store gc --max-bytes 2GiB
  marketsim store gc                       only temporary and quarantined files

A file is removed only if all given options allow it. Temporary files (*.tmp-...) are removed after
a day and quarantined ones (*.bad-...) after 30 days, whatever the options. Safe beside backtests
that use the store: files written to during the run stay.
"""
EXPORT = """Write all forecasts as one table, one row each, for other programs. The store is not
changed.

examples:
  marketsim store export forecasts.parquet
  marketsim store export sp500.arrow --series SP500 --models ewma

Columns: model, model_name, series, target, horizon, as_of, imported, key, mean, std, one per
quantile (q0.1), and samples if stored. Needs pyarrow: pip install ".[parquet]" in the checkout
"""


def add_repair_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of repair."""
    add_filters(parser)
    add_lock_timeout(parser)


def add_compact_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of compact."""
    add_ls_arguments(parser)
    add_lock_timeout(parser)


def add_gc_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of gc."""
    parser.add_argument(
        "--keep-models",
        **NAMES,
        metavar="MODEL",
        help="models to keep: names, fingerprints, or prefixes of them",
    )
    parser.add_argument(
        "--older-than",
        type=parse_age,
        metavar="AGE",
        help="remove only files last written longer ago (12h, 90d, 2w) or before a date "
        "(2026-01-31, UTC)",
    )
    parser.add_argument(
        "--max-bytes",
        type=parse_size,
        metavar="SIZE",
        help="stop at this total size: 500MB, 2GiB, ...",
    )
    parser.add_argument("--dry-run", action="store_true", help="print files without removing them")
    add_lock_timeout(parser)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of export."""
    parser.add_argument("table", type=Path, metavar="FILE", help="*.arrow or *.parquet")
    add_force(parser, "export")
    add_ls_arguments(parser)


def _open_writer(args: argparse.Namespace) -> PredictionStore:
    """Open the store for writing; raise StoreNotFoundError if it does not exist."""
    from marketsim.forecasts import PredictionStore

    return PredictionStore(open_reader(args).path, lock_timeout=args.lock_timeout)


def run_repair(args: argparse.Namespace) -> int:
    """Repair the store; returns 0, or 2 if a file was left unchanged."""
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
        print(f"{size_text(args.max_bytes)} not reached: the other files may not be removed")
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
    """Whether a file is an exported table; False for unreadable files."""
    from marketsim.forecasts.store.export import is_export

    return head[:4] in (b"PAR1", b"ARRO") and is_export(path)


def run_export(args: argparse.Namespace) -> int:
    """Write the table; returns 0, or 2 if files were left out."""
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
