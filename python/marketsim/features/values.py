"""What a feature is made of: columns of bars, indicators, and arithmetic on them.

A `Value` is a description, not numbers: a pipeline runs it over whole series or bar by bar.

    from marketsim.features import column, indicator

    trend = column("close") / indicator("ema", column("close"), window=50) - 1
    calm = indicator("rsi", window=14, lookback=200).lag(1).clip(0, 100)
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.indicators.specs import Call, power_of, prepare, spec_of
from marketsim.indicators.stream import MOST_ROWS

# The steps of the compiled program, in the order of its numbers.
OPERATIONS = (
    "input",
    "constant",
    "indicator",
    "result",
    "lag",
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "absolute",
    "exp",
    "log",
    "sqrt",
    "minimum",
    "maximum",
    "clip",
    "where",
    "greater",
    "fill",
)
BAR_COLUMNS = ("open", "high", "low", "close", "volume")
Number = float | int


@dataclass(frozen=True, eq=False)
class Value:
    """One number a row, described by how it is made.

    Attributes:
        operation: one of `OPERATIONS` but "result".
        of: the values it is made from.
        name: of a column; of an indicator.
        settings: of an indicator, as sorted pairs; the rows of a lag; the number of a constant.
    """

    operation: str
    of: tuple[Value, ...] = ()
    name: str = ""
    settings: tuple[tuple[str, Any], ...] = ()

    def describe(self) -> list[Any]:
        """Lists, texts and numbers that say all there is to say: equal for equal values."""
        return [
            self.operation,
            self.name,
            [list(pair) for pair in self.settings],
            [value.describe() for value in self.of],
        ]

    def __add__(self, other: Value | Number) -> Value:
        return _made("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return _made("add", other, self)

    def __sub__(self, other: Value | Number) -> Value:
        return _made("subtract", self, other)

    def __rsub__(self, other: Number) -> Value:
        return _made("subtract", other, self)

    def __mul__(self, other: Value | Number) -> Value:
        return _made("multiply", self, other)

    def __rmul__(self, other: Number) -> Value:
        return _made("multiply", other, self)

    def __truediv__(self, other: Value | Number) -> Value:
        return _made("divide", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return _made("divide", other, self)

    def __neg__(self) -> Value:
        return _made("negative", self)

    def __abs__(self) -> Value:
        return _made("absolute", self)

    def __gt__(self, other: Value | Number) -> Value:
        return _made("greater", self, other)

    def __lt__(self, other: Value | Number) -> Value:
        return _made("greater", other, self)

    def __bool__(self) -> bool:
        raise ArgumentError(
            "a feature's value is not known when it is declared: choose with where(condition, yes, "
            "no), not with if, and, or, or a chain of comparisons"
        )

    def exp(self) -> Value:
        """The exponential."""
        return _made("exp", self)

    def log(self) -> Value:
        """The natural logarithm."""
        return _made("log", self)

    def sqrt(self) -> Value:
        """The square root."""
        return _made("sqrt", self)

    def minimum(self, other: Value | Number) -> Value:
        """The smaller of two; NaN where either is."""
        return _made("minimum", self, other)

    def maximum(self, other: Value | Number) -> Value:
        """The larger of two; NaN where either is."""
        return _made("maximum", self, other)

    def clip(self, low: Value | Number, high: Value | Number) -> Value:
        """Between low and high; NaN becomes low."""
        return _made("clip", self, low, high)

    def fill(self, number: Value | Number) -> Value:
        """The number where this is NaN."""
        return _made("fill", self, number)

    def lag(self, rows: int) -> Value:
        """The value so many rows earlier; NaN before there are that many."""
        return Value("lag", (self,), settings=(("rows", _rows("lag", rows, 0)),))

    def mean(self, rows: int) -> Value:
        """The mean of the last rows, summed from the oldest to the newest."""
        count = _rows("mean", rows, 1)
        total = self.lag(count - 1)
        for back in range(count - 2, -1, -1):
            total = total + self.lag(back)
        return total / count


def _rows(what: str, given: object, least: int) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)):
        raise ArgumentError(f"{what}: expected a whole number of rows from {least}: got {given!r}")
    if not least <= given < MOST_ROWS:
        raise ArgumentError(
            f"{what}: expected a whole number of rows from {least} to {MOST_ROWS - 1:,}, which a "
            f"stream keeps: got {given}"
        )
    return int(given)


def _value(given: Value | Number) -> Value:
    if isinstance(given, Value):
        return given
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ArgumentError(f"expected a feature's value or a number: got {type(given).__name__}")
    if not math.isfinite(given):
        raise ArgumentError(f"a number in a feature must be finite: got {given}")
    return Value("constant", settings=(("number", float(given)),))


def _made(operation: str, *of: Value | Number) -> Value:
    return Value(operation, tuple(_value(one) for one in of))


def column(name: str) -> Value:
    """A column of the bars (open, high, low, close, volume), or one handed in beside them."""
    if not name:
        raise ArgumentError(f"column: expected a name, got {name!r}")
    return Value("input", name=name)


def where(condition: Value, yes: Value | Number, no: Value | Number) -> Value:
    """`yes` where the condition is above 0, `no` where it is not, NaN where it is NaN.

    Example:
        >>> where(column("close") > column("open"), 1.0, -1.0).operation
        'where'

    """
    return _made("where", condition, yes, no)


def indicator(
    name: str,
    *inputs: Value,
    output: str | None = None,
    lookback: int | None = None,
    lag: int = 0,
    **settings: Any,
) -> Value:
    """An indicator of `marketsim.indicators`, of columns of the bars or of other values.

    Args:
        name: of the indicator.
        inputs: what it looks at; the bars' own columns where none are given.
        output: which of its results, where it has several.
        lookback: rows that each value may see, as in the batch function; None: all before it.
        lag: with lookback, the value so many rows earlier as seen from this row's rows.
        settings: the indicator's own parameters.

    Raises:
        ArgumentError: parameters that the indicator refuses, or does not know.

    Example:
        >>> indicator("bollinger", output="position", window=20).name
        'bollinger'

    """
    spec = spec_of(name)
    if not inputs:
        missing = [x for x in spec.inputs if x not in BAR_COLUMNS]
        if missing:
            raise ArgumentError(
                f'{name} needs its inputs: indicator("{name}", column("close"), ...)'
            )
        inputs = tuple(column(x) for x in spec.inputs)
    if len(inputs) != len(spec.inputs):
        raise ArgumentError(f"{name}: expected inputs {', '.join(spec.inputs)}: got {len(inputs)}")
    if output is None and len(spec.outputs) > 1:
        raise ArgumentError(f"{name}: output must be one of {', '.join(spec.outputs)}")
    if output is not None and output not in spec.outputs:
        raise ArgumentError(
            f"{name}: output must be one of {', '.join(spec.outputs)}: got {output!r}"
        )
    if lookback is None and lag:
        raise ArgumentError(f"{name}: lag goes with lookback; else write indicator(...).lag({lag})")
    if lookback is not None and lookback > MOST_ROWS:
        raise ArgumentError(f"{name}: lookback must be at most {MOST_ROWS:,}: got {lookback:,}")
    if lookback is not None and not (0 <= lag < lookback):
        raise ArgumentError(
            f"{name}: lookback must be above lag: got lookback={lookback}, lag={lag}"
        )
    all_settings = {
        **_settings(name, settings),
        "output": output or spec.outputs[0],
        "lookback": lookback or 0,
        "lag": lag,
    }
    return Value("indicator", tuple(inputs), name, tuple(sorted(all_settings.items())))


def _settings(name: str, given: dict[str, Any]) -> dict[str, Any]:
    spec = spec_of(name)
    given = dict(given)
    if name == "bollinger" and "root" in given:
        given["power"] = power_of(given.pop("root"))
    choice = given.pop(spec.choice, spec.default) if spec.choice else ""
    unknown = sorted(set(given) - set(spec.numbers))
    if unknown:
        known = [*spec.numbers, *([spec.choice] if spec.choice else [])]
        raise ArgumentError(
            f"{name}: unknown parameter {unknown[0]!r}: expected {', '.join(known)}"
        )
    call = prepare(name, choice, **given)
    if call.shape:
        raise ArgumentError(f"{name}: a feature takes one number a parameter: got arrays")
    numbers = dict(zip(spec.numbers, call.parameters[0].tolist(), strict=True))
    return {**numbers, "choice": choice}


def canonical(value: Value) -> str:
    """A text that is equal for equal values."""
    return json.dumps(value.describe(), separators=(",", ":"), allow_nan=False)


def rows_needed(value: Value) -> float:
    """How many rows, its own included, a value follows from; infinity where all before it count."""
    below: Sequence[float] = [rows_needed(one) for one in value.of] or [1.0]
    most = max(below)
    if value.operation == "lag":
        return most + float(dict(value.settings)["rows"])
    if value.operation != "indicator":
        return most
    settings = dict(value.settings)
    if settings["output"].endswith(("_row", "_known_at")):
        return math.inf  # counted from the first row of all
    if settings["lookback"]:
        return float(most + settings["lookback"] - 1)
    if _core.indicator_kinds()[value.name][2]:  # follows from the value before
        return math.inf
    return float(most + _call(value).rows - 1)


def _call(value: Value) -> Call:
    settings = dict(value.settings)
    numbers = {key: settings[key] for key in spec_of(value.name).numbers}
    return prepare(value.name, settings["choice"], **numbers)


def windows(value: Value) -> list[tuple[Call, int]]:
    """The indicators that a value is made of, and the rows that each may see."""
    found = [pair for one in value.of for pair in windows(one)]
    if value.operation == "indicator":
        settings = dict(value.settings)
        seen = settings["lookback"] - settings["lag"] if settings["lookback"] else 2**63
        found.append((_call(value), seen))
    return found
