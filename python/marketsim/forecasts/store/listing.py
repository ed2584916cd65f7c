"""Models and files of a prediction store, listed by name without reading any file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import time
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from marketsim import _core
from marketsim.errors import ArgumentError, StoreWarning, UnknownNameError
from marketsim.forecasts.store.disk import FORMAT, LOCK_TIMEOUT, MODEL_FILE, PredictionStore
from marketsim.models.fingerprint import ModelIdentity

MAX_MODEL_FILE = 1 << 20
LOCK_FILE = "lock"
LEAST_PREFIX = 4
ANOTHER_VERSION = (
    "written by another version of marketsim, whose fingerprints differ: this version neither "
    "reads nor changes its forecasts"
)

StoreLocation: TypeAlias = "PredictionStore | str | os.PathLike[str]"
# records: a file of records. quarantined: renamed because the store could not use it. temporary:
# left by a process that ended while writing. foreign: a link or not a file, named like a file.
EntryKind: TypeAlias = Literal["records", "quarantined", "temporary", "foreign"]

MODEL_NAME = re.compile(r"[0-9a-f]{4,128}")
_FORMAT_NAME = re.compile(r"v[0-9]{1,4}")
FOLDER_NAME = re.compile(r"[0-9a-f]{2}")
_FILE_NAME = re.compile(r"[0-9a-f]{32}\.msp(?:\.(bad|tmp)-[0-9]+(?:-[0-9]+)*)?")
_MODEL_FILE_PART = re.compile(rf"{re.escape(MODEL_FILE)}\.tmp-[0-9]+-[0-9a-f]+")
_KINDS: dict[str | None, EntryKind] = {None: "records", "bad": "quarantined", "tmp": "temporary"}


@dataclass(frozen=True)
class StoreEntry:
    """One file of a store, from its name and status alone.

    Attributes:
        path: path of the file.
        kind: see `EntryKind`.
        model: fingerprint of the model, the name of its folder.
        bytes: size of the file.
        written: time of the last write, nanoseconds since 1970.
        inode: (device, inode); changes when the file is replaced.
    """

    path: Path
    kind: EntryKind
    model: str
    bytes: int
    written: int
    inode: tuple[int, int]


@dataclass(frozen=True)
class StoredModel:
    """One model of a store.

    Attributes:
        fingerprint: fingerprint, the name of its folder.
        name: name in `model.json`; empty if it has none.
        note: defect of `model.json`, or that another version wrote it; else empty. Forecasts do not
            depend on `model.json`.
    """

    fingerprint: str
    name: str
    note: str


def open_location(location: StoreLocation, *, mode: Literal["a", "r"] = "r") -> PredictionStore:
    """Return a store; a path is opened in this mode.

    Raises:
        StoreNotFoundError: the folder does not exist.
    """
    if isinstance(location, PredictionStore):
        return location
    reader = PredictionStore(location, mode="r")  # raises if the folder does not exist
    return reader if mode == "r" else PredictionStore(location, mode=mode)


def list_models(location: StoreLocation) -> list[StoredModel]:
    """List the models of a store, sorted by name and fingerprint."""
    found = []
    for folder in folders_of(open_location(location).path / FORMAT, MODEL_NAME):
        name, note = _model_name(folder / MODEL_FILE)
        found.append(StoredModel(folder.name, name, note))
    return sorted(found, key=lambda model: (model.name, model.fingerprint))


def list_entries(
    location: StoreLocation, *, models: Collection[str] | None = None
) -> Iterator[StoreEntry]:
    """List the files of a store, sorted by name; opens no file and follows no link.

    Args:
        location: the store.
        models: fingerprints of the models to list; None for all.
    """
    root = open_location(location).path / FORMAT
    for model in folders_of(root, MODEL_NAME):
        if models is not None and model.name not in models:
            continue
        yield from _entries(model, _MODEL_FILE_PART, model.name)
        for folder in folders_of(model, FOLDER_NAME):
            yield from _entries(folder, _FILE_NAME, model.name)


@contextmanager
def locked(
    path: Path, timeout: float = LOCK_TIMEOUT, *, create: bool = True
) -> Iterator[os.stat_result | None]:
    """Hold the writers' lock of a file's folder, and yield the status of the file.

    Yields None if the file is gone. Taking the lock needs write permission. Without `create`, a
    lock file that does not exist is not made, and nothing is held.

    Raises:
        TimeoutError: another process held the lock for `timeout` seconds.
        OSError: the lock file cannot be opened.
    """
    try:
        lock = _lock_folder(path.parent, timeout, os.O_CREAT if create else 0)
    except (FileNotFoundError, NotADirectoryError):
        yield _status(path)
        return
    try:
        yield _status(path)
    finally:
        os.close(lock)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _lock_folder(folder: Path, timeout: float, create: int) -> int:
    """Lock a folder as csrc/kernels/store/io.cpp does; returns the descriptor that holds it."""
    path = folder / LOCK_FILE
    begin, pause, warned = time.monotonic(), 50e-6, False
    while True:
        lock = os.open(path, os.O_WRONLY | create | os.O_NOFOLLOW | os.O_CLOEXEC, 0o222)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.lstat()):
                return lock
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        waited = time.monotonic() - begin
        if waited >= timeout:
            holder = _core.store_lock_holder(folder)
            raise TimeoutError(errno.ETIMEDOUT, f"locked for writing by {holder}", str(path))
        if waited >= 2 and not warned:
            warned = True
            warnings.warn(
                "waiting for the lock of a prediction store, which "
                f"{_core.store_lock_holder(folder)} holds: {path} (the wait ends after "
                f"{timeout:g} s)",
                StoreWarning,
                stacklevel=4,
            )
        time.sleep(pause)
        pause = min(2 * pause, 5e-3)


def resolve_models(known: Iterable[StoredModel], names: Iterable[str]) -> set[str]:
    """Find models by fingerprint, unique prefix of one, or name; returns their fingerprints.

    A name selects every model of that name.

    Raises:
        UnknownNameError: no model of the store matches.
        ArgumentError: a prefix matches several models.
    """
    models = list(known)
    chosen: set[str] = set()
    for text in names:
        exact = {m.fingerprint for m in models if text and text in (m.fingerprint, m.name)}
        begins = {m.fingerprint for m in models if m.fingerprint.startswith(text)}
        if not exact and len(text) >= LEAST_PREFIX:
            if len(begins) > 1:
                raise ArgumentError(
                    f"{text!r} is a prefix of {len(begins)} fingerprints: give more digits"
                )
            exact = begins
        if not exact:
            labels = [f"{model.name!r} {model.fingerprint[:12]}" for model in models]
            raise UnknownNameError("model of the store", text, labels or ["no model: it is empty"])
        chosen |= exact
    return chosen


def date_text(nanoseconds: int) -> str:
    """Format a time since 1970 in UTC, without trailing zeros: 2026-01-31, or 2026-01-31 09:30."""
    try:
        time = datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:  # the date of a file may be anything
        return "?"
    if nanoseconds % 86_400_000_000_000 == 0:
        return str(time.date())
    return time.isoformat(" ", "minutes" if nanoseconds % 60_000_000_000 == 0 else "auto")


def folders_of(parent: Path, name: re.Pattern[str]) -> list[Path]:
    """List the folders whose names match, sorted; links are left out."""
    try:
        with os.scandir(parent) as found:
            names = [
                item.name
                for item in found
                if name.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [parent / name for name in sorted(names)]


def _entries(folder: Path, name: re.Pattern[str], model: str) -> Iterator[StoreEntry]:
    try:
        with os.scandir(folder) as found:
            names = sorted(item.name for item in found if name.fullmatch(item.name))
    except FileNotFoundError:
        return
    for file in names:
        match = _FILE_NAME.fullmatch(file)
        kind = _KINDS[match[1]] if match else "temporary"
        try:
            status = (folder / file).lstat()
        except FileNotFoundError:  # removed or renamed since the scan
            continue
        yield StoreEntry(
            folder / file,
            kind if stat.S_ISREG(status.st_mode) else "foreign",
            model,
            status.st_size,
            status.st_mtime_ns,
            (status.st_dev, status.st_ino),
        )


def _model_name(path: Path) -> tuple[str, str]:
    """Read a model.json: (name, defect); links and pipes are not read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "", f"{MODEL_FILE} is missing"
    except OSError:
        return "", f"{MODEL_FILE} cannot be read"
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        facts: Any = json.loads(os.read(handle, MAX_MODEL_FILE)) if regular else None
    except (ValueError, RecursionError, OSError):
        return "", f"{MODEL_FILE} cannot be read"
    finally:
        os.close(handle)
    name = facts.get("name") if isinstance(facts, dict) else None
    if not isinstance(name, str) or not name:
        return "", f"{MODEL_FILE} states no name"
    stated = facts.keys() - {"fingerprint"}
    old = "code" in stated and stated != {part.name for part in fields(ModelIdentity)}
    return name.encode("utf-8", "replace").decode(), ANOTHER_VERSION if old else ""


def other_formats(location: StoreLocation) -> list[str]:
    """List the folders of a store that other versions of marketsim wrote in other formats."""
    root = open_location(location).path
    return [path.name for path in folders_of(root, _FORMAT_NAME) if path.name != FORMAT]
