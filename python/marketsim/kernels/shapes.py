"""Shape checks of bars and candidates, the same for every device."""

from __future__ import annotations

from typing import Any

from marketsim.errors import ArgumentError

DAY_NAMES = ("close", "high", "low", "high_pred", "low_pred", "position", "open")


def by_name(*arrays: Any) -> dict[str, Any]:
    """Name the seven arrays of bars, in the kernels' order."""
    return dict(zip(DAY_NAMES, arrays, strict=True))


def is_batch(shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether arrays of these shapes hold many problems; raise ArgumentError if they differ."""
    first = shapes["close"]
    if len(first) not in (1, 2):
        raise ArgumentError(f"close must be [day] or [problem, day]: got shape {first}")
    for name, shape in shapes.items():
        if shape == first:
            continue
        if len(shape) == len(first) == 1:
            raise ArgumentError(f"lengths differ: close has {first[0]}, {name} has {shape[0]}")
        raise ArgumentError(f"shapes differ: close has {first}, {name} has {shape}")
    return len(first) == 2


def offset_shape(
    high: tuple[int, ...], low: tuple[int, ...], problems: int, *, batched: bool, grid: bool = False
) -> tuple[int, ...]:
    """Return the shape of all candidates; raise ArgumentError for shapes that do not match."""
    for name, shape in (("high_offset", high), ("low_offset", low)):
        if grid and len(shape) != 1:
            raise ArgumentError(f"{name} must be 1-D with grid=True: got shape {shape}")
        if len(shape) > 2 or (len(shape) == 2 and not batched):
            rows = ", 1-D or [problem, candidate]" if batched else " or 1-D"
            raise ArgumentError(f"{name} must be a scalar{rows}: got shape {shape}")
        if len(shape) == 2 and shape[0] != problems:
            raise ArgumentError(
                f"{name} must have a row for each of {problems} problems: got {shape[0]} rows"
            )
    if grid:
        return (*high, *low)
    if high and low and high[-1] != low[-1]:
        raise ArgumentError(f"lengths differ: high_offset has {high[-1]}, low_offset has {low[-1]}")
    return max(high, low, key=len)
