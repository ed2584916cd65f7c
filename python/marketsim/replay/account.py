"""Cash, costs and rules of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from marketsim import _core
from marketsim.arguments import as_flag, as_number
from marketsim.errors import ArgumentError, UnknownNameError

Fill = Literal["next_open", "same_close"]
Policy = Literal["open_aware", "optimistic"]

_FILLS = ("next_open", "same_close")
_POLICIES = ("open_aware", "optimistic")


@dataclass(frozen=True, kw_only=True)
class Account:
    """Cash, costs and rules of a replay.

    Attributes:
        cash: at the start.
        fee_bps: fee of every fill, in basis points of the value traded; below 0 is a rebate.
        slippage_bps: half spread and slippage of market and stop fills, charged on top of the fee.
            It is a cost, so that every fill keeps a price that traded.
        fee_per_fill: cash a fill.
        borrow: yearly rate on the value of a short position.
        financing: yearly rate on borrowed cash (leverage beyond 1).
        leverage: largest value held over equity; an order beyond it is refused.
        maintenance: closes the position at a close where the equity has fallen below this share of
            the value held. Equity at or below 0 always ends the replay.
        lot: quantities are multiples of it; 0 for fractions.
        participation: largest share of a bar's volume that fills; the rest works on. 0: no cap.
        fill: "next_open": market orders fill at the next open; "same_close": at the close of the
            bar that the decision has seen.
        policy: what is assumed of prices inside a bar where open and close prove nothing:
            "open_aware" takes a stop before a target, "optimistic" a target before a stop.
        close_at_end: sells what is held at the last close, and pays for it.
        periods_per_year: to annualise with; None takes it from the bars' market.
    """

    cash: float = 10_000.0
    fee_bps: float = 0.0
    slippage_bps: float = 0.0
    fee_per_fill: float = 0.0
    borrow: float = 0.0
    financing: float = 0.0
    leverage: float = 1.0
    maintenance: float = 0.0
    lot: float = 0.0
    participation: float = 0.0
    fill: Fill = "next_open"
    policy: Policy = "open_aware"
    close_at_end: bool = False
    periods_per_year: float | None = None

    def __post_init__(self) -> None:
        for name, low in (
            ("cash", np.nextafter(0.0, 1.0)), ("fee_bps", -np.inf), ("slippage_bps", -np.inf),
            ("fee_per_fill", -np.inf), ("borrow", -np.inf), ("financing", -np.inf),
            ("leverage", np.nextafter(0.0, 1.0)), ("maintenance", 0.0), ("lot", 0.0),
            ("participation", 0.0),
        ):  # fmt: skip
            value = as_number(name, getattr(self, name))
            if not (np.isfinite(value) and value >= low):
                least = "a finite number" if low == -np.inf else f"finite and at least {low:.3g}"
                raise ArgumentError(f"{name} must be {least}: got {value}")
        if str(self.fill) not in _FILLS:
            raise UnknownNameError("fill", str(self.fill), _FILLS)
        if str(self.policy) not in _POLICIES:
            raise UnknownNameError("policy", str(self.policy), _POLICIES)
        as_flag("close_at_end", self.close_at_end)

    def __getstate__(self) -> dict[str, object]:
        # What is cached beside the fields is made anew in another process.
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def compiled(self) -> _core.ReplaySettings:
        """The same as the engine takes it."""
        return _core.ReplaySettings(
            self.cash,
            self.fee_bps * 1e-4,
            (self.fee_bps + self.slippage_bps) * 1e-4,
            self.fee_per_fill,
            self.borrow,
            self.financing,
            self.leverage,
            self.maintenance,
            self.lot,
            self.participation,
            0 if self.policy == "open_aware" else 1,
            self.fill == "same_close",
            self.close_at_end,
        )


def simple_account(cash: float, fee_bps: float, slippage_bps: float, fill: Fill) -> Account:
    """An account of these rules alone; the same object for the same numbers."""
    try:
        return _simple_account(cash, fee_bps, slippage_bps, fill)
    except TypeError:  # not hashable: the account says what it expects
        return Account(cash=cash, fee_bps=fee_bps, slippage_bps=slippage_bps, fill=fill)


@lru_cache(maxsize=256, typed=True)
def _simple_account(cash: float, fee_bps: float, slippage_bps: float, fill: Fill) -> Account:
    return Account(cash=cash, fee_bps=fee_bps, slippage_bps=slippage_bps, fill=fill)
