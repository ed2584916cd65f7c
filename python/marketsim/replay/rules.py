"""Built-in signal strategies, by name: what `marketsim replay --strategy` runs.

Each takes bars and parameters and returns (entries, exits), flags [bar] for `replay`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.errors import ArgumentError
from marketsim.indicators import donchian, rsi, sma

Flags = npt.NDArray[np.bool_]


def crossings(values: npt.ArrayLike, level: npt.ArrayLike = 0.0) -> tuple[Flags, Flags]:
    """Where values rise above a level and where they fall below it, against the bar before.

    Args:
        values: [bar].
        level: one number, or [bar].

    Returns:
        (risen, fallen), truth values [bar]; never in the first bar or beside a NaN.

    Example:
        >>> crossings([1.0, 3.0, 1.0], 2.0)[0].tolist()
        [False, True, False]
    """
    above = np.asarray(values, dtype=np.float64) - np.asarray(level, dtype=np.float64)
    before = np.concatenate(([np.nan], above[:-1]))
    return (above > 0.0) & (before <= 0.0), (above < 0.0) & (before >= 0.0)


def sma_cross(bars: Bars, fast: int = 10, slow: int = 20) -> tuple[Flags, Flags]:
    """Enter when the fast average of the close rises above the slow one, leave when it falls."""
    if not fast < slow:
        raise ArgumentError(f"fast must be below slow: got fast={fast}, slow={slow}")
    return crossings(sma(bars.close, fast) - sma(bars.close, slow))


def rsi_reversion(
    bars: Bars, window: int = 14, low: float = 30.0, high: float = 70.0
) -> tuple[Flags, Flags]:
    """Enter when the RSI rises above `low` again, leave when it falls below `high` again."""
    strength = rsi(bars.close, window)
    return crossings(strength, low)[0], crossings(strength, high)[1]


def donchian_breakout(bars: Bars, entry: int = 20, exit: int = 10) -> tuple[Flags, Flags]:
    """Enter at a close above the high of the `entry` bars before.

    Leave at a close below the low of the `exit` bars before.
    """
    upper = donchian(bars.high, bars.low, entry).upper
    lower = donchian(bars.high, bars.low, exit).lower
    before = slice(None, -1)
    entries, exits = np.zeros((2, len(bars)), dtype=np.bool_)
    entries[1:] = bars.close[1:] > upper[before]
    exits[1:] = bars.close[1:] < lower[before]
    return entries, exits


RULES: dict[str, Callable[..., tuple[Flags, Flags]]] = {
    rule.__name__: rule for rule in (sma_cross, rsi_reversion, donchian_breakout)
}


def rule_parameters(rule: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a rule and their defaults, without the bars."""
    import inspect

    found = list(inspect.signature(rule).parameters.values())[1:]
    return {p.name: p.default for p in found}
