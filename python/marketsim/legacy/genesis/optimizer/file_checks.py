"""Settings of a search file that nothing reads: by path, with the right name where there is one."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from marketsim.errors import ArgumentError, GenesisWarning, UnreadSettingError
from marketsim.legacy.genesis.config.unread import MISSING, look_up
from marketsim.legacy.genesis.quirks import current_quirks

_CHOICE = {"name": None, "type": None, "kind": None, "kwargs": None}
_CONSTRAINTS = {
    "min_trades": None,
    "min_profit_factor": None,
    "max_max_dd": None,
    "include_scoring_failures": None,
    "zone_consistency": {"enforce": None, "allowed_diff": None},
}
_OPTUNA = (
    *("study_name", "storage", "direction", "timeout_seconds", "heartbeat_interval"),
    *("heartbeat_grace_period", "bootstrap_random_trials", "bootstrap_seed"),
    "dedup_guard_enabled",
)
_RUNS = (
    *("strategy", "max_trials", "max_concurrent", "max_attempts", "resume", "use_sample_range"),
    *("sample_start", "sample_end", "save_results"),
)
_META = ("symbol", "timeframe", "snapshot_id", "warmup_bars", "baseline_results_path")
# Names of a search file; None: a value, or a table of free names.
_FILE: dict[str, Any] = {
    "meta": {
        **dict.fromkeys(_META),
        "runs": {
            **dict.fromkeys(_RUNS),
            "optuna": {
                **dict.fromkeys(_OPTUNA),
                "sampler": {**_CHOICE, "sampler": None},
                "pruner": {**_CHOICE, "pruner": None},
            },
        },
    },
    "parameters": None,
    "constraints": _CONSTRAINTS,
}
_DESCRIBES = ("description", "name", "note", "notes", "comment", "comments", "author", "version")
_LEFT_OUT = {
    "meta.baseline_results_path": "trials are not compared with a baseline",
    "meta.runs.max_attempts": "a trial that fails would fail again",
}
_LEAVES = {
    "grid": ("values",),
    "fixed": ("value",),
    "float": ("low", "high", "step", "log"),
    "int": ("low", "high", "step"),
    "loguniform": ("low", "high"),
}


def check_search_file(config: Mapping[str, Any]) -> None:
    """Refuse (strict) or report settings of a search file that have no effect.

    Raises:
        UnreadSettingError: there are some, and `strict`.
        ArgumentError: a parameter's leaf has a name that its type does not read.
    """
    _report("search file", _unread(config, _FILE, ""))
    for path, why in _LEFT_OUT.items():
        if look_up(config, path) not in (None, MISSING):
            print(f"[NOTE] {path}: accepted; {why}")
    parameters = config.get("parameters")
    if isinstance(parameters, Mapping):
        _check_leaves(parameters, "")


def check_constraints(limits: Mapping[str, Any]) -> None:
    """The same of constraints alone.

    Raises:
        UnreadSettingError: there are some, and `strict`.
    """
    _report("constraints", _unread(limits, _CONSTRAINTS, "constraints"))


def _report(where: str, found: Iterator[str]) -> None:
    lines = list(found)
    if not lines:
        return
    text = f"{where}: nothing reads {'; '.join(lines)}"
    if current_quirks().strict:
        raise UnreadSettingError(
            f"{text}. Remove what has no effect, or pass strict=False to go on"
        )
    warnings.warn(text, GenesisWarning, stacklevel=4)


def _unread(table: Mapping[str, Any], known: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in table.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in known:
            if name not in _DESCRIBES:
                yield f"{where}{_right_name(str(name), path)}"
        elif isinstance(known[name], Mapping) and isinstance(value, Mapping):
            yield from _unread(value, known[name], where)


def _right_name(name: str, path: str) -> str:
    """Where the name belongs, or the one that is meant."""
    paths = list(_paths(_FILE, ""))
    elsewhere = [p for p in paths if p.rpartition(".")[2] == name]
    if not elsewhere:
        beside = [p for p in paths if p.rpartition(".")[0] == path]
        names = [p.rpartition(".")[2] for p in beside]
        close = difflib.get_close_matches(name, names, 1, 0.7)
        elsewhere = [p for p in beside if close and p.rpartition(".")[2] == close[0]]
    return f": the name is {elsewhere[0]}" if elsewhere else ": there is no such setting"


def _paths(known: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, below in known.items():
        where = f"{path}.{name}" if path else name
        yield where
        if isinstance(below, Mapping):
            yield from _paths(below, where)


def _check_leaves(spec: Mapping[str, Any], path: str) -> None:
    for name, value in spec.items():
        where = f"{path}.{name}" if path else str(name)
        if not isinstance(value, Mapping):
            continue
        if "type" not in value:
            _check_leaves(value, where)
            continue
        read = _LEAVES.get(str(value["type"]))
        if read is None:
            continue  # refused where it is used
        unread = [key for key in value if key not in ("type", *read, *_DESCRIBES)]
        if unread or (value["type"] == "fixed" and "value" not in value):
            raise ArgumentError(
                f"parameter {where}: type {value['type']} takes {', '.join(read)}: got "
                f"{', '.join(map(repr, (key for key in value if key != 'type'))) or 'nothing'}"
            )
