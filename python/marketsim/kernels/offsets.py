"""Best entry and exit offsets over a window of bars, by an exact search."""

from __future__ import annotations

import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_argument_error, as_flag, as_number
from marketsim.errors import ArgumentError
from marketsim.kernels.profit import as_float32
from marketsim.kernels.rules import FillCosts, rule_codes
from marketsim.kernels.shapes import by_name
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds, Offsets, check_bounds
from marketsim.timing import stage


def best_offsets(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    open: npt.ArrayLike | None,
    bounds: Bounds = DEFAULT_BOUNDS,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
    always_on: bool = False,
    long_only: bool = False,
    margin: float = 0.0,
    device: str = "cpu",
) -> Offsets:
    """Find the pair of offsets with the highest total `profit` over the bars, the global maximum.

    The total is the float64 sum, in the order of the bars, of the float32 profit of each bar. No
    float32 pair within the bounds has a higher total.

    Among equal totals the candidate nearest to (0, 0) wins, then the smaller |high| and |low|.
    Candidates are all pairs of 0, the upper high bound and the last floats before the high offset
    changes a bar's fills, with 0, the lower low bound and the first floats after the low offset
    changes them (instead of 0 the bound nearest to it if 0 is out of bounds). High, then low, is
    moved towards 0 as far as the total stays the same: no pair with the same total has one offset
    equal and the other nearer to 0.

    An optimum always lies at the edge of a fill, see `margin`. Its gain over a coarser search is
    in sample; the exact search serves speed and determinism, not better trading.

    Args:
        close, high, low, high_pred, low_pred, open: returns and forecasts as in `profit`, one
            problem [bar] or a batch [problem, bar]. Batches use all cores, without the GIL.
        position: as in `profit`; with `always_on` only whether it is finite matters.
        bounds: ((lowest, highest) high offset, (lowest, highest) low offset).
        fee, costs, fill, fee_rule: as in `profit`.
        always_on: trade +1 and -1 in every bar; the total is that of all longs plus that of all
            shorts.
        long_only: do not trade bars with a negative position; with `always_on`, +1 only.
        margin: distance by which a price must exceed a level to count as through it during the
            search, at the open and the close too; the returned profit is without it.
        device: as in `profit`; results are equal to the last bit, and tensors for tensors.

    Returns:
        `Offsets`. Bars with a value that is not finite do not trade; without any trade the offsets
        are the pair nearest to (0, 0) and the profit is 0.

    Raises:
        ArgumentError: shapes differ, values are not numbers, bounds or margin are out of range, a
            cost is not finite, a limit within the bounds is at or below -1 on a traded bar (a price
            of 0 or less), or no `open` where one is needed.
        UnknownNameError: an unknown fill policy, fee rule or device.
        CudaUnavailableError, CudaError: as `profit`.

    Example:
        >>> import marketsim as ms
        >>> days = [0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0]
        >>> ms.best_offsets(*days, open=[0.0], fill="optimistic").profit
        0.04999999701976776
    """
    (high_min, high_max), (low_min, low_max) = check_bounds(bounds)
    narrowing = as_number("margin", margin, "a number in [0, 1)")
    if not 0.0 <= narrowing < 1.0:
        raise ArgumentError(f"margin must lie in [0, 1): got {margin!r}")
    rules = rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    if device != "cpu":
        from marketsim.kernels.cuda import dispatch

        days = by_name(close, high, low, high_pred, low_pred, position, open)
        on_device = dispatch.best_offsets(
            days, device=device, rules=rules, bounds=bounds,
            always_on=always_on, long_only=long_only, margin=margin,
        )  # fmt: skip
        if on_device is not None:
            return on_device
    with stage("offsets"):
        rows = as_float32(close, high, low, high_pred, low_pred, position, open)
        try:
            found = _core.best_offsets(
                *rows,
                high_min,
                high_max,
                low_min,
                low_max,
                *rules,
                narrowing,
                as_flag("always_on", always_on),
                as_flag("long_only", long_only),
            )
        except ValueError as error:
            raise as_argument_error(error) from None
    if rows[0].ndim == 1:
        return Offsets(found[0].item(), found[1].item(), found[2].item())
    return Offsets(*found)
