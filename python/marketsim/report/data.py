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
        shaded: whether cells are shaded by their numbers, gains and losses apart.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    emphasis: frozenset[str] = frozenset()
    shaded: bool = False


@dataclass(frozen=True)
class Trades:
    """Round trips of one strategy [trade], by entry.

    Attributes:
        strategy: name of the strategy.
        side: 1 for long, -1 for short.
        entry, exit: positions on `ReportData.dates`; -1 for a bar before the first, and the number
            of bars for one after the last.
        entry_price, exit_price: prices.
        net: return after costs, as a fraction of the equity.
        entry_kind, exit_kind: what filled it, such as "limit" or "close".
    """

    strategy: str
    side: npt.NDArray[np.int64]
    entry: npt.NDArray[np.int64]
    exit: npt.NDArray[np.int64]
    entry_price: Floats
    exit_price: Floats
    net: Floats
    entry_kind: Sequence[str]
    exit_kind: Sequence[str]


@dataclass(frozen=True)
class Histogram:
    """Counts of values in intervals.

    Attributes:
        title: what is counted.
        labels: texts of the interval edges that are written below, by position on [0, 1].
        counts: [interval].
        expected: count that each interval would have; None for none.
        words: description for a reader who does not see it.
    """

    title: str
    labels: Mapping[float, str]
    counts: npt.NDArray[np.int64]
    expected: float | None
    words: str


@dataclass(frozen=True)
class HistogramGroup:
    """Histograms beside one another under one heading.

    Attributes:
        title: heading.
        histograms: histograms.
        note: explanation for the reader.
    """

    title: str
    histograms: Sequence[Histogram]
    note: str


@dataclass(frozen=True)
class Markers:
    """Fills of one kind on the candles: positions on the bar axis [fill], and prices."""

    kind: str  # "long entry", "long exit", "short entry" or "short exit"
    day: npt.NDArray[np.int64]
    price: Floats


@dataclass(frozen=True)
class Candles:
    """Prices of the bars, and the fills of one strategy.

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
        trades: round trips of each strategy.
        rolling: a figure over a rolling window [bar], by strategy; NaN before the first window.
        rolling_label: name of that figure, with its window.
        by_strategy: tables of one strategy, by its name; a selector shows one at a time.
        selected: strategy shown first; also where there is no script.
        histograms: groups of histograms.
        home: file of the page that this one belongs to, such as "index.html"; empty for none.
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
    trades: Sequence[Trades] = ()
    rolling: Mapping[str, Floats] = field(default_factory=dict)
    rolling_label: str = ""
    by_strategy: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    selected: str = ""
    histograms: Sequence[HistogramGroup] = ()
    home: str = ""
