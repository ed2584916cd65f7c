"""Prediction store: forecasts on disk, each computed once."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim import _core
from marketsim.bars import Bars
from marketsim.errors import (
    ArgumentError,
    InvalidNameError,
    StoreError,
    StoreMissError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreWriteError,
)
from marketsim.forecasts.cube import ForecastCube
from marketsim.forecasts.keys import KEY_BYTES, RecordKeys, SeriesId
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.plan_keys import PlanKeys
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store.base import Records
from marketsim.kernels.rules import check_device
from marketsim.models import Model
from marketsim.models.fingerprint import stored_as
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.device.cube import DeviceCube

FORMAT = "v1"
SUFFIX = ".msp"
MODEL_FILE = "model.json"
# Series held in memory: enough that a run over a universe seldom reads a file twice.
MAX_OPEN = 1024
MAX_BYTES = 1 << 30
LOCK_TIMEOUT = 10.0  # seconds

_HINTS = {
    errno.ENOSPC: "free some space, or set MARKETSIM_STORE to a folder on another disk",
    errno.EDQUOT: "the quota is used up: run `marketsim store gc`, or set MARKETSIM_STORE",
    errno.EROFS: "open it with mode='r', or set MARKETSIM_STORE to a writable folder",
    errno.EACCES: "open it with mode='r', or set MARKETSIM_STORE to a writable folder",
    errno.ETIMEDOUT: "end or continue that process, or wait longer with lock_timeout=",
    errno.EBUSY: "try again later",
}


class PredictionStore:
    """Store of forecasts in a folder, one append-only file per model, series and schema.

    A record is found only by the key over the model and exactly its inputs
    (`marketsim.forecasts.keys`), and only if its checksum is right. Any number of processes and
    threads may read and append at once. Damage on the disk never raises: damaged records are
    counted and read as missing. Files are read into memory and verified there, so returned records
    stay valid whatever happens to the file.

    Args:
        path: the folder; the first append creates it.
        mode: "a" to read and append, "r" to read only; "r" never changes the folder.
        sync: "batch" to sync each append to the disk before it returns, "none" to leave that to the
            system: a power failure may then lose the newest records, and only those.
        require_complete: raise StoreMissError for missing records.
        lock_timeout: seconds to wait for another process that writes to the same folder, before an
            append fails; after two seconds a StoreWarning names that process.

    Attributes:
        path: the folder.
        writable: whether records can be appended.
        why_not: reason why records cannot be appended; empty if they can.

    Raises:
        StoreNotFoundError: mode is "r" and the folder does not exist.
        ArgumentError: mode or sync is not one of the above.

    Example:
        >>> import tempfile
        >>> with PredictionStore(tempfile.mkdtemp()) as store:
        ...     store.counters["hits"]
        0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Literal["a", "r"] = "a",
        sync: Literal["batch", "none"] = "batch",
        require_complete: bool = False,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        _check_choice("mode", mode, ("a", "r"))
        _check_choice("sync", sync, ("batch", "none"))
        if not 0 <= lock_timeout < math.inf:
            raise ArgumentError(f"lock_timeout must be 0 or more seconds: got {lock_timeout}")
        self.path = absolute_path(path)
        self.mode = mode
        self.require_complete = require_complete
        self.lock_timeout = float(lock_timeout)
        if mode == "r" and not _exists(self.path):
            raise StoreNotFoundError(
                f"there is no prediction store at {self.path}: give the folder of a store, or "
                "create one there with `marketsim forecast` or mode='a'"
            )
        network = network_file_system(self.path)
        self.why_not = ""
        if mode == "r":
            self.why_not = "it is open for reading (mode='r')"
        elif network:
            self.why_not = (
                f"{self.path} is on a network file system ({network}), where appending is not "
                "safe: set MARKETSIM_STORE or store= to a folder on a local disk"
            )
        self._sync = sync == "batch"
        self._counters = _core.StoreCounters()
        self._files: dict[SeriesId, _core.StoreFile] = {}
        self._opening = threading.Lock()  # guards changes of _files

    @property
    def writable(self) -> bool:
        """Whether records can be appended."""
        return not self.why_not

    @property
    def counters(self) -> dict[str, int]:
        """Counts since the store was opened.

        hits, misses: records looked up; corrupt: records with a wrong checksum; superseded: records
        appended for an existing key; quarantined: files renamed aside; unreadable: files that could
        not be read or do not belong to the store.
        """
        return self._counters.counts()

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`.

        Raises:
            StoreMissError: a record is missing, and the store was opened with require_complete.
        """
        records, found, hits = self._file(series).read(keys.tags)
        if self.require_complete and hits < len(keys):
            first = np.datetime64(int(keys.as_of[~found][0]), "ns")
            raise StoreMissError(
                f"{len(keys) - hits} of {len(keys)} forecasts of {series.series} are not in the "
                f"store at {self.path}, the first as of {first}: run `marketsim forecast` with the "
                "same model and data, or open the store without require_complete"
            )
        return records, found

    def get(self, series: SeriesId, key: bytes) -> Records | None:
        """Return one record as a read-only array [width], or None.

        The array is a verified copy in memory, independent of the store and the file. A record that
        was verified once may be returned after it is gone from the disk.

        Raises:
            StoreMissError: the record is missing, and the store was opened with require_complete.
        """
        record = self._file(series).get(key)
        if record is None and self.require_complete:
            raise StoreMissError(f"{key.hex()} of {series.series} is not in {self.path}")
        return record

    @overload
    def cube(
        self, bars: Bars | ReturnTable, model: Model, start: int | None = None,
        stop: int | None = None, *, horizons: Sequence[int] = (1,), targets: str | None = None,
        device: Literal["cpu"] = "cpu",
    ) -> ForecastCube: ...  # fmt: skip

    @overload
    def cube(
        self, bars: Bars | ReturnTable, model: Model, start: int | None = None,
        stop: int | None = None, *, horizons: Sequence[int] = (1,), targets: str | None = None,
        device: str,
    ) -> ForecastCube | DeviceCube: ...  # fmt: skip

    def cube(
        self,
        bars: Bars | ReturnTable,
        model: Model,
        start: int | None = None,
        stop: int | None = None,
        *,
        horizons: Sequence[int] = (1,),
        targets: str | None = None,
        device: str = "cpu",
    ) -> ForecastCube | DeviceCube:
        """Read the stored forecasts of all four targets for rows start .. stop - 1 of the bars.

        Forecasts of row t were made from the rows before t and are found by their contents; horizon
        h is of row t + h - 1. Neither runs the model nor loads its weights.

        Args:
            bars: bars of the forecasts.
            model: model of the forecasts.
            start: first row, at least 2; None for 11, the first of `marketsim forecast --all-days`.
            stop: one past the last row; None for all.
            horizons: steps ahead, ascending.
            targets: "close" or "own", as in `walk_forward`.
            device: "cpu"; or "cuda" or "cuda:<index>" for an asynchronous copy from pinned memory
                on torch's current stream.

        Returns:
            `ForecastCube` of float32 records [bar, horizon, target, field]; on a GPU `DeviceCube`.

        Raises:
            StoreMissError: forecasts are missing; says how many, and what to do.
            ArgumentError: rows outside the bars.
            UnknownNameError, CudaUnavailableError, CudaError: as `ForecastCube.to`.
        """
        check_device(device)
        table = ReturnTable.for_model(bars, model, targets)
        plan = ForecastPlan.of_rows(len(table.timestamps), start, stop, tuple(horizons))
        if stored_as(model) is None:
            raise StoreMissError(
                f"forecasts of {model.name} are never stored: it states no identity (a "
                "marketsim.models.ModelIdentity), and its fingerprint alone may equal another "
                "model's"
            )
        keys = PlanKeys.of(table, model, plan)
        with stage("store read"):
            flat, found, hits = self._file(keys.series).read(keys.batch.tags)
        missing = plan.forecasts - hits
        if missing:
            complete = found.reshape(-1, plan.days).all(axis=0)
            row = plan.first + int(np.flatnonzero(~complete)[0])
            raise StoreMissError(
                f"{missing} of {plan.forecasts} forecasts of {table.symbol} by {model.name} "
                f"(fingerprint {model.fingerprint}) are not in the store at {self.path}, the first "
                f"for row {row}: run `marketsim forecast` with the same model and data, which "
                "makes them (with --all-days those of every row from 11 on)"
            )
        schema = Schema.parse(keys.series.schema)
        cube = ForecastCube(plan.first, schema, keys.by_bar(flat), plan.horizons)
        return cube if device == "cpu" else cube.to(device)

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Store records; see `ForecastStore.append`.

        Raises:
            StoreReadOnlyError: the store cannot be written; `why_not` gives the reason.
            StoreWriteError: the disk is full or failed; earlier records are unchanged.
        """
        file = self._file(series)
        self._require_writable()
        try:
            return file.append(
                keys.tags,
                keys.as_of,
                keys.target,
                keys.horizon,
                keys.flags,
                np.ascontiguousarray(records, dtype=np.float32),
            )
        except OSError as error:
            raise write_error(error, f"{len(keys)} forecasts of {series.series}") from error
        except ValueError as error:  # wrong shapes
            raise ArgumentError(str(error)) from error

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Write `model.json` beside a model's files, unless it exists."""
        path = Path(self.folder_of(model), MODEL_FILE)
        if not self.writable or _exists(path):
            return
        known = {"fingerprint": model, **facts}
        text = json.dumps(known, indent=2, sort_keys=True, default=str)
        part = path.with_name(f"{MODEL_FILE}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except FileNotFoundError:
            return  # `gc` removed the folder: the next batch writes the description
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise write_error(error, f"the description of model {model}") from error

    def folder_of(self, model: str) -> Path:
        """Return the folder of a model's files.

        Raises:
            InvalidNameError: the fingerprint is not 4 to 128 hex digits.
        """
        return Path(self._folder(model))

    def path_of(self, series: SeriesId) -> Path:
        """Return the file of a series; its name is a digest, so a symbol never becomes a path."""
        return Path(self._file_path(series))

    def _folder(self, model: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{4,128}", model):
            raise InvalidNameError(
                f"a model's fingerprint must be 4 to 128 hex digits (0-9, a-f): got {model!r}"
            )
        return f"{self.path}/{FORMAT}/{model}"

    def _file_path(self, series: SeriesId) -> str:
        name = blake3(f"{series.series}\0{series.schema}".encode()).hexdigest(length=KEY_BYTES)
        return f"{self._folder(series.model)}/{name[:2]}/{name}{SUFFIX}"

    def close(self) -> None:
        """Release all files; arrays already returned stay valid, and the store stays usable."""
        with self._opening:
            self._files.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        sync = "batch" if self._sync else "none"
        given = (str(self.path), self.mode, sync, self.require_complete, self.lock_timeout)
        return _reopen, given

    def __enter__(self) -> PredictionStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PredictionStore({str(self.path)!r}, {'writable' if self.writable else 'readable'})"

    def _repr_html_(self) -> str:
        """Render the counters of this object for a notebook."""
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{count:,}</td></tr>"
            for name, count in self.counters.items()
        )
        more = "<p><code>marketsim store stat</code> lists models, series and sizes</p>"
        return f"<p>{escape(repr(self))}</p><table>{rows}</table>{more}"

    def _file(self, series: SeriesId) -> _core.StoreFile:
        file = self._files.get(series)
        if file is not None:
            return file
        opened = self._open(series)
        with self._opening:
            while self._files and (len(self._files) >= MAX_OPEN or self._counters.held > MAX_BYTES):
                del self._files[next(iter(self._files))]
            return self._files.setdefault(series, opened)

    def _open(self, series: SeriesId) -> _core.StoreFile:
        path, schema = self._file_path(series), Schema.parse(series.schema)
        try:
            return _core.StoreFile(
                path=path,
                model=series.model,
                series=series.series,
                schema=series.schema,
                width=schema.width,
                counters=self._counters,
                writable=self.writable,
                sync=self._sync,
                lock_timeout=self.lock_timeout,
            )
        except ValueError as error:  # text too long for a header
            raise ArgumentError(str(error)) from error

    def _require_writable(self) -> None:
        if self.why_not:
            raise StoreReadOnlyError(f"this store cannot be written: {self.why_not}")


def write_error(error: OSError, what: str) -> StoreWriteError:
    """Return the error of a failed write: what was not stored, why, and what to do."""
    hint = _HINTS.get(error.errno or 0, "earlier records are unchanged")
    return StoreWriteError(
        error.errno, f"{what} could not be stored: {error.strerror}: {error.filename}; {hint}"
    )


def _reopen(
    path: str, mode: Literal["a", "r"], sync: Literal["batch", "none"], complete: bool, wait: float
) -> PredictionStore:
    """Reopen the folder of a pickled store."""
    return PredictionStore(path, mode=mode, sync=sync, require_complete=complete, lock_timeout=wait)


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """Resolve a path to an absolute one, following links.

    Raises:
        StoreError: the name is too long, links form a loop, or there is no home folder.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{os.fspath(path)!r} cannot be a store's folder: {error}") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission for a parent folder
        return False


def network_file_system(path: Path) -> str:
    """Return the type of network file system of a path or its nearest parent; "" for local ones."""
    while not _exists(path) and path != path.parent:
        path = path.parent
    return _core.store_network_file_system(path)


def _check_choice(name: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ArgumentError(f"{name} must be one of {', '.join(known)}: got {got!r}")
