"""`scripts/optimizer.py`: the trials of a run, the best first.

marketsim genesis optimizer summarize RUN --top 5
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from marketsim.errors import FileFormatError, StoreNotFoundError
from marketsim.legacy.genesis.quirks import current_quirks
from marketsim.legacy.genesis.root import project_root
from marketsim.legacy.genesis.variables import without_effect

Trial: TypeAlias = dict[str, Any]
RESULTS_DIR: Path | None = None  # None: results/hparam_search of the project
_CONFIG, _META = "_config.json", "run_meta.json"
State: TypeAlias = tuple[str, int, int, int]  # name, ns, bytes, number
_Read: TypeAlias = tuple[Trial | None, Trial | None]  # a trial, and in short where it is valid
_kept: dict[Path, _Kept] = {}
_ROOM = 8
_SETTLED = 50_000_000  # ns: system clocks of files advance in steps of up to 10 ms


def results_folder() -> Path:
    """Where runs are kept."""
    return RESULTS_DIR or project_root() / "results" / "hparam_search"


def summarize_run(run_id: str, use_cache: bool = True) -> dict[str, Any]:
    """Counts, valid trials by score, and every trial of a run.

    A trial is valid that is not skipped, has no error, satisfies the constraints, has no hard
    failure, and a finite score. The cache is keyed by the state of every file, so it is never
    stale; what is returned is the caller's own.

    Raises:
        StoreNotFoundError: there is no such run (a FileNotFoundError).
        FileFormatError: its run_meta.json is no JSON (a ValueError).
    """
    folder = (results_folder() / run_id).resolve()
    if not folder.is_dir():
        raise StoreNotFoundError(f"Run directory not found: {folder}")
    states = _states(folder)
    found = _kept.get(folder) if use_cache else None
    recent = time.time_ns() - _SETTLED  # a later edit can leave the time of such a file as it is
    if found is not None and found.states == states:
        return _Copy(found.summary)
    read = {} if found is None else found.trials
    trials = {
        state: read.get(state) or _read(folder, state) for state in states if state[0] != _META
    }
    made = _summarize(folder, list(trials.values()))
    if not use_cache:
        return made
    if len(_kept) >= _ROOM and folder not in _kept:
        _kept.pop(next(iter(_kept)))
    settled = all(state[1] < recent for state in states)
    _kept[folder] = _Kept(
        states if settled else None,
        made,
        trials if settled else {s: trial for s, trial in trials.items() if s[1] < recent},
    )
    return _Copy(made)


class _Kept(NamedTuple):
    """Summary of a run, and what was read for it."""

    states: tuple[State, ...] | None  # of all files; None where a later edit may leave them so
    summary: dict[str, Any]
    trials: dict[State, _Read]  # of the files that no edit leaves so


class _Copy(dict[str, Any]):
    """A dictionary that copies a part of the summary when it is first looked at."""

    def __init__(self, source: dict[str, Any]) -> None:
        super().__init__(source)
        self._shared = {"meta", "counts", "best_trial", "valid_trials", "trials"}

    def __getitem__(self, key: str) -> Any:
        self._own(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """A part, the default where there is none."""
        self._own(key)
        return super().get(key, default)

    def _own(self, key: str) -> None:
        if key in self._shared:
            self._shared.discard(key)
            super().__setitem__(key, _copied(super().__getitem__(key)))

    def _own_all(self) -> None:
        for key in tuple(self._shared):
            self._own(key)

    def items(self) -> Any:
        """Every part."""
        self._own_all()
        return super().items()

    def values(self) -> Any:
        """Every part."""
        self._own_all()
        return super().values()

    def __iter__(self) -> Iterator[str]:
        self._own_all()  # dict(summary) copies by way of this
        return super().__iter__()

    def copy(self) -> dict[str, Any]:
        """A plain dictionary."""
        return dict(self.items())

    def pop(self, key: str, *default: Any) -> Any:
        """Take a part out."""
        self._own(key)
        self._shared.discard(key)
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """Take the last part out."""
        self._own_all()
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """A part, after adding it where there is none."""
        self._own(key)
        return super().setdefault(key, default)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return dict(other) | self.copy()

    def __reduce__(self) -> Any:
        return dict, (self.copy(),)

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(dict(self.items()))


def _copied(value: Any) -> Any:
    """A copy of what JSON holds, in a third of a deepcopy's time."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _states(folder: Path) -> tuple[State, ...]:
    """States of the trial files by name, and that of the run's own."""
    count_all = current_quirks().count_config_files
    states: list[State] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("trial_"):
                if not name.endswith(".json") or (name.endswith(_CONFIG) and not count_all):
                    continue
            elif name != _META:
                continue
            found = entry.stat()
            states.append((name, found.st_mtime_ns, found.st_size, found.st_ino))
    return tuple(sorted(states))


def _read(folder: Path, state: State) -> _Read:
    """A trial, and the same in short where it is valid."""
    trial = read_trial(f"{folder}{os.sep}{state[0]}")
    return trial, None if trial is None else valid_entry(trial)


def _summarize(folder: Path, found: Sequence[_Read]) -> dict[str, Any]:
    meta_path = folder / _META
    meta: dict[str, Any] = {}
    if meta_path.is_file():
        try:
            meta = json.loads(meta_path.read_bytes())
        except ValueError as error:
            raise FileFormatError(f"Invalid JSON in {meta_path}: {error}") from error
    trials = [trial for trial, _ in found if trial is not None]
    valid = [entry for _, entry in found if entry is not None]
    valid.sort(key=lambda entry: entry["score"], reverse=True)
    skipped = sum(bool(trial.get("skipped")) for trial in trials)
    failed = sum(not trial.get("skipped") and bool(trial.get("error")) for trial in trials)
    return {
        "meta": meta,
        "run_dir": str(folder),
        "counts": {
            "total": len(trials),
            "skipped": skipped,
            "failed": failed,
            "completed": len(trials) - skipped,
            "valid": len(valid),
        },
        "best_trial": valid[0] if valid else None,
        "valid_trials": valid,
        "trials": trials,
        "_cache_mtime": folder.stat().st_mtime,
    }


def read_trial(path: Path | str) -> Trial | None:
    """A trial's file; None where it holds no object."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs more than the read
            trial = json.loads(file.read().decode())  # of bytes it would look for the encoding
    except (ValueError, OSError):
        return None
    if not isinstance(trial, dict):
        return None
    trial["trial_file"] = os.path.basename(path)  # noqa: PTH119 - as above
    for key, kind in (("duration_seconds", float), ("attempts", int)):
        if trial.get(key) is None:
            continue
        try:
            trial[key] = kind(trial[key])
        except (TypeError, ValueError):
            del trial[key]
    return trial


def valid_entry(trial: Trial) -> Trial | None:
    """A valid trial in short; None for others."""
    score, constraints = trial.get("score") or {}, trial.get("constraints") or {}
    if trial.get("skipped") or trial.get("error") or not isinstance(score, Mapping):
        return None
    if score.get("hard_failures") or not constraints.get("ok"):
        return None
    try:
        value = float(score.get("score"))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not math.isfinite(value):
        return None
    return {
        "trial_id": trial.get("trial_id"),
        "trial_file": trial.get("trial_file"),
        "results_path": trial.get("results_path"),
        "score": value,
        "metrics": dict(score.get("metrics") or {}),
        "parameters": trial.get("parameters") or {},
        "duration_seconds": trial.get("duration_seconds"),
        "attempts": trial.get("attempts"),
        "raw": trial,
    }


def invalid_scores(summary: Mapping[str, Any]) -> list[str]:
    """Trials whose score is not finite: they never win."""
    out = []
    for trial in summary["trials"]:
        score = trial.get("score")
        value = score.get("score") if isinstance(score, Mapping) else None
        if isinstance(value, float) and not math.isfinite(value):
            out.append(f"{trial.get('trial_id')}: score {value}")
    return out


def _print_summary(data: Mapping[str, Any], *, top_n: int) -> None:
    """Print the old table."""
    counts, valid = data.get("counts") or {}, data.get("valid_trials") or []
    trials, meta = data.get("trials") or [], data.get("meta") or {}
    total = 0.0
    for trial in trials:
        total += float(trial.get("duration_seconds") or 0.0)
    done = [x for x in trials if not x.get("skipped") and x.get("duration_seconds")]
    print("== Optimizer Summary ==")
    print(f"Run dir: {data.get('run_dir')}")
    if meta:
        print("Meta:")
        for key in ("run_id", "symbol", "timeframe", "snapshot_id", "git_commit"):
            if key in meta:
                print(f"  {key}: {meta[key]}")
    print("Counts:")
    keys = ("total", "completed", "skipped", "failed", "valid")
    print("  " + " ".join(f"{key}={counts.get(key, 0)}" for key in keys))
    if total:
        mean = total / len(done) if done else 0.0
        print(f"  total_duration={total:.1f}s avg_duration={mean:.1f}s")
    for line in invalid_scores(data):
        print(f"  invalid {line}")
    if not valid:
        print("No trial satisfied the constraints.")
        return
    _print_best(valid[0])
    if top_n > 1:
        print(f"Top {min(top_n, len(valid))} trials (score desc):")
        for index, entry in enumerate(valid[:top_n], start=1):
            print(_format_trial_summary(index, entry))
        if top_n < len(valid):
            print(f"  ... {len(valid) - top_n} more")


def _print_best(best: Trial) -> None:
    metrics = best.get("metrics") or {}
    print("Best trial:")
    print(f"  id: {best.get('trial_id')}\n  file: {best.get('trial_file')}")
    print(f"  score: {best.get('score')}")
    for key in ("num_trades", "sharpe_ratio", "total_return", "profit_factor") if metrics else ():
        print(f"  {key}: {metrics.get(key)}")


def _format_trial_summary(idx: int, entry: Trial) -> str:
    metrics = entry.get("metrics") or {}
    parts = [
        f"{idx}. {entry.get('trial_id')}",
        f"score={entry.get('score')}",
        f"sharpe={metrics.get('sharpe_ratio')}",
        f"trades={metrics.get('num_trades')}",
    ]
    if entry.get("duration_seconds") is not None:
        parts.append(f"duration={entry['duration_seconds']:.1f}s")
    if entry.get("attempts") is not None:
        parts.append(f"attempts={entry['attempts']}")
    return "  " + " ".join(parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`summarize RUN_ID [--top N]`."""
    commands = parser.add_subparsers(dest="optimizer_command")
    summarize = commands.add_parser("summarize", help="the trials of a run, the best first")
    summarize.add_argument("run_id", help="name of the folder under results/hparam_search")
    summarize.add_argument("--top", type=int, default=1, help="trials to list (1)")


def run(args: argparse.Namespace) -> int:
    """Run with parsed arguments."""
    if args.optimizer_command != "summarize":
        print("optimizer: expected a command: summarize RUN_ID [--top N]", file=sys.stderr)
        return 1
    try:
        _print_summary(summarize_run(args.run_id), top_n=max(1, args.top))
        for line in without_effect():
            print(f"[NOTE] {line}")
    except (StoreNotFoundError, FileFormatError) as error:
        print(f"[FAILED] {error}", file=sys.stderr)
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 where it fails."""
    parser = argparse.ArgumentParser(prog="optimizer", description="Runs of the old search.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
