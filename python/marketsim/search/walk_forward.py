"""A search of its own on every training window, and what its best earned in the test after it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import as_numbers, check_function, check_name, check_one_of
from marketsim.errors import ArgumentError
from marketsim.progress import Progress, ProgressBar
from marketsim.search.effect import no_effect
from marketsim.search.effect import without_effect as parameters_without_effect
from marketsim.search.identity import filed_as, identity
from marketsim.search.ledger import LedgerLike
from marketsim.search.optuna import TuningResult, check_jobs, optuna, params_of
from marketsim.search.selection import Splitter
from marketsim.search.spaces import as_space
from marketsim.search.splits import CombinatorialPurgedSplit, checked_splits
from marketsim.search.statistics import Statistic, named_statistic
from marketsim.search.trial import canonical

if TYPE_CHECKING:
    from marketsim.cluster import Cluster

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WalkForwardSearch:
    """Result of `search_walk_forward`: parameters of each training window, and their tests.

    Attributes:
        windows: one row a window: first and last bar of training and test, the score in each, how
            many sets were evaluated for it and in how many seconds (the cost of fitting again),
            then the parameters, `param_...`: how they drift.
        rows: [tested bar], the bars of all tests.
        paths: [path, tested bar], what the chosen parameters earned on them: out of sample. One
            path where each bar is tested once; of combinatorial splits as many whole histories as
            test each fold.
        in_sample_net: [trained bar of the tests' windows], see `in_sample_rows`: what they earned
            where they were chosen; windows that share bars give each bar to the last of them.
        in_sample_rows: [bar], these bars.
    """

    windows: pd.DataFrame
    rows: Rows
    paths: Floats
    in_sample_rows: Rows
    in_sample_net: Floats

    @property
    def net(self) -> Floats:
        """What was earned out of sample [tested bar]: all paths in equal weights."""
        mean: Floats = self.paths.mean(axis=0)
        return mean

    @property
    def equity(self) -> pd.DataFrame:
        """Compounded equity by bar, of 1 at the start: columns out_of_sample and in_sample."""
        outside = pd.Series(np.cumprod(1.0 + self.net), self.rows)
        inside = pd.Series(np.cumprod(1.0 + self.in_sample_net), self.in_sample_rows)
        return pd.DataFrame({"out_of_sample": outside, "in_sample": inside})

    @property
    def drift(self) -> pd.DataFrame:
        """How often each parameter changed from a window to the next, and the values it had."""
        rows = {}
        for column in self.windows.columns[self.windows.columns.str.startswith("param_")]:
            values = self.windows[column].tolist()
            changes = sum(a != b for a, b in itertools.pairwise(values))
            rows[column.removeprefix("param_")] = {
                "changes": changes,
                "values": len({repr(value) for value in values}),
            }
        return pd.DataFrame.from_dict(rows, orient="index")


def search_walk_forward(
    objective: Any,
    space: Mapping[str, Any] | Callable[[Any], dict[str, Any]],
    splitter: Splitter,
    *,
    trials: int,
    statistic: str | Statistic = "sharpe",
    sampler: str = "tpe",
    jobs: int = 1,
    cluster: str | Cluster | None = None,
    seed: int = 0,
    study: str = "walk forward",
    storage: str | os.PathLike[str] | None = None,
    ledger: LedgerLike | None = None,
    code: str | None = None,
    without_effect: str = "refuse",
    progress: Progress = True,
) -> WalkForwardSearch:
    """Search on each training window alone, and hold its best in the test after it.

    A window's search sees the net returns of its training bars and nothing else, so that nothing of
    the test reaches the choice of a set, nor which sets are tried. The objective must be causal:
    its return of a bar must not depend on later bars. Then one run gives every window its part, and
    a set that several windows try is run once (where there is one job).

    Args:
        objective: `replay_objective`, `walk_forward_objective`, or a function of parameters by name
            that returns the net returns [bar]. With keep_net=True the ledger keeps the returns of
            each set on all bars, for `evidence`.
        space, sampler, jobs, cluster, seed, storage, ledger, code: as for `optuna`. The ledger
            files each window's trials under `study` and its split.
        splitter: as `WalkForwardSplit`; its tests must not share bars, but for those of
            `CombinatorialPurgedSplit`, which are joined into its paths.
        trials: of each window.
        statistic: the score on the training bars: "sharpe", "mean", or a function of net returns
            [set, bar] to scores [set], such as `median_over_folds()` or `lower_bound()`.
        study: its name in the ledger; a storage has a study of each window, "..., window 0".
        without_effect: "refuse" parameters that change the returns of no bar at any of many sets,
            chosen ones, others and random ones, or "keep" them.
        progress: draw a bar on a terminal.

    Raises:
        ArgumentError: tests that share bars; else as `optuna`.
        NotEnoughBarsError: not a single test fits.

    Example:
        >>> import marketsim as ms
        >>> from marketsim.search import Int, WalkForwardSplit, replay_objective
        >>> objective = replay_objective(ms.demo_bars(), "sma_cross", fee_bps=10)
        >>> found = search_walk_forward(  # doctest: +SKIP
        ...     objective, {"fast": Int(2, 50), "slow": Int(51, 200)},
        ...     WalkForwardSplit(1000, 250), trials=50)
    """
    check_one_of("without_effect", without_effect, ("refuse", "keep"))
    check_name("study", study)
    check_function("objective", getattr(objective, "one", objective), "lambda x: returns of x")
    if not callable(space):
        as_space(space)
    score = named_statistic(statistic)
    check_jobs(jobs, cluster)
    runner = _Net(objective, code)
    keeps = runner.keeps
    try:
        with ExitStack() as stack:
            if cluster is not None:  # once, not for each window
                from marketsim.cluster import connected

                cluster = stack.enter_context(connected(cluster))
            return _searched(
                runner, space, splitter, statistic, score, without_effect,
                trials=trials, sampler=sampler, jobs=jobs, cluster=cluster, seed=seed, study=study,
                storage=storage, ledger=ledger, progress=progress,
            )  # fmt: skip
    finally:
        if hasattr(objective, "one"):
            objective.keep_net = keeps


def _searched(
    runner: _Net,
    space: Mapping[str, Any] | Callable[[Any], dict[str, Any]],
    splitter: Splitter,
    statistic: str | Statistic,
    score: Statistic,
    without_effect: str,
    *,
    trials: int,
    sampler: str,
    jobs: int,
    cluster: str | Cluster | None,
    seed: int,
    study: str,
    storage: str | os.PathLike[str] | None,
    ledger: LedgerLike | None,
    progress: Progress,
) -> WalkForwardSearch:
    metric = statistic if isinstance(statistic, str) else identity(statistic)
    bars = len(runner.first(space, seed))
    windows = checked_splits(splitter, bars)
    combinatorial = isinstance(splitter, CombinatorialPurgedSplit)
    tested = np.arange(bars) if combinatorial else np.concatenate([test for _, test in windows])
    if len(np.unique(tested)) < len(tested):
        raise ArgumentError(
            "the tests share bars, which would count twice: use a splitter whose tests follow one "
            "another, such as WalkForwardSplit, or CombinatorialPurgedSplit"
        )
    apart = jobs > 1 or cluster is not None  # the runs of other processes are not counted here
    chosen: list[dict[str, Any]] = []
    tried: list[dict[str, Any]] = []
    rows = []
    with ProgressBar(len(windows), study, enabled=progress, unit="windows") as bar:
        for number, (train, test) in enumerate(windows):
            start, before = time.perf_counter(), runner.runs if number else 0
            found = optuna(
                _Window(runner, train, score, metric, f"{study}, window {number}"),
                space,
                trials=trials,
                jobs=jobs,
                cluster=cluster,
                sampler=sampler,
                seed=seed,
                study=study,
                storage=storage,
                ledger=ledger,
                split=f"train {_ranges(train)} of {len(train)}",
                without_effect="keep",
                progress=False,
            )
            best = _best(found, f"window {number} of {len(windows)}, train {_ranges(train)}")
            chosen.append(best)
            net = runner(best)
            tried += [params_of(trial) for trial in found.study.get_trials(deepcopy=False)]
            rows.append(
                {
                    "train_first": train[0], "train_last": train[-1],
                    "test_first": test[0], "test_last": test[-1],
                    "in_sample": float(score(net[None, train])[0]),
                    "out_of_sample": float(score(net[None, test])[0]),
                    "evaluations": len(found) if apart else runner.runs - before,
                    "seconds": time.perf_counter() - start,
                    **{f"param_{n}": value for n, value in best.items()},
                }
            )  # fmt: skip
            bar.advance(1)
    nets = [runner(best) for best in chosen]
    result = WalkForwardSearch(
        pd.DataFrame(rows),
        tested.astype(np.int64),
        _paths(splitter, nets, [test for _, test in windows]),
        *_in_sample(nets, [train for train, _ in windows]),
    )
    if without_effect == "refuse" and not callable(space):
        _refuse_without_effect(space, [*chosen, *tried], runner, result)
    return result


def _refuse_without_effect(
    space: Mapping[str, Any], tried: list[dict[str, Any]], runner: _Net, result: WalkForwardSearch
) -> None:
    names = parameters_without_effect(as_space(space), tried, runner.telling, runner.excludes)
    if names:
        raise no_effect(names, result)


def _in_sample(nets: list[Floats], trainings: list[Rows]) -> tuple[Rows, Floats]:
    """(bars that some window trained on, what its best earned there), the last window's of each."""
    inside: dict[int, float] = {}
    for train, net in zip(trainings, nets, strict=True):
        inside.update(zip(train.tolist(), net[train].tolist(), strict=True))
    trained = sorted(inside)
    return np.array(trained, dtype=np.int64), np.array([inside[bar] for bar in trained])


def _paths(splitter: Splitter, nets: list[Floats], tests: list[Rows]) -> Floats:
    """What was earned in the tests [path, tested bar], of the net returns of each split's best."""
    if not isinstance(splitter, CombinatorialPurgedSplit):
        return np.concatenate([net[test] for test, net in zip(tests, nets, strict=True)])[None, :]
    folds = splitter.fold_rows(nets[0])
    return np.array(
        [
            np.concatenate([nets[split][fold] for split, fold in zip(path, folds, strict=True)])
            for path in splitter.paths().tolist()
        ]
    )


def _best(found: TuningResult, window: str) -> dict[str, Any]:
    try:
        return found.best_params
    except ArgumentError as error:
        raise ArgumentError(f"{window}: {error}") from error


def _ranges(rows: Rows) -> str:
    """Which rows these are: a training beside a test has two stretches or more."""
    ends = np.flatnonzero(np.diff(rows) != 1)
    first, last = np.r_[0, ends + 1], np.r_[ends, len(rows) - 1]
    return " ".join(f"{rows[a]}-{rows[b]}" for a, b in zip(first, last, strict=True))


class _Net:
    """Net returns [bar] of a set, computed once."""

    def __init__(self, objective: Any, code: str | None) -> None:
        self.keeps = bool(getattr(objective, "keep_net", False))  # in the ledger too
        if hasattr(objective, "one"):
            objective.keep_net = True
        self.excludes: Callable[[Mapping[str, Any]], str] = getattr(objective, "excludes", _none)
        self.function: Callable[..., Any] = getattr(objective, "one", objective)
        self.filed = filed_as(objective, None, code)
        self.kept: dict[str, Floats] = {}
        self.runs = self.bars = 0

    def __call__(self, params: Mapping[str, Any]) -> Floats:
        key = canonical(params)
        if key not in self.kept:
            found = self.function(**params)
            if isinstance(found, Mapping) and "net" not in found:
                raise ArgumentError(
                    f'the objective\'s figures need "net", its net returns [bar]: got '
                    f"{', '.join(map(str, found))} for {dict(params)}"
                )
            given = found["net"] if isinstance(found, Mapping) else found
            net = as_numbers(f"net returns for {dict(params)}", given, np.float64)
            if net.ndim != 1 or not len(net) or not np.isfinite(net).all():
                raise ArgumentError(
                    f"the objective must return net returns [bar] in finite numbers: got shape "
                    f"{net.shape} for {dict(params)}, {given!r:.80}"
                )
            if self.bars not in (0, len(net)):
                raise ArgumentError(
                    f"the objective must return the net returns of the same bars for every set: "
                    f"got {len(net)} for {dict(params)}, and {self.bars} before"
                )
            self.bars = len(net)
            self.kept[key] = net
            self.runs += 1
        return self.kept[key]

    def telling(self, params: dict[str, Any]) -> tuple[float, ...] | None:
        """All that is known of a set: its returns; None where it fails."""
        try:
            return tuple(self(params).tolist())
        except Exception:  # what a set raises is an effect of its parameters
            return None

    def first(self, space: Any, seed: int) -> Floats:
        """The returns of some set, which say how many bars there are."""
        found = optuna(
            _Size(self), space, trials=1, sampler="random", seed=seed, without_effect="keep",
            progress=False,
        )  # fmt: skip
        return self(params_of(found.study.best_trial))


def _none(params: Mapping[str, Any]) -> str:
    """No condition: nothing is excluded."""
    return ""


class _Size:
    """How many bars a set's returns have."""

    def __init__(self, runner: _Net) -> None:
        self.runner, self.filed, self.excludes = runner, runner.filed, runner.excludes

    def __call__(self, **params: Any) -> float:
        return float(len(self.runner(params)))


class _Window:
    """The score of a set on the bars of a training window."""

    def __init__(
        self, runner: _Net, train: Rows, score: Statistic, metric: str, stored: str
    ) -> None:
        self.runner, self.train, self.score = runner, train, score
        self.study_in_storage = stored  # each window has its own; the ledger has one of all
        self.filed, self.excludes = {**runner.filed, "metric": metric}, runner.excludes

    def __call__(self, **params: Any) -> float | dict[str, Any]:
        net = self.runner(params)
        score = float(self.score(net[None, self.train])[0])
        return {"score": score, "net": net} if self.runner.keeps else score
