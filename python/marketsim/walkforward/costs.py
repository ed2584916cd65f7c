"""Trading costs: one rule for every fill of every kind of order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels.rules import FillCosts, check_fee

if TYPE_CHECKING:
    from marketsim.bars.market import AssetClass

_BPS = 1e-4
_LIMIT_BPS = 10_000.0  # the whole value traded


@dataclass(frozen=True)
class Costs:
    """Costs in basis points (1/10,000) of the value traded; a negative fee is a rebate.

    A fill at a limit pays `entry` or `limit_exit`: the maker fee. A fill at the market or at the
    close pays `close_exit`: the taker fee and half of the spread. Without a maker fee, a fill at a
    limit pays as one at the market.

    Attributes:
        fee_bps: fee of a market order, the taker fee.
        half_spread_bps: half of the bid-ask spread.
        maker_bps: fee of a limit order; None: `fee_bps` + `half_spread_bps`.
        borrow_bps: cost of a short position, in basis points a year (365 calendar days).
        financing_bps: cost of a long position beyond the capital, likewise.

    Raises:
        ArgumentError: a rate that is not finite or reaches 10,000 basis points.

    Example:
        >>> costs = Costs(fee_bps=5, half_spread_bps=1, maker_bps=-1)
        >>> costs.entry, round(costs.close_exit, 6)
        (-0.0001, 0.0006)
    """

    fee_bps: float = 0.0
    half_spread_bps: float = 0.0
    maker_bps: float | None = None
    borrow_bps: float = 0.0
    financing_bps: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fee_bps", "half_spread_bps", "maker_bps", "borrow_bps", "financing_bps"):
            if name == "maker_bps" and self.maker_bps is None:
                continue
            value = as_number(name, getattr(self, name), "a number of basis points")
            if not math.isfinite(value) or abs(value) >= _LIMIT_BPS:
                raise ArgumentError(
                    f"{name} must lie in (-10,000, 10,000) basis points: got {value!r}"
                )
            object.__setattr__(self, name, value)
        for name in ("half_spread_bps", "borrow_bps", "financing_bps"):
            if getattr(self, name) < 0.0:
                raise ArgumentError(f"{name} must not be negative: got {getattr(self, name)!r}")

    @property
    def entry(self) -> float:
        """Rate of an entry at a limit, as a fraction."""
        maker = self.fee_bps + self.half_spread_bps if self.maker_bps is None else self.maker_bps
        return maker * _BPS

    @property
    def limit_exit(self) -> float:
        """Rate of an exit at a limit, as a fraction: that of an entry."""
        return self.entry

    @property
    def close_exit(self) -> float:
        """Rate of a fill at the market: at the close, at the open by `Hold`, or at a stop."""
        return (self.fee_bps + self.half_spread_bps) * _BPS

    @property
    def rates(self) -> FillCosts:
        """(entry, limit_exit, close_exit), as `marketsim.profit` takes them."""
        return self.entry, self.limit_exit, self.close_exit

    def carry(self, position: float) -> float:
        """Yearly cost of holding a position, as a fraction: borrow of a short, financing beyond 1.

        Example:
            >>> costs = Costs(borrow_bps=100, financing_bps=500)
            >>> costs.carry(-1), costs.carry(3)
            (0.01, 0.1)
        """
        rate = self.borrow_bps if position < 0.0 else self.financing_bps
        return max(-position, position - 1.0, 0.0) * rate * _BPS

    def text(self) -> str:
        """Describe the costs in one line, for a table heading."""
        parts = [f"limit {self.entry / _BPS:g} bp", f"market {self.close_exit / _BPS:g} bp"]
        if self.borrow_bps:
            parts.append(f"borrow {self.borrow_bps:g} bp a year")
        if self.financing_bps:
            parts.append(f"financing {self.financing_bps:g} bp a year")
        return ", ".join(parts)


COSTS: dict[AssetClass, Costs] = {
    "equity": Costs(5.0, 1.0, maker_bps=5.0, borrow_bps=50.0, financing_bps=600.0),
    "crypto": Costs(15.0, 2.0, maker_bps=15.0, borrow_bps=1000.0, financing_bps=1000.0),
    "forex": Costs(0.5, 0.5, maker_bps=0.5),
}
"""Costs of a run that states none, by asset class.

Equity: 5 bp commission, 1 bp half spread (large caps), 0.5 % a year to borrow, 6 % for margin.
Crypto: 15 bp fee at an exchange's first tiers, 2 bp half spread, 10 % a year for borrowed coins or
cash. Forex: 0.5 bp commission, 0.5 bp half spread; swaps depend on the pair and are not charged.
"""


def check_asset_class(name: object) -> AssetClass:
    """Return `name` if it is an asset class; raise UnknownNameError with the list otherwise."""
    if not isinstance(name, str) or name not in COSTS:
        raise UnknownNameError("asset class", name, COSTS)
    return name


def resolve_costs(fee: float | Costs | None, asset_class: AssetClass) -> Costs:
    """Return the costs of a run: `Costs`, one rate for every fill, or the asset class's default.

    Raises:
        ArgumentError: a rate that is not finite or not in (-1, 1).
    """
    if fee is None:
        return COSTS[asset_class]
    if isinstance(fee, Costs):
        return fee
    rate = check_fee(fee)
    if not -1.0 < rate < 1.0:
        raise ArgumentError(
            f"fee must be a fraction of the value traded in (-1, 1): got {fee!r}; 5 basis points "
            "are 0.0005"
        )
    return Costs(fee_bps=rate / _BPS)
