"""What a report shows, as plain data: the report knows of no run, strategy or model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Table:
    """A table of finished text.

    Attributes:
        title: a few words.
        columns: heads.
        rows: cells; the first of a row is its name.
        note: what the reader has to know of it, plain text, may be empty.
        emphasis: row names that are set apart (the naive baselines).
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    emphasis: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Markers:
    """Fills of one kind on the candles: [fill] positions on the day axis, and prices."""

    kind: str  # "long entry", "long exit", "short entry" or "short exit"
    day: npt.NDArray[np.int64]
    price: Floats


@dataclass(frozen=True)
class Candles:
    """Prices of the last days, and what one strategy did on them.

    Attributes:
        dates: [day].
        open, high, low, close: [day], prices.
        strategy: whose fills they are.
        markers: its fills.
        lines: indicators in the scale of the prices [day], by name; NaN where there is no value.
    """

    dates: Dates
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    strategy: str
    markers: Sequence[Markers]
    lines: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Fan:
    """Forecast quantiles of one price and what came.

    Attributes:
        target: open, high, low or close.
        dates: [day].
        levels: [level], ascending.
        quantiles: [day, level], prices.
        actual: [day], prices.
    """

    target: str
    dates: Dates
    levels: Sequence[float]
    quantiles: Floats
    actual: Floats


@dataclass(frozen=True)
class Heatmap:
    """In-sample profit of pairs of offsets on the days that the last offsets were fitted on.

    Attributes:
        strategy: whose offsets they are.
        span: the days fitted on, as text.
        high, low: [column] and [row], offsets.
        profit: [row, column], fractions of the capital, summed over the days.
        best: (high, low, profit) of the exact optimum.
    """

    strategy: str
    span: str
    high: Floats
    low: Floats
    profit: Floats
    best: tuple[float, float, float]


@dataclass(frozen=True)
class ReportData:
    """One symbol's report.

    Attributes:
        title: what the page is called.
        subtitle: one sentence: model, days, simulations.
        notes: sentences that the reader has to know (fills, annualisation, in-sample figures).
        tables: performance, forecast skill, ...
        dates: [day], of `equity`.
        equity: compounded equity [day] from 1 at the start, by strategy; the first are shown first.
        baselines: names among `equity` that are naive baselines.
        candles, fans, heatmap: figures; None or empty where there is nothing to show.
        provenance: data hash, model fingerprint, versions, settings: name and value.
    """

    title: str
    subtitle: str
    notes: Sequence[str]
    tables: Sequence[Table]
    dates: Dates
    equity: Mapping[str, Floats]
    baselines: frozenset[str]
    candles: Candles | None
    fans: Sequence[Fan]
    heatmap: Heatmap | None
    provenance: Mapping[str, str]
