"""What trading costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels.rules import check_fee

AssetClass: TypeAlias = Literal["equity", "crypto", "forex"]


@dataclass(frozen=True)
class Costs:
    """Costs in basis points (1/10,000) of the value traded.

    Attributes:
        fee_bps: commission.
        half_spread_bps: half of the distance between bid and ask.
    """

    fee_bps: float
    half_spread_bps: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fee_bps", "half_spread_bps"):
            value = as_number(name, getattr(self, name), "a number of basis points")
            if not 0.0 <= value < 2500.0:
                raise ArgumentError(f"{name} must lie in [0, 2500) basis points: got {value!r}")

    @property
    def rate(self) -> float:
        """Fee and half spread together, as a fraction.

        A strategy that holds pays it on every change of its position, one that trades at limits on
        every entry.
        """
        return (self.fee_bps + self.half_spread_bps) / 10_000.0


COSTS: dict[AssetClass, Costs] = {
    "equity": Costs(fee_bps=5.0, half_spread_bps=1.0),
    "crypto": Costs(fee_bps=15.0, half_spread_bps=2.0),
    "forex": Costs(fee_bps=0.5, half_spread_bps=0.5),
}


def check_asset_class(name: object) -> AssetClass:
    """`name` if it is an asset class; raises UnknownNameError with the list otherwise."""
    if not isinstance(name, str) or name not in COSTS:
        raise UnknownNameError("asset class", name, COSTS)
    return name


def resolve_costs(fee: float | Costs | None, asset_class: AssetClass) -> Costs:
    """The costs of a run: those given, a fee as a fraction without a spread, or the class's own."""
    if fee is None:
        return COSTS[asset_class]
    if isinstance(fee, Costs):
        return fee
    return Costs(fee_bps=check_fee(fee) * 10_000.0)
