"""The arguments of a replay, checked and in the form that the engine takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import as_number, as_numbers, check_whole
from marketsim.bars import Bars
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.replay.arrays import by_bar
from marketsim.replay.records import SizeUnit

Flags = npt.ArrayLike
Unit = Literal["equity", "units", "cash"]
Direction = Literal["long", "short", "both"]

SIZE_UNITS = {
    "equity": int(SizeUnit.EQUITY),
    "units": int(SizeUnit.UNITS),
    "cash": int(SizeUnit.CASH),
}
_NAN = float("nan")


def signal_arguments(
    bars: Bars,
    entries: Flags,
    exits: Flags,
    *,
    direction: Direction,
    short_entries: Flags | None,
    short_exits: Flags | None,
    size: npt.ArrayLike,
    size_unit: Unit,
    stop_loss: npt.ArrayLike | None,
    take_profit: npt.ArrayLike | None,
    trailing_stop: float | None,
    trailing_distance: npt.ArrayLike | None,
    cooldown: int,
    time_stop: int,
) -> tuple[Any, ...]:
    """The arguments of `_core.ReplaySignals`; those of `replay`."""
    long_entry, long_exit, short_entry, short_exit = _sides(
        direction, entries, exits, short_entries, short_exits
    )
    if size_unit not in SIZE_UNITS:
        raise UnknownNameError("size_unit", size_unit, SIZE_UNITS)
    quantity, quantities = _sizes(bars, size)
    nearest, stop_losses = _distances(bars, "stop_loss", stop_loss)
    farthest, take_profits = _distances(bars, "take_profit", take_profit)
    if trailing_stop is not None and trailing_distance is not None:
        raise ArgumentError("give trailing_stop= or trailing_distance=, not both")
    return (
        _flags(bars, "entries", long_entry),
        _flags(bars, "exits", long_exit),
        _flags(bars, "short_entries", short_entry),
        _flags(bars, "short_exits", short_exit),
        SIZE_UNITS[size_unit],
        quantity,
        quantities,
        nearest,
        farthest,
        _distance("trailing_stop", trailing_stop),
        stop_losses,
        take_profits,
        check_whole("cooldown", cooldown, 0),
        check_whole("time_stop", time_stop, 0),
    )


def target_argument(bars: Bars, target: npt.ArrayLike, unit: str) -> npt.NDArray[np.float64]:
    """Targets [bar], finite or NaN."""
    if unit not in ("equity", "units"):
        raise UnknownNameError("unit", unit, ("equity", "units"))
    wanted = np.ascontiguousarray(as_numbers("target", by_bar(bars, "target", target), np.float64))
    if wanted.shape != (len(bars),):
        raise ArgumentError(f"target must have one number a bar ({len(bars)}): got {wanted.shape}")
    if np.isinf(wanted).any():
        raise ArgumentError(f"target must be finite or NaN: bar {np.isinf(wanted).argmax()} is not")
    return wanted


def _sides(
    direction: str,
    entries: Flags,
    exits: Flags,
    short_entries: Flags | None,
    short_exits: Flags | None,
) -> tuple[Flags | None, Flags | None, Flags | None, Flags | None]:
    if direction not in ("long", "short", "both"):
        raise UnknownNameError("direction", direction, ("long", "short", "both"))
    if direction != "both" and (short_entries is not None or short_exits is not None):
        raise ArgumentError(
            f'short_entries and short_exits need direction="both": got {direction!r}'
        )
    if direction == "long":
        return entries, exits, None, None
    if direction == "short":
        return None, None, entries, exits
    if short_entries is None and short_exits is None:
        return entries, exits, exits, entries
    return entries, exits, short_entries, short_exits


def _flags(bars: Bars, name: str, values: Flags | None) -> npt.NDArray[np.bool_] | None:
    if values is None:
        return None
    count, array = len(bars), np.asarray(by_bar(bars, name, values))
    if array.dtype == np.bool_ and array.shape == (count,) and array.flags.c_contiguous:
        return array
    if array.shape != (count,):
        raise ArgumentError(f"{name} must have one value a bar ({count}): got {array.shape}")
    if array.dtype != np.bool_:
        known = pd.notna(array).all() if array.dtype.kind == "O" else True
        if count and not (known and array.dtype.kind in "Oiu" and np.isin(array, (0, 1)).all()):
            raise ArgumentError(
                f"{name} must be truth values, one a bar: got dtype {array.dtype}"
                f"{'' if known else ' with missing values'}; compare first, such as fast > slow"
            )
        array = array.astype(np.bool_)
    return np.ascontiguousarray(array)


def _sizes(bars: Bars, size: Any) -> tuple[float, npt.NDArray[np.float64] | None]:
    """A size for all bars, or one a bar."""
    if isinstance(size, float) and math.isfinite(size) and size > 0.0:
        return float(size), None
    if np.ndim(size) == 0:
        number = as_number("size", size)
        if not (math.isfinite(number) and number > 0.0):
            raise ArgumentError(f"size must be finite and above 0: got {size!r}")
        return number, None
    sizes, count = as_numbers("size", by_bar(bars, "size", size), np.float64), len(bars)
    if np.isinf(sizes).any() or (sizes < 0.0).any():
        raise ArgumentError("size must be at least 0 and finite, or NaN for no entry, in each bar")
    if sizes.shape != (count,):
        raise ArgumentError(f"size must be one number or one a bar ({count}): got {sizes.shape}")
    return _NAN, np.ascontiguousarray(sizes)


def _distance(name: str, value: Any) -> float:
    if value is None:
        return _NAN
    number = as_number(name, value)
    if not 0.0 < number < 1.0:
        raise ArgumentError(f"{name} must lie in (0, 1), a fraction of the price: got {value}")
    return number


def _distances(
    bars: Bars, name: str, value: npt.ArrayLike | None
) -> tuple[float, npt.NDArray[np.float64] | None]:
    """A distance for all bars, or one a bar."""
    if value is None or isinstance(value, float) or np.ndim(value) == 0:
        return _distance(name, value), None
    count = len(bars)
    array = np.ascontiguousarray(as_numbers(name, by_bar(bars, name, value), np.float64))
    if array.shape != (count,):
        raise ArgumentError(
            f"{name} must be one number or one a bar ({count}): got shape {array.shape}"
        )
    bad = ~(np.isnan(array) | ((array > 0.0) & (array < 1.0)))
    if bad.any():
        raise ArgumentError(
            f"{name} must lie in (0, 1), a fraction of the price, or be NaN: got "
            f"{array[bad][0]:g} at bar {int(bad.argmax())}"
        )
    return _NAN, array


def feature_columns(
    bars: Bars, features: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.NDArray[np.float64]]:
    """Features by name, checked, each contiguous [bar]."""
    for name in features:
        if not isinstance(name, str):
            raise ArgumentError(f"features are read as features.<name>: {name!r} is no such name")
    columns = {
        name: np.ascontiguousarray(
            as_numbers(f"feature {name!r}", by_bar(bars, f"feature {name!r}", values), np.float64)
        )
        for name, values in features.items()
    }
    count = len(bars)
    for name, values in columns.items():
        if not name.isidentifier() or iskeyword(name) or name.startswith("_"):
            raise ArgumentError(f"features are read as features.<name>: {name!r} is no such name")
        if values.shape != (count,):
            raise ArgumentError(
                f"feature {name!r} must have one number a bar ({count}): got shape {values.shape}"
            )
    return columns
