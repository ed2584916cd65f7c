"""The prediction store: forecasts on disk, computed once in their life."""

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
from marketsim.models.traits import traits_of
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.device.cube import DeviceCube

FORMAT = "v1"
SUFFIX = ".msp"
MODEL_FILE = "model.json"
# Series kept in memory at once: enough that a run over a universe seldom reads a file twice.
MAX_OPEN = 1024
MAX_BYTES = 1 << 30
LOCK_TIMEOUT = 10.0  # seconds

_HINTS = {
    errno.ENOSPC: "free some space, or set MARKETSIM_STORE to a folder on another disk",
    errno.EDQUOT: "the quota is used up: run `marketsim store gc`, or set MARKETSIM_STORE",
    errno.EROFS: "open it with mode='r', or set MARKETSIM_STORE to a folder that can be written",
    errno.EACCES: "open it with mode='r', or set MARKETSIM_STORE to a folder that can be written",
    errno.ETIMEDOUT: "end or continue that process, or wait longer with lock_timeout=",
    errno.EBUSY: "try again later",
}


class PredictionStore:
    """Forecasts in a folder, one append-only file for each model, series and schema.

    A record is reached only by a key over exactly what the model saw and what the model is
    (`marketsim.forecasts.keys`), and only if its checksum is right. Any number of processes and
    threads may read and append at once. Reading never fails for what is broken on the disk: it
    counts, and answers as if the record had not been there. A file is read into memory and verified
    there, so what is given out is right whatever happens to the file meanwhile.

    Args:
        path: the folder; it is made by the first append.
        mode: "a" to read and append, "r" to read only; "r" never changes anything in the folder.
        sync: "batch" to have each append on the disk before it returns, "none" to leave that to
            the system: then a loss of power may cost the newest records, and never more.
        require_complete: make a record that is not there an error.
        lock_timeout: seconds to wait for another process that writes to the same folder, before an
            append fails; a StoreWarning says after two seconds who that is.

    Attributes:
        path: the folder.
        writable: whether records can be appended.
        why_not: what stands against appending; empty if nothing does.

    Raises:
        StoreNotFoundError: mode is "r" and there is no such folder.
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
                f"there is no prediction store at {self.path}: give the folder of one, or fill "
                "one there by `marketsim forecast` or with mode='a'"
            )
        network = network_file_system(self.path)
        self.why_not = ""
        if mode == "r":
            self.why_not = "it is open for reading (mode='r')"
        elif network:
            self.why_not = (
                f"{self.path} lies on a network file system ({network}), where appending is not "
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

        hits, misses: records looked up; corrupt: records whose checksum was wrong; superseded:
        records given for a key that had one; quarantined: files renamed aside; unreadable: files
        that could not be read, or are not the store's.
        """
        return self._counters.counts()

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`.

        Raises:
            StoreMissError: one is not there, and the store was opened with require_complete.
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
        """One record, a read-only array [width], or None.

        It is a verified copy in memory, and stays as it is whatever happens to the store or the
        file. A record that was verified once may be given out after it is gone from the disk.

        Raises:
            StoreMissError: it is not there, and the store was opened with require_complete.
        """
        record = self._file(series).get(key)
        if record is None and self.require_complete:
            raise StoreMissError(f"{key.hex()} of {series.series} is not in {self.path}")
        return record

    @overload
    def cube(
        self, bars: Bars | ReturnTable, model: Model, start: int | None = None,
        stop: int | None = None, *, horizons: Sequence[int] = (1,), device: Literal["cpu"] = "cpu",
    ) -> ForecastCube: ...  # fmt: skip

    @overload
    def cube(
        self, bars: Bars | ReturnTable, model: Model, start: int | None = None,
        stop: int | None = None, *, horizons: Sequence[int] = (1,), device: str,
    ) -> ForecastCube | DeviceCube: ...  # fmt: skip

    def cube(
        self,
        bars: Bars | ReturnTable,
        model: Model,
        start: int | None = None,
        stop: int | None = None,
        *,
        horizons: Sequence[int] = (1,),
        device: str = "cpu",
    ) -> ForecastCube | DeviceCube:
        """The stored forecasts of all four targets for rows start .. stop - 1 of the bars.

        Those of row t were made from the rows before t, and are found by what these hold; horizon h
        is of row t + h - 1. The model is not run and its weights are not loaded.

        Args:
            bars: the rows that the forecasts are of.
            model: who made them.
            start: first row, at least 2; None for 11, the first that `marketsim forecast
                --all-days` makes.
            stop: one past the last row; None for all.
            horizons: steps ahead, ascending.
            device: "cpu"; or "cuda" or "cuda:<index>", to which they are copied at once, from
                pinned memory and on torch's current stream, without waiting.

        Returns:
            `ForecastCube` of float32 records [day, target, field]; on a GPU `DeviceCube`.

        Raises:
            StoreMissError: a forecast is not there; says how many of how many, and what to do.
            ArgumentError: rows that the bars do not have.
            UnknownNameError, CudaUnavailableError, CudaError: as `ForecastCube.to`.
        """
        check_device(device)
        table = ReturnTable.of(bars, traits_of(model).kind)
        plan = ForecastPlan.of_rows(len(table.timestamps), start, stop, tuple(horizons))
        if stored_as(model) is None:
            raise StoreMissError(
                f"forecasts of {model.name} are never stored: it states no identity (a "
                "marketsim.models.ModelIdentity), and a fingerprint alone may be another model's"
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
        """Keep records; see `ForecastStore.append`.

        Raises:
            StoreReadOnlyError: the store cannot be written; `why_not` says why.
            StoreWriteError: the disk is full or failed; what was kept before is as it was.
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
        except ValueError as error:  # shapes that do not fit
            raise ArgumentError(str(error)) from error

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Write `model.json` beside a model's files, if there is none."""
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
            return  # a clean-up removed the folder: the next batch describes the model
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise write_error(error, f"the description of model {model}") from error

    def folder_of(self, model: str) -> Path:
        """Where a model's files are.

        Raises:
            InvalidNameError: the fingerprint is not made of 4 to 128 hex digits.
        """
        return Path(self._folder(model))

    def path_of(self, series: SeriesId) -> Path:
        """The file of a series: its name is a digest, so a symbol never becomes a path."""
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
        """Let go of all files; arrays that were given out stay valid, and the store usable."""
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
        except ValueError as error:  # text that is too long for a header
            raise ArgumentError(str(error)) from error

    def _require_writable(self) -> None:
        if self.why_not:
            raise StoreReadOnlyError(f"nothing can be kept in this store: {self.why_not}")


def write_error(error: OSError, what: str) -> StoreWriteError:
    """The error that says what could not be kept, why, and what to do."""
    hint = _HINTS.get(error.errno or 0, "what was kept before is as it was")
    return StoreWriteError(
        error.errno, f"{what} could not be kept: {error.strerror}: {error.filename}; {hint}"
    )


def _reopen(
    path: str, mode: Literal["a", "r"], sync: Literal["batch", "none"], complete: bool, wait: float
) -> PredictionStore:
    """A store that was pickled: the same folder, opened anew."""
    return PredictionStore(path, mode=mode, sync=sync, require_complete=complete, lock_timeout=wait)


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """A path from the root on, links followed.

    Raises:
        StoreError: the name is too long, links lead in a circle, or there is no home folder.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{os.fspath(path)!r} cannot be a store's folder: {error}") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above that this user may not look into
        return False


def network_file_system(path: Path) -> str:
    """The kind of network file system that a path, or the folder it will be in, lies on, or ""."""
    while not _exists(path) and path != path.parent:
        path = path.parent
    return _core.store_network_file_system(path)


def _check_choice(name: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ArgumentError(f"{name} must be one of {', '.join(known)}: got {got!r}")
