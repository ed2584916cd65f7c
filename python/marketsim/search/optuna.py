"""Search by Optuna, with every trial in the ledger."""

from __future__ import annotations

import importlib
import inspect
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from marketsim.errors import ArgumentError, MissingDependencyError, UnknownNameError
from marketsim.progress import ProgressBar
from marketsim.search.ledger import Ledger, Trial
from marketsim.search.spaces import Choice, Dimension, Int, as_space

# Parameters to a score, to scores of several objectives, or to figures with "score" among them.
TrialObjective: TypeAlias = Callable[..., float | Sequence[float] | Mapping[str, float]]
# Parameters of an Optuna trial: for spaces whose parameters depend on one another.
Suggest: TypeAlias = Callable[[Any], dict[str, Any]]

SAMPLERS = {
    "tpe": "TPESampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}


class Pruned(Exception):
    """Raised by an objective, or by `report`, to end a trial that has no prospects."""


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
        return dict(self._best().params)

    @property
    def best_score(self) -> float:
        """The score of that trial."""
        return float(self._best().value)

    @property
    def pareto(self) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
        """(parameters, scores) of the trials that no other one beats in every objective."""
        return [(dict(trial.params), tuple(trial.values)) for trial in self.study.best_trials]

    def _best(self) -> Any:
        if len(self.study.directions) > 1:
            raise ArgumentError("there are several objectives: read `pareto`")
        try:
            return self.study.best_trial
        except ValueError as error:
            raise ArgumentError(
                f"none of the {len(self)} trials is complete: all failed or were pruned"
            ) from error


def optuna(
    objective: TrialObjective,
    space: Mapping[str, Any] | Suggest,
    *,
    trials: int,
    sampler: str | Any = "tpe",
    pruner: Any = None,
    seed: int = 0,
    direction: str | Sequence[str] = "maximize",
    storage: str | os.PathLike[str] | None = None,
    study: str = "optuna",
    ledger: Ledger | None = None,
    data: str = "",
    code: str = "",
    catch: tuple[type[Exception], ...] = (),
    progress: bool = True,
) -> TuningResult:
    """Search a space by Optuna.

    The parameters are those of a plain Optuna loop with the same sampler, seed and version. A set
    that the ledger has is told to the sampler without being computed again.

    Args:
        objective: called with the parameters by name, and with `report=` where it has an argument
            of that name: `report(value, step)` raises `Pruned` where the pruner ends the trial.

    Returns:
            a score, scores of several objectives, or figures by name with "score" among them. NaN
            and infinite scores count as failed.
        space: name to `Float`, `Int`, `Choice` or a list of values; or a function of an Optuna
            trial that returns the parameters, for those that depend on one another.
        trials: finished trials to have in the end, those in the storage included.
        sampler: "tpe", "cmaes", "gp", "nsga2", "qmc", "random", or a sampler of Optuna.
        pruner: of Optuna; None: its own default.
        seed: of the sampler.
        direction: "maximize" or "minimize", or one for each objective.
        storage: a file for Optuna's journal, or a database URL: a search that was stopped goes on,
            and several processes share one.
        study: its name there and in the ledger.
        ledger: records every trial, failed and pruned ones too.
        data, code: what the ledger's trials are filed under besides: fingerprints of bars and code.
        catch: errors of the objective that fail a trial without ending the search; others are
            recorded and raised.
        progress: draw a bar on a terminal.

    Raises:
        MissingDependencyError: optuna is not installed (the extra `search`).
        ArgumentError: an empty or contradictory space, no trial to do, a score that is no number.
        UnknownNameError: another name of a sampler.

    Example:
        >>> found = optuna(lambda x: -((x - 2) ** 2), {"x": list(range(5))}, trials=30,
        ...                sampler="random", progress=False)
        >>> found.best_params, found.best_score
        ({'x': 2}, 0.0)
    """
    package = _package()
    suggest = space if callable(space) else _suggestions(as_space(space))
    if trials < 1:
        raise ArgumentError(f"trials must be at least 1: got {trials!r}")
    directions = [direction] if isinstance(direction, str) else list(direction)
    if not directions or not set(directions) <= {"maximize", "minimize"}:
        raise ArgumentError(f"direction must be 'maximize' or 'minimize': got {direction!r}")
    with _quiet(package):
        opened = package.create_study(
            study_name=study,
            directions=directions,
            storage=_storage(package, storage),
            pruner=pruner,
            load_if_exists=True,
        )
        before = len(opened.trials)
        # Another stream than the trials before had, which would propose the same again.
        opened.sampler = _sampler(package, sampler, seed + before)
        run = _Run(package, opened, objective, suggest, ledger, study, seed, data, code, catch)
        finished = [trial for trial in opened.trials if trial.state.is_finished()]
        with ProgressBar(trials, f"search of {study}", enabled=progress, unit="trials") as bar:
            bar.skip(min(len(finished), trials))
            for _ in range(trials - len(finished)):
                run.once()
                bar.advance(1)
    return TuningResult(opened, run.reused)


@dataclass
class _Run:
    """One trial after the other."""

    package: Any
    study: Any
    objective: TrialObjective
    suggest: Suggest
    ledger: Ledger | None
    name: str
    seed: int
    data: str
    code: str
    catch: tuple[type[Exception], ...]
    reused: int = 0

    def __post_init__(self) -> None:
        self.reports = "report" in _argument_names(self.objective)

    def once(self) -> None:
        """Ask for parameters, evaluate them, tell what came of it."""
        trial = self.study.ask()
        params = self.suggest(trial)
        known = self._known(params)
        if known is not None:
            self.reused += 1
            self.study.tell(trial, known)
            return
        start = time.perf_counter()
        states = self.package.trial.TrialState
        status, error, scores = "complete", "", [math.nan]
        figures: dict[str, float] = {}
        raised: BaseException | None = None
        try:
            found = self._call(trial, params)
            scores, figures = _scores(found, len(self.study.directions))
        except Pruned:
            status = "pruned"
        except BaseException as problem:  # recorded, and raised unless it is to be caught
            status, error, raised = "failed", f"{type(problem).__name__}: {problem}", problem
        if status == "complete" and all(map(math.isfinite, scores)):
            self.study.tell(trial, scores)
        else:
            state = states.PRUNED if status == "pruned" else states.FAIL
            self.study.tell(trial, state=state)
        if self.ledger is not None:
            more = {f"objective_{i}": value for i, value in enumerate(scores) if len(scores) > 1}
            self.ledger.record(
                Trial(
                    self.name,
                    params,
                    scores[0],
                    status,
                    {**figures, **more},
                    seed=self.seed,
                    data=self.data,
                    code=self.code,
                    error=error,
                    seconds=time.perf_counter() - start,
                )
            )
        if raised is not None and not isinstance(raised, self.catch):
            raise raised

    def _call(self, trial: Any, params: dict[str, Any]) -> Any:
        if not self.reports:
            return self.objective(**params)

        def report(value: float, step: int) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise Pruned

        return self.objective(**params, report=report)

    def _known(self, params: dict[str, Any]) -> list[float] | None:
        """The scores of these parameters in the ledger, where they are complete and finite."""
        if self.ledger is None:
            return None
        key = Trial(self.name, params, seed=self.seed, data=self.data, code=self.code).key
        found = self.ledger.known([key]).get(key)
        if found is None or found.status != "complete":
            return None
        count = len(self.study.directions)
        scores = [found.score]
        if count > 1:
            scores = [found.metrics.get(f"objective_{i}", math.nan) for i in range(count)]
        return scores if all(map(math.isfinite, scores)) else None


def _scores(found: Any, count: int) -> tuple[list[float], dict[str, float]]:
    """(scores, further figures) of what an objective returned."""
    figures: dict[str, Any] = {}
    if isinstance(found, Mapping):
        if "score" not in found:
            raise ArgumentError(f"the objective's figures need 'score': got {', '.join(found)}")
        figures = {name: value for name, value in found.items() if name != "score"}
        found = found["score"]
    several = isinstance(found, Sequence) and not isinstance(found, str)
    try:
        scores = [float(value) for value in (found if several else [found])]
        numbers = {name: float(value) for name, value in figures.items()}
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the objective must return numbers: got {found!r:.80}") from error
    if len(scores) != count:
        raise ArgumentError(f"the objective must return {count} scores: got {len(scores)}")
    return scores, numbers


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


def _sampler(package: Any, sampler: str | Any, seed: int) -> Any:
    if not isinstance(sampler, str):
        return sampler
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    return getattr(package.samplers, SAMPLERS[sampler])(seed=seed)


def _storage(package: Any, storage: str | os.PathLike[str] | None) -> Any:
    if storage is None or (isinstance(storage, str) and "://" in storage):
        return storage
    journal = importlib.import_module("optuna.storages.journal")
    path = str(Path(storage))
    # A process that was killed may leave its lock: it is held for milliseconds, so 5 s are enough.
    lock = journal.JournalFileSymlinkLock(path, grace_period=5)
    backend = journal.JournalFileBackend(path, lock_obj=lock)
    return package.storages.JournalStorage(backend)


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Without a line for every study; warnings are shown."""
    level = package.logging.get_verbosity()
    package.logging.set_verbosity(max(level, package.logging.WARNING))
    try:
        yield
    finally:
        package.logging.set_verbosity(level)
