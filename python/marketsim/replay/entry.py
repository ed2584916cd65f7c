"""Replay a strategy bar by bar: signals, targets, or a function that is called after each bar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_flag
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError, StrategyError
from marketsim.replay.account import Account, Fill, simple_account
from marketsim.replay.arrays import BarsLike, arrays_of
from marketsim.replay.checks import (
    Direction,
    Flags,
    Unit,
    feature_columns,
    signal_arguments,
    target_argument,
)
from marketsim.replay.compiled import Buffers, OnBar, callback, compiled, plain, row_type
from marketsim.replay.failures import named, not_compiled, order_error
from marketsim.replay.result import ReplayResult


def replay(
    bars: BarsLike,
    entries: Flags,
    exits: Flags,
    *,
    fee_bps: float = 0.0,
    slippage_bps: float = 0.0,
    fill: Fill = "next_open",
    direction: Direction = "long",
    cash: float = 10_000.0,
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
    account: Account | None = None,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> ReplayResult:
    """Replay entries and exits given as flags, one a bar.

    A flag of bar t is a decision after bar t has closed: its order fills at the open of bar t + 1,
    or with `fill="same_close"` at the close of bar t. A bar with both an entry and an exit closes
    what is held, or enters where nothing is.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        entries, exits: truth values [bar].
        fee_bps: fee of every fill in basis points of the value traded.
        slippage_bps: half spread and slippage of market and stop fills, in basis points.
        fill: "next_open" or "same_close".
        direction: "long" or "short" says which side `entries` opens; "both": `entries` opens long
            and closes short, `exits` opens short and closes long, or as `short_entries` and
            `short_exits` say where they are given.
        cash: at the start.
        short_entries, short_exits: truth values [bar], for `direction="both"`.
        size: of an entry, one number or one a bar (NaN or 0: no entry), above 0; see
            `marketsim.replay.sizing` for volatility targets and fixed risk.
        size_unit: of `size`: "equity" (fraction of the equity), "units" or "cash".
        stop_loss, take_profit: distance of an exit from the price at entry as a fraction, one
            number or the one known after each bar (NaN: no entry); None for none.
        trailing_stop: the same from the best price since the entry.
        trailing_distance: distance of a trailing stop in price [bar], such as 3 times the ATR: the
            stop moves by the one known after each bar, never back (NaN: no entry, no move).
        cooldown: bars after an exit without entries.
        time_stop: closes a position after so many bars; 0 never.
        account: everything else; its cash, fee_bps, slippage_bps and fill are then used, and the
            arguments of these names must not be given.
        split: new shares for one old, from the open of that bar on [bar]; 1 where none.
        dividend: cash a share, paid to who holds at that open [bar].
        intraday: finer bars of the same instrument; where a bar has some, they decide the order of
            events inside it. Timestamps are those of opens, for both.

    Returns:
        `ReplayResult`: `.equity`, `.trades`, `.fills`, `.orders`, `.metrics`, `.summary()`.

    Raises:
        ArgumentError: lengths that differ from the bars', values out of range.
        UnknownNameError: no such fill, direction or unit.

    Example:
        >>> import marketsim as ms
        >>> from marketsim.replay import replay
        >>> bars = ms.demo_bars()  # doctest: +SKIP
        >>> up = bars.close > bars.open  # doctest: +SKIP
        >>> replay(bars, up, ~up, fee_bps=10).metrics["trades"]  # doctest: +SKIP
    """
    if account is None:
        account = simple_account(cash, fee_bps, slippage_bps, fill)
    elif (cash, fee_bps, slippage_bps, fill) != (10_000.0, 0.0, 0.0, "next_open"):
        raise ArgumentError("cash, fee_bps, slippage_bps and fill: state them in account= alone")
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    signals = signal_arguments(
        bars, entries, exits, direction=direction, short_entries=short_entries,
        short_exits=short_exits, size=size, size_unit=size_unit, stop_loss=stop_loss,
        take_profit=take_profit, trailing_stop=trailing_stop, trailing_distance=trailing_distance,
        cooldown=cooldown, time_stop=time_stop,
    )  # fmt: skip
    arrays = arrays_of(bars, account, split, dividend, trailing_distance, intraday)
    run = _core.replay_signals(arrays, account.compiled, _core.ReplaySignals(*signals))
    return _result(bars, run, account, split, dividend)


def replay_targets(
    bars: BarsLike,
    target: npt.ArrayLike,
    *,
    unit: Literal["equity", "units"] = "equity",
    account: Account | None = None,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> ReplayResult:
    """Replay target positions: after bar t the position is traded to `target[t]`.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        target: [bar]; below 0 is short, NaN keeps what is held.
        unit: "equity": the target is a fraction of the equity when it fills; "units".
        account: cash, costs and rules.
        split, dividend, intraday: as for `replay`.

    Raises:
        ArgumentError: a length that differs from the bars', an infinite target.
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    account = Account() if account is None else account
    wanted = target_argument(bars, target, unit)
    arrays = arrays_of(bars, account, split, dividend, None, intraday)
    run = _core.replay_targets(arrays, account.compiled, wanted, unit == "equity")
    return _result(bars, run, account, split, dividend)


def replay_strategy(
    bars: BarsLike,
    on_bar: OnBar,
    features: Mapping[str, npt.ArrayLike] | None = None,
    *,
    account: Account | None = None,
    jit: bool = True,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    trailing_distance: npt.ArrayLike | None = None,
    intraday: BarsLike | None = None,
) -> ReplayResult:
    """Replay a function that is called after each bar, compiled by Numba into the engine's loop.

    `on_bar(state, bar, features, orders)` sees the account (`state.position`, `.equity`, `.cash`,
    `.average_price`, `.open_profit`, `.entry_bar`, `.orders`; `state.user` are 32 numbers of its
    own, 0 at the start), the bar that has just closed (`bar.index`, `.open`, ... `.volume`), that
    bar's row of features by name, and writes orders with the functions of
    `marketsim.replay.orders`. It is handed nothing of any later bar.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        on_bar: the strategy.
        features: numbers [bar] by name.
        account: cash, costs and rules.
        jit: False calls it as plain Python, for a debugger and `print`; the results are the same.
        split, dividend: as for `replay`.

    Raises:
        StrategyError: the function raised; names the bar and its time, with its own error as cause.
        OrderError: it asked for what is no order; names the bar, the order and what is expected.
        ArgumentError: features whose length differs from the bars'.
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    account = Account() if account is None else account
    columns = feature_columns(bars, features or {})
    buffers = Buffers()
    arrays = arrays_of(bars, account, split, dividend, trailing_distance, intraday)
    settings = account.compiled
    if not as_flag("jit", jit):
        run = _run_plain(bars, on_bar, columns, buffers, arrays, settings)
        return _result(bars, run, account, split, dividend, columns)
    try:
        code = compiled(on_bar, row_type(columns))
    except Exception as error:
        raise not_compiled(error, columns) from error
    run = _core.replay_strategy(
        arrays,
        settings,
        code.address,
        list(columns.values()),
        buffers.raw("state"),
        buffers.raw("requests"),
    )
    if run.ended == 1:
        # Compiled code cannot hand its error over: the same bars in Python raise it again.
        _run_plain(bars, on_bar, columns, Buffers(), arrays, settings)
        raise StrategyError(f"on_bar raised after {named(bars, run.refusal[0])}, compiled only")
    if run.ended == 2:
        raise order_error(bars, run.refusal, buffers.requests)
    return _result(bars, run, account, split, dividend, columns)


def _run_plain(
    bars: Bars,
    on_bar: OnBar,
    columns: Mapping[str, npt.NDArray[np.float64]],
    buffers: Buffers,
    arrays: _core.ReplayBars,
    settings: _core.ReplaySettings,
) -> _core.ReplayRun:
    try:
        run = _core.replay_callback(
            arrays,
            settings,
            callback(plain(on_bar), columns, buffers),
            buffers.raw("state"),
            buffers.raw("bar"),
            buffers.raw("requests"),
        )
    except Exception as error:
        where = named(bars, int(buffers.bar[0]["index"]))
        name = type(error).__name__
        raise StrategyError(f"on_bar raised {name} after {where}: {error}") from error
    if run.ended == 2:
        raise order_error(bars, run.refusal, buffers.requests)
    return run


def _result(
    bars: Bars,
    run: _core.ReplayRun,
    account: Account,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    features: Mapping[str, npt.NDArray[np.float64]] | None = None,
) -> ReplayResult:
    paid = tuple(None if v is None else np.asarray(v, np.float64) for v in (dividend, split))
    return ReplayResult(bars, run, account, features, paid)  # type: ignore[arg-type]
