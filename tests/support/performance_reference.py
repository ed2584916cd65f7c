"""The figures of one strategy, bar by bar in plain Python: the kernel is tested by them."""

from __future__ import annotations

import math


def account_of(net: list[float]) -> tuple[list[float], int | None]:
    """(returns of an account that can be ruined, the bar of ruin)."""
    returns: list[float] = []
    for bar, value in enumerate(net):
        if value <= -1.0:
            return [*returns, -1.0, *[0.0] * (len(net) - bar - 1)], bar
        returns.append(value)
    return returns, None


def mean_of(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation_of(values: list[float], ddof: int = 1) -> float:
    if len(values) <= ddof:
        return math.nan
    mean = mean_of(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - ddof))


def standard_moment(values: list[float], order: int) -> float:
    mean, spread = mean_of(values), deviation_of(values, 0)
    return math.fsum((v - mean) ** order for v in values) / len(values) / spread**order


def sharpe_of(values: list[float]) -> tuple[float, float]:
    """(Sharpe ratio per bar, its standard error after Mertens, 2002)."""
    if len(values) < 2 or len(set(values)) == 1:
        return math.nan, math.nan
    ratio = mean_of(values) / deviation_of(values)
    skew, kurtosis = standard_moment(values, 3), standard_moment(values, 4)
    spread = 1 + ratio**2 / 2 - skew * ratio + (kurtosis - 3) / 4 * ratio**2
    return ratio, math.sqrt(max(spread, 0.0) / len(values))


def falls_of(returns: list[float]) -> dict[str, float]:
    """The largest drawdown, where it is, and the longest one, from every pair of bars."""
    equity = [1.0]
    for value in returns:
        equity.append(equity[-1] * (1 + value))
    found = {"max_drawdown": 0.0, "peak_bar": math.nan, "trough_bar": math.nan}
    longest, peak = 0, 0
    for at in range(1, len(equity)):
        if equity[at] >= equity[peak]:
            peak = at
        depth = 1 - equity[at] / equity[peak]
        if depth > found["max_drawdown"]:
            found = {"max_drawdown": depth, "peak_bar": peak - 1, "trough_bar": at - 1}
    for start in range(len(equity)):
        later = [at for at in range(start + 1, len(equity)) if equity[at] >= equity[start]]
        end = later[0] if later else len(equity) - 1
        if all(equity[at] < equity[start] for at in range(start + 1, end + (not later))):
            fell = end - start > 1 or (not later and end > start)
            longest = max(longest, end - start if fell else 0)
    found["longest_drawdown"] = longest
    found["recovery_bar"] = math.nan
    if found["max_drawdown"] > 0:
        top = equity[int(found["peak_bar"]) + 1]
        after = range(int(found["trough_bar"]) + 2, len(equity))
        found["recovery_bar"] = next((at - 1 for at in after if equity[at] >= top), math.nan)
    return found


def worst_mean(values: list[float], share: float) -> float:
    """Mean of the worst share of the values, the last of them in part."""
    total, left = 0.0, share * len(values)
    for value in sorted(values):
        total += min(left, 1.0) * value
        left -= min(left, 1.0)
    return total / (share * len(values))


def quantile_of(values: list[float], level: float) -> float:
    ordered, at = sorted(values), level * (len(values) - 1)
    below = int(at)
    return ordered[below] + (at - below) * (
        ordered[min(below + 1, len(ordered) - 1)] - ordered[below]
    )


def reference_figures(
    net: list[float], active: list[bool], risk_free: list[float] | None, tail: float
) -> dict[str, float]:
    """Every figure of `marketsim.kernels.performance.FIGURES`, by name."""
    returns, ruin = account_of(net)
    lived = returns if ruin is None else returns[: ruin + 1]
    inside = [value for value, is_in in zip(lived, active, strict=False) if is_in]
    excess = [r - f for r, f in zip(returns, risk_free or [0.0] * len(returns), strict=True)]
    moves = len(set(returns)) > 1
    sharpe, error = sharpe_of(excess)
    gains = [value for value in lived if value > 0]
    losses = [value for value in lived if value < 0]
    return falls_of(lived) | {
        "total_return": math.prod(1 + value for value in returns) - 1,
        "mean_return": mean_of(returns),
        "std_return": deviation_of(returns),
        "sharpe": sharpe,
        "sharpe_error": error,
        "hit_rate": sum(v > 0 for v in inside) / len(inside) if inside else math.nan,
        "active_days": len(inside),
        "skew": standard_moment(returns, 3) if moves else math.nan,
        "excess_kurtosis": standard_moment(returns, 4) - 3 if moves else math.nan,
        "downside_deviation": math.sqrt(mean_of([min(value, 0.0) ** 2 for value in excess])),
        "mean_excess": mean_of(excess),
        "value_at_risk": quantile_of(returns, tail),
        "conditional_value_at_risk": worst_mean(returns, tail),
        "best": max(lived),
        "best_bar": lived.index(max(lived)),
        "worst": min(lived),
        "worst_bar": lived.index(min(lived)),
        "gains": math.fsum(gains),
        "losses": math.fsum(losses),
        "wins": len(gains),
        "defeats": len(losses),
        "ruin_bar": math.nan if ruin is None else ruin,
    }
