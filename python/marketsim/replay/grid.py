"""Replay many parameter sets of a signal rule over the same bars in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_number
from marketsim.bars import Bars
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.indicators import donchian, rsi, sma
from marketsim.metrics import least_bars
from marketsim.replay.account import Account
from marketsim.replay.arrays import arrays_of
from marketsim.replay.checks import SIZE_UNITS, Unit
from marketsim.replay.rules import RULES, rule_parameters

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Sets = Mapping[str, npt.NDArray[Any]]
# Bars and parameters by name to (entries, exits), truth values [bar].
Rule = Callable[..., tuple[npt.ArrayLike, npt.ArrayLike]]

EXITS = ("stop_loss", "take_profit", "trailing_stop", "cooldown", "time_stop")
_SIDES = {"both": 0, "long": 1, "short": -1}


class Comparisons(NamedTuple):
    """The signals of many sets, as comparisons between rows of indicators.

    Attributes:
        rows: [row, bar].
        entry_up, entry_over: [set], row numbers: an entry where the first lies above the second.
        exit_up, exit_over: [set], an exit likewise.
        crosses: only in the first bar that does so.
    """

    rows: Floats
    entry_up: Rows
    entry_over: Rows
    exit_up: Rows
    exit_over: Rows
    crosses: bool


def replay_grid(
    bars: Bars,
    rule: str | Rule,
    sets: Sets,
    *,
    account: Account | None = None,
    direction: Literal["long", "short", "both"] = "long",
    size: float = 1.0,
    size_unit: Unit = "equity",
    net: Floats | None = None,
) -> dict[str, Floats]:
    """Figures of every parameter set, the same bits as those of a `replay` each.

    The built-in rules compute each indicator once a distinct value and their signals in compiled
    code; of any other function the signals are computed in Python, a set at a time. Then all cores
    share the sets.

    Args:
        bars: what is replayed.
        rule: a built-in rule by name, or a function of bars and parameters by name that returns
            (entries, exits), truth values [bar].
        sets: arrays [set] by name: the rule's parameters, and `stop_loss`, `take_profit`,
            `trailing_stop` (NaN: none), `cooldown` and `time_stop` as `replay` takes them.
        account: cash, costs and rules.
        direction, size, size_unit: as for `replay`, the same for all sets.
        net: [set, bar], float64; where given, the return of the equity in each bar is written.

    Returns:
        arrays [set] by the names of `ReplayResult.metrics`.

    Raises:
        UnknownNameError: no such rule, direction or unit.
        ArgumentError: parameters that the rule does not have or that are out of range.

    Example:
        >>> import marketsim as ms
        >>> sets = {"fast": np.array([5, 10]), "slow": np.array([20, 50])}
        >>> replay_grid(ms.demo_bars(), "sma_cross", sets)["trades"].tolist()
        [159.0, 67.0]
    """
    account = Account() if account is None else account
    function = named_rule(rule)
    for name, value, known in (
        ("direction", direction, _SIDES), ("size_unit", size_unit, SIZE_UNITS),
    ):  # fmt: skip
        if value not in known:
            raise UnknownNameError(name, value, known)
    quantity = as_number("size", size)
    if not (np.isfinite(quantity) and quantity > 0.0):
        raise ArgumentError(f"size must be finite and above 0: got {size!r}")
    sets = {name: np.asarray(values) for name, values in sets.items()}
    parameters, exits = _divided(function, sets)
    count = len(next(iter(sets.values())))
    # A rule may be an object that has no hash, such as a dataclass.
    compare = next((one for rule, one in COMPARED.items() if rule is function), None)
    comparisons, entry_flags, exit_flags = None, None, None
    if compare is None:
        entry_flags, exit_flags = _flags(bars, function, parameters, count)
    else:
        _check_numbers(parameters)
        defaults = {k: np.full(count, v) for k, v in rule_parameters(function).items()}
        found = compare(bars, **{**defaults, **parameters})
        comparisons = _core.GridComparisons(
            found.rows, found.entry_up, found.entry_over, found.exit_up, found.exit_over,
            found.crosses,
        )  # fmt: skip
    figures = _core.replay_grid(
        arrays_of(bars, account, None, None, None, None),
        account.compiled,
        comparisons,
        entry_flags,
        exit_flags,
        _SIDES[direction],
        SIZE_UNITS[size_unit],
        quantity,
        _distances("stop_loss", exits.get("stop_loss"), count),
        _distances("take_profit", exits.get("take_profit"), count),
        _distances("trailing_stop", exits.get("trailing_stop"), count),
        _counts("cooldown", exits.get("cooldown"), count),
        _counts("time_stop", exits.get("time_stop"), count),
        net,
    )
    return _metrics(figures, account, bars)


def named_rule(rule: str | Rule) -> Rule:
    """The function of a rule.

    Raises:
        UnknownNameError: no built-in rule has this name.
    """
    if not isinstance(rule, str):
        return rule
    if rule not in RULES:
        raise UnknownNameError("rule", rule, RULES)
    return RULES[rule]


def _divided(function: Rule, sets: Sets) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the rule's parameters, those of its exits)."""
    if not sets:
        raise ArgumentError("no parameter sets: give an array of values for each parameter")
    own = rule_parameters(function)
    parameters = {name: values for name, values in sets.items() if name in own}
    rest = {name: values for name, values in sets.items() if name not in own}
    for name in rest:
        if name not in EXITS:
            raise ArgumentError(
                f"{getattr(function, '__name__', function)!s} has no parameter {name!r}: expected "
                f"{', '.join([*own, *EXITS])}"
            )
    return parameters, rest


def _flags(
    bars: Bars, function: Rule, parameters: Mapping[str, Any], count: int
) -> tuple[Flags, Flags]:
    """The signals [set, bar] of a rule in Python."""
    entries, exits = np.empty((2, count, len(bars)), dtype=np.bool_)
    for i in range(count):
        chosen = {
            name: value.item() if isinstance(value := values[i], np.generic) else value
            for name, values in parameters.items()
        }
        found = function(bars, **chosen)
        for name, to, values in zip(("entries", "exits"), (entries, exits), found, strict=True):
            flags = np.asarray(values)
            if flags.shape != (len(bars),) or flags.dtype != np.bool_:
                raise ArgumentError(
                    f"{name} must be truth values, one a bar ({len(bars)}): got dtype "
                    f"{flags.dtype} of shape {flags.shape} for {chosen}"
                )
            to[i] = flags
    return entries, exits


def _distances(name: str, values: Any, count: int) -> Floats:
    if values is None:
        return np.full(count, np.nan)
    numbers = np.array([np.nan if v is None else v for v in np.asarray(values).tolist()], float)
    bad = ~(np.isnan(numbers) | ((numbers > 0.0) & (numbers < 1.0)))
    if bad.any():
        raise ArgumentError(
            f"{name} must lie in (0, 1), a fraction of the price, or be NaN for none: "
            f"got {numbers[bad][0]}"
        )
    return numbers


def _counts(name: str, values: Any, count: int) -> Rows:
    if values is None:
        return np.zeros(count, dtype=np.int64)
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise ArgumentError(f"{name} must be whole numbers of bars, at least 0: got {numbers}")
    return np.ascontiguousarray(numbers.astype(np.int64))


def _metrics(figures: dict[str, Floats], account: Account, bars: Bars) -> dict[str, Floats]:
    """The figures by the names and with the arithmetic of `ReplayResult.metrics`."""
    wins, losses = figures.pop("wins"), figures.pop("gross_loss")
    gains, trades = figures.pop("gross_win"), figures["trades"]
    nan = np.full(len(wins), np.nan)
    periods, sessions = account.periods_per_year, None
    if periods is None:
        known = len(bars) > 1
        periods = bars.market.periods_per_year if known else float("nan")
        sessions = bars.market.sessions_per_year if known else None
    long_enough = periods > 0.0 and len(bars) >= least_bars(periods, sessions)
    figures["sharpe"] = figures["sharpe"] * (np.sqrt(periods) if long_enough else np.nan)
    figures["win_rate"] = np.divide(wins, trades, where=trades > 0, out=nan.copy())
    figures["profit_factor"] = np.divide(gains, losses, where=losses > 0.0, out=nan.copy())
    figures["turnover"] = figures["turnover"] / account.cash
    return figures


def _check_numbers(parameters: Mapping[str, Any]) -> None:
    """Refuse values of the built-in rules that are no numbers."""
    for name, values in parameters.items():
        array = np.asarray(values)
        wrong = [
            v for v in array.tolist() if isinstance(v, bool) or not isinstance(v, (int, float))
        ]
        if array.dtype.kind not in "iuf" and wrong:
            raise ArgumentError(f"{name} must be numbers: got {wrong[0]!r}")


def _sma_cross(bars: Bars, fast: Rows, slow: Rows) -> Comparisons:
    bad = np.flatnonzero(~(fast < slow))
    if len(bad):
        more = len(bad) - 1
        others = f" and {more:,} other set{'s' * (more > 1)}" if more else ""
        raise ArgumentError(
            f"fast must be below slow: got fast={fast[bad[0]]}, slow={slow[bad[0]]}{others}; "
            "leave them out, such as by "
            'where=lambda sets: sets["fast"] < sets["slow"]'
        )
    windows, (first, second) = _numbered(fast, slow)
    return Comparisons(sma(bars.close, windows), first, second, second, first, True)


def _rsi_reversion(bars: Bars, window: Rows, low: Floats, high: Floats) -> Comparisons:
    windows, (strength,) = _numbered(window)
    levels, (below, above) = _numbered(low.astype(float), high.astype(float))
    constant = np.broadcast_to(levels[:, None], (len(levels), len(bars)))
    rows = np.concatenate([rsi(bars.close, windows), constant])
    below, above = below + len(windows), above + len(windows)
    return Comparisons(rows, strength, below, above, strength, True)


def _donchian_breakout(bars: Bars, entry: Rows, exit: Rows) -> Comparisons:
    tops, (upper,) = _numbered(entry)
    bottoms, (lower,) = _numbered(exit)
    rows = np.full((len(tops) + len(bottoms) + 1, len(bars)), np.nan)
    before = slice(None, -1)
    rows[: len(tops), 1:] = donchian(bars.high, bars.low, tops).upper[:, before]
    rows[len(tops) : -1, 1:] = donchian(bars.high, bars.low, bottoms).lower[:, before]
    rows[-1] = bars.close
    close = np.full(len(upper), len(rows) - 1)
    return Comparisons(rows, close, upper, lower + len(tops), close, False)


def _numbered(*values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[Rows]]:
    """(different values, in order; which of them each of the arrays has)."""
    joined = np.concatenate(values)
    different, place = np.unique(joined, return_inverse=True)
    place = np.ascontiguousarray(place.reshape(-1).astype(np.int64))
    return different, np.split(place, np.cumsum([len(v) for v in values])[:-1])


# The rules whose signals are compared in compiled code; of others a bar at a time in Python.
COMPARED: dict[Any, Callable[..., Comparisons]] = {
    RULES["sma_cross"]: _sma_cross,
    RULES["rsi_reversion"]: _rsi_reversion,
    RULES["donchian_breakout"]: _donchian_breakout,
}
