"""Replay orders on many symbols that share one account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_number, check_whole
from marketsim.errors import ArgumentError, StrategyError
from marketsim.replay.account import Account
from marketsim.replay.failures import named, order_error
from marketsim.replay.plans import Plan, Run
from marketsim.replay.symbols_result import SymbolsResult


def replay_symbols(
    plans: Mapping[str, Plan],
    *,
    account: Account | None = None,
    max_positions: int | None = None,
    max_weight: float | None = None,
) -> SymbolsResult:
    """Replay what each symbol does, all of them in one account.

    Symbols may have bars at different times, of one length: each is moved at the times of its own,
    and valued at its last price in between. Orders, tickets, groups and numbers of bars are those
    of one symbol; cash, equity, leverage and margin are those of the account. One symbol alone
    gives what `replay` gives, to the last bit.

    In each bar, in this order, and each for all symbols in the order of `plans`: splits and
    dividends; financing and borrow; orders that the open is beyond; orders inside the bar; orders
    for the close; the valuation at the close and the margin check; decisions, whose market orders
    fill at this close with `fill="same_close"`. At the open and at the close those symbols come
    first whose first order makes their position smaller, so that what is sold pays for what is
    bought. Inside the bar the other symbols are worth their open, or their last fill.

    Args:
        plans: what each symbol does, by symbol; see `marketsim.replay.plans`.
        account: cash, costs and rules. `leverage` limits the sum of the sizes of all positions;
            where the equity falls below `maintenance` of that sum at a close, the largest
            positions are closed until it does not.
        max_positions: symbols held at once; an order that would open one more is refused. None for
            any number.
        max_weight: largest value of one position over the equity when it grows; an order beyond it
            is refused. None for any.

    Raises:
        ArgumentError: no plans, bars of different time zones or lengths, limits out of range.
        StrategyError: a function raised; names the symbol, the bar and its time.
        OrderError: it asked for what is no order; names the symbol and the bar.

    Example:
        >>> import marketsim as ms
        >>> from marketsim.replay import plans
        >>> bars = ms.demo_bars()
        >>> up = bars.close > bars.open
        >>> result = replay_symbols({"A": plans.signals(bars, up, ~up, size=0.5)})
        >>> result.symbols
        ('A',)
    """
    account = Account() if account is None else account
    if not isinstance(account, Account):
        raise ArgumentError(f"account must be an Account: got {type(account).__name__}")
    _check_plans(plans)
    positions = 0 if max_positions is None else check_whole("max_positions", max_positions, 1)
    weight = 0.0 if max_weight is None else as_number("max_weight", max_weight)
    if max_weight is not None and not (np.isfinite(weight) and weight > 0.0):
        raise ArgumentError(f"max_weight must be finite and above 0: got {max_weight!r}")
    times, index = _times(plans)
    limits = (times, positions, weight)
    together = Run()
    run = _run(plans, account, together, limits)
    if run.ended == 1:
        # Compiled code cannot hand its error over: the same bars in Python raise it again.
        _run(plans, account, Run(jit=False), limits)
        leg, bar, *_ = run.refusal
        of = list(plans)[leg]
        where = f"{named(plans[of].bars, bar)} of {of}"
        raise StrategyError(f"on_bar raised after {where}, compiled only")
    if run.ended == 2:
        leg, bar, request, defect = run.refusal
        of = list(plans)[leg]
        raise order_error(
            plans[of].bars, (bar, request, defect), together.buffers.requests, f" of {of}"
        )
    bars = {symbol: plan.bars for symbol, plan in plans.items()}
    paid = {symbol: (plan.dividend, plan.split) for symbol, plan in plans.items()}
    return SymbolsResult(bars, run, account, index, paid)


def _check_plans(plans: Any) -> None:
    if not isinstance(plans, Mapping) or not plans:
        raise ArgumentError(
            "plans must have at least one symbol, such as {'AAPL': plans.signals(bars, entries, "
            f"exits)}}: got {type(plans).__name__}"
        )
    for symbol, plan in plans.items():
        if not isinstance(symbol, str) or not isinstance(plan, Plan):
            raise ArgumentError(
                f"plans must be Plans by symbol, see marketsim.replay.plans: got {symbol!r} with "
                f"{type(plan).__name__}"
            )


def _run(
    plans: Mapping[str, Plan],
    account: Account,
    together: Run,
    limits: tuple[npt.NDArray[np.int64], int, float],
) -> _core.SharedRun:
    legs = [plan.leg(symbol, account, together) for symbol, plan in plans.items()]
    return _core.replay_shared(legs, account.compiled, *limits)


def _times(plans: Mapping[str, Plan]) -> tuple[npt.NDArray[np.int64], pd.DatetimeIndex]:
    """Every time at which a symbol has a bar, and the same as an index."""
    bars = [plan.bars for plan in plans.values()]
    zones = {some.timezone for some in bars}
    if len(zones) > 1:
        raise ArgumentError(
            f"all symbols must have their times in one time zone: got {', '.join(sorted(zones))}"
        )
    index: Any = bars[0].frame.index
    times = [some.timestamps.view(np.int64) for some in bars]
    if all(np.array_equal(some, times[0]) for some in times[1:]):
        return times[0], index
    _check_lengths(dict(zip(plans, times, strict=True)))
    found = np.unique(np.concatenate(times))
    stamps = pd.DatetimeIndex(found.view("M8[ns]"), name=index.name)
    return found, stamps.tz_localize("UTC").tz_convert(index.tz)


def _check_lengths(times: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Refuse bars of different lengths: the close of a day would be known in its first hour."""
    lengths = {s: int(np.diff(some).min()) for s, some in times.items() if len(some) >= 8}
    if not lengths:
        return
    shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    if 2 * lengths[longest] > 3 * lengths[shortest]:
        seconds = [f"{lengths[s] / 1e9:,.0f} s" for s in (shortest, longest)]
        raise ArgumentError(
            f"all symbols must have bars of one length: got {seconds[0]} of {shortest} and "
            f"{seconds[1]} of {longest}; give finer bars as intraday= of a plan"
        )
