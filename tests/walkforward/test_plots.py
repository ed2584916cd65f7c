"""Figures for notebooks: the same numbers by both packages, and errors that say what to do."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import marketsim as ms
from marketsim.report import plot as drawing
from marketsim.walkforward.plots import FIGURES, plot_of


@pytest.fixture(scope="module")
def result() -> ms.WalkForwardResult:
    return ms.walk_forward(ms.demo_bars(), "ewma", simulations=300, progress=False, store=False)


@pytest.mark.parametrize("name", FIGURES)
def test_both_packages_draw_the_same_values(result: ms.WalkForwardResult, name: str) -> None:
    plot = plot_of(result, name, None, "high")
    by_plotly = result.figure(name, target="high", backend="plotly")
    by_matplotlib = result.figure(name, target="high", backend="matplotlib")
    for panel, axis in zip(plot.panels, by_matplotlib.axes, strict=True):
        if panel.grid is not None:
            np.testing.assert_array_equal(axis.images[0].get_array().filled(np.nan), panel.grid)
            np.testing.assert_array_equal(np.array(by_plotly.data[0].z, dtype=float), panel.grid)
            continue
        drawn = {line.get_label(): line.get_ydata() for line in axis.lines}
        assert set(drawn) == set(panel.lines)
        for label, values in panel.lines.items():
            np.testing.assert_array_equal(drawn[label], values)
    names = {trace.name for trace in by_plotly.data if trace.name}
    assert names == {label for panel in plot.panels for label in (*panel.lines, *panel.bands)}
    assert result.bars.symbol in by_plotly.layout.title.text


def test_figures_show_what_the_frames_hold(result: ms.WalkForwardResult) -> None:
    equity = plot_of(result, "equity", "maxdiff", "close").panels
    curve = equity[0].lines["maxdiff"]
    np.testing.assert_array_equal(curve, result.equity["maxdiff"])
    summary = result.summary().strategies
    assert -equity[1].lines["maxdiff"].min() == pytest.approx(summary.max_drawdown["maxdiff"])
    grid = plot_of(result, "monthly", "simple", "close").panels[0].grid
    whole = np.prod(1.0 + grid[np.isfinite(grid)]) - 1.0
    assert whole == pytest.approx(summary.total_return["simple"])
    calibration = plot_of(result, "calibration", None, "close").panels[0]
    frame = result.forecasts.query("target == 'close'")
    at = list(calibration.x).index(0.1)
    assert calibration.lines["close"][at] == (frame.actual <= frame["q0.1"]).mean()


def test_names_that_are_unknown_are_refused(result: ms.WalkForwardResult) -> None:
    for options, message in (
        ({"name": "pie"}, "unknown figure 'pie': expected one of equity"),
        ({"strategy": "nope"}, "unknown strategy 'nope'"),
        ({"target": "mid"}, "unknown target 'mid'"),
        ({"backend": "bokeh"}, "unknown backend 'bokeh'"),
    ):
        with pytest.raises(ms.UnknownNameError, match=message):
            result.figure(**options)
    with pytest.raises(ms.UnknownNameError, match="unknown strategy"):
        result.to_quantstats("nope")


def test_without_a_package_the_extra_is_named(
    result: ms.WalkForwardResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str, *given: Any) -> Any:
        return None if name in ("plotly", "matplotlib") else real(name, *given)

    real = importlib.util.find_spec
    monkeypatch.setattr(drawing.importlib.util, "find_spec", find)
    with pytest.raises(ms.MissingDependencyError, match=r"\.\[plots\]"):
        result.plot()


def test_quantstats_takes_the_returns(result: ms.WalkForwardResult) -> None:
    stats = pytest.importorskip("quantstats", reason="marketsim[peers] has quantstats").stats
    series = result.to_quantstats("simple")
    assert series.index.tz is None and series.name == "simple"
    drawdown = result.summary().strategies.max_drawdown["simple"]
    assert -stats.max_drawdown(series) == pytest.approx(drawdown)
    series.iloc[0] = 5.0  # a copy
    assert result.to_quantstats("simple").iloc[0] != 5.0
