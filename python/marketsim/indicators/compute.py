"""One call of the compiled indicators: shapes, preallocated results, warnings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError, ShortSeriesWarning
from marketsim.indicators.specs import Call

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = npt.NDArray[np.float64]
Lags = int | Sequence[int] | npt.NDArray[np.int64]


_BLOCK = 2**19  # numbers


def compute(
    call: Call,
    arrays: Sequence[ArrayLike],
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> tuple[Array, ...]:
    """Results of one indicator, [parameter set..., series..., (lag,) row] each."""
    spec = call.spec
    inputs, shape = _inputs(call, arrays)
    rows = shape[-1]
    lags, lag_shape = _lags(call, lookback, lag)
    wanted = (*call.shape, *shape[:-1], *lag_shape, rows)
    results = _results(call, wanted, out)
    _warn_if_short(call, rows, lookback, max(lags))
    if lookback is None:
        _core.indicator_run(
            spec.name, inputs, call.parameters, call.option, call.longest, 0, [], results
        )
    else:
        _core.indicator_run(
            spec.name, inputs, call.parameters, call.option, call.longest, lookback, lags, results
        )
    return tuple(results)


def one(call: Call, arrays: Sequence[ArrayLike], **options: Any) -> Array:
    """The result of an indicator that has one."""
    return compute(call, arrays, **options)[0]


def _inputs(call: Call, arrays: Sequence[ArrayLike]) -> tuple[list[Array], tuple[int, ...]]:
    inputs: list[Array] = []
    shape: tuple[int, ...] = ()
    for name, array in zip(call.spec.inputs, arrays, strict=True):
        if type(array) is np.ndarray and array.dtype == np.float64 and array.flags.c_contiguous:
            values: Array = array
        else:
            values = np.ascontiguousarray(array, dtype=np.float64)
        if np.ndim(array) == 0:
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
    if lookback < 1 or int(lags.max()) >= lookback:
        raise ArgumentError(
            f"{call.spec.name}: lookback must be at least 1 and above every lag: got "
            f"lookback={lookback}, lag={lag}"
        )
    return [int(k) for k in lags.reshape(-1)], lags.shape


def _results(call: Call, wanted: tuple[int, ...], out: Any) -> list[Array]:
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
    return given


def _warn_if_short(call: Call, rows: int, lookback: int | None, lag: int) -> None:
    seen = rows if lookback is None else min(rows, lookback - lag)
    if call.rows <= seen or rows == 0:
        return
    what = "the series has" if seen == rows else "lookback leaves"
    warnings.warn(
        f"{call.spec.name}: a window needs {call.rows} rows, {what} {seen}: all its values are NaN",
        ShortSeriesWarning,
        stacklevel=4,
    )
