"""Interactive and static figures for notebooks: one description, drawn by plotly or matplotlib."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from marketsim.errors import MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

Values = npt.NDArray[np.float64]
Backend = Literal["auto", "plotly", "matplotlib"]
BACKENDS: tuple[Backend, ...] = ("auto", "plotly", "matplotlib")
WIDTH, PANEL_HEIGHT = 900, 300  # pixels


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        label: label of the vertical axis, with its unit.
        x: [point], dates or numbers.
        lines: values [point] by name; NaN leaves a gap.
        bands: (low, high) values [point] by name, drawn below the lines.
        dashed: names of lines drawn dashed, such as baselines.
        grid: values [row, column] drawn as a heatmap instead, or None.
        rows, columns: labels of the grid.
        log: logarithmic vertical axis.
        percent: format values as percentages.
    """

    label: str
    x: npt.NDArray[Any]
    lines: Mapping[str, Values] = field(default_factory=dict)
    bands: Mapping[str, tuple[Values, Values]] = field(default_factory=dict)
    dashed: frozenset[str] = frozenset()
    grid: Values | None = None
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    log: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Plot:
    """A figure: panels below one another with a common horizontal axis.

    Attributes:
        title: title of the figure.
        panels: panels from the top down.
        x_label: label of the horizontal axis; empty for dates.
    """

    title: str
    panels: tuple[Panel, ...]
    x_label: str = ""


def draw(plot: Plot, backend: str = "auto") -> Any:
    """Draw a plot.

    Args:
        plot: description of the figure.
        backend: "plotly", "matplotlib", or "auto": plotly if it is installed, else matplotlib.

    Returns:
        A `plotly.graph_objects.Figure` or a `matplotlib.figure.Figure`.

    Raises:
        UnknownNameError: unknown backend.
        MissingDependencyError: the package is not installed.

    Example:
        >>> plot = Plot("Equity", (Panel("equity", np.arange(3), {"a": np.array([1, 1.1, 1.2])}),))
        >>> draw(plot, "matplotlib").axes[0].get_ylabel()
        'equity'
    """
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    names = ("plotly", "matplotlib") if backend == "auto" else (backend,)
    for name in names:
        if importlib.util.find_spec(name) is not None:
            return _by_plotly(plot) if name == "plotly" else _by_matplotlib(plot)
    raise MissingDependencyError(
        f"a figure needs {' or '.join(names)}, not installed: pip install '.[plots]' in the "
        "checkout; result.report(path) writes a page without it"
    )


# Colours that stay apart for colour-blind readers.
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c510a", "#5e3c99",
    "#000000", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip


def _by_plotly(plot: Plot) -> Any:
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    rows = len(plot.panels)
    figure = make_subplots(rows=rows, shared_xaxes=True, vertical_spacing=0.06)
    seen: set[str] = set()
    for row, panel in enumerate(plot.panels, 1):
        if panel.grid is not None:
            heat = graph_objects.Heatmap(
                z=panel.grid, x=list(panel.columns), y=list(panel.rows), colorscale="RdBu",
                zmid=0.0, texttemplate="%{z:.1%}" if panel.percent else "%{z:.2f}",
                hovertemplate="%{y} %{x}: %{z}<extra></extra>", showscale=False,
            )  # fmt: skip
            figure.add_trace(heat, row=row, col=1)
        for name, (low, high) in panel.bands.items():
            grey = {"width": 0}
            upper = graph_objects.Scatter(
                x=panel.x, y=high, line=grey, showlegend=False, hoverinfo="skip"
            )
            lower = graph_objects.Scatter(
                x=panel.x, y=low, line=grey, fill="tonexty", name=name,
                fillcolor="rgba(0,114,178,0.18)", hoverinfo="skip",
            )  # fmt: skip
            figure.add_trace(upper, row=row, col=1)
            figure.add_trace(lower, row=row, col=1)
        for i, (name, values) in enumerate(panel.lines.items()):
            style = {"color": _COLOURS[i % len(_COLOURS)], "width": 1.6}
            if name in panel.dashed:
                style["dash"] = "dot"
            line = graph_objects.Scatter(
                x=panel.x, y=values, name=name, mode="lines", line=style, legendgroup=name,
                showlegend=name not in seen,
            )  # fmt: skip
            figure.add_trace(line, row=row, col=1)
            seen.add(name)
        axis = {"title": panel.label, "type": "log" if panel.log else "-"}
        if panel.percent and panel.grid is None:
            axis["tickformat"] = ".1%"
        if panel.grid is not None:
            axis = {"title": panel.label, "type": "category", "autorange": "reversed"}
        figure.update_yaxes(axis, row=row, col=1)
    if plot.x_label:
        figure.update_xaxes(title=plot.x_label, row=rows, col=1)
    figure.update_layout(
        title=plot.title, width=WIDTH, height=80 + PANEL_HEIGHT * rows, hovermode="x unified",
        template="plotly_white", margin={"l": 60, "r": 20, "t": 50, "b": 40},
    )  # fmt: skip
    return figure


def _by_matplotlib(plot: Plot) -> MatplotlibFigure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter, StrMethodFormatter

    rows = len(plot.panels)
    figure = Figure(figsize=(WIDTH / 100, (80 + PANEL_HEIGHT * rows) / 100), layout="constrained")
    FigureCanvasAgg(figure)
    # Notebooks show it without pyplot.
    setattr(figure, "_repr_png_", functools.partial(_png, figure))  # noqa: B010
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(plot.title)
    for axis, panel in zip(axes, plot.panels, strict=True):
        axis.set_ylabel(panel.label)
        if panel.grid is not None:
            _matplotlib_grid(axis, panel)
            continue
        for name, (low, high) in panel.bands.items():
            axis.fill_between(panel.x, low, high, color="#0072b2", alpha=0.18, lw=0, label=name)
        for i, (name, values) in enumerate(panel.lines.items()):
            style = ":" if name in panel.dashed else "-"
            colour = _COLOURS[i % len(_COLOURS)]
            axis.plot(panel.x, values, style, color=colour, lw=1.4, label=name)
        if panel.log:
            axis.set_yscale("log")
            for formatted in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
                formatted(StrMethodFormatter("{x:g}"))
        if panel.percent:
            axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axis.grid(alpha=0.25)
    axes[-1].set_xlabel(plot.x_label)
    if axes[0].get_legend_handles_labels()[0]:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles=handles, labels=labels, loc="outside right center", fontsize="small")
    return figure


def _png(figure: MatplotlibFigure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _matplotlib_grid(axis: Any, panel: Panel) -> None:
    assert panel.grid is not None
    finite = panel.grid[np.isfinite(panel.grid)]
    most = float(np.abs(finite).max()) if finite.size else 1.0
    axis.imshow(panel.grid, cmap="RdBu", vmin=-most or -1.0, vmax=most or 1.0, aspect="auto")
    axis.set_xticks(range(len(panel.columns)), panel.columns)
    axis.set_yticks(range(len(panel.rows)), panel.rows)
    for row, column in zip(*np.nonzero(np.isfinite(panel.grid)), strict=True):
        value = panel.grid[row, column]
        text = f"{value:.1%}" if panel.percent else f"{value:.2f}"
        colour = "white" if abs(value) > 0.6 * most else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize="x-small", color=colour)
