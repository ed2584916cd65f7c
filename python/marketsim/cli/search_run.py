"""What `marketsim search FILE` does: a grid, a sampler or windows, and what came of it in words."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.arguments import check_whole
from marketsim.cli import search_ledger
from marketsim.cli.arguments import opened_store, read_source
from marketsim.cli.loading import load_object
from marketsim.cli.store_text import print_json
from marketsim.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.search import Ledger, SpaceFile, Trial


class _Job(NamedTuple):
    """What is to be searched."""

    bars: Bars
    objective: Any
    space: SpaceFile
    study: str
    compiled: bool  # thousands of sets in one call


def search(args: argparse.Namespace) -> int:
    """Search, or time what a search would take; returns the exit code."""
    from marketsim.search import Ledger, read_space

    if args.cluster is not None and args.sampler == "grid" and args.split == "none":
        raise ArgumentError(
            "--sampler grid evaluates all sets in one call of this machine: leave --cluster out, "
            "or choose another --sampler"
        )
    bars = read_source(args)
    space = read_space(args.space)
    objective = _objective(args, bars)
    study = args.study or f"{args.strategy.rpartition(':')[2]} {bars.symbol}"
    job = _Job(bars, objective, space, study, args.sampler == "grid" and not args.model)
    if args.dry_run:
        return _dry_run(args, job)
    with Ledger(args.ledger) as ledger:
        found = _split_search(args, job, ledger) if args.split != "none" else (
            _grid(args, job, ledger) if args.sampler == "grid" else _sampled(args, job, ledger)
        )  # fmt: skip
        found = {"study": study, "ledger": str(args.ledger), **found}
        if args.split == "none":
            trial = ledger.find(found.pop("key"))
        else:
            trial = _kept(ledger, study, found["last"])
        found |= search_ledger.evidence_facts(ledger, study, trial)
        if "trials_behind" in found:
            found["trials"] = found["trials_behind"]
    if args.json:
        found.pop("out_of_sample_figures", None)  # words
        print_json(found)
    else:
        print("\n".join(_lines(found)))
    return 0


def _objective(args: argparse.Namespace, bars: Bars) -> Any:
    from marketsim.search import replay_objective, walk_forward_objective

    # --split scores net returns itself, by the mean too.
    metric = _metric("sharpe" if args.split != "none" and args.metric == "mean" else args.metric)
    if args.model is None:
        rule = load_object(args.strategy) if ":" in args.strategy else args.strategy
        return replay_objective(
            bars, rule, metric=metric, fee_bps=args.fee_bps, slippage_bps=args.slippage_bps,
            fill=args.fill, keep_net=True,
        )  # fmt: skip
    from marketsim.walkforward import prepare

    if (args.slippage_bps, args.fill) != (0.0, "next_open"):
        raise ArgumentError("--slippage-bps and --fill are of replayed strategies, not of --model")
    simulations = args.simulations
    if simulations != "all":
        if not str(simulations).isdecimal():
            raise ArgumentError(
                f'--simulations must be a whole number or "all": got {simulations!r}'
            )
        simulations = int(simulations)
    prepared = prepare(
        bars, args.model, simulations=simulations, store=opened_store(args) or False,
        progress=not args.no_progress,
    )  # fmt: skip
    fee = {"fee": args.fee_bps * 1e-4} if args.fee_bps else {}
    return walk_forward_objective(
        prepared, load_object(args.strategy), metric, keep_net=True, **fee
    )


def _metric(name: str) -> Any:
    from marketsim.search import lower_bound, median_over_folds

    return {"median_over_folds": median_over_folds(), "lower_bound": lower_bound()}.get(name, name)


def _values(space: SpaceFile) -> dict[str, list[Any]]:
    from marketsim.search.spaces import values_of

    return {name: values_of(name, dimension) for name, dimension in space.space.items()}


def _evaluations(args: argparse.Namespace, job: _Job) -> int:
    """How many sets are evaluated at most."""
    count = args.trials
    if args.sampler == "grid":
        from marketsim.search import grid_sets

        count = len(next(iter(grid_sets(_values(job.space), job.space.where).values())))
    if args.split == "none":
        return int(count)
    windows = sum(1 for _ in _splitter(args).split(range(_bar_count(job))))
    return int(count if args.sampler == "grid" else count * windows)


def _bar_count(job: _Job) -> int:
    """Bars of a set's net returns."""
    prepared = getattr(job.objective, "prepared", None)
    return len(job.bars) if prepared is None else len(prepared.windows.days)


def _dry_run(args: argparse.Namespace, job: _Job) -> int:
    """Time some evaluations, and say what all of them cost."""
    from marketsim.search.grid_result import plain
    from marketsim.search.samplers import SAMPLERS
    from marketsim.search.space_file import Restricted

    if args.sampler not in SAMPLERS:
        raise UnknownNameError("sampler", args.sampler, SAMPLERS)
    check_whole("--trials", args.trials, 1)
    check_whole("--jobs", args.jobs, 1)
    count = _evaluations(args, job)
    most = 256 if job.compiled else 3
    sets = _some_sets(job, most)
    tried = len(next(iter(sets.values())))
    job.objective.keep_net = not job.compiled
    objective = Restricted(job.objective, job.space.conditions)
    objective.one(**{name: plain(values[0]) for name, values in sets.items()})  # reads, compiles
    start = time.perf_counter()
    job.objective(sets)
    each = (time.perf_counter() - start) / tried
    workers = 1 if job.compiled else min(args.jobs, count)
    seconds = count * each / workers
    facts = {
        "study": job.study, "evaluations": count, "seconds_each": each, "seconds": seconds,
        "jobs": workers,
    }  # fmt: skip
    if args.json:
        print_json(facts)
        return 0
    print(
        f"{count:,} evaluations of {_duration(each)} each, timed on {tried}: "
        f"{_duration(seconds)} in {workers} process{'es' if workers > 1 else ''}"
        f"{'' if args.cluster is None else ' of this machine (a cluster divides it by its CPUs)'}, "
        "without what the sampler takes; nothing was recorded"
    )
    return 0


def _some_sets(job: _Job, most: int) -> dict[str, Any]:
    """Up to `most` sets of the space."""
    import numpy as np

    from marketsim.search.spaces import random_set

    rng = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {name: [] for name in job.space.space}
    for _ in range(100 * most):
        one = random_set(job.space.space, rng)
        if all(condition.holds(one) for condition in job.space.conditions):
            for name, value in one.items():
                columns[name].append(value)
            if len(columns[name]) == most:
                break
    if not next(iter(columns.values())):
        raise ArgumentError(
            f"no set meets the conditions {', '.join(map(str, job.space.conditions))}: tried "
            f"{100 * most} at random"
        )
    return {name: np.array(values) for name, values in columns.items()}


def _grid(args: argparse.Namespace, job: _Job, ledger: Ledger) -> dict[str, Any]:
    from marketsim.search import grid

    found = grid(
        job.objective, _values(job.space), where=job.space.where if job.space.conditions else None,
        direction=args.direction, ledger=ledger, study=job.study, code=args.code,
        progress=not args.no_progress,
        without_effect="keep" if args.keep_without_effect else "refuse",
    )  # fmt: skip
    plateau = found.plateau()
    return {
        "evaluated": len(found) - found.reused, "reused": found.reused,
        "best": found.best_params, "score": float(found.scores[found.best]),
        "direction": found.direction,
        "key": found.trial_keys[found.best],
        "plateau": plateau.params, "plateau_score": plateau.score, "plateau_cells": plateau.cells,
    }  # fmt: skip


def _sampled(args: argparse.Namespace, job: _Job, ledger: Ledger) -> dict[str, Any]:
    from marketsim.search import optuna, trial_key
    from marketsim.search.objectives import best_direction
    from marketsim.search.space_file import Restricted

    found = optuna(
        Restricted(job.objective, job.space.conditions), job.space.space, trials=args.trials,
        jobs=args.jobs, cluster=args.cluster, sampler=args.sampler, seed=args.seed,
        direction=args.direction or best_direction(job.objective), storage=args.storage,
        study=job.study, ledger=ledger,
        code=args.code,
        without_effect="keep" if args.keep_without_effect else "refuse",
        progress=not args.no_progress,
    )  # fmt: skip
    return {
        "evaluated": len(found) - found.reused - found.earlier, "reused": found.reused,
        "earlier": found.earlier,
        "best": found.best_params, "score": found.best_score,
        "direction": found.filed["direction"],
        "key": trial_key(job.study, found.best_params, **found.filed),
    }  # fmt: skip


def _splitter(args: argparse.Namespace) -> Any:
    from marketsim.search import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

    if args.split == "combinatorial":
        return CombinatorialPurgedSplit(
            args.folds, args.test_folds, purge=args.purge, embargo=args.embargo
        )
    if args.split == "k-fold":
        return PurgedKFold(args.folds, purge=args.purge, embargo=args.embargo)
    return WalkForwardSplit(
        args.train, args.test, anchored=args.split == "anchored", purge=args.purge,
        embargo=args.embargo,
    )  # fmt: skip


def _split_search(args: argparse.Namespace, job: _Job, ledger: Ledger) -> dict[str, Any]:
    import numpy as np

    from marketsim.metrics import bands_dict, bands_frame, bands_lines, deflated_sharpe_ratio
    from marketsim.search import search_walk_forward
    from marketsim.search.grid_result import plain
    from marketsim.search.space_file import Restricted

    if args.direction == "minimize":
        raise ArgumentError("--split chooses the largest score: leave --direction out")
    statistics = {"sharpe": "sharpe", "mean": "mean"}
    statistic = statistics.get(args.metric, _metric(args.metric))
    if isinstance(statistic, str) and statistic not in statistics:
        raise ArgumentError(
            "--split scores the returns of training bars: --metric sharpe, mean, "
            f"median_over_folds or lower_bound, got {args.metric}"
        )
    found = search_walk_forward(
        Restricted(job.objective, job.space.conditions), job.space.space, _splitter(args),
        trials=args.trials if args.sampler != "grid" else _evaluations(args, job),
        statistic=statistic, sampler=args.sampler, jobs=args.jobs, cluster=args.cluster,
        seed=args.seed, study=job.study, storage=args.storage, ledger=ledger, code=args.code,
        without_effect="keep" if args.keep_without_effect else "refuse",
        progress=not args.no_progress,
    )  # fmt: skip
    windows, market = found.windows, job.bars.market
    bands = bands_frame(
        {"out_of_sample": found.net}, periods_per_year=market.periods_per_year,
        sessions_per_year=market.sessions_per_year,
    ).droplevel("strategy")  # fmt: skip
    skill = deflated_sharpe_ratio(found.net, trials=1, variance=0.0).probability
    return {
        "evaluated": int(windows.evaluations.sum()),
        "windows": windows.replace({np.nan: None}).to_dict("records"),
        "out_of_sample_return": float(np.prod(1.0 + found.net) - 1.0),
        "path_returns": (np.prod(1.0 + found.paths, axis=1) - 1.0).tolist(),
        "in_sample_return": float(np.prod(1.0 + found.in_sample_net) - 1.0),
        "in_sample_score": float(windows.in_sample.mean()),
        "out_of_sample_score": float(windows.out_of_sample.mean()),
        "out_of_sample_skill": search_ledger.finite(skill),
        "out_of_sample_bands": bands_dict(bands),
        "out_of_sample_figures": bands_lines(bands),
        "last": {name: plain(windows[f"param_{name}"].tolist()[-1]) for name in found.drift.index},
        "drift": found.drift.to_dict("index"),
    }


def _kept(ledger: Ledger, study: str, params: dict[str, Any]) -> Trial | None:
    """The newest trial of a set, whose returns the ledger has on all bars."""
    keys = [one.key for one in ledger.kept(study) if one.params == params]
    return ledger.find(keys[-1]) if keys else None


def _lines(found: dict[str, Any]) -> list[str]:
    """The result in words."""

    def text(params: dict[str, Any]) -> str:
        return " ".join(f"{name}={value}" for name, value in params.items())

    reused = f", {found['reused']:,} reused from the ledger" if found.get("reused") else ""
    earlier = f", {found['earlier']:,} in the storage before" if found.get("earlier") else ""
    lines = [f"{found['study']}: {found['evaluated']:,} sets evaluated{reused}{earlier}"]
    if "best" in found:
        least = ", the smallest" if found["direction"] == "minimize" else ""
        lines.append(f"best           {text(found['best'])}   score {found['score']:.6g}{least}")
    if "plateau" in found:
        lines.append(
            f"plateau        {text(found['plateau'])}   mean of {found['plateau_cells']} "
            f"neighbours {found['plateau_score']:.6g}"
        )
    if "windows" in found:
        lines += [
            f"windows        {len(found['windows'])}, score in sample "
            f"{found['in_sample_score']:.4g}, out of sample {found['out_of_sample_score']:.4g}",
            f"return         in sample {found['in_sample_return']:.2%}, out of sample "
            f"{found['out_of_sample_return']:.2%}" + _paths(found["path_returns"]),
            *(
                f"  test from bar {w['test_first']}: "
                + text({n[6:]: v for n, v in w.items() if n.startswith("param_")})
                + f"   {w['in_sample']:.4g} -> {_number(w['out_of_sample'])}"
                for w in found["windows"]
            ),
            "out of sample  the probability that its Sharpe ratio is above 0 is "
            f"{search_ledger.number(found['out_of_sample_skill'])}",
            *(f"  {line}" for line in found["out_of_sample_figures"]),
            f"chosen last    {text(found['last'])}",
        ]
    lines += search_ledger.evidence_lines(found)
    lines.append(f"ledger         {found['ledger']}")
    return lines


def _paths(returns: list[float]) -> str:
    """How far the paths of combinatorial splits lie apart."""
    if len(returns) == 1:
        return ""
    return f" ({len(returns)} paths, {min(returns):.2%} to {max(returns):.2%})"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
