"""Profit of each bar's limit orders, for one or many pairs of offsets."""

from __future__ import annotations

import warnings
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim import _core
from marketsim.arguments import as_argument_error, as_numbers
from marketsim.errors import MissingOpenWarning
from marketsim.kernels.rules import LEGACY_FILLS, FillCosts, RuleCodes, rule_codes
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
    open: npt.ArrayLike | None = None,
    high_offset: npt.ArrayLike = 0.0,
    low_offset: npt.ArrayLike = 0.0,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
    device: str = "cpu",
) -> FloatArray:
    """Compute the profit of each bar under limit orders at forecast high and low plus offsets.

    With H = high_pred + high_offset and L = low_pred + low_offset, a position s > 0 buys s at L or
    better if the price goes through L and sells at H or at the close; s < 0 sells |s| at H or
    better and buys back at L or at the close. `marketsim.kernels.rules` defines the fills of each
    policy; docs/concepts.md shows them in a picture. All arithmetic is float32, each operation
    rounded once: fills are the same on every instruction set.

    Args:
        close, high, low, open: [bar], returns of the bar against the previous close (0.01 is 1 %),
            with low <= open, close <= high. Or many problems, here and below: [problem, bar].
            Without `open` a policy gives, before costs, its bound over all opens that a bar allows:
            "open_aware" and "close_only" assume the worst open of each bar, "optimistic" the best.
        high_pred, low_pred: [bar], forecasts of `high` and `low`.
        position: [bar], size and direction; clipped to [-10, 10].
        high_offset, low_offset: scalar or [candidate], added to the forecasts; for many problems
            also [problem, candidate].
        fee: rate of every fill, a fraction of the position: 0.0005 for 5 basis points. A trade is
            charged twice, at its entry and at its exit. Rebates are negative.
        costs: (entry, limit_exit, close_exit) instead of `fee`: rates of the three kinds of fill.
        fill: "open_aware", "optimistic" or "close_only". "legacy" and "legacy_close_only" are
            legacy formulas: they take open=None, one `fee` per trade and a `fee_rule`.
        fee_rule: "per_entry" or "touched_both", for the legacy formulas.
        device: "cpu"; "cuda" or "cuda:<index>", with results equal to the last bit; "auto" for a
            GPU if one is available and the work is large enough. NumPy arrays are copied to a GPU
            and back. float32 tensors on a GPU stay there: the work is queued on torch's current
            stream without waiting, and the result is a tensor. Tensor values are not checked:
            offsets that are not finite and limits at or below -1 are not reported.

    Returns:
        float32 [bar] for scalar offsets, [candidate, bar] otherwise, preceded by a problem axis
        for many problems. A bar with a value that is not finite does not trade: 0. (Use NaN for
        bars without volume, where nothing trades.)

    Warns:
        MissingOpenWarning: no `open`, under a policy that uses it.

    Raises:
        ArgumentError: lengths differ, values are not numbers, an offset or a cost is not finite, a
            limit of a traded bar is at or below -1 (a price of 0 or less), no `open` on a GPU, or
            tensors that the GPU's kernel cannot read.
        UnknownNameError: an unknown fill policy, fee rule or device.
        CudaUnavailableError: a GPU is requested and none is available.
        CudaError: the GPU has no memory left (`CudaMemoryError`), or the kernel failed.

    Example:
        >>> import marketsim as ms
        >>> day = [0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0]
        >>> ms.profit(*day, open=[0.0])
        array([0.02], dtype=float32)
        >>> ms.profit(*day, open=[0.0], fill="optimistic")
        array([0.03], dtype=float32)
    """
    if open is None and device == "cpu" and str(fill) not in LEGACY_FILLS:
        open = _bounding_open(fill, high, low, position)
    rules = rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    if device != "cpu":
        from marketsim.kernels.cuda import dispatch

        days = by_name(close, high, low, high_pred, low_pred, position, open)
        on_device = dispatch.profit(days, high_offset, low_offset, device=device, rules=rules)
        if on_device is not None:
            return cast(FloatArray, on_device)
    high_offsets = as_numbers("high_offset", high_offset, f32)
    low_offsets = as_numbers("low_offset", low_offset, f32)
    with stage("fills"):
        rows = as_float32(close, high, low, high_pred, low_pred, position, open)
        if rows[0].ndim == 2:
            return _profit_of_problems(rows, high_offsets, low_offsets, rules)
        single = high_offsets.ndim == low_offsets.ndim == 0
        result = _profit_of_days(rows, high_offsets, low_offsets, rules)
    return result[0] if single else result


def _bounding_open(
    fill: str, high: npt.ArrayLike, low: npt.ArrayLike, position: npt.ArrayLike
) -> FloatArray:
    """Return the open within each bar that is worst for its orders, or best under "optimistic".

    A buy limit below the open fills at the limit; one above it fills at the open, which is cheaper
    the lower it is. So the bar's high is the worst open of a long, and its low the best.
    """
    named = {"high": high, "low": low, "position": position}
    top, bottom, size = (as_numbers(name, values, f32) for name, values in named.items())
    if not top.shape == bottom.shape == size.shape:
        return top  # the kernel reports which lengths differ
    best = fill == "optimistic"
    warnings.warn(
        f"profit without open=: fill={fill!r} assumes the {'best' if best else 'worst'} open that "
        f"each bar allows, so this is {'an upper' if best else 'a lower'} bound; give open=, the "
        "open against the previous close, for the actual fills",
        MissingOpenWarning,
        stacklevel=3,
    )
    return np.where((size > 0.0) == best, bottom, top)


def _profit_of_days(
    rows: DayArrays, high: FloatArray, low: FloatArray, rules: RuleCodes
) -> FloatArray:
    """Compute the profit [candidate, bar] of one problem."""
    if high.ndim == 0:
        high = np.full(low.size, high)
    if low.ndim == 0:
        low = np.full(high.size, low)
    try:
        return _core.profit(*rows, high, low, *rules)
    except ValueError as error:
        raise as_argument_error(error) from None


def _profit_of_problems(
    rows: DayArrays, high: FloatArray, low: FloatArray, rules: RuleCodes
) -> FloatArray:
    """Compute the profit of each problem in turn."""
    is_batch({name: row.shape for name, row in by_name(*rows).items() if row is not None})
    problems, days = rows[0].shape
    candidates = offset_shape(high.shape, low.shape, problems, batched=True)[-1:]
    high, low = (np.broadcast_to(values, (problems, *candidates)) for values in (high, low))
    result = np.empty((problems, *candidates, days), dtype=f32)
    for i in range(problems):
        of_problem: Any = (None if row is None else row[i] for row in rows)
        found = _profit_of_days(tuple(of_problem), high[i], low[i], rules)
        result[i] = found if candidates else found[0]
    return result


def fills(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    open: npt.ArrayLike | None,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
) -> Fills:
    """Compute gross profit, costs and fill flags of each bar at the forecast levels.

    Arguments as in `profit`. gross - fee equals `profit` at offsets 0, bit for bit. The flag
    `rules.AMBIGUOUS` marks bars that go through both entry and exit without proving their order:
    only there does a trade differ between "optimistic" and "open_aware".
    """
    rules = rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    with stage("fills"):
        try:
            result = _core.fills(
                *as_float32(close, high, low, high_pred, low_pred, position, open), *rules
            )
        except ValueError as error:
            raise as_argument_error(error) from None
    return Fills(*result)


def as_float32(*arrays: npt.ArrayLike | None) -> DayArrays:
    """Convert the seven bar arrays to float32; the kernel checks their shapes.

    Raises:
        ArgumentError: an array holds other values than numbers, or rows of different lengths.
    """
    named = zip(DAY_NAMES, arrays, strict=True)
    found = (
        None if name == "open" and values is None else as_numbers(name, values, f32)
        for name, values in named
    )
    return cast(DayArrays, tuple(found))
