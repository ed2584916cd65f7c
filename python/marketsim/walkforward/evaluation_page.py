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
from marketsim.report.data import Histogram, HistogramGroup, Table
from marketsim.report.figures_histogram import histogram_views
from marketsim.report.files import write_atomically
from marketsim.report.html import render_page
from marketsim.report.series import NAME_LENGTH
from marketsim.report.tables import TableView, table_view
from marketsim.report.text import clip

_BINS = len(LEVELS) + 1
_TEXT = 2_000  # most characters of a note
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
        histograms=histogram_views([_histograms(found, target) for target in TARGETS], _TEXT),
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


def _histograms(found: ForecastEvaluation, target: str) -> HistogramGroup:
    """Count the outcomes between neighbouring deciles of each model's forecasts."""
    step = found.horizons[0]
    drawn = []
    for model in found.models:
        counts = np.zeros(_BINS, np.int64)
        for symbol in found.symbols:
            one = found.judged[model, symbol, step]
            at = TARGETS.index(target)
            bins = (one.actual[:, at, None] > one.quantiles[:, at]).sum(axis=1)
            counts += np.bincount(bins, minlength=_BINS)
        share = counts / counts.sum()
        drawn.append(
            Histogram(
                title=model,
                labels={0.0: "0 %", 0.5: "50 %", 1.0: "100 %"},
                counts=counts,
                expected=float(counts.sum()) / _BINS,
                words=(
                    f"{model}: {100 * share.min():.0f} to {100 * share.max():.0f} % of the "
                    f"outcomes in each tenth of the forecast distribution of the {target}."
                ),
            )
        )
    note = (
        "Outcomes between neighbouring deciles of their forecast; a calibrated distribution has as "
        f"many in each. {step} step{'s' if step > 1 else ''} ahead."
    )
    return HistogramGroup(f"Where the {target} lies in its forecast distribution", drawn, note)


def _number(value: float, digits: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
