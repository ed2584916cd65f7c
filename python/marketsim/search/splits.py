"""Ways to divide bars into training and test, shaped like scikit-learn's splitters.

Each has `split(X, y=None, groups=None)`, which yields (train, test) row numbers in ascending order,
and `get_n_splits`; rows are in time order. They serve `cross_val_score`, `GridSearchCV` and the
like as `cv=`.

Two things leak from training into test where rows follow one another in time: an outcome that is
only known some bars later (a label over 5 bars, a position held that long), and what lingers in the
rows after a test. `purge` leaves out training rows beside a test, on both sides; `embargo` more of
them after it.

Source: López de Prado, Advances in Financial Machine Learning (2018), chapters 7 and 12.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_flag
from marketsim.errors import ArgumentError, MissingDependencyError, NotEnoughBarsError

Rows = npt.NDArray[np.int64]


class WalkForwardSplit:
    """Walk-forward split: train on a window, test on the bars after it, step by the test's length.

    Args:
        train: bars of each training window; of the first one where `anchored`.
        test: bars of each test window.
        anchored: train from the first bar on, with more bars each time.
        purge: bars left out between a training window and its test.
        embargo: bars skipped between one test and the next; no test covers them.
        shorter_last: test the bars that remain at the end, fewer than `test`.

    Raises:
        ArgumentError: sizes below 1, or a purge or embargo below 0.

    Example:
        >>> for train, test in WalkForwardSplit(4, 3, purge=1).split(range(10)):
        ...     print(train.tolist(), test.tolist())
        [0, 1, 2, 3] [5, 6, 7]
        [3, 4, 5, 6] [8, 9]
    """

    def __init__(
        self,
        train: int,
        test: int,
        *,
        anchored: bool = False,
        purge: int = 0,
        embargo: int = 0,
        shorter_last: bool = True,
    ) -> None:
        self.train = _whole(train, "train", 1)
        self.test = _whole(test, "test", 1)
        self.anchored = as_flag("anchored", anchored)
        self.purge = _whole(purge, "purge", 0)
        self.embargo = _whole(embargo, "embargo", 0)
        self.shorter_last = as_flag("shorter_last", shorter_last)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train, test) rows, the earliest first.

        Raises:
            NotEnoughBarsError: not a single test fits (how many bars are needed).
        """
        bars = _count(X)
        for start in self._starts(bars):
            end = start - self.purge
            first = 0 if self.anchored else end - self.train
            yield np.arange(first, end), np.arange(start, min(start + self.test, bars))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many splits there are of X, which is needed."""
        if X is None:
            raise ArgumentError("X is needed: how many windows there are depends on its bars")
        return len(self._starts(_count(X)))

    def _starts(self, bars: int) -> range:
        """First rows of the tests."""
        first = self.train + self.purge
        needed = first + (1 if self.shorter_last else self.test)
        if bars < needed:
            raise NotEnoughBarsError(
                f"{bars} bars leave none to test: {self.train} to train, {self.purge} to purge and "
                f"at least {needed - first} to test are {needed}; use shorter windows or more bars"
            )
        last = bars - (1 if self.shorter_last else self.test)
        return range(first, last + 1, self.test + self.embargo)

    def __repr__(self) -> str:
        return (
            f"WalkForwardSplit({self.train}, {self.test}, anchored={self.anchored}, "
            f"purge={self.purge}, embargo={self.embargo}, shorter_last={self.shorter_last})"
        )


class CombinatorialPurgedSplit:
    """Combinatorial purged split: every choice of folds is a test, the purged rest the training.

    The bars are divided into `folds` runs of equal length (but for one bar). With k of N folds as
    the test there are N over k splits; together they test each fold in (N - 1) over (k - 1) of
    them, which makes as many whole out-of-sample histories (`paths`).

    Args:
        folds: runs of bars, at least 2.
        test_folds: of these in each test, below `folds`.
        purge: training rows left out before and after each run of tested bars.
        embargo: more of them after it.

    Raises:
        ArgumentError: numbers out of range.

    Example:
        >>> splitter = CombinatorialPurgedSplit(4, 2, purge=1)
        >>> splitter.get_n_splits(), len(splitter.paths())
        (6, 3)
        >>> train, test = next(splitter.split(range(12)))
        >>> train.tolist(), test.tolist()
        ([7, 8, 9, 10, 11], [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self, folds: int = 6, test_folds: int = 2, *, purge: int = 0, embargo: int = 0
    ) -> None:
        self.folds = _whole(folds, "folds", 2)
        self.test_folds = _whole(test_folds, "test_folds", 1)
        if self.test_folds >= self.folds:
            raise ArgumentError(
                f"test_folds must be below the {self.folds} folds: got {self.test_folds}"
            )
        self.purge = _whole(purge, "purge", 0)
        self.embargo = _whole(embargo, "embargo", 0)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train, test) rows of each choice of folds, in the order of `choices`.

        Raises:
            NotEnoughBarsError: fewer bars than folds, or a split without a row to train on.
        """
        edges = self._edges(_count(X))
        for chosen in self.choices():
            tested = np.zeros(edges[-1], dtype=np.bool_)
            left_out = np.zeros(edges[-1], dtype=np.bool_)
            for fold in chosen:
                start, stop = edges[fold], edges[fold + 1]
                tested[start:stop] = True
                left_out[max(0, start - self.purge) : stop + self.purge + self.embargo] = True
            train = np.flatnonzero(~(tested | left_out))
            if not len(train):
                raise NotEnoughBarsError(
                    f"{edges[-1]} bars leave none to train on when folds {chosen} of {self.folds} "
                    f"are tested with purge {self.purge} and embargo {self.embargo}: use fewer "
                    "folds, less of these, or more bars"
                )
            yield train, np.flatnonzero(tested)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many splits there are: folds over test_folds."""
        return math.comb(self.folds, self.test_folds)

    def choices(self) -> list[tuple[int, ...]]:
        """The folds that each split tests."""
        return list(itertools.combinations(range(self.folds), self.test_folds))

    def paths(self) -> Rows:
        """Which split tests each fold in each whole history: [path, fold].

        Path p takes for every fold the p-th of the splits that test it.
        """
        tests: list[list[int]] = [[] for _ in range(self.folds)]
        for split, chosen in enumerate(self.choices()):
            for fold in chosen:
                tests[fold].append(split)
        return np.array(tests, dtype=np.int64).T

    def for_skfolio(self) -> Any:
        """The same splits as skfolio takes combinatorial ones: its `cross_val_predict` gives paths.

        `WalkForwardSplit` and `PurgedKFold` serve skfolio as they are.

        Raises:
            MissingDependencyError: skfolio is not installed.
        """
        return _skfolio_splitter(self)

    def fold_rows(self, X: Any) -> list[Rows]:
        """The rows of each fold."""
        edges = self._edges(_count(X))
        return [np.arange(a, b) for a, b in itertools.pairwise(edges)]

    def _edges(self, bars: int) -> list[int]:
        if bars < self.folds:
            raise NotEnoughBarsError(f"{bars} bars are fewer than the {self.folds} folds")
        return [fold * bars // self.folds for fold in range(self.folds + 1)]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.folds}, {self.test_folds}, purge={self.purge}, "
            f"embargo={self.embargo})"
        )


class PurgedKFold(CombinatorialPurgedSplit):
    """K-fold split: each fold is the test once, the purged rest is the training.

    Args:
        folds: runs of bars, at least 2.
        purge: training rows left out before and after the test.
        embargo: more of them after it.

    Raises:
        ArgumentError: numbers out of range.

    Example:
        >>> splits = PurgedKFold(3, purge=1, embargo=1).split(range(9))
        >>> [train.tolist() for train, test in splits]
        [[5, 6, 7, 8], [0, 1, 8], [0, 1, 2, 3, 4]]
    """

    def __init__(self, folds: int = 5, *, purge: int = 0, embargo: int = 0) -> None:
        super().__init__(folds, 1, purge=purge, embargo=embargo)

    def __repr__(self) -> str:
        return f"PurgedKFold({self.folds}, purge={self.purge}, embargo={self.embargo})"


def _skfolio_splitter(splitter: CombinatorialPurgedSplit) -> Any:
    try:
        skfolio: Any = importlib.import_module("skfolio.model_selection")
    except ImportError as error:
        raise MissingDependencyError("skfolio is not installed: pip install skfolio") from error

    class Splitter(skfolio.BaseCombinatorialCV):  # type: ignore[misc]
        """Tests as a list of runs, and the path of each."""

        def split(self, X: Any, y: Any = None) -> Iterator[tuple[Rows, list[Rows]]]:
            rows = splitter.fold_rows(X)
            for chosen, (train, _) in zip(splitter.choices(), splitter.split(X), strict=True):
                yield train, [rows[fold] for fold in chosen]

        def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
            return splitter.get_n_splits()

        def get_path_ids(self) -> Rows:
            paths, chosen = splitter.paths(), splitter.choices()
            found = np.zeros((len(chosen), splitter.test_folds), dtype=np.int64)
            for split, folds in enumerate(chosen):
                for place, fold in enumerate(folds):
                    found[split, place] = int(np.flatnonzero(paths[:, fold] == split)[0])
            return found

    return Splitter()


def checked_splits(splitter: Any, bars: int) -> list[tuple[Rows, Rows]]:
    """The (train, test) rows of a splitter, of marketsim or of scikit-learn.

    Raises:
        ArgumentError: no splitter, no split, or rows that are none of the bars.
    """
    if isinstance(splitter, (str, bytes, type)) or not callable(getattr(splitter, "split", None)):
        raise ArgumentError(
            f"a splitter such as WalkForwardSplit(1000, 250) is expected: got {splitter!r:.80}"
        )
    found = []
    for pair in splitter.split(np.empty((bars, 1))):
        parts = [np.asarray(part) for part in pair]
        if len(parts) != 2 or any(
            part.ndim != 1 or part.dtype.kind not in "iu" or not len(part)
            or part.min() < 0 or part.max() >= bars
            for part in parts
        ):  # fmt: skip
            raise ArgumentError(
                f"{type(splitter).__name__} must yield (train, test), each some of the rows 0 to "
                f"{bars - 1}: got {pair!r:.120}"
            )
        found.append((parts[0].astype(np.int64), parts[1].astype(np.int64)))
    if not found:
        raise NotEnoughBarsError(f"{type(splitter).__name__} makes no split of {bars} bars")
    return found


def _whole(value: Any, name: str, least: int) -> int:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}: got {value!r}")
    return int(value)


def _count(X: Any) -> int:
    """How many rows X has."""
    shape = getattr(X, "shape", None)
    if not shape and not hasattr(X, "__len__"):
        raise ArgumentError(f"X must have rows to divide: got {X!r:.80}")
    return int(shape[0]) if shape else len(X)
