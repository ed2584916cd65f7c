"""The trials of a ledger as a grid: for heatmaps and neighbourhoods of any search."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.search.grid_result import GridResult
from marketsim.search.ledger import Ledger


def ledger_grid(ledger: Ledger, study: str, *, direction: str = "maximize") -> GridResult:
    """The complete trials of a study as a grid of the values that were tried.

    Of several attempts at the same parameters (with other seeds, splits, data or code) the best
    counts.

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
    frame = ledger.trials(study)
    frame = frame[frame["status"] == "complete"]
    columns = [name for name in frame.columns if name.startswith("param_")]
    if frame.empty or not columns:
        raise ArgumentError(f"study {study!r} has no complete trial with parameters")
    sign = 1.0 if direction == "maximize" else -1.0
    best: dict[tuple[Any, ...], float] = {}
    for *values, score in frame[[*columns, "score"]].itertuples(index=False, name=None):
        if any(value is None or value != value for value in values):
            raise ArgumentError(
                f"the trials of {study!r} have different parameters: a grid needs the same in all"
            )
        key = tuple(values)
        before = best.get(key, np.nan)
        if key not in best or np.isnan(before) or sign * score > sign * before:
            best[key] = float(score)
    names = [column.removeprefix("param_") for column in columns]
    space = {
        name: sorted({key[i] for key in best}, key=lambda value: (str(type(value)), value))
        for i, name in enumerate(names)
    }
    sets = {name: np.array([key[i] for key in best]) for i, name in enumerate(names)}
    return GridResult(space, sets, np.array(list(best.values())), {}, direction, len(best))
