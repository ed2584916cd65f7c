"""The splits serve scikit-learn and skfolio."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.search import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

RETURNS = pd.DataFrame(
    np.random.default_rng(1).normal(0.0, 0.01, (300, 4)),
    pd.bdate_range("2020-01-01", periods=300),
    columns=list("abcd"),
)


@pytest.mark.parametrize(
    "splitter",
    [CombinatorialPurgedSplit(6, 2, purge=2, embargo=1), PurgedKFold(5), WalkForwardSplit(40, 20)],
)
def test_scikit_learn(splitter) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    linear = pytest.importorskip("sklearn.linear_model")
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = x @ [1.0, 2.0, 3.0]
    scores = selection.cross_val_score(linear.Ridge(), x, y, cv=splitter)
    assert len(scores) == splitter.get_n_splits(x) and scores.min() > 0.9
    found = selection.GridSearchCV(linear.Ridge(), {"alpha": [0.1, 100.0]}, cv=splitter).fit(x, y)
    assert found.best_params_ == {"alpha": 0.1}


def test_skfolio_takes_windows_and_paths() -> None:
    optimization = pytest.importorskip("skfolio.optimization")
    selection = pytest.importorskip("skfolio.model_selection")
    model = optimization.InverseVolatility()
    walk = selection.cross_val_predict(model, RETURNS, cv=WalkForwardSplit(100, 50))
    assert len(walk) == 4
    ours = CombinatorialPurgedSplit(6, 2, purge=3, embargo=2)
    paths = selection.cross_val_predict(model, RETURNS, cv=ours.for_skfolio())
    theirs = selection.CombinatorialPurgedCV(
        n_folds=6, n_test_folds=2, purged_size=3, embargo_size=2
    )
    expected = selection.cross_val_predict(model, RETURNS, cv=theirs)
    assert len(paths) == len(expected) == len(ours.paths()) == 5
    for path in paths:  # each is a whole history out of sample
        assert len(np.concatenate([part.returns for part in path])) == 300
