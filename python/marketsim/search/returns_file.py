"""The net returns of many sets in one .npy file that is mapped into memory."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from io import BufferedRandom
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt

from marketsim.arguments import check_new_file
from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError, FileFormatError

Floats = npt.NDArray[np.float64]


class ReturnsFile:
    """Rows of net returns [set, bar], written as they come.

    Beside the file stands `<file>.json`, which says by a digest which sets its rows are: a grid
    that goes on writes to its own file alone.

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
        self.lock: BufferedRandom | None = None
        self.resumed = resume and self.path.exists() and self.note.exists()
        if self.resumed:
            self._take()
            try:
                self._check()
            except BaseException:
                self.release()
                raise
            self.map = np.load(self.path, mmap_mode="r+", allow_pickle=False)

    def _take(self) -> None:
        """Keep other grids from writing the file until it is closed.

        Raises:
            ArgumentError: another grid is writing it.
        """
        self.lock = self.path.open("r+b")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.lock.close()
            raise ArgumentError(
                f"another grid is writing {self.path}: wait for it, or give another path"
            ) from error

    def release(self) -> None:
        """Let others write the file."""
        if self.lock is not None:
            self.lock.close()

    def _begin(self, bars: int) -> npt.NDArray[Any]:
        """A new file; who reads an old one goes on reading that."""
        if self.path.exists() and not self.note.exists():
            raise ArgumentError(
                f"{self.path} exists and is no file of a grid's net returns: give another path, or "
                "remove it"
            )
        if self.path.exists():
            self._take()
            self.path.unlink()
            self.release()
        found = np.lib.format.open_memmap(
            self.path, mode="w+", dtype=np.float64, shape=(self.sets, bars)
        )
        self._take()
        replace_file(self.note, json.dumps({"sets": self.digest}).encode())
        return found

    def _check(self) -> None:
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))["sets"]
            shape = np.load(self.path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, KeyError, OSError, TypeError) as error:
            raise FileFormatError(
                f"{self.path} cannot be continued: {error}; give another path, or delete it and "
                f"{self.note.name} to begin anew"
            ) from error
        if found != self.digest or len(shape) != 2 or shape[0] != self.sets:
            raise ArgumentError(
                f"{self.path} holds returns of other sets, bars or settings: give another path"
            )

    def write(self, rows: npt.NDArray[np.int64], net: Floats) -> None:
        """Write the returns of some sets; they are in the file when this returns."""
        if self.map is None:
            self.map = self._begin(net.shape[1])
        if net.shape[1] != self.map.shape[1]:
            raise ArgumentError(
                f"net returns have {net.shape[1]} bars, those before {self.map.shape[1]}"
            )
        self.map[rows] = net

    def close(self) -> Floats | None:
        """Flush the file and map it again to be read; None where nothing was written."""
        if self.map is None:
            return None
        self.map.flush()  # type: ignore[attr-defined]
        self.map = None
        found: Floats = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return found
