"""marketsim search: parameters of a strategy, by grid or sampler, every trial in a ledger."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.cli import search_ledger
from marketsim.cli.arguments import (
    add_data_arguments,
    add_store_arguments,
    add_with_default,
    opened_store,
    read_source,
)
from marketsim.cli.loading import load_object
from marketsim.cli.parser import Source
from marketsim.cli.store_text import print_json
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.search import Ledger, SpaceFile

SPLITS = {
    "none": "score on all bars",
    "walk-forward": "--train bars before each test of --test bars",
    "anchored": "all bars before each test of --test bars",
    "k-fold": "each of --folds as the test once",
    "combinatorial": "every choice of --test-folds of --folds as the test",
}

_EXAMPLES = """the space, YAML or JSON (data alone: nothing in it is run):
  fast: {int: [5, 50], step: 5}
  slow: [60, 90, 120, 200]
  level: {float: [0.001, 0.1], log: true}
  where: ["fast < slow"]

examples:
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml --sampler grid --fee-bps 10
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml --trials 500 --jobs 2 --dry-run
  marketsim search AAPL.csv --strategy mine.py:signals --space space.yaml --sampler tpe \\
      --trials 500 --jobs 2 --split walk-forward --train 1000 --test 250
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml --sampler grid \\
      --split combinatorial --folds 6 --test-folds 2 --purge 20 --embargo 5
  marketsim search AAPL.csv --strategy mine.py:MyStrategy --model ewma --space space.yaml
  marketsim search list                            the searches of a ledger
  marketsim search best sma_cross --count 5        and: summary, compare, heatmap, export, promote

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""


def with_command(arguments: Sequence[str]) -> list[str]:
    """`search FILE ...` as `search run FILE ...`: the command that has no name of its own."""
    found = list(arguments)
    if found[:1] != ["search"] or found[1:2] == []:
        return found
    commands = ("run", *search_ledger.COMMANDS, "-h", "--help", "--debug")
    return found if found[1] in commands else ["search", "run", *found[1:]]


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command, its search and what reads its ledger."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "search",
        help="search for parameters; every trial is counted",
        description=(
            "Searches parameters of a strategy, records every trial in a ledger, and says how "
            "much of the best result is luck."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="FILE|COMMAND", required=True)
    run = below.add_parser(
        "run", help="search (the word may be left out: marketsim search FILE ...)",
        description="Searches parameters of a strategy.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _add_arguments(run)
    run.set_defaults(perform=_run)
    search_ledger.add_parsers(below)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    return int(args.perform(args))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", action=Source, metavar="FILE|demo", help="CSV or Parquet file, or demo"
    )
    what = parser.add_argument_group("the strategy")
    what.add_argument(
        "--strategy", required=True, metavar="NAME",
        help="sma_cross, rsi_reversion, donchian_breakout, or module:function(bars, **params) -> "
        "(entries, exits); with --model a class that takes the parameters",
    )  # fmt: skip
    what.add_argument("--model", metavar="NAME", help="search a strategy on this model's forecasts")
    add_with_default(what, "--simulations", "with --model, as-of dates", "all", metavar="N|all")
    add_with_default(what, "--fee-bps", "fee of a fill", 0.0, type=float, metavar="X")
    add_with_default(
        what, "--slippage-bps", "half spread of a market fill", 0.0, type=float, metavar="X"
    )
    add_with_default(
        what, "--fill", "market orders fill at", "next_open", choices=("next_open", "same_close")
    )
    how = parser.add_argument_group("the search")
    how.add_argument("--space", required=True, type=Path, metavar="PATH", help="YAML or JSON")
    add_with_default(
        how, "--metric",
        "the score: total_return, sharpe, ..., or median_over_folds, lower_bound of the Sharpe "
        "ratio, which luck does not win", "sharpe", metavar="NAME",
    )  # fmt: skip
    add_with_default(how, "--direction", "the best", "maximize", choices=("maximize", "minimize"))
    add_with_default(
        how, "--sampler", "grid, tpe, cmaes, gp, nsga2, qmc or random", "tpe", metavar="NAME"
    )
    add_with_default(how, "--pruner", "none, median, halving or hyperband", "none", metavar="NAME")
    add_with_default(
        how, "--trials", "of a sampler; of each window of a split", 100, type=int, metavar="N"
    )
    add_with_default(how, "--jobs", "processes that run trials", 1, type=int, metavar="N")
    add_with_default(how, "--seed", "of the sampler", 0, type=int, metavar="N")
    add_with_default(
        how, "--split",
        "choose on training bars alone and hold the best in the test: "
        + "; ".join(f"{name}: {what}" for name, what in SPLITS.items()), "none",
        choices=tuple(SPLITS),
    )  # fmt: skip
    add_with_default(how, "--train", "bars of a training window", 1000, type=int, metavar="BARS")
    add_with_default(how, "--test", "bars of a test window", 250, type=int, metavar="BARS")
    add_with_default(how, "--folds", "of k-fold and combinatorial", 5, type=int, metavar="N")
    add_with_default(how, "--test-folds", "of combinatorial", 2, type=int, metavar="N")
    add_with_default(how, "--purge", "bars left out beside a test", 0, type=int, metavar="BARS")
    add_with_default(how, "--embargo", "more of them after it", 0, type=int, metavar="BARS")
    how.add_argument(
        "--storage", metavar="PATH|URL",
        help="Optuna's journal or database: a search that was stopped goes on",
    )  # fmt: skip
    how.add_argument("--study", metavar="NAME", help="its name (default: strategy and symbol)")
    how.add_argument(
        "--code", metavar="TEXT",
        help="version of the strategy: the ledger answers what has the same (default: a digest of "
        "its code and all that it uses)",
    )  # fmt: skip
    how.add_argument(
        "--keep-without-effect", action="store_true",
        help="do not refuse parameters that change nothing",
    )  # fmt: skip
    how.add_argument(
        "--dry-run", action="store_true", help="say how many evaluations, and how long they take"
    )
    search_ledger.add_ledger(how)
    add_data_arguments(parser.add_argument_group("the data"))
    add_store_arguments(parser.add_argument_group("the store of forecasts, with --model"))
    output = parser.add_argument_group("the output")
    output.add_argument("--no-progress", action="store_true", help="draw no bar")
    output.add_argument("--json", action="store_true", help="print JSON instead of text")


class _Job(NamedTuple):
    """What is to be searched."""

    bars: Bars
    objective: Any
    space: SpaceFile
    study: str
    compiled: bool  # thousands of sets in one call


def _run(args: argparse.Namespace) -> int:
    from marketsim.search import Ledger, read_space

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
            found |= search_ledger.evidence_facts(ledger, study, trial)
            if "trials_behind" in found:
                found["trials"] = found["trials_behind"]
    if args.json:
        print_json(found)
    else:
        print("\n".join(_lines(found)))
    return 0


def _objective(args: argparse.Namespace, bars: Bars) -> Any:
    from marketsim.search import replay_objective, walk_forward_objective

    metric = _metric(args.metric)
    if args.model is None:
        rule = load_object(args.strategy) if ":" in args.strategy else args.strategy
        return replay_objective(
            bars, rule, metric=metric, fee_bps=args.fee_bps, slippage_bps=args.slippage_bps,
            fill=args.fill, keep_net=True,
        )  # fmt: skip
    from marketsim.walkforward import prepare

    if (args.slippage_bps, args.fill) != (0.0, "next_open"):
        raise ArgumentError("--slippage-bps and --fill are of replayed strategies, not of --model")
    simulations = args.simulations if args.simulations == "all" else int(args.simulations)
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
    from marketsim.search.space_file import Restricted

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
        f"{_duration(seconds)} in {workers} process{'es' if workers > 1 else ''}, "
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
        "key": found.trial_keys[found.best],
        "plateau": plateau.params, "plateau_score": plateau.score, "plateau_cells": plateau.cells,
    }  # fmt: skip


def _sampled(args: argparse.Namespace, job: _Job, ledger: Ledger) -> dict[str, Any]:
    from marketsim.search import optuna, trial_key
    from marketsim.search.space_file import Restricted

    found = optuna(
        Restricted(job.objective, job.space.conditions), job.space.space, trials=args.trials,
        jobs=args.jobs, sampler=args.sampler, pruner=args.pruner, seed=args.seed,
        direction=args.direction, storage=args.storage, study=job.study, ledger=ledger,
        code=args.code,
        without_effect="keep" if args.keep_without_effect else "refuse",
        progress=not args.no_progress,
    )  # fmt: skip
    return {
        "evaluated": len(found) - found.reused, "reused": found.reused,
        "best": found.best_params, "score": found.best_score,
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

    from marketsim.search import search_walk_forward
    from marketsim.search.space_file import Restricted

    if args.direction != "maximize":
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
        statistic=statistic, sampler=args.sampler, jobs=args.jobs, seed=args.seed, study=job.study,
        storage=args.storage, ledger=ledger, code=args.code,
        without_effect="keep" if args.keep_without_effect else "refuse",
        progress=not args.no_progress,
    )  # fmt: skip
    windows = found.windows
    return {
        "evaluated": int(windows.evaluations.sum()),
        "windows": windows.replace({np.nan: None}).to_dict("records"),
        "out_of_sample_return": float(np.prod(1.0 + found.net) - 1.0),
        "path_returns": (np.prod(1.0 + found.paths, axis=1) - 1.0).tolist(),
        "in_sample_return": float(np.prod(1.0 + found.in_sample_net) - 1.0),
        "in_sample_score": float(windows.in_sample.mean()),
        "out_of_sample_score": float(windows.out_of_sample.mean()),
        "drift": found.drift.to_dict("index"),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    """The result in words."""

    def text(params: dict[str, Any]) -> str:
        return " ".join(f"{name}={value}" for name, value in params.items())

    reused = f", {found['reused']:,} answered by the ledger" if found.get("reused") else ""
    lines = [f"{found['study']}: {found['evaluated']:,} sets evaluated{reused}"]
    if "best" in found:
        lines.append(f"best           {text(found['best'])}   score {found['score']:.6g}")
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
