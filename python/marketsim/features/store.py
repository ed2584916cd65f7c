"""Features on disk, found by content: the rows seen, the declaration, the code's version.

One pair of files for each pipeline and series: `<series>.values`, float64 [row, feature], and
`<series>.keys`, 24 bytes a row: the digest of the input rows up to it, the checksum of the values
up to it, and the checksum of these. The last is the commit: rows without it do not exist. A row is
found only by the digest of every input row up to it, so edited data are a miss, never a wrong hit.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError, StoreReadOnlyError, UnknownNameError
from marketsim.features.pipeline import FeatureTable, Pipeline, PipelineStream, row_of

if TYPE_CHECKING:
    from marketsim.bars import Bars

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.datetime64]
BLOCK_ROWS = 256
_KEY_BYTES = 24
_MOST_SERIES = 64  # of one first row: what an edited history leaves behind


class FeatureStore:
    """Features of pipelines, kept in a folder.

    Args:
        path: the folder; it is made where mode is "a".
        mode: "a" adds what is missing, "r" only reads.

    Attributes:
        counters: rows found ("hit"), computed ("miss"), and files that were set aside ("corrupt").

    Example:
        >>> import tempfile
        >>> from marketsim.features import Pipeline, column
        >>> pipeline = Pipeline({"double": 2 * column("close")}, asof="current")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = FeatureStore(folder)
        ...     table = store.table(pipeline, {"close": [1.0, 2.0]})
        ...     table["double"].tolist(), store.counters["miss"]
        ([2.0, 4.0], 2)

    """

    def __init__(self, path: str | Path, *, mode: str = "a") -> None:
        if mode not in ("a", "r"):
            raise UnknownNameError("mode", mode, ("a", "r"))
        self.path, self.mode = Path(path), mode
        self.counters = {"hit": 0, "miss": 0, "corrupt": 0}

    def table(
        self,
        pipeline: Pipeline,
        bars: Bars | Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
    ) -> FeatureTable:
        """Features of every row: a view of the file where they are kept, without a copy."""
        return self.open(pipeline, bars, extra).table()

    def open(
        self,
        pipeline: Pipeline,
        bars: Bars | Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
    ) -> StoredFeatures:
        """The same as something that new bars can be appended to."""
        columns, stamps = pipeline.columns(bars, extra)
        if not len(stamps):
            raise ArgumentError("bars: expected at least one row")
        moments = stamps.astype("datetime64[ns]").astype(np.int64)
        if (np.diff(moments) <= 0).any() or np.isnat(stamps).any():
            raise ArgumentError("bars: timestamps must ascend, each once")
        rows = _rows_of(columns, stamps)
        folder = self.path / "v1" / pipeline.fingerprint[:2] / pipeline.fingerprint
        series = blake3(rows[0].tobytes()).hexdigest(16)
        if self.mode == "a" and not (folder / "pipeline.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / "pipeline.json", pipeline.declaration().encode(), sync=False)
        keys = _Keys(rows)
        for number in range(_MOST_SERIES):
            file = _File(folder / f"{series}-{number}", len(pipeline.names))
            found = file.matching(keys, len(rows))
            if found is None:
                self.counters["corrupt"] += 1
                continue
            if found >= 0:
                return self._opened(pipeline, columns, stamps, rows, file, found)
        raise ArgumentError(
            f"{_MOST_SERIES} histories that begin with one row are kept in {folder}: remove those "
            "that are no longer used"
        )

    def _opened(
        self,
        pipeline: Pipeline,
        columns: Array,
        stamps: Stamps,
        rows: npt.NDArray[Any],
        file: _File,
        found: int,
    ) -> StoredFeatures:
        count = len(rows)
        self.counters["hit"] += min(found, count)
        self.counters["miss"] += max(0, count - found)
        values = None
        if found < count:
            history = pipeline.history
            begin = 0 if history is None else max(0, found - history + 1)
            part = np.ascontiguousarray(columns[:, begin:])
            values = pipeline._program.run(part, found - begin)
            if self.mode == "a":
                file.append(values, _digests(rows, found), found)
                values = None
            elif found:
                values = np.concatenate([file.values(found), values])
        return StoredFeatures(pipeline, columns, stamps, rows, file, values, self.mode == "a")


class StoredFeatures:
    """Stored features of one series, to read and to append to."""

    def __init__(
        self,
        pipeline: Pipeline,
        columns: Array,
        stamps: Stamps,
        rows: npt.NDArray[Any],
        file: _File,
        computed: Array | None,
        writable: bool,
    ) -> None:
        self.pipeline = pipeline
        self._columns, self._first_rows, self._file = columns, rows, file
        self._stamps = stamps
        self._added: list[np.datetime64] | None = [] if writable else None
        self._computed = computed
        self._stream: PipelineStream | None = None
        self._hasher: Any = None
        self._count = len(rows)

    def __len__(self) -> int:
        return self._count

    def table(self) -> FeatureTable:
        """Features of every row; a view of the mapped file."""
        values = self._file.values(self._count) if self._computed is None else self._computed
        stamps = self._stamps
        if self._added:
            stamps = np.concatenate([stamps, np.array(self._added, dtype=stamps.dtype)])
        return FeatureTable(values, self.pipeline.names, stamps)

    def append(self, stamp: Any, bar: Mapping[str, float] | Sequence[float]) -> Array:
        """Add the features of one more bar and return them, float64 [feature].

        Args:
            stamp: the bar's timestamp, after the last.
            bar: its columns by name, or in the order of `pipeline.inputs`.

        Raises:
            StoreReadOnlyError: the store is open to read.
            ArgumentError: a timestamp that is not after the last.
        """
        if self._added is None:
            raise StoreReadOnlyError('the store is open with mode="r": open it with mode="a"')
        at = np.datetime64(stamp, "ns")
        last = self._added[-1] if self._added else self._stamps[-1]
        if not at > last:
            raise ArgumentError(f"stamp: expected a time after {last}: got {at}")
        numbers = row_of(bar, self.pipeline.inputs)
        if self._stream is None:
            self._warm()
        assert self._stream is not None
        values = self._stream.update(numbers)
        self._hasher.update(at.astype(np.int64).tobytes() + numbers.tobytes())
        key = self._hasher.digest(16)
        self._file.append(values[None], [key], self._count)
        self._count += 1
        if self._count % BLOCK_ROWS == 0:
            self._hasher = blake3(key)
        self._added.append(at)
        return values

    def _warm(self) -> None:
        """Bring a stream and the digest to the last row."""
        self._stream = self.pipeline.stream()
        history = self.pipeline.history
        begin = 0 if history is None else max(0, self._count - history + 1)
        for row in self._columns[:, begin:].T:
            self._stream.update(row)
        self._hasher = _Keys(self._first_rows).hasher(self._count)


def _rows_of(columns: Array, stamps: Stamps) -> npt.NDArray[Any]:
    """Timestamps and inputs as bytes by row: uint8 [row, bytes]."""
    rows = np.empty((columns.shape[1], 1 + len(columns)), dtype=np.float64)
    rows[:, 1:] = columns.T
    rows.view(np.int64)[:, 0] = stamps.astype("datetime64[ns]").astype(np.int64)
    return rows.view(np.uint8)


class _Keys:
    """Digests of the first n rows: each block is hashed after the digest of those before."""

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._rows, self._blocks = rows, [b""]

    def hasher(self, count: int) -> Any:
        """What has taken the block that row `count` belongs to, up to that row."""
        whole = count // BLOCK_ROWS
        while len(self._blocks) <= whole:
            begin = (len(self._blocks) - 1) * BLOCK_ROWS
            block = blake3(self._blocks[-1])
            block.update(self._rows[begin : begin + BLOCK_ROWS].tobytes())
            self._blocks.append(block.digest(16))
        hasher = blake3(self._blocks[whole])
        hasher.update(self._rows[whole * BLOCK_ROWS : count].tobytes())
        return hasher

    def key(self, count: int) -> bytes:
        """The digest of the first rows."""
        if count % BLOCK_ROWS == 0:
            self.hasher(count)
            return self._blocks[count // BLOCK_ROWS]
        digest: bytes = self.hasher(count).digest(16)
        return digest


def _digests(rows: npt.NDArray[Any], start: int) -> list[bytes]:
    """The digest after each row from `start` on."""
    hasher = _Keys(rows).hasher(start)
    digests: list[bytes] = []
    for row in range(start, len(rows)):
        hasher.update(rows[row].tobytes())
        digests.append(hasher.digest(16))
        if (row + 1) % BLOCK_ROWS == 0:
            hasher = blake3(digests[-1])
    return digests


class _File:
    """The two files of one series."""

    def __init__(self, path: Path, width: int) -> None:
        self.values_path, self.keys_path = Path(f"{path}.values"), Path(f"{path}.keys")
        self.width = width
        self._count, self._checksum = 0, 0

    def matching(self, keys: _Keys, rows: int) -> int | None:
        """How many stored rows these are the first of; -1: others; None: a damaged file."""
        count, last = self._committed()
        if count == 0:
            return 0
        common = min(count, rows)
        key, checksum, sound = last if common == count else self._record(common - 1)
        if sound and key != keys.key(common):
            return -1
        if not sound or not self._values_match(common, checksum):
            self._damaged()
            return None
        self._count, self._checksum = common, checksum
        return common

    def _values_match(self, count: int, checksum: int) -> bool:
        try:
            return zlib.crc32(self.values(count).data) == checksum
        except (OSError, ValueError):  # there are fewer values than keys
            return False

    def values(self, count: int) -> Array:
        """The first rows, mapped."""
        return np.memmap(self.values_path, np.float64, "r", shape=(count, self.width))

    def append(self, values: Array, digests: Sequence[bytes], start: int) -> None:
        """Write rows after the first `start`; what others have written of them stays."""
        content = np.ascontiguousarray(values)
        with self._locked() as (values_file, keys_file):
            if os.fstat(keys_file).st_size // _KEY_BYTES > start:
                there = min(self._committed()[0] - start, len(digests))
                if there > 0 and self._record(start + there - 1)[0] != digests[there - 1]:
                    self._fork(start)
                    return self.append(values, digests, start)
                content, digests, start = (
                    content[max(there, 0) :],
                    digests[max(there, 0) :],
                    start + max(there, 0),
                )
                if not digests:
                    return None
            if start != self._count:
                self._checksum = self._record(start - 1)[1]
            parts = []
            checksum = self._checksum
            for row, digest in zip(content, digests, strict=True):
                checksum = zlib.crc32(row.data, checksum)
                part = digest + struct.pack("<I", checksum)
                parts.append(part + struct.pack("<I", zlib.crc32(part)))
            os.pwrite(values_file, content.data, start * self.width * 8)
            os.pwrite(keys_file, b"".join(parts), start * _KEY_BYTES)
            self._count, self._checksum = start + len(parts), checksum
        return None

    def _fork(self, start: int) -> None:
        """Go on in files of our own, from a copy of the first rows: others follow them here."""
        stem, number = str(self.keys_path)[: -len(".keys")].rsplit("-", 1)
        values = self.values_path.read_bytes()[: start * self.width * 8]
        keys = self.keys_path.read_bytes()[: start * _KEY_BYTES]
        for other in range(int(number) + 1, _MOST_SERIES):
            path = Path(f"{stem}-{other}.keys")
            if not path.exists():
                self.keys_path, self.values_path = path, path.with_suffix(".values")
                replace_file(self.values_path, values, sync=False)
                replace_file(self.keys_path, keys, sync=False)
                return
        raise ArgumentError(
            f"{_MOST_SERIES} histories begin with one row in {self.keys_path.parent}"
        )

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        self.keys_path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT
        values_file, keys_file = os.open(self.values_path, flags), os.open(self.keys_path, flags)
        try:
            fcntl.flock(keys_file, fcntl.LOCK_EX)
            yield values_file, keys_file
        finally:
            os.close(values_file)
            os.close(keys_file)

    def _committed(self) -> tuple[int, tuple[bytes, int, bool]]:
        """How many rows are committed, and the record of the last."""
        try:
            count = self.keys_path.stat().st_size // _KEY_BYTES
        except FileNotFoundError:
            return 0, (b"", 0, True)
        while count:
            record = self._record(count - 1)
            if record[2]:
                return count, record
            count -= 1  # a torn tail
        return 0, (b"", 0, True)

    def _record(self, row: int) -> tuple[bytes, int, bool]:
        if row < 0:
            return b"", 0, True
        with self.keys_path.open("rb") as file:
            file.seek(row * _KEY_BYTES)
            part = file.read(_KEY_BYTES)
        if len(part) < _KEY_BYTES:
            return b"", 0, False
        checksum, own = struct.unpack("<II", part[16:])
        return part[:16], checksum, own == zlib.crc32(part[:20])

    def _damaged(self) -> None:
        """Move the files out of the way."""
        for path in (self.values_path, self.keys_path):
            if path.exists() and os.access(path.parent, os.W_OK):
                path.replace(path.with_suffix(path.suffix + ".damaged"))
