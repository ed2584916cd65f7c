from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from market import random_bars

from marketsim.search import (
    CombinatorialPurgedSplit,
    Int,
    Ledger,
    PurgedKFold,
    WalkForwardSplit,
    replay_objective,
    search_walk_forward,
    select_walk_forward,
    sharpe_scores,
)

pytest.importorskip("optuna").logging.set_verbosity(40)


def nets(count: int, bars: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.01, (count, bars))


def test_over_all_sets_it_is_the_selection_among_them() -> None:
    returns = nets(6, 200)
    splitter = WalkForwardSplit(60, 30, purge=2)
    found = search_walk_forward(
        lambda i: returns[i], {"i": list(range(6))}, splitter, trials=6, sampler="grid",
        progress=False,
    )  # fmt: skip
    selected = select_walk_forward(returns, splitter)
    assert found.windows.param_i.tolist() == selected.chosen.tolist()
    np.testing.assert_array_equal(found.net, selected.net)
    np.testing.assert_array_equal(found.rows, selected.rows)
    np.testing.assert_allclose(found.windows.in_sample, selected.in_sample, rtol=1e-12)
    np.testing.assert_allclose(found.windows.out_of_sample, selected.out_of_sample, rtol=1e-12)
    assert found.drift.loc["i", "changes"] == selected.changes
    # Each set is run once for all windows.
    assert found.windows.evaluations.sum() <= 6
    equity = found.equity.out_of_sample.dropna()
    np.testing.assert_allclose(equity, np.cumprod(1.0 + selected.net), rtol=1e-12)
    assert found.equity.in_sample.notna().sum() == len(found.in_sample_rows) > 0


@pytest.mark.parametrize("anchored", [False, True])
def test_nothing_of_a_test_reaches_its_choice(anchored: bool) -> None:
    """Other returns from a bar on leave every earlier window as it was, trial by trial."""
    returns = nets(40, 200)
    changed = returns.copy()
    changed[:, 140:] = nets(40, 60) * 5.0
    options = {"trials": 8, "progress": False, "without_effect": "keep"}
    splitter = WalkForwardSplit(60, 20, anchored=anchored)
    one = search_walk_forward(lambda i: returns[i], {"i": Int(0, 39)}, splitter, **options)
    other = search_walk_forward(lambda i: changed[i], {"i": Int(0, 39)}, splitter, **options)
    early = one.windows.train_last < 140
    assert early.sum() >= 4
    assert one.windows.param_i[early].tolist() == other.windows.param_i[early].tolist()
    assert one.windows.in_sample[early].tolist() == other.windows.in_sample[early].tolist()
    assert one.windows.in_sample.tolist() != other.windows.in_sample.tolist()


def test_trials_are_filed_by_window(tmp_path: Path) -> None:
    objective = replay_objective(random_bars(300, seed=2), "sma_cross", fee_bps=5)
    space = {"fast": Int(2, 9), "slow": Int(10, 40)}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = search_walk_forward(
            objective, space, WalkForwardSplit(150, 75), trials=5, ledger=ledger, study="s",
            jobs=2, sampler="random", storage=tmp_path / "journal.log", without_effect="keep",
            progress=False,
        )  # fmt: skip
        frame = ledger.trials("s")
        assert set(frame.split) == {"train 0-149 of 150", "train 75-224 of 150"}
        assert ledger.studies() == ["s"] and set(frame.data) == {objective.data}
    assert len(found.windows) == 2 and (found.windows.evaluations == 5).all()
    objective.keep_net = True
    best = objective.one(**{n: int(found.windows[f"param_{n}"][1]) for n in space})
    np.testing.assert_array_equal(found.net[75:], best["net"][225:])
    assert found.windows.in_sample[1] == sharpe_scores(best["net"][None, 75:225])[0]


def test_combinatorial_splits_give_whole_histories(tmp_path: Path) -> None:
    """By the plain definition; and with a ledger no split is answered with another's scores."""
    returns = nets(7, 120)
    splitter = CombinatorialPurgedSplit(6, 2, purge=3, embargo=2)
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = search_walk_forward(
            lambda i: returns[i], {"i": list(range(7))}, splitter, trials=7, sampler="grid",
            ledger=ledger, statistic="mean", progress=False,
        )  # fmt: skip
        assert ledger.summary("walk forward").trials == 7 * 15
    best = [int(returns[:, train].mean(axis=1).argmax()) for train, _ in splitter.split(returns.T)]
    assert found.windows.param_i.tolist() == best and len(set(best)) > 1
    fold = [np.arange(20 * k, 20 * k + 20) for k in range(6)]
    chosen = list(itertools.combinations(range(6), 2))
    expected = np.empty((5, 120))
    for k in range(6):
        splits = [i for i, folds in enumerate(chosen) if k in folds]
        for path, split in enumerate(splits):
            expected[path, fold[k]] = returns[best[split], fold[k]]
    np.testing.assert_array_equal(found.paths, expected)
    np.testing.assert_array_equal(found.net, expected.mean(axis=0))
    assert found.rows.tolist() == list(range(120))


def test_bad_arguments() -> None:
    returns = nets(3, 50)
    space = {"i": [0, 1, 2]}

    def run(splitter, function=lambda i: returns[i]):
        return search_walk_forward(function, space, splitter, trials=2, progress=False)

    with pytest.raises(ValueError, match="50 bars leave none to test"):
        run(WalkForwardSplit(60, 10))
    with pytest.raises(ValueError, match=r"net returns \[bar\] in finite numbers"):
        run(WalkForwardSplit(20, 10), lambda i: np.full(50, np.nan))
    folds = run(PurgedKFold(5))
    assert len(folds.windows) == 5 and folds.paths.shape == (1, 50)
