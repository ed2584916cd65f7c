"""The columns of a frame of prices as arrays, whatever case its names have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError, UnknownNameError

Array = npt.NDArray[np.float64]

KEYS = ("Close", "Low", "High", "Open")
"""What is forecast, in the order of the old code."""


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """The label of a column: the name itself, or the first that differs in case only.

    Raises:
        UnknownNameError: there is none.

    Example:
        >>> column_of(pd.DataFrame({"close": [1.0]}), "Close")
        'close'
    """
    label = _find(frame, name)
    if label is None:
        raise UnknownNameError("column", name, map(str, frame.columns))
    return label


def _find(frame: pd.DataFrame, name: str) -> Any:
    if name in frame.columns:
        return name
    wanted = name.lower()
    return next((c for c in frame.columns if str(c).lower() == wanted), None)


def column_values(frame: pd.DataFrame, name: str) -> Array:
    """A column as float64 [row]; of columns of one name the first.

    Raises:
        UnknownNameError: there is no such column.
        ArgumentError: it does not hold numbers.
    """
    values = frame[column_of(frame, name)]
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0]
    try:
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu":
            return np.asarray(values.to_numpy(), dtype=np.float64)
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"column {name} must hold numbers: {error}") from None


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    """`column_values` of several columns, [name, row]."""
    labels = [column_of(frame, name) for name in names]
    if len(frame.columns) == len(set(labels)):
        # These are all there are: they come out of the frame together much faster.
        values = frame.to_numpy()
        if values.dtype == np.float64:
            at = [frame.columns.get_loc(label) for label in labels]
            found: Array = values.T[at]  # type: ignore[index]
            return found
    return np.stack([column_values(frame, label) for label in labels])


@dataclass(frozen=True)
class Prices:
    """Open, high, low and close, and the volume where there is one.

    Attributes:
        index: the frame's.
        values: float64 [price, row], prices in the order `KEYS`.
        volume: float64 [row]; None if the frame has none.
    """

    index: pd.Index
    values: Array
    volume: Array | None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Prices:
        """Raises what `column_values` raises."""
        if not isinstance(frame, pd.DataFrame):
            raise ArgumentError(f"data must be a DataFrame of prices: got {type(frame).__name__}")
        if _find(frame, "Volume") is None:
            return cls(frame.index, _columns(frame, KEYS), None)
        values = _columns(frame, (*KEYS, "Volume"))
        return cls(frame.index, values[:-1], values[-1])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: str) -> Array:
        column: Array = self.values[KEYS.index(key)]
        return column


def relative_moves(values: Array) -> Array:
    """(x[t] - x[t-1]) / x[t-1] of rows 1 and on, [.., row - 1]; 0 where that is not finite."""
    before = values[..., :-1]
    with np.errstate(all="ignore"):
        moves = values[..., 1:] - before
        moves /= before
        return finite_or_zero(moves)


def finite_or_zero(values: Array) -> Array:
    """The values, with 0 in the place of those that are not finite numbers; changed in place."""
    with np.errstate(all="ignore"):
        if not np.isfinite(np.add.reduce(values, axis=None)):  # finite ones may add up to infinity
            values[~np.isfinite(values)] = 0.0
    return values


def pre_process_data(x_train: pd.DataFrame, key_to_predict: str) -> pd.DataFrame:
    """A copy of the frame in which one column holds its own moves: 1.0 first, then as fractions.

    A move from 0, or one that is not a finite number, is 0.

    Raises:
        UnknownNameError: the frame has no such column, in any case of its name.
        ArgumentError: the column does not hold numbers.

    Example:
        >>> frame = pd.DataFrame({"Close": [10.0, 11.0], "Volume": [5, 6]})
        >>> pre_process_data(frame, "Close")["Close"].round(6).tolist()
        [1.0, 0.1]
    """
    label = column_of(x_train, key_to_predict)
    changed = x_train.copy(deep=True)
    values = column_values(x_train, label)
    if len(values):
        changed[label] = np.concatenate(([1.0], relative_moves(values)))
    return changed
