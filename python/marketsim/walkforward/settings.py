"""How a run is done, and what its bars tell of their market."""

from __future__ import annotations

from dataclasses import dataclass

from marketsim.arguments import as_number
from marketsim.bars import Bars, asset_class, periods_per_year
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import fill_code
from marketsim.kernels.types import Bounds, check_bounds
from marketsim.models import parse_aggregate
from marketsim.walkforward.costs import AssetClass, Costs, check_asset_class, resolve_costs


@dataclass(frozen=True)
class MarketFacts:
    """What the bars tell of their market; see `marketsim.bars.calendar`."""

    asset_class: str
    periods_per_year: float

    @classmethod
    def of(cls, bars: Bars) -> MarketFacts:
        """The facts of these bars."""
        return cls(asset_class(bars), periods_per_year(bars))


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


def resolve_settings(
    facts: MarketFacts,
    *,
    fill: str,
    fee: float | Costs | None,
    aggregate: str,
    asset_class: str | None,
    periods_per_year: float | None,
    offset_bounds: Bounds,
) -> Settings:
    """Check the arguments of a run; what is None follows from the facts.

    Raises:
        UnknownNameError: an unknown fill policy, aggregate or asset class.
        ArgumentError: a value out of range.
    """
    fill_code(fill)
    parse_aggregate(aggregate)
    kind = check_asset_class(facts.asset_class if asset_class is None else asset_class)
    if periods_per_year is None:
        yearly = facts.periods_per_year
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
    )
