"""Every combination of some values, in batches, with the best cell and the best neighbourhood."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError
from marketsim.progress import ProgressBar
from marketsim.search.ledger import Ledger, Trial, trial_key

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# Parameter sets: an array [set] for each name.
Sets: TypeAlias = dict[str, npt.NDArray[Any]]
# Scores [set], or figures by name with "score" among them.
Objective: TypeAlias = Callable[[Sets], npt.ArrayLike | Mapping[str, npt.ArrayLike]]


class Plateau(NamedTuple):
    """The best neighbourhood of a grid.

    Attributes:
        params: the cell in its middle.
        score: mean score of the cells around it, itself included.
        cells: how many these are.
    """

    params: dict[str, Any]
    score: float
    cells: int


@dataclass(frozen=True)
class GridResult:
    """What a grid found.

    Attributes:
        space: name to the values that were tried.
        sets: arrays [set] by name, in the order of the product of `space`, the last name fastest.
        scores: [set]; NaN where a set has none, infinite ones included: neither can be best.
        figures: further figures [set] by name.
        direction: "maximize" or "minimize".
        reused: sets whose score was in the ledger.
    """

    space: Mapping[str, Sequence[Any]]
    sets: Sets
    scores: Floats
    figures: Mapping[str, Floats]
    direction: str
    reused: int

    def __len__(self) -> int:
        return len(self.scores)

    def params(self, at: int) -> dict[str, Any]:
        """The parameters of a set."""
        return {name: _plain(values[at]) for name, values in self.sets.items()}

    @property
    def best(self) -> int:
        """The set with the best score; of equals the first.

        Raises:
            ArgumentError: no set has a finite score.
        """
        if np.isnan(self.scores).all():
            raise ArgumentError(f"none of the {len(self)} sets has a finite score")
        return int(np.nanargmax(self.scores * self._sign))

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best set."""
        return self.params(self.best)

    def plateau(self, radius: int = 1) -> Plateau:
        """The cell whose neighbourhood has the best mean score.

        The neighbours of a cell lie at most `radius` steps away along every parameter, in the order
        in which its values were given. Only cells count of whose neighbours, those beyond the edge
        of the grid left out, at least half have a score.

        Raises:
            ArgumentError: a radius below 1, or no cell with a score.
        """
        if radius < 1:
            raise ArgumentError(f"radius must be at least 1: got {radius!r}")
        if np.isnan(self.scores).all():
            raise ArgumentError(f"none of the {len(self)} sets has a finite score")
        cells = self._cells()
        known = ~np.isnan(cells)
        total, count = (_around(v, radius) for v in (np.where(known, cells, 0.0), known * 1.0))
        possible = _around(np.ones(cells.shape), radius)
        counts = known & (2.0 * count >= possible)
        counts = counts if counts.any() else known
        mean = np.where(counts, total / np.maximum(count, 1.0), np.nan)
        at = np.unravel_index(int(np.nanargmax(mean * self._sign)), mean.shape)
        values = (self.space[name][int(i)] for name, i in zip(self.space, at, strict=True))
        params = dict(zip(self.space, map(_plain, values), strict=True))
        return Plateau(params, float(mean[at]), int(count[at]))

    def heatmap(self, rows: str, columns: str) -> pd.DataFrame:
        """Best score of each pair of values of two parameters, over all others.

        Raises:
            ArgumentError: a name that is no parameter, or twice the same.
        """
        for name in (rows, columns):
            if name not in self.space:
                raise ArgumentError(f"{name!r} is no parameter: expected {', '.join(self.space)}")
        if rows == columns:
            raise ArgumentError(f"expected two parameters: got {rows!r} twice")
        names = list(self.space)
        kept = [names.index(rows), names.index(columns)]
        cells = np.moveaxis(self._cells() * self._sign, kept, (0, 1))
        flat = cells.reshape(cells.shape[0], cells.shape[1], -1)
        best = np.where(np.isnan(flat), -np.inf, flat).max(axis=2)
        best = np.where(np.isinf(best), np.nan, best) * self._sign
        index = pd.Index(self.space[rows], name=rows)
        return pd.DataFrame(best, index=index, columns=pd.Index(self.space[columns], name=columns))

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Parameters of several values that change no score: misspelt, or not used."""
        cells, found = self._cells(), []
        for axis, name in enumerate(self.space):
            first = np.take(cells, [0], axis=axis)
            same = (cells == first) | (np.isnan(cells) & np.isnan(first))
            if len(self.space[name]) > 1 and same.all():
                found.append(name)
        return tuple(found)

    def to_frame(self) -> pd.DataFrame:
        """One row a set: its parameters, score and figures."""
        return pd.DataFrame({**self.sets, "score": self.scores, **self.figures})

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "maximize" else -1.0

    def _cells(self) -> Floats:
        """Scores in the shape of the space; NaN where a set was left out."""
        shape = tuple(len(values) for values in self.space.values())
        cells = np.full(shape, np.nan)
        places = []
        for name, values in self.space.items():
            order = {_plain(value): i for i, value in enumerate(values)}
            places.append([order[_plain(value)] for value in self.sets[name]])
        cells[tuple(places)] = self.scores
        return cells


def grid(
    objective: Objective,
    space: Mapping[str, Sequence[Any]],
    *,
    where: Callable[[Sets], npt.ArrayLike] | None = None,
    direction: str = "maximize",
    batch: int = 4096,
    ledger: Ledger | None = None,
    study: str = "grid",
    seed: int = 0,
    data: str = "",
    code: str = "",
    progress: bool = True,
) -> GridResult:
    """Try every combination of the values of a space.

    The objective takes many sets at once, arrays [set] by name, so that one compiled call can do
    them; `one_by_one` makes one of a function of a single set. Memory grows with the sets alone.

    Args:
        objective: sets to scores [set], or to figures [set] by name, "score" among them.
        space: name to the values to try, each once.
        where: sets to booleans [set]: which to try, such as `lambda s: s["fast"] < s["slow"]`.
        direction: "maximize" or "minimize".
        batch: sets a call of the objective.
        ledger: records every set, and answers those that it has: a run that was stopped goes on.
        study, seed, data, code: what the ledger's trials are filed under; state the fingerprint of
            the bars as `data`, and the version of the strategy as `code`.
        progress: draw a bar on a terminal.

    Raises:
        ArgumentError: an empty space or one without a set left, values twice, an objective that
            does not return a number for each set.

    Example:
        >>> found = grid(lambda s: -((s["x"] - 2) ** 2), {"x": [0, 1, 2, 3, 4]}, progress=False)
        >>> found.best_params, found.plateau().params
        ({'x': 2}, {'x': 2})
    """
    if direction not in ("maximize", "minimize"):
        raise ArgumentError(f"direction must be 'maximize' or 'minimize': got {direction!r}")
    if batch < 1:
        raise ArgumentError(f"batch must be at least 1: got {batch!r}")
    sets = grid_sets(space, where)
    count = len(next(iter(sets.values())))
    scores = np.full(count, np.nan)
    figures: dict[str, Floats] = {}
    done = np.zeros(count, dtype=np.bool_)
    filed: dict[str, Any] = {"seed": seed, "data": data, "code": code}
    if ledger is not None:
        keys = [trial_key(study, _set(sets, i), **filed) for i in range(count)]
        known = ledger.known(keys)
        for i, key in enumerate(keys):
            if key in known and known[key].status == "complete":
                done[i], scores[i] = True, known[key].score
                for name, value in known[key].metrics.items():
                    figures.setdefault(name, np.full(count, np.nan))[i] = value
    reused = int(done.sum())
    left = np.flatnonzero(~done)
    with ProgressBar(count, f"grid of {study}", enabled=progress, unit="sets") as bar:
        bar.skip(reused)
        for first in range(0, len(left), batch):
            rows = left[first : first + batch]
            start = time.perf_counter()
            part = _scores_of(objective, {name: values[rows] for name, values in sets.items()})
            seconds = (time.perf_counter() - start) / len(rows)
            scores[rows] = part.pop("score")
            for name, values in part.items():
                figures.setdefault(name, np.full(count, np.nan))[rows] = values
            if ledger is not None:
                ledger.record(
                    *(
                        Trial(
                            study,
                            _set(sets, row),
                            float(scores[row]),
                            metrics={name: float(values[at]) for name, values in part.items()},
                            seconds=seconds,
                            **filed,
                        )
                        for at, row in enumerate(rows.tolist())
                    )
                )
            bar.advance(len(rows))
    scores[np.isinf(scores)] = np.nan
    return GridResult(dict(space), sets, scores, figures, direction, reused)


def grid_sets(
    space: Mapping[str, Sequence[Any]], where: Callable[[Sets], npt.ArrayLike] | None = None
) -> Sets:
    """Every combination of the values of a space, arrays [set] by name; the last name fastest.

    Raises:
        ArgumentError: an empty space, a parameter without values or with one twice, a condition
            that does not give a boolean for each set or leaves none.

    Example:
        >>> sets = grid_sets({"a": [1, 2], "b": [1, 2]}, lambda s: s["a"] < s["b"])
        >>> {name: values.tolist() for name, values in sets.items()}
        {'a': [1], 'b': [2]}
    """
    if not space:
        raise ArgumentError("the space is empty: give each parameter a list of values")
    for name, values in space.items():
        plain = [_plain(value) for value in values]
        if not plain:
            raise ArgumentError(f"parameter {name!r} has no values")
        if len(set(plain)) < len(plain):
            twice = next(value for value in plain if plain.count(value) > 1)
            raise ArgumentError(f"parameter {name!r} has the value {twice!r} twice")
    columns = list(zip(*itertools.product(*space.values()), strict=True))
    sets: Sets = {name: np.array(column) for name, column in zip(space, columns, strict=True)}
    if where is None:
        return sets
    chosen = np.asarray(where(sets))
    if chosen.dtype != np.bool_ or chosen.shape != (len(columns[0]),):
        raise ArgumentError(
            f"where must give a boolean for each of the {len(columns[0])} sets: got "
            f"{chosen.dtype} of shape {chosen.shape}"
        )
    if not chosen.any():
        raise ArgumentError(f"where leaves none of the {len(columns[0])} sets")
    return {name: values[chosen] for name, values in sets.items()}


def one_by_one(function: Callable[..., float | Mapping[str, float]]) -> Objective:
    """An objective of many sets from a function of one, called with the parameters by name.

    Example:
        >>> found = grid(one_by_one(lambda x, y: x * y), {"x": [1, 2], "y": [3, 4]}, progress=False)
        >>> found.best_params
        {'x': 2, 'y': 4}
    """

    def objective(sets: Sets) -> Any:
        count = len(next(iter(sets.values())))
        found: list[Any] = [function(**_set(sets, i)) for i in range(count)]
        if isinstance(found[0], Mapping):
            return {name: [one[name] for one in found] for name in found[0]}
        return found

    return objective


def _scores_of(objective: Objective, sets: Sets) -> dict[str, Floats]:
    """The figures of some sets, checked to be a number each."""
    count = len(next(iter(sets.values())))
    found = objective(sets)
    named = dict(found) if isinstance(found, Mapping) else {"score": found}
    if "score" not in named:
        raise ArgumentError(f"the objective's figures need 'score': got {', '.join(named)}")
    parts: dict[str, Floats] = {}
    for name, values in named.items():
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"the objective must return numbers: {name!r} is {values!r:.80}"
            ) from error
        if array.shape != (count,):
            raise ArgumentError(
                f"the objective must return a number for each of {count} sets: {name!r} has shape "
                f"{array.shape}"
            )
        parts[name] = array
    return parts


def _set(sets: Sets, at: int) -> dict[str, Any]:
    return {name: _plain(values[at]) for name, values in sets.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _around(cells: Floats, radius: int) -> Floats:
    """Sum of the cells at most `radius` steps away along every axis."""
    for axis in range(cells.ndim):
        size = cells.shape[axis]
        sums = np.concatenate(
            [np.zeros_like(np.take(cells, [0], axis=axis)), np.cumsum(cells, axis=axis)], axis=axis
        )
        upper = np.minimum(np.arange(size) + radius + 1, size)
        lower = np.maximum(np.arange(size) - radius, 0)
        cells = np.take(sums, upper, axis=axis) - np.take(sums, lower, axis=axis)
    return cells
