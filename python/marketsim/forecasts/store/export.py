"""Export a prediction store as one Arrow or Parquet table."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.forecasts.keys import Flag
from marketsim.forecasts.schema import MIXTURE_FIELDS, Schema, mixture_parts
from marketsim.forecasts.store.disk import PredictionStore
from marketsim.forecasts.store.inspect import StoredFile, identify, open_records
from marketsim.forecasts.store.listing import (
    StoreLocation,
    list_entries,
    list_models,
    open_location,
)
from marketsim.models.mixture import mixture_moments
from marketsim.progress import ProgressBar

SUFFIXES = (".arrow", ".parquet")
# Rows that are collected before they are written: a few tens of megabytes.
ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Exported:
    """Result of `export_table`.

    Attributes:
        path: path of the table.
        rows: number of rows.
        columns: names of its columns.
        left_out: (file, reason) of files that could not be read.
    """

    path: Path
    rows: int
    columns: tuple[str, ...]
    left_out: tuple[tuple[Path, str], ...]


def target_name(target: int) -> str:
    """Return the name of a target, by its number in a record."""
    return TARGETS[target] if target < len(TARGETS) else f"target {target}"


def export_table(
    location: StoreLocation,
    path: str | os.PathLike[str],
    *,
    models: Collection[str] | None = None,
    series: Collection[str] | None = None,
    progress: bool = True,
) -> Exported:
    """Write all valid records as one table, one row per forecast.

    Columns: model, model_name, series, target, horizon, as_of (UTC), imported, key (hex), mean,
    std, one column per quantile level (q0.1), and for models stored that way samples (a list), or
    the lists df, loc, scale and weight of a mixture's components. Values are the stored float32
    values; mean and std of samples and mixtures are computed. Fields that a record lacks are null.
    Files are read one at a time, so memory does not grow with the store. The table is written
    atomically.

    Args:
        location: the store.
        path: .arrow for an Arrow IPC file, or .parquet; an existing file is replaced.
        models: fingerprints of the models to write; None for all.
        series: symbols to write; None for all.
        progress: show a progress bar on a terminal when it takes long.

    Raises:
        ArgumentError: another suffix, or a folder that does not exist.
        MissingDependencyError: pyarrow is not installed.
        OSError: the table cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"path must end in {' or '.join(SUFFIXES)}: got {str(path)!r}")
    if not path.parent.is_dir():
        raise ArgumentError(f"the folder of {str(path)!r} does not exist: create it first")
    pa = _pyarrow()
    store = open_location(location)
    entries = [e for e in list_entries(store, models=models) if e.kind == "records"]
    files = [identify(store, entry) for entry in entries]
    left_out = [(f.entry.path, f.defects[0]) for f in files if f.problem or f.misplaced]
    files = [file for file in files if not file.problem and not file.misplaced]
    if series is not None:
        files = [file for file in files if file.known_series.series in series]
    names = {model.fingerprint: model.name for model in list_models(store)}
    columns = _columns(pa, {file.schema for file in files})
    rows = 0
    with (
        _atomic(path) as sink,
        _writer(pa, path, sink, columns) as writer,
        ProgressBar(len(files), "exporting", enabled=progress) as bar,
    ):
        for table in _tables(pa, _batches(pa, store, files, names, columns, bar)):
            writer.write_table(table, ROWS_AT_ONCE)
            rows += table.num_rows
    return Exported(path, rows, tuple(columns.names), tuple(left_out))


def is_export(path: Path) -> bool:
    """Whether `export_table` wrote a file, by its first columns."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    try:
        with pa.OSFile(str(path)) as file:
            parquet = file.read(4) == b"PAR1"
            file.seek(0)
            found = pq.read_schema(file) if parquet else pa.ipc.open_file(file).schema
    except (pa.ArrowException, OSError, ValueError):
        return False
    first: list[str] = _columns(pa, ()).names
    names: list[str] = found.names
    return bool(names[: len(first)] == first)


def _columns(pa: Any, schemas: Collection[Schema]) -> Any:
    levels = sorted({level for schema in schemas for level in schema.levels})
    fields = [
        *((name, pa.string()) for name in ("model", "model_name", "series", "target")),
        ("horizon", pa.uint16()),
        ("as_of", pa.timestamp("ns", tz="UTC")),
        ("imported", pa.bool_()),
        ("key", pa.string()),
        *((name, pa.float32()) for name in ("mean", "std", *map(_level_name, levels))),
    ]
    if any(schema.samples for schema in schemas):
        fields.append(("samples", pa.large_list(pa.float32())))
    if any(schema.components for schema in schemas):
        fields += [(name, pa.large_list(pa.float32())) for name in MIXTURE_FIELDS]
    return pa.schema(fields)


def _level_name(level: float) -> str:
    return f"q{level!r}"


def _batches(
    pa: Any,
    store: PredictionStore,
    files: list[StoredFile],
    names: dict[str, str],
    columns: Any,
    bar: ProgressBar,
) -> Iterator[Any]:
    """Yield one record batch per file."""
    for file in files:
        series = file.known_series
        tags, as_of, target, horizon, flags, records = open_records(store, file).table()
        n = len(tags)
        keys = tags.tobytes().hex()
        held: dict[str, Any] = {
            "model": pa.repeat(pa.scalar(series.model), n),
            "model_name": pa.repeat(pa.scalar(names.get(series.model) or None, pa.string()), n),
            "series": pa.repeat(pa.scalar(series.series), n),
            "target": pa.array([target_name(code) for code in target.tolist()], pa.string()),
            "horizon": pa.array(horizon),
            "as_of": pa.array(as_of).cast(columns.field("as_of").type),
            "imported": pa.array(flags & Flag.IMPORTED != 0),
            "key": pa.array([keys[i : i + 32] for i in range(0, 32 * n, 32)], pa.string()),
            **_values(pa, file.schema, records),
        }
        arrays = [
            held[field.name] if field.name in held else pa.nulls(n, field.type) for field in columns
        ]
        yield pa.record_batch(arrays, schema=columns)
        bar.advance(1)


def _values(pa: Any, schema: Schema, records: Any) -> dict[str, Any]:
    if schema.samples:
        mean = records.mean(axis=1, dtype=np.float64)
        std = records.std(axis=1, dtype=np.float64)
        lists = {"samples": records}
    elif schema.components:
        parts = mixture_parts(records)
        mean, std = mixture_moments(*(part.astype(np.float64) for part in parts))
        lists = dict(zip(MIXTURE_FIELDS, parts, strict=True))
    else:
        labels = ["mean", "std", *map(_level_name, schema.levels)]
        return {label: pa.array(records[:, i].copy()) for i, label in enumerate(labels)}
    return {
        "mean": pa.array(mean.astype(np.float32)),
        "std": pa.array(std.astype(np.float32)),
        **{name: _list_array(pa, values) for name, values in lists.items()},
    }


def _list_array(pa: Any, values: Any) -> Any:
    """Convert [row, value] to an Arrow array with one list per row."""
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))


def _tables(pa: Any, batches: Iterator[Any]) -> Iterator[Any]:
    """Combine batches to tables of about `ROWS_AT_ONCE` rows."""
    held: list[Any] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(held).combine_chunks()
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _writer(pa: Any, path: Path, sink: IO[bytes], columns: Any) -> Any:
    if path.suffix.lower() == ".arrow":
        return pa.ipc.new_file(sink, columns)
    import pyarrow.parquet as pq

    return pq.ParquetWriter(sink, columns, compression="zstd")


@contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is renamed to `path` once it is complete and synced."""
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise MissingDependencyError(
            'an export needs pyarrow, not installed: pip install ".[parquet]" in the checkout'
        ) from None
    return pa
