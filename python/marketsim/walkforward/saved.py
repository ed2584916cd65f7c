"""Runs saved to a file: figures, settings and daily returns, for `marketsim compare`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError, FileFormatError
from marketsim.text import json_rows

_FORMAT, _VERSION = "marketsim run", 1


class _Result(Protocol):
    """Members of `WalkForwardResult` that are saved."""

    @property
    def returns(self) -> pd.DataFrame: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class SavedSummary:
    """Figures of a saved run; `strategies` as in `Summary.strategies`."""

    strategies: pd.DataFrame


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A run read from a file.

    Attributes:
        facts: `WalkForwardResult.to_dict` of the run.
        returns: net returns by day (fractions): a column per strategy, then the baselines.
    """

    facts: dict[str, Any]
    returns: pd.DataFrame

    def __repr__(self) -> str:
        settings = self.facts["settings"]
        return (
            f"SavedRun({self.facts['symbol']}, model {settings['model']}, {len(self.returns):,} "
            f"days to {self.returns.index[-1]:%Y-%m-%d})"
        )

    def summary(self) -> SavedSummary:
        """Return the figures, for `marketsim.compare`."""
        rows = pd.DataFrame(self.facts["strategies"]).set_index("strategy")
        figures = rows.columns.drop("kind")
        return SavedSummary(rows.assign(**{name: rows[name].astype(float) for name in figures}))


def save_run(result: _Result, path: str | os.PathLike[str]) -> Path:
    """Save a run as JSON, atomically; returns the path.

    Raises:
        ArgumentError: the name does not end in .json, or its folder does not exist.

    Example:
        >>> save_run(result, "ewma.json")  # doctest: +SKIP
    """
    target = Path(path)
    if target.suffix.lower() != ".json" or target.is_dir():
        raise ArgumentError(f"a run is saved to a .json file: got {str(target)!r}")
    if not target.parent.is_dir():
        raise ArgumentError(f"the folder {str(target.parent)!r} does not exist: create it first")
    returns = result.returns
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        **result.to_dict(),
        "returns": {
            "days": [f"{day:%Y-%m-%d}" for day in returns.index],
            "net": {str(name): returns[name].tolist() for name in returns},
        },
    }
    text = json.dumps(content, allow_nan=False)
    replace_file(target, text.encode(), None)
    return target


def load_run(path: str | os.PathLike[str]) -> SavedRun:
    """Read a run that `save_run` wrote.

    Raises:
        FileFormatError: the file is no saved run, or of a newer version.
        OSError: it cannot be read.

    Example:
        >>> load_run("ewma.json").returns["maxdiff"].sum()  # doctest: +SKIP
    """
    advice = "write one by `marketsim backtest FILE --save run.json`"
    try:
        content = json.loads(Path(path).read_bytes())
        known = content["format"] == _FORMAT
        version = content["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is not a saved run: {advice}") from error
    if not known or version != _VERSION:
        raise FileFormatError(
            f"{path} must be a saved run of version {_VERSION}: got {content['format']!r}, "
            f"version {version!r}; {advice}"
        )
    try:
        found = content.pop("returns")
        index = pd.DatetimeIndex(np.array(found["days"], dtype="datetime64[ns]"), name="date")
        returns = pd.DataFrame(found["net"], index=index, dtype=np.float64)
        _ = content["symbol"], content["settings"]["model"], content["strategies"][0]["kind"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FileFormatError(f"{path} is a damaged saved run ({error}): {advice}") from error
    return SavedRun(content, returns)


def settings_that_differ(runs: dict[str, SavedRun]) -> list[list[str]]:
    """Return a row for each setting that is not the same in all runs: its name, then its values."""
    tables = [{"symbol": run.facts["symbol"], **run.facts["settings"]} for run in runs.values()]
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = []
    for name in names:
        values = [json.dumps(json_rows([{"v": table.get(name)}])[0]["v"]) for table in tables]
        if len(set(values)) > 1:
            rows.append([name.replace("_", " "), *(value.strip('"') for value in values)])
    return rows
