"""Strategies that hold a position from close to close by the forecast of the close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.strategies.orders import Hold
from marketsim.strategies.views import DecisionView, Floats

_LEAST_BAND = 1e-8


@dataclass(frozen=True)
class Simple:
    """Hold long or short by the sign of the forecast close; no position where it is 0."""

    name: str = "simple"
    targets: tuple[str, ...] = ("close",)
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> Hold:
        """Return the position of each bar."""
        return Hold(view.allowed(np.sign(view.close)))


@dataclass(frozen=True)
class AllSignals:
    """Hold long if the forecasts of close, high and low are all above 0, short if all are below."""

    name: str = "all_signals"
    targets: tuple[str, ...] = ("high", "low", "close")
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> Hold:
        """Return the position of each bar.

        Signs are those of each column's own one-bar return: the high against the previous high, not
        against the previous close.
        """
        returns = view.returns[:, 1:]
        up, down = (returns > 0.0).all(axis=1), (returns < 0.0).all(axis=1)
        return Hold(view.allowed(np.where(up, 1.0, np.where(down, -1.0, 0.0))))


@dataclass(frozen=True)
class BuyAndHold:
    """Hold long in every bar, whatever the forecast."""

    name: str = "buy_and_hold"
    targets: tuple[str, ...] = ()
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> Hold:
        """Return the position of each bar."""
        return Hold(np.ones(len(view)))


def shutdown_positions(forecast: Floats, last_return: Floats, long_only: bool) -> Floats:
    """Compute positions that pause after a loss.

    The first bar is long. After a bar with a profit the position follows the sign of the forecast;
    after one without it is 0; from 0 it follows the sign again. A forecast of exactly 0 gives no
    position, in the first bar too.

    Args:
        forecast: [bar], forecast return of the bar.
        last_return: [bar], return of the previous bar, the latest known when the bar is decided.
        long_only: whether negative signs give 0.
    """
    result = []
    held = 1.0
    days = zip(forecast.tolist(), last_return.tolist(), strict=True)
    for day, (ahead, last) in enumerate(days):
        wrong = day > 0 and held != 0.0 and held * last <= 0.0
        if wrong or ahead == 0.0:
            held = 0.0
        elif day > 0:
            held = 1.0 if ahead > 0.0 else 0.0 if long_only else -1.0
        result.append(held)
    return np.array(result, dtype=np.float64)


@dataclass(frozen=True)
class UnprofitShutdown:
    """Hold long in the first bar, then by the forecast's sign, with a pause after each loss."""

    name: str = "unprofit_shutdown"
    targets: tuple[str, ...] = ("close",)
    fitted: bool = False

    def decide(self, view: DecisionView) -> Hold:
        """Return the position of each bar."""
        return Hold(shutdown_positions(view.close, view.last_return, view.long_only))


@dataclass(frozen=True)
class ConfidenceGuard:
    """Hold long if the forecast exceeds its 40 % to 60 % quantile band, short if below minus it.

    Attributes:
        multiplier: band widths that the forecast must exceed, above 0.
    """

    multiplier: float = 1.0
    name: str = "confidence_guard"
    targets: tuple[str, ...] = ("close",)
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.multiplier > 0.0:
            raise ArgumentError(f"multiplier must be above 0: got {self.multiplier!r}")

    def decide(self, view: DecisionView) -> Hold:
        """Return the position of each bar."""
        edge = np.maximum(view.band, _LEAST_BAND) * self.multiplier
        position = np.where(view.close > edge, 1.0, np.where(view.close < -edge, -1.0, 0.0))
        return Hold(view.allowed(position))
