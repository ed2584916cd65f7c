"""The trials of a ledger as a grid: for heatmaps and neighbourhoods of any search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from marketsim.arguments import check_one_of
from marketsim.errors import ArgumentError
from marketsim.search.grid_result import GridResult, column_of
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
        trials = book.complete(study, question)
    if direction is None:
        direction = trials[0].direction.partition(",")[0] if trials else "maximize"
    check_one_of("direction", direction, ("maximize", "minimize"))
    names = sorted(trials[0].params) if trials else []
    if not names:
        raise ArgumentError(f"study {study!r} has no complete trial with parameters")
    cells: dict[tuple[Any, ...], float] = {}
    for trial in trials:
        if sorted(trial.params) != names:
            raise ArgumentError(
                f"the trials of {study!r} have different parameters: a grid needs the same in all"
            )
        score = trial.score if math.isfinite(trial.score) else math.nan
        cells[tuple(trial.params[name] for name in names)] = score
    space = {name: sorted({key[i] for key in cells}, key=_order) for i, name in enumerate(names)}
    sets = {name: column_of([key[i] for key in cells]) for i, name in enumerate(names)}
    return GridResult(space, sets, np.array(list(cells.values())), {}, direction, len(cells))


def _order(value: Any) -> tuple[str, Any]:
    """Numbers by size, whole or not; then others by their type."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if is_number else str(type(value)), value
