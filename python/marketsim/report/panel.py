"""Plot over bars: grid, axes, and coordinates of bars and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from marketsim.report.scales import Scale
from marketsim.report.svg import TALL, WIDE, chart, element, group, share, stretched
from marketsim.report.timeaxis import DateTick

Floats = npt.NDArray[np.float64]

DATE_TICKS = 10  # on a wide page; narrow ones show fewer of them
_AXIS_HEIGHT = 26  # below the plot, for dates
_TOP = 10  # px above the plot, for half of the topmost label
_LETTER = 6.9  # width of a digit of the axes, px
# Widths of the page from which a set of labels is shown, px, and what surrounds the plot there.
# templates/style.css has a rule for each; beyond the last the page grows no more.
WIDTHS = (320, 400, 480, 600, 721, 900, 1100)
_PADDING = (32, 32, 32, 32, 56, 56, 56)
_RIGHT, _LEAST_LEFT = 14, 80  # px beside the plot; a figure of several panels shares the left one
_GAP = 14  # least distance of two labels, px


@dataclass(frozen=True)
class Figure:
    """Content of one figure on the page, apart from its heading.

    Attributes:
        name: base of identifiers; fixed by this program, not from data.
        panels: svg elements from top to bottom.
        left: pixels left of the plots, for value labels.
        caption: sentences below the figure.
        drawn: sentences about the drawn figure alone, not the interactive one.
        legend: entries of the legend.
        facts: names and values highlighted beside the figure.
    """

    name: str
    panels: Sequence[Markup]
    left: int
    caption: Sequence[str]
    legend: Sequence[LegendEntry] = ()
    facts: Sequence[tuple[str, str]] = ()
    drawn: Sequence[str] = ()


@dataclass(frozen=True)
class LegendEntry:
    """Entry of a legend.

    Attributes:
        swatch: a small svg of the mark.
        name: name of the series or mark.
        detail: a figure beside the name, or empty.
        series: number of the series that a click hides; None for none.
    """

    swatch: Markup
    name: str
    detail: str = ""
    series: int | None = None


@dataclass(frozen=True)
class Panel:
    """One plot with bars on the horizontal and values on the vertical axis.

    Attributes:
        days: number of bars; each is centred in its share of the width.
        scale: scale of the values.
        height: height of the plot itself, in pixels.
        ticks: date ticks; they always draw grid lines, and labels only if `dated`.
        dated: whether dates are written below.
        zero: value of the emphasised grid line; None for none.
        label: short label in the upper left corner, or empty.
    """

    days: int
    scale: Scale
    height: int
    ticks: Sequence[DateTick] = field(default=())
    dated: bool = True
    zero: float | None = None
    label: str = ""

    @property
    def left(self) -> int:
        """Pixels that value labels need on the left."""
        longest = max((len(label) for _, label in self.scale.ticks), default=0)
        return max(44, round(longest * _LETTER) + 14)

    def across(self, day: float) -> float:
        """Return a bar's position as a share of the width."""
        return (day + 0.5) / max(self.days, 1)

    def x(self, days: npt.ArrayLike) -> Floats:
        """Return x coordinates of bars in the stretched layer."""
        return (np.asarray(days, dtype=np.float64) + 0.5) / max(self.days, 1) * WIDE

    def y(self, values: npt.ArrayLike) -> Floats:
        """Return y coordinates of values in the stretched layer, downwards."""
        return (1.0 - self.scale.heights(values)) * TALL

    def pixel(self, values: npt.ArrayLike) -> Floats:
        """Return y coordinates of values in pixels from the top of the svg."""
        return _TOP + (1.0 - self.scale.heights(values)) * self.height

    def layer(self, *content: str) -> Markup:
        """Wrap content in a stretched layer over the plot."""
        return stretched(*content, top=_TOP, height=self.height, class_="layer")

    def draw(self, identifier: str, title: str, description: str, *content: str) -> Markup:
        """Draw the svg: grid and axes, then `content` on top."""
        below = _AXIS_HEIGHT if self.dated else 4
        return chart(
            identifier,
            title,
            description,
            group(*self._value_axis(), *self._date_axis(), class_="axes"),
            *content,
            self._label(),
            height=_TOP + self.height + below,
        )

    def _label(self) -> Markup:
        if not self.label:
            return Markup("")
        # Equity starts low and drawdown high: each leaves the opposite corner free.
        y = _TOP + 16 if self.dated is False else _TOP + self.height - 8
        return element("text", self.label, x="8", y=y, class_="panel-label")

    def _value_axis(self) -> list[Markup]:
        marks = []
        for value, label in self.scale.ticks:
            y = float(self.pixel(value))
            strong = self.zero is not None and abs(value - self.zero) < 1e-12
            marks.append(element("line", x2="100%", y1=y, y2=y, class_="zero" if strong else None))
            marks.append(element("text", label, x="-8", y=y, dy="0.33em", class_="value"))
        return marks

    def _date_axis(self) -> list[Markup]:
        bottom = _TOP + self.height
        marks = [element("line", x2="100%", y1=bottom, y2=bottom, class_="floor")]
        places = [self.across(tick.day) for tick in self.ticks]
        kinds = _label_classes(places, [tick.label for tick in self.ticks], self.left)
        for i, tick in enumerate(self.ticks):
            at = self.across(tick.day)
            x = share(at)
            marks.append(element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="turn"))
            if self.dated:
                kind = kinds[i]
                marks.append(element("text", tick.label, x=x, y=bottom + 18, class_=kind))
        return marks


def _label_classes(places: Sequence[float], labels: Sequence[str], left: int) -> list[str]:
    """Return the CSS classes of date labels: at which widths of the page each is shown.

    On every width between two of `WIDTHS` the labels that are shown keep their distance, since a
    wider plot only moves them apart. Labels near an end are anchored to stay beside the plot.
    """
    shown: list[list[int]] = [[] for _ in places]
    anchors = ["first" if at < 0.04 else "last" if at > 0.96 else "" for at in places]
    for number, (page, padding) in enumerate(zip(WIDTHS, _PADDING, strict=True)):
        plot = page - padding - max(left, _LEAST_LEFT) - _RIGHT
        taken = -1e9
        for i, (at, label) in enumerate(zip(places, labels, strict=True)):
            wide = len(label) * _LETTER
            before = {"first": 0.0, "last": wide}.get(anchors[i], wide / 2)
            start = at * plot - before
            if start >= taken + _GAP and start > -_LEAST_LEFT / 2:
                shown[i].append(number)
                taken = start + wide
    return [
        " ".join(["date", *([anchor] if anchor else []), *(f"w{n}" for n in widths)])
        for anchor, widths in zip(anchors, shown, strict=True)
    ]
