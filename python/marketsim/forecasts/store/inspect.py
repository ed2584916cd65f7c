"""Inventory of a prediction store: its models, its files, and the contents of each file."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.forecasts.keys import SeriesId
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store.disk import PredictionStore
from marketsim.forecasts.store.listing import (
    StoredModel,
    StoreEntry,
    StoreLocation,
    list_entries,
    list_models,
    locked,
    open_location,
)
from marketsim.progress import ProgressBar

DATA_START = _core.store_layout(1)[0]  # bytes before the first record
NO_HEADER = "both headers broken"
UNKNOWN_HEADER = "its header names a model or schema that this version does not know"


@dataclass(frozen=True)
class StoredFile:
    """Contents of a file of records, checked byte by byte.

    Attributes:
        entry: the file.
        series: series in its verified header; None without a readable header.
        headers: whether each of the two headers is valid.
        misplaced: whether the header belongs to a file at another path.
        problem: reason why the file cannot be read; else empty.
        records: number of valid records.
        corrupt: number of records with a wrong checksum.
        unreadable: number of corrupt records that the disk could not read.
        superseded: number of records whose key already exists.
        unsynced: whether its last sync failed, so that records may not be on the disk.
        torn: bytes of an unfinished record at the end.
        first, last: oldest and newest as-of date, nanoseconds since 1970; None without records, or
            if not requested.
    """

    entry: StoreEntry
    series: SeriesId | None = None
    headers: tuple[bool, bool] = (False, False)
    misplaced: bool = False
    problem: str = ""
    records: int = 0
    corrupt: int = 0
    unreadable: int = 0
    superseded: int = 0
    unsynced: bool = False
    torn: int = 0
    first: int | None = None
    last: int | None = None

    @property
    def defects(self) -> tuple[str, ...]:
        """Descriptions of all defects."""
        found = [self.problem] if self.problem else []
        if self.misplaced:
            found.append("misplaced: its header belongs to a file at another path")
        if self.series and not all(self.headers):
            found.append(f"{'first' if self.headers[1] else 'second'} header broken")
        if self.corrupt:
            lost = f", {self.unreadable} of them not readable" if self.unreadable else ""
            found.append(f"{self.corrupt} corrupt{lost}")
        if self.unsynced:
            found.append("its last sync failed: records may not be on the disk")
        if self.torn:
            found.append(f"{self.torn} bytes of an unfinished record at the end")
        return tuple(found)

    @property
    def known_series(self) -> SeriesId:
        """Series of a file without a problem; raises ArgumentError for others."""
        if self.problem or self.series is None:
            raise ArgumentError(f"{self.entry.path}: {self.problem}")
        return self.series

    @property
    def schema(self) -> Schema:
        """Schema of a file without a problem; raises ArgumentError for others."""
        return Schema.parse(self.known_series.schema)

    @property
    def compactable(self) -> bool:
        """Whether rewriting the file would repair it or make it smaller."""
        return not self.problem and bool(
            self.corrupt or self.superseded or self.torn or self.unsynced or not all(self.headers)
        )


@dataclass(frozen=True)
class Inventory:
    """Models and files of a store, each file of records read and checked.

    Attributes:
        path: path of the store.
        models: models of the store.
        files: files of records.
        others: quarantined, temporary and foreign files.
        set_aside: quarantined files with records that the store lacks, and their number.
    """

    path: Path
    models: tuple[StoredModel, ...]
    files: tuple[StoredFile, ...]
    others: tuple[StoreEntry, ...]
    set_aside: tuple[tuple[StoredFile, int], ...] = ()

    @property
    def defects(self) -> list[tuple[Path, str]]:
        """All (file, defect); temporary files and useless quarantined files are not defects."""
        found = [(file.entry.path, defect) for file in self.files for defect in file.defects]
        foreign = "a link or not a file: the store does not read it"
        found += [(e.path, foreign) for e in self.others if e.kind == "foreign"]
        return found + [
            (file.entry.path, f"set aside, with {count} records that the store lacks")
            for file, count in self.set_aside
        ]

    @property
    def totals(self) -> dict[str, int]:
        """Counts over the whole store; bytes are those of all files."""
        kinds = [entry.kind for entry in self.others]
        return {
            "models": len(self.models),
            "series": len({file.series.series for file in self.files if file.series}),
            "files": len(self.files),
            "records": sum(file.records for file in self.files),
            "bytes": sum(e.bytes for e in [*(f.entry for f in self.files), *self.others]),
            "corrupt": sum(file.corrupt for file in self.files),
            "superseded": sum(file.superseded for file in self.files),
            "unreadable": sum(bool(file.problem) for file in self.files),
            "misplaced": sum(file.misplaced for file in self.files),
            "quarantined": kinds.count("quarantined"),
            "temporary": kinds.count("temporary"),
            "foreign": kinds.count("foreign"),
        }

    def name_of(self, fingerprint: str) -> str:
        """Return the name of a model; empty if it has none."""
        return next((m.name for m in self.models if m.fingerprint == fingerprint), "")


def identify(location: StoreLocation, entry: StoreEntry) -> StoredFile:
    """Read and check the headers of a file of records, without its records."""
    store = open_location(location)
    try:
        identity, headers, _ = _core.store_inspect(entry.path)
    except OSError as error:
        return StoredFile(entry, problem=f"cannot be read: {os.strerror(error.errno or 0)}")
    except UnicodeDecodeError:
        return StoredFile(entry, problem="its header is not text")
    if identity is None:
        return StoredFile(entry, problem=NO_HEADER)
    series = SeriesId(*identity[:3])
    try:
        misplaced = store.path_of(series) != entry.path
        fits = Schema.parse(series.schema).width == identity[3]
    except ValueError:
        misplaced = fits = False
    return StoredFile(entry, series, headers, misplaced, "" if fits else UNKNOWN_HEADER)


def examine(location: StoreLocation, entry: StoreEntry, *, dates: bool = True) -> StoredFile:
    """Read and check a whole file of records.

    Its series comes from its verified header. Changes nothing and takes no lock: the last records
    of a file that is being written may count as corrupt.

    Args:
        location: the store.
        entry: an entry of `list_entries`, of kind "records".
        dates: also find the oldest and newest as-of date.
    """
    store = open_location(location)
    found = identify(store, entry)
    if found.problem:
        return found
    file = open_records(store, found)
    facts = file.contents()
    stamps = file.table()[1] if dates and facts["live"] else ()
    known = len(stamps) > 0  # another process may have removed the file
    return replace(
        found,
        problem="" if facts["bytes"] else "cannot be read",
        records=facts["live"],
        corrupt=facts["corrupt"],
        unreadable=facts["unreadable"],
        superseded=facts["superseded"],
        unsynced=bool(facts["unsynced"]),
        torn=max(0, facts["bytes"] - DATA_START) % stride_of(found.schema.width),
        first=int(min(stamps)) if known else None,
        last=int(max(stamps)) if known else None,
    )


def take_inventory(
    location: StoreLocation,
    *,
    models: Collection[str] | None = None,
    series: Collection[str] | None = None,
    dates: bool = True,
    settle: bool = False,
    progress: bool = True,
) -> Inventory:
    """Read and check a whole store, or a part of it.

    Args:
        location: the store.
        models: fingerprints of the models to check; None for all.
        series: symbols to check; None for all. With symbols given, other files and files without a
            readable header are left out.
        dates: also find the oldest and newest as-of date of each file.
        settle: check a defective file again under the writers' lock, so that a record being written
            does not count as corrupt.
        progress: show a progress bar on a terminal when it takes long.
    """
    store = open_location(location)
    known = [m for m in list_models(store) if models is None or m.fingerprint in models]
    entries = list(list_entries(store, models=models))
    files = []
    records = [entry for entry in entries if entry.kind == "records"]
    with ProgressBar(len(records), "reading the store", enabled=progress) as bar:
        for entry in records:
            bar.advance(1)
            if series is not None and _symbol(identify(store, entry)) not in series:
                continue
            file = examine(store, entry, dates=dates)
            if settle and (file.corrupt or file.torn or file.problem):
                file = _settled(store, file, dates)
            if not file.problem or os.path.lexists(entry.path):
                files.append(file)
    others = () if series is not None else tuple(e for e in entries if e.kind != "records")
    aside = [_lacking(store, entry) for entry in others if entry.kind == "quarantined"]
    lacking = tuple((file, count) for file, count in aside if count)
    return Inventory(store.path, tuple(known), tuple(files), others, lacking)


def _lacking(store: PredictionStore, entry: StoreEntry) -> tuple[StoredFile, int]:
    """Return a file that was set aside, and the number of its records that the store lacks."""
    file = identify(store, entry)
    if file.problem:
        return file, 0
    tags = open_records(store, file).table()[0]
    home = open_records(store, file, store.path_of(file.known_series))
    return file, len(tags) - home.read(tags)[2]


def symbols_of(location: StoreLocation, *, models: Collection[str] | None = None) -> list[str]:
    """List the symbols of a store, sorted; reads only headers."""
    store = open_location(location)
    entries = (e for e in list_entries(store, models=models) if e.kind == "records")
    found = {_symbol(identify(store, entry)) for entry in entries}
    return sorted(symbol for symbol in found if symbol is not None)


def _symbol(file: StoredFile) -> str | None:
    return None if file.series is None else file.series.series


def _settled(store: PredictionStore, file: StoredFile, dates: bool) -> StoredFile:
    try:
        with locked(file.entry.path, create=False):
            return examine(store, file.entry, dates=dates)
    except OSError:  # without the lock, keep the first result
        return file


def open_records(
    store: PredictionStore, file: StoredFile, path: Path | None = None, *, writable: bool = False
) -> _core.StoreFile:
    """Open a file of records, or the file at another path as the same series."""
    series = file.known_series
    return _core.StoreFile(
        path=path or file.entry.path,
        model=series.model,
        series=series.series,
        schema=series.schema,
        width=file.schema.width,
        counters=_core.StoreCounters(),
        writable=writable,
        sync=True,
        lock_timeout=store.lock_timeout,
    )


def stride_of(width: int) -> int:
    """Return the size in bytes of a record of `width` values."""
    return _core.store_layout(width)[1]
