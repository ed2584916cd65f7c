"""The library of tests/faults/native/shim.c, from within the process it is preloaded into."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

KINDS = (
    *("open", "pwrite", "pread", "stat", "mmap", "fdatasync", "fsync"),
    *("rename", "renameat2", "link", "flock", "unlink", "mkdir"),
)
ONCE, FROM_THEN_ON, SHORT, CUT = range(4)  # CUT: half of the nth, and failures from then on

_library = ctypes.CDLL(os.environ["FAULTS_SHIM"])
_library.shim_arm.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_int]
_library.shim_calls.restype = ctypes.c_ulong
_ENTRY = struct.Struct("=IIQQQQ")


def watch(folder: Path) -> None:
    """Counts calls from 0, for what lies below a folder."""
    _library.shim_watch(os.fsencode(folder))


def arm(kind: str, nth: int, error: int, mode: int = ONCE) -> None:
    """The nth call of a kind goes wrong."""
    assert _library.shim_arm(kind.encode(), nth, error, mode) == 0


def disarm() -> int:
    """Returns how many calls went wrong."""
    return _library.shim_disarm()


def calls(kind: str) -> int:
    """How many calls of a kind there were."""
    return _library.shim_calls(kind.encode())


def record(log: Path) -> None:
    """Records calls in a file from now on."""
    assert _library.shim_record_start(os.fsencode(log)) == 0


def stop_recording() -> None:
    """Closes the file."""
    _library.shim_record_stop()


def mark(text: str) -> None:
    """A remark in the record."""
    _library.shim_mark(text.encode())


@dataclass(frozen=True)
class Event:
    """One recorded call that changed something or asked for it to last."""

    kind: str
    failed: bool
    inode: int
    offset: int
    names: list[str]
    data: bytes


def events(log: Path) -> list[Event]:
    """The recorded calls in their order."""
    raw = log.read_bytes()
    found, at = [], 0
    names = [*KINDS, "", "mark"]
    while at < len(raw):
        kind, failed, inode, offset, text, size = _ENTRY.unpack_from(raw, at)
        at += _ENTRY.size
        parts = raw[at : at + text].decode().split("\n")
        data = raw[at + text : at + text + size]
        found.append(Event(names[kind], bool(failed), inode, offset, parts, data))
        at += text + size
    return found
