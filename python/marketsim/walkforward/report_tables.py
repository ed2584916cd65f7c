"""Tables and histograms of a report: months, drawdowns, costs, fills, simulations, calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.kernels import rules
from marketsim.metrics import period_returns, pit_histogram
from marketsim.report.data import Histogram, HistogramGroup, Table
from marketsim.report.formats import percent
from marketsim.report.timeaxis import date_text
from marketsim.walkforward.outcome import StrategyDays

Floats = npt.NDArray[np.float64]

COST_LEVELS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)  # basis points of the value traded
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DECILES = tuple(i / 10 for i in range(1, 10))
_COVERAGE = (0.5, 0.8, 0.9)
_DRAWDOWNS = 5
_INTERVALS = 24
_NONE = "\N{EN DASH}"


def monthly_table(name: str, returns: pd.Series[float]) -> Table:
    """Return the returns of months (columns) and years, by year.

    Args:
        name: name of the strategy.
        returns: net returns by day, as in `WalkForwardResult.returns`.
    """
    net, index = returns.to_numpy(np.float64), returns.index
    months = period_returns(net, index)
    years = period_returns(net, index, "year")
    at = months.periods.astype("datetime64[M]").astype(np.int64)
    found = dict(zip(at.tolist(), np.atleast_2d(months.returns)[0].tolist(), strict=True))
    rows = []
    for start, total in zip(years.periods, np.atleast_2d(years.returns)[0].tolist(), strict=True):
        year = int(start.astype("datetime64[Y]").astype(np.int64)) + 1970
        cells = [found.get((year - 1970) * 12 + month) for month in range(12)]
        texts = [_NONE if value is None else percent(value, 1, signed=True) for value in cells]
        rows.append([str(year), *texts, percent(total, 1, signed=True)])
    return Table(
        f"Monthly and yearly returns of {name}", ["year", *_MONTHS, "whole year"], rows,
        note="Compounded, after costs. The first and the last month may be incomplete.",
        shaded=True,
    )  # fmt: skip


def drawdown_table(name: str, net: Floats, dates: npt.NDArray[np.datetime64]) -> Table:
    """Return the deepest drawdowns: peak, trough and recovery.

    Args:
        name: name of the strategy.
        net: [bar], net returns.
        dates: [bar].
    """
    rows = []
    for depth, peak, trough, end in deepest_drawdowns(net):
        over = end is None
        last = len(net) - 1 if end is None else end
        rows.append(
            [
                percent(depth),
                "the start" if peak < 0 else date_text(dates[peak]),
                date_text(dates[trough]),
                "not yet" if over else date_text(dates[last]),
                f"{trough - peak:,}",
                f"{last - peak:,}",
            ]
        )
    heads = ["depth", "from", "lowest", "recovered", "bars down", "bars in all"]
    return Table(f"Deepest drawdowns of {name}", heads, rows, note="" if rows else "None.")


def deepest_drawdowns(
    net: Floats, most: int = _DRAWDOWNS
) -> list[tuple[float, int, int, int | None]]:
    """Return (depth, bar of the peak, of the trough, of the recovery) of the deepest drawdowns.

    Depths are negative; -1 stands for the start, before the first bar; no recovery is None.

    Example:
        >>> deepest_drawdowns(np.array([0.1, -0.5, 1.0, -0.1]))
        [(-0.5, 0, 1, 2), (-0.1, 2, 3, None)]
    """
    equity = np.concatenate(([1.0], np.cumprod(1.0 + net)))
    peak = np.maximum.accumulate(equity)
    below = equity < peak
    edges = np.flatnonzero(np.diff(np.concatenate(([0], below.astype(np.int8), [0]))))
    found = []
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = first + int(np.argmin(equity[first:stop]))
        depth = float(equity[trough] / peak[trough] - 1.0)
        # Position k of the equity is after bar k - 1.
        end = None if stop == len(equity) else stop - 1
        found.append((round(depth, 12), first - 2, trough - 1, end))
    return sorted(found)[:most]


def cost_table(outcomes: Mapping[str, StrategyDays], baselines: frozenset[str]) -> Table:
    """Return total returns at several costs of every fill, and the cost that leaves nothing."""
    rows = []
    for name, outcome in outcomes.items():
        traded = float(outcome.traded.sum())
        before = outcome.gross - outcome.carry
        paid = float((outcome.fee - outcome.carry).sum())
        rows.append(
            [
                name,
                f"{paid / traded * 1e4:.1f}" if traded > 0.0 else _NONE,
                *(
                    percent(_total(before - bps * 1e-4 * outcome.traded), 1, signed=True)
                    for bps in COST_LEVELS
                ),
                _break_even_text(break_even_bps(before, outcome.traded)),
            ]
        )
    heads = ["strategy", "paid, bp", *(f"at {bps:g} bp" for bps in COST_LEVELS), "break-even, bp"]
    return Table(
        "Cost sensitivity", heads, rows,
        note="Total return of the same orders if every fill cost so many basis points of the value "
        "traded; borrow and financing stay. Break-even: the cost at which the return is zero. "
        "Paid: the mean of the run.",
        emphasis=baselines,
    )  # fmt: skip


def break_even_bps(before: Floats, traded: Floats) -> float:
    """Return the cost of the value traded, in basis points, at which the compounded return is 0.

    Args:
        before: [bar], returns before trading costs.
        traded: [bar], value bought and sold as a multiple of the equity.

    Returns:
        0 if nothing is left even without costs; infinity if nothing is traded.

    Example:
        >>> round(break_even_bps(np.array([0.01]), np.array([2.0])), 6)
        50.0
    """
    if _total(before) <= 0.0:
        return 0.0
    if not traded.sum() > 0.0:
        return float("inf")
    low, high = 0.0, 1.0
    while _total(before - high * 1e-4 * traded) > 0.0:
        low, high = high, high * 2.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (
            (middle, high) if _total(before - middle * 1e-4 * traded) > 0.0 else (low, middle)
        )
    return low


def _total(net: Floats) -> float:
    """Return the compounded return; a bar that loses everything ends it at -1."""
    if (net <= -1.0).any():
        return -1.0
    return float(np.expm1(np.log1p(net).sum()))


def _break_even_text(bps: float) -> str:
    if bps == 0.0:
        return "none"
    return "\N{INFINITY}" if np.isinf(bps) else f"{bps:,.1f}"


def fill_table(outcomes: Mapping[str, StrategyDays]) -> Table:
    """Return what the order of fills inside a bar leaves open, by strategy."""
    rows = []
    for name, outcome in outcomes.items():
        unknown = outcome.flags & rules.AMBIGUOUS > 0
        absolute = np.abs(outcome.net)
        total = float(absolute.sum())
        aware, optimistic = _total(outcome.net_open_aware), _total(outcome.net_optimistic)
        rows.append(
            [
                name,
                f"{int(unknown.sum()):,}",
                percent(float(unknown.mean())),
                percent(float(absolute[unknown].sum()) / total) if total > 0.0 else _NONE,
                percent(aware, 1, signed=True),
                percent(optimistic, 1, signed=True),
                percent(float((outcome.net_optimistic - outcome.net_open_aware).sum()), 2),
            ]
        )
    heads = ["strategy", "ambiguous bars", "of all bars", "of the profit", "open-aware",
             "optimistic", "gap"]  # fmt: skip
    return Table(
        "What the order of fills leaves open", heads, rows,
        note="Ambiguous bars touch both limits in an order that open and close do not prove. "
        "Open-aware, optimistic: total return of the same orders under each policy, the lower and "
        "the upper bound. Gap: the sum of their differences a bar.",
    )  # fmt: skip


def simulation_table(simulations: pd.DataFrame) -> Table:
    """Return the distribution of the simulations' total returns, by strategy."""
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rows = []
    for name, part in simulations.groupby("strategy", sort=False, observed=True):
        values = part["total_return"].to_numpy(np.float64)
        quantiles = np.quantile(values, shares)
        texts = [percent(float(value), 2, signed=True) for value in quantiles]
        rows.append([str(name), f"{len(values):,}", *texts, percent(float((values > 0).mean()), 0)])
    heads = ["strategy", "simulations", "least", "5%", "25%", "median", "75%", "95%", "greatest",
             "above 0"]  # fmt: skip
    return Table(
        "Quantiles of the simulations", heads, rows,
        note="Total return of each validation window, after costs. Windows overlap where "
        "simulations are closer than their length.",
    )  # fmt: skip


def simulation_histograms(simulations: pd.DataFrame) -> HistogramGroup:
    """Return histograms of the simulations' total returns on one common axis."""
    values = {
        str(name): part["total_return"].to_numpy(np.float64)
        for name, part in simulations.groupby("strategy", sort=False, observed=True)
    }
    everything = np.concatenate(list(values.values()))
    low, high = np.quantile(everything, (0.005, 0.995))
    if not high > low:
        return HistogramGroup("Distribution of the simulations", [], "")
    edges = np.linspace(low, high, _INTERVALS + 1)
    zero = (0.0 - low) / (high - low)
    labels = {0.0: percent(float(low), signed=True), 1.0: percent(float(high), signed=True)}
    if 0.2 < zero < 0.8:
        labels[float(zero)] = "0%"
    items = [
        Histogram(
            name, labels, np.histogram(np.clip(own, low, high), edges)[0], None,
            f"Total returns of {len(own):,} simulations of {name}, from {percent(float(own.min()))}"
            f" to {percent(float(own.max()))}; median {percent(float(np.median(own)))}.",
        )
        for name, own in values.items()
    ]  # fmt: skip
    return HistogramGroup(
        "Distribution of the simulations", items,
        f"Total return of each validation window, {_INTERVALS} intervals; returns beyond the ends "
        "are counted in the outermost.",
    )  # fmt: skip


def pit_histograms(actual: Floats, deciles: Floats) -> HistogramGroup:
    """Return how often actual moves fell between the deciles of their forecasts.

    Args:
        actual: [bar, target].
        deciles: [bar, target, 9].
    """
    items = []
    for k, target in enumerate(TARGETS):
        found = pit_histogram(actual[:, k], deciles[:, k], _DECILES)
        counts = np.asarray(found.counts, dtype=np.int64)
        items.append(
            Histogram(
                target, {0.0: "0%", 0.5: "50%", 1.0: "100%"}, counts, float(counts.sum()) / 10.0,
                f"Actual {target} by decile of its forecast: {', '.join(map(str, counts))}.",
            )
        )  # fmt: skip
    return HistogramGroup(
        "Calibration", items,
        "Bars by the decile of the forecast that the actual price fell into (PIT histogram). "
        "Calibrated forecasts fill all alike: the dashed line. High ends: forecasts too narrow; a "
        "high middle: too wide; a slope: biased.",
    )  # fmt: skip


def coverage_table(actual: Floats, quantiles: Floats) -> Table:
    """Return the share of actual moves inside central bands, by target.

    Args:
        actual: [bar, target].
        quantiles: [bar, target, level], at `coverage_levels()`.
    """
    rows = []
    for k, target in enumerate(TARGETS):
        cells = []
        for i in range(len(_COVERAGE)):
            low, high = quantiles[:, k, 2 * i], quantiles[:, k, 2 * i + 1]
            inside = (actual[:, k] >= low) & (actual[:, k] <= high)
            share = float(inside.mean())
            error = float(np.sqrt(share * (1.0 - share) / len(inside)))
            cells.append(f"{percent(share)} ±{percent(error)}")
        rows.append([target, *cells])
    heads = ["forecast of", *(f"band of {level:.0%}" for level in _COVERAGE)]
    note = "Share of actual prices inside the central band, with its standard error."
    return Table("Coverage by level", heads, rows, note=note)


def coverage_levels() -> tuple[float, ...]:
    """Return the ends of the central bands of `coverage_table`.

    Example:
        >>> [round(level, 3) for level in coverage_levels()]
        [0.25, 0.75, 0.1, 0.9, 0.05, 0.95]
    """
    return tuple(end for level in _COVERAGE for end in ((1 - level) / 2, (1 + level) / 2))
