"""`core.optimizer.runner`: a search as a YAML file describes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from marketsim.arguments import check_whole
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.genesis.atomic_files import write_json
from marketsim.legacy.genesis.optimizer.champion import (
    ChampionManager,
    candidate_of,
)
from marketsim.legacy.genesis.optimizer.file_checks import check_search_file
from marketsim.legacy.genesis.optimizer.results import save_results
from marketsim.legacy.genesis.optimizer.signatures import trial_key
from marketsim.legacy.genesis.optimizer.spaces import (
    as_bool,
    expand_parameters,
    load_search_config,
    sample_range,
    suggest_parameters,
)
from marketsim.legacy.genesis.optimizer.study import run_study
from marketsim.legacy.genesis.optimizer.summary import read_trial, results_folder
from marketsim.legacy.genesis.optimizer.trials import (
    Ground,
    TrialConfig,
    answered_trial,
    backtest_trial,
    failed_trial,
    ground_of,
    load_existing_trials,
    run_trial,
)
from marketsim.legacy.genesis.root import project_root
from marketsim.legacy.genesis.strategy.model_registry import read_json
from marketsim.legacy.genesis.variables import without_effect
from marketsim.processes import WorkerLostError, Workers, can_share_memory

__all__ = [
    "TrialConfig",
    "expand_parameters",
    "load_search_config",
    "run_optimizer",
    "run_trial",
]
Table = dict[str, Any]
OPTUNA_AVAILABLE = True
# Names that old code and tests reach for.
_trial_key = trial_key
_load_existing_trials = load_existing_trials
_suggest_parameters = suggest_parameters


class OptimizerStrategy:
    """How sets of parameters are chosen."""

    GRID = "grid"
    OPTUNA = "optuna"


def run_optimizer(config_path: str | Path, *, run_id: str | None = None) -> list[Table]:
    """Run a search; its files are under results/hparam_search/RUN_ID. Each trial's result.

    The best valid trial becomes the champion where it is better than the one there is. Its trades
    and equity are written under results; with meta.runs.save_results those of every trial.

    Raises:
        ArgumentError: the file asks for what cannot be.
        UnreadSettingError: strict, and nothing reads a setting of the file or a parameter.
    """
    config_path = Path(config_path)
    config = load_search_config(config_path)
    check_search_file(config)
    meta, parameters = config.get("meta") or {}, config.get("parameters") or {}
    for name, table in (("meta", meta), ("parameters", parameters)):
        if not isinstance(table, Mapping):
            raise ArgumentError(f"{name}: expected a table, got {table!r:.80}")
    runs = meta.get("runs") or {}
    best: Table | None = None
    strategy = str(runs.get("strategy") or OptimizerStrategy.GRID).lower()
    if strategy not in (OptimizerStrategy.GRID, OptimizerStrategy.OPTUNA):
        raise UnknownNameError("strategy", strategy, ("grid", "optuna"))
    run_id = run_id or f"run_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    if not run_id or Path(run_id).name != run_id:
        raise ArgumentError(f"run_id must be a name, not a path: got {run_id!r}")
    run_dir = (results_folder() / run_id).resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    run_meta = _run_meta(run_dir, config_path, meta, run_id)
    for line in without_effect():
        print(f"[NOTE] {line}")
    search = _Search(config, run_id, run_dir)
    limit = check_whole("meta.runs.max_trials", runs.get("max_trials") or 0, 0) or None
    concurrency = _concurrency(runs)
    if strategy == OptimizerStrategy.GRID:
        chosen = list(expand_parameters(parameters))[:limit]
        results = search.run_all(chosen, concurrency)
    else:
        results, study = run_study(
            runs.get("optuna") or {},
            parameters,
            search.run,
            run_dir=run_dir,
            run_id=run_id,
            max_trials=limit,
            concurrency=concurrency,
            resume=search.resume,
        )
        run_meta["optuna"] = study
        best = next((r for r in results if r["trial_id"] == study["best_trial_number"]), None)
        write_json(run_dir / "run_meta.json", run_meta)
    winner = _winner(results)
    wanted = [] if winner is None else [winner]
    save_results(
        results if as_bool(runs.get("save_results")) else wanted, search.trial({}), run_dir
    )
    if best is not None:
        write_json(run_dir / "best_trial.json", best)
    if winner is not None:
        _promote(winner, search, run_meta, config_path)
    return results


class _Search:
    """One search's trials."""

    def __init__(self, config: Mapping[str, Any], run_id: str, run_dir: Path) -> None:
        self.meta = config.get("meta") or {}
        self.constraints = config.get("constraints")
        self.run_id, self.run_dir = run_id, run_dir
        runs = self.meta.get("runs") or {}
        self.resume = bool(runs.get("resume", True))
        self.existing = load_existing_trials(run_dir) if self.resume else {}
        self.symbol = str(self.meta.get("symbol", "tBTCUSD"))
        self.timeframe = str(self.meta.get("timeframe", "1h"))
        self.dates: tuple[str | None, str | None] = (None, None)
        if as_bool(runs.get("use_sample_range")):
            self.dates = sample_range(self.meta.get("snapshot_id", ""), runs)
        self.ground: Ground = ground_of(self.trial({}))
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def trial(self, parameters: dict[str, Any]) -> TrialConfig:
        """What a set of parameters runs on."""
        return TrialConfig(
            snapshot_id=str(self.meta.get("snapshot_id", "")),
            symbol=self.symbol,
            timeframe=self.timeframe,
            warmup_bars=check_whole("meta.warmup_bars", self.meta.get("warmup_bars", 150), 0),
            parameters=parameters,
            start_date=self.dates[0],
            end_date=self.dates[1],
        )

    def run(self, index: int, parameters: dict[str, Any]) -> Table:
        """Run one."""
        return run_trial(
            self.trial(parameters),
            run_id=self.run_id,
            index=index,
            run_dir=self.run_dir,
            allow_resume=self.resume,
            existing_trials=self.existing,
            constraints_cfg=self.constraints,
            cache_enabled=True,
            seen_param_keys=self._seen,
            seen_param_lock=self._lock,
            ground=self.ground,
        )

    def run_all(self, chosen: list[dict[str, Any]], workers: int) -> list[Table]:
        """Run many, in order of their numbers whatever the workers.

        Several workers are processes that share bars and features, where the system can fork;
        elsewhere threads.
        """
        numbered = list(enumerate(chosen, start=1))
        if workers == 1:
            return [self.run(index, one) for index, one in numbered]
        if not can_share_memory():
            with ThreadPoolExecutor(workers) as pool:
                return list(pool.map(self.run, *zip(*numbered, strict=True)))
        found: dict[int, Table] = {}
        left = []
        for index, parameters in numbered:
            done = answered_trial(
                self.trial(parameters), index, self.run_dir, self.ground, self.existing,
                self._seen, None,
            )  # fmt: skip
            if done is None:
                left.append(index)
            else:
                found[index] = done
        if left:
            self._in_processes(left, chosen, workers, found)
        return [found[index] for index, _ in numbered]

    def _in_processes(
        self, left: list[int], chosen: list[dict[str, Any]], workers: int, found: dict[int, Table]
    ) -> None:
        """Backtest trials by their numbers, a few at a time; a lost process fails its own."""

        def backtest(numbers: list[int]) -> list[Table]:
            return [
                backtest_trial(
                    self.trial(chosen[index - 1]), index, self.ground, self.run_dir,
                    self.constraints, cached=True,
                )
                for index in numbers
            ]  # fmt: skip

        size = max(1, -(-len(left) // (4 * workers)))
        parts = [left[first : first + size] for first in range(0, len(left), size)]
        todo = iter(enumerate(parts))
        waiting = len(parts)
        with Workers(backtest, min(workers, waiting), reports=False) as pool:
            while waiting:
                while pool.idle and (part := next(todo, None)) is not None:
                    pool.start(part[0], {"numbers": part[1]})
                for place, outcome in pool.finished(lambda *_: False):
                    waiting -= 1
                    if outcome.raised is None:
                        found.update(zip(parts[place], outcome.found, strict=True))
                    elif isinstance(outcome.raised, WorkerLostError):
                        found.update(self._lost(parts[place], chosen, outcome.raised))
                    else:
                        raise outcome.raised

    def _lost(
        self, numbers: list[int], chosen: list[dict[str, Any]], error: BaseException
    ) -> dict[int, Table]:
        """Trials of a process that was killed: those that it had finished, and failed ones."""
        out = {}
        for index in numbers:
            base = {"trial_id": f"trial_{index:03d}", "parameters": chosen[index - 1]}
            path = self.run_dir / f"trial_{index:03d}.json"
            written = read_trial(path) if path.is_file() else None
            if written is not None and written.get("data") == self.ground.digest:
                del written["trial_file"]
                out[index] = written
            else:
                out[index] = failed_trial(base, self.run_dir, error, 0.0)
        return out


def _concurrency(runs: Mapping[str, Any]) -> int:
    text = os.environ.get("GENESIS_MAX_CONCURRENT")
    if text is None:
        return max(1, check_whole("meta.runs.max_concurrent", runs.get("max_concurrent", 1), 0))
    try:
        return max(1, int(text))
    except ValueError as error:
        raise ArgumentError(
            f"GENESIS_MAX_CONCURRENT: expected a whole number, got {text!r}"
        ) from error


def _run_meta(run_dir: Path, config_path: Path, meta: Mapping[str, Any], run_id: str) -> Table:
    path = run_dir / "run_meta.json"
    if path.is_file():
        return read_json(path)
    try:
        shown = config_path.resolve().relative_to(project_root())
    except ValueError:
        shown = config_path
    out: Table = {
        "run_id": run_id,
        "config_path": str(shown),
        "snapshot_id": meta.get("snapshot_id"),
        "symbol": meta.get("symbol"),
        "timeframe": meta.get("timeframe"),
        "started_at": datetime.now(UTC).isoformat(),
        "git_commit": git_commit(),
        "raw_meta": _with_texts(meta),
    }
    write_json(path, out)
    return out


def _with_texts(value: Any) -> Any:
    """The same with dates as text."""
    if isinstance(value, Mapping):
        return {key: _with_texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_texts(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def git_commit() -> str:
    """The project's commit, "unknown" where it has none."""
    git = shutil.which("git")
    if git is None or not (project_root() / ".git").exists():
        return "unknown"
    done = subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=project_root(), capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _winner(results: list[Table]) -> Table | None:
    """The valid trial with the highest score, the first of equals."""
    best: tuple[float, Table] | None = None
    for result in results:
        candidate = candidate_of(result)
        if candidate is not None and (best is None or candidate.score > best[0]):
            best = candidate.score, result
    return None if best is None else best[1]


def _promote(
    winner: Table, search: _Search, run_meta: Mapping[str, Any], config_path: Path
) -> None:
    best = candidate_of(winner)
    assert best is not None
    manager = ChampionManager()
    current = manager.load_current(search.symbol, search.timeframe)
    if not manager.should_replace(current, best):
        print(f"[Champion] {search.symbol} {search.timeframe}: the one there is stays")
        return
    manager.write_champion(
        symbol=search.symbol,
        timeframe=search.timeframe,
        candidate=best,
        run_id=search.run_id,
        git_commit=str(run_meta.get("git_commit", "unknown")),
        snapshot_id=str(run_meta.get("snapshot_id") or search.meta.get("snapshot_id", "")),
        run_meta={"run_dir": str(search.run_dir), "config_path": str(config_path)},
    )
    print(f"[Champion] {search.symbol} {search.timeframe}: {best.trial_id}, score {best.score:.4f}")
