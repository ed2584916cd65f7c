"""Performance of net returns: growth, risk, ratios, drawdowns, tails, against a benchmark."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.kernels import performance as kernels
from marketsim.kernels.performance import flag_rows, net_rows

Floats = npt.NDArray[np.float64]

# Below this many sessions (bars of a day or less), or this part of a year (longer bars), nothing is
# annualised: the error of such a figure is a multiple of the figure.
LEAST_SESSIONS = 20
LEAST_YEARS = 0.25
# The share of the returns that value at risk is about.
TAIL = 0.05


class WindowPerformance(NamedTuple):
    """Figures of windows of bars; NaN where one has no meaning.

    Arrays [window, strategy]. The attributes are those of `Performance`, and `std_return`: standard
    deviation (ddof 1) of the net returns, a bar.
    """

    total_return: Floats
    annual_return: Floats
    mean_return: Floats
    std_return: Floats
    volatility: Floats
    sharpe: Floats
    sharpe_error: Floats
    max_drawdown: Floats
    hit_rate: Floats
    active_days: Floats


class Performance(NamedTuple):
    """Figures of a span of bars; NaN where one has no meaning, and `reasons` says why.

    Arrays [strategy], or numbers for a single sequence. Returns are fractions. r are the net
    returns of the account: after a ruin they are 0, and figures that count bars stop there. "A
    year" means annualised by `periods_per_year`; those figures are NaN on short spans.
    `docs/metrics.md` compares them with other packages.

    Attributes:
        total_return: the product of 1 + r, minus 1.
        annual_return: a year; the constant return that compounds to it.
        mean_return: arithmetic mean of r, a bar.
        volatility: a year; standard deviation (ddof 1) times the square root of the periods.
        sharpe: a year; mean / standard deviation (ddof 1) of r less the risk-free rate (Sharpe,
            1994, The Sharpe ratio).
        sharpe_error: its standard error for returns that need not be normal: Mertens, The variance
            of the IID estimator in Lo (2002), 2002. It takes the bars as independent.
        sortino: a year; mean excess return / sqrt(mean(min(excess, 0)^2)) over all bars (Sortino
            and van der Meer, 1991). NaN without a loss.
        calmar: annual_return / max_drawdown over the whole span (Young, 1991).
        max_drawdown: largest fall of the compounded equity from a peak, as a fraction of the peak;
            the start counts as one.
        longest_drawdown: bars from a peak until it is reached again, or until the end.
        recovery: bars from the trough of the largest drawdown until its peak is reached again; NaN
            while it is not.
        peak_bar, trough_bar, recovery_bar: where these are; a peak of -1 is the start.
        value_at_risk: the 5 % quantile of r, linear between order statistics; a loss is negative.
        conditional_value_at_risk: the mean of the worst 5 % of r, the last of them in part (Acerbi
            and Tasche, 2002).
        skew: third standardised moment (population).
        excess_kurtosis: fourth standardised moment less 3 (population); 0 is normal.
        best, worst: largest and smallest r.
        best_bar, worst_bar: where they are.
        hit_rate: share of the active bars with r above 0.
        active_days: bars in the market.
        exposure: share of the bars in the market.
        mean_leverage, max_leverage: of the absolute position as a multiple of the equity, over all
            bars; NaN without positions.
        turnover: a year; value bought and sold, both counted, as a multiple of the equity; NaN
            without `traded`.
        profit_factor: sum of the positive r / -sum of the negative; NaN without a loss.
        average_win, average_loss: mean of the positive, and of the negative r.
        alpha: a year (arithmetic); mean excess return less beta times the benchmark's (Jensen,
            1968).
        beta: covariance with the benchmark's excess return / its variance.
        correlation: with the benchmark's excess return (Pearson).
        tracking_error: a year; standard deviation (ddof 1) of r less the benchmark's return.
        information_ratio: a year; mean of that difference / its standard deviation (Goodwin, 1998).
        ruin_bar: the bar that lost all equity; NaN for none.
        bars: bars of the span.
    """

    total_return: Floats
    annual_return: Floats
    mean_return: Floats
    volatility: Floats
    sharpe: Floats
    sharpe_error: Floats
    sortino: Floats
    calmar: Floats
    max_drawdown: Floats
    longest_drawdown: Floats
    recovery: Floats
    peak_bar: Floats
    trough_bar: Floats
    recovery_bar: Floats
    value_at_risk: Floats
    conditional_value_at_risk: Floats
    skew: Floats
    excess_kurtosis: Floats
    best: Floats
    worst: Floats
    best_bar: Floats
    worst_bar: Floats
    hit_rate: Floats
    active_days: Floats
    exposure: Floats
    mean_leverage: Floats
    max_leverage: Floats
    turnover: Floats
    profit_factor: Floats
    average_win: Floats
    average_loss: Floats
    alpha: Floats
    beta: Floats
    correlation: Floats
    tracking_error: Floats
    information_ratio: Floats
    ruin_bar: Floats
    bars: Floats

    def reasons(self, strategy: int = 0) -> dict[str, str]:
        """Return the reason of each NaN figure of a strategy, by name."""
        own = {
            name: float(np.atleast_1d(value)[strategy]) for name, value in self._asdict().items()
        }
        return {name: _reason(name, own) for name, value in own.items() if math.isnan(value)}


# Figures that are stated a year.
ANNUALISED = (
    "annual_return",
    "volatility",
    "sharpe",
    "sharpe_error",
    "sortino",
    "calmar",
    "turnover",
    "alpha",
    "tracking_error",
    "information_ratio",
)
_BENCHMARK = ("alpha", "beta", "correlation", "tracking_error", "information_ratio")
_MISSING = {
    "recovery": "the largest drawdown is not recovered, or there was none",
    "recovery_bar": "the largest drawdown is not recovered, or there was none",
    "peak_bar": "the equity never fell below a peak",
    "trough_bar": "the equity never fell below a peak",
    "calmar": "the equity never fell below a peak",
    "hit_rate": "no bar in the market",
    "mean_leverage": "no positions were given",
    "max_leverage": "no positions were given",
    "turnover": "no traded values were given",
    "sortino": "no return below the risk-free rate",
    "profit_factor": "no bar with a loss",
    "average_win": "no bar with a gain",
    "average_loss": "no bar with a loss",
    "ruin_bar": "not ruined",
}


def _reason(name: str, own: dict[str, float]) -> str:
    if name in _BENCHMARK and math.isnan(own["beta"]) and math.isnan(own["correlation"]):
        return "no benchmark was given, or it does not vary"
    if name in ANNUALISED and math.isnan(own["annual_return"]):
        return f"{own['bars']:.0f} bars are too short a span to annualise"
    if name in _MISSING:
        return _MISSING[name]
    return "a single bar" if own["bars"] == 1 else "the returns do not vary"


def least_bars(periods_per_year: float, sessions_per_year: float | None = None) -> int:
    """Return the bars that a span needs to be annualised: 20 sessions, or a quarter of longer bars.

    Args:
        periods_per_year: bars a year.
        sessions_per_year: sessions a year; None: as many as the bars where these are daily (up to
            366 a year), else 252.

    Raises:
        ArgumentError: a number that is not above 0 or not finite.

    Example:
        >>> least_bars(252), least_bars(98280), least_bars(12)
        (20, 7800, 3)
    """
    per_year = _positive(periods_per_year, "periods_per_year")
    if per_year < 100.0:  # weeks, months and longer: fewer than the sessions of any market
        return max(1, math.ceil(per_year * LEAST_YEARS))
    if sessions_per_year is None:
        sessions_per_year = per_year if per_year <= 366.0 else 252.0
    sessions = _positive(sessions_per_year, "sessions_per_year")
    return math.ceil(LEAST_SESSIONS * max(per_year / sessions, 1.0) - 1e-9)


def _positive(value: object, name: str) -> float:
    if not (isinstance(value, (int, float, np.number)) and 0.0 < value < math.inf):
        raise ArgumentError(f"{name} must be above 0 and finite: got {value!r}")
    return float(value)


def risk_free_per_bar(
    risk_free: npt.ArrayLike, bars: int, periods_per_year: float
) -> Floats | None:
    """Return the risk-free return of each bar [bar]; None for a rate of 0.

    Args:
        risk_free: a rate a year as a fraction, which compounds; or [bar], a return for each.
        bars: how many.
        periods_per_year: bars a year.

    Raises:
        ArgumentError: another length, a rate at or below -1, or values that are not finite.
    """
    rate = np.asarray(risk_free, dtype=np.float64)
    if rate.ndim == 0:
        if not (np.isfinite(rate) and rate > -1.0):
            raise ArgumentError(
                f"risk_free must be a yearly rate above -1, as a fraction: got {risk_free!r}"
            )
        return np.full(bars, (1.0 + rate) ** (1.0 / periods_per_year) - 1.0) if rate else None
    if rate.shape != (bars,) or not np.isfinite(rate).all():
        raise ArgumentError(
            f"risk_free must be one number a year or [bar] with {bars} finite returns: "
            f"got shape {rate.shape}"
        )
    return np.ascontiguousarray(rate)


def windowed_performance(
    net: Floats,
    active: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.int64],
    length: int,
    periods_per_year: float,
    *,
    risk_free: npt.ArrayLike = 0.0,
    sessions_per_year: float | None = None,
) -> WindowPerformance:
    """Performance of each window of `length` bars, for each strategy.

    Args:
        net: [strategy, bar], net returns.
        active: [strategy, bar], whether the strategy was in the market.
        starts: [window], the first bar of each window.
        length: bars a window.
        periods_per_year: bars a year, for annualisation.
        risk_free: a rate a year, or [bar], a return for each bar.
        sessions_per_year: see `least_bars`; windows below it are not annualised.

    Returns:
        Arrays [window, strategy].

    Raises:
        ArgumentError: shapes that do not fit, windows outside the bars, numbers out of range.
    """
    per_year = _positive(periods_per_year, "periods_per_year")
    rows = net_rows(net)
    free = risk_free_per_bar(risk_free, rows.shape[1], per_year)
    firsts = np.ascontiguousarray(starts, dtype=np.int64)
    raw = kernels.window_performance(rows, flag_rows(active, rows), firsts, length, free)
    total, mean, std, sharpe, error, drawdown, hits, days = np.moveaxis(raw, 2, 0)
    scale = per_year if length >= least_bars(per_year, sessions_per_year) else math.nan
    root = math.sqrt(scale)
    annual = _annual_return(total, length, scale)
    return WindowPerformance(
        total, annual, mean, std, std * root, sharpe * root, error * root, drawdown, hits, days
    )


def _annual_return(total: Floats, bars: int, scale: float) -> Floats:
    if math.isnan(scale):  # 1 to the power of NaN would be 1
        return np.full_like(total, np.nan)
    with np.errstate(over="ignore"):
        annual: Floats = (1.0 + total) ** (scale / bars) - 1.0
    return annual


def performance(
    net: npt.ArrayLike,
    *,
    periods_per_year: float,
    active: npt.ArrayLike | None = None,
    position: npt.ArrayLike | None = None,
    traded: npt.ArrayLike | None = None,
    benchmark: npt.ArrayLike | None = None,
    risk_free: npt.ArrayLike = 0.0,
    sessions_per_year: float | None = None,
) -> Performance:
    """Measure net returns of one strategy [bar] or of many [strategy, bar].

    Args:
        net: net returns as fractions of the equity, costs included.
        periods_per_year: bars a year: 252 for daily bars of a stock market.
        active: which bars are in the market; None: where `position` is not 0, or all.
        position: position of each bar as a multiple of the equity, in the shape of `net`.
        traded: value bought plus value sold in each bar as a multiple of the equity, likewise.
        benchmark: [bar], returns to compare with; see `align_benchmark`.
        risk_free: a rate a year as a fraction, or [bar], a return for each bar.
        sessions_per_year: see `least_bars`.

    Raises:
        ArgumentError: shapes that do not fit, values that are not finite, numbers out of range.

    Example:
        >>> round(float(performance([0.01, -0.02, 0.03], periods_per_year=252).max_drawdown), 6)
        0.02
    """
    per_year = _positive(periods_per_year, "periods_per_year")
    rows = net_rows(net)
    bars = rows.shape[1]
    free = risk_free_per_bar(risk_free, bars, per_year)
    held = None if position is None else _like(position, rows, "position")
    value = None if traded is None else _like(traded, rows, "traded")
    if value is not None and value.min() < 0.0:
        raise ArgumentError(f"traded must not be negative: got {value.min():g}")
    flags = flag_rows(active, rows)
    raw = kernels.row_performance(rows, flags, TAIL, free, held, value)
    own = dict(zip(kernels.FIGURES, raw.T, strict=True))
    scale = per_year if bars >= least_bars(per_year, sessions_per_year) else math.nan
    figures = _ratios(own, bars, scale) | _against(rows, benchmark, free, scale)
    lived = np.where(np.isnan(own["ruin_bar"]), bars, own["ruin_bar"] + 1.0)
    figures["exposure"] = own["active_days"] / lived
    figures["turnover"] = own["mean_traded"] * scale
    figures["bars"] = np.full(len(rows), float(bars))
    values = (figures[name] for name in Performance._fields)
    if np.ndim(net) == 1:
        return Performance(*(value[0] for value in values))
    return Performance(*values)


def _like(values: npt.ArrayLike, rows: Floats, name: str) -> Floats:
    found = net_rows(values, name)
    if found.shape != rows.shape:
        raise ArgumentError(
            f"{name} must have the shape of the net returns {rows.shape}: got {found.shape}"
        )
    return found


def _ratios(own: dict[str, Floats], bars: int, scale: float) -> dict[str, Floats]:
    """Compute the figures of the returns alone; yearly ones are annualised."""
    root = math.sqrt(scale)
    annual = _annual_return(own["total_return"], bars, scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        return own | {
            "annual_return": annual,
            "volatility": own["std_return"] * root,
            "sharpe": own["sharpe"] * root,
            "sharpe_error": own["sharpe_error"] * root,
            "sortino": _ratio(own["mean_excess"], own["downside_deviation"]) * root,
            "calmar": _ratio(annual, own["max_drawdown"]),
            "recovery": own["recovery_bar"] - own["trough_bar"],
            "profit_factor": _ratio(own["gains"], -own["losses"]),
            "average_win": _ratio(own["gains"], own["wins"]),
            "average_loss": _ratio(own["losses"], own["defeats"]),
        }


def _ratio(value: Floats, by: Floats) -> Floats:
    ratio: Floats = np.divide(value, np.where(by > 0.0, by, np.nan))
    return ratio


def _against(
    rows: Floats,
    benchmark: npt.ArrayLike | None,
    free: Floats | None,
    scale: float,
) -> dict[str, Floats]:
    if benchmark is None:
        return {name: np.full(len(rows), np.nan) for name in _BENCHMARK}
    market = net_rows(benchmark, "benchmark returns")
    if market.shape != (1, rows.shape[1]):
        raise ArgumentError(
            f"benchmark must be [bar] with {rows.shape[1]} returns: got shape {np.shape(benchmark)}"
        )
    raw = kernels.benchmark_performance(rows, market[0], free)
    own = dict(zip(kernels.BENCHMARK_FIGURES, raw.T, strict=True))
    root = math.sqrt(scale)
    return {
        "alpha": own["alpha"] * scale,
        "beta": own["beta"],
        "correlation": own["correlation"],
        "tracking_error": own["tracking_error"] * root,
        "information_ratio": _ratio(own["active_return"], own["tracking_error"]) * root,
    }


def rolling_sharpe(
    net: npt.ArrayLike,
    window: int | np.integer[Any],
    *,
    periods_per_year: float,
    risk_free: npt.ArrayLike = 0.0,
) -> Floats:
    """Compute the annualised Sharpe ratio of the `window` bars that end at each bar.

    Args:
        net: [bar] or [strategy, bar], net returns.
        window: bars, at least 2.
        periods_per_year: bars a year.
        risk_free: a rate a year as a fraction, or [bar], a return for each bar.

    Returns:
        Of the shape of `net`; NaN before the first whole window, and where returns do not vary.

    Raises:
        ArgumentError: a window below 2, or values that are not finite.

    Example:
        >>> rolling_sharpe([0.01, 0.03, 0.01], 2, periods_per_year=1).round(4).tolist()
        [nan, 1.4142, 1.4142]
    """
    per_year = _positive(periods_per_year, "periods_per_year")
    rows = net_rows(net)
    if window != int(window) or window < 2:
        raise ArgumentError(f"window must be a whole number of at least 2 bars: got {window!r}")
    free = risk_free_per_bar(risk_free, rows.shape[1], per_year)
    ratios = kernels.rolling_sharpe(rows, int(window), free)
    ratios *= math.sqrt(per_year)
    return ratios[0] if np.ndim(net) == 1 else ratios
