"""Garbage collection of a prediction store: remove files by model, age and size."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from marketsim.errors import ArgumentError
from marketsim.forecasts.store.disk import FORMAT, MODEL_FILE, PredictionStore
from marketsim.forecasts.store.inspect import identify
from marketsim.forecasts.store.listing import (
    FOLDER_NAME,
    LOCK_FILE,
    MODEL_NAME,
    StoreEntry,
    StoreLocation,
    folders_of,
    list_entries,
    list_models,
    locked,
    open_location,
    resolve_models,
)
from marketsim.forecasts.store.maintain import CHANGED, changing, unchanged, writable_store
from marketsim.progress import ProgressBar

# Age at which leftover files are removed; younger ones may still be written, or used by `repair`.
LEFTOVER_AGE = {"temporary": timedelta(days=1), "quarantined": timedelta(days=30)}


@dataclass(frozen=True)
class Removal:
    """One file, the reason why it was removed or stays, and its symbol if that could be read."""

    entry: StoreEntry
    reason: str
    symbol: str = ""


@dataclass(frozen=True)
class Collected:
    """Result of `collect_garbage`.

    Attributes:
        removed: files removed; in a dry run, files that would be removed.
        kept: files that matched the rules and stay, with the reason.
        left: bytes of all files that stay.
        dry_run: whether this was a dry run, which changes nothing.
    """

    removed: tuple[Removal, ...]
    kept: tuple[Removal, ...]
    left: int
    dry_run: bool

    @property
    def freed(self) -> int:
        """Bytes of the removed files."""
        return sum(removal.entry.bytes for removal in self.removed)


def collect_garbage(
    location: StoreLocation,
    *,
    keep_models: Collection[str] | None = None,
    older_than: timedelta | datetime | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
    progress: bool = True,
) -> Collected:
    """Remove files of records that match all given rules, oldest first.

    Without a rule no file of records is removed. Temporary files are removed after a day and
    quarantined ones after 30 days, whatever the rules. Files written to during the run stay, and so
    do misplaced files and files without a valid header (`repair` handles those).

    Args:
        location: the store.
        keep_models: models whose records stay: fingerprints, prefixes of them, or names.
        older_than: remove only files last written before a time (UTC without a time zone), or
            longer ago than a duration.
        max_bytes: stop once all files together have at most this many bytes; quarantined files
            without a readable header are removed first, whatever their age.
        dry_run: report what would be removed, and change nothing.
        progress: show a progress bar on a terminal when it takes long.

    Raises:
        ArgumentError: a size below 0, or a time in the future.
        UnknownNameError: an unknown model; nothing is removed.
        StoreReadOnlyError: the store cannot be written.
        StoreWriteError: a file cannot be removed; files removed before stay removed.
    """
    now = time.time_ns()
    cutoff = None if older_than is None else _cutoff(older_than, now)
    if max_bytes is not None and max_bytes < 0:
        raise ArgumentError(f"max_bytes must be at least 0: got {max_bytes}")
    store = open_location(location) if dry_run else writable_store(location)
    kept_models = None if keep_models is None else resolve_models(list_models(store), keep_models)
    entries = list(list_entries(store))
    due = [
        Removal(e, f"{e.kind}, {LEFTOVER_AGE[e.kind].days} days old")
        for e in entries
        if _is_leftover(e, now)
    ]
    chosen = list(_by_rules(entries, kept_models, cutoff, max_bytes is not None))
    by_size = []
    if max_bytes is None:
        due += chosen
    else:
        young = [
            e
            for e in entries
            if e.kind == "quarantined" and not _is_leftover(e, now) and identify(store, e).problem
        ]
        by_size = [Removal(e, "quarantined, the store is above the limit") for e in young] + chosen
    run = _Run(store, dry_run, left=sum(entry.bytes for entry in entries))
    with ProgressBar(len(due) + len(by_size), "removing", enabled=progress) as bar:
        for removal in due:
            run.remove(removal)
            bar.advance(1)
        for removal in by_size:
            if max_bytes is not None and run.left > max_bytes:
                run.remove(removal)
            bar.advance(1)
    if not dry_run:
        day_ago = now - _nanoseconds(timedelta(days=1))
        _remove_empty_folders(store, {r.entry.model for r in run.removed}, day_ago)
    return Collected(tuple(run.removed), tuple(run.kept), run.left, dry_run)


def _by_rules(
    entries: list[StoreEntry], kept_models: set[str] | None, cutoff: int | None, too_large: bool
) -> Iterator[Removal]:
    """Yield the files of records that the rules allow to remove, oldest write first."""
    rules = {
        "its model is not kept": kept_models is not None,
        "older than the limit": cutoff is not None,
        "the store is above the limit": too_large,
    }
    reason = ", ".join(text for text, given in rules.items() if given)
    for entry in sorted(entries, key=lambda entry: (entry.written, entry.path)):
        kept = kept_models is not None and entry.model in kept_models
        young = cutoff is not None and entry.written >= cutoff
        if reason and entry.kind == "records" and not kept and not young:
            yield Removal(entry, reason)


class _Run:
    """Removal of files one by one, with a count of bytes left."""

    def __init__(self, store: PredictionStore, dry_run: bool, left: int) -> None:
        self._store = store
        self._dry_run = dry_run
        self.left = left
        self.removed: list[Removal] = []
        self.kept: list[Removal] = []

    def remove(self, removal: Removal) -> None:
        """Remove a file, unless it changed or is not the file that its name claims."""
        entry = removal.entry
        if self._dry_run:
            symbol, why_not = _look(self._store, entry)
        else:
            with changing(entry.path, "removed"), locked(entry.path) as status:
                symbol, why_not = "", CHANGED
                if unchanged(entry, status):
                    symbol, why_not = _look(self._store, entry)
                if not why_not:
                    entry.path.unlink()
        if why_not:
            self.kept.append(Removal(entry, why_not, symbol))
        else:
            self.removed.append(replace(removal, symbol=symbol))
            self.left -= entry.bytes


def _look(store: PredictionStore, entry: StoreEntry) -> tuple[str, str]:
    """Return (symbol, reason to keep a file: its header does not match its path; else empty)."""
    if entry.kind == "temporary":
        return "", ""
    file = identify(store, entry)
    symbol = file.series.series if file.series else ""
    if entry.kind == "quarantined" or (file.series is not None and not file.misplaced):
        return symbol, ""
    return symbol, "its header does not match its path: run repair first"


def _is_leftover(entry: StoreEntry, now: int) -> bool:
    """Whether a quarantined or temporary file is old enough to be removed."""
    age = LEFTOVER_AGE.get(entry.kind)
    return age is not None and _leftover_since(entry) < now - _nanoseconds(age)


def _leftover_since(entry: StoreEntry) -> float:
    """Return when a file became quarantined or temporary, in ns; infinity for other files."""
    if entry.kind == "temporary":
        return entry.written
    if entry.kind == "quarantined":  # the name holds the time; the file itself may be older
        return int(entry.path.name.rpartition(".bad-")[2].split("-")[0]) * 1e9
    return float("inf")


def _cutoff(older_than: timedelta | datetime, now: int) -> int:
    if isinstance(older_than, timedelta):
        if older_than < timedelta(0):
            raise ArgumentError(f"older_than must not be negative: got {older_than}")
        return now - _nanoseconds(older_than)
    aware = older_than if older_than.tzinfo else older_than.replace(tzinfo=UTC)
    cutoff = _nanoseconds(aware - datetime(1970, 1, 1, tzinfo=UTC))
    if cutoff > now:
        raise ArgumentError(f"older_than must not be in the future: got {older_than}")
    return cutoff


def _nanoseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1) * 1000


def _remove_empty_folders(store: PredictionStore, touched: set[str], day_ago: int) -> None:
    """Remove empty folders, if emptied here or unchanged for a day; a newer one may be in use."""
    for model in folders_of(store.path / FORMAT, MODEL_NAME):
        with changing(model, "removed"):
            if model.name not in touched and model.lstat().st_mtime_ns > day_ago:
                continue
            for folder in folders_of(model, FOLDER_NAME):
                _remove_folder(folder)
            if {path.name for path in model.iterdir()} <= {MODEL_FILE}:
                _remove_model_folder(model)


def _remove_model_folder(folder: Path) -> None:
    """Remove a folder that holds only its description; restore that if a file appears."""
    path = folder / MODEL_FILE
    text = None
    if path.exists():
        if not stat.S_ISREG(path.lstat().st_mode):
            return
        text = path.read_bytes()
        path.unlink()
    if not _rmdir(folder) and text is not None:
        part = path.with_name(f"{MODEL_FILE}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
        part.write_bytes(text)
        part.replace(path)


def _remove_folder(folder: Path) -> None:
    """Remove a folder that holds only its lock; a writer waiting for the lock makes a new one."""
    if {path.name for path in folder.iterdir()} == {LOCK_FILE}:
        with contextlib.suppress(TimeoutError), locked(folder / LOCK_FILE, timeout=0):
            if {path.name for path in folder.iterdir()} == {LOCK_FILE}:
                (folder / LOCK_FILE).unlink()
    _rmdir(folder)


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # not empty, or gone
        return not folder.exists()
    return True
