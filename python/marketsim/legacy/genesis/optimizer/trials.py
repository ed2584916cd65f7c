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
from marketsim.legacy.genesis.atomic_files import write_json, write_text
from marketsim.legacy.genesis.backtest.compiled import Prepared, Ran, prepare, run_prepared
from marketsim.legacy.genesis.backtest.metrics import calculate_backtest_metrics, figures
from marketsim.legacy.genesis.backtest.position_tracker import summary_numbers
from marketsim.legacy.genesis.backtest.settings import EXIT_DEFAULTS, settings_of
from marketsim.legacy.genesis.candles import COLUMNS, from_frame, read_frame, within
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
    frame = within(read_frame(path, ("timestamp", *COLUMNS), path), start, end)
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
    ground = ground or ground_of(trial)
    done = answered_trial(
        trial, index, run_dir, ground, existing_trials if allow_resume else {},
        seen_param_keys, seen_param_lock,
    )  # fmt: skip
    if done is not None:
        return done
    return backtest_trial(trial, index, ground, run_dir, constraints_cfg, cached=cache_enabled)


def answered_trial(
    trial: TrialConfig,
    index: int,
    run_dir: Path,
    ground: Ground,
    existing: Mapping[str, Mapping[str, Any]],
    seen: set[str] | None,
    lock: threading.Lock | None,
) -> Table | None:
    """The result of a trial that needs no backtest; None where it needs one."""
    key, trial_id = trial_key(trial.parameters), f"trial_{index:03d}"
    known = existing.get(key)
    if known is not None and known.get("data") == ground.digest:
        _see(key, seen, lock)
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
    if not _see(key, seen, lock):
        return {**base, "skipped": True, "reason": "duplicate_within_run"}
    reason = zero_trade_reason(trial.parameters)
    if reason is None:
        return None
    payload = {
        **base,
        "skipped": True,
        "reason": "zero_trade_preflight",
        "details": reason,
        "score": {"score": ZERO_TRADE_SCORE},
    }
    write_json(run_dir / f"{trial_id}.json", payload, sync=False)
    return payload


def _see(key: str, seen: set[str] | None, lock: threading.Lock | None) -> bool:
    """Whether a key is new."""
    if seen is None:
        return True
    with lock or threading.Lock():
        new = key not in seen
        seen.add(key)
    return new


def backtest_trial(
    trial: TrialConfig,
    index: int,
    ground: Ground,
    run_dir: Path,
    constraints_cfg: Mapping[str, Any] | None,
    *,
    cached: bool,
) -> Table:
    """Backtest and score a trial, and write its files."""
    trial_id, began = f"trial_{index:03d}", time.perf_counter()
    base: Table = {"trial_id": trial_id, "parameters": trial.parameters}
    key = trial_key(trial.parameters)
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
        return failed_trial(payload, run_dir, error, time.perf_counter() - began)
    constraints = enforce_constraints(score, trial.parameters, constraints_cfg=constraints_cfg)
    spent = time.perf_counter() - began
    payload |= {
        "results_path": None,  # see results.py
        "score": {
            k: score[k] for k in ("score", "metrics", "hard_failures", "flags") if k in score
        },
        "constraints": {"ok": constraints.ok, "reasons": constraints.reasons},
        "log": _write_log(run_dir, trial, trial_id, ground, score, constraints.reasons),
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


def _write_log(
    run_dir: Path,
    trial: TrialConfig,
    trial_id: str,
    ground: Ground,
    score: Mapping[str, Any],
    reasons: list[str],
) -> str:
    """What the command would have printed, in short; the file's name."""
    bars, (start, end) = len(ground.prepared.candles), trial.dates()
    lines = [
        f"Running Backtest: {trial.symbol} {trial.timeframe}, {start} to {end}, {bars:,} bars, "
        f"warmup {trial.warmup_bars}",
        *(f"{name}: {value}" for name, value in score["metrics"].items()),
        f"Score: {score['score']:.4f}",
        *(f"[HARD FAILURE] {text}" for text in score["hard_failures"]),
        *(f"[CONSTRAINT] {text}" for text in reasons),
        *(f"[NOTE] quirk {line}" for line in current_quirks().lines()),
    ]
    name = f"{trial_id}.log"
    write_text(run_dir / name, "\n".join(lines) + "\n", sync=False)
    return name


def failed_trial(base: Table, run_dir: Path, error: BaseException, seconds: float) -> Table:
    """Record a trial that failed."""
    text = f"{type(error).__name__}: {error}"
    log = f"{base['trial_id']}.log"
    write_text(run_dir / log, f"[FAILED] {text}\n", sync=False)
    payload = {
        **base, "error": text, "log_path": log, "attempts": 1, "duration_seconds": seconds
    }  # fmt: skip
    write_json(run_dir / f"{payload['trial_id']}.json", payload, sync=False)
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
