"""One call of the compiled indicators: shapes, preallocated results, warnings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, ShortSeriesWarning
from marketsim.indicators.specs import Call, prepare

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = npt.NDArray[np.float64]
Lags = int | Sequence[int] | npt.NDArray[np.int64]
Form = tuple[int | None, Lags, Any]  # lookback, lag, out

_BLOCK = 2**19  # numbers


def one(
    name: str, choice: str, arrays: Sequence[ArrayLike], form: Form, /, **numbers: Any
) -> Array:
    """The result of an indicator that has one."""
    return compute(prepare(name, choice, **numbers), arrays, *form)[0]


def several(
    name: str, choice: str, arrays: Sequence[ArrayLike], form: Form, /, **numbers: Any
) -> tuple[Array, ...]:
    """The results of an indicator that has several."""
    return compute(prepare(name, choice, **numbers), arrays, *form)


def compute(
    call: Call,
    arrays: Sequence[ArrayLike],
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> tuple[Array, ...]:
    """Results of one indicator, [parameter set..., series..., (lag,) row] each."""
    if lookback is None and out is None and type(lag) is int and lag == 0:
        fresh: tuple[Array, ...] | None = call.native.fresh(tuple(arrays))
        if fresh is not None:
            _warn_if_short(call, fresh[0].shape[-1], None, 0)
            return fresh
    inputs, shape = _inputs(call, arrays)
    rows = shape[-1]
    lags, lag_shape = _lags(call, lookback, lag)
    wanted = (*call.shape, *shape[:-1], *lag_shape, rows)
    results = _results(call, wanted, inputs, out)
    _warn_if_short(call, rows, lookback, max(lags))
    call.native.run(inputs, lookback or 0, [] if lookback is None else lags, results)
    return tuple(results)


def _inputs(call: Call, arrays: Sequence[ArrayLike]) -> tuple[list[Array], tuple[int, ...]]:
    inputs: list[Array] = []
    shape: tuple[int, ...] = ()
    for name, array in zip(call.spec.inputs, arrays, strict=True):
        if type(array) is np.ndarray and array.dtype == np.float64 and array.flags.c_contiguous:
            values: Array = array
        else:
            values = numbers(f"{call.spec.name}: {name}", array)
        if np.ndim(values) == 0:
            raise ArgumentError(
                f"{call.spec.name}: {name} must be an array [..., row]: got one number"
            )
        if not inputs:
            shape = values.shape
        elif values.shape != shape:
            raise ArgumentError(
                f"{call.spec.name}: {name} has shape {values.shape}, expected that of "
                f"{call.spec.inputs[0]}: {shape}"
            )
        inputs.append(values.reshape(-1, shape[-1]) if shape[-1] else values.reshape(0, 0))
    return inputs, shape


def numbers(what: str, given: ArrayLike) -> Array:
    """Contiguous float64; masked numbers are NaN."""
    if isinstance(given, np.ma.MaskedArray):
        given = np.where(np.ma.getmaskarray(given), np.nan, np.ma.getdata(given))
    array = np.asarray(given)
    if array.dtype.kind in "fiuO" or array.size == 0:
        try:
            values = np.asarray(array, dtype=np.float64)
        except (TypeError, ValueError) as reason:
            raise ArgumentError(f"{what} must hold numbers: {reason}") from reason
        return values if values.ndim == 0 else np.ascontiguousarray(values)
    raise ArgumentError(f"{what} must hold numbers: got {array.dtype}")


def _lags(call: Call, lookback: int | None, lag: Lags) -> tuple[list[int], tuple[int, ...]]:
    if lookback is None and type(lag) is int and lag == 0:
        return [0], ()
    lags = np.asarray(lag)
    if lags.ndim > 1 or lags.size == 0 or lags.dtype.kind not in "iu" or lags.min() < 0:
        raise ArgumentError(f"{call.spec.name}: lag must be whole numbers of at least 0: got {lag}")
    if lookback is None:
        if lags.any():
            raise ArgumentError(
                f"{call.spec.name}: lag needs lookback=, the rows that each value may see; "
                "without it, shift the result"
            )
        return [0], ()
    if np.asarray(lookback).dtype.kind not in "iu":
        raise ArgumentError(
            f"{call.spec.name}: lookback must be a whole number of rows: got {lookback!r}"
        )
    if lookback < 1 or int(lags.max()) >= lookback:
        raise ArgumentError(
            f"{call.spec.name}: lookback must be at least 1 and above every lag: got "
            f"lookback={lookback}, lag={lag}"
        )
    return [int(k) for k in lags.reshape(-1)], lags.shape


def _results(call: Call, wanted: tuple[int, ...], inputs: list[Array], out: Any) -> list[Array]:
    count = len(call.spec.outputs)
    if out is None:
        # Large results lie in one block: fresh memory is had in large pages from 4 MiB on.
        if count > 1 and count * math.prod(wanted) >= _BLOCK:
            return list(np.empty((count, *wanted)))
        return [np.empty(wanted) for _ in range(count)]
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    if len(given) != count:
        raise ArgumentError(f"{call.spec.name}: out must hold {count} arrays: got {len(given)}")
    for array in given:
        good = (
            isinstance(array, np.ndarray)
            and array.dtype == np.float64
            and array.shape == wanted
            and array.flags.c_contiguous
            and array.flags.writeable
        )
        if not good:
            raise ArgumentError(
                f"{call.spec.name}: out must be writable contiguous float64 arrays of shape "
                f"{wanted}"
            )
    for i, array in enumerate(given):
        if any(np.may_share_memory(array, other) for other in (*inputs, *given[:i])):
            raise ArgumentError(
                f"{call.spec.name}: out must not overlap the inputs or each other: results are "
                "written while the inputs are still read"
            )
    return given


def _warn_if_short(call: Call, rows: int, lookback: int | None, lag: int) -> None:
    seen = rows if lookback is None else min(rows, lookback - lag)
    if call.rows <= seen or rows == 0:
        return
    what = "the series has" if seen == rows else "lookback leaves"
    warnings.warn(
        f"{call.spec.name}: a window needs {call.rows} rows, {what} {seen}: all its values are NaN",
        ShortSeriesWarning,
        stacklevel=5,
    )
