"""The search files of the old optimizer: YAML, leaves, ranges of dates."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, FileFormatError, MissingDependencyError

_ENCODED = "__optuna_complex__"
_PLAIN = (type(None), bool, int, float, str)


def load_search_config(path: Path) -> dict[str, Any]:
    """The table of a YAML file.

    Raises:
        FileFormatError: it is no YAML, or no table.
        MissingDependencyError: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "search files are YAML: pip install '.[search]' in the checkout"
        ) from error
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise FileFormatError(f"{path}: expected YAML: {error}") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"{path}: expected a table, got {type(data).__name__}")
    return data


def expand_parameters(spec: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Every combination of a grid; the last key varies fastest."""
    items = [(key, _choices(value)) for key, value in (spec or {}).items()]
    for values in itertools.product(*(choices for _, choices in items)):
        keys = (key for key, _ in items)
        yield {k: copy.deepcopy(v) for k, v in zip(keys, values, strict=True)}


def _choices(node: Any) -> list[Any]:
    if not isinstance(node, Mapping):
        return [node]
    kind = node.get("type")
    if kind == "grid":
        if not node.get("values"):
            raise ArgumentError(f"a grid needs values: got {dict(node)!r}")
        return list(node["values"])
    if kind == "fixed":
        return [node.get("value")]
    if kind in ("int", "float", "loguniform"):
        raise ArgumentError(
            f"strategy: grid needs values for each parameter, strategy: optuna takes {kind}: got "
            f"{dict(node)!r}"
        )
    return list(expand_parameters(node))


def suggest_parameters(trial: Any, spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A trial's parameters by its sampler; names are dotted paths.

    Raises:
        ArgumentError: a leaf is missing, has no values, or is of an unknown type.
    """
    out = {}
    for key, value in (spec or {}).items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if value is None:
            raise ArgumentError(f"parameter {path}: expected a leaf, got nothing")
        if isinstance(value, Mapping) and "type" not in value:
            out[key] = suggest_parameters(trial, value, path)
        elif isinstance(value, Mapping):
            out[key] = _suggest(trial, value, path)
        else:
            out[key] = value
    return out


def _suggest(trial: Any, leaf: Mapping[str, Any], path: str) -> Any:
    kind = leaf.get("type", "grid")
    if kind == "fixed":
        return leaf.get("value")
    if kind == "grid":
        return _pick(trial, list(leaf.get("values") or []), path)
    low, high = leaf.get("low"), leaf.get("high")
    if kind not in ("int", "float", "loguniform"):
        raise ArgumentError(
            f"parameter {path}: expected grid, fixed, float, int or loguniform, got {kind!r}"
        )
    if low is None or high is None:
        raise ArgumentError(f"parameter {path}: low and high are needed: got {low!r}, {high!r}")
    if not as_number(f"{path}.low", low) <= as_number(f"{path}.high", high):
        raise ArgumentError(f"parameter {path}: low must not exceed high: got {low!r}, {high!r}")
    if kind == "int":
        return trial.suggest_int(path, int(low), int(high), step=int(leaf.get("step", 1)))
    if kind == "loguniform":
        return trial.suggest_float(path, float(low), float(high), log=True)
    step, log = leaf.get("step"), bool(leaf.get("log"))
    if step is None:
        return trial.suggest_float(path, float(low), float(high), log=log)
    width = float(step)
    raw = trial.suggest_float(path, float(low), float(high), step=width, log=log)
    decimals = len(str(width).partition(".")[2])
    return round(round(raw / width) * width, decimals)


def _pick(trial: Any, options: Sequence[Any], path: str) -> Any:
    if not options:
        raise ArgumentError(f"parameter {path}: a grid needs values")
    coded = {}
    shown = []
    for index, option in enumerate(options):
        if isinstance(option, _PLAIN):
            shown.append(option)
            continue
        text = json.dumps(option, sort_keys=True, separators=(",", ":"))
        shown.append(f"{_ENCODED}{index}__{text}")
        coded[shown[-1]] = option
    chosen = trial.suggest_categorical(f"{path}__encoded" if coded else path, shown)
    return coded.get(chosen, chosen)


def space_size(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How many choices each leaf has (-1: continuous), and what may be wrong with that."""
    counts = dict(_counts(spec, ""))
    discrete = {key: n for key, n in counts.items() if n > 0}
    continuous = sum(n < 0 for n in counts.values())
    total = 1
    for n in discrete.values():
        total *= n
    issues = []
    if total < 10 and not continuous:
        issues.append("Search space very small (<10 combinations)")
    narrow = [key for key, n in discrete.items() if n <= 2]
    if len(narrow) > len(discrete) * 0.7:
        issues.append(f"Many parameters have ≤2 choices: {narrow[:3]}")
    return {
        "total_discrete_combinations": None if continuous else total,
        "discrete_params": len(discrete),
        "continuous_params": continuous,
        "param_choice_counts": counts,
        "potential_issues": issues,
    }


def _counts(spec: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in (spec or {}).items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if not isinstance(value, Mapping):
            continue
        if "type" not in value:
            yield from _counts(value, path)
        elif value["type"] == "fixed":
            yield path, 1
        elif value["type"] == "grid":
            yield path, len(value.get("values") or [])
        elif value["type"] in ("float", "int") and value.get("step"):
            wide = float(value.get("high", 1)) - float(value.get("low", 0))
            yield path, int(wide / float(value["step"])) + 1
        else:
            yield path, -1


def derive_dates(snapshot_id: str) -> tuple[str, str]:
    """Start and end of SYMBOL_TF_START_END_vN.

    Raises:
        ArgumentError: it has no such parts.
    """
    parts = (snapshot_id or "").split("_")
    if len(parts) < 4:
        raise ArgumentError(f"snapshot_id: expected SYMBOL_TF_START_END_vN, got {snapshot_id!r}")
    return parts[2], parts[3]


def as_bool(value: Any) -> bool:
    """Truth of what YAML may hold: "yes", "on", "1" and "true" are true, other texts are not."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "yes", "y", "on")
    return bool(value)


def sample_range(snapshot_id: str, runs: Mapping[str, Any]) -> tuple[str, str]:
    """The range of dates: the sample's, else the snapshot's.

    Raises:
        ArgumentError: one end alone, no date, or the start after the end.
    """
    start, end = runs.get("sample_start"), runs.get("sample_end")
    if start is None and end is None:
        start, end = derive_dates(snapshot_id)
    elif start is None or end is None:
        raise ArgumentError(f"sample_start and sample_end go together: got {start!r} and {end!r}")
    else:
        start, end = _day(start, "sample_start"), _day(end, "sample_end")
    if start > end:
        raise ArgumentError(f"start_date must not be after end_date: got {start} > {end}")
    return start, end


def _day(value: Any, name: str) -> str:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return datetime.fromisoformat(str(value).strip()).date().isoformat()
    except ValueError as error:
        raise ArgumentError(f"{name}: expected a date, got {value!r}") from error
