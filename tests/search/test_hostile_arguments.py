"""Arguments that cannot be: every public function says what it got, and none raises from inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import marketsim as ms
from marketsim import metrics, search
from marketsim.errors import ArgumentError, MarketsimError

RETURNS = np.random.default_rng(0).normal(0, 0.01, (6, 300))
ROW = RETURNS[0]
BARS = ms.demo_bars()
WINDOWS = search.WalkForwardSplit(100, 50)
NOTHING: Any = object()
HOSTILE = (
    None, "a", float("nan"), float("inf"), [], {}, [[1, 2], [3]], -1, 1e300, -5.5, True, NOTHING,
    ["a"], np.zeros((0, 5)), np.zeros((2, 3, 4)), 1j, b"x", [None, 1.0], 10**30,
)  # fmt: skip


def of_net(a: int) -> np.ndarray:
    return RETURNS[int(a)]


def split(kind: type, rows: Any = range(300), **arguments: Any) -> list[Any]:
    return list(kind(**arguments).split(rows))


def some_grid() -> search.GridResult:
    return search.grid(lambda s: s["x"] * 1.0 + s["y"], {"x": [1, 2], "y": [1, 2]}, progress=False)


QUIET: dict[str, Any] = {"progress": False, "without_effect": "keep"}
REPLAY: dict[str, Any] = {
    "bars": BARS, "rule": "sma_cross", "metric": "sharpe", "fee_bps": 0.0, "slippage_bps": 0.0,
    "fill": "next_open", "cash": 1e4, "account": None, "direction": "long", "size": 1.0,
    "size_unit": "equity", "keep_net": False,
}  # fmt: skip
# A call, and arguments that it takes.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Float": (search.Float, {"low": 0.0, "high": 1.0, "log": False, "step": None}),
    "Int": (search.Int, {"low": 0, "high": 10, "log": False, "step": 1}),
    "Choice": (search.Choice, {"values": [1, 2]}),
    "PromotionRule": (
        search.PromotionRule,
        {"least_deflated": 0.9, "most_overfitting": 0.2, "least_bars": 250, "least_gain": 0.0,
         "direction": None},
    ),
    "median_over_folds": (
        lambda folds, statistic: search.median_over_folds(folds, statistic)(RETURNS),
        {"folds": 5, "statistic": search.sharpe_scores},
    ),
    "a median": (search.median_over_folds(), {"returns": RETURNS}),
    "lower_bound": (
        lambda **given: search.lower_bound(**given)(RETURNS),
        {"figure": "sharpe", "confidence": 0.9, "block_length": None, "repetitions": 20, "seed": 0},
    ),
    "a lower bound": (search.lower_bound(repetitions=20), {"returns": RETURNS}),
    "sharpe_scores": (search.sharpe_scores, {"returns": RETURNS}),
    "select_walk_forward": (
        search.select_walk_forward,
        {"returns": RETURNS, "splitter": WINDOWS, "statistic": "sharpe"},
    ),
    "WalkForwardSplit": (
        lambda **given: split(search.WalkForwardSplit, **given),
        {"train": 100, "test": 50, "anchored": False, "purge": 0, "embargo": 0,
         "shorter_last": True, "rows": range(300)},
    ),
    "CombinatorialPurgedSplit": (
        lambda **given: split(search.CombinatorialPurgedSplit, **given),
        {"folds": 6, "test_folds": 2, "purge": 0, "embargo": 0, "rows": range(300)},
    ),
    "PurgedKFold": (
        lambda **given: split(search.PurgedKFold, **given),
        {"folds": 6, "purge": 0, "embargo": 0, "rows": range(300)},
    ),
    "trial_key": (
        search.trial_key,
        {"study": "s", "params": {"a": 1}, "seed": 0, "split": "", "data": "", "code": "",
         "settings": "", "metric": "", "direction": "maximize"},
    ),
    "grid": (
        lambda objective, space, **given: search.grid(objective, space, progress=False, **given),
        {"objective": lambda s: s["x"] * 1.0, "space": {"x": [1, 2]}, "where": None,
         "direction": None, "batch": 100, "returns": None, "study": None, "seed": 0, "data": None,
         "code": None, "without_effect": "refuse"},
    ),
    "grid of values": (
        lambda values: search.grid(lambda s: np.ones(len(s["x"])), {"x": values}, **QUIET),
        {"values": [1, 2]},
    ),
    "grid of an objective": (
        lambda found: search.grid(lambda s: found, {"x": [1, 2]}, **QUIET), {"found": [1, 2]},
    ),
    "grid of net returns": (
        lambda net: search.grid(lambda s: {"score": s["x"], "net": net}, {"x": [1, 2]}, **QUIET),
        {"net": RETURNS[:2]},
    ),
    "where": (
        lambda kept: search.grid(lambda s: s["x"], {"x": [1, 2]}, where=lambda s: kept, **QUIET),
        {"kept": np.array([True, True])},
    ),
    "metric": (
        lambda scores: search.grid("sma_cross", BARS, {"fast": [5], "slow": [50]},
                                   metric=lambda net: scores, **QUIET),
        {"scores": [1.0]},
    ),
    "one_by_one": (
        lambda function: search.one_by_one(function)({"x": np.array([1, 2])}),
        {"function": lambda x: 1.0},
    ),
    "params": (lambda at: some_grid().params(at), {"at": 1}),
    "plateau": (lambda radius: some_grid().plateau(radius), {"radius": 1}),
    "heatmap": (
        lambda rows, columns: some_grid().heatmap(rows, columns), {"rows": "x", "columns": "y"},
    ),
    "in_parts": (
        lambda parts, combine: search.in_parts(parts, combine)(x=1.0),
        {"parts": [lambda x: x], "combine": np.mean},
    ),
    "replay_objective": (search.replay_objective, REPLAY),
    "read_space": (search.read_space, {"path": "nothing"}),
    "optuna": (
        lambda objective, space, **given: search.optuna(objective, space, progress=False, **given),
        {"objective": lambda x: x * 1.0, "space": {"x": [1, 2, 3]}, "trials": 2, "jobs": 1,
         "sampler": "random", "pruner": None, "seed": 0, "direction": None, "constraints": None,
         "study": "optuna", "data": None, "code": None, "split": "", "catch": (),
         "without_effect": "keep"},
    ),
    "a space that is a function": (
        lambda params: search.optuna(lambda **p: 1.0, lambda trial: params, trials=1, **QUIET),
        {"params": {"x": 1}},
    ),
    "an objective": (
        lambda found: search.optuna(lambda x: found, {"x": [1, 2]}, trials=1, **QUIET),
        {"found": 1.0},
    ),
    "a constraint": (
        lambda bound: search.optuna(lambda x: {"score": 1.0, "cost": x}, {"x": [1, 2]}, trials=1,
                                    constraints={"cost": bound}, **QUIET),
        {"bound": 1.0},
    ),
    "search_walk_forward": (
        lambda objective, space, splitter, **given: search.search_walk_forward(
            objective, space, splitter, progress=False, **given
        ),
        {"objective": of_net, "space": {"a": [0, 1, 2]}, "splitter": WINDOWS, "trials": 1,
         "statistic": "sharpe", "sampler": "random", "jobs": 1, "seed": 0, "study": "w",
         "code": None, "without_effect": "keep"},
    ),
    "net returns": (
        lambda net: search.search_walk_forward(lambda a: net, {"a": [0, 1]}, WINDOWS, trials=1,
                                               **QUIET),
        {"net": ROW},
    ),
    "a statistic": (
        lambda scores: search.search_walk_forward(
            of_net, {"a": [0, 1]}, WINDOWS, trials=1, statistic=lambda net: scores, **QUIET
        ),
        {"scores": [1.0]},
    ),
    "probability_of_backtest_overfitting": (
        metrics.probability_of_backtest_overfitting,
        {"returns": RETURNS, "blocks": 4, "statistic": "sharpe"},
    ),
    "deflated_sharpe_ratio": (
        metrics.deflated_sharpe_ratio,
        {"returns": RETURNS, "strategy": None, "trials": None, "variance": None},
    ),
    "probabilistic_sharpe_ratio": (
        metrics.probabilistic_sharpe_ratio,
        {"sharpe": 0.1, "bars": 100, "skew": 0.0, "kurtosis": 3.0, "benchmark": 0.0},
    ),
    "minimum_track_record_length": (
        metrics.minimum_track_record_length,
        {"sharpe": 0.1, "skew": 0.0, "kurtosis": 3.0, "benchmark": 0.0, "confidence": 0.95},
    ),
    "minimum_backtest_length": (metrics.minimum_backtest_length, {"trials": 10, "target": 1.0}),
    "expected_maximum": (metrics.expected_maximum, {"trials": 10}),
    "effective_trials": (metrics.effective_trials, {"returns": RETURNS, "correlation": 0.5}),
    "superior_predictive_ability": (
        metrics.superior_predictive_ability,
        {"returns": RETURNS, "benchmark": 0.0, "block_length": None, "repetitions": 20, "seed": 0,
         "studentize": False},
    ),
    "model_confidence_set": (
        metrics.model_confidence_set,
        {"losses": RETURNS, "size": 0.05, "block_length": None, "repetitions": 20, "seed": 0},
    ),
    "benjamini_hochberg": (metrics.benjamini_hochberg, {"p_values": [0.1, 0.2], "rate": 0.05}),
    "bootstrap_bands": (
        metrics.bootstrap_bands,
        {"net": RETURNS, "periods_per_year": 252.0, "active": None, "confidence": 0.9,
         "block_length": None, "repetitions": 20, "seed": 0, "sessions_per_year": None},
    ),
    "optimal_block_length": (metrics.optimal_block_length, {"values": RETURNS}),
    "shuffle_trades": (metrics.shuffle_trades, {"net": ROW, "repetitions": 10, "seed": 0}),
    "degrade_fills": (
        metrics.degrade_fills,
        {"net": ROW, "size": 1.0, "missed": 0.1, "worse": 0.01, "repetitions": 10, "seed": 0},
    ),
    "delayed_returns": (
        metrics.delayed_returns,
        {"position": ROW, "market": ROW, "delays": (0, 1), "cost": 0.0},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_no_argument_raises_from_inside(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, arguments = CALLS[name]
    wrong = []
    for argument in arguments:
        for value in HOSTILE:
            try:
                call(**{**arguments, argument: value})
            except MarketsimError:
                continue
            except Exception as error:
                if "<lambda>()" not in str(error):  # the user's own function did not fit
                    wrong.append(f"{argument}={value!r:.40}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [
    "keys", "questions", "question", "summary", "best", "complete", "trials", "returns", "kept",
    "decisions", "find", "known", "attempt", "trial_of", "record", "record_decision",
])  # fmt: skip
def test_no_argument_of_a_ledger_raises_from_inside(name: str, tmp_path: Path) -> None:
    with search.Ledger(tmp_path / "t.sqlite") as ledger:
        ledger.record(search.Trial("s", {"a": 1}, 1.0, net=ROW))
        method = getattr(ledger, name)
        for value in HOSTILE:
            try:
                method(value)
            except MarketsimError:
                continue


@pytest.mark.parametrize(("arguments", "message"), [
    ({"metrics": {1: 2.0}}, "metrics must be numbers by name"),
    ({"params": {1: 2.0}}, "parameters must be values by name"),
    ({"params": [1]}, "parameters must be values by name"),
    ({"status": ["complete"]}, "status must be 'complete', 'failed' or 'pruned'"),
])  # fmt: skip
def test_trials_that_are_none(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with (
        search.Ledger(tmp_path / "t.sqlite") as ledger,
        pytest.raises(ArgumentError, match=message),
    ):
        ledger.record(search.Trial(**{"study": "s", "params": {"a": 1}, **arguments}))


def test_promotions_by_what_is_no_rule(tmp_path: Path) -> None:
    with search.Ledger(tmp_path / "t.sqlite") as ledger:
        ledger.record(search.Trial("s", {"a": 1}, 1.0, net=ROW))
        for value in HOSTILE[1:]:
            with pytest.raises(MarketsimError):
                search.promote(ledger, "s", value)
            with pytest.raises(MarketsimError):
                search.promote(ledger, "s", None, trial=value)
            with pytest.raises(MarketsimError):
                search.ledger_grid(ledger, "s", question=value)


def test_bars_that_differ_from_set_to_set_are_named() -> None:
    with pytest.raises(ArgumentError, match="same bars for every set: got .* before"):
        search.search_walk_forward(
            lambda a: ROW[: 300 - int(a)], {"a": [0, 1, 2]}, WINDOWS, trials=3, sampler="grid",
            **QUIET,
        )  # fmt: skip


def test_where_may_have_defaults_and_says_what_it_raised() -> None:
    space = {"fast": [1, 2, 3], "slow": [2, 3]}
    kept = search.grid_sets(space, lambda s, least=2: s["fast"] >= least)
    assert set(kept["fast"].tolist()) == {2, 3}
    kept = search.grid_sets(space, lambda fast, slow, gap=1: slow - fast > gap)
    assert list(zip(*(kept[name].tolist() for name in space), strict=True)) == [(1, 3)]
    with pytest.raises(ArgumentError, match="where raised ValueError.*all sets, arrays"):
        search.grid_sets(space, lambda fast, slow: fast < slow and fast > 0)
    with pytest.raises(ArgumentError, match="got an argument 'medium'"):
        search.grid_sets(space, lambda fast, medium: fast < medium)


def test_files_in_folders_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="there is no folder"):
        search.grid(
            "sma_cross", BARS, {"fast": [5, 10], "slow": [50]}, returns=tmp_path / "no" / "x.npy",
            progress=False,
        )  # fmt: skip
    with pytest.raises(ArgumentError, match="there is no folder"):
        some_grid().save_heatmap(tmp_path / "no" / "x.svg", "x", "y")


def test_a_walk_forward_search_leaves_the_objective_as_it_was() -> None:
    objective = search.replay_objective(BARS, "sma_cross")
    space = {"fast": [5, 10], "slow": [50, 60]}
    search.search_walk_forward(
        objective, space, search.WalkForwardSplit(1000, 500), trials=2, **QUIET
    )
    assert objective.keep_net is False


def test_a_grid_of_a_ledger_with_none_among_its_values(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    space = {"fast": [5, 10], "slow": [50], "stop_loss": [None, 0.05]}
    found = search.grid("sma_cross", BARS, space, ledger=path, progress=False)
    again = search.ledger_grid(path, "sma_cross")
    assert (again.best_params, len(again)) == (found.best_params, 4)
    assert again.heatmap("fast", "stop_loss").shape == (2, 2)


def test_conditions_with_powers_of_ten(tmp_path: Path) -> None:
    file = tmp_path / "space.json"
    file.write_text('{"x": [0.001, 0.1], "e": [1, 2], "where": ["x < 1e-2", "x<+1.5e+3", "e>1"]}')
    found = search.read_space(file)
    assert found.where({"x": np.array([0.001, 0.1]), "e": np.array([2, 2])}).tolist() == [
        True, False,
    ]  # fmt: skip
    for condition in ("x < nan", "x < inf", "x < 1e", "x < fast", "x < "):
        file.write_text(f'{{"x": [0.001, 0.1], "where": ["{condition}"]}}')
        with pytest.raises(ArgumentError, match="condition"):
            search.read_space(file)
