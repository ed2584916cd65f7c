"""A search of its own on every training window, and what its best earned in the test after it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError
from marketsim.progress import ProgressBar
from marketsim.search.ledger import Ledger, canonical
from marketsim.search.optuna import optuna, params_of
from marketsim.search.selection import Splitter
from marketsim.search.statistics import Statistic, named_statistic

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WalkForwardSearch:
    """The parameters that each training window chose, and their test.

    Attributes:
        windows: one row a window: first and last bar of training and test, the score in each, how
            many sets were evaluated for it and in how many seconds (the cost of fitting again),
            then the parameters, `param_...`: how they drift.
        rows: [tested bar], the bars of all tests.
        net: [tested bar], what the chosen parameters earned on them: out of sample.
        in_sample_net: [trained bar of the tests' windows], see `in_sample_rows`: what they earned
            where they were chosen; windows that share bars give each bar to the last of them.
        in_sample_rows: [bar], these bars.
    """

    windows: pd.DataFrame
    rows: Rows
    net: Floats
    in_sample_rows: Rows
    in_sample_net: Floats

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
    seed: int = 0,
    study: str = "walk forward",
    storage: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
    without_effect: str = "refuse",
    progress: bool = True,
) -> WalkForwardSearch:
    """Search on each training window alone, and hold its best in the test after it.

    A window's search sees the net returns of its training bars and nothing else, so that nothing of
    the test reaches the choice of a set, nor which sets are tried. The objective must be causal:
    its return of a bar must not depend on later bars. Then one run gives every window its part, and
    a set that several windows try is run once (where there is one job).

    Args:
        objective: `replay_objective`, `walk_forward_objective`, or a function of parameters by name
            that returns the net returns [bar].
        space, sampler, jobs, seed, storage, ledger: as for `optuna`. The ledger files each window's
            trials under `study` and its split.
        splitter: as `WalkForwardSplit`; its tests must not share bars.
        trials: of each window.
        statistic: the score on the training bars: "sharpe", "mean", or a function of net returns
            [set, bar] to scores [set], such as `median_over_folds()` or `lower_bound()`.
        study: its name.
        without_effect: as for `optuna`, judged in the first window.
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
    score = named_statistic(statistic)
    runner = _Net(objective)
    bars = len(runner.first(space, seed))
    windows = [
        (np.asarray(train), np.asarray(test)) for train, test in splitter.split(np.empty(bars))
    ]
    joined = np.concatenate([test for _, test in windows])
    if len(np.unique(joined)) < len(joined):
        raise ArgumentError(
            "the tests share bars, which would count twice: use a splitter whose tests follow one "
            "another, such as WalkForwardSplit"
        )
    chosen: list[dict[str, Any]] = []
    rows = []
    with ProgressBar(len(windows), study, enabled=progress, unit="windows") as bar:
        for number, (train, test) in enumerate(windows):
            start, before = time.perf_counter(), runner.runs
            name = f"train {train[0]}-{train[-1]} of {len(train)}"
            found = optuna(
                _Window(runner, train, score),
                space,
                trials=trials,
                jobs=jobs,
                sampler=sampler,
                seed=seed,
                study=f"{study}, window {number}" if storage else study,
                storage=storage,
                ledger=ledger,
                data=runner.data,
                code=runner.code,
                split=name,
                without_effect=without_effect if number == 0 else "keep",
                progress=False,
            )
            best = found.best_params
            chosen.append(best)
            net = runner(best)
            rows.append(
                {
                    "train_first": train[0], "train_last": train[-1],
                    "test_first": test[0], "test_last": test[-1],
                    "in_sample": float(score(net[None, train])[0]),
                    "out_of_sample": float(score(net[None, test])[0]),
                    "evaluations": len(found) if jobs > 1 else runner.runs - before,
                    "seconds": time.perf_counter() - start,
                    **{f"param_{n}": value for n, value in best.items()},
                }
            )  # fmt: skip
            bar.advance(1)
    nets = [runner(best) for best in chosen]
    inside: dict[int, float] = {}
    for (train, _), net in zip(windows, nets, strict=True):
        inside.update(zip(train.tolist(), net[train].tolist(), strict=True))
    trained = sorted(inside)
    return WalkForwardSearch(
        pd.DataFrame(rows),
        joined.astype(np.int64),
        np.concatenate([net[test] for (_, test), net in zip(windows, nets, strict=True)]),
        np.array(trained, dtype=np.int64),
        np.array([inside[bar] for bar in trained]),
    )


class _Net:
    """Net returns [bar] of a set, computed once."""

    def __init__(self, objective: Any) -> None:
        if hasattr(objective, "one"):
            objective.keep_net = True
        self.function: Callable[..., Any] = getattr(objective, "one", objective)
        self.data = getattr(objective, "data", "")
        self.code = getattr(objective, "code", "")
        self.kept: dict[str, Floats] = {}
        self.runs = 0

    def __call__(self, params: Mapping[str, Any]) -> Floats:
        key = canonical(params)
        if key not in self.kept:
            found = self.function(**params)
            net = np.asarray(found["net"] if isinstance(found, Mapping) else found, np.float64)
            if net.ndim != 1 or not np.isfinite(net).all():
                raise ArgumentError(
                    f"the objective must return net returns [bar] in finite numbers: got shape "
                    f"{net.shape} for {dict(params)}"
                )
            self.kept[key] = net
            self.runs += 1
        return self.kept[key]

    def first(self, space: Any, seed: int) -> Floats:
        """The returns of some set, which say how many bars there are."""
        found = optuna(
            lambda **params: {"score": 0.0, "bars": float(len(self(params)))}, space, trials=1,
            sampler="random", seed=seed, without_effect="keep", progress=False,
        )  # fmt: skip
        return self(params_of(found.study.best_trial))


class _Window:
    """The score of a set on the bars of a training window."""

    def __init__(self, runner: _Net, train: Rows, score: Statistic) -> None:
        self.runner, self.train, self.score = runner, train, score

    def __call__(self, **params: Any) -> float:
        return float(self.score(self.runner(params)[None, self.train])[0])
