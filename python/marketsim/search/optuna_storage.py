"""Where Optuna keeps a study between processes: a journal file, or a database."""

from __future__ import annotations

import importlib
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blake3

from marketsim.errors import ArgumentError, MissingDependencyError, StorageError
from marketsim.search.identity import is_known
from marketsim.search.trial import settings_beside

_ATTRIBUTE = "marketsim"  # of a study: what it searches


def open_study(
    package: Any,
    storage: str | os.PathLike[str] | None,
    name: str,
    directions: list[str],
    pruner: Any,
) -> Any:
    """A new study, or the one that the storage has.

    Raises:
        MissingDependencyError: no driver for such a database.
        StorageError: the storage cannot be read; it stays as it is.
        ArgumentError: the study has other directions.
    """
    try:
        opened = _begun(
            storage,
            lambda: package.create_study(
                study_name=name,
                directions=directions,
                storage=_storage(package, storage),
                pruner=pruner,
                load_if_exists=True,
            ),
        )
    except StorageError:
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"storage {storage} needs a database driver that is not installed: {error}"
        ) from error
    except Exception as error:
        if storage is None:
            raise
        raise StorageError(
            f"storage {storage} cannot be read: {type(error).__name__}: {error}. Another version "
            "of Optuna may have written it, it is damaged, or no storage of Optuna: use that "
            "version, or another file; the ledger answers what it has either way"
        ) from error
    found = [one.name.lower() for one in opened.directions]
    if found != directions:
        raise ArgumentError(
            f"study {name!r} in {storage} has directions {', '.join(found)}: got "
            f"{', '.join(directions)}; give the search another name"
        )
    return opened


def _begun(storage: str | os.PathLike[str] | None, create: Callable[[], Any]) -> Any:
    """A study, also where another process is about to make the tables of the same database."""
    for pause in (0.1, 0.3, 1.0, 3.0):
        try:
            return create()
        except Exception as error:
            text = str(error)
            if not any(part in text for part in ("already exists", "alembic_version")) or (
                "://" not in str(storage)
            ):
                raise
            time.sleep(pause)
    return create()


def check_identity(study: Any, storage: str | os.PathLike[str], identity: dict[str, str]) -> None:
    """Note what a study searches in a new one, and compare it with what a stored one searched.

    Scores of another question would be taken for answers to this one.

    Raises:
        StorageError: the study is of something else, or does not say of what.
    """
    trials = len(study.get_trials(deepcopy=False))  # first: who has trials has noted it
    stored = study.user_attrs.get(_ATTRIBUTE)
    what = f"study {study.study_name!r} in {storage}"
    do = "give another study name or another storage"
    if not isinstance(stored, dict):
        if trials:
            raise StorageError(
                f"{what} has {trials:,} trials and does not say of which data, code, "
                f"settings, metric and space: {do}; the ledger answers what it has either way"
            )
        _claim(study, storage, identity)
        return
    different = [name for name in identity if stored.get(name, "") != identity[name]]
    if not different:
        return
    parts = "; ".join(
        f"{name}: got {_short(got)}, expected {_short(expected)}"
        for name in different
        for got, expected in [_beside(name, identity[name], str(stored.get(name, "")))]
    )
    if not is_known(*identity.values()):
        do += (
            ", or state code= from the start: no digest covers all that this search uses, so that "
            "nothing says that it is the same"
        )
    raise StorageError(f"{what} is of another search ({parts}): {do}")


def _claim(study: Any, storage: str | os.PathLike[str], identity: dict[str, str]) -> None:
    """Note what a new study searches, unless another search has begun in it.

    Each search notes a claim of its own first and reads those of all then, so that of two which
    begin at the same time one sees the other at least, and withdraws.
    """
    digest = blake3.blake3(json.dumps(identity, sort_keys=True).encode()).hexdigest(16)
    own = f"{_ATTRIBUTE} {digest}"
    study.set_user_attr(own, True)
    claims = [
        name
        for name, claimed in study.user_attrs.items()
        if name.startswith(f"{_ATTRIBUTE} ") and claimed and name != own
    ]
    if claims:
        study.set_user_attr(own, False)
        raise StorageError(
            f"another search, of other data, code, settings, metric or space, begins in study "
            f"{study.study_name!r} of {storage} at the same time: give another study name or "
            "another storage"
        )
    study.set_user_attr(_ATTRIBUTE, identity)


def _beside(name: str, got: str, expected: str) -> tuple[str, str]:
    if name != "settings":
        return got, expected
    return settings_beside(got, expected), settings_beside(expected, got)


def _short(text: str) -> str:
    return repr(text if len(text) <= 300 else f"{text[:150]} ... {text[-140:]}")


def _storage(package: Any, storage: str | os.PathLike[str] | None) -> Any:
    if storage is None or (isinstance(storage, str) and "://" in storage):
        return storage
    journal = importlib.import_module("optuna.storages.journal")
    path = Path(storage)
    _check_journal(path)
    # A process that was killed may leave its lock: it is held for milliseconds, so 5 s are enough.
    lock = journal.JournalFileSymlinkLock(str(path), grace_period=5)
    _set_aside_torn_entry(path, lock)
    backend = journal.JournalFileBackend(str(path), lock_obj=lock)
    return package.storages.JournalStorage(backend)


def _check_journal(path: Path) -> None:
    """Refuse a file that is something else, before Optuna appends to it."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    if not line.endswith(b"\n") and line.startswith(b'{"op_code"'):
        return  # torn in its first entry
    try:
        if line:
            json.loads(line)["op_code"]
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"storage {path} cannot be read: its first line is no entry of an Optuna journal, got "
            f"{line[:40]!r}; give another file"
        ) from error


def _set_aside_torn_entry(path: Path, lock: Any) -> None:
    """Cut off an entry that was not written to its end, or Optuna appends the next to it.

    Whoever holds the lock is not writing, so what has no end of line was never finished.
    """
    if not path.is_file() or _torn(path) == b"":
        return
    lock.acquire()
    try:
        torn = _torn(path)
        if torn == b"":
            return
        aside = path.with_name(path.name + ".torn")
        with aside.open("ab") as file:
            file.write(torn + b"\n")
        os.truncate(path, path.stat().st_size - len(torn))
    finally:
        lock.release()
    warnings.warn(
        f"storage {path} ended in an unfinished entry of {len(torn)} bytes, which is now in "
        f"{aside}: the trial that it was of is run again",
        stacklevel=5,
    )


def _torn(path: Path) -> bytes:
    """What follows the last end of line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            step = min(size - len(tail), 1 << 16)
            file.seek(size - len(tail) - step)
            tail = file.read(step) + tail
    return tail.rpartition(b"\n")[2]
