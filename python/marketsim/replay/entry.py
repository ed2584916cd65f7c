"""Replay a strategy bar by bar: signals, targets, or a function that is called after each bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_flag, as_number, as_numbers, check_whole
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError, OrderError, StrategyError, UnknownNameError
from marketsim.replay.account import Account, Fill, simple_account
from marketsim.replay.arrays import BarsLike, arrays_of, by_bar
from marketsim.replay.compiled import Buffers, OnBar, callback, compiled, plain, row_type
from marketsim.replay.records import OrderKind, SizeUnit
from marketsim.replay.result import ReplayResult

Flags = npt.ArrayLike
Unit = Literal["equity", "units", "cash"]

SIZE_UNITS = {
    "equity": int(SizeUnit.EQUITY),
    "units": int(SizeUnit.UNITS),
    "cash": int(SizeUnit.CASH),
}
_NAN = float("nan")


def replay(
    bars: BarsLike,
    entries: Flags,
    exits: Flags,
    *,
    fee_bps: float = 0.0,
    slippage_bps: float = 0.0,
    fill: Fill = "next_open",
    direction: Literal["long", "short", "both"] = "long",
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
    long_entry, long_exit, short_entry, short_exit = _sides(
        direction, entries, exits, short_entries, short_exits
    )
    if size_unit not in SIZE_UNITS:
        raise UnknownNameError("size_unit", size_unit, SIZE_UNITS)
    quantity, quantities = _sizes(bars, size)
    stop_loss, stop_losses = _distances(bars, "stop_loss", stop_loss)
    take_profit, take_profits = _distances(bars, "take_profit", take_profit)
    if trailing_stop is not None and trailing_distance is not None:
        raise ArgumentError("give trailing_stop= or trailing_distance=, not both")
    run = _core.replay_signals(
        arrays_of(bars, account, split, dividend, trailing_distance, intraday),
        account.compiled,
        _flags(bars, "entries", long_entry),
        _flags(bars, "exits", long_exit),
        _flags(bars, "short_entries", short_entry),
        _flags(bars, "short_exits", short_exit),
        SIZE_UNITS[size_unit],
        quantity,
        quantities,
        stop_loss,
        take_profit,
        _distance("trailing_stop", trailing_stop),
        stop_losses,
        take_profits,
        check_whole("cooldown", cooldown, 0),
        check_whole("time_stop", time_stop, 0),
    )
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
    if unit not in ("equity", "units"):
        raise UnknownNameError("unit", unit, ("equity", "units"))
    wanted = np.ascontiguousarray(as_numbers("target", by_bar(bars, "target", target), np.float64))
    if wanted.shape != (len(bars),):
        raise ArgumentError(f"target must have one number a bar ({len(bars)}): got {wanted.shape}")
    if np.isinf(wanted).any():
        raise ArgumentError(f"target must be finite or NaN: bar {np.isinf(wanted).argmax()} is not")
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
    columns = _feature_columns(bars, features or {})
    buffers = Buffers()
    arrays = arrays_of(bars, account, split, dividend, trailing_distance, intraday)
    settings = account.compiled
    if not as_flag("jit", jit):
        run = _run_plain(bars, on_bar, columns, buffers, arrays, settings)
        return _result(bars, run, account, split, dividend, columns)
    try:
        code = compiled(on_bar, row_type(columns))
    except Exception as error:
        first = " ".join(str(error).split("\n\n")[0].split())[:500]
        raise StrategyError(
            f"on_bar cannot be compiled by Numba: {type(error).__name__}: {first} (features: "
            f"{', '.join(columns) or 'none'}); jit=False runs it as plain Python"
        ) from error
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
        raise StrategyError(f"on_bar raised after {_named(bars, run.refusal[0])}, compiled only")
    if run.ended == 2:
        raise _order_error(bars, run, buffers)
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
        where = _named(bars, int(buffers.bar[0]["index"]))
        name = type(error).__name__
        raise StrategyError(f"on_bar raised {name} after {where}: {error}") from error
    if run.ended == 2:
        raise _order_error(bars, run, buffers)
    return run


_EXPECTED = {
    1: "a finite quantity above 0 (of reduce(): other than 0)",
    2: "a limit price above 0, for limit orders alone",
    3: "a finite stop price above 0, for stop orders alone",
    4: "one distance above 0 of a trailing stop (a fraction below 1), for trailing stops alone; "
    "without one, trailing_distance= [bar]",
    5: "a stop that the price has not passed yet: below it to sell, above it to buy",
    6: "an entry that is still working or asked for before, for an exit by a factor",
    7: "a number of bars of at least 0",
    8: "the ticket of an order that was asked for before",
    9: "a kind and size that go together (targets are market orders)",
    10: "a change of what the order has, to a price above 0 or a quantity of its own sign",
}


def _order_error(bars: Bars, run: _core.ReplayRun, buffers: Buffers) -> OrderError:
    bar, index, defect = run.refusal
    request = buffers.requests[index]
    kind = int(request["kind"])
    name = OrderKind(kind).name.lower() if 0 <= kind <= 4 else f"kind {kind}"
    values = ", ".join(
        f"{field}={request[field]:g}"
        for field in ("quantity", "limit", "stop", "trail", "trail_part")
        if field == "quantity" or not np.isnan(request[field])
    )
    return OrderError(
        f"order {index} after {_named(bars, bar)} is no order: got {name} with {values}; "
        f"expected {_EXPECTED[defect]}"
    )


def _named(bars: Bars, bar: int) -> str:
    return f"bar {bar} ({bars.frame.index[bar]})"


def _sides(
    direction: str,
    entries: Flags,
    exits: Flags,
    short_entries: Flags | None,
    short_exits: Flags | None,
) -> tuple[Flags | None, Flags | None, Flags | None, Flags | None]:
    if direction not in ("long", "short", "both"):
        raise UnknownNameError("direction", direction, ("long", "short", "both"))
    if direction != "both" and (short_entries is not None or short_exits is not None):
        raise ArgumentError(
            f'short_entries and short_exits need direction="both": got {direction!r}'
        )
    if direction == "long":
        return entries, exits, None, None
    if direction == "short":
        return None, None, entries, exits
    if short_entries is None and short_exits is None:
        return entries, exits, exits, entries
    return entries, exits, short_entries, short_exits


def _flags(bars: Bars, name: str, values: Flags | None) -> npt.NDArray[np.bool_] | None:
    if values is None:
        return None
    count, array = len(bars), np.asarray(by_bar(bars, name, values))
    if array.dtype == np.bool_ and array.shape == (count,) and array.flags.c_contiguous:
        return array
    if array.shape != (count,):
        raise ArgumentError(f"{name} must have one value a bar ({count}): got {array.shape}")
    if array.dtype != np.bool_:
        known = pd.notna(array).all() if array.dtype.kind == "O" else True
        if count and not (known and array.dtype.kind in "Oiu" and np.isin(array, (0, 1)).all()):
            raise ArgumentError(
                f"{name} must be truth values, one a bar: got dtype {array.dtype}"
                f"{'' if known else ' with missing values'}; compare first, such as fast > slow"
            )
        array = array.astype(np.bool_)
    return np.ascontiguousarray(array)


def _sizes(bars: Bars, size: Any) -> tuple[float, npt.NDArray[np.float64] | None]:
    """A size for all bars, or one a bar."""
    if isinstance(size, float) and math.isfinite(size) and size > 0.0:
        return float(size), None
    if np.ndim(size) == 0:
        number = as_number("size", size)
        if not (math.isfinite(number) and number > 0.0):
            raise ArgumentError(f"size must be finite and above 0: got {size!r}")
        return number, None
    sizes, count = as_numbers("size", by_bar(bars, "size", size), np.float64), len(bars)
    if np.isinf(sizes).any() or (sizes < 0.0).any():
        raise ArgumentError("size must be at least 0 and finite, or NaN for no entry, in each bar")
    if sizes.shape != (count,):
        raise ArgumentError(f"size must be one number or one a bar ({count}): got {sizes.shape}")
    return _NAN, np.ascontiguousarray(sizes)


def _distance(name: str, value: Any) -> float:
    if value is None:
        return _NAN
    number = as_number(name, value)
    if not 0.0 < number < 1.0:
        raise ArgumentError(f"{name} must lie in (0, 1), a fraction of the price: got {value}")
    return number


def _distances(
    bars: Bars, name: str, value: npt.ArrayLike | None
) -> tuple[float, npt.NDArray[np.float64] | None]:
    """A distance for all bars, or one a bar."""
    if value is None or isinstance(value, float) or np.ndim(value) == 0:
        return _distance(name, value), None
    count = len(bars)
    array = np.ascontiguousarray(as_numbers(name, by_bar(bars, name, value), np.float64))
    if array.shape != (count,):
        raise ArgumentError(
            f"{name} must be one number or one a bar ({count}): got shape {array.shape}"
        )
    bad = ~(np.isnan(array) | ((array > 0.0) & (array < 1.0)))
    if bad.any():
        raise ArgumentError(
            f"{name} must lie in (0, 1), a fraction of the price, or be NaN: got "
            f"{array[bad][0]:g} at bar {int(bad.argmax())}"
        )
    return _NAN, array


def _feature_columns(
    bars: Bars, features: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.NDArray[np.float64]]:
    """Features by name, checked, each contiguous [bar]."""
    for name in features:
        if not isinstance(name, str):
            raise ArgumentError(f"features are read as features.<name>: {name!r} is no such name")
    columns = {
        name: np.ascontiguousarray(
            as_numbers(f"feature {name!r}", by_bar(bars, f"feature {name!r}", values), np.float64)
        )
        for name, values in features.items()
    }
    count = len(bars)
    for name, values in columns.items():
        if not name.isidentifier() or iskeyword(name) or name.startswith("_"):
            raise ArgumentError(f"features are read as features.<name>: {name!r} is no such name")
        if values.shape != (count,):
            raise ArgumentError(
                f"feature {name!r} must have one number a bar ({count}): got shape {values.shape}"
            )
    return columns


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
