from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.errors import NotEnoughBarsError
from marketsim.search import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit


@given(
    bars=st.integers(2, 80),
    train=st.integers(1, 12),
    test=st.integers(1, 12),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
    anchored=st.booleans(),
    shorter=st.booleans(),
)
def test_walk_forward_never_trains_on_what_comes(
    bars: int, train: int, test: int, purge: int, embargo: int, anchored: bool, shorter: bool
) -> None:
    splitter = WalkForwardSplit(
        train, test, anchored=anchored, purge=purge, embargo=embargo, shorter_last=shorter
    )
    if bars < train + purge + (1 if shorter else test):
        with pytest.raises(NotEnoughBarsError, match="leave none to test"):
            list(splitter.split(range(bars)))
        return
    splits = list(splitter.split(range(bars)))
    assert len(splits) == splitter.get_n_splits(range(bars)) >= 1
    for i, (past, now) in enumerate(splits):
        assert past[-1] + purge + 1 == now[0]
        assert (np.diff(past) == 1).all() and (np.diff(now) == 1).all()
        assert past[0] == (0 if anchored else now[0] - purge - train)
        assert len(past) == train or (anchored and len(past) >= train)
        assert len(now) == test or (shorter and i == len(splits) - 1)
        assert now[0] == train + purge + i * (test + embargo)
    last = splits[-1][1][-1]
    if shorter and not embargo:  # every bar after the first training is tested
        assert last == bars - 1
    else:  # no other test would fit
        assert last + embargo + (1 if shorter else test) >= bars


@given(
    bars=st.integers(12, 90),
    folds=st.integers(2, 6),
    chosen=st.integers(1, 3),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 3),
)
def test_combinatorial_splits_are_purged(
    bars: int, folds: int, chosen: int, purge: int, embargo: int
) -> None:
    if chosen >= folds:
        return
    splitter = CombinatorialPurgedSplit(folds, chosen, purge=purge, embargo=embargo)
    try:
        splits = list(splitter.split(np.zeros((bars, 2))))
    except NotEnoughBarsError:
        assert bars < folds * (2 * purge + embargo + 1) * 2
        return
    assert len(splits) == splitter.get_n_splits() == math.comb(folds, chosen)
    for train, test in splits:
        inside = set(test.tolist())
        for row in range(bars):
            near = any(other in inside for other in range(row - purge - embargo, row + purge + 1))
            assert (row in train) == (row not in inside and not near)
    runs = splitter.fold_rows(range(bars))
    np.testing.assert_array_equal(np.concatenate(runs), np.arange(bars))
    assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_paths_test_every_fold_once() -> None:
    splitter = CombinatorialPurgedSplit(6, 2)
    paths, choices = splitter.paths(), splitter.choices()
    assert paths.shape == (5, 6)  # of López de Prado (2018), figure 12.1
    for path in paths:
        assert all(fold in choices[split] for fold, split in enumerate(path))
    used = [(split, fold) for path in paths for fold, split in enumerate(path)]
    assert len(set(used)) == len(used) == 6 * 5


def test_purged_k_fold_is_one_fold_at_a_time() -> None:
    splits = list(PurgedKFold(4).split(range(10)))
    np.testing.assert_array_equal(np.concatenate([test for _, test in splits]), np.arange(10))
    assert all(len(train) + len(test) == 10 for train, test in splits)
    assert PurgedKFold(4).get_n_splits() == 4
    assert repr(PurgedKFold(4, purge=1)) == "PurgedKFold(4, purge=1, embargo=0)"


def test_scikit_learn_takes_them() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = X @ [1.0, -1.0, 0.5] + 0.1 * rng.normal(size=120)
    for splitter in (
        WalkForwardSplit(40, 20, purge=2),
        PurgedKFold(4, purge=2, embargo=3),
        CombinatorialPurgedSplit(5, 2),
    ):
        scores = selection.cross_val_score(linear.LinearRegression(), X, y, cv=splitter)
        assert len(scores) == splitter.get_n_splits(X) and (scores > 0.9).all()
        search = selection.GridSearchCV(linear.Ridge(), {"alpha": [0.1, 1e4]}, cv=splitter)
        assert search.fit(X, y).best_params_ == {"alpha": 0.1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WalkForwardSplit(0, 5), "train must be a whole number of at least 1: got 0"),
        (lambda: WalkForwardSplit(5, 2.5), "test must be a whole number"),
        (lambda: WalkForwardSplit(5, 5, purge=-1), "purge"),
        (lambda: WalkForwardSplit(5, 5).get_n_splits(), "X is needed"),
        (lambda: PurgedKFold(1), "folds must be a whole number of at least 2"),
        (lambda: CombinatorialPurgedSplit(4, 4), "below the 4 folds"),
        (lambda: next(PurgedKFold(5).split(range(3))), "3 bars are fewer than the 5 folds"),
        (lambda: next(PurgedKFold(2, purge=9).split(range(10))), "leave none to train on"),
    ],
)
def test_what_cannot_be_split(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
