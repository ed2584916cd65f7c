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

DATE_TICKS = 10  # on a wide page; a narrow one shows fewer of them
_AXIS_HEIGHT = 26  # below the plot, for dates
_TOP = 10  # px above the plot, for half of the topmost label
_LETTER = 6.9  # width of a digit of the axes, px
# A label this close to an end is placed inside the plot, on a wide and on a narrow page.
_EDGE, _NARROW_EDGE = 0.035, 0.1
_NARROW_GAP = 0.23  # least distance of two labels' centres, as a share of a narrow page


@dataclass(frozen=True)
class Figure:
    """Content of one figure on the page, apart from its heading.

    Attributes:
        name: base of identifiers; fixed by this program, not from data.
        panels: svg elements from top to bottom.
        left: pixels left of the plots, for value labels.
        caption: sentences below the figure.
        legend: entries of the legend.
        facts: names and values highlighted beside the figure.
        hover: JSON data of the tooltip; None for no tooltip.
    """

    name: str
    panels: Sequence[Markup]
    left: int
    caption: Sequence[str]
    legend: Sequence[LegendEntry] = ()
    facts: Sequence[tuple[str, str]] = ()
    hover: dict[str, object] | None = None


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

    def axis(self, shift: float = 0.0) -> dict[str, object]:
        """Return the script's parameters to place numbers stored `shift` below their value."""
        scale = self.scale
        return {
            "low": scale.low,
            "high": scale.high,
            "log": scale.log,
            "shift": shift,
            "top": _TOP,
            "height": self.height,
        }

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
        narrow = _narrow_labels([self.across(tick.day) for tick in self.ticks])
        for i, tick in enumerate(self.ticks):
            at = self.across(tick.day)
            x = share(at)
            marks.append(element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="turn"))
            if self.dated:
                kind = f"date{_edge_class(at)}{'' if i in narrow else ' wide'}"
                marks.append(element("text", tick.label, x=x, y=bottom + 18, class_=kind))
        return marks


def _edge_class(at: float) -> str:
    """Return the CSS class that keeps a label near an end inside the plot."""
    if at < _NARROW_EDGE:
        return " first" if at < _EDGE else " near-first"
    if at > 1.0 - _NARROW_EDGE:
        return " last" if at > 1.0 - _EDGE else " near-last"
    return ""


def _narrow_labels(places: Sequence[float]) -> set[int]:
    """Select the labels that fit on a narrow page."""
    kept: set[int] = set()
    before = -1.0
    for i, at in enumerate(places):
        middle = min(max(at, _NARROW_EDGE), 1.0 - _NARROW_EDGE)
        if middle - before >= _NARROW_GAP:
            kept.add(i)
            before = middle
    return kept
