"""Search by Optuna, with every trial in the ledger."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from marketsim.arguments import (
    check_function,
    check_name,
    check_one_of,
    check_path,
    check_whole,
    is_list,
    is_named,
    is_whole,
)
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.processes import Outcome, Pruned, WorkerLostError, Workers
from marketsim.progress import Progress, ProgressBar
from marketsim.search.effect import check_names, no_effect, without_effect
from marketsim.search.identity import filed_as, identity, is_known, warn_of_unknown
from marketsim.search.ledger import Ledger, LedgerLike, opened
from marketsim.search.objectives import best_direction
from marketsim.search.optuna_storage import check_identity, open_study
from marketsim.search.samplers import cell_of, named_pruner, named_sampler
from marketsim.search.spaces import Choice, Dimension, Int, as_space
from marketsim.search.trial import Known, Trial, canonical, trial_key

if TYPE_CHECKING:
    from marketsim.cluster import Cluster, TrialTasks

# Parameters to a score, to scores of several objectives, or to figures with "score" among them.
TrialObjective: TypeAlias = Callable[..., float | Sequence[float] | Mapping[str, Any]]
# Parameters of an Optuna trial: for spaces whose parameters depend on one another.
Suggest: TypeAlias = Callable[[Any], dict[str, Any]]
# Lowest and highest allowed value of a figure; None: no bound. A number is the highest.
Bound: TypeAlias = float | tuple[float | None, float | None]


MOST_EXCLUDED = 500  # proposals one after another that the conditions of a space exclude
_EXCLUDED = "excluded"  # of a trial: which condition it does not meet


@dataclass(frozen=True, repr=False)
class TuningResult:
    """Result of `optuna`.

    Attributes:
        study: Optuna's study, with all trials.
        reused: trials that the ledger answered.
        filed: what the trials' scores depend on besides their parameters: `trial_key` takes it.
        earlier: trials that the storage had before the search.
    """

    study: Any
    reused: int
    filed: Mapping[str, Any] = field(default_factory=dict)
    earlier: int = 0

    def __len__(self) -> int:
        return len(self._tried)

    def summary(self) -> str:
        """Trials by state and the best one, in words.

        How much of it is luck: `marketsim.search.best_result` with the ledger of the search.
        """
        states = [trial.state.name.lower() for trial in self._tried]
        counts = ", ".join(f"{states.count(name):,} {name}" for name in sorted(set(states)))
        lines = [f"{len(self):,} trials: {counts}; {self.reused:,} reused from the ledger"]
        if excluded := len(self.study.trials) - len(self):
            lines[0] += f"; {excluded:,} proposals excluded, which are no trials"
        if len(self.study.directions) > 1:
            lines += [f"pareto     {scores}   {params}" for params, scores in self.pareto]
        elif "complete" in states:
            lines.append(f"best       {self.best_params}   score {self.best_score:.6g}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"TuningResult({len(self):,} trials; print(result.summary()))"

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best trial with a finite score.

        Raises:
            ArgumentError: no trial has a score that counts, or there are several objectives
                (`pareto`).
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

    @property
    def _tried(self) -> list[Any]:
        """All trials but proposals that the conditions of the space exclude."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if _EXCLUDED not in trial.user_attrs]

    def _best(self) -> Any:
        if len(self.study.directions) > 1:
            raise ArgumentError("there are several objectives: read `pareto`")
        try:
            return self.study.best_trial
        except ValueError as error:
            names = [trial.state.name for trial in self._tried]
            complete = names.count("COMPLETE")
            why = (
                f"{complete:,} are complete, and none of them meets the constraints"
                if complete
                else f"{names.count('FAIL'):,} failed, or their scores are NaN or infinite; "
                f"{names.count('PRUNED'):,} were pruned"
            )
            raise ArgumentError(f"none of the {len(self):,} trials has a score: {why}") from error


def check_jobs(jobs: int, cluster: str | Cluster | None) -> int:
    """Return jobs; raises ArgumentError below 1, or above it with a cluster."""
    jobs = check_whole("jobs", jobs, 1)
    if cluster is not None and jobs > 1:
        raise ArgumentError(f"jobs and cluster exclude each other: got jobs={jobs} and a cluster")
    return jobs


def params_of(trial: Any) -> dict[str, Any]:
    """The parameters of a trial as the objective was given them."""
    return dict(trial.user_attrs.get("params", trial.params))


def optuna(
    objective: TrialObjective | Any,
    space: Mapping[str, Any] | Suggest,
    *,
    trials: int,
    jobs: int = 1,
    cluster: str | Cluster | None = None,
    sampler: str | Any = "tpe",
    pruner: str | Any = None,
    seed: int = 0,
    direction: str | Sequence[str] | None = None,
    constraints: Mapping[str, Bound] | None = None,
    storage: str | os.PathLike[str] | None = None,
    study: str = "optuna",
    ledger: LedgerLike | None = None,
    data: str | None = None,
    code: str | None = None,
    split: str = "",
    catch: tuple[type[Exception], ...] = (),
    without_effect: str = "refuse",
    progress: Progress = True,
) -> TuningResult:
    """Search a space with Optuna.

    The parameters are those of a plain Optuna loop with the same sampler, seed and version where
    there is one job. The sampler is told the result of a set that the ledger has, which is not
    computed again.

    Args:
        objective: `replay_objective`, `walk_forward_objective`, or a function of parameters by
            name, and of `report=` where it has an argument of that name: `report(value, step)`
            raises `Pruned` where the pruner ends the trial. It returns a score, scores of several
            objectives, or figures by name with "score" among them, and perhaps "net", the net
            returns [bar]. NaN and infinite scores count as failed.
        space: name to `Float`, `Int`, `Choice` or a list of values; or a function of an Optuna
            trial that returns the parameters, for those that depend on one another.
        trials: finished trials to have in the end, those in the storage included.
        jobs: processes that evaluate trials at the same time; see `marketsim.processes`.
        cluster: "auto", the address of a Ray head, or what `marketsim.cluster.connect` gave: each
            of the cluster's CPUs evaluates a trial instead of `jobs` processes. Sampler, storage
            and ledger stay here.
        sampler: "tpe", "cmaes", "gp", "grid", "nsga2", "qmc", "random", or a sampler of Optuna.
        pruner: "none", "median", "halving", "hyperband", or a pruner of Optuna; None: Optuna's own.
        seed: of the sampler.
        direction: "maximize" or "minimize", or one for each objective; None: by the metric,
            "minimize" for drawdown, cost, turnover and volatility.
        constraints: figure to the highest value that is allowed, or to (lowest, highest): a trial
            beyond one is never the best here, and samplers that can keep away from it. The ledger
            keeps its score: `Ledger.best` knows nothing of constraints.
        storage: a file for Optuna's journal, or a database URL: a search that was stopped
            continues, and several processes can search at the same time. The last trials that run
            at the same time may exceed `trials`.
        study: its name there and in the ledger.
        ledger: records every trial, failed and pruned ones too; a ledger, or the path of one.
        data, code, split: what the ledger's trials are filed under besides, and what the storage
            is checked by: fingerprints of bars and code, and the name of a split. None: what the
            objective says of itself, and a digest of its code with all that it uses; where no
            digest covers that, nothing is reused unless `code` states a version.
        catch: errors of the objective that fail a trial without ending the search; others are
            recorded and raised.
        without_effect: "refuse" parameters that change neither score nor figure; to know, sets are
            evaluated again with one parameter changed. Most parameters cost one evaluation; one
            that seems to have no effect is changed at up to 200 sets of the whole space: one that
            matters in 2 % of it or more is found in 95 of 100 searches, one that matters in less
            may be refused. These are recorded like any other trial. "keep": nothing of
            this.
        progress: draw a bar on a terminal.

    Raises:
        MissingDependencyError: optuna is not installed (the extra `search`).
        ArgumentError: an empty or contradictory space, no trial to do, a score that is no number, a
            parameter that the objective does not take; jobs above 1 with a cluster.
        ClusterError: as `marketsim.cluster.connect`.
        NoEffectError: a parameter changes nothing; `.result` holds what was found.
        UnknownNameError: another name of a sampler or pruner.
        StorageError: the storage is no journal of Optuna, another version wrote it, or its study
            is of other data, code, settings, metric, space or constraints.

    Example:
        >>> found = optuna(lambda x: -((x - 2) ** 2), {"x": list(range(5))}, trials=30,
        ...                sampler="random", progress=False)
        >>> found.best_params, found.best_score
        ({'x': 2}, 0.0)
    """
    package = _package()
    check_function("objective", getattr(objective, "one", objective), "lambda x: x * x")
    for name, text in (("study", study), ("split", split)):
        check_name(name, text)
    if storage is not None:
        check_path("storage", storage)
    caught = _caught(catch)
    if constraints is not None and not is_named(constraints):
        raise ArgumentError(f"constraints must be bounds by figure: got {constraints!r:.80}")
    dimensions = None if callable(space) else as_space(space)
    function: TrialObjective = getattr(objective, "one", objective)
    if dimensions is not None:
        check_names(function, dimensions)
    trials, jobs = check_whole("trials", trials, 1), check_jobs(jobs, cluster)
    if not is_whole(seed) or not 0 <= seed < 1 << 32:
        raise ArgumentError(
            f"seed must be a whole number from 0 to {(1 << 32) - 1:,}: got {seed!r}"
        )
    bounds = {name: _bounds(name, bound) for name, bound in (constraints or {}).items()}
    direction = best_direction(objective) if direction is None else direction
    directions = _directions(direction)
    check_one_of("without_effect", without_effect, ("refuse", "keep"))
    if len(directions) > 1 and "report" in _argument_names(function):
        raise ArgumentError(
            "trials of several objectives cannot be pruned: got an objective with an argument "
            "report; leave it out, or give a single direction"
        )
    identities = filed_as(objective, data, code)
    filed = {
        "seed": seed, "split": split, "direction": ",".join(directions), **identities
    }  # fmt: skip
    with _quiet(package), ExitStack() as stack:
        book = None if ledger is None else stack.enter_context(opened(ledger))
        if book is not None:
            warn_of_unknown(identities)
        stored = getattr(objective, "study_in_storage", study)
        found = open_study(package, storage, stored, directions, named_pruner(package, pruner))
        if storage is not None:
            conditions = getattr(objective, "conditions", "")
            tried = _text(space) + (f" where {conditions}" if conditions else "")
            more = {"split": split, "space": tried, "constraints": _bounds_text(bounds)}
            check_identity(found, storage, {**identities, **more})
        # Another stream than the trials before had, which would propose the same again.
        before = len(found.trials)

        def seeded(number: int) -> Any:
            more = 0 if str(sampler) == "grid" else number  # a grid has one order of cells
            return named_sampler(
                package, sampler, seed + more, dimensions, objectives=len(directions)
            )

        found.sampler = seeded(before)
        suggest = _suggestions(dimensions) if dimensions is not None else space
        assert callable(suggest)
        run = _Run(
            package, found, function, suggest, book, study, filed, caught, bounds,
            depends=dimensions is None, excludes=getattr(objective, "excludes", lambda params: ""),
            keeps_net=bool(getattr(objective, "keep_net", False)),
            compares=without_effect == "refuse" and dimensions is not None,
            first=before, seeded=seeded if storage is not None else None,
        )  # fmt: skip
        earlier = len(TuningResult(found, 0))
        run.go(trials, jobs, cluster, progress)
        result = TuningResult(found, run.reused, filed, earlier)
        if run.compares:
            assert dimensions is not None
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
    catch: tuple[type[BaseException], ...]
    bounds: Mapping[str, tuple[float | None, float | None]]
    depends: bool  # parameters on one another
    excludes: Callable[[Mapping[str, Any]], str]  # the condition that a set does not meet
    keeps_net: bool  # the ledger is to keep net returns
    compares: bool  # parameters without effect are looked for in the end
    first: int | None  # number of its first trial, as long as none was asked for
    seeded: Callable[[int], Any] | None  # its sampler; None where no other search can take part
    reused: int = 0

    def __post_init__(self) -> None:
        self.found: dict[str, tuple[float, ...] | None] = {}  # of sets, to compare
        self.recorded = set() if self.ledger is None else self.ledger.keys(self.name)
        self.answers = is_known(*(self.filed[name] for name in ("code", "settings", "metric")))
        self.reports = "report" in _argument_names(self.objective)
        self.count = len(self.study.directions)

    def go(self, trials: int, jobs: int, cluster: str | Cluster | None, progress: Progress) -> None:
        """Run trials until there are as many finished ones."""
        finished = self.finished()
        label = f"search of {self.name}"
        if jobs == 1 and cluster is None:
            with ProgressBar(trials, label, enabled=progress, unit="trials") as bar:
                bar.skip(min(finished, trials))
                while finished < trials:
                    asked = self.ask(0)
                    if asked is None:
                        break
                    if not self.answered(asked):
                        self.settle(asked, self.evaluate(asked))
                    bar.advance(1)
                    finished = self.now_finished(finished + 1)
            return
        # Processes first: a bar may have a thread, and threads do not survive a fork.
        with (
            self.workers(jobs, cluster) as workers,
            ProgressBar(trials, label, enabled=progress, unit="trials") as bar,
        ):
            bar.skip(min(finished, trials))
            self.go_in_processes(workers, finished, trials, bar)

    @contextmanager
    def workers(self, jobs: int, cluster: str | Cluster | None) -> Iterator[Workers | TrialTasks]:
        """Processes of this machine, or the tasks of a cluster."""
        if cluster is None:
            with Workers(self.objective, jobs, reports=self.reports) as workers:
                yield workers
            return
        from marketsim.cluster import TrialTasks, connected

        with (
            connected(cluster) as found,
            TrialTasks(found, self.objective, reports=self.reports) as tasks,
        ):
            yield tasks

    def now_finished(self, known: int) -> int:
        """Finished trials, those of other searches in the storage too; `known`: of this one."""
        return known if self.seeded is None else self.finished()

    def go_in_processes(
        self, workers: Workers | TrialTasks, finished: int, trials: int, bar: ProgressBar
    ) -> None:
        more = True
        running: dict[int, _Asked] = {}

        def prunes(number: int, value: float, step: int) -> bool:
            trial = running[number].trial
            trial.report(value, step)
            return bool(trial.should_prune())

        try:
            while (more and finished < trials) or running:
                while more and finished + len(running) < trials and workers.idle:
                    asked = self.ask(len(running))
                    if asked is None:
                        more = False
                        break
                    if self.answered(asked):
                        bar.advance(1)
                        finished = self.now_finished(finished + 1)
                        continue
                    running[asked.trial.number] = asked
                    workers.start(asked.trial.number, asked.params)
                for number, outcome in workers.finished(prunes) if running else []:
                    self.settle(running.pop(number), outcome)
                    bar.advance(1)
                    finished = self.now_finished(finished + 1)
        except BaseException:
            stopped = RuntimeError("stopped with the search")
            for asked in running.values():
                self.tell(asked, self.judged(Outcome(raised=stopped)))
            raise

    def finished(self) -> int:
        """Trials that have ended; of a grid the cells, without those that conditions exclude."""
        ended = [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished() and _EXCLUDED not in trial.user_attrs
        ]
        if not self.is_grid:
            return len(ended)
        return len({cell_of(trial) for trial in ended})

    @property
    def is_grid(self) -> bool:
        return isinstance(self.study.sampler, self.package.samplers.GridSampler)

    def ask(self, running: int) -> _Asked | None:
        """The next set that meets the conditions of the space; None where a grid has no other.

        Sets that do not meet them never run: they are no trials.
        """
        for _ in range(MOST_EXCLUDED):
            if self.is_grid:
                trials = self.study.get_trials(deepcopy=False)
                done = {cell_of(trial) for trial in trials if trial.state.is_finished()}
                if len(self.study.sampler._all_grids) - len(done) <= running:
                    return None
            trial = self.study.ask()
            params = self.suggested(trial)
            if self.taken(trial):
                continue
            if self.depends and params != trial.params:  # such a space may fix some
                trial.set_user_attr("params", params)
            condition = self.excludes(params)
            if not condition:
                return _Asked(trial, params, time.perf_counter())
            trial.set_user_attr(_EXCLUDED, condition)
            self.study.tell(trial, state=self.package.trial.TrialState.PRUNED)
        raise ArgumentError(
            f"none of {MOST_EXCLUDED} sets one after another meets the conditions, the last not "
            f"{condition!r}: conditions and ranges contradict each other, or leave so few sets "
            "that a grid is the way to them (the sampler grid)"
        )

    def suggested(self, trial: Any) -> dict[str, Any]:
        """The parameters of a trial; what a space that is a function raises fails the trial."""
        try:
            params = self.suggest(trial)
            if not isinstance(params, Mapping):
                raise ArgumentError(
                    "a space that is a function must return the parameters by name, a dict: got "
                    f"{params!r:.80}"
                )
            if self.depends:
                canonical(params)
        except BaseException:
            self.study.tell(trial, state=self.package.trial.TrialState.FAIL)
            raise
        return dict(params)

    def taken(self, trial: Any) -> bool:
        """Whether another search in the storage began with the same seed, and proposes the same.

        The number of its first trial, which no two searches share, gives this one another seed.
        """
        first, self.first = self.first, None
        if self.seeded is None or first is None or trial.number == first or self.is_grid:
            return False
        self.study.sampler = self.seeded(trial.number)
        trial.set_user_attr(_EXCLUDED, "proposed by another search too")
        self.study.tell(trial, state=self.package.trial.TrialState.FAIL)
        return True

    def answered(self, asked: _Asked) -> bool:
        """Whether the ledger has this set, complete and finite: then the sampler is told."""
        known = self.known(asked.params)
        if known is None:
            return False
        scores = self.scores_of(known)
        if not all(map(math.isfinite, scores)):
            return False
        self.constrain(asked.trial, known.metrics, known.score)
        self.study.tell(asked.trial, scores)
        self.reused += 1
        return True

    def known(self, params: Mapping[str, Any]) -> Known | None:
        if self.ledger is None or not self.answers:
            return None
        key = trial_key(self.name, params, **self.filed)
        if key not in self.recorded and self.seeded is None:  # else others record too
            return None
        found = self.ledger.known([key]).get(key)
        if found is None or found.status != "complete":
            return None
        # A record without net returns is no answer where the ledger is to keep them.
        return None if self.keeps_net and not found.has_net else found

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
        if told.status == "complete" and self.compares:
            self.found[canonical(asked.params)] = _telling(told.scores, told.figures)
        if told.status == "complete" and all(map(math.isfinite, told.scores)):
            self.constrain(asked.trial, told.figures, told.scores[0])
            self.study.tell(asked.trial, told.scores)
        else:
            state = states.PRUNED if told.status == "pruned" else states.FAIL
            self.study.tell(asked.trial, state=state)

    def constrain(self, trial: Any, figures: Mapping[str, float], score: float) -> None:
        figures = {**figures, "score": score} if self.bounds else {}
        for name, (low, high) in self.bounds.items():
            if name not in figures:
                raise ArgumentError(
                    f"constraint on {name!r}, which is no figure: expected "
                    f"{', '.join(sorted(figures))}"
                )
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
        self.ledger.record(trial, once=self.answers)
        self.recorded.add(trial.key)

    def refuse_without_effect(self, space: Mapping[str, Dimension], result: TuningResult) -> None:
        states = (self.package.trial.TrialState.COMPLETE,)
        complete = self.study.get_trials(deepcopy=False, states=states)
        sign = 1.0 if self.study.directions[0].name == "MAXIMIZE" else -1.0
        complete.sort(key=lambda trial: -sign * trial.values[0])
        tried = [dict(trial.params) for trial in complete if set(trial.params) == set(space)]

        def probe(params: dict[str, Any]) -> tuple[float, ...] | None:
            key = canonical(params)
            if key not in self.found:
                self.found[key] = self.everything(params)
            return self.found[key]

        if names := without_effect(space, tried, probe, self.excludes):
            raise no_effect(names, result)

    def everything(self, params: dict[str, Any]) -> tuple[float, ...] | None:
        """Scores and figures of a set, from the ledger where that has them; None: it failed."""
        if self.excludes(params):
            return None
        known = self.known(params)
        if known is not None:
            figures = {n: v for n, v in known.metrics.items() if not n.startswith("objective_")}
            return _telling(self.scores_of(known), figures)
        start = time.perf_counter()
        told = self.judged(self.call(params, lambda value, step: None))
        self.record(params, told, time.perf_counter() - start)
        if told.status != "complete":
            return None
        return _telling(told.scores, told.figures)


def _telling(scores: Sequence[float], figures: Mapping[str, float]) -> tuple[float, ...]:
    """Scores and figures as the ledger keeps them, where none is infinite."""
    found = (*scores, *(figures[name] for name in sorted(figures)))
    return tuple(value if math.isfinite(value) else math.nan for value in found)


def _directions(direction: object) -> list[str]:
    """One for each objective."""
    several: Any = direction if is_list(direction) and len(direction) else [direction]  # type: ignore[arg-type]
    return [check_one_of("direction", one, ("maximize", "minimize")) for one in several]


def _caught(errors: object) -> tuple[type[BaseException], ...]:
    """Errors that do not end a search, or a single one."""
    found = errors if isinstance(errors, tuple) else (errors,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in found):
        raise ArgumentError(f"catch must be errors such as (ValueError,): got {errors!r:.80}")
    return found


def _bounds(name: str, bound: Any) -> tuple[float | None, float | None]:
    """(lowest, highest) allowed value of a figure."""
    low, high = bound if isinstance(bound, tuple) and len(bound) == 2 else (None, bound)
    for value in (low, high):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and not math.isnan(value)):
            raise ArgumentError(
                f"constraint on {name!r} must be the highest allowed number, or (lowest, highest): "
                f"got {bound!r}"
            )
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        raise ArgumentError(f"constraint on {name!r} allows no or any value: got {bound!r}")
    return low, high


def _bounds_text(bounds: Mapping[str, tuple[float | None, float | None]]) -> str:
    """Constraints in order; a storage has the trials' excess over them, and over no others."""
    return ", ".join(f"{name} {low} to {high}" for name, (low, high) in sorted(bounds.items()))


def _scores(found: Any, count: int) -> tuple[list[float], dict[str, float], Any]:
    """(scores, further figures, net returns) of what an objective returned."""
    figures: dict[str, Any] = {}
    net = None
    if isinstance(found, Mapping):
        if "score" not in found:
            raise ArgumentError(f"the objective's figures need 'score': got {', '.join(found)}")
        figures = dict(found)
        found, net = figures.pop("score"), figures.pop("net", None)
    several = is_list(found) and not (isinstance(found, np.ndarray) and found.ndim == 0)
    try:
        if isinstance(found, str):
            raise TypeError
        scores = [float(value) for value in (found if several else [found])]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the objective must return numbers: got {found!r:.80}") from error
    numbers: dict[str, float] = {}
    for name, value in figures.items():
        try:
            numbers[name] = value if type(value) is float else float(value)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"the objective's figures must be numbers: {name!r} is {value!r:.80}"
            ) from error
    if len(scores) != count:
        raise ArgumentError(f"the objective must return {count} scores: got {len(scores)}")
    return scores, numbers, net


def _text(space: Mapping[str, Any] | Suggest) -> str:
    """A space in words, or the identity of the function that gives it."""
    return identity(space) if callable(space) else repr(dict(as_space(space)))


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
            "this search needs optuna, not installed: pip install '.[search]' in the checkout"
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
