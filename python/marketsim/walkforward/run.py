"""Run strategies on the bars of a prepared run, under one set of rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np

from marketsim.arguments import as_flag
from marketsim.errors import (
    ArgumentError,
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
    orders_at,
    part_of_orders,
    same_orders,
)
from marketsim.walkforward.inputs import RunInputs
from marketsim.walkforward.limits import Fit, Rulebook, fit_offsets
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.probe import probe_strategy
from marketsim.walkforward.settings import Settings, most_value
from marketsim.walkforward.windows import Stretch, Windows

Result = TypeVar("Result")


class _Persistence:
    """Baseline: position by the sign of the previous bar's return."""

    name, targets, fitted, elementwise = "persistence", (), False, True

    def decide(self, view: DecisionView) -> Hold:
        return Hold(view.allowed(np.sign(view.last_return)))


class _Flat:
    """Baseline: no position, the decision of a random-walk forecast."""

    name, targets, fitted, elementwise = "random_walk", (), False, True

    def decide(self, view: DecisionView) -> Hold:
        return Hold(np.zeros(len(view)))


BASELINE_STRATEGIES: tuple[Strategy, ...] = (BuyAndHold(), _Persistence(), _Flat())


class StrategyRun(NamedTuple):
    """Orders and outcome of one strategy on all evaluated bars.

    Attributes:
        strategy: the strategy.
        last: its orders for the last of `Windows.stretches`, from the first bar of the fit on.
        orders: its orders for the evaluated bars.
        fit: offsets of these bars.
        outcome: outcome of these orders as one path.
    """

    strategy: Strategy
    last: Orders
    orders: Orders
    fit: Fit
    outcome: StrategyDays


@dataclass(frozen=True)
class Run:
    """Evaluation of strategies on the bars of a prepared run, under one set of rules.

    Attributes:
        inputs: decision views and market moves.
        windows: windows of the simulations.
        settings: fill policy, costs and limits.
        device: device that fits offsets.
    """

    inputs: RunInputs
    windows: Windows
    settings: Settings
    device: str
    check: bool = True  # probe strategies that are not built in for look-ahead

    def of(self, strategy: Strategy) -> StrategyRun:
        """Run a strategy on the evaluated bars as one path; bars after a gap start flat."""
        return self._named(strategy, lambda: self._path(strategy))

    def decisions(self, strategy: Strategy) -> tuple[Orders, Fit]:
        """Return the orders of the last of `Windows.stretches` and their offsets, without fills."""
        found = self._named(strategy, lambda: self._decide(strategy, self.windows.stretches[-1]))
        return found.orders, found.fit

    def simulated(self, run: StrategyRun) -> StrategyDays:
        """Run each simulation on its own; outcomes concatenated, [simulation * window].

        Each starts flat and closes its position at its end, independent of other simulations.
        """
        return self._named(run.strategy, lambda: self._simulations(run))

    def _named(self, strategy: Strategy, work: Callable[[], Result]) -> Result:
        try:
            with stage("strategies"):
                return work()
        except ArgumentError as error:
            raise ArgumentError(f"strategy {strategy.name!r}: {error}") from error

    def _path(self, strategy: Strategy) -> StrategyRun:
        parts = [self._decide(strategy, stretch) for stretch in self.windows.stretches]
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
        if getattr(run.strategy, "elementwise", False):
            places = (at[:, None] + np.arange(width)).reshape(-1)
            orders, fit = orders_at(run.orders, places), run.fit.at(places)
        else:
            decided = [
                self._decide(
                    run.strategy,
                    Stretch(first - windows.fit_days, first, first + width),
                    keep=False,
                )
                for first in starts.tolist()
            ]
            orders = joined_orders([one.orders for one in decided])
            fit = _joined_fits([one.fit for one in decided])
        market = self.inputs.market(rows, width)
        accounts = range(0, len(rows), width)
        return evaluate(
            orders, fit, market, self.book, accounts=accounts, cap=self.settings.volume_cap
        )

    def _decide(self, strategy: Strategy, stretch: Stretch, *, keep: bool = True) -> _Decided:
        """Return the orders and offsets of a stretch; `keep` caches the offsets."""
        # Strategies without a fit decide for the evaluated bars alone: their state starts at the
        # same bar whichever strategies run beside them.
        start = stretch.first_fit if strategy.fitted else stretch.first
        settings = self.settings
        view = self.inputs.view(start, stretch.stop, settings.aggregate, settings.long_only)
        orders = checked_orders(_call(strategy, view), view.dates, settings.long_only)
        if self.check and keep and not type(strategy).__module__.startswith("marketsim."):
            self._probe(strategy, orders, view)
        if settings.execution is not None and isinstance(orders, Hold):
            orders = replace(orders, execution=settings.execution)
        fitted = isinstance(orders, LimitOrders) and as_flag("fitted", orders.fitted)
        if fitted != strategy.fitted:
            raise ArgumentError(
                f"fitted is {strategy.fitted}, but decide returned orders with fitted={fitted}; "
                "make them equal"
            )
        own = orders
        if start < stretch.first:
            own = part_of_orders(orders, stretch.first - start, stretch.stop - start)
        if not (isinstance(orders, LimitOrders) and fitted):
            return _Decided(orders, own, Fit.none(stretch.stop - stretch.first))
        return _Decided(orders, own, self._fit(orders, start, stretch, keep))

    def _probe(self, strategy: Strategy, orders: Orders, view: DecisionView) -> None:
        count = len(view)
        alone = not getattr(strategy, "elementwise", False)
        asked = count + alone * len(self.windows.starts) * self.windows.window
        probe_strategy(
            strategy.name, lambda part: _call(strategy, part), orders, view, asked,
            self.settings.long_only,
        )  # fmt: skip

    def _fit(self, orders: LimitOrders, start: int, stretch: Stretch, keep: bool) -> Fit:
        book = self.book
        key = (
            start, stretch, book.fill, book.costs, book.bounds, book.offset_window, book.long_only,
            orders.always_on, self.settings.volume_cap,
        )  # fmt: skip

        def compute() -> Fit:
            market = self.inputs.market(np.arange(start, stretch.stop))
            most = most_value(market.value, self.settings.volume_cap)
            return fit_offsets(orders, market, stretch.stop - stretch.first, book, most)

        if not keep:
            return compute()
        found: Fit = self.inputs.fit(key, orders, same_orders, compute)
        return found

    @property
    def book(self) -> Rulebook:
        """Rules of fills, costs and fits."""
        settings = self.settings
        return Rulebook(
            fill=settings.fill,
            costs=settings.costs,
            long_only=settings.long_only,
            offset_window=self.windows.offset_window,
            bounds=settings.offset_bounds,
            device=self.device,
        )


def _call(strategy: Strategy, view: DecisionView) -> Orders:
    """Call `decide`; on failure raise StrategyError with the strategy's name and the bars."""
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


class _Decided(NamedTuple):
    """Orders of a stretch: `last` from the first bar of the fit, `orders` of its own bars."""

    last: Orders
    orders: Orders
    fit: Fit


def _joined_fits(parts: list[Fit]) -> Fit:
    if len(parts) == 1:
        return parts[0]
    return Fit(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
