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


def hysteresis(
    values: npt.ArrayLike, upper: npt.ArrayLike, lower: npt.ArrayLike
) -> tuple[Flags, Flags]:
    """Enter above `upper`, leave below `lower`: between them nothing changes.

    Unlike `crossings` it flags every bar beyond a level, so that an entry that was not taken (for a
    cooldown, or no size) is taken later while it holds.

    Args:
        values: [bar].
        upper, lower: one number, or [bar]; lower is not above upper.

    Returns:
        (entries, exits), truth values [bar]; never beside a NaN.

    Raises:
        ArgumentError: a lower level above the upper one.

    Example:
        >>> entries, exits = hysteresis([0.0, 1.2, 0.9, 0.4], 1.0, 0.5)
        >>> entries.tolist(), exits.tolist()
        ([False, True, False, False], [True, False, False, True])
    """
    found = np.asarray(values, dtype=np.float64)
    top, bottom = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    if (bottom > top).any():
        raise ArgumentError("lower must not lie above upper: between them nothing changes")
    return found > top, found < bottom


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


def rule_lines(name: str, bars: Bars, **params: Any) -> dict[str, npt.NDArray[np.float64]]:
    """The indicators of a built-in rule that lie on the prices [bar], for a report; {} for none.

    Args:
        name: of the rule.
        bars: its bars.
        params: its parameters, defaults where they are left out.

    Example:
        >>> import marketsim as ms
        >>> list(rule_lines("sma_cross", ms.demo_bars(), fast=5))
        ['sma 5', 'sma 20']
    """
    if name not in RULES:
        return {}
    given = rule_parameters(RULES[name]) | params
    if name == "sma_cross":
        return {f"sma {n}": sma(bars.close, n) for n in (given["fast"], given["slow"])}
    if name == "donchian_breakout":
        upper = donchian(bars.high, bars.low, given["entry"]).upper
        lower = donchian(bars.high, bars.low, given["exit"]).lower
        return {f"high of {given['entry']}": upper, f"low of {given['exit']}": lower}
    return {}


def rule_parameters(rule: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a rule and their defaults, without the bars."""
    import inspect

    found = list(inspect.signature(rule).parameters.values())[1:]
    return {p.name: p.default for p in found}
