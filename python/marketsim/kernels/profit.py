"""The profit of a day's limit orders, for one or many pairs of offsets."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim import _core
from marketsim.arguments import as_argument_error, as_numbers
from marketsim.kernels.rules import check_fee, fee_rule_code, fill_code
from marketsim.kernels.shapes import DAY_NAMES, by_name, is_batch, offset_shape
from marketsim.kernels.types import DayArrays, Fills, FloatArray
from marketsim.timing import stage


def profit(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    high_offset: npt.ArrayLike = 0.0,
    low_offset: npt.ArrayLike = 0.0,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    open: npt.ArrayLike | None = None,
    device: str = "cpu",
) -> FloatArray:
    """Profit of each day under limit orders at the forecast high and low plus offsets.

    With H = clamp(high_pred + high_offset, 0, 10) and L = clamp(low_pred + low_offset, -1, 0), a
    position s > 0 buys s at L if L > low and sells at H or at the close; s < 0 sells |s| at H if
    H < high and buys back at L or at the close. `marketsim.kernels.rules` says which, for each
    fill policy. All arithmetic is float32, each operation rounded once: the fills are the same on
    every instruction set.

    Args:
        close, high, low: [day], returns of the day against the previous close (0.01 is 1 %). Or
            many problems, here and below: [problem, day].
        high_pred, low_pred: [day], forecasts of `high` and `low`.
        position: [day], size and direction; cut to [-10, 10].
        high_offset, low_offset: scalar or [candidate], added to the forecasts; for many problems
            [problem, candidate] as well.
        fee: fraction of the position, 0.0005 for 5 basis points.
        fee_rule: "per_entry" or "touched_both".
        fill: "optimistic", "pessimistic", "open_aware" or "close_only".
        open: [day], the open against the previous close; needed by "open_aware".
        device: "cpu"; "cuda" or "cuda:<index>", whose answers are the same to the last bit; "auto"
            for a GPU where there is one and it pays. NumPy arrays are copied to a GPU and back.
            float32 tensors of a GPU stay there: the work is put on torch's current stream and not
            waited for, and the answer is a tensor; their offsets are not checked to be finite.

    Returns:
        float32 [day] for scalar offsets, [candidate, day] otherwise, after an axis for problems
        where there are many. A day with a value that is not finite does not trade: 0.

    Raises:
        ArgumentError: lengths differ, values are no numbers, an offset is not finite, a fee is
            out of range, "open_aware" without `open`, or tensors that a GPU's kernel cannot read.
        UnknownNameError: an unknown fill policy, fee rule or device.
        CudaUnavailableError: a GPU is asked for and cannot be had.
        CudaError: the GPU has no memory left (`CudaMemoryError`), or cannot do the work.

    Example:
        >>> import marketsim as ms
        >>> ms.profit([0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0])
        array([0.03], dtype=float32)
    """
    if device != "cpu":
        from marketsim.kernels.cuda import dispatch

        days = by_name(close, high, low, high_pred, low_pred, position, open)
        on_device = dispatch.profit(
            days, high_offset, low_offset, device=device, fee=fee, fee_rule=fee_rule, fill=fill
        )
        if on_device is not None:
            return cast(FloatArray, on_device)
    high_offsets = as_numbers("high_offset", high_offset, f32)
    low_offsets = as_numbers("low_offset", low_offset, f32)
    with stage("fills"):
        rows = as_float32(close, high, low, high_pred, low_pred, position, open)
        if rows[0].ndim == 2:
            return _profit_of_problems(rows, high_offsets, low_offsets, fee, fee_rule, fill)
        single = high_offsets.ndim == low_offsets.ndim == 0
        if high_offsets.ndim == 0:
            high_offsets = np.full(low_offsets.size, high_offsets)
        if low_offsets.ndim == 0:
            low_offsets = np.full(high_offsets.size, low_offsets)
        try:
            result = _core.profit(
                *rows,
                high_offsets,
                low_offsets,
                fill_code(fill),
                fee_rule_code(fee_rule),
                check_fee(fee),
            )
        except ValueError as error:
            raise as_argument_error(error) from None
    return result[0] if single else result


def _profit_of_problems(
    rows: DayArrays, high: FloatArray, low: FloatArray, fee: float, fee_rule: str, fill: str
) -> FloatArray:
    """`profit` of each row of days in turn."""
    is_batch({name: row.shape for name, row in by_name(*rows).items() if row is not None})
    problems, days = rows[0].shape
    candidates = offset_shape(high.shape, low.shape, problems, batched=True)[-1:]
    high, low = (np.broadcast_to(values, (problems, *candidates)) for values in (high, low))
    result = np.empty((problems, *candidates, days), dtype=f32)
    for i in range(problems):
        of_problem = (None if row is None else row[i] for row in rows)
        given: dict[str, Any] = by_name(*of_problem)
        result[i] = profit(
            **given, high_offset=high[i], low_offset=low[i], fee=fee, fee_rule=fee_rule, fill=fill
        )
    return result


def fills(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    open: npt.ArrayLike | None = None,
) -> Fills:
    """Gross profit, fee and fill flags of each day at the forecast levels; arguments as `profit`.

    gross - fee is `profit` at offsets 0, bit for bit. `open` may be given with any policy; a day
    whose order it settles is then not flagged as ambiguous.
    """
    with stage("fills"):
        try:
            result = _core.fills(
                *as_float32(close, high, low, high_pred, low_pred, position, open),
                fill_code(fill),
                fee_rule_code(fee_rule),
                check_fee(fee),
            )
        except ValueError as error:
            raise as_argument_error(error) from None
    return Fills(*result)


def as_float32(*arrays: npt.ArrayLike | None) -> DayArrays:
    """The seven day arrays as float32; the compiled side compares their shapes.

    Raises:
        ArgumentError: one of them holds something other than numbers, or rows of several lengths.
    """
    named = zip(DAY_NAMES, arrays, strict=True)
    found = (
        None if name == "open" and values is None else as_numbers(name, values, f32)
        for name, values in named
    )
    return cast(DayArrays, tuple(found))
