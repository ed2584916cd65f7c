"""
CUDA kernels of marketsim. Private: call them through marketsim.
"""

from __future__ import annotations

import collections.abc
import typing

__all__: list[str] = [
    "ARCHITECTURES",
    "MAX_DAYS",
    "MAX_GROUPS",
    "OffsetGroup",
    "ProfitBatch",
    "best_offsets",
    "device_count",
    "device_name",
    "driver_state",
    "mixture_means_between",
    "mixture_quantiles",
    "offsets_workspace",
    "profit_days",
    "profit_sums",
    "window_sums",
]

class ProfitBatch:
    """
    Candidates and the days they are tried on.
    """
    def __init__(
        self,
        *,
        days: typing.Annotated[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(7)"
        ],
        strides: typing.Annotated[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(7)"
        ],
        starts: typing.SupportsInt | typing.SupportsIndex,
        problems: typing.SupportsInt | typing.SupportsIndex,
        day_count: typing.SupportsInt | typing.SupportsIndex,
        high_offset: typing.SupportsInt | typing.SupportsIndex,
        low_offset: typing.SupportsInt | typing.SupportsIndex,
        offset_stride: typing.SupportsInt | typing.SupportsIndex,
        candidates: typing.SupportsInt | typing.SupportsIndex,
        grid_lows: typing.SupportsInt | typing.SupportsIndex,
        fill: typing.SupportsInt | typing.SupportsIndex,
        fee_rule: typing.SupportsInt | typing.SupportsIndex,
        limit_cost: typing.SupportsFloat | typing.SupportsIndex,
        close_cost: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...

class OffsetGroup:
    """
    Problems of one kind, and where answers go.
    """
    def __init__(
        self,
        *,
        days: typing.Annotated[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(7)"
        ],
        strides: typing.Annotated[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(7)"
        ],
        starts: typing.SupportsInt | typing.SupportsIndex,
        problems: typing.SupportsInt | typing.SupportsIndex,
        day_count: typing.SupportsInt | typing.SupportsIndex,
        bounds: typing.Annotated[
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(4)"
        ],
        fill: typing.SupportsInt | typing.SupportsIndex,
        fee_rule: typing.SupportsInt | typing.SupportsIndex,
        limit_cost: typing.SupportsFloat | typing.SupportsIndex,
        close_cost: typing.SupportsFloat | typing.SupportsIndex,
        margin: typing.SupportsFloat | typing.SupportsIndex,
        always_on: bool,
        long_only: bool,
        high: typing.SupportsInt | typing.SupportsIndex,
        low: typing.SupportsInt | typing.SupportsIndex,
        profit: typing.SupportsInt | typing.SupportsIndex,
        applied: typing.SupportsInt | typing.SupportsIndex,
        applied_gap: typing.SupportsInt | typing.SupportsIndex,
        applied_days: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

def best_offsets(
    groups: collections.abc.Sequence[OffsetGroup],
    workspace: typing.SupportsInt | typing.SupportsIndex,
    workspace_bytes: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    Best offsets, their profit and what they earn behind the window, for all groups.
    """

def device_count() -> int:
    """
    Devices that can be used; 0 without a driver.
    """

def device_name(device: typing.SupportsInt | typing.SupportsIndex) -> str:
    """
    The device's name; empty if unknown.
    """

def driver_state() -> str:
    """
    Driver and runtime, or why no device can be used.
    """

def mixture_means_between(
    df: typing.SupportsInt | typing.SupportsIndex,
    loc: typing.SupportsInt | typing.SupportsIndex,
    scale: typing.SupportsInt | typing.SupportsIndex,
    weight: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    components: typing.SupportsInt | typing.SupportsIndex,
    low: tuple[
        typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
    ],
    high: tuple[
        typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
    ],
    out: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    Means [row] of the parts between two levels, given as for mixture_quantiles.
    """

def mixture_quantiles(
    df: typing.SupportsInt | typing.SupportsIndex,
    loc: typing.SupportsInt | typing.SupportsIndex,
    scale: typing.SupportsInt | typing.SupportsIndex,
    weight: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    components: typing.SupportsInt | typing.SupportsIndex,
    levels: collections.abc.Sequence[
        tuple[
            typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
        ]
    ],
    out: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    Quantiles [row, level] of mixtures [row, component], float64, at (level, the standard normal's quantile at it).
    """

def offsets_workspace(
    groups: collections.abc.Sequence[OffsetGroup], device: typing.SupportsInt | typing.SupportsIndex
) -> tuple[int, int]:
    """
    Bytes of workspace that best_offsets needs at least, and uses at most.
    """

def profit_days(
    batch: ProfitBatch,
    out: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    Profit of each problem, candidate and day, float32, into `out`.
    """

def profit_sums(
    batch: ProfitBatch,
    total: typing.SupportsInt | typing.SupportsIndex,
    squares: typing.SupportsInt | typing.SupportsIndex,
    wins: typing.SupportsInt | typing.SupportsIndex,
    trades: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    Sums over the days for each problem and candidate; 0 for what is not wanted.
    """

def window_sums(
    values: typing.SupportsInt | typing.SupportsIndex,
    starts: typing.SupportsInt | typing.SupportsIndex,
    windows: typing.SupportsInt | typing.SupportsIndex,
    days: typing.SupportsInt | typing.SupportsIndex,
    total: typing.SupportsInt | typing.SupportsIndex,
    squares: typing.SupportsInt | typing.SupportsIndex,
    wins: typing.SupportsInt | typing.SupportsIndex,
    trades: typing.SupportsInt | typing.SupportsIndex,
    device: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None:
    """
    The same sums over windows of values.
    """

ARCHITECTURES: str = "80-real 90"
MAX_DAYS: int = 100000
MAX_GROUPS: int = 16
