"""Inputs of a model for one symbol: exactly the bytes that a stored forecast's key covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ModelInputs:
    """Columns, rows and timestamps of one symbol that a model may see.

    The keys of stored forecasts hash these arrays, and the model is handed slices of them, so a key
    never covers other bytes than the model got.

    Attributes:
        symbol: the name of what is traded.
        columns: what each row of `values` is: targets for moves, column names for bars.
        values: float64 [column, row], read-only.
        timestamps: int64 [row], nanoseconds since 1970 in UTC, when each row's bar was.
        coming: int64 [row + 1]: coming[e] is when the bar after the first e rows is; the last entry
            is -1 where that bar does not exist yet.
        dated: whether the model sees timestamps, and keys must cover `coming`, too.
        zone: time zone of the bars, in whose clock a model of whole bars reads hours and days.
    """

    symbol: str
    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]
    timestamps: npt.NDArray[np.int64]
    coming: npt.NDArray[np.int64]
    dated: bool = False
    zone: str = "UTC"

    def __len__(self) -> int:
        return int(self.values.shape[1])

    def part(self, begin: int, end: int) -> ModelInputs:
        """The rows begin .. end - 1; views."""
        return ModelInputs(
            self.symbol,
            self.columns,
            self.values[:, begin:end],
            self.timestamps[begin:end],
            self.coming[begin : end + 1],
            self.dated,
            self.zone,
        )
