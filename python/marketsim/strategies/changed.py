"""Views whose later bars are changed, to test whether earlier decisions read them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from marketsim.models import (
    Distribution,
    QuantileDistribution,
    SampleDistribution,
    StudentTMixture,
)
from marketsim.strategies.views import COLUMNS, DecisionView, Floats, PastBars

_MOVES = ("open", "high", "low", "close", "last_return", "returns")
_SHIFT = 0.5  # changes the sign of every usual move
_STEP = 0.25  # log move of the price from each changed bar to the next


def changed_after(view: DecisionView, cut: int, stop: int, *, up: bool) -> DecisionView:
    """Return the first `stop` bars of a view, those after bar `cut` moved far up or far down.

    What is known before the bars 0 .. cut stays the same: decisions for them must, too. Changed
    are the forecasts and returns of the later bars, and the prices and volumes from bar `cut` on.
    Dates stay, since strategies may look up values of their own by date.
    """
    return _ChangedView(view, cut, stop, 1.0 if up else -1.0)


class _ChangedView(DecisionView):
    """A view with changed later bars; each array is changed at first use."""

    def __init__(self, whole: DecisionView, cut: int, stop: int, sign: float) -> None:
        own: dict[str, Any] = {"_whole": whole, "_cut": cut, "_stop": stop, "_sign": sign}
        own["dates"] = whole.dates[:stop]
        own["long_only"], own["targets"] = whole.long_only, whole.targets
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Floats:
        if name not in _MOVES and name != "band":
            raise AttributeError(name)
        own = self.__dict__
        values: Floats = getattr(own["_whole"], name)[: own["_stop"]].copy()
        if name == "band":
            values[own["_cut"] + 1 :] *= 4.0 ** own["_sign"]
        else:
            values[own["_cut"] + 1 :] += own["_sign"] * _SHIFT
        own[name] = values
        return values

    @cached_property
    def bars(self) -> PastBars | None:
        """Past bars; those that no bar up to the cut may read are changed."""
        own = self.__dict__
        bars: PastBars | None = own["_whole"].bars
        if bars is None:
            return None
        stop, first = bars.first + own["_stop"] - 1, bars.first + own["_cut"]
        by = np.exp(own["_sign"] * _STEP * np.arange(1, max(stop - first, 0) + 1))
        changed: dict[str, Floats] = {}
        for name in COLUMNS:
            values = getattr(bars, name)[:stop].copy()
            values[first:] *= 4.0 ** own["_sign"] if name == "volume" else by
            values.flags.writeable = False
            changed[name] = values
        return PastBars(bars.first, bars.timestamps[:stop], **changed)

    @cached_property
    def distribution(self) -> Distribution:
        """Forecast distributions, [bar, target]; those after the cut are moved."""
        own = self.__dict__
        first: Distribution = own["_whole"].part(0, own["_stop"]).distribution
        return _moved(first, own["_cut"] + 1, own["_sign"] * _SHIFT)


def _moved(distribution: Distribution, first: int, shift: float) -> Distribution:
    """Move the distributions [bar, target] from row `first` on."""

    def plus(values: Floats, axis: int = 0) -> Floats:
        moved = np.array(values)
        moved[(slice(None),) * axis + (slice(first, None),)] += shift
        return moved

    if isinstance(distribution, QuantileDistribution):
        return QuantileDistribution(
            distribution.levels,
            plus(distribution.quantiles),
            mean=plus(distribution.mean),
            std=distribution.std,
        )
    if isinstance(distribution, SampleDistribution):
        return SampleDistribution(plus(distribution.samples, 1))
    if isinstance(distribution, StudentTMixture):
        return StudentTMixture(
            distribution.df, plus(distribution.loc), distribution.scale, distribution.weights
        )
    return distribution  # of another class: not changed
