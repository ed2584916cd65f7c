"""The net returns of many sets in one .npy file that is mapped into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt

from marketsim.arguments import check_new_file
from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError, FileFormatError
from marketsim.search.claims import let_go, take_lock

Floats = npt.NDArray[np.float64]


class ReturnsFile:
    """Rows of net returns [set, bar], written as they come.

    Beside the file stands `<file>.json`, which says by a digest which sets its rows are: a grid
    that goes on writes to its own file alone. A row begins with NaN until it is written, as a
    ledger may know sets whose returns went to another file.

    Args:
        path: the file.
        keys: a digest for each set (`trial_key`).
        resume: keep what is there; else begin anew.

    Raises:
        ArgumentError: to be resumed, but of other sets, data or code; another grid is writing it.
        FileFormatError: to be resumed, but damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], keys: Sequence[bytes], *, resume: bool
    ) -> None:
        self.path, self.sets = check_new_file("returns", path), len(keys)
        self.note = self.path.with_name(self.path.name + ".json")
        self.digest = blake3.blake3(b"".join(keys)).hexdigest(16)
        self.map: npt.NDArray[Any] | None = None
        self._lock = self.path.with_name(f"{self.path.name}.lock")
        self._held = take_lock(self._lock, wait=False)
        if self._held is None:
            raise ArgumentError(
                f"another grid is writing {self.path}: wait for it, or give another path"
            )
        try:
            if self.path.exists() and not self.note.exists():
                raise ArgumentError(
                    f"{self.path} exists and is no file of a grid's net returns: give another "
                    "path, or remove it"
                )
            self.resumed = resume and self.path.exists() and self._check()
            if self.resumed:
                self.map = np.load(self.path, mmap_mode="r+", allow_pickle=False)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write the file."""
        held, self._held = self._held, None
        if held is not None:
            let_go(self._lock, held)

    def _begin(self, bars: int) -> npt.NDArray[Any]:
        """A new file; who reads an old one goes on reading that."""
        self.path.unlink(missing_ok=True)
        found = np.lib.format.open_memmap(
            self.path, mode="w+", dtype=np.float64, shape=(self.sets, bars)
        )
        found[:, :1] = np.nan
        replace_file(self.note, json.dumps({"sets": self.digest, "unwritten": "NaN"}).encode())
        return found

    def written(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether the file has the returns of some sets."""
        if self.map is None:
            return np.zeros(len(rows), dtype=np.bool_)
        return np.asarray(~np.isnan(self.map[rows, :1]).any(axis=1))

    def _check(self) -> bool:
        """Whether the file can be continued: it says which rows it has."""
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            found, marks = noted["sets"], bool(noted.get("unwritten") == "NaN")
            shape = np.load(self.path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, KeyError, OSError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"{self.path} cannot be continued: {error}; give another path, or delete it and "
                f"{self.note.name} to begin anew"
            ) from error
        if found != self.digest or len(shape) != 2 or shape[0] != self.sets:
            raise ArgumentError(
                f"{self.path} holds returns of other sets, bars or settings: give another path"
            )
        return marks

    def write(self, rows: npt.NDArray[np.int64], net: Floats) -> None:
        """Write the returns of some sets; they are in the file when this returns."""
        if self.map is None:
            self.map = self._begin(net.shape[1])
        if net.shape[1] != self.map.shape[1]:
            raise ArgumentError(
                f"net returns have {net.shape[1]} bars, those before {self.map.shape[1]}"
            )
        self.map[rows, 1:] = net[:, 1:]
        self.map[rows, :1] = net[:, :1]  # last, as it says that the row is there

    def close(self) -> Floats | None:
        """Flush the file and map it again to be read; None where nothing was written."""
        if self.map is None:
            return None
        self.map.flush()  # type: ignore[attr-defined]
        self.map = None
        found: Floats = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return found
