"""What a grid found: the best cell, the best neighbourhood, heatmaps."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import check_new_file, is_whole
from marketsim.errors import ArgumentError
from marketsim.metrics import deflated_sharpe_ratio, probability_of_backtest_overfitting
from marketsim.search.heatmap import heatmap_svg

Floats = npt.NDArray[np.float64]
MOST_CELLS = 100_000_000
# Parameter sets: an array [set] for each name.
Sets: TypeAlias = dict[str, npt.NDArray[Any]]


class Plateau(NamedTuple):
    """The best neighbourhood of a grid.

    Attributes:
        params: the cell in its middle.
        score: mean score of its block of cells, see `GridResult.plateau`.
        cells: how many of these have a score.
    """

    params: dict[str, Any]
    score: float
    cells: int


@dataclass(frozen=True, repr=False)
class GridResult:
    """Result of `grid`.

    Attributes:
        space: name to the values that were tried.
        sets: arrays [set] by name, in the order of the product of `space`, the last name fastest.
        scores: [set]; NaN where a set has none, infinite ones included: neither can be best.
        figures: further figures [set] by name.
        direction: "maximize" or "minimize".
        reused: sets whose score was in the ledger.
        returns: [set, bar], net returns, memory-mapped; None where no file was named for them.
        trial_keys: [set], by which the ledger finds each (`Ledger.find`); empty without one.
    """

    space: Mapping[str, Sequence[Any]]
    sets: Sets
    scores: Floats
    figures: Mapping[str, Floats]
    direction: str
    reused: int
    returns: Floats | None = None
    trial_keys: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.scores)

    def params(self, at: int) -> dict[str, Any]:
        """The parameters of a set.

        Raises:
            ArgumentError: no number of a set.
        """
        if not is_whole(at) or not -len(self) <= at < len(self):
            raise ArgumentError(
                f"expected the number of a set, 0 to {len(self) - 1}: got {at!r:.80}"
            )
        return {name: plain(values[at]) for name, values in self.sets.items()}

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

    def summary(self) -> str:
        """The best set, the best neighbourhood, and how much of the best is luck, in words.

        The last needs the net returns: `grid(..., returns=PATH)`, or a ledger that keeps them and
        `marketsim.search.best_result`.

        Example:
            >>> from marketsim.search import grid
            >>> found = grid(lambda s: -((s["x"] - 2) ** 2), {"x": [0, 1, 2, 3]}, progress=False)
            >>> print(found.summary().splitlines()[0])
            4 sets, 0 of them reused from the ledger, 0 without a finite score
        """
        lines = [
            f"{len(self):,} sets, {self.reused:,} of them reused from the ledger, "
            f"{int(np.isnan(self.scores).sum()):,} without a finite score"
        ]
        if np.isnan(self.scores).all():
            return lines[0]
        plateau = self.plateau()
        lines += [
            f"best       {_words(self.best_params)}   score {self.scores[self.best]:.6g}",
            f"plateau    {_words(plateau.params)}   mean of {plateau.cells} neighbouring sets "
            f"{plateau.score:.6g}",
        ]
        if self.returns is None:
            kept = ", or search.best_result of a ledger that keeps them" if self.trial_keys else ""
            lines.append(
                f"luck       unknown without the net returns: grid(..., returns=PATH){kept}"
            )
            return "\n".join(lines)
        deflated = deflated_sharpe_ratio(self.returns, strategy=self.best, variance=None
                                         if len(self) > 1 else 0.0)  # fmt: skip
        overfitting = "unknown"
        if len(self) > 1 and self.returns.shape[1] >= 32:
            found = probability_of_backtest_overfitting(self.returns)
            overfitting = f"{found.probability:.3f}"
        lines.append(
            f"luck       deflated Sharpe ratio {deflated.probability:.3f} after {len(self):,} sets"
            f", probability of backtest overfitting {overfitting}"
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"GridResult({len(self):,} sets of {', '.join(self.space)}; print(result.summary()))"

    def plateau(self, radius: int = 1) -> Plateau:
        """The cell whose neighbourhood has the best mean score.

        A neighbourhood is a block of 2 * radius + 1 values along every parameter of numbers (of all
        where there are fewer), in the order in which they were given; text, booleans and None have
        no neighbours. A block lies within the grid and belongs to the cell in its middle. So all
        have the same number of cells, and a cell at the border is judged as part of the block
        beside it. A cell without a score (excluded by `where`, NaN) counts as the mean of all
        scores: the fewer cells of a block have one, the less it can win by luck. Blocks of which
        less than half have one, or not the middle, count only where there are no others.

        Of equal ones the cell with the best score of its own, then the first.

        Raises:
            ArgumentError: a radius below 1, or no cell with a score.
        """
        mean, known, own = self._neighbourhoods(radius)
        if np.isnan(self.scores).all():
            raise ArgumentError(f"none of the {len(self)} sets has a finite score")
        best = np.nanmax(mean * self._sign)
        ties = np.where(mean * self._sign == best, np.nan_to_num(own * self._sign, nan=-np.inf),
                        -np.inf)  # fmt: skip
        equal = np.flatnonzero((mean * self._sign == best).ravel())
        at = np.unravel_index(equal[int(np.argmax(ties.ravel()[equal]))], mean.shape)
        values = (self.space[name][int(i)] for name, i in zip(self.space, at, strict=True))
        params = dict(zip(self.space, map(plain, values), strict=True))
        return Plateau(params, float(mean[at]), int(known[at]))

    def by_plateau(self, radius: int = 1) -> GridResult:
        """The same grid with the mean of each cell's neighbourhood as its score: see `plateau`.

        One lucky cell cannot win it. NaN where a cell is not the middle of a neighbourhood, as at
        the border.
        """
        mean, _, _ = self._neighbourhoods(radius)
        return replace(self, scores=mean[self._places])

    def _neighbourhoods(self, radius: int) -> tuple[Floats, Floats, Floats]:
        """(mean of the block around each cell, known cells in it, own score), [value, ...]."""
        if not is_whole(radius) or radius < 1:
            raise ArgumentError(f"radius must be a whole number of at least 1: got {radius!r}")
        cells = self._cells()
        widths = [
            min(2 * radius + 1, len(values)) if all(map(_is_number, values)) else 1
            for values in self.space.values()
        ]
        mean, known = _block_means(cells, widths)
        return mean, known, cells

    def heatmap(self, rows: str, columns: str) -> pd.DataFrame:
        """Best score of each pair of values of two parameters, over all others.

        `.attrs` marks two cells by (row, column) value: "best", and "plateau", the middle of the
        best neighbourhood.

        Raises:
            ArgumentError: a name that is no parameter, or twice the same.
        """
        for name in (rows, columns):
            if str(name) not in self.space:
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
        frame = pd.DataFrame(best, index=index, columns=pd.Index(self.space[columns], name=columns))
        if not np.isnan(self.scores).all():
            for name, params in (("best", self.best_params), ("plateau", self.plateau().params)):
                frame.attrs[name] = (params[rows], params[columns])
        return frame

    def save_heatmap(self, path: str | os.PathLike[str], rows: str, columns: str) -> None:
        """Write the heatmap as an SVG picture, with the best cell and the plateau marked."""
        frame = self.heatmap(rows, columns)
        check_new_file("path", path).write_text(
            heatmap_svg(frame, sign=self._sign), encoding="utf-8"
        )

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Parameters of several values that change neither score nor figure: misspelt, not used.

        None where no set has a score: then nothing is known.
        """
        if np.isnan(self.scores).all():
            return ()
        tables = [self._table(values) for values in (self.scores, *self.figures.values())]
        tried = ~np.isnan(self._table(np.zeros(len(self))))
        return tuple(
            name
            for axis, name in enumerate(self.space)
            if len(self.space[name]) > 1 and all(_constant(cells, tried, axis) for cells in tables)
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a set: its parameters, score and figures."""
        return pd.DataFrame({**self.sets, "score": self.scores, **self.figures})

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "maximize" else -1.0

    def _cells(self) -> Floats:
        """Scores in the shape of the space; NaN where a set was left out."""
        return self._table(self.scores)

    def _table(self, values: Floats) -> Floats:
        count = math.prod(map(len, self.space.values()))
        if count > MOST_CELLS:
            raise ArgumentError(
                f"{len(self):,} sets have so many different values that their grid has {count:,} "
                f"cells, more than {MOST_CELLS:,}: give parameters steps, or search fewer of them"
            )
        cells = np.full(tuple(len(values) for values in self.space.values()), np.nan)
        cells[self._places] = values
        return cells

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.intp], ...]:
        """Where in the space each set lies."""
        places = []
        for name, values in self.space.items():
            order = {plain(value): i for i, value in enumerate(values)}
            places.append(np.array([order[v] for v in self.sets[name].tolist()], dtype=np.intp))
        return tuple(places)


def plain(value: Any) -> Any:
    """A NumPy number as Python's, anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def column_of(values: list[Any]) -> npt.NDArray[Any]:
    """Values as an array that keeps what each is: 1 and "a" do not become text."""
    kinds = {type(value) for value in values}
    mixed = len(kinds) > 1 and kinds != {int, float}
    return np.array(values, dtype=object if mixed else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _block_sums(cells: Floats, widths: Sequence[int]) -> Floats:
    """Sum of the block that a cell is the middle of; NaN where it is the middle of none."""
    for axis, width in enumerate(widths):
        blocks = np.lib.stride_tricks.sliding_window_view(cells, width, axis=axis)
        sums = np.moveaxis(blocks.sum(axis=-1), axis, 0)
        found = np.full((cells.shape[axis], *sums.shape[1:]), np.nan)
        # The middle of an even number of values are two; such a block has all values.
        for middle in {(width - 1) // 2, width // 2}:
            found[middle : middle + len(sums)] = sums
        cells = np.moveaxis(found, 0, axis)
    return cells


def _block_means(cells: Floats, widths: Sequence[int]) -> tuple[Floats, Floats]:
    """(mean of the block around each cell, NaN where it does not count; cells with a score)."""
    known = ~np.isnan(cells)
    if not known.any():
        return np.full(cells.shape, np.nan), np.zeros(cells.shape)
    count = _block_sums(known * 1.0, widths)
    total = _block_sums(np.where(known, cells, cells[known].mean()), widths)
    size = math.prod(widths)
    counts = known & (2.0 * count >= size)  # NaN: no middle
    counts = counts if counts.any() else count > 0.0
    return np.where(counts, total / size, np.nan), count


def _constant(cells: Floats, tried: npt.NDArray[np.bool_], axis: int) -> bool:
    """Whether the sets that were tried are the same along an axis, where there are several."""
    at = np.argmax(tried, axis=axis, keepdims=True)
    first = np.take_along_axis(cells, at, axis=axis)
    same = (cells == first) | (np.isnan(cells) & np.isnan(first))
    return bool((~tried | same).all() and (tried.sum(axis=axis) > 1).any())


def _words(params: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in params.items())
