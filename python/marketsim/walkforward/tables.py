"""Figures of windows of days, for several strategies at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marketsim.kernels import rules
from marketsim.metrics import windowed_performance
from marketsim.walkforward.evaluate import StrategyDays

Floats = npt.NDArray[np.float64]


def measure_windows(
    outcomes: Sequence[StrategyDays],
    starts: npt.NDArray[np.int64],
    length: int,
    periods_per_year: float,
) -> dict[str, npt.NDArray[np.float64]]:
    """Figures of each window of `length` days that begins at a day of `starts`.

    Returns:
        Arrays [window, strategy] by name: the fields of `Performance`, then trades, fees,
        ambiguous, optimistic_gap, ambiguous_profit (net of the ambiguous days, added), in_sample.
    """
    from marketsim.kernels.loops import window_sums

    net = np.stack([outcome.net for outcome in outcomes])
    active = np.stack([outcome.active for outcome in outcomes])
    measured = windowed_performance(net, active, starts, length, periods_per_year)._asdict()
    ambiguous = np.stack([outcome.flags & rules.AMBIGUOUS > 0 for outcome in outcomes])
    gap = np.stack([outcome.net_optimistic - outcome.net_pessimistic for outcome in outcomes])
    in_sample = np.stack([outcome.in_sample for outcome in outcomes])
    fields = {
        "trades": np.stack([outcome.entries for outcome in outcomes]).astype(np.float64),
        "fees": np.stack([outcome.fee for outcome in outcomes]),
        "ambiguous": ambiguous.astype(np.float64),
        "optimistic_gap": gap,
        "ambiguous_profit": np.where(ambiguous, net, 0.0),
        "in_sample": in_sample / length,
    }
    sums = window_sums(np.stack(list(fields.values())), starts, length)
    measured |= {name: sums[:, :, i] for i, name in enumerate(fields)}
    unfitted = np.isnan(in_sample).all(axis=1)
    measured["in_sample"] = np.where(unfitted, np.nan, measured["in_sample"])
    return measured
