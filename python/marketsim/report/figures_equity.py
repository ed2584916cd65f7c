"""Equity, drawdown and a rolling figure on one axis of bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from marketsim.report.data import ReportData
from marketsim.report.detail import Detail
from marketsim.report.formats import counted_bars, multiple, percent, percent_tick, price
from marketsim.report.panel import DATE_TICKS, Figure, LegendEntry, Panel
from marketsim.report.sampling import drawable, extremes
from marketsim.report.scales import growth_scale, linear_scale
from marketsim.report.series import NAME_LENGTH, line_swatch, series_styles, shown_names
from marketsim.report.svg import element, group, line
from marketsim.report.text import clip
from marketsim.report.timeaxis import date_text, date_ticks

Floats = npt.NDArray[np.float64]

_EQUITY_HEIGHT = 300
_DRAWDOWN_HEIGHT = 130
_ROLLING_HEIGHT = 130


def drawdown(equity: Floats) -> Floats:
    """Compute the drawdown from the highest equity so far, at most 0; NaN where equity is NaN.

    The starting equity of 1, before the first bar, counts as a peak.

    Example:
        >>> drawdown(np.array([0.9, 1.2, 0.6])).round(2).tolist()
        [-0.1, 0.0, -0.5]

    """
    peak = np.maximum.accumulate(np.fmax(np.where(np.isnan(equity), 1.0, equity), 1.0))
    return equity / peak - 1.0


def equity_figure(data: ReportData, detail: Detail) -> Figure | None:
    """Draw equity and drawdown of each strategy; None without data."""
    names = shown_names(list(data.equity), data.baselines, detail.curves)
    curves = {name: drawable(data.equity[name]) for name in names}
    if not any(np.isfinite(curve).any() for curve in curves.values()):
        return None
    falls = {name: drawdown(curve) for name, curve in curves.items()}
    styles = series_styles(names, data.baselines)
    rolling = {name: drawable(data.rolling[name]) for name in names if name in data.rolling}
    has_rolling = any(np.isfinite(values).any() for values in rolling.values())
    above, below = _panels(data, curves, falls, dated=not has_rolling)
    panels = [
        _draw(above, "equity", "Equity", _equity_words(data, curves), curves, styles, detail),
        _draw(below, "drawdown", "Drawdown", _fall_words(falls), falls, styles, detail),
    ]
    left = max(above.left, below.left)
    if has_rolling:
        last, words = _rolling_panel(data, rolling), f"{data.rolling_label}, by series."
        panels.append(_draw(last, "rolling", data.rolling_label, words, rolling, styles, detail))
        left = max(left, last.left)
    return Figure(
        name="equity",
        panels=panels,
        left=left,
        caption=_caption(data, names, above.scale.log),
        drawn=_drawn(data, detail),
        legend=[
            LegendEntry(
                line_swatch(styles[name]), clip(name, NAME_LENGTH), _outcome(curves[name]), i
            )
            for i, name in enumerate(names)
        ],
    )


def _panels(
    data: ReportData, curves: Mapping[str, Floats], falls: Mapping[str, Floats], *, dated: bool
) -> tuple[Panel, Panel]:
    days, ticks = len(data.dates), date_ticks(data.dates, DATE_TICKS)
    growth = growth_scale(
        np.concatenate([[1.0], *curves.values()]),
        lambda value, step: percent_tick(value - 1.0, step, signed=True),
        multiple,
    )
    depth = linear_scale(np.concatenate([*falls.values()]), percent_tick, count=4, high=0.0)
    return (
        Panel(days, growth, _EQUITY_HEIGHT, ticks, dated=False, zero=1.0, label="Equity"),
        Panel(days, depth, _DRAWDOWN_HEIGHT, ticks, dated=dated, zero=0.0, label="Drawdown"),
    )


def _rolling_panel(data: ReportData, rolling: Mapping[str, Floats]) -> Panel:
    scale = linear_scale(np.concatenate([*rolling.values()]), _tick, count=4)
    ticks = date_ticks(data.dates, DATE_TICKS)
    label = clip(data.rolling_label, NAME_LENGTH)
    return Panel(len(data.dates), scale, _ROLLING_HEIGHT, ticks, zero=0.0, label=label)


def _tick(value: float, step: float) -> str:
    return price(value, step)


def _draw(
    panel: Panel,
    identifier: str,
    title: str,
    description: str,
    curves: Mapping[str, Floats],
    styles: Mapping[str, str],
    detail: Detail,
) -> Markup:
    """Draw one panel; the first series is on top, with the darkest shade."""
    shaded = next(iter(curves), "") if identifier == "drawdown" else ""
    layers = []
    for i, (name, curve) in enumerate(curves.items()):
        at = extremes(curve, detail.buckets)
        x, y = panel.x(at), panel.y(curve[at])
        marks = line(x, y, styles[name])
        if name == shaded:
            marks = [_shade(x, y, styles[name]), *marks]
        layers.append(group(*marks, data_series=str(i)))
    return panel.draw(identifier, title, description, panel.layer(*reversed(layers)))


def _shade(x: Floats, y: Floats, style: str) -> Markup:
    """Draw the area between a drawdown and zero; gaps count as zero."""
    points = zip(np.rint(x).astype(int), np.rint(np.nan_to_num(y)).astype(int), strict=True)
    path = "L".join(f"{a} {b}" for a, b in points)
    return element("path", d=f"M{x[0]:.0f} 0L{path}L{x[-1]:.0f} 0Z", class_=f"shade {style}")


def _outcome(curve: Floats) -> str:
    finite = curve[np.isfinite(curve)]
    return percent(float(finite[-1]) - 1.0, signed=True) if finite.size else "no values"


def _equity_words(data: ReportData, curves: Mapping[str, Floats]) -> str:
    ends = "; ".join(
        f"{clip(name, NAME_LENGTH)} {_outcome(curve)}" for name, curve in curves.items()
    )
    return f"Compounded return of {len(curves)} series, {_span(data)}. At the end: {ends}."


def _fall_words(falls: Mapping[str, Floats]) -> str:
    deepest = "; ".join(
        f"{clip(name, NAME_LENGTH)} {percent(float(np.nanmin(fall)))}"
        for name, fall in falls.items()
        if np.isfinite(fall).any()
    )
    return f"Fall from the highest equity so far. Deepest: {deepest}."


def _span(data: ReportData) -> str:
    first, last = date_text(data.dates[0]), date_text(data.dates[-1])
    days = len(data.dates)
    return f"{counted_bars(days)}, {first} to {last}" if days > 1 else f"one bar, {first}"


def _caption(data: ReportData, names: Sequence[str], log: bool) -> list[str]:
    sentences = [f"Compounded from the start of the run; {_span(data)}."]
    if any(name in data.baselines for name in names):
        sentences.append("Naive baselines are grey and dashed.")
    if log:
        sentences.append("The scale is logarithmic: equal heights are equal factors.")
    if len(names) < len(data.equity):
        sentences.append(f"{len(names)} of {len(data.equity)} series are drawn.")
    return sentences


def _drawn(data: ReportData, detail: Detail) -> list[str]:
    if len(data.dates) <= 2 * detail.buckets:
        return []
    return [
        f"Drawn as the least and the greatest value of each of {detail.buckets} stretches of bars, "
        "so no extreme is lost."
    ]
