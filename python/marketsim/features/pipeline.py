"""Features declared once: over whole series, at one bar, and bar by bar; equal bit for bit."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.errors import ArgumentError, ShortSeriesWarning, UnknownNameError
from marketsim.features.program import compile_program
from marketsim.features.values import BAR_COLUMNS, Value, rows_needed, windows
from marketsim.indicators.compute import numbers
from marketsim.indicators.stream import check_kept_rows

if TYPE_CHECKING:
    import pandas as pd

    from marketsim import _core
    from marketsim.bars import Bars

Array = npt.NDArray[np.float64]
# Raise where a kernel gives other bits for the same declaration: stored features are then misses.
CODE_VERSION = 1


class FeatureTable:
    """Features of a series: `values` float64 [row, feature], `names`, `timestamps`.

    `table["rsi"]` is a column, `table[10:20]` rows; both are views.
    """

    def __init__(
        self, values: Array, names: tuple[str, ...], timestamps: npt.NDArray[np.datetime64]
    ) -> None:
        self.values, self.names, self.timestamps = values, names, timestamps

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: str | slice) -> Any:
        if isinstance(part, slice):
            return FeatureTable(self.values[part], self.names, self.timestamps[part])
        if part not in self.names:
            raise UnknownNameError("feature", part, self.names)
        return self.values[:, self.names.index(part)]

    def frame(self) -> pd.DataFrame:
        """A DataFrame with the timestamps as index."""
        import pandas as pd

        index = pd.DatetimeIndex(self.timestamps, name="timestamp")
        return pd.DataFrame(self.values, columns=list(self.names), index=index)


class Pipeline:
    """Named features with an explicit as-of row.

    Args:
        features: values by name, see `marketsim.features.column` and `indicator`.
        asof: "current": the features of row t follow from rows up to and including t, for a
            decision after its close; "previous": from rows up to t - 1, for one during bar t.

    Attributes:
        names: of the features, in order.
        inputs: columns that a bar must bring, in order.
        history: rows that the features of one row follow from; None where all before it count.
        fingerprint: digest of the declaration and of the code's version.

    Example:
        >>> import numpy as np
        >>> from marketsim.features import column
        >>> close = column("close")
        >>> pipeline = Pipeline({"move": close / close.lag(1) - 1}, asof="current")
        >>> pipeline.at({"close": np.array([1.0, 2.0, 3.0])}, 2).tolist()
        [0.5]

    """

    def __init__(self, features: Mapping[str, Value], *, asof: str) -> None:
        if asof not in ("current", "previous"):
            raise UnknownNameError("asof", asof, ("current", "previous"))
        if not features:
            raise ArgumentError("features: expected at least one")
        for name, value in features.items():
            if type(name) is not str or not name:
                raise ArgumentError(f"features: expected names that are texts: got {name!r}")
            if not isinstance(value, Value):
                raise ArgumentError(f"feature {name!r}: expected a value, got {value!r}")
        self.asof = asof
        lag = 0 if asof == "current" else 1
        self._features = {k: v.lag(1) if lag else v for k, v in features.items()}
        self.names = tuple(features)
        self.inputs = tuple(sorted(_columns(self._features.values()), key=_input_order))
        needed = max(rows_needed(value) for value in self._features.values())
        self.history = None if math.isinf(needed) else int(needed)
        self.fingerprint = blake3(self.declaration().encode()).hexdigest()
        self._compile()

    def _compile(self) -> None:
        self._program = compile_program(self._features, self.inputs)
        self._windows = [pair for value in self._features.values() for pair in windows(value)]

    def __getstate__(self) -> dict[str, Any]:
        compiled = ("_program", "_windows")
        return {key: value for key, value in vars(self).items() if key not in compiled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._compile()

    def declaration(self) -> str:
        """All that decides the features but the bars, as JSON."""
        described = [[name, value.describe()] for name, value in self._features.items()]
        return json.dumps([CODE_VERSION, self.asof, self.inputs, described], allow_nan=False)

    def all(
        self, bars: Bars | Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> FeatureTable:
        """Features of every row.

        Args:
            bars: Bars, or arrays by column name.
            extra: further columns by name, one number a row, each known at its row.
        """
        columns, stamps = self.columns(bars, extra)
        self._warn_if_short(columns.shape[1])
        return FeatureTable(self._program.run(columns), self.names, stamps)

    def at(
        self,
        bars: Bars | Mapping[str, Any],
        row: int,
        extra: Mapping[str, Any] | None = None,
    ) -> Array:
        """Features of one row, float64 [feature], from the rows they follow from alone."""
        columns, _ = self.columns(bars, extra)
        rows = columns.shape[1]
        if not -rows <= row < rows:
            raise ArgumentError(f"row: expected {-rows} .. {rows - 1}, got {row}")
        end = row % rows + 1
        begin = 0 if self.history is None else max(0, end - self.history)
        part = np.ascontiguousarray(columns[:, begin:end])
        features: Array = self._program.run(part, end - begin - 1)[0]
        return features

    def _warn_if_short(self, rows: int) -> None:
        found = {(c.spec.name, c.rows, seen) for c, seen in self._windows}
        for name, needed, seen in sorted(found):
            there = min(rows, seen)
            if rows and there < needed:
                warnings.warn(
                    f"{name}: a window needs {needed} rows, there are {there}: all its values are "
                    "NaN",
                    ShortSeriesWarning,
                    stacklevel=3,
                )

    def stream(self) -> PipelineStream:
        """A form that takes one bar at a time."""
        for call, _ in self._windows:
            check_kept_rows(call)
        return PipelineStream(self, self._program.stream())

    def columns(
        self, bars: Bars | Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> tuple[Array, npt.NDArray[np.datetime64]]:
        """The input columns as float64 [input, row], and the rows' timestamps.

        Raises:
            ArgumentError: a column is missing, or of another length.
        """
        given = dict(extra or {})
        found: list[Array] = []
        for name in self.inputs:
            found.append(numbers(f"column {name!r}", _column_of(bars, given, name)))
        lengths = {name: array.shape for name, array in zip(self.inputs, found, strict=True)}
        if len({*lengths.values()}) > 1 or found[0].ndim != 1:
            raise ArgumentError(f"columns must be 1-D and of one length: got {lengths}")
        rows = len(found[0])
        stamps = getattr(bars, "timestamps", None)
        if stamps is None:
            stamps = np.arange(rows).astype("datetime64[ns]")
        elif len(stamps) != rows:
            raise ArgumentError(f"timestamps: expected one a row, {rows}: got {len(stamps)}")
        return np.ascontiguousarray(np.stack(found)), stamps


class PipelineStream:
    """Takes the bars of a pipeline one by one; can be copied and pickled."""

    def __init__(self, pipeline: Pipeline, native: _core.FeatureStream) -> None:
        self.pipeline, self._native = pipeline, native

    def update(self, bar: Mapping[str, float] | Sequence[float] | Array) -> Array:
        """Take one bar, by name or in the order of `pipeline.inputs`; its features [feature]."""
        return self._native.update(row_of(bar, self.pipeline.inputs))

    def copy(self) -> PipelineStream:
        """A stream that goes on from here by itself."""
        return PipelineStream(self.pipeline, self._native.copy())

    def __getstate__(self) -> dict[str, Any]:
        return {"pipeline": self.pipeline, "parts": list(self._native.save())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.pipeline = state["pipeline"]
        self._native = self.pipeline._program.stream()
        self._native.load(state["parts"])


def row_of(bar: Mapping[str, float] | Sequence[float] | Array, inputs: Sequence[str]) -> Array:
    """The numbers of one bar in the order of the inputs.

    Raises:
        ArgumentError: a column is missing, or there are more or fewer numbers than inputs.
    """
    if isinstance(bar, Mapping):
        missing = [name for name in inputs if name not in bar]
        if missing:
            raise ArgumentError(f"bar: {missing[0]} is missing: expected {', '.join(inputs)}")
        bar = [bar[name] for name in inputs]
    row = np.asarray(bar)
    if row.dtype.kind not in "fiu":
        raise ArgumentError(f"bar: expected numbers, NaN where one is missing: got {bar!r}")
    if row.shape != (len(inputs),):
        raise ArgumentError(
            f"bar: expected {len(inputs)} numbers ({', '.join(inputs)}): got shape {row.shape}"
        )
    return row.astype(np.float64)


def _columns(values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        if value.operation == "input":
            found.add(value.name)
        found |= _columns(value.of)
    return found


def _input_order(name: str) -> tuple[int, str]:
    return (BAR_COLUMNS.index(name) if name in BAR_COLUMNS else len(BAR_COLUMNS), name)


def _column_of(bars: Any, extra: dict[str, Any], name: str) -> Any:
    if name in extra:
        return extra[name]
    if isinstance(bars, Mapping):
        if name in bars:
            return bars[name]
        known = [*bars, *extra]
    else:
        if name in BAR_COLUMNS:
            return getattr(bars, name)
        known = [*BAR_COLUMNS, *extra]
    raise ArgumentError(
        f"column {name!r} is missing: got {', '.join(known)}; hand it in as extra={{{name!r}: ...}}"
    )
