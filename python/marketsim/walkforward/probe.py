"""Probe a user's models and strategies for look-ahead before their results are used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.errors import LookaheadError, LookaheadWarning, MarketsimError
from marketsim.forecasts import ReturnTable
from marketsim.models import Model
from marketsim.models.traits import traits_of
from marketsim.strategies import DecisionView, Hold, LimitOrders, Orders, TakeProfit
from marketsim.strategies.changed import changed_after
from marketsim.walkforward.evaluate import checked_orders, part_of_orders, same_orders

_FORECASTS = 30  # forecasts compared; the newest, for a model that recomputes from `start` on
_REMOVED = 10
_AHEAD = 8  # bars after a cut that are changed
_CALENDAR = 90  # bars among which the end of a month is looked for
_TOLERANCE = 1e-6  # of the spread of the returns: batches of other sizes may round differently


def probe_model(model: Model, bars: Bars) -> None:
    """Refuse a model whose forecasts of some bars change when later bars are left out.

    Runs `predict_each` on the closes twice, for the last forecasts only. Skips models that read
    whole bars or draw samples; `check_lookahead` and `marketsim.testing` cover these.

    Raises:
        LookaheadError: a forecast differs; the message gives its bar and both values.
    """
    traits = traits_of(model)
    returns = ReturnTable.of(bars, traits.kind).returns[-1]
    start = len(returns) - _FORECASTS
    if traits.joint or traits.bars or traits.draws or traits.timestamps or start < 60:
        return
    count = _FORECASTS - _REMOVED + 1
    levels = list(traits.levels)
    whole, cut = (
        np.asarray(model.predict_each(series, start).quantile(levels), dtype=np.float64)
        for series in (returns, returns[:-_REMOVED])
    )
    whole, cut = whole[:count].reshape(count, -1), cut[:count].reshape(count, -1)
    differs = ~(np.abs(whole - cut) <= _TOLERANCE * np.nanstd(returns)).all(axis=1)
    if differs.any():
        i = int(differs.argmax())
        at = int(np.nanargmax(np.abs(whole[i] - cut[i])))
        raise LookaheadError(
            f"model {model.name!r} looks ahead: its forecast of the bar of "
            f"{bars.frame.index[start + 1 + i]} is {whole[i, at]:.6g}, and {cut[i, at]:.6g} "
            f"without the last {_REMOVED} bars of the series; predict_each(series, start) must "
            "forecast t from series[:t] alone; check=False runs it anyway"
        )


_BOTH: tuple[Literal["up", "down"], ...] = ("up", "down")


class Trial(NamedTuple):
    """A second decision, whose orders up to bar `cut` must be those of the run.

    Attributes:
        cut: last bar whose orders are compared.
        change: how the bars after it are changed; "left out": the view ends with the cut.
    """

    cut: int
    change: Literal["up", "down", "left out"]


def probe_strategy(
    name: str,
    decide: Callable[[DecisionView], Orders],
    orders: Orders,
    view: DecisionView,
    asked: int,
    long_only: bool,
) -> None:
    """Refuse a strategy whose orders for some bars change when only later bars do.

    Tests reads through the view; `marketsim.check_lookahead` changes the bars themselves.

    Args:
        name: name of the strategy.
        decide: its decision.
        orders: checked orders for all bars of the view.
        view: what the strategy saw.
        asked: number of bars that the whole run decides for.
        long_only: whether shorts are excluded.

    Raises:
        LookaheadError: an order changes; the message gives its bar and both values.
    """
    failures: list[tuple[Trial, MarketsimError]] = []
    tried = trials_of(orders, view.dates, asked)
    for trial in tried:
        size = trial.cut + 1
        try:
            answer = decide(_view_of(trial, view))
            if _begin_alike(orders, answer, size):  # and valid, as `orders` are
                continue
            found = checked_orders(_first(answer, size), view.dates[:size], long_only)
        except MarketsimError as error:
            failures.append((trial, error))
            continue
        expected = part_of_orders(orders, 0, size)
        if not same_orders(expected, found):
            repeated = _first(decide(view), size)
            raise LookaheadError(_leak(name, expected, found, repeated, view, trial))
    if tried and len(failures) == len(tried):
        trial, reason = failures[0]
        warnings.warn(
            f"strategy {name!r} could not be checked for look-ahead: it fails where the bars after "
            f"the first {trial.cut + 1} of {len(view)} are {_WORDS[trial.change]} ({reason}); "
            "check=False skips the check",
            LookaheadWarning,
            stacklevel=2,
        )


_WORDS = {"up": "changed", "down": "changed", "left out": "left out"}


def trials_of(orders: Orders, dates: npt.NDArray[np.datetime64], asked: int) -> list[Trial]:
    """Choose the second decisions that test a strategy's orders.

    A read of the next bars shows where the strategy changes its orders, in any change of these bars
    far up or far down: one of the two differs from the truth. Two cuts side by side are tested: a
    bar may be the last of its group, or one that interpolation leaves as it is; and bars inside a
    week and a month where there are such. The end of a view just before a gap in time, at the end
    of a month if one is there, shows a read of the calendar. Long runs are tested at later bars,
    too, while that takes below a sixteenth of the bars that the run decides for.
    """
    count = len(dates)
    last = count - 2
    if last < 0:
        return []
    moves = changes_of(orders)
    first, stop = min(3, last), min(max(last - 1, 0), max(12, asked // 8))
    near = moves[moves <= stop]
    early = _next(near[_inside_periods(dates[: stop + 2])[near]], first, stop, -1)
    if early < 0:
        early = _next(moves, first, stop, min(6, stop))
    trials = [Trial(early, "up"), *(Trial(min(early + 1, last), change) for change in _BOTH)]
    trials.append(Trial(_before_gap(dates[: min(count, _CALENDAR)], first, early), "left out"))
    left = asked // 16 - sum(trial.cut + 1 + _AHEAD for trial in trials)
    for at in (count // 16, count // 4):
        later = _next(moves, at, last, at)
        left -= 2 * (later + 1 + _AHEAD)
        if later > early + 1 and left >= 0:
            trials += [Trial(later, change) for change in _BOTH]
    return trials


def _before_gap(dates: npt.NDArray[np.datetime64], first: int, other: int) -> int:
    """Return the first bar before a gap and a new month, a gap, or a new month; else `other`."""
    gaps, months = np.diff(dates.view(np.int64)), np.diff(dates.astype("M8[M]").view(np.int64))
    wide, turns = gaps > gaps.min(), months > 0
    for at in (wide & turns, wide, turns):
        found = _next(np.flatnonzero(at), first, len(gaps) - 1, -1)
        if found >= 0:
            return found
    return other


def _inside_periods(dates: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Whether the next bar is near and of the same week and month, for all bars but the last."""
    gaps = np.diff(dates.view(np.int64))
    days = dates.astype("M8[D]")
    weeks, months = (days.view(np.int64) + 3) // 7, days.astype("M8[M]").view(np.int64)
    inside: npt.NDArray[np.bool_] = (
        (gaps == gaps.min()) & (weeks[1:] == weeks[:-1]) & (months[1:] == months[:-1])
    )
    return inside


def _next(rows: npt.NDArray[np.intp], first: int, last: int, other: int) -> int:
    """Return the first of ascending rows in first .. last, `other` if there is none."""
    at = int(np.searchsorted(rows, first))
    return int(rows[at]) if at < len(rows) and rows[at] <= last else other


def changes_of(orders: Orders) -> npt.NDArray[np.intp]:
    """Return the bars whose orders differ from those of the bar before, ascending."""
    changed = np.zeros(len(orders.position) - 1, bool)
    for values in vars(orders).values():
        if isinstance(values, np.ndarray):
            changed |= values[1:] != values[:-1]
    return np.flatnonzero(changed) + 1


def _view_of(trial: Trial, view: DecisionView) -> DecisionView:
    if trial.change == "left out":
        return view.part(0, trial.cut + 1)
    stop = min(trial.cut + 1 + _AHEAD, len(view))
    return changed_after(view, trial.cut, stop, up=trial.change == "up")


def _begin_alike(orders: Orders, other: object, size: int) -> bool:
    """Whether checked orders and orders of the same kind have equal first values, quickly."""
    if type(orders) is not type(other):
        return False
    for name, values in vars(orders).items():
        given = getattr(other, name)
        if not isinstance(values, np.ndarray):
            if values != given:
                return False
        elif not (isinstance(given, np.ndarray) and np.array_equal(values[:size], given[:size])):
            return False
    return True


def _first(orders: Any, size: int) -> Any:
    """Slice unchecked orders to their first bars."""
    if not isinstance(orders, (Hold, TakeProfit, LimitOrders)):
        return orders
    sliced: dict[str, Any] = {}
    for field in fields(orders):
        value = getattr(orders, field.name)
        if not isinstance(value, (bool, str, type(None))):
            sliced[field.name] = np.asarray(value)[:size]
    return replace(orders, **sliced)


def _leak(
    name: str, expected: Orders, found: Orders, repeated: Orders, view: DecisionView, trial: Trial
) -> str:
    """Describe the first order that changed."""
    if not same_orders(expected, repeated):
        what = (
            f"strategy {name!r} does not repeat itself: for the same bars, decided a second time, "
            "it orders "
        )
        why = " (state that a decision leaves, or random numbers?); check=False runs it anyway"
        found = repeated
    else:
        when = str(view.dates[trial.cut])[:19]
        what = (
            f"strategy {name!r} looks ahead: with the bars after {when} {_WORDS[trial.change]} it "
            "orders "
        )
        why = "; ms.check_lookahead lists the bars that it reads, check=False runs it anyway"
    if type(expected) is not type(found):
        return f"{what}{type(found).__name__} instead of {type(expected).__name__}{why}"
    for field in fields(expected):
        before, after = getattr(expected, field.name), getattr(found, field.name)
        differs = np.atleast_1d(np.asarray(before) != np.asarray(after))
        if differs.any():
            bar = int(differs.argmax())
            values = [np.atleast_1d(np.asarray(v))[bar] for v in (before, after)]
            day = str(view.dates[bar])[:19]
            return f"{what}{field.name} {values[1]} instead of {values[0]} for {day}{why}"
    return f"{what}differently{why}"
