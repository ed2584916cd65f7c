"""Settings of a run: fill policy, costs, market, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number
from marketsim.bars.market import SESSIONS, AssetClass, Market
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import current_name, fill_code
from marketsim.kernels.types import Bounds, check_bounds
from marketsim.models import parse_aggregate
from marketsim.walkforward.costs import Costs, check_asset_class, resolve_costs

Execution: TypeAlias = Literal["close", "next_open"]


@dataclass(frozen=True)
class VolumeCap:
    """Limit on the share of a bar's volume that a strategy can trade.

    Attributes:
        capital: starting capital in the currency of the prices; the limit is measured against it
            on every bar.
        share: largest share of the bar's volume, in (0, 1].

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
    """Return the largest tradable value of each bar as a multiple of the equity; None for no limit.

    Where the bars have volumes, a bar with volume 0 fills nothing.

    Args:
        value: volume times price of each bar; None where the bars have no volumes.
        cap: limit on the traded share; None limits only the bars with volume 0.

    Raises:
        ArgumentError: a cap for bars without volumes.
    """
    check_volumes(cap, value is not None)
    if value is None:
        return None
    if cap is not None:
        return value * (cap.share / cap.capital)
    return None if (value > 0.0).all() else np.where(value > 0.0, np.inf, 0.0)


def check_volumes(cap: VolumeCap | None, has_volumes: bool) -> None:
    """Raise ArgumentError for a cap on bars without volumes."""
    if cap is not None and not has_volumes:
        raise ArgumentError(
            "volume_cap needs volumes: got bars whose volume is 0 throughout; give bars with "
            "volumes, or leave volume_cap out"
        )


@dataclass(frozen=True)
class Settings:
    """Settings of a run; see `walk_forward` for each.

    Attributes:
        market: market inferred from the bars or stated by the caller.
    """

    fill: str
    aggregate: str
    market: Market
    costs: Costs
    long_only: bool
    offset_bounds: Bounds
    volume_cap: VolumeCap | None
    risk_free: float = 0.0  # a year, as a fraction
    execution: Literal["close", "next_open"] | None = (
        None  # of held positions; None: as each strategy says
    )

    @property
    def asset_class(self) -> AssetClass:
        """Asset class of the market."""
        return self.market.asset_class

    @property
    def periods_per_year(self) -> float:
        """Bars per year, for annualisation."""
        return self.market.periods_per_year

    def stated(self) -> list[str]:
        """Describe the settings that differ from the defaults, for a table heading."""
        texts = []
        if self.volume_cap is not None:
            cap = self.volume_cap
            texts.append(f"at most {cap.share:.4g} of a bar's volume with {cap.capital:,.10g}")
        if self.execution is not None:
            at = "the next open" if self.execution == "next_open" else "the close"
            texts.append(f"held positions trade at {at}")
        if self.risk_free:
            texts.append(f"risk-free {self.risk_free:.4g} a year")
        return texts


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
    risk_free: float = 0.0,
    execution: str | None = None,
) -> Settings:
    """Check the settings of a run; derive those that are None from the market.

    Raises:
        UnknownNameError: an unknown fill policy, aggregate or asset class.
        ArgumentError: a value out of range.
    """
    if volume_cap is not None and not isinstance(volume_cap, VolumeCap):
        raise ArgumentError(f"volume_cap must be a VolumeCap or None: got {volume_cap!r}")
    if execution not in (None, *get_args(Execution)):
        raise ArgumentError(f"execution must be 'close', 'next_open' or None: got {execution!r}")
    fill = current_name(fill)
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
        risk_free=_checked_rate(risk_free),
        execution=cast("Execution | None", execution),
    )


def _checked_rate(risk_free: float) -> float:
    rate = as_number("risk_free", risk_free, "a rate a year as a fraction")
    if not -1.0 < rate < 1.0:
        raise ArgumentError(
            f"risk_free must be a rate a year as a fraction, 0.04 for 4 %, in (-1, 1): got {rate!r}"
        )
    return rate


def _stated_market(market: Market, asset: str | None, periods: float | None) -> Market:
    """Replace inferred or assumed facts of the market by those that the caller states."""
    if asset is not None:
        kind = check_asset_class(asset)
        if market.assumed and kind != market.asset_class and market.bars_per_session is not None:
            # Sessions per year were assumed from the asset class.
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
