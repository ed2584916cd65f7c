"""Identities of models: everything that can change a forecast."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from blake3 import blake3

from marketsim.errors import ArgumentError
from marketsim.hashing import hash_threads
from marketsim.models.code import code_digest
from marketsim.models.protocol import Model

_READ_BYTES = 1 << 22


@dataclass(frozen=True)
class ModelIdentity:
    """Identity: everything that a forecast depends on besides its context.

    Two models with one fingerprint give the same forecasts; so each field must change whenever a
    change of the kind that it stands for may change a forecast.

    Attributes:
        name: display name of the model; no part of the fingerprint where there are weights.
        code: version of the code that makes the forecasts.
        context_length: how many last values a forecast depends on; None for all.
        levels: the quantile levels that the model states.
        weights: `content_hash` of the weights' files; empty for a model without any.
        configuration: the model's own parameters, values that JSON knows.
        preprocessing: what happens to a context before the model sees it, with a version.
        libraries: versions of the libraries that compute, by name.
        kernel: which of a library's kernels compute, where they differ in the last digits.
        dtype: precision of the computation.
        sampling: rule by which samples are drawn, and their number; empty where none are.
        seeding: rule by which a sample's seed follows from the record's key; empty where none is.
    """

    name: str
    code: str
    context_length: int | None
    levels: tuple[float, ...]
    weights: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    dtype: str = "float64"
    sampling: str = ""
    seeding: str = ""

    @property
    def fingerprint(self) -> str:
        """64 hex digits: BLAKE3 of the canonical JSON of all fields.

        Weights say themselves what they are, so the name of a model with weights does not count: a
        folder that is renamed finds what was stored, and so does a hub id after a download.
        """
        counted = self.to_dict()
        if self.weights:
            del counted["name"]
        text = json.dumps(
            counted,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
            ensure_ascii=True,
        )
        return blake3(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def identity_of(model: Model) -> ModelIdentity | None:
    """Return the identity of a model, or None."""
    identity = getattr(model, "identity", None)
    return identity if isinstance(identity, ModelIdentity) else None


def stored_as(model: Model) -> str | None:
    """Return the fingerprint under which a model's forecasts are stored; None if they are not.

    That of its identity, for the models of marketsim. For a class of one's own it also covers the
    class, its code and the values that this names, so that neither an edited class nor another one
    with the same identity finds these forecasts. A model without an identity is not stored: the
    fingerprint that its author typed says nothing of what it computes.
    """
    identity = identity_of(model)
    if identity is None:
        return None
    kind = type(model)
    if kind.__module__.partition(".")[0] == "marketsim":
        return model.fingerprint
    code = code_digest(kind)
    parts = [identity.fingerprint, f"{kind.__module__}.{kind.__qualname__}", code or ""]
    return blake3("\n".join(parts).encode()).hexdigest()


def describe_model(model: Model) -> dict[str, Any]:
    """Return the facts of a model for listings, its identity included."""
    identity = identity_of(model)
    if identity is not None:
        return identity.to_dict()
    return {
        "name": model.name,
        "context_length": model.context_length,
        "levels": list(model.levels),
    }


def content_hash(files: Iterable[str | os.PathLike[str]]) -> str:
    """Hash names and bytes of files, in any order and folder: 64 hex digits.

    Raises:
        ArgumentError: two files have one name.
        OSError: a file cannot be read, is no file, or is written to meanwhile.
    """
    parts: dict[str, str] = {}
    for file in map(Path, files):
        if file.name in parts:
            raise ArgumentError(f"two of the files are called {file.name}: names must differ")
        parts[file.name] = _file_hash(file)
    return _joint_hash(parts)


def content_hash_of(texts: Mapping[str, bytes]) -> str:
    """As `content_hash`, of the bytes of files that have been read, by name."""
    return _joint_hash({name: blake3(text).hexdigest() for name, text in texts.items()})


def _joint_hash(parts: Mapping[str, str]) -> str:
    return blake3(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    """Hash a file's bytes with BLAKE3; read, not mapped, so that a truncation cannot crash us."""
    with open_regular(path) as file:
        before = settled_stamp(lambda: os.fstat(file.fileno()))
        digest = blake3(max_threads=hash_threads())
        buffer = memoryview(bytearray(_READ_BYTES))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
        if stamp_of(os.fstat(file.fileno())) != before:
            raise OSError(errno.EBUSY, "written to while it was read", str(path))
    return digest.hexdigest()


def open_regular(path: Path) -> io.FileIO:
    """Open a regular file for reading; raise for pipes and devices.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return io.FileIO(handle, "rb")


# Seconds after which another change of a file gets another time: that of the system's slowest tick.
_TICK = 0.02
FileStamp = tuple[int, int, int, int, int]


def stamp_of(status: os.stat_result) -> FileStamp:
    """Return values that change when a file is written to, replaced or renamed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def settled_stamp(look: Callable[[], os.stat_result]) -> FileStamp:
    """Return a stamp that any later change alters; waits after a very recent write.

    Two changes within one tick of the system's clock have one time.
    """
    status = look()
    if abs(time.time() - status.st_ctime) < _TICK:
        time.sleep(_TICK)
        status = look()
    return stamp_of(status)


class HeldFile:
    """A regular file that stays open for reading until nothing refers to it any more.

    It stays the same file when another one takes its name: what is read late is what was there
    when it was opened, unless something is written into it.

    Args:
        path: its name.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_regular(path)

    def __del__(self) -> None:
        file = getattr(self, "file", None)  # None if it could not be opened
        if file is not None:
            file.close()
