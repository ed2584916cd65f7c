"""`core.optimizer.champion`: the best trial's parameters as the file that backtests read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketsim.errors import FileFormatError
from marketsim.legacy.genesis.atomic_files import write_json, write_text
from marketsim.legacy.genesis.strategy.champion_loader import champions_folder
from marketsim.legacy.genesis.strategy.model_registry import read_json

Table = dict[str, Any]


@dataclass(slots=True)
class ChampionCandidate:
    """A trial that may become the champion."""

    parameters: Table
    score: float
    metrics: Table
    constraints_ok: bool
    constraints: Table
    hard_failures: list[str]
    trial_id: str
    results_path: str


@dataclass(slots=True)
class ChampionRecord:
    """A champion's file."""

    created_at: str
    run_id: str
    git_commit: str
    snapshot_id: str
    symbol: str
    timeframe: str
    score: float
    metrics: Table
    parameters: Table
    constraints: Table
    metadata: Table


def candidate_of(result: Mapping[str, Any]) -> ChampionCandidate | None:
    """A trial as a candidate; None where it is not valid. A score that is not finite is not."""
    score, constraints = result.get("score") or {}, result.get("constraints") or {}
    if result.get("error") or result.get("skipped"):
        return None
    if not constraints.get("ok") or score.get("hard_failures"):
        return None
    try:
        value = float(score["score"])
    except (KeyError, TypeError, ValueError):
        return None
    if not math.isfinite(value):
        return None
    return ChampionCandidate(
        parameters=dict(result.get("parameters") or {}),
        score=value,
        metrics=dict(score.get("metrics") or {}),
        constraints_ok=True,
        constraints=dict(constraints),
        hard_failures=[],
        trial_id=str(result.get("trial_id", "")),
        results_path=str(result.get("results_path") or ""),
    )


class ChampionManager:
    """Reads and writes champions where backtests look for them; the file before is kept."""

    def __init__(self, champions_dir: Path | None = None) -> None:
        self._folder = champions_dir

    @property
    def champions_dir(self) -> Path:
        """The folder of champion files."""
        return self._folder or champions_folder()

    def _path(self, symbol: str, timeframe: str) -> Path:
        return self.champions_dir / f"{symbol}_{timeframe}.json"

    def load_current(self, symbol: str, timeframe: str) -> ChampionRecord | None:
        """The champion that there is; None: there is none.

        Raises:
            FileFormatError: its file cannot be read.
        """
        path = self._path(symbol, timeframe)
        if not path.is_file():
            return None
        data = read_json(path)
        names = ("created_at", "run_id", "git_commit", "snapshot_id")
        texts: Table = {key: str(data.get(key, "")) for key in names}
        parts = ("metrics", "parameters", "constraints", "metadata")
        tables: Table = {key: dict(data.get(key) or {}) for key in parts}
        try:
            score = float(data.get("score", 0.0))
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"{path}: score: expected a number, got {data.get('score')!r}"
            ) from error
        return ChampionRecord(
            **texts,
            symbol=str(data.get("symbol", symbol)),
            timeframe=str(data.get("timeframe", timeframe)),
            score=score,
            **tables,
        )

    def should_replace(self, current: ChampionRecord | None, candidate: ChampionCandidate) -> bool:
        """Whether the candidate is valid and better. No NaN is, and none blocks."""
        if not candidate.constraints_ok or candidate.hard_failures:
            return False
        if not math.isfinite(candidate.score):
            return False
        if current is None or not math.isfinite(current.score):
            return True
        return candidate.score > current.score

    def write_champion(
        self,
        *,
        symbol: str,
        timeframe: str,
        candidate: ChampionCandidate,
        run_id: str,
        git_commit: str,
        snapshot_id: str,
        run_meta: Mapping[str, Any] | None = None,
    ) -> ChampionRecord:
        """Write the candidate; the file before goes to `backup`."""
        now, path = datetime.now(UTC), self._path(symbol, timeframe)
        if path.is_file():
            stamp = f"{symbol}_{timeframe}_{now:%Y%m%d_%H%M%S_%f}.json"
            write_text(self.champions_dir / "backup" / stamp, path.read_text(encoding="utf-8"))
        record = ChampionRecord(
            created_at=now.isoformat(),
            run_id=run_id,
            git_commit=git_commit,
            snapshot_id=snapshot_id,
            symbol=symbol,
            timeframe=timeframe,
            score=candidate.score,
            metrics=candidate.metrics,
            parameters=candidate.parameters,
            constraints={"hard_failures": candidate.hard_failures, "raw": candidate.constraints},
            metadata={
                "trial_id": candidate.trial_id,
                "results_path": candidate.results_path,
                "run_meta": dict(run_meta or {}),
            },
        )
        write_json(path, asdict(record))
        return record
