"""What one instrument of a shared account does: what `replay_symbols` takes for each symbol.

from marketsim.replay import Account, plans, replay_symbols
from marketsim.replay.rules import sma_cross

replay_symbols(
{bars.symbol: plans.signals(bars, *sma_cross(bars), size=0.1) for bars in some},
account=Account(fee_bps=5),
max_positions=10,
)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_flag
from marketsim.bars import Bars, read_bars
from marketsim.errors import StrategyError
from marketsim.replay.account import Account
from marketsim.replay.arrays import BarsLike, arrays_of
from marketsim.replay.checks import (
    Direction,
    Flags,
    Unit,
    feature_columns,
    signal_arguments,
    target_argument,
)
from marketsim.replay.compiled import Buffers, Compiled, OnBar, callback, compiled, plain, row_type
from marketsim.replay.failures import named, not_compiled

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plan:
    """What one instrument does; made by `signals`, `targets` and `strategy`.

    Attributes:
        bars: of the instrument.
        split, dividend, trailing_distance, intraday: as for `replay`.
        decides: the arguments of the engine that say when and what it orders.
    """

    bars: Bars
    decides: _Signals | _Targets | _Strategy
    split: npt.ArrayLike | None = None
    dividend: npt.ArrayLike | None = None
    trailing_distance: npt.ArrayLike | None = None
    intraday: BarsLike | None = None

    def leg(self, name: str, account: Account, run: Run) -> _core.ReplayLeg:
        """The same for the engine, in one run of many."""
        arrays = arrays_of(
            self.bars, account, self.split, self.dividend, self.trailing_distance, self.intraday
        )
        times = self.bars.timestamps.view(np.int64)
        return self.decides.leg(_Place(name, self.bars, arrays, times), run)


class Run:
    """What the strategies of one run share: the memory of requests, and code that stays loaded.

    Args:
        jit: False calls them as plain Python.
    """

    def __init__(self, *, jit: bool = True) -> None:
        self.jit = jit
        self.buffers = Buffers()
        self._codes: dict[tuple[int, tuple[str, ...]], Compiled] = {}

    def code(self, on_bar: OnBar, columns: Mapping[str, Floats]) -> Compiled:
        """Machine code, made once for each function and names of features."""
        key = (id(on_bar), tuple(columns))
        if key not in self._codes:
            try:
                self._codes[key] = compiled(on_bar, row_type(dict(columns)))
            except Exception as error:
                raise not_compiled(error, columns) from error
        return self._codes[key]


class _Place(NamedTuple):
    """Where a plan is carried out."""

    name: str
    bars: Bars
    arrays: _core.ReplayBars
    times: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Signals:
    values: tuple[Any, ...]

    def leg(self, at: _Place, run: Run) -> _core.ReplayLeg:
        return _core.replay_signals_leg(at.arrays, at.times, _core.ReplaySignals(*self.values))


@dataclass(frozen=True, eq=False)
class _Targets:
    target: Floats
    fraction: bool

    def leg(self, at: _Place, run: Run) -> _core.ReplayLeg:
        return _core.replay_targets_leg(at.arrays, at.times, self.target, self.fraction)


@dataclass(frozen=True, eq=False)
class _Strategy:
    on_bar: OnBar
    columns: dict[str, Floats]
    jit: bool

    def leg(self, at: _Place, run: Run) -> _core.ReplayLeg:
        own = Buffers(run.buffers.requests)
        state, requests = own.raw("state"), own.raw("requests")
        if not (self.jit and run.jit):
            called = _naming(callback(plain(self.on_bar), self.columns, own), at)
            return _core.replay_callback_leg(
                at.arrays, at.times, called, state, own.raw("bar"), requests
            )
        address = run.code(self.on_bar, self.columns).address
        features = list(self.columns.values())
        return _core.replay_strategy_leg(at.arrays, at.times, address, features, state, requests)


def _naming(called: Callable[[int], None], at: _Place) -> Callable[[int], None]:
    """The same, with the symbol and the bar in what it raises."""

    def call(t: int) -> None:
        try:
            called(t)
        except Exception as error:
            where = f"{named(at.bars, t)} of {at.name}"
            raise StrategyError(
                f"on_bar raised {type(error).__name__} after {where}: {error}"
            ) from error

    return call


def signals(
    bars: BarsLike,
    entries: Flags,
    exits: Flags,
    *,
    direction: Direction = "long",
    short_entries: Flags | None = None,
    short_exits: Flags | None = None,
    size: npt.ArrayLike = 1.0,
    size_unit: Unit = "equity",
    stop_loss: npt.ArrayLike | None = None,
    take_profit: npt.ArrayLike | None = None,
    trailing_stop: float | None = None,
    trailing_distance: npt.ArrayLike | None = None,
    cooldown: int = 0,
    time_stop: int = 0,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> Plan:
    """Enter and leave by flags, one a bar; arguments as of `replay`.

    A size in "equity" is a fraction of the equity of the whole account.

    Example:
        >>> import marketsim as ms
        >>> bars = ms.demo_bars()
        >>> up = bars.close > bars.open
        >>> signals(bars, up, ~up, size=0.1).bars is bars
        True
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    values = signal_arguments(
        bars, entries, exits, direction=direction, short_entries=short_entries,
        short_exits=short_exits, size=size, size_unit=size_unit, stop_loss=stop_loss,
        take_profit=take_profit, trailing_stop=trailing_stop, trailing_distance=trailing_distance,
        cooldown=cooldown, time_stop=time_stop,
    )  # fmt: skip
    return Plan(bars, _Signals(values), split, dividend, trailing_distance, intraday)


def targets(
    bars: BarsLike,
    target: npt.ArrayLike,
    *,
    unit: Literal["equity", "units"] = "equity",
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> Plan:
    """Trade to `target[t]` after bar t; arguments as of `replay_targets`.

    A target in "equity" is a fraction of the equity of the whole account: what is left of it after
    the costs of all the trades to such targets at that open, or close.

    Example:
        >>> import numpy as np
        >>> import marketsim as ms
        >>> bars = ms.demo_bars()
        >>> targets(bars, np.full(len(bars), 0.1)).bars is bars
        True
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    decides = _Targets(target_argument(bars, target, unit), unit == "equity")
    return Plan(bars, decides, split, dividend, None, intraday)


def strategy(
    bars: BarsLike,
    on_bar: OnBar,
    features: Mapping[str, npt.ArrayLike] | None = None,
    *,
    jit: bool = True,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    trailing_distance: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> Plan:
    """Call a function after each bar of the instrument; arguments as of `replay_strategy`.

    Its `state.cash` and `state.equity` are those of the whole account, everything else in `state`
    is of this instrument.

    Example:
        >>> import marketsim as ms
        >>> bars = ms.demo_bars()
        >>> strategy(bars, lambda state, bar, features, orders: None, jit=False).bars is bars
        True
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    columns = feature_columns(bars, features or {})
    decides = _Strategy(on_bar, columns, as_flag("jit", jit))
    return Plan(bars, decides, split, dividend, trailing_distance, intraday)
