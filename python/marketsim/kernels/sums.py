"""Sums of profit over bars, and their figures, without storing the profit of each bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim import _core
from marketsim.arguments import as_numbers, require_finite
from marketsim.kernels.levels import require_prices
from marketsim.kernels.profit import as_float32
from marketsim.kernels.rules import LONG_ENTERED, SHORT_ENTERED, FillCosts, RuleCodes, rule_codes
from marketsim.kernels.shapes import by_name, is_batch, offset_shape
from marketsim.kernels.types import ProfitSums

_LARGEST = np.finfo(np.float32).max
# Bars times candidates in CPU memory at a time.
_AT_ONCE = 1 << 17


def profit_sums(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    open: npt.ArrayLike | None,
    high_offset: npt.ArrayLike = 0.0,
    low_offset: npt.ArrayLike = 0.0,
    grid: bool = False,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
    device: str = "cpu",
) -> ProfitSums:
    """Sum the `profit` of the bars, for one or many pairs of offsets.

    A GPU computes the sums in one pass without storing the profits of the bars. Every device gives
    the same bits.

    Args:
        close, high, low, high_pred, low_pred, position, open: [bar] or [problem, bar], as in
            `profit`.
        high_offset, low_offset: scalar, [candidate] or [problem, candidate], as in `profit`.
        grid: combine every high offset with every low offset, both 1-D, instead of pairs.
        fee, costs, fill, fee_rule, device: as in `profit`.

    Returns:
        `ProfitSums` of shape [candidate], or [high offset, low offset] with `grid`, preceded by a
        problem axis for many problems; tensors for tensors.

    Raises:
        ArgumentError, UnknownNameError, CudaUnavailableError, CudaError: as `profit`.

    Example:
        >>> import marketsim as ms
        >>> sums = ms.profit_sums([0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0], open=[0.0])
        >>> float(sums.total), int(sums.trades)
        (0.019999999552965164, 1)
    """
    rules = rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    if device != "cpu":
        from marketsim.kernels.cuda import dispatch

        days = by_name(close, high, low, high_pred, low_pred, position, open)
        found = dispatch.profit_sums(
            days, high_offset, low_offset, grid=grid, device=device, rules=rules
        )
        if found is not None:
            return ProfitSums(*found)
    rows = by_name(*as_float32(close, high, low, high_pred, low_pred, position, open))
    batched = is_batch({name: row.shape for name, row in rows.items() if row is not None})
    highs, lows = (
        require_finite(name, as_numbers(name, values, f32))
        for name, values in (("high_offset", high_offset), ("low_offset", low_offset))
    )
    return _on_cpu(rows, highs, lows, batched, grid, rules)


def _on_cpu(
    rows: dict[str, Any],
    highs: npt.NDArray[np.float32],
    lows: npt.NDArray[np.float32],
    batched: bool,
    grid: bool,
    rules: RuleCodes,
) -> ProfitSums:
    """Compute the sums with the kernel `fills`, some candidates at a time."""
    rows = {n: row if row is None or batched else row[None] for n, row in rows.items()}
    problems, days = rows["close"].shape
    shape = offset_shape(highs.shape, lows.shape, problems, batched=batched, grid=grid)
    if grid:
        highs, lows = (values.reshape(-1) for values in np.meshgrid(highs, lows, indexing="ij"))
    count = highs.size if grid else (1, *shape)[-1]
    highs, lows = (np.broadcast_to(values, (problems, count)) for values in (highs, lows))
    floats = np.zeros((2, problems, count))
    counts = np.zeros((2, problems, count), dtype=np.int32)
    if count:
        require_prices(rows, rules, highs.min(axis=1), lows.min(axis=1))
    step = max(_AT_ONCE // max(days, 1), 1)
    for i in range(problems):
        of_problem = {name: None if row is None else row[i] for name, row in rows.items()}
        for at in range(0, count, step):
            some = slice(at, at + step)
            found = _sum_some(of_problem, highs[i, some], lows[i, some], rules)
            floats[:, i, some], counts[:, i, some] = found
    tail = shape if grid else shape[-1:]
    whole = (problems, *tail) if batched else tail
    total, squares, wins, trades = (v.reshape(whole)[()] for v in (*floats, *counts))
    return ProfitSums(total, squares, wins, trades, days)


@np.errstate(all="ignore")  # extreme input overflows as it does in the kernels
def _sum_some(
    days: dict[str, Any],
    highs: npt.NDArray[np.float32],
    lows: npt.NDArray[np.float32],
    rules: RuleCodes,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Return (total and squares, wins and trades), each [2, candidate]."""
    shape = (len(highs), len(days["close"]))
    tiled: dict[str, Any] = {
        n: v if v is None else np.broadcast_to(v, shape).reshape(-1) for n, v in days.items()
    }
    for name, offsets in (("high_pred", highs), ("low_pred", lows)):
        # A level beyond float32 is a limit that no price reaches, not a missing value.
        level = np.clip(days[name] + offsets[:, None], -_LARGEST, _LARGEST)
        tiled[name] = np.where(np.isfinite(days[name]), level, days[name]).reshape(-1)
    gross, cost, flags = _core.fills(**tiled, **rules._asdict())
    net = (gross - cost).reshape(shape)
    entered = (flags & (LONG_ENTERED | SHORT_ENTERED) != 0).reshape(shape)
    exact = net.astype(np.float64)
    sums = [sums_in_order(exact), sums_in_order(exact * exact)]
    counts = [np.count_nonzero(of, axis=1) for of in (net > 0, entered)]
    return np.stack(sums), np.stack(counts).astype(np.int32)


def window_sums(
    values: npt.NDArray[np.float64], starts: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.float64]:
    """Sum values [field, strategy, bar] over windows to [window, strategy, field].

    NaN counts as 0. Each window is added from its first bar to its last, so its sum does not depend
    on other windows.
    """
    known = np.where(np.isnan(values), 0.0, values)
    if len(starts) < length:
        windows = (np.cumsum(known[:, :, start : start + length], axis=-1) for start in starts)
        total = np.stack([sums[:, :, -1] for sums in windows], axis=-1) + 0.0  # no -0
    else:
        total = np.zeros((*values.shape[:2], len(starts)))
        for day in range(length):
            total += known[:, :, starts + day]
    return np.ascontiguousarray(total.transpose(2, 1, 0))


def sums_in_order(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum rows sequentially; np.sum adds pairwise."""
    if values.shape[1] == 0:
        return np.zeros(len(values))
    return np.cumsum(values, axis=1)[:, -1]
