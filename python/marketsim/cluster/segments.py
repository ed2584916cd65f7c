"""A store of forecasts on a place that all nodes share: sealed segments of the record log.

    segments/<model>/<hh>/<series>/<hash>.msp    whole files of the record log, named by content
    models/<model>.json                          readable description of the model
    runs/<driver>.json                           environment of each run: versions, nodes, seeds
    claim.json                                   the driver that writes now

A node works on a folder of its own. A series' segments are merged there when it is first read, by
the store's own engine; what a task makes is one more segment, published when the task ends.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim import _core
from marketsim.cluster import tasks
from marketsim.cluster.place import open_place
from marketsim.errors import StoreWarning
from marketsim.forecasts import PredictionStore, RecordKeys, Schema, SeriesId, user_cache_folder
from marketsim.forecasts.store.disk import SUFFIX

Records = npt.NDArray[np.float32]
SEGMENTS = "segments"


class SegmentStore:
    """Store of forecasts whose records are published as sealed segments; a `ForecastStore`.

    What is appended is seen by others after `publish`, all of it or nothing. In a task of a cluster
    that happens when the task ends.

    Args:
        location: a folder that all nodes share, or an fsspec URL.
        folder: local folder of this machine; one in the user's cache folder by default. Processes
            may share it.

    Attributes:
        counters: records found and not found, and segments whose content is not what their names
            say, which are left out.

    Example:
        >>> store = SegmentStore(tempfile.mkdtemp(), tempfile.mkdtemp())
        >>> store.publish()
        0
    """

    def __init__(
        self, location: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None
    ) -> None:
        self.place = open_place(location)
        self.location = self.place.location
        root = Path(folder) if folder is not None else _own_folder(self.location)
        _remove_left(root / "made")
        self._root = root
        self._merged = PredictionStore(root / "merged")
        if self._merged.why_not:  # the cache folder is on a network file system
            self._root = root = Path(tempfile.mkdtemp(prefix="marketsim-"))
            self._merged = PredictionStore(root / "merged")
        self._made = PredictionStore(
            root / "made" / f"{os.getpid()}-{secrets.token_hex(4)}", sync="none"
        )
        self._pulled: set[SeriesId] = set()
        self._unpublished: set[SeriesId] = set()
        self.counters = {"hits": 0, "misses": 0, "corrupt": 0, "quarantined": 0, "unreadable": 0}

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`."""
        records, found = self._look_up(series, keys)
        hits = int(found.sum())
        self.counters["hits"] += hits
        self.counters["misses"] += len(keys) - hits
        return records, found

    def _look_up(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        self._pull(series)
        records, found = self._merged.read(series, keys)
        if series in self._unpublished and not found.all():
            mine, there = self._made.read(series, keys)
            records = np.where((there & ~found)[:, None], mine, records)
            found = found | there
        return records, found

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Store records until `publish`; see `ForecastStore.append`."""
        new = ~self._look_up(series, keys)[1]
        if not new.any():
            return 0
        self._unpublished.add(series)
        return self._made.append(series, keys[new], np.asarray(records)[new])

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Write a description of the model, unless there is one."""
        name = f"models/{model}.json"
        if self.place.read(name) is None:
            known = {"fingerprint": model, **facts}
            text = json.dumps(known, indent=2, sort_keys=True, default=str)
            self.place.put(name, text.encode())

    def publish(self) -> int:
        """Publish what was appended; returns the number of segments.

        Raises:
            StoreWriteError: the place cannot be written; what is unpublished stays so.
        """
        count = 0
        for series in sorted(self._unpublished):
            path = self._made.path_of(series)
            content = path.read_bytes()
            self.place.put(f"{_folder_of(series)}/{_digest(content)}{SUFFIX}", content)
            self._merge(series, path)
            self._made.close()
            path.unlink()
            self._unpublished.discard(series)
            count += 1
        return count

    def _pull(self, series: SeriesId) -> None:
        """Merge the segments of a series that this machine has not merged yet."""
        if series in self._pulled:
            return
        for name in self.place.names(_folder_of(series)):
            digest = Path(name).stem
            mark = self._root / "marks" / digest
            if mark.exists():
                continue
            content = self.place.read(name)
            if content is None or _digest(content) != digest:
                self.counters["corrupt"] += 1
                warnings.warn(
                    f"{name} in {self.location} is not what its name says: it is left out, and "
                    "its forecasts are made again",
                    StoreWarning,
                    stacklevel=5,
                )
                continue
            (self._root / "pulled").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root / "pulled") as folder:
                path = Path(folder, f"{digest}{SUFFIX}")
                path.write_bytes(content)
                self._merge(series, path)
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
        self._pulled.add(series)

    def _merge(self, series: SeriesId, path: Path) -> None:
        """Append the records of a file to the merged one; those that it has keep their place."""
        self._merged.append(series, *_records_in(path, series))

    def __reduce__(self) -> tuple[Any, ...]:
        return _on_node, (self.location,)

    def __repr__(self) -> str:
        return f"SegmentStore({self.location!r})"


def _on_node(location: str) -> SegmentStore:
    """Open the store in a worker; what a task makes is published when it ends."""
    store = SegmentStore(location)
    tasks.at_end.append(store.publish)
    return store


def gather(location: str | os.PathLike[str], folder: str | os.PathLike[str]) -> int:
    """Merge all segments of a shared store into a `PredictionStore` in a local folder.

    Returns:
        Number of records that were new there.
    """
    place, store, added = open_place(location), PredictionStore(folder), 0
    for name in place.names(SEGMENTS):
        content = place.read(name)
        if content is None or _digest(content) != Path(name).stem:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, Path(name).name)
            path.write_bytes(content)
            identity = _core.store_inspect(path)[0]
            if identity is None:
                continue
            series = SeriesId(*identity[:3])
            added += store.append(series, *_records_in(path, series))
    return added


def _records_in(path: Path, series: SeriesId) -> tuple[RecordKeys, Records]:
    """Read the valid records of a file of the record log."""
    tags, as_of, target, horizon, flags, records = _core.StoreFile(
        path=path, model=series.model, series=series.series, schema=series.schema,
        width=Schema.parse(series.schema).width, counters=_core.StoreCounters(),
        writable=False, sync=False,
    ).table()  # fmt: skip
    return RecordKeys(tags, as_of, target, horizon, flags), records


def _folder_of(series: SeriesId) -> str:
    name = blake3(f"{series.series}\0{series.schema}".encode()).hexdigest(length=16)
    return f"{SEGMENTS}/{series.model}/{name[:2]}/{name}"


def _digest(content: bytes) -> str:
    return blake3(content).hexdigest(length=16)


def _own_folder(location: str) -> Path:
    return user_cache_folder() / "cluster" / blake3(location.encode()).hexdigest(length=8)


def _remove_left(folder: Path) -> None:
    """Remove what processes that ended have not published: their tasks are run again."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        process = path.name.partition("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(path, ignore_errors=True)
