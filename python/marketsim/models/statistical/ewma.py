"""Exponentially weighted volatility."""

from __future__ import annotations

from typing import Any

from marketsim import _core
from marketsim.arguments import as_number
from marketsim.errors import ArgumentError
from marketsim.models.statistical.base import Array, StatisticalModel, checked_window


class EwmaModel(StatisticalModel):
    """Zero-drift returns whose scale is exponentially weighted: RiskMetrics, filtered historical.

    The scale is the root mean square of past values with weights decay^k, normalised. The shape is
    that of the last `window` values divided by the scale that was forecast for them; the normal's
    until there are 20. All later steps have the distribution of the next one.

    References: RiskMetrics Technical Document, 4th edition (1996), section 5.2; Barone-Adesi,
    Giannopoulos and Vosper, VaR without correlations for portfolios of derivative securities,
    Journal of Futures Markets 19 (1999).
    """

    name = "ewma"
    version = 1
    _LEAST_RESIDUALS = 20

    def __init__(self, *, decay: float = 0.94, window: int = 500) -> None:
        value = as_number("decay", decay, "a number in (0, 1)")
        if not 0.0 < value < 1.0:
            raise ArgumentError(f"decay must lie in (0, 1): got {decay!r}")
        super().__init__()
        self._decay = value
        self._window = checked_window(window)

    @property
    def decay(self) -> float:
        """Factor of a value's weight from one value to the next."""
        return self._decay

    @property
    def window(self) -> int:
        """Number of last values that give the shape."""
        return self._window

    @property
    def context_length(self) -> None:
        """None: every past value has a weight."""
        return

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {"decay": self.decay, "window": self.window, "levels": self.levels}

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        return _core.ewma_forecasts(
            series,
            start,
            self.decay,
            self.window,
            self._LEAST_RESIDUALS,
            self._levels,
            self._normal,
        )

    def _spread(self, step: int) -> float:
        return 1.0
