"""marketsim store show: print the records of a series as a table."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marketsim.bars import TARGETS
from marketsim.cli.store_look import chosen_models, open_reader, require_series
from marketsim.cli.store_text import iso_text, model_text, name_text, plural, print_json
from marketsim.errors import ArgumentError, StoreNotFoundError
from marketsim.forecasts import Flag, PredictionStore, RecordKeys
from marketsim.forecasts.schema import mixture_parts
from marketsim.forecasts.store.export import target_name
from marketsim.forecasts.store.inspect import StoredFile, identify, open_records
from marketsim.forecasts.store.listing import StoreEntry, date_text, list_entries, list_models
from marketsim.models.mixture import mixture_moments

if TYPE_CHECKING:
    import numpy.typing as npt

LEVELS = (0.1, 0.5, 0.9)
_FILE = re.compile(r"[0-9a-f]{32}\.msp(\..*)?")


@dataclass(frozen=True)
class _Rows:
    """Records of one file, newest dates last.

    Attributes:
        file: the file.
        total: number of records in the file.
        keys: keys, dates, targets, horizons and flags [n].
        values: mean, std and the quantiles of LEVELS [n, 5]; NaN where undefined.
    """

    file: StoredFile
    total: int
    keys: RecordKeys
    values: npt.NDArray[np.float64]


def show(args: argparse.Namespace) -> int:
    """Print the records; returns 0."""
    if args.last < 0:
        raise ArgumentError(f"--last must be at least 0: got {args.last}")
    path = Path(args.what)
    if _FILE.fullmatch(path.name) and path.is_file():
        # A file anywhere is shown unchanged; the store object only opens it.
        store = PredictionStore(path.resolve().parent, mode="r")
        files, names = [_file_at(store, path.resolve())], {}
    else:
        store = open_reader(args)
        models = chosen_models(store, None if args.model is None else [args.model])
        require_series(store, [args.what], models)
        files = _files_of(store, args.what, models)
        names = {model.fingerprint: model.name for model in list_models(store)}
    target = None if args.target is None else TARGETS.index(args.target)
    found = [_read(store, file, target, args.last) for file in files]
    if args.json:
        print_json([_facts(rows, names) for rows in found])
    else:
        print("\n\n".join("\n".join(_lines(rows, names)) for rows in found))
    return 0


def _file_at(store: PredictionStore, path: Path) -> StoredFile:
    status = path.stat()
    entry = StoreEntry(
        path, "records", "", status.st_size, status.st_mtime_ns, (status.st_dev, status.st_ino)
    )
    file = identify(store, entry)
    if file.problem:
        raise ArgumentError(f"{path} cannot be shown: {file.problem}")
    return file


def _files_of(store: PredictionStore, symbol: str, models: set[str] | None) -> list[StoredFile]:
    found = [identify(store, e) for e in list_entries(store, models=models) if e.kind == "records"]
    files = [f for f in found if f.series and f.series.series == symbol]
    usable = [f for f in files if not f.problem and not f.misplaced]
    if not usable:
        raise StoreNotFoundError(
            f"no file of {symbol!r} can be read: {files[0].defects[0]}; "
            "see `marketsim store verify`"
        )
    return usable


def _read(store: PredictionStore, file: StoredFile, target: int | None, last: int) -> _Rows:
    tags, as_of, targets, horizon, flags, records = open_records(store, file).table()
    chosen = np.full(len(tags), True) if target is None else targets == target
    if last:
        chosen &= np.isin(as_of, np.unique(as_of[chosen])[-last:])
    order = np.lexsort((horizon, targets, as_of))
    order = order[chosen[order]]
    keys = RecordKeys(tags[order], as_of[order], targets[order], horizon[order], flags[order])
    return _Rows(file, len(tags), keys, _values(file, records[order]))


def _values(file: StoredFile, records: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    exact = records.astype(np.float64)
    values = np.full((len(records), 2 + len(LEVELS)), np.nan)
    if not len(records):
        return values
    if file.schema.samples:
        values[:, 0], values[:, 1] = exact.mean(axis=1), exact.std(axis=1)
    elif file.schema.components:
        values[:, 0], values[:, 1] = mixture_moments(*mixture_parts(exact))
    else:
        values[:, :2] = exact[:, :2]
    with contextlib.suppress(ArgumentError):  # invalid distributions
        values[:, 2:] = file.schema.decode(records).quantile(LEVELS)
    return values


def _flags_text(flags: int) -> str:
    words = ["imported"] if flags & Flag.IMPORTED else []
    rest = flags & ~Flag.IMPORTED
    return " ".join([*words, *([f"0x{rest:02x}"] if rest else [])])


def _lines(rows: _Rows, names: dict[str, str]) -> list[str]:
    from marketsim.text import aligned

    series = rows.file.known_series
    model = model_text(names.get(series.model, ""), series.model)
    held = f"{len(rows.keys):,} of {plural(rows.total, 'forecast')}"
    heading = f"{name_text(series.series)}  {model}  {held}"
    head = ["as of (UTC)", "target", "horizon", "mean", "std"]
    head += [f"{100 * level:g} %" for level in LEVELS] + ["flags"]
    table = [
        [
            date_text(int(rows.keys.as_of[i])),
            target_name(int(rows.keys.target[i])),
            str(rows.keys.horizon[i]),
            *(_number(value, signed=j != 1) for j, value in enumerate(rows.values[i].tolist())),
            _flags_text(int(rows.keys.flags[i])),
        ]
        for i in range(len(rows.keys))
    ]
    return [heading, "", *(aligned(head, table) if table else ["none"])]


def _number(value: float, *, signed: bool) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:+.6f}" if signed else f"{value:.6f}"


def _facts(rows: _Rows, names: dict[str, str]) -> dict[str, Any]:
    series = rows.file.known_series
    labels = ["mean", "std", *(f"q{level:g}" for level in LEVELS)]
    return {
        "series": series.series,
        "model": series.model,
        "model_name": names.get(series.model, ""),
        "schema": series.schema,
        "records": rows.total,
        "forecasts": [
            {
                "as_of": iso_text(int(rows.keys.as_of[i])),
                "target": target_name(int(rows.keys.target[i])),
                "horizon": int(rows.keys.horizon[i]),
                **{
                    label: value if math.isfinite(value) else None
                    for label, value in zip(labels, rows.values[i].tolist(), strict=True)
                },
                "imported": bool(rows.keys.flags[i] & Flag.IMPORTED),
                "key": rows.keys.tags[i].tobytes().hex(),
            }
            for i in range(len(rows.keys))
        ],
    }
