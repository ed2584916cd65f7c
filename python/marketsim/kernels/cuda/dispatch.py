"""Run the public kernel functions on a device; return None where `device` is the CPU.

Tensors give tensors, NumPy arrays give NumPy arrays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from marketsim.arguments import as_flag, as_numbers, require_finite
from marketsim.errors import ArgumentError
from marketsim.kernels.cuda import place as cuda
from marketsim.kernels.cuda.arrays import (
    DeviceDays,
    address,
    checked_tensor,
    device_days,
    download,
)
from marketsim.kernels.cuda.place import Place, find_place, is_tensor, launch_guard, memory_guard
from marketsim.kernels.levels import require_prices
from marketsim.kernels.rules import RuleCodes
from marketsim.kernels.shapes import offset_shape
from marketsim.kernels.types import Bounds, Offsets, ProfitSums, check_bounds, inward
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch


class _Batch(NamedTuple):
    """Candidates and bars as the compiled module takes them; `keep` owns the memory it points to.

    `shape` is [problem, candidate], without axes that the arguments lack.
    """

    native: Any
    shape: tuple[int, ...]
    size: tuple[int, int]
    days: DeviceDays
    keep: tuple[torch.Tensor, torch.Tensor]


def profit(
    days: dict[str, Any],
    high_offset: Any,
    low_offset: Any,
    *,
    device: object,
    rules: RuleCodes,
) -> Any:
    """Compute `marketsim.profit` on a device; None for the CPU."""
    batch = _batch(
        days,
        high_offset,
        low_offset,
        False,
        device,
        cuda.LEAST_PROFITS,
        rules,
    )
    if batch is None:
        return None
    import torch

    place = batch.days.place
    with stage("fills", settle=place.settle), launch_guard():
        out = place.empty((*batch.size, batch.days.length), torch.float32)
        if out.numel():
            place.platform.module.profit_days(batch.native, address(out), **place.queue)
    out = out.reshape(*batch.shape, batch.days.length)
    return download(place, [out])[0] if batch.days.from_host else out


def profit_sums(
    days: dict[str, Any],
    high_offset: Any,
    low_offset: Any,
    *,
    grid: bool,
    device: object,
    rules: RuleCodes,
) -> ProfitSums | None:
    """Compute `marketsim.profit_sums` on a device; None for the CPU."""
    batch = _batch(
        days,
        high_offset,
        low_offset,
        grid,
        device,
        cuda.LEAST_SUMS,
        rules,
    )
    if batch is None:
        return None
    place = batch.days.place
    with stage("fills", settle=place.settle), launch_guard():
        sums = empty_sums(place, batch.size)
        if math.prod(batch.size):
            addresses = (address(values) for values in sums)
            place.platform.module.profit_sums(batch.native, *addresses, **place.queue)
    found: list[Any] = [values.reshape(batch.shape) for values in sums]
    if batch.days.from_host:
        found = [values[()] for values in download(place, found)]
    total, squares, wins, trades = found
    return ProfitSums(total, squares, wins, trades, batch.days.length)


def empty_sums(place: Place, shape: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    """Allocate total, squares, wins and trades."""
    import torch

    kinds = (torch.float64, torch.float64, torch.int32, torch.int32)
    return tuple(place.empty(shape, kind) for kind in kinds)


def best_offsets(
    days: dict[str, Any],
    *,
    device: object,
    rules: RuleCodes,
    bounds: Bounds,
    always_on: bool,
    long_only: bool,
    margin: float,
) -> Offsets | None:
    """Compute `marketsim.best_offsets` on a device; None for the CPU."""
    inwards = inward_bounds(bounds)
    options = rules._asdict() | {
        "bounds": inwards,
        "margin": margin,
        "always_on": as_flag("always_on", always_on),
        "long_only": as_flag("long_only", long_only),
    }
    place = find_place(device, days, _size(days["close"]), cuda.LEAST_OFFSET_DAYS)
    if place is None:
        return None
    found = device_days(place, days)
    require_days(place, found.length)
    if found.from_host:
        require_prices(days, rules, inwards[0], inwards[2])
    import torch

    with stage("offsets", settle=place.settle), launch_guard():
        high, low = (place.empty((found.problems,), torch.float32) for _ in range(2))
        total = place.empty((found.problems,), torch.float64)
        group = place.platform.module.OffsetGroup(
            **found.windows(), **options, high=address(high), low=address(low),
            profit=address(total), applied=0, applied_gap=0, applied_days=0,
        )  # fmt: skip
        solve(place, [group])
    answers = (high, low, total) if found.batched else (high[0], low[0], total[0])
    if not found.from_host:
        return Offsets(*answers)  # type: ignore[arg-type]
    arrays = download(place, answers)
    return Offsets(*arrays) if found.batched else Offsets(*(array.item() for array in arrays))


def solve(place: Place, groups: list[Any]) -> None:
    """Queue the search for the best offsets of all groups on the stream."""
    module = place.platform.module
    least, most = module.offsets_workspace(groups, place.queue["device"])
    memory = place.workspace(least, most)
    # torch reuses this memory only after the work queued on the stream so far has finished.
    module.best_offsets(groups, address(memory), memory.numel(), **place.queue)


def require_days(place: Place, count: int) -> None:
    """Raise ArgumentError for problems with more bars than a GPU can search."""
    most = place.platform.module.MAX_DAYS
    if count > most:
        raise ArgumentError(
            f"a GPU searches at most {most:,} bars per problem: got {count:,}; use device='cpu'"
        )


def inward_bounds(bounds: Bounds) -> list[float]:
    """Return the outermost float32 offsets within the bounds."""
    return [value for pair in check_bounds(bounds) for value in inward(*pair)]


def _batch(
    days: dict[str, Any],
    high_offset: Any,
    low_offset: Any,
    grid: bool,
    device: object,
    least: int,
    rules: RuleCodes,
) -> _Batch | None:
    work = _size(days["close"])
    work *= (
        _size(high_offset) * _size(low_offset)
        if grid
        else max(_size(high_offset), _size(low_offset))
    )
    place = find_place(device, days, work, least)
    if place is None:
        return None
    given = {"high_offset": high_offset, "low_offset": low_offset}
    finite: list[Any] = []
    if any(is_tensor(values, place.platform.kind) for values in days.values()):
        found = device_days(place, days)
        high, low = (_offset_tensor(place, name, values) for name, values in given.items())
    else:
        finite = [_finite(n, v) for n, v in given.items()]
        found = device_days(place, days, dict(zip(given, finite, strict=True)))
        high, low = found.offsets
    shape = offset_shape(
        tuple(high.shape), tuple(low.shape), found.problems, batched=found.batched, grid=grid
    )
    if finite and 0 not in shape:
        require_prices(days, rules, *(v.min(axis=-1 if v.ndim == 2 else None) for v in finite))
    with memory_guard(place, 8 * math.prod(shape)):
        high, low = (v.contiguous() if grid else v.expand(shape).contiguous() for v in (high, low))
    per_problem = len(shape) == 2 and not grid
    candidates = math.prod(shape[1:] if per_problem else shape)
    native = place.platform.module.ProfitBatch(
        **found.windows(), **rules._asdict(), high_offset=address(high), low_offset=address(low),
        offset_stride=candidates if per_problem else 0, candidates=candidates,
        grid_lows=low.numel() if grid else 0,
    )  # fmt: skip
    whole = (*((found.problems,) if found.batched else ()), *(shape[1:] if per_problem else shape))
    return _Batch(native, whole, (found.problems, candidates), found, (high, low))


def _offset_tensor(place: Place, name: str, values: Any) -> torch.Tensor:
    """Return offsets of tensor bars as a tensor: a tensor of the same device, or a number."""
    import torch

    if is_tensor(values, place.platform.kind):
        return checked_tensor(place, name, values, dense=False)
    found = _finite(name, values)
    if found.ndim:
        raise ArgumentError(
            f"{name} must be a number or a tensor if the bars are tensors: got "
            f"{type(values).__name__}; torch.as_tensor({name}, device=...) makes one"
        )
    return torch.full((), float(found), dtype=torch.float32, device=place.device)


def _finite(name: str, values: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    return require_finite(name, as_numbers(name, values, np.float32))


def _size(values: Any) -> int:
    """Return the number of elements, without reading values."""
    shape = getattr(values, "shape", None)
    return math.prod(shape) if shape is not None else int(np.size(values))
