"""The trials of a ledger as a grid: for heatmaps and neighbourhoods of any search."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.search.grid_result import GridResult
from marketsim.search.ledger import LedgerLike, opened
from marketsim.search.trial import Question


def ledger_grid(
    ledger: LedgerLike,
    study: str,
    *,
    direction: str | None = None,
    question: Question | None = None,
) -> GridResult:
    """Return the complete trials of a study as a grid of their values.

    Scores of one question alone are compared: the newest, or `question` (see `Ledger.questions`).
    Of several attempts at the same parameters the newest counts. `direction` None is that of the
    question.

    Raises:
        ArgumentError: no complete trial, or parameters that differ from trial to trial.

    Example:
        >>> import tempfile
        >>> from marketsim.search import Ledger, grid
        >>> with tempfile.TemporaryDirectory() as folder, Ledger(f"{folder}/t.sqlite") as ledger:
        ...     _ = grid(lambda s: s["x"] * 1.0, {"x": [1, 2, 3]}, ledger=ledger, progress=False)
        ...     found = ledger_grid(ledger, "grid")
        >>> found.best_params, len(found)
        ({'x': 3}, 3)
    """
    with opened(ledger, "r") as book:
        asked = book.question(study) if question is None else question
        frame = book.trials(study)
    if asked is not None:
        same = [
            Question(*row).digest == asked.digest
            for row in frame[list(Question._fields)].to_numpy()
        ]
        frame = frame[same]
    if direction is None:
        direction = "maximize" if asked is None else asked.direction.partition(",")[0]
    frame = frame[frame["status"] == "complete"]
    columns = [
        name for name in frame.columns if name.startswith("param_") and frame[name].notna().any()
    ]
    if frame.empty or not columns:
        raise ArgumentError(f"study {study!r} has no complete trial with parameters")
    cells: dict[tuple[Any, ...], float] = {}
    for *values, score in frame[[*columns, "score"]].itertuples(index=False, name=None):
        if any(value is None or value != value for value in values):
            raise ArgumentError(
                f"the trials of {study!r} have different parameters: a grid needs the same in all"
            )
        key = tuple(values)
        cells[key] = float(score)
    names = [column.removeprefix("param_") for column in columns]
    space = {name: sorted({key[i] for key in cells}, key=_order) for i, name in enumerate(names)}
    sets = {name: np.array([key[i] for key in cells]) for i, name in enumerate(names)}
    return GridResult(space, sets, np.array(list(cells.values())), {}, direction, len(cells))


def _order(value: Any) -> tuple[str, Any]:
    """Numbers by size, whole or not; then others by their type."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if is_number else str(type(value)), value
