"""Forecast fans: nested quantile bands, the median, and actual prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from marketsim.report.data import Fan
from marketsim.report.detail import Detail
from marketsim.report.formats import counted_bars, price
from marketsim.report.panel import DATE_TICKS, Figure, LegendEntry, Panel
from marketsim.report.sampling import drawable, thinned
from marketsim.report.scales import linear_scale
from marketsim.report.series import NAME_LENGTH, swatch
from marketsim.report.svg import WIDE, band_path, element, group, line, line_path, share
from marketsim.report.text import clip
from marketsim.report.timeaxis import date_text, date_ticks

Floats = npt.NDArray[np.float64]

_HEIGHT = 320
# More bands than this cannot be distinguished; style.css has a shade for each.
_MOST_BANDS = 4
_WIDEST = 0.015  # half the width of the band of a day without neighbours, as a share


@dataclass(frozen=True)
class Band:
    """Central quantile band between two levels.

    Attributes:
        lower, upper: indices of the levels.
        stated: nominal coverage, the difference of the levels.
        name: both levels as percentages.
    """

    lower: int
    upper: int
    stated: float
    name: str


def fan_bands(levels: Sequence[float]) -> list[Band]:
    """Pair levels to bands from the outermost inwards, at most four.

    Example:
        >>> [band.name for band in fan_bands([0.1, 0.25, 0.5, 0.75, 0.9])]
        ['10% to 90%', '25% to 75%']

    """
    pairs = [(i, len(levels) - 1 - i) for i in range(len(levels) // 2)]
    kept = [pairs[i] for i in thinned(len(pairs), _MOST_BANDS)] if pairs else []
    return [
        Band(a, b, levels[b] - levels[a], f"{_level(levels[a])} to {_level(levels[b])}")
        for a, b in kept
    ]


def coverage(fan: Fan, band: Band) -> tuple[float, int]:
    """Return (share of bars whose actual price is in the band, number of bars counted).

    Bars without a forecast or an actual price do not count; the share is NaN without bars.
    """
    edges = drawable(fan.quantiles)[:, [band.lower, band.upper]]
    actual = drawable(fan.actual)
    known = np.isfinite(edges).all(axis=1) & np.isfinite(actual)
    days = int(known.sum())
    if not days:
        return float("nan"), 0
    inside = (actual >= edges.min(axis=1)) & (actual <= edges.max(axis=1))
    return float(inside[known].mean()), days


def fan_figure(fan: Fan, number: int, detail: Detail) -> Figure | None:
    """Draw the last bars of one fan; None without data.

    Args:
        fan: forecasts and actual prices.
        number: number of the fan on the page, for identifiers.
        detail: limits on the amount of detail.
    """
    first = max(0, len(fan.dates) - detail.fan_days)
    dates = np.asarray(fan.dates)[first:]
    quantiles, actual = drawable(fan.quantiles)[first:], drawable(fan.actual)[first:]
    if not np.isfinite(quantiles).any() and not np.isfinite(actual).any():
        return None
    bands, median = fan_bands(fan.levels), _median(fan.levels)
    used = [at for band in bands for at in (band.lower, band.upper)]
    used += [median] if median is not None else []
    values = np.concatenate([actual, quantiles[:, used].ravel()])
    panel = Panel(len(dates), linear_scale(values, price), _HEIGHT, date_ticks(dates, DATE_TICKS))
    name = clip(fan.target, NAME_LENGTH)
    measured = _coverage_sentence(fan, bands)
    words = (
        f"Quantiles of the forecast of {name} and the actual price, "
        f"{date_text(dates[0])} to {date_text(dates[-1])}. {' '.join(measured)}"
    )
    return Figure(
        name=f"fan-{number}",
        panels=[
            panel.draw(
                f"fan-{number}",
                f"Forecast of {name}",
                words,
                _layer(panel, quantiles, actual, bands, median),
                _points(panel, actual),
            )
        ],
        left=panel.left,
        caption=measured,
        drawn=_days_sentence(len(dates), len(fan.dates)),
        legend=_legend(bands, median),
    )


def _median(levels: Sequence[float]) -> int | None:
    return next((i for i, level in enumerate(levels) if abs(level - 0.5) < 1e-9), None)


def _layer(
    panel: Panel, quantiles: Floats, actual: Floats, bands: Sequence[Band], median: int | None
) -> Markup:
    x = panel.x(np.arange(panel.days))
    half_step = min(0.35 / max(panel.days, 1), _WIDEST) * WIDE
    marks = []
    for i, band in enumerate(bands):
        low, high = panel.y(quantiles[:, band.lower]), panel.y(quantiles[:, band.upper])
        path = band_path(x, low, high, half_step)
        marks.append(element("path", d=path, class_=_band_class(i, bands)))
    if median is not None:
        marks += line(x, panel.y(quantiles[:, median]), "median")
    # Each actual price is a point, drawn outside the stretched layer.
    marks.append(element("path", d=line_path(x, panel.y(actual)), class_="line actual"))
    return panel.layer(*marks)


def _points(panel: Panel, actual: Floats) -> Markup:
    y = panel.pixel(actual)
    return group(
        *(
            element("circle", cx=share(panel.across(i)), cy=float(y[i]), r=2.2)
            for i in np.flatnonzero(np.isfinite(y)).tolist()
        ),
        class_="actual",
    )


def _band_class(number: int, bands: Sequence[Band]) -> str:
    """Return the CSS class of a band; the innermost is always the darkest."""
    return f"band b{number + _MOST_BANDS - len(bands)}"


def _legend(bands: Sequence[Band], median: int | None) -> list[LegendEntry]:
    path = element("path", d="M1 6h20", class_="line actual")
    point = group(element("circle", cx=11, cy=6, r=2.2), class_="actual")
    entries = [LegendEntry(swatch(group(path, point), 22), "actual")]
    if median is not None:
        middle = element("path", d="M1 6h20", class_="line median")
        entries.append(LegendEntry(swatch(middle, 22), "median forecast"))
    for i, band in reversed(list(enumerate(bands))):
        area = element("path", d="M1 1H21V11H1Z", class_=_band_class(i, bands))
        entries.append(LegendEntry(swatch(area, 22), f"{band.name} quantile"))
    return entries


def _days_sentence(shown: int, total: int) -> list[str]:
    return [f"The last {shown} of {total:,} bars are drawn."] if shown < total else []


def _coverage_sentence(fan: Fan, bands: Sequence[Band]) -> list[str]:
    """Describe nominal and actual coverage, over all bars of the fan, not only those drawn."""
    measured = [(band, *coverage(fan, band)) for band in bands]
    known = [(band, held, days) for band, held, days in measured if days]
    if not known:
        return []
    # Bands may be known on different bars; state one count if they are not.
    counts = {days for _, _, days in known}
    over = f" over {counted_bars(counts.pop())}" if len(counts) == 1 else ""
    parts = [
        f"the {_level(band.stated)} band ({band.name}) held {held:.0%}"
        + ("" if over else f" of {counted_bars(days)}")
        for band, held, days in known
    ]
    return [f"Coverage{over}: {', '.join(parts)}."]


def _level(level: float) -> str:
    """Format a level: 0.1 as 10%, 0.025 as 2.5%."""
    return f"{round(level * 100.0, 4):g}%"
