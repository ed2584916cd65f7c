"""Outcome of a strategy's orders on each bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StrategyDays:
    """Outcome of one strategy on each bar [bar]; moves and returns are fractions.

    Attributes:
        position: size and direction; 0 for a long and a short at once.
        high_offset, low_offset: offsets fitted on the bars before; 0 where none are fitted.
        high_level, low_level: levels of the sell and the buy order, as moves against the previous
            close; NaN without an order.
        flags: bits of `marketsim.kernels.rules`.
        active: whether the strategy was in the market.
        entries: number of positions opened.
        exposure: sum of the absolute positions in the market: 2 for a long and a short.
        traded: value bought and sold, both counted, as a multiple of the equity.
        gross, fee, net: return before costs, all costs, and after them.
        carry: borrow and financing, a part of `fee`.
        net_optimistic, net_open_aware: net of the same orders under these fill policies, the bounds
            of the net where the bar leaves the order of fills open.
        in_sample: mean net a bar of the offsets on the bars they were fitted on; NaN without fit.
    """

    position: Floats
    high_offset: Floats
    low_offset: Floats
    high_level: Floats
    low_level: Floats
    flags: npt.NDArray[np.uint8]
    active: Flags
    entries: npt.NDArray[np.int64]
    exposure: Floats
    traded: Floats
    gross: Floats
    fee: Floats
    carry: Floats
    net: Floats
    net_optimistic: Floats
    net_open_aware: Floats
    in_sample: Floats

    def part(self, first: int, stop: int) -> StrategyDays:
        """Bars first .. stop - 1; views."""
        return StrategyDays(**{f.name: getattr(self, f.name)[first:stop] for f in _FIELDS})


_FIELDS = fields(StrategyDays)


def end_at_ruin(outcome: StrategyDays, starts: Sequence[int]) -> StrategyDays:
    """End accounts at ruin.

    A bar that loses the equity or more loses exactly the equity; later bars of the account are
    flat.

    Args:
        outcome: outcome of consecutive accounts.
        starts: first bar of each account, ascending.
    """
    nets = (outcome.net, outcome.net_optimistic, outcome.net_open_aware)
    if not any((net <= -1.0).any() for net in nets):
        return outcome
    changed: dict[str, Any] = {f.name: getattr(outcome, f.name).copy() for f in _FIELDS}
    stops = [*starts[1:], len(outcome.net)]
    for start, stop in zip(starts, stops, strict=True):
        for name in ("net", "net_optimistic", "net_open_aware"):
            net = changed[name]
            lost = np.flatnonzero(net[start:stop] <= -1.0)
            if not lost.size:
                continue
            bar = start + int(lost[0])
            net[bar], net[bar + 1 : stop] = -1.0, 0.0
            if name == "net":
                changed["gross"][bar] = changed["fee"][bar] - 1.0
                for flat in _FLAT:
                    changed[flat][bar + 1 : stop] = 0
                for level in ("high_level", "low_level"):
                    changed[level][bar + 1 : stop] = np.nan
    return replace(outcome, **changed)


_FLAT = (
    "position", "flags", "active", "entries", "exposure", "traded", "gross", "fee", "carry",
)  # fmt: skip


def ruin_bar(net: Floats) -> int | None:
    """Return the first bar that lost the whole equity, or None."""
    lost = np.flatnonzero(net <= -1.0)
    return int(lost[0]) if lost.size else None
