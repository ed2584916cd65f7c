"""Maintenance of a prediction store: verify, repair and compact its files.

Safe beside processes that read and append. A file is replaced, renamed or removed only under the
writers' lock, and only while its name still leads to it; a writer that waits for the lock notices
and makes a new file.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from marketsim import _core
from marketsim.errors import StoreReadOnlyError, StoreWriteError
from marketsim.forecasts.keys import SeriesId
from marketsim.forecasts.store.disk import PredictionStore, write_error
from marketsim.forecasts.store.inspect import (
    NO_HEADER,
    Inventory,
    StoredFile,
    open_records,
    take_inventory,
)
from marketsim.forecasts.store.listing import StoreEntry, StoreLocation, locked, open_location
from marketsim.progress import ProgressBar

# As in csrc/kernels/store/write.cpp: a file without a header may be a copy in progress.
SETTLED_AFTER = 60 * 10**9  # nanoseconds
CHANGED = "another process wrote to it or replaced it"


@dataclass(frozen=True)
class Outcome:
    """Result of maintaining one file.

    Attributes:
        path: the file.
        action: "compacted", "set aside", "brought back" or "left".
        text: description of the change and of records lost.
        saved: bytes saved.
    """

    path: Path
    action: str
    text: str
    saved: int = 0


def verify(
    location: StoreLocation, *, models: Collection[str] | None = None, progress: bool = True
) -> Inventory:
    """Read and check every byte of a store; changes nothing.

    Returns:
        `Inventory`; its `defects` list all defects.
    """
    return take_inventory(location, models=models, dates=False, settle=True, progress=progress)


def repair(
    location: StoreLocation, *, models: Collection[str] | None = None, progress: bool = True
) -> list[Outcome]:
    """Repair the defects that `verify` finds; unreadable files are renamed, never removed.

    A file with a broken header or broken records is rewritten with its valid records. A file
    without a readable header is set aside, that is, renamed. The records of a misplaced file are
    added to the file at the right path, and it is set aside. The records of a file set aside
    earlier, such as a copy, are added likewise; then it is removed.

    Returns:
        `Outcome` of each file with a defect.

    Raises:
        StoreReadOnlyError: the store cannot be written.
        StoreWriteError: the disk is full or failed; no record is lost.
    """
    store = writable_store(location)
    found = verify(store, models=models, progress=progress)
    outcomes = [
        Outcome(entry.path, "left", "a link or not a file: the store does not read it")
        for entry in found.others
        if entry.kind == "foreign"
    ]
    broken = [file for file in found.files if file.defects or file.compactable]
    with ProgressBar(len(broken), "repairing", enabled=progress) as bar:
        for file in broken:
            outcomes.append(_repair_file(store, file))
            bar.advance(1)
    outcomes += [_bring_back(store, file) for file, _ in found.set_aside]
    return outcomes


def compact(
    location: StoreLocation,
    *,
    models: Collection[str] | None = None,
    series: Collection[str] | None = None,
    progress: bool = True,
) -> list[Outcome]:
    """Rewrite files without their corrupt, superseded and unfinished records.

    Files that need `repair` first are left unchanged.

    Returns:
        `Outcome` of each file rewritten.

    Raises:
        StoreReadOnlyError: the store cannot be written.
        StoreWriteError: the disk is full or failed; the old files are unchanged.
    """
    store = writable_store(location)
    found = take_inventory(
        store, models=models, series=series, dates=False, settle=True, progress=progress
    )
    chosen = [file for file in found.files if file.compactable and not file.misplaced]
    outcomes = []
    with ProgressBar(len(chosen), "compacting", enabled=progress) as bar:
        for file in chosen:
            outcomes.append(_compact_file(store, file))
            bar.advance(1)
    return outcomes


def writable_store(location: StoreLocation) -> PredictionStore:
    """Open a store for writing.

    Raises:
        StoreNotFoundError: the folder does not exist.
        StoreReadOnlyError: the store cannot be written; the message says why.
    """
    store = open_location(location, mode="a")
    if store.why_not:
        raise StoreReadOnlyError(f"this store cannot be changed: {store.why_not}")
    return store


@contextmanager
def changing(path: Path, what: str) -> Iterator[None]:
    """Turn a failed system call into a StoreWriteError that names the file and the action."""
    try:
        yield
    except StoreWriteError:
        raise
    except OSError as error:
        raise StoreWriteError(
            error.errno or errno.EIO, f"{path} could not be {what}: {error.strerror}"
        ) from error


def _repair_file(store: PredictionStore, file: StoredFile) -> Outcome:
    path = file.entry.path
    if file.problem == NO_HEADER:
        if time.time_ns() - file.entry.written < SETTLED_AFTER:
            return Outcome(
                path, "left", f"{NO_HEADER}, or a copy in progress: repair again in a minute"
            )
        aside = _set_aside(file)
        if not aside:
            return Outcome(path, "left", CHANGED)
        return Outcome(path, "set aside", f"{NO_HEADER}: renamed to {aside.name}")
    if file.problem:
        return Outcome(path, "left", file.problem)
    if file.misplaced:
        return _bring_home(store, file)
    return _compact_file(store, file)


def _compact_file(store: PredictionStore, file: StoredFile) -> Outcome:
    entry = file.entry
    try:
        saved = open_records(store, file, writable=True).compact()
    except OSError as error:
        raise write_error(error, f"the rewritten file of {file.known_series.series!r}") from error
    _keep_age(entry, saved)
    done = [f"{file.records:,} records kept"]
    if file.corrupt:
        done.append(f"{file.corrupt:,} corrupt dropped, recomputed when needed")
    if file.superseded:
        done.append(f"{file.superseded} superseded dropped")
    if file.torn:
        done.append("1 unfinished dropped")
    if not all(file.headers):
        done.append("header restored")
    return Outcome(entry.path, "compacted", ", ".join(done), saved)


def _keep_age(entry: StoreEntry, saved: int) -> None:
    """Restore the modification time of a compacted file, which `gc` reads as its age."""
    try:
        with locked(entry.path) as status:
            # A different size means that records were appended during or after compaction.
            if status is not None and status.st_size == entry.bytes - saved:
                os.utime(entry.path, ns=(status.st_atime_ns, entry.written))
    except OSError:
        pass  # for example another user's file: `gc` then counts it as new


def _bring_home(store: PredictionStore, file: StoredFile) -> Outcome:
    """Add the records of a misplaced file to the one at the right path; set it aside."""
    path = file.entry.path
    text = f"misplaced: {_add_to_home(store, file)}"
    aside = _set_aside(file)
    if not aside:
        return Outcome(path, "left", f"{text}; {CHANGED}: repair again")
    return Outcome(path, "set aside", f"{text}; renamed to {aside.name}")


def _bring_back(store: PredictionStore, file: StoredFile) -> Outcome:
    """Add the records of a file that was set aside to the one at its path; remove it."""
    path = file.entry.path
    text = f"was set aside: {_add_to_home(store, file)}"
    with changing(path, "removed"), locked(path) as status:
        if not unchanged(file.entry, status):
            return Outcome(path, "left", f"{text}; {CHANGED}: repair again")
        path.unlink()
    return Outcome(path, "brought back", text)


def _add_to_home(store: PredictionStore, file: StoredFile) -> str:
    """Add a file's records to the file at the right path; describe how many were new."""
    series = file.known_series
    records = open_records(store, file).table()
    home = store.path_of(series)
    try:
        added = open_records(store, file, home, writable=True).append(*records)
    except OSError as error:
        raise write_error(error, f"{len(records[0])} forecasts of {series.series!r}") from error
    return f"{added} of its {len(records[0])} records were new to {home.name}"


def _set_aside(file: StoredFile) -> Path | None:
    """Rename an unusable file as the engine does; returns the new path, or None if it changed."""
    entry = file.entry
    with changing(entry.path, "renamed"), locked(entry.path) as status:
        if not unchanged(entry, status) or _identity(entry.path) != file.series:
            return None
        seconds, rest = divmod(time.time_ns(), 10**9)
        aside = entry.path.with_name(f"{entry.path.name}.bad-{seconds}-{rest}-{entry.inode[1]}")
        entry.path.rename(aside)
        return aside


def _identity(path: Path) -> SeriesId | None:
    found = _core.store_inspect(path)[0]
    return None if found is None else SeriesId(*found[:3])


def unchanged(entry: StoreEntry, status: os.stat_result | None) -> bool:
    """Whether a file is unchanged since it was listed."""
    return status is not None and (
        (status.st_dev, status.st_ino) == entry.inode
        and (status.st_mtime_ns, status.st_size) == (entry.written, entry.bytes)
    )
