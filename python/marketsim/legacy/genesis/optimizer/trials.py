"""One trial of a search: a backtest in this process, over bars and features that are shared."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from marketsim.errors import MarketsimError, NotEnoughBarsError
from marketsim.legacy.genesis.atomic_files import write_json
from marketsim.legacy.genesis.backtest.compiled import Prepared, Ran, prepare, run_prepared
from marketsim.legacy.genesis.backtest.metrics import calculate_backtest_metrics, figures
from marketsim.legacy.genesis.backtest.position_tracker import summary_numbers
from marketsim.legacy.genesis.backtest.settings import EXIT_DEFAULTS, settings_of
from marketsim.legacy.genesis.candles import from_frame
from marketsim.legacy.genesis.config.runtime import runtime_config, validate
from marketsim.legacy.genesis.config.unread import check_settings
from marketsim.legacy.genesis.optimizer.constraints import enforce_constraints
from marketsim.legacy.genesis.optimizer.param_transforms import transform_parameters
from marketsim.legacy.genesis.optimizer.scoring import MetricThresholds, score_metrics
from marketsim.legacy.genesis.optimizer.signatures import trial_key
from marketsim.legacy.genesis.optimizer.spaces import derive_dates
from marketsim.legacy.genesis.optimizer.summary import read_trial
from marketsim.legacy.genesis.quirks import current_quirks
from marketsim.legacy.genesis.root import candles_file
from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader
from marketsim.legacy.genesis.strategy.evaluate import deep_merge, merge_configs
from marketsim.legacy.genesis.strategy.prob_model import model_of

Table = dict[str, Any]
CAPITAL = 10000.0
ZERO_TRADE_SCORE = -1e5


@dataclass(slots=True)
class TrialConfig:
    """What a trial runs on."""

    snapshot_id: str
    symbol: str
    timeframe: str
    warmup_bars: int
    parameters: dict[str, Any]
    start_date: str | None = None
    end_date: str | None = None

    def dates(self) -> tuple[str, str]:
        """Start and end."""
        if self.start_date and self.end_date:
            return self.start_date, self.end_date
        return derive_dates(self.snapshot_id)


@dataclass
class Ground:
    """What all trials on the same range share, and a digest of every byte it follows from."""

    prepared: Prepared
    champion: Table
    runtime: Table
    digest: str
    lock: threading.Lock = field(default_factory=threading.Lock)


_grounds: OrderedDict[str, Ground] = OrderedDict()
_ROOM = 4


def ground_of(trial: TrialConfig) -> Ground:
    """Bars, features, probabilities, champion and runtime configuration as they are now.

    Raises:
        NotEnoughBarsError: there are no bars of that range.
    """
    import pandas as pd

    quirks = current_quirks()
    start, end = trial.dates()
    path, places = candles_file(trial.symbol, trial.timeframe)
    if path is None:
        raise NotEnoughBarsError(f"no bars: tried {', '.join(str(place) for place in places)}")
    model = model_of(trial.symbol, trial.timeframe)
    champion = ChampionLoader().load(trial.symbol, trial.timeframe)
    runtime = runtime_config()
    daily, _ = candles_file(trial.symbol, "1D")
    digest = hashlib.sha256(path.read_bytes())
    digest.update(b"" if daily is None else daily.read_bytes())
    rest = [trial.symbol, trial.timeframe, start, end, trial.warmup_bars, model]
    rest += [champion.checksum, runtime, repr(quirks)]
    digest.update(json.dumps(rest, sort_keys=True, default=str).encode())
    key = digest.hexdigest()
    found = _grounds.get(key)
    if found is not None:
        return found
    frame = pd.read_parquet(path)
    stamps = frame["timestamp"]
    inside = (stamps >= pd.to_datetime(start)) & (stamps <= pd.to_datetime(end))
    frame = frame[inside]
    if frame.empty:
        raise NotEnoughBarsError(f"no bars of {trial.symbol} {trial.timeframe} {start}..{end}")
    prepared = prepare(from_frame(frame), trial.symbol, trial.timeframe, model, quirks)
    made = Ground(prepared, champion.config, runtime, key)
    _grounds[key] = made
    while len(_grounds) > _ROOM:
        _grounds.popitem(last=False)
    return made


def zero_trade_reason(parameters: Mapping[str, Any]) -> str | None:
    """Why parameters cannot trade; None where they may."""
    transformed, _ = transform_parameters(parameters or {})
    entry = (transformed.get("thresholds") or {}).get("entry_conf_overall")
    if isinstance(entry, Mapping):
        entry = entry.get("value", entry.get("default"))
    try:
        least = None if entry is None else float(entry)
    except (TypeError, ValueError):
        least = None
    if least is not None and least >= 0.98:
        return f"entry_conf_overall={least}>=0.98"
    steps = (transformed.get("risk") or {}).get("risk_map")
    if isinstance(steps, list) and steps and sum(float(step[1]) for step in steps) <= 0:
        return "risk_map total size <= 0"
    return None


def run_trial(
    trial: TrialConfig,
    *,
    run_id: str,
    index: int,
    run_dir: Path,
    allow_resume: bool,
    existing_trials: Mapping[str, Mapping[str, Any]],
    max_attempts: int = 2,
    constraints_cfg: Mapping[str, Any] | None = None,
    cache_enabled: bool = False,
    seen_param_keys: set[str] | None = None,
    seen_param_lock: threading.Lock | None = None,
    ground: Ground | None = None,
) -> Table:
    """Run and score one set of parameters; writes trial_NNN.json and trial_NNN_config.json.

    The result is that of its own backtest, in this process. A trial that fails is recorded with
    its error; it is not tried again, since the same input fails the same way.

    Raises:
        UnreadSettingError: strict, and nothing reads one of its parameters.
    """
    key, trial_id = trial_key(trial.parameters), f"trial_{index:03d}"
    ground = ground or ground_of(trial)
    known = existing_trials.get(key) if allow_resume else None
    if known is not None and known.get("data") == ground.digest:
        _see(key, seen_param_keys, seen_param_lock)
        return {
            "trial_id": known.get("trial_id"),
            "parameters": trial.parameters,
            "skipped": True,
            "reason": "already_completed",
            "results_path": known.get("results_path"),
            "score": known.get("score"),
            "constraints": known.get("constraints"),
        }
    base: Table = {"trial_id": trial_id, "parameters": trial.parameters}
    if not _see(key, seen_param_keys, seen_param_lock):
        return {**base, "skipped": True, "reason": "duplicate_within_run"}
    reason = zero_trade_reason(trial.parameters)
    if reason is not None:
        payload = {
            **base,
            "skipped": True,
            "reason": "zero_trade_preflight",
            "details": reason,
            "score": {"score": ZERO_TRADE_SCORE},
        }
        write_json(run_dir / f"{trial_id}.json", payload, sync=False)
        return payload
    return _backtest(trial, base, ground, run_dir, key, constraints_cfg, cache_enabled)


def _see(key: str, seen: set[str] | None, lock: threading.Lock | None) -> bool:
    """Whether a key is new."""
    if seen is None:
        return True
    with lock or threading.Lock():
        new = key not in seen
        seen.add(key)
    return new


def _backtest(
    trial: TrialConfig,
    base: Table,
    ground: Ground,
    run_dir: Path,
    key: str,
    constraints_cfg: Mapping[str, Any] | None,
    cached: bool,
) -> Table:
    trial_id, began = base["trial_id"], time.perf_counter()
    kept = run_dir / "_cache" / f"{_cache_name(key, ground)}.json"
    before = read_trial(kept) if cached and kept.is_file() else None
    if before is not None:
        del before["trial_file"]
        payload = {**before, **base, "from_cache": True}
        write_json(run_dir / f"{trial_id}.json", payload, sync=False)
        return payload
    transformed, derived = transform_parameters(trial.parameters)
    if trial.parameters:
        check_settings(transformed, ground.runtime, current_quirks(), trial_id)
    payload = dict(base)
    try:
        config = validate(deep_merge(ground.runtime, transformed))
        name = f"{trial_id}_config.json"
        write_json(run_dir / name, {"cfg": config}, sync=False)
        payload["config_path"] = name
        ran = run_parameters(ground, config, trial.warmup_bars)
        score = score_run(ran, CAPITAL)
    except MarketsimError as error:
        spent = time.perf_counter() - began
        text = f"{type(error).__name__}: {error}"
        payload |= {"error": text, "attempts": 1, "duration_seconds": spent}
        write_json(run_dir / f"{trial_id}.json", payload, sync=False)
        return payload
    constraints = enforce_constraints(score, trial.parameters, constraints_cfg=constraints_cfg)
    spent = time.perf_counter() - began
    payload |= {
        "results_path": None,
        "score": {
            k: score[k] for k in ("score", "metrics", "hard_failures", "flags") if k in score
        },
        "constraints": {"ok": constraints.ok, "reasons": constraints.reasons},
        "attempts": 1,
        "duration_seconds": spent,
        "attempt_durations": [spent],
        "data": ground.digest,
    }
    if derived:
        payload["derived"] = derived
    if cached:
        snapshot = {k: v for k, v in payload.items() if k != "trial_id"}
        write_json(kept, snapshot, sort_keys=True, sync=False)
    write_json(run_dir / f"{trial_id}.json", payload, sync=False)
    return payload


def _cache_name(key: str, ground: Ground) -> str:
    return hashlib.sha256(f"{key}{ground.digest}".encode()).hexdigest()


def run_parameters(ground: Ground, config: Mapping[str, Any], warmup: int) -> Ran:
    """The backtest of a runtime configuration, as the command runs it."""
    merged = merge_configs(ground.champion, config)
    settings = settings_of(merged, EXIT_DEFAULTS, current_quirks())
    settings.capital, settings.warmup = CAPITAL, warmup
    return run_prepared(ground.prepared, settings)


def score_run(ran: Ran, initial: float, limits: MetricThresholds | None = None) -> Table:
    """`score_backtest` of a compiled run, without its dictionaries."""
    pnls = ran.trades["pnl"]
    done = ran.rows["processed"] != 0
    equity = ran.rows["equity"][done]
    summary = summary_numbers(pnls.tolist(), equity, ran.outcome.capital, initial)
    metrics = figures(pnls, initial) if len(pnls) else calculate_backtest_metrics([], initial)
    if not len(pnls) and len(equity) > 1:
        peak = np.maximum.accumulate(equity)
        metrics["max_drawdown"] = float(np.max((peak - equity) / peak * 100))
    metrics |= {key: summary[key] for key in ("num_trades", "win_rate", "profit_factor")}
    return score_metrics(metrics, limits or MetricThresholds())


def load_existing_trials(run_dir: Path) -> dict[str, Table]:
    """Finished trials of a run by their parameters' key; files that are no trials are left out."""
    out = {}
    for path in sorted(run_dir.glob("trial_*.json")):
        trial = None if path.name.endswith("_config.json") else read_trial(path)
        if trial and trial.get("parameters") and trial.get("score") and not trial.get("error"):
            out[trial_key(trial["parameters"])] = trial
    return out
