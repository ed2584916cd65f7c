"""Locks between searches: of parts of a grid, whose work is shared, and of files of returns."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import blake3


@contextmanager
def claim(ledger: Path, keys: Iterable[bytes], *, wait: bool) -> Iterator[bool]:
    """Whether this process may compute some trials: no other one has claimed the same.

    The claim is a lock on a file beside the ledger, which is removed in the end; of a process that
    is killed the system lets go of it.

    Args:
        ledger: the file.
        keys: of the trials, see `trial_key`.
        wait: until the other one is done; then it is true.
    """
    digest = blake3.blake3(b"".join(keys)).hexdigest(8)
    path = ledger.with_name(f"{ledger.name}.{digest}.lock")
    held = take_lock(path, wait=wait)
    try:
        yield held is not None
    finally:
        if held is not None:
            let_go(path, held)


def let_go(path: Path, held: int) -> None:
    """Remove a file that `take_lock` locked, and its lock."""
    with suppress(FileNotFoundError):
        path.unlink()
    os.close(held)


def take_lock(path: Path, *, wait: bool) -> int | None:
    """Lock a file, made for it; returns its descriptor, None where another process has locked it.

    Args:
        path: the file.
        wait: until the other one lets go.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        with suppress(FileNotFoundError):
            if os.fstat(file).st_ino == path.stat().st_ino:
                return file
        os.close(file)  # whoever had it has removed it
