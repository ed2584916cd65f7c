"""Test user code for look-ahead: run it on changed and on shortened bars, and compare."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS, Bars, read_bars
from marketsim.errors import ArgumentError, NotEnoughBarsError
from marketsim.features import Pipeline
from marketsim.forecasts import ForecastPlan, run_plan
from marketsim.indicators.specs import SPECS
from marketsim.models import Model
from marketsim.replay import ReplayResult, replay_strategy
from marketsim.strategies import BarStrategy, Strategy, select_strategies
from marketsim.walkforward import walk_forward

_FIELDS = ("open", "high", "low", "close", "volume")
_SIMULATIONS = 120  # evaluated bars of a strategy: enough for every cut, few enough to be fast
_ATTEMPTS = 4
Outputs = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Leak:
    """Output that changed although only later rows changed.

    Attributes:
        output: name of the output.
        bar: row of the earliest value that changed.
        time: time of that bar.
        cut: first row that was changed or removed.
        fields: columns of the bars whose change alone changes the output.
        before, after: value on the original bars, and with later rows changed.
        test: "changed" or "removed" for later rows, "repeated" for a second run without a change.
    """

    output: str
    bar: int
    time: pd.Timestamp
    cut: int
    fields: tuple[str, ...]
    before: float
    after: float
    test: Literal["changed", "removed", "repeated"]

    def sentence(self) -> str:
        """Describe the leak in one line."""
        values = f"{self.before:.6g} became {self.after:.6g}"
        where = f"{self.output} at bar {self.bar} ({self.time})"
        if self.test == "repeated":
            return f"{where}: {values} on a second run of the same bars (state kept between runs?)"
        of = f" of {', '.join(self.fields)}" if self.fields else ""
        what = "were removed" if self.test == "removed" else "changed"
        return f"{where}: {values} when rows{of} from bar {self.cut} on {what}"


@dataclass(frozen=True)
class LookaheadReport:
    """Result of a check for look-ahead.

    Attributes:
        name: name of the checked code.
        leaks: earliest leak of each output and test; empty without leaks.
        cuts: rows at which the bars were changed and cut.
        values: number of finite values compared.
        reads: "current": bar t may read rows up to t; "before": rows before t only.
    """

    name: str
    leaks: tuple[Leak, ...]
    cuts: tuple[int, ...]
    values: int
    reads: str

    @property
    def ok(self) -> bool:
        """Whether no leak was found."""
        return not self.leaks

    def __str__(self) -> str:
        head = f"{self.name}: {len(self.cuts)} cuts, {self.values:,} values compared"
        if self.ok:
            return f"{head}, no look-ahead found"
        count = f"{len(self.leaks)} leak{'s' * (len(self.leaks) > 1)}"
        return "\n".join([f"{head}, {count}", *(f"  - {x.sentence()}" for x in self.leaks)])


def check_lookahead(
    subject: Any,
    bars: Bars | pd.DataFrame | str,
    *,
    reads: Literal["current", "before"] | None = None,
    model: str | Model = "range",
    cuts: int = 8,
    seed: int = 0,
) -> LookaheadReport:
    """Check that a strategy, model, indicator or function reads no future bar.

    At each of several cuts the rows from there on are changed, then removed, and the code runs
    again: values of earlier bars must stay the same, bit for bit. The same bars also run twice,
    which finds state that survives a run.

    Args:
        subject: one of

            - a `Strategy` or `BarStrategy`: its decisions in `walk_forward`;
            - a `Model`: its one-step forecasts;
            - a function `f(bars)` that returns numbers or truth values [bar]: one array, a tuple or
              a mapping of them, a Series, a frame, or a `ReplayResult` (its equity and position);
            - an indicator: a function of `marketsim.indicators`, or one whose arguments without
              default are columns of bars (`f(high, low, close, window=14)`), or `frame`;
            - a `marketsim.features.Pipeline`: its features, read as its `asof` says;
            - `on_bar(state, bar, features, orders)` of a replay: its position after each bar.
        bars: `Bars`, or any input of `read_bars`; at least 100.
        reads: rows that a function or an indicator may read at bar t: "current" (the default) rows
            up to t, for decisions after its close; "before" only rows before t, for decisions that
            act within bar t. Strategies and models are always checked for "before".
        model: model of the forecasts that a strategy uses.
        cuts: number of cuts, spread over the bars.
        seed: seed of the cuts and of the changes.

    Returns:
        `LookaheadReport`: `.ok`, `.leaks`; as text, one sentence per leak.

    Raises:
        ArgumentError: an unsupported subject, or a result without a finite value for each bar.
        NotEnoughBarsError: fewer than 100 bars.

    Example:
        >>> import marketsim as ms
        >>> bars = ms.demo_bars()
        >>> check_lookahead(lambda b: b.close / b.close.mean(), bars).ok
        False
        >>> check_lookahead(lambda b: ms.indicators.sma(b.close, 20), bars).ok
        True
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    if len(bars) < 100:
        raise NotEnoughBarsError(f"a check needs at least 100 bars: got {len(bars)}")
    if cuts < 1:
        raise ArgumentError(f"cuts must be at least 1: got {cuts}")
    name, run, allowed, first = _runner(subject, bars, model, reads)
    generator = np.random.default_rng(seed)
    base = run(bars)
    chosen = _cuts(base, first, len(bars), cuts, generator)
    values = sum(int(np.isfinite(column).sum()) for column in base.values())
    if values == 0:
        raise ArgumentError(
            f"{name} returns no finite value on these bars: give more bars to check it"
        )
    found: dict[tuple[str, str], Leak] = {}
    leaking: dict[str, list[int]] = {name: [] for name in base}  # cuts whose change shows

    def compare(other: Outputs, cut: int, test: Any, stop: int) -> None:
        for output, column in base.items():
            if output not in other:
                raise ArgumentError(
                    f"{name} must return the same outputs for any bars: {output!r} is missing when "
                    "later bars are changed or removed"
                )
            size = min(stop, len(other[output]))
            same = (column[:size] == other[output][:size]) | (
                np.isnan(column[:size]) & np.isnan(other[output][:size])
            )
            if same.all():
                continue
            if test == "changed":
                leaking[output].append(cut)
            bar = int((~same).argmax())
            known = found.get((output, test))
            if known is None or bar < known.bar:
                found[output, test] = Leak(
                    output, bar, bars.frame.index[bar], cut, (), float(column[bar]),
                    float(other[output][bar]), test,
                )  # fmt: skip

    compare(run(bars), len(bars), "repeated", len(bars))
    for i, cut in enumerate(chosen):
        # Values that act within bar `cut` may not read it either.
        stop = cut + 1 if allowed == "before" else cut
        compare(run(_changed(bars, cut, _FIELDS, generator, 1 - 2 * (i % 2))), cut, "changed", stop)
        compare(run(Bars(bars.frame.iloc[:cut], bars.symbol)), cut, "removed", cut)
    leaks = [
        _with_fields(leak, leaking[leak.output], base, bars, run, allowed, seed)
        for leak in found.values()
    ]
    leaks.sort(key=lambda leak: (leak.bar, leak.output))
    return LookaheadReport(name, tuple(leaks), tuple(chosen), values, allowed)


def _cuts(
    base: Outputs, first: int, count: int, cuts: int, generator: np.random.Generator
) -> list[int]:
    """Choose rows spread over first .. count - 1, and the last: next to values that change.

    A decision that stays the same for long would hide most of what it reads.
    """
    changes = np.zeros(count + 1, bool)
    for column in base.values():
        changes[1:count] |= column[1:] != column[:-1]
    edges = np.linspace(first, count - 1, cuts + 1).astype(int)
    chosen = {count - 1}
    for a, b in itertools.pairwise(edges):
        rows = np.arange(a, max(b, a + 1))
        near = rows[changes[rows] | changes[rows - 1]]
        chosen.add(int(generator.choice(near if near.size else rows)))
    return sorted(chosen)


def _with_fields(
    leak: Leak,
    cuts: list[int],
    base: Outputs,
    bars: Bars,
    run: Callable[[Bars], Outputs],
    reads: str,
    seed: int,
) -> Leak:
    """Add the columns whose change alone shows the leak."""
    if leak.test != "changed":
        return leak
    # One change of one column, within its bar, may not flip a decision.
    for cut in cuts:
        fields = []
        stop = cut + 1 if reads == "before" else cut
        for field in _FIELDS:
            for attempt in range(_ATTEMPTS):
                generator = np.random.default_rng(seed + attempt)
                after = run(_changed(bars, cut, (field,), generator))[leak.output]
                if not np.array_equal(base[leak.output][:stop], after[:stop], equal_nan=True):
                    fields.append(field)
                    break
        if fields:
            return Leak(**{**vars(leak), "fields": tuple(fields)})
    return leak


def _changed(
    bars: Bars, cut: int, fields: Sequence[str], generator: np.random.Generator, sign: int = 1
) -> Bars:
    """Change these columns from row `cut` on, keeping valid OHLC bars.

    Several columns rise (`sign` 1) or fall (-1) for some bars. A single column moves within the
    range that the others allow, so that no other changes.
    """
    frame = bars.frame
    values = {name: frame[name].to_numpy(copy=True) for name in _FIELDS}
    later = {name: values[name][cut:] for name in _FIELDS}
    count = len(frame) - cut
    if len(fields) > 1:  # change the level, then each column, so that ratios change too
        trend = 0.2 * sign * np.minimum(np.arange(1, count + 1), 8)
        level = np.exp(trend + generator.normal(0.0, 0.1, count))
        for name in fields:
            later[name] *= level
    for name in ("high", "low", "open", "close", "volume"):
        if name not in fields:
            continue
        if name in ("open", "close"):
            share = generator.uniform(size=count)
            later[name][:] = later["low"] + share * (later["high"] - later["low"])
        else:
            move = generator.normal(0.0, 0.1, count)
            later[name] *= np.exp({"high": abs(move), "low": -abs(move)}.get(name, move))
    return Bars(pd.DataFrame(values, frame.index), bars.symbol)


def _runner(
    subject: Any, bars: Bars, model: str | Model, reads: str | None
) -> tuple[str, Callable[[Bars], Outputs], str, int]:
    """Return (name, run, rows it may read, first row that a cut can test)."""
    if reads not in (None, "current", "before"):
        raise ArgumentError(f'reads must be "current" or "before": got {reads!r}')
    if isinstance(subject, BarStrategy) and not isinstance(subject, (Strategy, type)):
        (subject,) = select_strategies([subject])
    if isinstance(subject, Strategy) and not isinstance(subject, type):
        simulations = min(_SIMULATIONS, len(bars) - 70)
        if simulations < 20:
            raise NotEnoughBarsError(
                f"a strategy needs at least 90 bars to be checked: got {len(bars)}"
            )
        start = len(bars) - simulations

        def run_strategy(given: Bars) -> Outputs:
            return _decisions(subject, given, model, simulations - (len(bars) - len(given)))

        # Leave the first cut some bars to evaluate.
        return subject.name, run_strategy, "before", start + 10
    if isinstance(subject, Model) and not isinstance(subject, type):
        return subject.name, lambda given: _forecasts(subject, given), "before", len(bars) // 4
    if isinstance(subject, Pipeline):
        as_of = "current" if subject.asof == "current" else "before"

        def features(given: Bars) -> Outputs:
            table = subject.all(given)
            return {name: np.asarray(table[name]) for name in table.names}

        return "pipeline", features, reads or as_of, 20
    if not callable(subject):
        raise ArgumentError(
            "subject must be a strategy, a model, an indicator, a pipeline, or a function of bars: "
            f"got {type(subject).__name__}"
        )
    name = getattr(subject, "__qualname__", type(subject).__name__)
    call = _call_of(subject)
    return name, lambda given: _columns(name, call(given), given), reads or "current", 20


def _input(bars: Bars, name: str) -> npt.NDArray[Any]:
    """Return a column of the bars, or the date of each for indicators anchored at sessions."""
    if name == "session":
        return bars.timestamps.astype("datetime64[D]").astype(np.int64)
    column: npt.NDArray[Any] = getattr(bars, name)
    return column


def _call_of(function: Callable[..., Any]) -> Callable[[Bars], Any]:
    """Wrap a function as a function of bars, by the names of its arguments."""
    function = getattr(function, "py_func", function)  # compiled by Numba
    if getattr(function, "__module__", "").startswith("marketsim.indicators."):
        spec = SPECS[function.__name__]
        inputs = [{"values": "close", "x": "close", "y": "open"}.get(n, n) for n in spec.inputs]
        missing = {name: 20 for name, value in spec.numbers.items() if value is None}
        return lambda bars: function(*(_input(bars, name) for name in inputs), **missing)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    if len(needed) == 4 and needed[1:] == ["bar", "features", "orders"]:
        return lambda bars: replay_strategy(bars, function, jit=False)
    if needed in (["frame"], ["df"]):
        return lambda bars: function(bars.frame)
    if needed and set(needed) <= set(_FIELDS):
        return lambda bars: function(*(getattr(bars, name) for name in needed))
    return function


def _decisions(strategy: Strategy, bars: Bars, model: str | Model, simulations: int) -> Outputs:
    """Return a strategy's decisions for each bar of a walk-forward run; NaN outside of it."""
    result = walk_forward(
        bars, model, simulations=simulations, window=1, strategies=[strategy],
        offset_window=40, store=False, progress=False, check=False,
    )  # fmt: skip
    outcome = result.runs[strategy.name].outcome
    rows, before = result.windows.days, result.market.previous_close
    columns = {
        "position": outcome.position,
        "high_offset": outcome.high_offset,
        "low_offset": outcome.low_offset,
        "sell_limit": before * (1.0 + outcome.high_level),
        "buy_limit": before * (1.0 + outcome.low_level),
    }
    found = {}
    for name, values in columns.items():
        found[name] = np.full(len(bars), np.nan)
        found[name][rows] = values
    return found


def _forecasts(model: Model, bars: Bars) -> Outputs:
    """Return mean and quantiles of each bar's one-step forecasts, as a run makes them.

    NaN on the first bars.
    """
    first = min(64, len(bars) // 2)
    plan = ForecastPlan(first, len(bars), 1, 1)
    made = run_plan(bars, model, plan, store=None, progress=False).distribution
    found = {}
    for i, target in enumerate(TARGETS):
        quantiles = made.quantile((0.1, 0.5, 0.9))[:, i]
        for name, values in zip(
            ("mean", "quantile 0.1", "quantile 0.5", "quantile 0.9"),
            (made.mean[:, i], *quantiles.T),
            strict=True,
        ):
            column = np.full(len(bars), np.nan)
            column[first:] = values
            found[f"{name} of {target}"] = column
    return found


def _columns(name: str, found: Any, bars: Bars) -> Outputs:
    """Convert a function's result to named columns of numbers [bar]."""
    if isinstance(found, ReplayResult):
        found = {"equity": found.equity, "position": found.position}
    if isinstance(found, pd.DataFrame):
        parts: Mapping[str, Any] = {str(c): found[c] for c in found.columns}
    elif isinstance(found, Mapping):
        parts = {str(key): value for key, value in found.items()}
    elif isinstance(found, tuple):
        keys = getattr(found, "_fields", [f"output {i}" for i in range(len(found))])
        parts = dict(zip(keys, found, strict=True))
    else:
        parts = {"output": found}
    columns = {}
    for key, value in parts.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or array.ndim == 0 or array.shape[0] != len(bars):
            raise ArgumentError(
                f"{name} must return numbers, one a bar ({len(bars)}): got {key} of dtype "
                f"{array.dtype} and shape {array.shape}"
            )
        flat = array.reshape(len(bars), -1).astype(np.float64)
        for i in range(flat.shape[1]):
            columns[key if flat.shape[1] == 1 else f"{key}[{i}]"] = flat[:, i]
    return columns
