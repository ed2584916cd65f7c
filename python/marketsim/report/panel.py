"""A plot over days: grid, axes and the places of days and values."""

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
_TOP = 10  # above the plot, for half of the topmost label
_LETTER = 6.9  # width of a digit of the axes, px
# A label this close to an end is set inside of it, on a wide page and on a narrow one.
_EDGE, _NARROW_EDGE = 0.035, 0.1
_NARROW_GAP = 0.23  # between the middles of two labels, as a share of a narrow page


@dataclass(frozen=True)
class Figure:
    """What the page shows of one figure, apart from its heading.

    Attributes:
        name: for identifiers; from this program, not from data.
        panels: svg elements, one below the other.
        left: pixels left of the plots, for the labels of the values.
        caption: sentences below it.
        legend: its entries.
        facts: names and figures that stand out beside it.
        hover: what the script shows under the pointer, for JSON; None for nothing.
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
    """A line of a legend.

    Attributes:
        swatch: a small svg of the mark.
        name: what it stands for.
        detail: a figure beside the name, may be empty.
        series: number of the series that a click hides, None where nothing can be hidden.
    """

    swatch: Markup
    name: str
    detail: str = ""
    series: int | None = None


@dataclass(frozen=True)
class Panel:
    """One plot with days across and values up.

    Attributes:
        days: length of the day axis; a day lies in the middle of its share of the width.
        scale: of the values.
        height: pixels, of the plot itself.
        ticks: dates; they are written below only if `dated`, and always draw grid lines.
        dated: whether dates are written below.
        zero: a value whose line is drawn stronger, None for none.
        label: a few words in the upper left corner, may be empty.
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
        """Pixels that the labels of the values need on the left."""
        longest = max((len(label) for _, label in self.scale.ticks), default=0)
        return max(44, round(longest * _LETTER) + 14)

    def across(self, day: float) -> float:
        """Share of the width."""
        return (day + 0.5) / max(self.days, 1)

    def x(self, days: npt.ArrayLike) -> Floats:
        """Places of days in the stretched layer."""
        return (np.asarray(days, dtype=np.float64) + 0.5) / max(self.days, 1) * WIDE

    def y(self, values: npt.ArrayLike) -> Floats:
        """Places of values in the stretched layer, downwards."""
        return (1.0 - self.scale.heights(values)) * TALL

    def pixel(self, values: npt.ArrayLike) -> Floats:
        """Places of values in pixels from the top of the svg."""
        return _TOP + (1.0 - self.scale.heights(values)) * self.height

    def layer(self, *content: str) -> Markup:
        """A stretched layer over the plot."""
        return stretched(*content, top=_TOP, height=self.height, class_="layer")

    def draw(self, identifier: str, title: str, description: str, *content: str) -> Markup:
        """The svg: grid and axes below, `content` above them."""
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
        # Equity begins low and a drawdown high, so each leaves the other corner free.
        y = _TOP + 16 if self.dated is False else _TOP + self.height - 8
        return element("text", self.label, x="8", y=y, class_="panel-label")

    def axis(self, shift: float = 0.0) -> dict[str, object]:
        """What the script needs to find the height of a number that is `shift` below its value."""
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
    """How a label near an end is kept inside."""
    if at < _NARROW_EDGE:
        return " first" if at < _EDGE else " near-first"
    if at > 1.0 - _NARROW_EDGE:
        return " last" if at > 1.0 - _EDGE else " near-last"
    return ""


def _narrow_labels(places: Sequence[float]) -> set[int]:
    """Which labels have room on a narrow page."""
    kept: set[int] = set()
    before = -1.0
    for i, at in enumerate(places):
        middle = min(max(at, _NARROW_EDGE), 1.0 - _NARROW_EDGE)
        if middle - before >= _NARROW_GAP:
            kept.add(i)
            before = middle
    return kept
