"""How a run is done, and what its bars tell of their market."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number
from marketsim.bars.market import AssetClass, Market
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import fill_code
from marketsim.kernels.types import Bounds, check_bounds
from marketsim.models import parse_aggregate
from marketsim.walkforward.costs import Costs, check_asset_class, resolve_costs


@dataclass(frozen=True)
class VolumeCap:
    """How much of a bar's volume a strategy can trade.

    Attributes:
        capital: what the strategy starts with, in the currency of the prices; what it can trade is
            measured against it throughout.
        share: of the bar's volume, in (0, 1].

    Example:
        >>> VolumeCap(capital=1_000_000, share=0.05)
        VolumeCap(capital=1000000.0, share=0.05)
    """

    capital: float
    share: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("capital", math.inf), ("share", 1.0)):
            value = as_number(name, getattr(self, name))
            if not 0.0 < value <= most or value == math.inf:
                raise ArgumentError(f"{name} must be above 0 and at most {most}: got {value!r}")
            object.__setattr__(self, name, value)


def most_value(
    value: npt.NDArray[np.float64] | None, cap: VolumeCap | None
) -> npt.NDArray[np.float64] | None:
    """The most that can be traded on each bar as a multiple of the equity; None for any.

    A bar without volume, where the bars have volumes, fills nothing.

    Args:
        value: volume times price of each bar; None where the bars have no volumes.
        cap: None for no limit but that.

    Raises:
        ArgumentError: a cap for bars without volumes.
    """
    if value is None:
        if cap is not None:
            raise ArgumentError("volume_cap needs volumes, and these bars have none")
        return None
    if cap is not None:
        return value * (cap.share / cap.capital)
    return None if (value > 0.0).all() else np.where(value > 0.0, np.inf, 0.0)


@dataclass(frozen=True)
class Settings:
    """How a run was done; see `walk_forward`."""

    fill: str
    aggregate: str
    asset_class: AssetClass
    costs: Costs
    long_only: bool
    periods_per_year: float
    offset_bounds: Bounds
    volume_cap: VolumeCap | None


def resolve_settings(
    market: Market,
    *,
    fill: str,
    fee: float | Costs | None,
    aggregate: str,
    asset_class: str | None,
    periods_per_year: float | None,
    offset_bounds: Bounds,
    volume_cap: VolumeCap | None,
) -> Settings:
    """Check the arguments of a run; what is None follows from the market.

    Raises:
        UnknownNameError: an unknown fill policy, aggregate or asset class.
        ArgumentError: a value out of range.
    """
    if volume_cap is not None and not isinstance(volume_cap, VolumeCap):
        raise ArgumentError(f"volume_cap must be a VolumeCap or None: got {volume_cap!r}")
    fill_code(fill)
    parse_aggregate(aggregate)
    kind = check_asset_class(market.asset_class if asset_class is None else asset_class)
    if periods_per_year is None:
        yearly = market.periods_per_year
    else:
        yearly = as_number("periods_per_year", periods_per_year)
    if not 0.0 < yearly < 1e7:
        raise ArgumentError(
            f"periods_per_year must lie in (0, 10,000,000): got {periods_per_year!r}"
        )
    return Settings(
        fill=fill,
        aggregate=aggregate,
        asset_class=kind,
        costs=resolve_costs(fee, kind),
        long_only=kind == "crypto",
        periods_per_year=yearly,
        offset_bounds=check_bounds(offset_bounds),
        volume_cap=volume_cap,
    )
