"""Fit the limit orders of a walk-forward run on a GPU: all symbols, windows, strategies, policies.

Arrays [bar] concatenate the bars of all symbols; windows are given by their first bars. One launch
fits the offsets of all windows and strategies and applies them to the bars after each window;
another one sums the profits. Results stay on the device.

    at = windows_at(days, starts, length=60, behind=1)
    fitted = fit_windows(days, [Fit(position), Fit(ones, always_on=True)], at, fee=0.0005)
    sums = sum_windows(fitted[0].net.reshape(-1), windows_at(..., simulations, length=7))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_flag
from marketsim.errors import ArgumentError
from marketsim.kernels.cuda.arrays import address, checked_tensor, upload
from marketsim.kernels.cuda.dispatch import empty_sums, inward_bounds, require_days, solve
from marketsim.kernels.cuda.place import Place, find_place, launch_guard
from marketsim.kernels.rules import FillCosts, rule_codes
from marketsim.kernels.shapes import DAY_NAMES, is_batch
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds, ProfitSums
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch

_MARKET = ("close", "high", "low")


class WindowIndex(NamedTuple):
    """Windows of bars, checked and on the device.

    Attributes:
        place: the device.
        starts: int64 [window], first bar of each window.
        length: bars per window.
        behind: bars available after each window, gap included.
        days: least number of bars of the arrays.
    """

    place: Place
    starts: torch.Tensor
    length: int
    behind: int
    days: int


class Fit(NamedTuple):
    """Limit orders of one strategy on the bars; tensors [bar] on the device.

    Attributes:
        high_pred, low_pred, position: as in `marketsim.best_offsets`.
        fill, always_on, long_only: likewise.
        fee, costs: likewise; None for those of the call.
        windows: windows to fit on; None for those of the call.
    """

    high_pred: Any
    low_pred: Any
    position: Any
    fill: str = "open_aware"
    always_on: bool = False
    long_only: bool = False
    fee: float | None = None
    costs: FillCosts | None = None
    windows: WindowIndex | None = None


class Fitted(NamedTuple):
    """Offsets of each window and their profits; tensors.

    Attributes:
        high, low: float32 [window], best offsets on the window's bars.
        profit: float64 [window], their total profit on these bars.
        net: float32 [window, bar], profit of the bars after the window.
    """

    high: torch.Tensor
    low: torch.Tensor
    profit: torch.Tensor
    net: torch.Tensor


def windows_at(
    starts: npt.ArrayLike, length: int, *, behind: int = 0, device: str = "cuda"
) -> WindowIndex:
    """Upload windows by their first bars; reusable in any number of calls.

    Raises:
        ArgumentError: a first bar that is negative or not a whole number, or an empty window.
        UnknownNameError, CudaUnavailableError, CudaError: as `marketsim.profit`.
    """
    place = find_place(device, {})
    if place is None:
        raise ArgumentError(f"windows are indexed for a GPU: got device={device!r}")
    given = np.asarray(starts)
    whole = given.ndim == 1 and (given.dtype.kind in "iu" or given.size == 0)
    if not whole or (given.size and given.min() < 0) or length < 1 or behind < 0:
        raise ArgumentError(
            "starts must be first bars [window], whole numbers from 0 on, and length at least 1: "
            f"got {given.dtype} {given.shape} from {given.min() if given.size else 0} on, "
            f"length={length!r}, behind={behind!r}"
        )
    days = int(given.max()) + length + behind if given.size else 0
    return WindowIndex(place, upload(place, [given.astype(np.int64)])[0], length, behind, days)


def fit_windows(
    market: dict[str, Any],
    fits: Sequence[Fit],
    windows: WindowIndex,
    *,
    applied: int = 1,
    bounds: Bounds = DEFAULT_BOUNDS,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fee_rule: str | None = None,
) -> list[Fitted]:
    """Fit the best offsets of each window for each fit, and apply them to the bars after it.

    Args:
        market: close, high, low and open (none for legacy formulas): tensors [bar].
        fits: orders to fit; all of them are one launch.
        windows: fit windows; the last `applied` of the `behind` bars after each are traded, the
            others are a gap. A fit may have windows of its own, on the same device.
        applied: number of bars after the window that the offsets are applied to.
        bounds, fee, costs, fee_rule: as in `marketsim.best_offsets`.

    Raises:
        ArgumentError: tensors that cannot be read, lengths that differ, too few bars for the
            windows, or a value out of range.
        UnknownNameError, CudaError: as `marketsim.best_offsets`.
    """
    place = windows.place
    places = [fit.windows or windows for fit in fits]
    for at in [windows, *places]:
        if not 0 <= applied <= at.behind:
            raise ArgumentError(f"applied must be 0 to {at.behind} (behind): got {applied!r}")
        require_days(place, at.length)
    days = [_days_of(place, market, fit, at) for fit, at in zip(fits, places, strict=True)]
    has_open = market.get("open") is not None
    rules = []
    for fit in fits:
        own = fit.fee is not None or fit.costs is not None
        rates = (fit.fee or 0.0, fit.costs) if own else (fee, costs)
        codes = rule_codes(fit.fill, fee_rule, *rates, has_open=has_open)
        rules.append({"bounds": inward_bounds(bounds), "margin": 0.0, **codes._asdict()})
    answers = [_empty(place, len(at.starts), applied) for at in places]
    most = place.platform.module.MAX_GROUPS
    with stage("offsets", settle=place.settle), launch_guard():
        groups = [
            _group(at, applied, fit, of, to, rule)
            for at, fit, of, to, rule in zip(places, fits, days, answers, rules, strict=True)
            if len(at.starts)
        ]
        for first in range(0, len(groups), most):
            solve(place, groups[first : first + most])
    return answers


def sum_windows(values: Any, windows: WindowIndex) -> ProfitSums:
    """Sum a float32 tensor [bar] of profits over windows; returns tensors [window].

    `trades` counts bars with a profit other than 0.

    Raises:
        ArgumentError: a tensor that cannot be read, or too few bars for the windows.
        CudaError: as `marketsim.profit`.
    """
    place = windows.place
    row = checked_tensor(place, "values", values)
    _require_windows({"values": tuple(row.shape)}, windows)
    with stage("metrics", settle=place.settle), launch_guard():
        sums = empty_sums(place, (len(windows.starts),))
        place.platform.module.window_sums(
            address(row), address(windows.starts), len(windows.starts), windows.length,
            *(address(of) for of in sums), **place.queue,
        )  # fmt: skip
    total, squares, wins, trades = sums
    return ProfitSums(total, squares, wins, trades, windows.length)


def _days_of(
    place: Place, market: dict[str, Any], fit: Fit, windows: WindowIndex
) -> list[torch.Tensor | None]:
    given = market | {name: getattr(fit, name) for name in ("high_pred", "low_pred", "position")}
    missing = [name for name in _MARKET if name not in market]
    if missing or set(given) - set(DAY_NAMES):
        raise ArgumentError(f"market must hold close, high, low and open: got {list(market)}")
    found = {
        name: checked_tensor(place, name, given[name])
        for name in DAY_NAMES
        if given.get(name) is not None
    }
    _require_windows({name: tuple(row.shape) for name, row in found.items()}, windows)
    return [found.get(name) for name in DAY_NAMES]


def _require_windows(shapes: dict[str, tuple[int, ...]], windows: WindowIndex) -> None:
    first = next(iter(shapes.items()))
    if is_batch({"close": first[1]} | shapes) or first[1][0] < windows.days:
        raise ArgumentError(
            f"{first[0]} must be [bar] with at least {windows.days} bars for these windows: got "
            f"shape {first[1]}"
        )


def _empty(place: Place, count: int, applied: int) -> Fitted:
    import torch

    high, low = (place.empty((count,), torch.float32) for _ in range(2))
    total = place.empty((count,), torch.float64)
    return Fitted(high, low, total, place.empty((count, applied), torch.float32))


def _group(
    windows: WindowIndex,
    applied: int,
    fit: Fit,
    days: list[torch.Tensor | None],
    to: Fitted,
    rules: dict[str, Any],
) -> Any:
    return windows.place.platform.module.OffsetGroup(
        days=[0 if row is None else address(row) for row in days],
        strides=[0] * len(days),
        starts=address(windows.starts),
        problems=len(windows.starts),
        day_count=windows.length,
        always_on=as_flag("always_on", fit.always_on),
        long_only=as_flag("long_only", fit.long_only),
        high=address(to.high),
        low=address(to.low),
        profit=address(to.profit),
        applied=address(to.net) if applied else 0,
        applied_gap=windows.behind - applied,
        applied_days=applied,
        **rules,
    )
