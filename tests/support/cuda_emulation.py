"""The bodies of the GPU kernels on the host, called as the Python side calls `_cuda`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from problems import NAMES

from marketsim import _cuda_emulation as native
from marketsim.kernels import rules

f32 = np.float32
HERE = {"device": 0, "stream": 0}


def address(array: np.ndarray | None) -> int:
    return 0 if array is None else array.ctypes.data


def rules_of(options: dict[str, Any]) -> dict[str, Any]:
    fill = options.get("fill", "open_aware")
    codes = rules.rule_codes(
        fill,
        options.get("fee_rule"),
        options.get("fee", 0.0),
        options.get("costs"),
        has_open=fill in rules.FILLS,
    )
    return codes._asdict()


def windows_of(
    days: dict[str, Any], starts: np.ndarray | None, count: int | None
) -> dict[str, Any]:
    """Arrays [problem, day], or [day] with the first day of each window and their length."""
    arrays = [None if days[name] is None else np.asarray(days[name]) for name in NAMES]
    assert all(a.dtype == f32 and a.strides[-1] == 4 for a in arrays if a is not None and a.size)
    assert arrays[0] is not None
    problems = len(starts) if starts is not None else len(arrays[0])
    return {
        "days": [address(a) for a in arrays],
        "strides": [0 if starts is not None or a is None else a.strides[0] // 4 for a in arrays],
        "starts": address(starts),
        "problems": problems,
        "day_count": arrays[0].shape[-1] if count is None else count,
    }


def batch_of(
    days: dict[str, Any],
    high: np.ndarray,
    low: np.ndarray,
    starts: np.ndarray | None,
    count: int | None,
    grid: bool,
    options: dict[str, Any],
) -> tuple[native.ProfitBatch, tuple[int, int, int]]:
    """Offsets [candidate] for all problems or [problem, candidate]; a grid: [high] and [low]."""
    windows = windows_of(days, starts, count)
    candidates = len(high) * len(low) if grid else high.shape[-1]
    batch = native.ProfitBatch(
        **windows,
        high_offset=address(high),
        low_offset=address(low),
        offset_stride=high.shape[-1] if high.ndim == 2 else 0,
        candidates=candidates,
        grid_lows=len(low) if grid else 0,
        **rules_of(options),
    )
    return batch, (windows["problems"], candidates, windows["day_count"])


def profit_days(days, high, low, *, starts=None, count=None, grid=False, **options) -> np.ndarray:
    batch, shape = batch_of(days, high, low, starts, count, grid, options)
    out = np.full(shape, np.nan, f32)
    native.profit_days(batch, address(out), **HERE)
    return out


class Sums(NamedTuple):
    total: np.ndarray
    squares: np.ndarray
    wins: np.ndarray
    trades: np.ndarray


def empty_sums(shape: tuple[int, ...]) -> Sums:
    counts = (np.full(shape, 77, np.uint32) for _ in range(2))
    return Sums(np.full(shape, np.nan), np.full(shape, np.nan), *counts)


def profit_sums(days, high, low, *, starts=None, count=None, grid=False, **options) -> Sums:
    batch, shape = batch_of(days, high, low, starts, count, grid, options)
    sums = empty_sums(shape[:2])
    native.profit_sums(batch, *map(address, sums), **HERE)
    return sums


def window_sums(values: np.ndarray, starts: np.ndarray, days: int) -> Sums:
    sums = empty_sums((len(starts),))
    native.window_sums(
        address(values), address(starts), len(starts), days, *map(address, sums), **HERE
    )
    return sums


class Solved(NamedTuple):
    high: np.ndarray
    low: np.ndarray
    profit: np.ndarray
    applied: np.ndarray


class Problems(NamedTuple):
    """One group; `keep` holds the arrays for as long as the group is used."""

    group: native.OffsetGroup
    answers: Solved
    keep: tuple[Any, ...]


def problems_of(
    days: dict[str, Any],
    *,
    bounds: Any = ((-0.03, 0.03), (-0.03, 0.03)),
    starts: np.ndarray | None = None,
    count: int | None = None,
    margin: float = 0.0,
    always_on: bool = False,
    long_only: bool = False,
    gap: int = 0,
    applied: int = 0,
    **options: Any,
) -> Problems:
    windows = windows_of(days, starts, count)
    problems = windows["problems"]
    answers = Solved(
        np.full(problems, np.nan, f32),
        np.full(problems, np.nan, f32),
        np.full(problems, np.nan),
        np.full((problems, applied), np.nan, f32),
    )
    group = native.OffsetGroup(
        **windows,
        bounds=[v for pair in bounds for v in inward(*pair)],
        **rules_of(options),
        margin=margin,
        always_on=always_on,
        long_only=long_only,
        high=address(answers.high),
        low=address(answers.low),
        profit=address(answers.profit),
        applied=address(answers.applied) if applied else 0,
        applied_gap=gap,
        applied_days=applied,
    )
    return Problems(group, answers, (days, starts))


def inward(low: float, high: float) -> tuple[float, float]:
    low32, high32 = f32(low), f32(high)
    if float(low32) < low:
        low32 = np.nextafter(low32, f32(np.inf))
    if float(high32) > high:
        high32 = np.nextafter(high32, f32(-np.inf))
    return float(low32), float(high32)


def solve(*problems: Problems, workspace: str = "most") -> None:
    """Solves all groups at once; answers are in each of them."""
    groups = [each.group for each in problems]
    least, most = native.offsets_workspace(groups, 0)
    memory = np.full((least if workspace == "least" else most) + 256, 0xA5, np.uint8)
    start = -memory.ctypes.data % 256
    native.best_offsets(groups, memory.ctypes.data + start, len(memory) - 256, **HERE)


def best_offsets(days: dict[str, Any], **options: Any) -> Solved:
    """As `ms.best_offsets` for arrays [problem, day]."""
    problems = problems_of(days, **options)
    solve(problems)
    return problems.answers
