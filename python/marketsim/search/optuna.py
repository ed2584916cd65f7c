"""Search by Optuna, with every trial in the ledger."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from marketsim.errors import (
    ArgumentError,
    MissingDependencyError,
    NoEffectError,
    StorageError,
    UnknownNameError,
)
from marketsim.progress import ProgressBar
from marketsim.search.effect import check_names, without_effect
from marketsim.search.ledger import Known, Ledger, Trial, trial_key
from marketsim.search.spaces import Choice, Dimension, Int, as_space, values_of
from marketsim.search.workers import Outcome, Pruned, WorkerLostError, Workers

# Parameters to a score, to scores of several objectives, or to figures with "score" among them.
TrialObjective: TypeAlias = Callable[..., float | Sequence[float] | Mapping[str, Any]]
# Parameters of an Optuna trial: for spaces whose parameters depend on one another.
Suggest: TypeAlias = Callable[[Any], dict[str, Any]]
# Lowest and highest allowed value of a figure; None: no bound. A number is the highest.
Bound: TypeAlias = float | tuple[float | None, float | None]

SAMPLERS = {
    "tpe": "TPESampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "grid": "GridSampler",
    "nsga2": "NSGAIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}


@dataclass(frozen=True)
class TuningResult:
    """What a search found.

    Attributes:
        study: Optuna's study, with all trials.
        reused: trials that the ledger answered.
    """

    study: Any
    reused: int

    def __len__(self) -> int:
        return len(self.study.trials)

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best trial with a finite score.

        Raises:
            ArgumentError: no trial is complete, or there are several objectives (`pareto`).
        """
        return params_of(self._best())

    @property
    def best_score(self) -> float:
        """The score of that trial."""
        return float(self._best().value)

    @property
    def pareto(self) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
        """(parameters, scores) of the trials that no other one beats in every objective."""
        return [(params_of(trial), tuple(trial.values)) for trial in self.study.best_trials]

    def _best(self) -> Any:
        if len(self.study.directions) > 1:
            raise ArgumentError("there are several objectives: read `pareto`")
        try:
            return self.study.best_trial
        except ValueError as error:
            raise ArgumentError(
                f"none of the {len(self)} trials is complete: all failed or were pruned"
            ) from error


def params_of(trial: Any) -> dict[str, Any]:
    """The parameters of a trial as the objective was given them."""
    return dict(trial.user_attrs.get("params", trial.params))


def optuna(
    objective: TrialObjective | Any,
    space: Mapping[str, Any] | Suggest,
    *,
    trials: int,
    jobs: int = 1,
    sampler: str | Any = "tpe",
    pruner: str | Any = None,
    seed: int = 0,
    direction: str | Sequence[str] = "maximize",
    constraints: Mapping[str, Bound] | None = None,
    storage: str | os.PathLike[str] | None = None,
    study: str = "optuna",
    ledger: Ledger | None = None,
    data: str | None = None,
    code: str | None = None,
    split: str = "",
    catch: tuple[type[Exception], ...] = (),
    without_effect: str = "refuse",
    progress: bool = True,
) -> TuningResult:
    """Search a space by Optuna.

    The parameters are those of a plain Optuna loop with the same sampler, seed and version where
    there is one job. A set that the ledger has is told to the sampler without being computed again.

    Args:
        objective: `replay_objective`, `walk_forward_objective`, or a function of parameters by
            name, and of `report=` where it has an argument of that name: `report(value, step)`
            raises `Pruned` where the pruner ends the trial. It returns a score, scores of several
            objectives, or figures by name with "score" among them, and perhaps "net", the net
            returns [bar]. NaN and infinite scores count as failed.
        space: name to `Float`, `Int`, `Choice` or a list of values; or a function of an Optuna
            trial that returns the parameters, for those that depend on one another.
        trials: finished trials to have in the end, those in the storage included.
        jobs: processes that evaluate trials at the same time; see `marketsim.search.workers`.
        sampler: "tpe", "cmaes", "gp", "grid", "nsga2", "qmc", "random", or a sampler of Optuna.
        pruner: "none", "median", "halving", "hyperband", or a pruner of Optuna; None: Optuna's own.
        seed: of the sampler.
        direction: "maximize" or "minimize", or one for each objective.
        constraints: figure to the highest value that is allowed, or to (lowest, highest): a trial
            beyond one is never the best, and samplers that can keep away from it.
        storage: a file for Optuna's journal, or a database URL: a search that was stopped goes on,
            and several searches share one.
        study: its name there and in the ledger.
        ledger: records every trial, failed and pruned ones too.
        data, code, split: what the ledger's trials are filed under besides: fingerprints of bars
            and code, and the name of a split. None: what the objective says of itself.
        catch: errors of the objective that fail a trial without ending the search; others are
            recorded and raised.
        without_effect: "refuse" parameters that change neither score nor figure; to know, the best
            sets are evaluated again with one parameter changed, one evaluation each or a few. These
            are recorded like any other trial. "keep": nothing of this.
        progress: draw a bar on a terminal.

    Raises:
        MissingDependencyError: optuna is not installed (the extra `search`).
        ArgumentError: an empty or contradictory space, no trial to do, a score that is no number, a
            parameter that the objective does not take.
        NoEffectError: a parameter changes nothing; `.result` holds what was found.
        UnknownNameError: another name of a sampler or pruner.
        StorageError: the storage is no journal of Optuna, or another version wrote it.

    Example:
        >>> found = optuna(lambda x: -((x - 2) ** 2), {"x": list(range(5))}, trials=30,
        ...                sampler="random", progress=False)
        >>> found.best_params, found.best_score
        ({'x': 2}, 0.0)
    """
    package = _package()
    dimensions = None if callable(space) else as_space(space)
    function: TrialObjective = getattr(objective, "one", objective)
    if dimensions is not None:
        check_names(function, dimensions)
    for name, number in (("trials", trials), ("jobs", jobs)):
        if number < 1:
            raise ArgumentError(f"{name} must be at least 1: got {number!r}")
    directions = [direction] if isinstance(direction, str) else list(direction)
    if not directions or not set(directions) <= {"maximize", "minimize"}:
        raise ArgumentError(f"direction must be 'maximize' or 'minimize': got {direction!r}")
    if without_effect not in ("refuse", "keep"):
        raise ArgumentError(f"without_effect must be 'refuse' or 'keep': got {without_effect!r}")
    filed = {
        "seed": seed,
        "split": split,
        "data": getattr(objective, "data", "") if data is None else data,
        "code": getattr(objective, "code", "") if code is None else code,
    }
    with _quiet(package):
        opened = _open_study(package, storage, study, directions, _pruner(package, pruner))
        # Another stream than the trials before had, which would propose the same again.
        before = len(opened.trials)
        opened.sampler = _sampler(package, sampler, seed + before, dimensions)
        suggest = _suggestions(dimensions) if dimensions is not None else space
        assert callable(suggest)
        run = _Run(
            package, opened, function, suggest, ledger, study, filed, catch, constraints,
            depends=dimensions is None,
        )  # fmt: skip
        run.go(trials, jobs, progress)
        result = TuningResult(opened, run.reused)
        if without_effect == "refuse" and dimensions is not None:
            run.refuse_without_effect(dimensions, result)
    return result


class _Asked(NamedTuple):
    trial: Any
    params: dict[str, Any]
    start: float


class _Told(NamedTuple):
    """What is known of a trial once it has ended."""

    status: str
    scores: list[float]
    figures: dict[str, float]
    net: Any = None
    error: str = ""
    raised: BaseException | None = None


@dataclass
class _Run:
    """Asks for parameters, has them evaluated, tells what came of them."""

    package: Any
    study: Any
    objective: TrialObjective
    suggest: Suggest
    ledger: Ledger | None
    name: str
    filed: dict[str, Any]
    catch: tuple[type[Exception], ...]
    constraints: Mapping[str, Bound] | None
    depends: bool  # parameters on one another
    reused: int = 0

    def __post_init__(self) -> None:
        self.recorded = set() if self.ledger is None else self.ledger.keys(self.name)
        self.reports = "report" in _argument_names(self.objective)
        self.count = len(self.study.directions)

    def go(self, trials: int, jobs: int, progress: bool) -> None:
        """Run trials until there are as many finished ones."""
        finished = sum(trial.state.is_finished() for trial in self.study.trials)
        todo = max(0, trials - finished)
        if isinstance(self.study.sampler, self.package.samplers.GridSampler):
            todo = min(todo, len(self.study.sampler._all_grids) - finished)
        label = f"search of {self.name}"
        if jobs == 1:
            with ProgressBar(trials, label, enabled=progress, unit="trials") as bar:
                bar.skip(min(finished, trials))
                for _ in range(todo):
                    asked = self.ask()
                    if not self.answered(asked):
                        self.settle(asked, self.evaluate(asked))
                    bar.advance(1)
            return
        # Processes first: a bar may have a thread, and threads do not survive a fork.
        with (
            Workers(self.objective, jobs, reports=self.reports) as workers,
            ProgressBar(trials, label, enabled=progress, unit="trials") as bar,
        ):
            bar.skip(min(finished, trials))
            self.go_in_processes(workers, todo, bar)

    def go_in_processes(self, workers: Workers, todo: int, bar: ProgressBar) -> None:
        running: dict[int, _Asked] = {}

        def prunes(number: int, value: float, step: int) -> bool:
            trial = running[number].trial
            trial.report(value, step)
            return bool(trial.should_prune())

        try:
            while todo or running:
                while todo and workers.idle:
                    todo -= 1
                    asked = self.ask()
                    if self.answered(asked):
                        bar.advance(1)
                        continue
                    running[asked.trial.number] = asked
                    workers.start(asked.trial.number, asked.params)
                for number, outcome in workers.finished(prunes) if running else []:
                    self.settle(running.pop(number), outcome)
                    bar.advance(1)
        except BaseException:
            stopped = RuntimeError("stopped with the search")
            for asked in running.values():
                self.tell(asked, self.judged(Outcome(raised=stopped)))
            raise

    def ask(self) -> _Asked:
        trial = self.study.ask()
        params = self.suggest(trial)
        if self.depends and params != trial.params:  # such a space may fix some
            trial.set_user_attr("params", params)
        return _Asked(trial, params, time.perf_counter())

    def answered(self, asked: _Asked) -> bool:
        """Whether the ledger has this set, complete and finite: then the sampler is told."""
        known = self.known(asked.params)
        if known is None:
            return False
        scores = self.scores_of(known)
        if not all(map(math.isfinite, scores)):
            return False
        self.constrain(asked.trial, {**known.metrics, "score": known.score})
        self.study.tell(asked.trial, scores)
        self.reused += 1
        return True

    def known(self, params: Mapping[str, Any]) -> Known | None:
        if self.ledger is None:
            return None
        key = trial_key(self.name, params, **self.filed)
        if key not in self.recorded:
            return None
        found = self.ledger.known([key]).get(key)
        return found if found is not None and found.status == "complete" else None

    def scores_of(self, known: Known) -> list[float]:
        if self.count == 1:
            return [known.score]
        return [known.metrics.get(f"objective_{i}", math.nan) for i in range(self.count)]

    def evaluate(self, asked: _Asked) -> Outcome:
        """Evaluate a trial in this process."""
        trial = asked.trial

        def report(value: float, step: int) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise Pruned

        return self.call(asked.params, report)

    def call(self, params: Mapping[str, Any], report: Callable[[float, int], None]) -> Outcome:
        more = {"report": report} if self.reports else {}
        try:
            return Outcome(found=self.objective(**params, **more))
        except BaseException as error:  # recorded, and raised unless it is to be caught
            return Outcome(raised=error)

    def judged(self, outcome: Outcome) -> _Told:
        raised = outcome.raised
        nothing = [math.nan] * self.count
        if raised is None:
            try:
                scores, figures, net = _scores(outcome.found, self.count)
                return _Told("complete", scores, figures, net)
            except ArgumentError as error:
                raised = error
        if isinstance(raised, (Pruned, self.package.TrialPruned)):
            return _Told("pruned", nothing, {})
        return _Told("failed", nothing, {}, None, f"{type(raised).__name__}: {raised}", raised)

    def settle(self, asked: _Asked, outcome: Outcome) -> None:
        """Tell and record what came of a trial; raises what the search does not catch."""
        told = self.judged(outcome)
        self.tell(asked, told)
        if isinstance(told.raised, WorkerLostError):
            warnings.warn(f"trial {asked.trial.number}: {told.raised}", stacklevel=4)
        elif told.raised is not None and not isinstance(told.raised, self.catch):
            raise told.raised

    def tell(self, asked: _Asked, told: _Told) -> None:
        states = self.package.trial.TrialState
        # The ledger first: a trial that it has is answered from it when a killed search goes on.
        self.record(asked.params, told, time.perf_counter() - asked.start)
        if told.status == "complete" and all(map(math.isfinite, told.scores)):
            self.constrain(asked.trial, {**told.figures, "score": told.scores[0]})
            self.study.tell(asked.trial, told.scores)
        else:
            state = states.PRUNED if told.status == "pruned" else states.FAIL
            self.study.tell(asked.trial, state=state)

    def constrain(self, trial: Any, figures: Mapping[str, float]) -> None:
        for name, bound in (self.constraints or {}).items():
            if name not in figures:
                raise ArgumentError(
                    f"constraint on {name!r}, which is no figure: expected "
                    f"{', '.join(sorted(figures))}"
                )
            low, high = bound if isinstance(bound, tuple) else (None, bound)
            value = figures[name]
            for side, excess in (
                ("least", None if low is None else low - value),
                ("most", None if high is None else value - high),
            ):
                if excess is not None:  # NaN: not known to be allowed
                    trial.set_constraint(
                        f"{name} {side}", math.inf if math.isnan(excess) else excess
                    )

    def record(self, params: Mapping[str, Any], told: _Told, seconds: float) -> None:
        if self.ledger is None:
            return
        more: dict[str, float] = {}
        if self.count > 1:
            more = {f"objective_{i}": value for i, value in enumerate(told.scores)}
        trial = Trial(
            self.name,
            params,
            told.scores[0],
            told.status,
            {**told.figures, **more},
            error=told.error,
            seconds=seconds,
            net=told.net,
            **self.filed,
        )
        self.ledger.record(trial)
        self.recorded.add(trial.key)

    def refuse_without_effect(self, space: Mapping[str, Dimension], result: TuningResult) -> None:
        states = (self.package.trial.TrialState.COMPLETE,)
        complete = self.study.get_trials(deepcopy=False, states=states)
        sign = 1.0 if self.study.directions[0].name == "MAXIMIZE" else -1.0
        complete.sort(key=lambda trial: -sign * trial.values[0])
        bases = [dict(trial.params) for trial in complete[:3] if set(trial.params) == set(space)]
        seen: dict[bytes, tuple[float, ...] | None] = {}

        def probe(params: dict[str, Any]) -> tuple[float, ...] | None:
            key = trial_key("", params)
            if key not in seen:
                seen[key] = self.everything(params)
            return seen[key]

        names = without_effect(space, bases, probe) if bases else []
        if names:
            raise NoEffectError(
                f"{', '.join(map(repr, names))} changed neither score nor figure of the best "
                f"{len(bases)} of {len(complete)} sets: check the name and its use, or leave it "
                'out; without_effect="keep" returns the search all the same',
                result,
            )

    def everything(self, params: dict[str, Any]) -> tuple[float, ...] | None:
        """Scores and figures of a set, from the ledger where that has them; None: it failed."""
        known = self.known(params)
        if known is not None:
            figures = {n: v for n, v in known.metrics.items() if not n.startswith("objective_")}
            return (*self.scores_of(known), *figures.values())
        start = time.perf_counter()
        told = self.judged(self.call(params, lambda value, step: None))
        self.record(params, told, time.perf_counter() - start)
        if told.status != "complete":
            return None
        return (*told.scores, *(told.figures[name] for name in sorted(told.figures)))


def _scores(found: Any, count: int) -> tuple[list[float], dict[str, float], Any]:
    """(scores, further figures, net returns) of what an objective returned."""
    figures: dict[str, Any] = {}
    net = None
    if isinstance(found, Mapping):
        if "score" not in found:
            raise ArgumentError(f"the objective's figures need 'score': got {', '.join(found)}")
        net = found.get("net")
        figures = {name: value for name, value in found.items() if name not in ("score", "net")}
        found = found["score"]
    several = isinstance(found, (Sequence, np.ndarray)) and not isinstance(found, str)
    several = several and np.ndim(found) > 0
    try:
        if isinstance(found, str):
            raise TypeError
        scores = [float(value) for value in (found if several else [found])]
        numbers = {name: float(value) for name, value in figures.items()}
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the objective must return numbers: got {found!r:.80}") from error
    if len(scores) != count:
        raise ArgumentError(f"the objective must return {count} scores: got {len(scores)}")
    return scores, numbers, net


def _suggestions(space: Mapping[str, Dimension]) -> Suggest:
    def suggest(trial: Any) -> dict[str, Any]:
        return {name: _suggested(trial, name, dimension) for name, dimension in space.items()}

    return suggest


def _suggested(trial: Any, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(name, dimension.values)
    suggest = trial.suggest_int if isinstance(dimension, Int) else trial.suggest_float
    return suggest(name, dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _argument_names(function: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a compiled function does not say
        return set()


def _package() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise MissingDependencyError(
            "this search needs optuna, which is not installed: pip install 'marketsim[search]'"
        ) from error


def _sampler(
    package: Any, sampler: str | Any, seed: int, space: Mapping[str, Dimension] | None
) -> Any:
    if not isinstance(sampler, str):
        return sampler
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    if sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise MissingDependencyError(
            "sampler 'cmaes' needs the package cmaes: pip install 'marketsim[search]'"
        )
    if sampler == "gp" and importlib.util.find_spec("torch") is None:
        raise MissingDependencyError("sampler 'gp' needs torch: pip install 'marketsim[models]'")
    kind = getattr(package.samplers, SAMPLERS[sampler])
    if sampler != "grid":
        return kind(seed=seed)
    if space is None:
        raise ArgumentError("sampler 'grid' needs a space of values by name, not a function")

    class Grid(kind):  # type: ignore[misc, valid-type]
        def after_trial(self, *args: Any, **kwargs: Any) -> None:
            """Optuna's own ends the loop of `optimize` here; ours counts."""

    return Grid({name: values_of(name, dimension) for name, dimension in space.items()}, seed=seed)


def _pruner(package: Any, pruner: str | Any) -> Any:
    if not isinstance(pruner, str):
        return pruner
    if pruner not in PRUNERS:
        raise UnknownNameError("pruner", pruner, PRUNERS)
    return getattr(package.pruners, PRUNERS[pruner])()


def _open_study(
    package: Any,
    storage: str | os.PathLike[str] | None,
    name: str,
    directions: list[str],
    pruner: Any,
) -> Any:
    """A new study, or the one that the storage has."""
    try:
        opened = package.create_study(
            study_name=name,
            directions=directions,
            storage=_storage(package, storage),
            pruner=pruner,
            load_if_exists=True,
        )
    except (StorageError, ImportError):
        raise
    except Exception as error:
        if storage is None:
            raise
        raise StorageError(
            f"storage {storage} cannot be read: {type(error).__name__}: {error}. Another version "
            "of Optuna may have written it, or it is no storage of Optuna: use that version, or "
            "another file; the ledger answers what it has either way"
        ) from error
    found = [one.name.lower() for one in opened.directions]
    if found != directions:
        raise ArgumentError(
            f"study {name!r} in {storage} has directions {', '.join(found)}: got "
            f"{', '.join(directions)}; give the search another name"
        )
    return opened


def _storage(package: Any, storage: str | os.PathLike[str] | None) -> Any:
    if storage is None or (isinstance(storage, str) and "://" in storage):
        return storage
    journal = importlib.import_module("optuna.storages.journal")
    path = str(Path(storage))
    _check_journal(Path(storage))
    # A process that was killed may leave its lock: it is held for milliseconds, so 5 s are enough.
    lock = journal.JournalFileSymlinkLock(path, grace_period=5)
    backend = journal.JournalFileBackend(path, lock_obj=lock)
    return package.storages.JournalStorage(backend)


def _check_journal(path: Path) -> None:
    """Refuse a file that is something else, before Optuna appends to it."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    try:
        if line:
            json.loads(line)["op_code"]
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"storage {path} cannot be read: its first line is no entry of an Optuna journal, got "
            f"{line[:40]!r}; give another file"
        ) from error


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Without a line for every study; warnings are shown."""
    level = package.logging.get_verbosity()
    package.logging.set_verbosity(max(level, package.logging.WARNING))
    try:
        yield
    finally:
        package.logging.set_verbosity(level)
