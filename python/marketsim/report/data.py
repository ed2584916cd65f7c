"""Plain data of a report, independent of runs, strategies and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Table:
    """Table of formatted text.

    Attributes:
        title: short title.
        columns: headings.
        rows: cells; the first cell of a row is its name.
        note: explanation for the reader, plain text, or empty.
        emphasis: names of rows shown apart (the naive baselines).
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    emphasis: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Markers:
    """Fills of one kind on the candles: positions on the bar axis [fill], and prices."""

    kind: str  # "long entry", "long exit", "short entry" or "short exit"
    day: npt.NDArray[np.int64]
    price: Floats


@dataclass(frozen=True)
class Candles:
    """Prices of the last bars, and the fills of one strategy.

    Attributes:
        dates: timestamps [bar].
        open, high, low, close: prices [bar].
        strategy: name of the strategy.
        markers: fills of the strategy.
        lines: indicators in the scale of the prices [bar], by name; NaN for missing values.
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
    """Forecast quantiles of one price, and its actual values.

    Attributes:
        target: open, high, low or close.
        dates: timestamps [bar].
        levels: quantile levels [level], ascending.
        quantiles: prices [bar, level].
        actual: prices [bar].
    """

    target: str
    dates: Dates
    levels: Sequence[float]
    quantiles: Floats
    actual: Floats


@dataclass(frozen=True)
class Heatmap:
    """In-sample profit of pairs of offsets on the last fit window.

    Attributes:
        strategy: name of the strategy.
        span: dates of the fit window, as text.
        high, low: offsets [column] and [row].
        profit: sums over the window [row, column], fractions of the capital.
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
    """Data of one symbol's report.

    Attributes:
        title: title of the page.
        subtitle: one sentence: model, bars, simulations.
        notes: explanations for the reader (fills, annualisation, in-sample figures).
        tables: performance, forecast skill, ...
        dates: timestamps of `equity` [bar].
        equity: compounded equity [bar] from 1 at the start, by strategy, in order of display.
        baselines: names in `equity` of naive baselines.
        candles, fans, heatmap: data of the figures; None or empty for no figure.
        provenance: data hash, model fingerprint, versions and settings, by name.
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
