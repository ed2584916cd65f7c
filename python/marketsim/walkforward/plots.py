"""Named figures of a walk-forward result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.metrics import period_returns, rolling_sharpe
from marketsim.report.plot import Panel, Plot
from marketsim.walkforward.shown import ShownResult

Floats = npt.NDArray[np.float64]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def plot_of(result: ShownResult, name: str, strategy: str | None, target: str) -> Plot:
    """Describe the figure `name`; see `WalkForwardResult.figure`."""
    if name not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    if strategy is not None and strategy not in result.returns.columns:
        raise UnknownNameError("strategy", strategy, [str(c) for c in result.returns.columns])
    if target not in TARGETS:
        raise UnknownNameError("target", target, TARGETS)
    return _PLOTS[name](result, strategy, target)


def _curves(result: ShownResult, strategy: str | None) -> dict[str, Floats]:
    """Equity by name from 1 at the start; all strategies and baselines, or one."""
    equity = result.equity
    names = list(equity.columns) if strategy is None else [strategy]
    return {str(name): equity[name].to_numpy(np.float64) for name in names}


def _equity(result: ShownResult, strategy: str | None, _: str) -> Plot:
    curves = _curves(result, strategy)
    dates = result.equity.index.to_numpy()
    dashed = frozenset(result.baselines) - set(result.outcomes)
    log = min(float(np.nanmin(curve)) for curve in curves.values()) > 0.0
    falls = {name: _drawdown(curve) for name, curve in curves.items()}
    return Plot(
        f"{result.bars.symbol}: equity and drawdown, out of sample, after costs",
        (
            Panel("equity (start = 1)", dates, curves, dashed=dashed, log=log),
            Panel("drawdown", dates, falls, dashed=dashed, percent=True),
        ),
    )


def _drawdown(curve: Floats) -> Floats:
    return curve / np.maximum.accumulate(np.fmax(curve, 1.0)) - 1.0


def _drawdowns(result: ShownResult, strategy: str | None, target: str) -> Plot:
    both = _equity(result, strategy, target)
    return Plot(f"{result.bars.symbol}: drawdown", both.panels[1:])


def _one(result: ShownResult, strategy: str | None) -> str:
    """Return the strategy to show in a figure of one: the given one, else the first."""
    return strategy if strategy is not None else str(result.returns.columns[0])


def _monthly(result: ShownResult, strategy: str | None, _: str) -> Plot:
    name = _one(result, strategy)
    returns = result.returns[name]
    found = period_returns(returns.to_numpy(), returns.index)
    year = found.periods.astype("datetime64[Y]").astype(int) + 1970
    month = found.periods.astype("datetime64[M]").astype(int) % 12
    grid = np.full((year[-1] - year[0] + 1, 12), np.nan)
    grid[year - year[0], month] = found.returns[0]
    rows = [str(y) for y in range(year[0], year[-1] + 1)]
    title = f"{result.bars.symbol}: monthly return of {name}, out of sample, after costs"
    panel = Panel("", np.arange(12), grid=grid, rows=rows, columns=_MONTHS, percent=True)
    return Plot(title, (panel,))


def _rolling(result: ShownResult, strategy: str | None, _: str) -> Plot:
    returns = result.returns if strategy is None else result.returns[[strategy]]
    sessions = result.settings.market.sessions_per_year
    window = min(63, max(20, len(returns) // 4))
    if len(returns) < window:
        raise ArgumentError(
            f"a rolling Sharpe ratio needs at least {window} days: got {len(returns)}; evaluate "
            "more bars, for example simulations='all'"
        )
    ratios = rolling_sharpe(returns.to_numpy().T, window, periods_per_year=sessions)
    lines = {str(name): ratios[i] for i, name in enumerate(returns.columns)}
    dashed = frozenset(result.baselines) - set(result.outcomes)
    title = f"{result.bars.symbol}: Sharpe ratio of the last {window} days, annualised"
    return Plot(title, (Panel("Sharpe ratio", returns.index.to_numpy(), lines, dashed=dashed),))


def _forecast(result: ShownResult, _: str | None, target: str) -> Plot:
    frame = result.forecasts
    frame = frame[frame["target"] == target]
    levels = sorted(result.model.levels)
    inner = [low for low in levels if low < 0.5 and _has(levels, 1.0 - low)]
    shown = [low for low in inner if _has([0.05, 0.1, 0.25], low)] or inner[:3]
    pairs = [(low, 1.0 - low) for low in shown]
    dates = frame["date"].dt.tz_localize(None).to_numpy()

    def quantile(level: float) -> Floats:
        nearest = min(result.model.levels, key=lambda known: abs(known - level))
        return frame[f"q{nearest:g}"].to_numpy(np.float64)

    bands = {f"{low:.0%} to {high:.0%}": (quantile(low), quantile(high)) for low, high in pairs}
    lines = {"actual": frame["actual"].to_numpy(np.float64)}
    lines["point forecast"] = frame["point"].to_numpy(np.float64)
    title = f"{result.bars.symbol}: one-bar return of the {target}, forecast by {result.model.name}"
    panel = Panel("return", dates, lines, bands, dashed=frozenset({"point forecast"}), percent=True)
    return Plot(title, (panel,))


def _has(levels: list[float], level: float) -> bool:
    return any(abs(known - level) < 1e-9 for known in levels)


def _calibration(result: ShownResult, _: str | None, __: str) -> Plot:
    frame = result.forecasts
    levels = np.array(sorted(result.model.levels))
    columns = [f"q{level:g}" for level in levels]
    lines = {"calibrated": levels}
    for target in TARGETS:
        part = frame[frame["target"] == target]
        below = part["actual"].to_numpy()[:, None] <= part[columns].to_numpy()
        lines[target] = below.mean(axis=0)
    title = f"{result.bars.symbol}: calibration of {result.model.name}, {len(result.dates):,} bars"
    panel = Panel(
        "share of actual values below", levels, lines, dashed=frozenset({"calibrated"}),
        percent=True,
    )  # fmt: skip
    return Plot(title, (panel,), x_label="quantile level")


_PLOTS: dict[str, Callable[[ShownResult, str | None, str], Plot]] = {
    "equity": _equity,
    "drawdown": _drawdowns,
    "monthly": _monthly,
    "rolling_sharpe": _rolling,
    "forecast": _forecast,
    "calibration": _calibration,
}
FIGURES = tuple(_PLOTS)
