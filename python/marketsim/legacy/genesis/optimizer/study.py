"""The Optuna side of the old search: one study, one process, one backtest a set of parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketsim.errors import ArgumentError, MissingDependencyError, UnknownNameError
from marketsim.legacy.genesis.optimizer.signatures import (
    NoDupeGuard,
    param_signature,
    trial_key,
)
from marketsim.legacy.genesis.optimizer.spaces import space_size, suggest_parameters

Table = dict[str, Any]
DUPLICATE, CONSTRAINED = -1e6, 1e3
MakeTrial = Callable[[int, dict[str, Any]], Table]


@dataclass
class Counts:
    """What happened in a study."""

    attempted: int = 0
    duplicates: int = 0
    zero_trades: int = 0
    streak: int = 0
    signatures: list[str] = field(default_factory=list)


def optuna_module() -> Any:
    """Optuna.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "strategy: optuna needs Optuna: pip install '.[search]' in the checkout"
        ) from error
    return optuna


def sampler_of(config: Any, concurrency: int = 1) -> Any:
    """Tpe (with the old defaults), random or cmaes."""
    optuna = optuna_module()
    name, options = _named(config, "sampler", "tpe")
    if name == "tpe":
        defaults = {
            "multivariate": True,
            "constant_liar": True,
            "n_startup_trials": max(25, 5 * concurrency),
            "n_ei_candidates": 48,
        }
        return _made("sampler", optuna.samplers.TPESampler, {**defaults, **options})
    kinds = {"random": optuna.samplers.RandomSampler, "cmaes": optuna.samplers.CmaEsSampler}
    if name not in kinds:
        raise UnknownNameError("sampler", name, ("tpe", *kinds))
    return _made("sampler", kinds[name], options)


def pruner_of(config: Any) -> Any:
    """median, sha, hyperband or none. No trial reports, so none prunes."""
    pruners = optuna_module().pruners
    name, options = _named(config, "pruner", "median")
    if name == "none":
        return pruners.NopPruner()
    kinds = {
        "median": pruners.MedianPruner,
        "sha": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    if name not in kinds:
        raise UnknownNameError("pruner", name, (*kinds, "none"))
    return _made("pruner", kinds[name], options)


def _made(part: str, kind: Any, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except TypeError as error:
        raise ArgumentError(f"meta.runs.optuna.{part}.kwargs: {error}") from error


def _named(config: Any, key: str, default: str) -> tuple[str, Table]:
    if config is None or isinstance(config, str):
        return (config or default).lower(), {}
    given = dict(config)
    name = given.get("name") or given.get("type") or given.get(key) or given.get("kind")
    return str(name or default).lower(), dict(given.get("kwargs") or {})


def run_study(
    config: Mapping[str, Any],
    spec: Mapping[str, Any],
    make_trial: MakeTrial,
    *,
    run_dir: Path,
    run_id: str,
    max_trials: int | None,
    concurrency: int,
    resume: bool,
) -> tuple[list[Table], Table]:
    """Every trial's result, and the study's meta.

    Raises:
        ArgumentError: neither a number of trials nor a time limit is given, or
            OPTUNA_MAX_DUPLICATE_STREAK is no number.
        UnknownNameError: an unknown direction, sampler or pruner.
    """
    timeout = config.get("timeout_seconds")
    if max_trials is None and timeout is None:
        raise ArgumentError(
            "max_trials and timeout_seconds are both missing: the search would never end"
        )
    storage = config.get("storage") or os.environ.get("OPTUNA_STORAGE")
    name = config.get("study_name") or os.environ.get("OPTUNA_STUDY_NAME") or f"optimizer_{run_id}"
    direction = str(config.get("direction") or "maximize")
    if direction not in ("maximize", "minimize"):
        raise UnknownNameError("direction", direction, ("maximize", "minimize"))
    for issue in space_size(spec)["potential_issues"]:
        print(f"[Optuna] {issue}")
    results: list[Table] = []
    counts, left = Counts(), max_trials
    objective = _objective(spec, make_trial, results, counts)
    bootstrap = int(config.get("bootstrap_random_trials") or 0)
    bootstrap = bootstrap if left is None else min(bootstrap, left)

    def study_with(sampler: Any, load: bool) -> Any:
        return optuna_module().create_study(
            study_name=name,
            storage=_storage(storage, config),
            sampler=sampler,
            pruner=pruner_of(config.get("pruner")),
            direction=direction,
            load_if_exists=load,
        )

    study = None
    if bootstrap:
        options = {"seed": config.get("bootstrap_seed")}
        study = study_with(sampler_of({"name": "random", "kwargs": options}), True)
        study.optimize(objective, n_trials=bootstrap)
        left = None if left is None else left - bootstrap
    if left is None or left > 0:
        main = sampler_of(config.get("sampler"), concurrency)
        if study is None or storage:
            study = study_with(main, resume or bootstrap > 0)
        else:
            study.sampler = main
        study.optimize(objective, n_trials=left, timeout=timeout, n_jobs=concurrency)
    if config.get("dedup_guard_enabled", True):
        NoDupeGuard(str(run_dir / "_dedup.db")).add_batch(counts.signatures)
    return results, _meta(study, storage, direction, counts)


def _storage(storage: Any, config: Mapping[str, Any]) -> Any:
    interval = config.get("heartbeat_interval")
    if not storage or not interval:
        return storage
    grace = config.get("heartbeat_grace_period")
    return optuna_module().storages.RDBStorage(
        storage,
        heartbeat_interval=int(interval),
        grace_period=None if grace is None else int(grace),
    )


def _objective(
    spec: Mapping[str, Any], make_trial: MakeTrial, results: list[Table], counts: Counts
) -> Callable[[Any], float]:
    """The value of a trial: its score; less where constraints fail, least for a duplicate."""
    optuna = optuna_module()
    text = os.environ.get("OPTUNA_MAX_DUPLICATE_STREAK", "10")
    try:
        limit = int(text)
    except ValueError as error:
        raise ArgumentError(
            f"OPTUNA_MAX_DUPLICATE_STREAK: expected a whole number, got {text!r}"
        ) from error
    seen: dict[str, str] = {}

    def objective(trial: Any) -> float:
        counts.attempted += 1
        parameters = suggest_parameters(trial, spec)
        trial_id = f"trial_{trial.number + 1:03d}"
        key = trial_key(parameters)
        if seen.setdefault(key, trial_id) != trial_id:
            payload: Table = {
                "trial_id": trial_id,
                "parameters": parameters,
                "skipped": True,
                "reason": "duplicate_within_run",
            }
        else:
            counts.signatures.append(param_signature(parameters))
            payload = make_trial(trial.number + 1, parameters)
        results.append(payload)
        if payload.get("reason") == "duplicate_within_run":
            counts.duplicates += 1
            counts.streak += 1
            trial.set_user_attr("duplicate", True)
            if counts.streak >= limit:
                print(f"[Optuna] {counts.streak} duplicates one after the other: the search ends")
                trial.study.stop()
            return DUPLICATE
        if payload.get("error"):
            trial.set_user_attr("error", payload["error"])
            raise optuna.TrialPruned
        return _value(trial, payload, counts)

    return objective


def _value(trial: Any, payload: Table, counts: Counts) -> float:
    score = payload.get("score") or {}
    value = float(score.get("score", -math.inf))
    if payload.get("reason") == "zero_trade_preflight":
        counts.zero_trades += 1
        counts.streak = 0
        return value
    if not math.isfinite(value):
        trial.set_user_attr("error", f"score {value}")
        raise optuna_module().TrialPruned
    if int((score.get("metrics") or {}).get("num_trades", 0)):
        counts.streak = 0
    else:
        counts.zero_trades += 1
    trial.set_user_attr("trial_id", payload.get("trial_id"))
    if not (payload.get("constraints") or {}).get("ok", True):
        return value - CONSTRAINED
    trial.set_user_attr("valid", True)
    return value


def _meta(study: Any, storage: Any, direction: str, counts: Counts) -> Table:
    try:
        best = study.best_trial
    except ValueError:  # no trial has a value
        best = None
    valid = best is not None and best.user_attrs.get("valid")
    attempted = max(1, counts.attempted)
    return {
        "study_name": study.study_name,
        "storage": storage,
        "direction": direction,
        "n_trials": len(study.trials),
        "best_value": None if best is None else float(best.value),
        "best_trial_number": best.user_attrs.get("trial_id") if valid else None,
        "diagnostics": {
            "total_trials_attempted": counts.attempted,
            "duplicate_count": counts.duplicates,
            "zero_trade_count": counts.zero_trades,
            "duplicate_ratio": counts.duplicates / attempted,
            "zero_trade_ratio": counts.zero_trades / attempted,
        },
    }
