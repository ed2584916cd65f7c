"""Page of a forecast evaluation: skill, comparison of models, and calibration."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS
from marketsim.metrics.evaluation_result import LEVELS, SHOWN, ForecastEvaluation, cells_of
from marketsim.report.data import Table
from marketsim.report.files import write_atomically
from marketsim.report.html import render_page
from marketsim.report.panel import Figure, LegendEntry, Panel
from marketsim.report.scales import linear_scale
from marketsim.report.series import COLOURS, NAME_LENGTH, series_styles, swatch
from marketsim.report.svg import TALL, element
from marketsim.report.tables import TableView, table_view
from marketsim.report.text import clip
from marketsim.report.timeaxis import DateTick

_HEIGHT = 170  # of a histogram's plot, px
_BINS = len(LEVELS) + 1
_GAP = 0.12  # of a bin's width left free
# Widths of the central intervals that decile forecasts give: 20 %, 40 %, 60 % and 80 %.
_INTERVALS = tuple((LEVELS[i], LEVELS[-1 - i]) for i in reversed(range(len(LEVELS) // 2)))


def write_evaluation(found: ForecastEvaluation, path: str | os.PathLike[str]) -> Path:
    """Write an evaluation to one HTML file that needs no network; return its path.

    The page has the printed table, the models beside one another (with the model confidence set
    where the package arch is installed), the coverage of the central intervals, the histogram of
    where outcomes lie in the forecast distribution, and the skill by volatility and year.

    Args:
        found: result of `evaluate_forecasts`.
        path: name of the file; ends in .html.

    Raises:
        ArgumentError: a path that `marketsim.report.files.check_page_path` refuses.

    Example:
        >>> import tempfile
        >>> import marketsim as ms
        >>> found = ms.evaluate_forecasts(ms.demo_bars(), "ewma", store=False, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_evaluation(found, f"{folder}/skill.html").name
        'skill.html'
    """
    return write_atomically(path, render_evaluation(found))


def render_evaluation(found: ForecastEvaluation) -> str:
    """Render the page as HTML text; see `write_evaluation`."""
    tables = [_skill(found), *_beside(found), _coverage(found), _regimes(found), _cost(found)]
    return render_page(
        "evaluation.html",
        title=clip(f"Forecasts of {', '.join(found.models)}", NAME_LENGTH),
        subtitle=found.heading(),
        summary=_view(tables[0]),
        tables=[_view(table) for table in tables[1:]],
        histograms=[(target, _histogram(found, target)) for target in TARGETS],
        notes=list(found.notes),
    )


def _view(table: Table) -> TableView:
    return table_view(table, most=400)


def _skill(found: ForecastEvaluation) -> Table:
    rows = [
        [row["model"], row["target"], str(row["horizon"]), *cells_of(row)] for row in found.shown()
    ]
    head = ["model", "target", "steps ahead", *(name for name, _ in SHOWN)]
    return Table("Skill against no change and climatology", head, rows)


def _beside(found: ForecastEvaluation) -> Iterator[Table]:
    if len(found.models) < 2:
        return
    with_set = find_spec("arch") is not None
    rows = []
    for step in found.horizons:
        for target in TARGETS:
            frame = found.compare(target, horizon=step, confidence_set=with_set)
            for row in frame.to_dict("records"):
                cells = [row["model"], target, str(step), f"{row['ratio']:.3f}"]
                cells.append(_number(row["p_value"]))
                if with_set:
                    cells += ["yes" if row["in_set"] else "no", _number(row["set_p_value"])]
                rows.append(cells)
    head = ["model", "target", "steps ahead", "loss / best", "p"]
    note = "Quantile loss relative to the best model's; p: of equal accuracy (Diebold and Mariano)."
    if with_set:
        head += ["in the set", "p of the set"]
        note += " The set holds the best model with 95 % confidence (Hansen, Lunde and Nason)."
    else:
        note += " The model confidence set needs the package arch."
    yield Table("Models beside one another", head, rows, note)


def _coverage(found: ForecastEvaluation) -> Table:
    shares = _shares(found)
    bars = {key[:3]: len(one.rows) for key, one in found.judged.items()}
    rows = []
    for (model, symbol, step, target), share in shares.items():
        cells = [model, symbol, target, str(step)]
        for low, high in _INTERVALS:
            covered = share[LEVELS.index(high)] - share[LEVELS.index(low)]
            error = 2.0 * math.sqrt((high - low) * (1.0 - high + low) / bars[model, symbol, step])
            mark = "" if abs(covered - (high - low)) <= error else " *"
            cells.append(f"{100 * covered:.1f} %{mark}")
        rows.append(cells)
    head = ["model", "symbol", "target", "steps ahead"]
    head += [f"{100 * (high - low):.0f} %" for low, high in _INTERVALS]
    note = "Outcomes inside each central interval. * more than two standard errors away from it."
    return Table("Coverage by level", head, rows, note)


def _regimes(found: ForecastEvaluation) -> Table:
    frame = found.table(regimes=True)
    frame = frame[(frame["regime"] != "all") & frame["symbol"].isin(found.symbols)]
    rows = [
        [row["model"], row["symbol"], row["target"], str(row["horizon"]), row["regime"],
         f"{row['bars']:.0f}", _number(row["pinball_ratio"], 3), _number(row["mae_ratio"], 3)]
        for row in frame.to_dict("records")
    ]  # fmt: skip
    head = ["model", "symbol", "target", "steps ahead", "bars of", "bars", "pinball/clim."]
    return Table("By volatility, year and training data", [*head, "MAE/walk"], rows)


def _cost(found: ForecastEvaluation) -> Table:
    rows = [
        [name, f"{spent:.3f}", f"{spent / found.forecasts * 1e6:,.1f}"]
        for name, spent in found.seconds.items()
    ]
    note = f"Of {found.forecasts:,} forecasts, those that the store had included."
    return Table("Cost", ["model", "seconds", "us a forecast"], rows, note)


def _shares(
    found: ForecastEvaluation,
) -> Mapping[tuple[str, str, int, str], npt.NDArray[np.float64]]:
    """Share of outcomes at or below each quantile, by model, symbol, horizon and target."""
    frame = found.calibration
    names = zip(frame["model"], frame["symbol"], frame["horizon"], frame["target"], strict=True)
    shares: dict[tuple[str, str, int, str], list[float]] = {}
    for name, share in zip(names, frame["share"].tolist(), strict=True):
        shares.setdefault(name, []).append(share)
    return {name: np.array(values) for name, values in shares.items()}


def _histogram(found: ForecastEvaluation, target: str) -> Figure:
    """Draw how many outcomes lie between neighbouring deciles, a bar a model."""
    step = found.horizons[0]
    shares = _shares(found)
    models = found.models[:COLOURS]
    heights = {
        model: np.mean(
            [
                np.diff(shares[model, symbol, step, target], prepend=0.0, append=1.0)
                for symbol in found.symbols
            ],
            axis=0,
        )
        for model in models
    }
    scale = linear_scale(
        np.concatenate([*heights.values(), [0.0, 0.2]]), lambda value, _: f"{100 * value:.0f} %",
        count=5, low=0.0,
    )  # fmt: skip
    ticks = [DateTick(i, f"{100 * i // _BINS}–{100 * (i + 1) // _BINS} %") for i in range(_BINS)]
    panel = Panel(_BINS, scale, _HEIGHT, ticks, zero=1.0 / _BINS)
    styles = series_styles(models, frozenset())
    marks = []
    width = (1.0 - 2 * _GAP) / len(models)
    for k, model in enumerate(models):
        for i, share in enumerate(heights[model]):
            left, right = panel.x([i - 0.5 + _GAP + k * width, i - 0.5 + _GAP + (k + 1) * width])
            top = float(panel.y(share))
            marks.append(element("rect", x=float(left), y=top, width=float(right - left),
                                 height=TALL - top, class_=f"bar {styles[model]}"))  # fmt: skip
    title = f"Where the {target} lies in its forecast distribution"
    spread = "; ".join(
        f"{clip(model, NAME_LENGTH)} {100 * least:.0f} to {100 * most:.0f} %"
        for model, least, most in ((m, h.min(), h.max()) for m, h in heights.items())
    )
    svg = panel.draw(
        f"pit-{target}", title, f"Share of outcomes by tenth: {spread}.", panel.layer(*marks)
    )
    return Figure(
        name=f"pit-{target}",
        panels=[svg],
        left=panel.left,
        caption=[
            "Share of outcomes between neighbouring deciles of their forecast; a calibrated "
            f"distribution has {100 / _BINS:.0f} % in each. {step} step"
            f"{'s' if step > 1 else ''} ahead."
        ],
        legend=[
            LegendEntry(swatch(element("rect", x=1, y=1, width=12, height=10,
                                       class_=f"bar {styles[model]}")),
                        clip(model, NAME_LENGTH))
            for model in models
        ],
    )  # fmt: skip


def _number(value: float, digits: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
