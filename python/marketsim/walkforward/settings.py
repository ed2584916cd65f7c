"""How a run is done, and what its bars tell of their market."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number
from marketsim.bars.market import SESSIONS, AssetClass, Market
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
    """How a run was done; see `walk_forward`.

    Attributes:
        market: what the bars show of their market, or what the caller stated.
    """

    fill: str
    aggregate: str
    market: Market
    costs: Costs
    long_only: bool
    offset_bounds: Bounds
    volume_cap: VolumeCap | None

    @property
    def asset_class(self) -> AssetClass:
        """Of the market."""
        return self.market.asset_class

    @property
    def periods_per_year(self) -> float:
        """Bars a year, to annualise with."""
        return self.market.periods_per_year


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
    stated = _stated_market(market, asset_class, periods_per_year)
    kind = stated.asset_class
    return Settings(
        fill=fill,
        aggregate=aggregate,
        market=stated,
        costs=resolve_costs(fee, kind),
        long_only=kind == "crypto",
        offset_bounds=check_bounds(offset_bounds),
        volume_cap=volume_cap,
    )


def _stated_market(market: Market, asset: str | None, periods: float | None) -> Market:
    """The market with what the caller states in place of what was judged or assumed."""
    if asset is not None:
        kind = check_asset_class(asset)
        if market.assumed and kind != market.asset_class and market.bars_per_session is not None:
            # The sessions of a year were assumed with the class.
            sessions = SESSIONS[kind]
            yearly = sessions * market.bars_per_session
            why = f"{market.bars_per_session:g} bars a session, {sessions:g} sessions"
            market = replace(
                market, sessions_per_year=sessions, periods_per_year=yearly, periods_why=why
            )
        market = replace(market, asset_class=kind, assumed=False, why="stated")
    if periods is not None:
        yearly = as_number("periods_per_year", periods)
        if not 0.0 < yearly < 1e9:  # bars of a second have 31,557,600
            raise ArgumentError(f"periods_per_year must lie in (0, 1e9): got {periods!r}")
        market = replace(
            market, periods_per_year=yearly, periods_assumed=False, periods_why="stated"
        )
    return market
