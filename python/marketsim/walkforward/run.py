"""Runs strategies on the days of a prepared run, under one set of rules."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_flag
from marketsim.errors import (
    ArgumentError,
    LookaheadError,
    LookaheadWarning,
    MarketsimError,
    StrategyError,
)
from marketsim.strategies import (
    BuyAndHold,
    DecisionView,
    Hold,
    LimitOrders,
    Orders,
    Strategy,
)
from marketsim.timing import stage
from marketsim.walkforward.evaluate import (
    checked_orders,
    evaluate,
    joined_orders,
    part_of_orders,
    same_orders,
)
from marketsim.walkforward.inputs import RunInputs
from marketsim.walkforward.limits import Fit, Rulebook, fit_offsets
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.settings import Settings, most_value
from marketsim.walkforward.windows import Stretch, Windows

Result = TypeVar("Result")


class _Persistence:
    """By the sign of yesterday's return, whatever is forecast."""

    name, targets, fitted, elementwise = "persistence", (), False, True

    def decide(self, view: DecisionView) -> Hold:
        return Hold(view.allowed(np.sign(view.last_return)))


class _Flat:
    """Never trades: what a forecast of no move asks for."""

    name, targets, fitted, elementwise = "random_walk", (), False, True

    def decide(self, view: DecisionView) -> Hold:
        return Hold(np.zeros(len(view)))


BASELINE_STRATEGIES: tuple[Strategy, ...] = (BuyAndHold(), _Persistence(), _Flat())


class StrategyRun(NamedTuple):
    """One strategy on all evaluated days.

    Attributes:
        strategy: who decided.
        last: its orders for the last of `Windows.stretches`, from the first day fitted on.
        orders: for the evaluated days.
        fit: offsets of these days.
        outcome: what they earned as one path.
    """

    strategy: Strategy
    last: Orders
    orders: Orders
    fit: Fit
    outcome: StrategyDays


@dataclass(frozen=True)
class Run:
    """Strategies on the days of a prepared run, under one set of rules.

    Attributes:
        inputs: what they see and meet.
        windows: which days the simulations are made of.
        settings: the rules.
        device: where offsets are fitted.
    """

    inputs: RunInputs
    windows: Windows
    settings: Settings
    device: str
    check: bool = True  # probe strategies that are not built in for look-ahead

    def of(self, strategy: Strategy) -> StrategyRun:
        """The evaluated days as one path; days after a gap start without a position."""
        return self._named(strategy, lambda: self._path(strategy))

    def decisions(self, strategy: Strategy) -> tuple[Orders, Fit]:
        """The orders of the last of `Windows.stretches`, and their offsets; nothing is filled."""
        found = self._named(strategy, lambda: self._decided(strategy, self.windows.stretches[-1]))
        return found.orders, found.fit

    def simulated(self, run: StrategyRun) -> StrategyDays:
        """Each simulation as a run of its own, one after the other: [simulation * window].

        It starts without a position and sells what is left at its end, as if no other simulation
        had been asked for.
        """
        return self._named(run.strategy, lambda: self._simulations(run))

    def _named(self, strategy: Strategy, work: Callable[[], Result]) -> Result:
        try:
            with stage("strategies"):
                return work()
        except ArgumentError as error:
            raise ArgumentError(f"strategy {strategy.name!r}: {error}") from error

    def _path(self, strategy: Strategy) -> StrategyRun:
        parts = [self._decided(strategy, stretch) for stretch in self.windows.stretches]
        orders = joined_orders([part.orders for part in parts])
        fit = _joined_fits([part.fit for part in parts])
        market = self.inputs.market(self.windows.days)
        outcome = evaluate(orders, fit, market, self.book, cap=self.settings.volume_cap)
        return StrategyRun(strategy, parts[-1].last, orders, fit, outcome)

    def _simulations(self, run: StrategyRun) -> StrategyDays:
        windows = self.windows
        width, starts = windows.window, windows.starts
        at = np.searchsorted(windows.days, starts)
        rows = (starts[:, None] + np.arange(width)).reshape(-1)
        orders, fit = [], []
        alone = not getattr(run.strategy, "elementwise", False)
        for first, place in zip(starts.tolist(), at.tolist(), strict=True):
            if alone:
                stretch = Stretch(first - windows.fit_days, first, first + width)
                decided = self._decided(run.strategy, stretch, keep=False)
                orders.append(decided.orders)
                fit.append(decided.fit)
            else:
                orders.append(part_of_orders(run.orders, place, place + width))
                fit.append(run.fit.part(place, place + width))
        market = self.inputs.market(rows, width)
        accounts = range(0, len(rows), width)
        return evaluate(
            joined_orders(orders), _joined_fits(fit), market, self.book,
            accounts=accounts, cap=self.settings.volume_cap,
        )  # fmt: skip

    def _decided(self, strategy: Strategy, stretch: Stretch, *, keep: bool = True) -> _Decided:
        """The orders of a stretch and its offsets; `keep` these for the next evaluation."""
        # What is not fitted decides for the evaluated days alone, so that a state it carries starts
        # at the same day whichever strategies run beside it.
        start = stretch.first_fit if strategy.fitted else stretch.first
        settings = self.settings
        view = self.inputs.view(start, stretch.stop, settings.aggregate, settings.long_only)
        orders = checked_orders(_asked(strategy, view), view.dates, settings.long_only)
        if self.check and keep and not type(strategy).__module__.startswith("marketsim."):
            self._probe(strategy, orders, start, view.dates)
        if settings.execution is not None and isinstance(orders, Hold):
            orders = replace(orders, execution=settings.execution)
        fitted = isinstance(orders, LimitOrders) and as_flag("fitted", orders.fitted)
        if fitted != strategy.fitted:
            raise ArgumentError(f"fitted is {strategy.fitted}, but its orders say otherwise")
        mine = part_of_orders(orders, stretch.first - start, stretch.stop - start)
        if not (isinstance(orders, LimitOrders) and fitted):
            return _Decided(orders, mine, Fit.none(stretch.stop - stretch.first))
        return _Decided(orders, mine, self._fit(orders, start, stretch, keep))

    def _probe(
        self, strategy: Strategy, orders: Orders, start: int, dates: npt.NDArray[np.datetime64]
    ) -> None:
        """Refuse a strategy whose first orders change when it is asked without the last bars.

        Only what a view holds can be tried here; `marketsim.check_lookahead` changes the bars.
        """
        settings = self.settings
        count = len(dates)
        for size in probe_sizes(count):
            view = self.inputs.view(start, start + size, settings.aggregate, settings.long_only)
            try:
                found = checked_orders(_asked(strategy, view), view.dates, settings.long_only)
            except MarketsimError as error:
                warnings.warn(
                    f"strategy {strategy.name!r} could not be checked for look-ahead: it fails "
                    f"for the first {size} of {count} bars alone ({error}); check=False leaves "
                    "the check out",
                    LookaheadWarning,
                    stacklevel=2,
                )
                return
            expected = part_of_orders(orders, 0, size)
            if not same_orders(expected, found):
                left_out = count - size
                raise LookaheadError(_leak(strategy.name, expected, found, dates, left_out))

    def _fit(self, orders: LimitOrders, start: int, stretch: Stretch, keep: bool) -> Fit:
        book = self.book
        key = (
            start, stretch, book.fill, book.costs, book.bounds, book.offset_window, book.long_only,
            orders.always_on, self.settings.volume_cap,
        )  # fmt: skip

        def made() -> Fit:
            market = self.inputs.market(np.arange(start, stretch.stop))
            most = most_value(market.value, self.settings.volume_cap)
            return fit_offsets(orders, market, stretch.stop - stretch.first, book, most)

        if not keep:
            return made()
        found: Fit = self.inputs.fit(key, orders, same_orders, made)
        return found

    @property
    def book(self) -> Rulebook:
        """How orders are filled and charged."""
        settings = self.settings
        return Rulebook(
            fill=settings.fill,
            costs=settings.costs,
            long_only=settings.long_only,
            offset_window=self.windows.offset_window,
            bounds=settings.offset_bounds,
            device=self.device,
        )


def probe_sizes(count: int) -> list[int]:
    """How many first bars a strategy is asked for alone, of `count`.

    All are small: each costs a call and little more, and what reads one bar too many shows at any.
    Together they are less than the bars of a short run, and a tenth of those of a long one.
    """
    sizes = {3, 4, 5, 6, 7, 9, 11, 13}
    if count > 300:
        sizes = {4, 5, 7, 9, 12, 15, 19, 24, 30, count // 20}
    return sorted(size for size in sizes if size < count)


def _asked(strategy: Strategy, view: DecisionView) -> Orders:
    """What a strategy orders; its failure names it and the bars."""
    try:
        return strategy.decide(view)
    except MarketsimError:
        raise
    except Exception as error:
        raise StrategyError(
            f"strategy {strategy.name!r} failed in decide for the {len(view)} bars from "
            f"{str(view.dates[0])[:19]} to {str(view.dates[-1])[:19]}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _leak(
    name: str, expected: Orders, found: Orders, dates: npt.NDArray[np.datetime64], left_out: int
) -> str:
    """What changed first in the orders of a strategy, in words."""
    advice = "; ms.check_lookahead names the bars that it reads, check=False runs it all the same"
    what = f"strategy {name!r} looks ahead: without the last {left_out} bars it orders "
    if type(expected) is not type(found):
        return f"{what}{type(found).__name__} instead of {type(expected).__name__}{advice}"
    for field in fields(expected):
        before, after = getattr(expected, field.name), getattr(found, field.name)
        differs = np.atleast_1d(np.asarray(before) != np.asarray(after))
        if differs.any():
            bar = int(differs.argmax())
            values = [np.atleast_1d(np.asarray(v))[bar] for v in (before, after)]
            when = str(dates[bar])[:19]
            return f"{what}{field.name} {values[1]} instead of {values[0]} for {when}{advice}"
    return f"{what}something else{advice}"


class _Decided(NamedTuple):
    """Orders of a stretch from the first day fitted on, those of its own days, and their fit."""

    last: Orders
    orders: Orders
    fit: Fit


def _joined_fits(parts: list[Fit]) -> Fit:
    if len(parts) == 1:
        return parts[0]
    return Fit(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
