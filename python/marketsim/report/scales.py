"""Linear and logarithmic scales with round tick values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# On a linear scale, a curve with this growth would flatten its earlier part.
_LOG_FROM = 25.0


@dataclass(frozen=True)
class Scale:
    """Scale from values to heights of a plot.

    Attributes:
        low, high: values at the bottom and at the top.
        log: whether the scale is logarithmic.
        ticks: tick values and their labels.
    """

    low: float
    high: float
    log: bool
    ticks: Sequence[tuple[float, str]]

    def heights(self, values: npt.ArrayLike) -> Floats:
        """Convert values to shares of the height above the bottom; NaN for NaN.

        Example:
            >>> Scale(0.0, 4.0, False, ()).heights([1.0, 4.0]).tolist()
            [0.25, 1.0]

        """
        array = np.asarray(values, dtype=np.float64)
        if self.log:
            base = math.log(self.low)
            return (np.log(array) - base) / (math.log(self.high) - base)
        return (array - self.low) / (self.high - self.low)


def linear_scale(
    values: Floats,
    label: Callable[[float, float], str],
    *,
    count: int = 8,
    low: float | None = None,
    high: float | None = None,
) -> Scale:
    """Build a linear scale over the finite values with a small margin.

    Args:
        values: any shape.
        label: function of a tick's value and the tick distance that returns its text.
        count: desired number of ticks.
        low, high: fixed bottom or top, without margin.

    Example:
        >>> scale = linear_scale(np.array([0.0, 9.0]), lambda value, step: f"{value:g}", count=4)
        >>> [text for _, text in scale.ticks]
        ['0', '2.5', '5', '7.5']

    """
    least, greatest = _range(values)
    least, greatest = (least if low is None else low), (greatest if high is None else high)
    least, greatest = _opened(least, greatest)
    room = (greatest - least) * 0.05
    bottom = least if low is not None else least - room
    top = greatest if high is not None else greatest + room
    step = nice_step((top - bottom) / count)
    multiples = range(math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9) + 1)
    return Scale(bottom, top, False, [(k * step, label(k * step, step)) for k in multiples])


def growth_scale(
    values: Floats, label: Callable[[float, float], str], log_label: Callable[[float], str]
) -> Scale:
    """Build a scale for equity: logarithmic for large growth, unless a curve touches zero.

    Args:
        values: equity, any shape.
        label: function that labels ticks of the linear scale, see `linear_scale`.
        log_label: function that labels ticks of the logarithmic scale.
    """
    finite = values[np.isfinite(values)]
    if not is_logarithmic(values):
        return linear_scale(values, label)
    room = (float(finite.max()) / float(finite.min())) ** 0.04
    low, high = float(finite.min()) / room, float(finite.max()) * room
    return Scale(low, high, True, [(tick, log_label(tick)) for tick in _log_ticks(low, high)])


def is_logarithmic(equity: Floats) -> bool:
    """Whether equity grows so much that a linear scale would flatten its earlier part.

    Example:
        >>> is_logarithmic(np.array([1.0, 30.0])), is_logarithmic(np.array([0.0, 30.0]))
        (True, False)

    """
    finite = equity[np.isfinite(equity)]
    # Without a division: the minimum may be tiny.
    return bool(finite.size and finite.min() > 0.0 and finite.max() >= _LOG_FROM * finite.min())


def nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `least`.

    Example:
        >>> nice_step(0.3), nice_step(21.0)
        (0.5, 25.0)

    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if m * power >= least)


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten, or only powers of ten, or every n-th of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / 7))
    steps = (1.0, 2.0, 5.0) if last - first <= 3 else (1.0,)
    exponents = [e for e in range(first, last + 1) if e % stride == 0]
    return [m * 10.0**e for e in exponents for m in steps if low <= m * 10.0**e <= high]


def _range(values: Floats) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _opened(least: float, greatest: float) -> tuple[float, float]:
    """Return the range, widened if it is too narrow to divide."""
    size = max(abs(least), abs(greatest))
    if greatest - least > size * 1e-9:
        return least, greatest
    around = size * 0.01 or 0.01
    return least - around, greatest + around
