"""Commands of `marketsim store` that only read: stat, ls, show, verify."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import NAMES
from marketsim.cli.store_text import (
    iso_text,
    minutes_text,
    model_text,
    name_text,
    plural,
    print_json,
    schema_text,
    size_text,
)

if TYPE_CHECKING:
    from marketsim.forecasts import PredictionStore
    from marketsim.forecasts.store.inspect import Inventory, StoredFile

STAT = """Count models, files and records. Every file is read and checked; nothing is changed.

examples:
  marketsim store stat
  marketsim store stat --models ewma --json
"""
LS = """List every file: its symbol, model, fields, records, size and dates. Nothing is changed.

examples:
  marketsim store ls
  marketsim store ls --models ewma --series SP500 AAPL
"""
SHOW = """Print the forecasts of a symbol, or of one file, as a table. Nothing is changed.

examples:
  marketsim store show SP500 --last 5
  marketsim store show SP500 --target close --model ewma --json
  marketsim store show path/to/file.msp

Means are one-bar returns: 0.001 is 0.1 % above the previous bar. Dates are as-of dates, those of
the last bar that a forecast read, in UTC.
"""
VERIFY = """Read and check every byte of the store. Nothing is changed.

examples:
  marketsim store verify
  marketsim store verify --store backup/store --json

Backtests never read broken records; these forecasts are made again when needed. Files set aside
are checked too: `marketsim store repair` restores their records that the store lacks.

exit codes: 0 no defect, 2 defects, which `marketsim store repair` repairs
"""


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select models."""
    parser.add_argument(
        "--models",
        **NAMES,
        metavar="MODEL",
        help="models: names, fingerprints, or prefixes of them (default: all)",
    )


def add_ls_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select models and symbols."""
    add_filters(parser)
    parser.add_argument("--series", **NAMES, metavar="SYMBOL", help="symbols (default: all)")


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of show."""
    parser.add_argument("what", metavar="SYMBOL|FILE", help="a symbol, or a file of the store")
    parser.add_argument(
        "--target", choices=("open", "high", "low", "close"), help="one target (default: all)"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="name, fingerprint or prefix of one model (default: all)"
    )
    parser.add_argument(
        "--last",
        type=int,
        default=5,
        metavar="N",
        help="number of newest as-of dates; 0 for all (default: 5)",
    )


def open_reader(args: argparse.Namespace) -> PredictionStore:
    """Open the store for reading.

    Raises:
        StoreNotFoundError: the store does not exist, or MARKETSIM_STORE is off.
    """
    from marketsim.errors import StoreNotFoundError
    from marketsim.forecasts import PredictionStore

    path = store_path(args.store)
    if not path.is_dir():
        raise StoreNotFoundError(
            f"there is no store at {path}: `marketsim backtest` and `marketsim forecast` create "
            "one; --store names another folder"
        )
    return PredictionStore(path, mode="r")


def store_path(option: Path | None) -> Path:
    """Return the folder of --store, or the default of the environment.

    Raises:
        StoreNotFoundError: MARKETSIM_STORE is off, or the user has no home folder.
        ArgumentError: the path is a file.
    """
    from marketsim.errors import ArgumentError, StoreNotFoundError
    from marketsim.forecasts import default_store_path
    from marketsim.forecasts.store.disk import absolute_path

    path = default_store_path() if option is None else option
    if path is None:
        off = os.environ.get("MARKETSIM_STORE", "").lower() == "off"
        why = "MARKETSIM_STORE is off, so there is no store" if off else "there is no home folder"
        raise StoreNotFoundError(f"{why}: give --store PATH")
    path = absolute_path(path)
    if path.is_file():
        raise ArgumentError(f"--store must be a folder: got the file {path}")
    return path


def chosen_models(store: PredictionStore, names: Iterable[str] | None) -> set[str] | None:
    """Return the fingerprints of the named models; None for all."""
    from marketsim.forecasts.store.listing import list_models, resolve_models

    return None if names is None else resolve_models(list_models(store), names)


def require_series(
    store: PredictionStore, symbols: Collection[str] | None, models: Collection[str] | None
) -> None:
    """Raise StoreNotFoundError unless the store holds every requested symbol."""
    from marketsim.errors import StoreNotFoundError
    from marketsim.forecasts.store.inspect import symbols_of

    if symbols is None:
        return
    known = symbols_of(store, models=models)
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        held = ", ".join(name_text(symbol) for symbol in known[:20]) or "none"
        more = f" and {len(known) - 20:,} more" if len(known) > 20 else ""
        raise StoreNotFoundError(
            f"no forecasts of {', '.join(map(repr, missing))} are stored; stored symbols: "
            f"{held}{more}"
        )


def relative(store: PredictionStore, path: Path) -> str:
    """Return a file's path relative to the store."""
    return str(path.relative_to(store.path) if path.is_relative_to(store.path) else path)


def run_stat(args: argparse.Namespace) -> int:
    """Print the totals, and a row per model; returns 0."""
    from marketsim.forecasts.store.inspect import take_inventory
    from marketsim.forecasts.store.listing import other_formats

    store = open_reader(args)
    models = chosen_models(store, args.models)
    found = take_inventory(store, models=models, dates=False, progress=not args.quiet)
    others = other_formats(store)
    if args.json:
        rows = [_model_facts(found, m.fingerprint) | {"note": m.note} for m in found.models]
        facts = {"store": str(store.path), **found.totals, "by_model": rows}
        print_json(facts | {"other_formats": others})
        return 0
    print(f"store        {store.path}")
    for name, count in found.totals.items():
        if count or name in ("models", "series", "files", "records", "bytes"):
            print(f"{name:<12} {size_text(count) if name == 'bytes' else f'{count:,}'}")
    if found.models:
        print("\n" + "\n".join(_model_table(found)))
    for model in found.models:
        if model.name and model.note:
            print(f"{name_text(model.name)} {model.fingerprint[:12]}: {model.note}")
    for name in others:
        print(f"{name}: format of another version of marketsim, neither read nor changed")
    return 0


def _model_facts(found: Inventory, fingerprint: str) -> dict[str, Any]:
    files = [file for file in found.files if file.entry.model == fingerprint]
    return {
        "fingerprint": fingerprint,
        "name": found.name_of(fingerprint),
        "files": len(files),
        "records": sum(file.records for file in files),
        "bytes": sum(file.entry.bytes for file in files),
        "written": iso_text(max((file.entry.written for file in files), default=None)),
    }


def _model_table(found: Inventory) -> list[str]:
    from marketsim.text import aligned

    rows = []
    for model in found.models:
        files = [file for file in found.files if file.entry.model == model.fingerprint]
        facts = _model_facts(found, model.fingerprint)
        rows.append(
            [
                name_text(model.name) or f"({model.note})",
                model.fingerprint[:12],
                f"{facts['files']:,}",
                f"{facts['records']:,}",
                size_text(facts["bytes"]),
                minutes_text(max(file.entry.written for file in files)) if files else "–",
            ]
        )
    head = ["model", "fingerprint", "files", "records", "size", "last written (UTC)"]
    return aligned(head, rows)


def run_ls(args: argparse.Namespace) -> int:
    """Print a row per file, and its defects; returns 0."""
    from marketsim.forecasts.store.inspect import take_inventory

    store = open_reader(args)
    models = chosen_models(store, args.models)
    require_series(store, args.series, models)
    found = take_inventory(store, models=models, series=args.series, progress=not args.quiet)
    files = sorted(found.files, key=lambda file: (file.series or ("", "", ""), file.entry.path))
    files.sort(key=lambda file: file.series.series if file.series else "")
    if args.json:
        print_json(
            {
                "store": str(store.path),
                "files": [file_facts(store, found, file) for file in files],
                "others": [
                    {
                        "path": relative(store, entry.path),
                        "kind": entry.kind,
                        "bytes": entry.bytes,
                        "written": iso_text(entry.written),
                    }
                    for entry in found.others
                ],
            }
        )
        return 0
    if not files and not found.others:
        print(f"the store at {store.path} is empty")
        return 0
    print("\n".join(_file_table(store, found, files)))
    for entry in found.others:
        print(f"{entry.kind}: {relative(store, entry.path)}, {size_text(entry.bytes)}")
    return 0


def file_facts(store: PredictionStore, found: Inventory, file: StoredFile) -> dict[str, Any]:
    """Return the facts of a file as JSON values."""
    series = file.series
    return {
        "path": relative(store, file.entry.path),
        "series": series.series if series else None,
        "model": series.model if series else None,
        "model_name": found.name_of(series.model) if series else None,
        "schema": series.schema if series else None,
        "records": file.records,
        "bytes": file.entry.bytes,
        "corrupt": file.corrupt,
        "superseded": file.superseded,
        "first_as_of": iso_text(file.first),
        "last_as_of": iso_text(file.last),
        "written": iso_text(file.entry.written),
        "defects": list(file.defects),
    }


def _file_table(store: PredictionStore, found: Inventory, files: list[StoredFile]) -> list[str]:
    from marketsim.forecasts.store.listing import date_text
    from marketsim.text import aligned

    rows, notes = [], []
    for file in files:
        series = file.series
        rows.append(
            [
                name_text(series.series) if series else file.entry.path.name,
                model_text(found.name_of(file.entry.model), file.entry.model),
                schema_text(series.schema) if series else "–",
                f"{file.records:,}",
                size_text(file.entry.bytes),
                "–" if file.first is None else date_text(file.first),
                "–" if file.last is None else date_text(file.last),
                minutes_text(file.entry.written),
            ]
        )
        texts = [*file.defects, *([f"{file.superseded} superseded"] if file.superseded else [])]
        if texts:
            notes.append(f"broken: {relative(store, file.entry.path)}: {', '.join(texts)}")
    head = ["series", "model", "fields", "records", "size", "from", "to", "last written (UTC)"]
    return [*(aligned(head, rows) if rows else []), *notes]


def run_verify(args: argparse.Namespace) -> int:
    """Check the whole store; returns 0, or 2 for defects."""
    from marketsim.forecasts.store.maintain import verify

    store = open_reader(args)
    models = chosen_models(store, args.models)
    found = verify(store, models=models, progress=not args.quiet)
    defects = [(relative(store, path), text) for path, text in found.defects]
    totals = found.totals
    if args.json:
        listed = [{"path": path, "defect": text} for path, text in defects]
        print_json({"store": str(store.path), **totals, "defects": listed})
        return 2 if defects else 0
    _print_defects(store, found)
    read = f"{plural(totals['records'], 'record')} in {plural(totals['files'], 'file')}"
    if defects:
        print(f"{plural(len(defects), 'defect')}; {read} can be used")
        print("`marketsim store repair` repairs these files")
    else:
        print(f"all right: {read}")
    for kind, days in (("quarantined", "30 days"), ("temporary", "a day")):
        if totals[kind]:
            print(f"{kind}: {plural(totals[kind], 'file')}; gc removes them after {days}")
    return 2 if defects else 0


def _print_defects(store: PredictionStore, found: Inventory) -> None:
    for file in found.files:
        if file.defects:
            series = name_text(file.series.series) if file.series else "a file"
            model = model_text(found.name_of(file.entry.model), file.entry.model)
            print(f"{series} of {model}: {', '.join(file.defects)}")
            print(f"  {relative(store, file.entry.path)}")
    for file, count in found.set_aside:
        series = name_text(file.known_series.series)
        print(f"{series}: set aside, with {plural(count, 'record')} that the store lacks")
        print(f"  {relative(store, file.entry.path)}")
    for entry in found.others:
        if entry.kind == "foreign":
            print(
                f"a link or not a file, which the store does not read:\n  "
                f"{relative(store, entry.path)}"
            )
