"""Scores, constraints, parameters, trials, searches, champions, summaries."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from genesis_golden import FOLDER, inputs, manifest, needs_golden, recorded, same, units
from genesis_project import (
    random_candles,
    random_config,
    random_model,
    write_candles,
    write_champion,
    write_json,
    write_model,
)

from marketsim.errors import ArgumentError, UnreadSettingError
from marketsim.legacy.genesis import GenesisQuirks, use_quirks
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.backtest.metrics import calculate_metrics
from marketsim.legacy.genesis.config.runtime import validate
from marketsim.legacy.genesis.optimizer import spaces, summary
from marketsim.legacy.genesis.optimizer.champion import ChampionManager, candidate_of
from marketsim.legacy.genesis.optimizer.constraints import enforce_constraints
from marketsim.legacy.genesis.optimizer.param_transforms import transform_parameters
from marketsim.legacy.genesis.optimizer.runner import run_optimizer
from marketsim.legacy.genesis.optimizer.scoring import MetricThresholds, score_backtest
from marketsim.legacy.genesis.optimizer.signatures import (
    NoDupeGuard,
    canonicalize_config,
    fingerprint_config,
    param_signature,
    trial_key,
)
from marketsim.legacy.genesis.optimizer.trials import (
    TrialConfig,
    ground_of,
    load_existing_trials,
    run_trial,
    score_run,
    zero_trade_reason,
)
from marketsim.legacy.genesis.strategy.evaluate import deep_merge

NAN = float("nan")


@needs_golden
def test_metrics_score_and_constraints() -> None:
    for k, case in enumerate(units()["metrics_score_constraints"]):
        metrics = calculate_metrics(case["result"])
        assert same({x: metrics[x] for x in case["metrics"]}, case["metrics"], 1e-12), k
        score = score_backtest(case["result"])
        finite = math.isfinite(score["score"])
        assert same(
            {x: score[x] for x in ("score", "metrics")},
            {x: case["score"][x] for x in ("score", "metrics")},
            1e-12,
        ), k
        failures = case["score"]["hard_failures"]
        assert score["hard_failures"] == (failures if finite else [*failures, "not_finite"])
        loose = score_backtest(
            case["result"],
            thresholds=MetricThresholds(min_trades=0, min_profit_factor=0.0, max_max_dd=1.0),
        )
        if not case["score_loose"]["hard_failures"]:
            assert same(loose["score"], case["score_loose"]["score"], 1e-12), k
        found = enforce_constraints(
            score, case["parameters"], constraints_cfg=case["constraints_cfg"]
        )
        assert (
            same({"ok": found.ok, "reasons": found.reasons}, case["constraints"], 1e-12)
            or not finite
        ), k


@needs_golden
def test_parameters() -> None:
    for case in units()["transform_parameters"]:
        assert same(list(transform_parameters(case["in"])), case["out"])
    search = units()["search"]
    assert list(spaces.expand_parameters(search["expand"]["spec"])) == search["expand"]["out"]
    assert same(spaces.space_size(search["space"]["spec"]), search["space"]["out"])
    for case in search["canonical"]:
        assert same(canonicalize_config(case["in"]), case["out"])
        assert trial_key(case["in"]) == case["trial_key"]
        assert fingerprint_config(case["in"]) == case["fingerprint"]
        assert param_signature(case["in"]) == case["param_signature"]
    for value, expected in search["as_bool"]:
        assert spaces.as_bool(value) is expected
    for case in search["zero_trade"]:
        reason = zero_trade_reason(case["in"])
        expected = case.get("reason", case.get("out"))
        assert reason == (expected.get("reason") if isinstance(expected, dict) else expected)


@needs_golden
def test_suggestions() -> None:
    case = units()["search"]["suggest"]

    class Fixed:
        def suggest_float(self, name: str, *_: Any, **__: Any) -> Any:
            return case["fixed"][name]

        suggest_int = suggest_categorical = suggest_float

    assert spaces.suggest_parameters(Fixed(), case["spec"]) == case["out"]
    with pytest.raises(ArgumentError, match="parameter a: a grid needs values"):
        spaces.suggest_parameters(Fixed(), {"a": {"type": "grid"}})
    with pytest.raises(ArgumentError, match="got 'gamma'"):
        spaces.suggest_parameters(Fixed(), {"a": {"type": "gamma", "low": 0, "high": 1}})


def project(root: Path, seed: int = 3, rows: int = 400) -> None:
    write_candles(root, "tX", "1h", random_candles(rows, seed))
    write_candles(root, "tX", "1D", random_candles(60, seed + 1, step="D"))
    config = random_config(seed)
    write_champion(root, "tX", "1h", {x: config[x] for x in ("ltf_fib",)})
    write_model(root, "tX", "1h", random_model(seed))
    write_json(root / "config" / "runtime.json", {"version": 1, "cfg": {"ev": {"R_default": 1.5}}})


def trial(parameters: dict[str, Any], **more: Any) -> TrialConfig:
    dates = {"start_date": "2020-03-01", "end_date": "2020-04-01", **more}
    return TrialConfig("tX_1h_2020-03-01_2020-04-01_v1", "tX", "1h", 60, parameters, **dates)


LOW = {"thresholds": {"entry_conf_overall": 0.3, "regime_proba": {"balanced": 0.3}}}
LOW["risk"] = {"risk_map": [[0.2, 0.02]]}  # type: ignore[dict-item]


def run_one(root: Path, parameters: dict[str, Any], index: int = 1, **more: Any) -> Any:
    options: dict[str, Any] = {"allow_resume": False, "existing_trials": {}, **more}
    return run_trial(trial(parameters), run_id="r", index=index, run_dir=root / "run", **options)


def test_a_trial_is_the_backtest_of_its_parameters(own_project: Path) -> None:
    project(own_project)
    result = run_one(own_project, LOW)
    config = json.loads((own_project / "run" / "trial_001_config.json").read_text())["cfg"]
    engine = BacktestEngine("tX", "1h", "2020-03-01", "2020-04-01", warmup_bars=60)
    assert engine.load_data()
    backtest = engine.run(configs=config)
    assert len(backtest["trades"]) > 3
    score = score_backtest(backtest)
    assert result["score"]["score"] == score["score"]
    assert result["score"]["metrics"] == score["metrics"]
    saved = json.loads((own_project / "run" / "trial_001.json").read_text())
    assert same(saved, result)
    expected = deep_merge(validate({"ev": {"R_default": 1.5}}), LOW)
    assert same(config, expected)


def test_scores_without_dictionaries(own_project: Path) -> None:
    from test_runs import Seen

    for seed in range(8):
        write_candles(own_project, "tX", "1h", random_candles(150, seed))
        write_champion(own_project, "tX", "1h", random_config(seed))
        write_model(own_project, "tX", "1h", random_model(seed))
        engine = Seen("tX", "1h", warmup_bars=60 if seed else 149)
        engine.load_data()
        expected = score_backtest(engine.run())
        found = score_run(engine.ran, 10000.0)
        assert same(found["score"], expected["score"]) and same(
            found["metrics"], expected["metrics"]
        )


def test_trials_that_do_not_run(own_project: Path) -> None:
    project(own_project)
    seen: set[str] = set()
    first = run_one(own_project, LOW, seen_param_keys=seen)
    again = run_one(own_project, LOW, 2, seen_param_keys=seen)
    assert again["reason"] == "duplicate_within_run"
    never = run_one(own_project, {"thresholds": {"entry_conf_overall": 0.99}}, 3)
    assert (never["reason"], never["score"]["score"]) == ("zero_trade_preflight", -1e5)
    kept = {trial_key(LOW): first}
    resumed = run_one(own_project, LOW, 4, allow_resume=True, existing_trials=kept)
    assert resumed["reason"] == "already_completed" and resumed["score"] == first["score"]
    write_candles(own_project, "tX", "1h", random_candles(400, 9))
    fresh = run_one(own_project, LOW, 4, allow_resume=True, existing_trials=kept)
    assert "reason" not in fresh and fresh["score"] != first["score"]


def test_unread_parameters_are_refused_by_path(own_project: Path) -> None:
    project(own_project)
    cases = {
        "ltf_fib.entry.tolerance_atr": {"ltf_fib": {"entry": {"tolerance_atr": 5.0}}},
        "exit.max_hold_bars": {"exit": {"max_hold_bars": 5}},
        "exit.exit_conf_threshold: read by variant E": {"exit": {"exit_conf_threshold": 0.2}},
        "the name is htf_fib.entry.long_min_level": {"htf_fib": {"entry": {"long_max_level": 1}}},
        "warmup_bars": {"warmup_bars": 10},
        "thresholds.min_edge": {"thresholds": {"min_edge": 0.1}},
        "thresholds.entry_conf: the name is": {"thresholds": {"entry_conf": 0.1}},
    }
    for text, parameters in cases.items():
        with pytest.raises(UnreadSettingError, match=text):
            run_one(own_project, parameters)
    use_quirks(GenesisQuirks(variant="E"))
    run_one(own_project, {"exit": {"exit_conf_threshold": 0.2}})
    run_one(own_project, {"exit": {"max_hold_bars": 20}})  # what it is anyway
    use_quirks(GenesisQuirks(strict=False))
    with pytest.warns(UserWarning, match="nothing reads warmup_bars"):
        run_one(own_project, {"warmup_bars": 10})


def test_unread_settings_of_a_run_are_refused_by_path(own_project: Path) -> None:
    project(own_project)
    use_quirks(GenesisQuirks())
    engine = BacktestEngine("tX", "1h", "2020-03-01", "2020-04-01", warmup_bars=60)
    assert engine.load_data()
    fine = {
        "thresholds": {"entry_conf_overall": 0.3, "min_edge": 0.1},
        "htf_fib": {"entry": {"enabled": True, "long_min_level": 0.5, "missing_policy": "pass"}},
        "ltf_fib": {"entry": {"override_confidence": {"enabled": True, "min": 0.4}}},
        "exit": {"max_hold_bars": 20},  # what it is anyway
        "meta": {"champion_source": "mine"},
    }
    engine.run(configs=fine)
    for text, configs in {
        "configs: nothing reads thresholds.entry_conf: the name is thresholds.entry_conf_ov": {
            "thresholds": {"entry_conf": 0.3}
        },
        "htf_fib.entry.long_max_level: the name is htf_fib.entry.long_min_level.": {
            "htf_fib": {"entry": {"long_max_level": 0.5}}
        },
        "gates.cool: there is no such setting": {"gates": {"cool": 3}},
        "exit.exit_conf_threshold: read by variant E": {"exit": {"exit_conf_threshold": 0.2}},
        "exit.break_even_trigger: read by variant E": {"exit": {"break_even_trigger": 0.01}},
        r"BacktestEngine\(htf_exit_config=": {"htf_exit_config": {"partial_1_pct": 0.1}},
    }.items():
        with pytest.raises(UnreadSettingError, match=text):
            engine.run(configs=configs)
    with pytest.warns(UserWarning, match="configs: nothing reads invalid_key"):
        engine.run(configs={"invalid_key": 1})
    use_quirks(GenesisQuirks(variant="E"))
    engine.run(configs={"exit": {"break_even_trigger": 0.01, "exit_conf_threshold": 0.2}})
    use_quirks(GenesisQuirks(strict=False))
    with pytest.warns(UserWarning, match="nothing reads gates.cool"):
        engine.run(configs={"gates": {"cool": 3}})


def yaml_file(root: Path, strategy: str, **runs: Any) -> Path:
    grid = {"type": "grid", "values": [0.3, 0.35, 0.45, 0.99, 2.0]}
    if strategy == "optuna":
        grid = {"type": "float", "low": 0.25, "high": 0.5, "step": 0.05}
    text = {
        "meta": {
            "symbol": "tX",
            "timeframe": "1h",
            "snapshot_id": "tX_1h_2020-03-01_2020-04-01_v1",
            "warmup_bars": 60,
            "runs": {"strategy": strategy, **runs},
        },
        "parameters": {
            "thresholds": {
                "entry_conf_overall": grid,
                "regime_proba": {"type": "fixed", "value": {"balanced": 0.3}},
            },
            "risk": {"risk_map_deltas": {"conf_0": {"type": "fixed", "value": -0.3}}},
        },
        "constraints": {"min_trades": 1},
    }
    path = root / "search.yaml"
    path.write_text(json.dumps(text))  # YAML holds JSON
    return path


def without_times(results: list[Any]) -> list[Any]:
    times = ("duration_seconds", "attempt_durations", "from_cache", "reason", "skipped")
    times += ("results_path",)  # its name has the second in which it was written
    return [{k: v for k, v in one.items() if k not in times} for one in results]


def test_grid_search_with_one_and_two_workers(
    own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(own_project)
    path = yaml_file(own_project, "grid")
    one = run_optimizer(path, run_id="one")
    monkeypatch.setenv("GENESIS_MAX_CONCURRENT", "2")
    two = run_optimizer(path, run_id="two")
    assert without_times(one) == without_times(two)
    for folder in ("one", "two"):
        path_of = own_project / "results" / "hparam_search" / folder
        saved = [json.loads(file.read_text()) for file in sorted(path_of.glob("trial_???.json"))]
        assert without_times(saved) == without_times(one)
    assert one[3]["reason"] == "zero_trade_preflight"
    assert one[4]["reason"] == "zero_trade_preflight"
    found = summary.summarize_run("one")
    assert found["counts"]["total"] == 5 and found["meta"]["run_id"] == "one"
    monkeypatch.setenv("GENESIS_MAX_CONCURRENT", "many")
    with pytest.raises(ArgumentError, match="GENESIS_MAX_CONCURRENT"):
        run_optimizer(path, run_id="three")
    with pytest.raises(ArgumentError, match="run_id must be a name, not a path: got '../one'"):
        run_optimizer(path, run_id="../one")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ("meta.runs.max_trials", "a", "max_trials must be a whole number"),
        ("meta.runs.max_concurrent", "x", "max_concurrent must be a whole number"),
        ("meta.warmup_bars", "x", "warmup_bars must be a whole number"),
        ("parameters", [1], "parameters: expected a table"),
        ("parameters.thresholds.entry_conf_overall", {"type": "grid", "values": []}, "grid needs"),
        ("parameters.thresholds.entry_conf_overall", {"type": "float", "low": 0}, "optuna takes"),
        ("constraints.min_trades", "x", "constraints.min_trades must be a number"),
    ],
)
def test_bad_search_files(own_project: Path, keys: str, value: Any, message: str) -> None:
    project(own_project)
    path = yaml_file(own_project, "grid")
    text = json.loads(path.read_text())
    *above, last = keys.split(".")
    table = text
    for name in above:
        table = table[name]
    table[last] = value
    path.write_text(json.dumps(text))
    with pytest.raises(ArgumentError, match=message):
        run_optimizer(path, run_id="one")


def test_files_of_trials_in_the_old_layout(own_project: Path) -> None:
    """Those of the best trial, or of all: the files of the command with its configuration."""
    project(own_project)
    results, backtests = own_project / "results", own_project / "results" / "backtests"
    found = run_optimizer(yaml_file(own_project, "grid"), run_id="one")
    ran = [one for one in found if "skipped" not in one]
    assert [one["log"] for one in ran] == [f"{one['trial_id']}.log" for one in ran]
    log = (results / "hparam_search" / "one" / "trial_001.log").read_text()
    assert f"Score: {ran[0]['score']['score']:.4f}" in log and "[NOTE] quirk htf" in log
    saved = [one for one in ran if one["results_path"]]
    valid = [one for one in ran if one["constraints"]["ok"] and not one["score"]["hard_failures"]]
    best = max(valid, key=lambda one: one["score"]["score"], default=None)
    assert saved == ([] if best is None else [best])

    yaml = yaml_file(own_project, "grid", save_results=True)
    found = run_optimizer(yaml, run_id="two")
    for one in found:
        if "skipped" in one:
            continue
        file = backtests / one["results_path"]
        assert json.loads(file.read_text())["score"]["score"] == one["score"]["score"]
    names = [one["results_path"] for one in found if "skipped" not in one]
    assert len(set(names)) == len(names) == 3
    before = 0 if best is None else 1
    assert len(list(backtests.glob("tX_1h_equity_*.csv"))) == 3 + before
    assert any((results / "trades").glob("tX_1h_trades_*.csv"))


LOST = """
import json, os, signal, sys
from marketsim.legacy.genesis import use_root
from marketsim.legacy.genesis.optimizer import runner

use_root(sys.argv[1])
original, parent = runner.backtest_trial, os.getpid()

def killed(trial, index, *rest, **more):
    if index == 8 and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(trial, index, *rest, **more)

runner.backtest_trial = killed
found = runner.run_optimizer(sys.argv[2], run_id="one")
open(sys.argv[1] + "/found.json", "w").write(json.dumps(found))
"""


def test_a_lost_process_fails_its_trial_alone(own_project: Path) -> None:
    """In a process without torch, beside which trials run in threads."""
    project(own_project)
    path = yaml_file(own_project, "grid", max_concurrent=2)
    text = json.loads(path.read_text())
    values = [0.3 + k / 100 for k in range(24)]
    text["parameters"]["thresholds"]["entry_conf_overall"]["values"] = values
    path.write_text(json.dumps(text))
    command = [sys.executable, "-c", LOST, str(own_project), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((own_project / "found.json").read_text())
    failed = [one["trial_id"] for one in found if "error" in one]
    assert "trial_008" in failed and set(failed) <= {"trial_008", "trial_009"}
    assert "signal 9" in found[7]["error"] and len(found) == 24
    again = run_optimizer(path, run_id="one")
    ran = [one["trial_id"] for one in again if "reason" not in one]
    assert ran == failed
    alone = run_optimizer(path, run_id="whole")
    assert [one["score"] for one in again] == [one["score"] for one in alone]


KILLED = """
import sys, time
from marketsim.legacy.genesis import use_root
from marketsim.legacy.genesis.optimizer import runner, trials

use_root(sys.argv[1])
original = runner.backtest_trial

def slow(*args, **more):
    time.sleep(0.03)
    found = original(*args, **more)
    print("done", flush=True)
    return found

runner.backtest_trial = trials.backtest_trial = slow
runner.run_optimizer(sys.argv[2], run_id="one")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_search_loses_at_most_its_running_trials(own_project: Path, workers: int) -> None:
    project(own_project)
    path = yaml_file(own_project, "grid", max_concurrent=workers)
    text = json.loads(path.read_text())
    values = [0.3 + k / 1000 for k in range(400)]
    text["parameters"]["thresholds"]["entry_conf_overall"]["values"] = values
    path.write_text(json.dumps(text))
    command = [sys.executable, "-c", KILLED, str(own_project), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        done = 5 + process.stdout.read().count(b"done")  # ends when the workers have ended
    kept = load_existing_trials(own_project / "results" / "hparam_search" / "one")
    assert done - workers <= len(kept) <= done + workers and len(kept) < 400
    text["parameters"]["thresholds"]["entry_conf_overall"]["values"] = values[:60]
    path.write_text(json.dumps(text))
    found = run_optimizer(path, run_id="one")
    states = [one.get("reason") for one in found]
    assert states.count("already_completed") == min(len(kept), 60)
    assert not any("error" in one for one in found)


def test_a_failing_trial_is_recorded_and_the_search_goes_on(own_project: Path) -> None:
    project(own_project)
    path = yaml_file(own_project, "grid")
    text = json.loads(path.read_text())
    text["parameters"]["thresholds"]["entry_conf_overall"]["values"] = [-1.0, 0.3]
    path.write_text(json.dumps(text))
    bad, good = run_optimizer(path, run_id="one")
    assert "expected 0 to 1, got -1.0" in bad["error"] and "error" not in good
    assert summary.summarize_run("one")["counts"]["failed"] == 1


def test_optuna_suggests_what_a_direct_loop_does(own_project: Path) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    project(own_project)
    sampler = {"name": "tpe", "kwargs": {"seed": 7, "n_startup_trials": 2}}
    path = yaml_file(
        own_project, "optuna", max_trials=8, optuna={"sampler": sampler, "pruner": "none"}
    )
    results = run_optimizer(path, run_id="study")
    values = {r["trial_id"]: -1e6 if r.get("skipped") else r["score"]["score"] for r in results}
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            multivariate=True, constant_liar=True, n_ei_candidates=48, seed=7, n_startup_trials=2
        ),
    )
    for result in results:
        asked = study.ask()
        value = asked.suggest_float("thresholds.entry_conf_overall", 0.25, 0.5, step=0.05)
        chosen = result["parameters"]["thresholds"]["entry_conf_overall"]
        assert chosen == round(round(value / 0.05) * 0.05, 2)
        constrained = not (result.get("constraints") or {"ok": True})["ok"]
        study.tell(asked, values[result["trial_id"]] - (1000 if constrained else 0))
    keys = [trial_key(r["parameters"]) for r in results]
    ran = [r for r in results if not r.get("skipped")]
    assert len(ran) == len(set(keys)) < len(results)  # a duplicate costs no backtest
    meta = json.loads((own_project / "results/hparam_search/study/run_meta.json").read_text())
    assert meta["optuna"]["n_trials"] == 8
    assert meta["optuna"]["diagnostics"]["duplicate_count"] == len(results) - len(ran)
    guard = NoDupeGuard(str(own_project / "results/hparam_search/study/_dedup.db"))
    assert guard.seen(param_signature(ran[0]["parameters"]))


def test_a_search_without_an_end_is_refused(own_project: Path) -> None:
    pytest.importorskip("optuna")
    project(own_project)
    with pytest.raises(ArgumentError, match="would never end"):
        run_optimizer(yaml_file(own_project, "optuna"), run_id="x")


def payload(score: float, trial_id: str = "trial_001") -> dict[str, Any]:
    return {
        "trial_id": trial_id,
        "parameters": {"a": score},
        "score": {"score": score, "metrics": {}, "hard_failures": []},
        "constraints": {"ok": True, "reasons": []},
    }


def test_no_nan_becomes_or_blocks_a_champion(own_project: Path) -> None:
    manager = ChampionManager()
    assert candidate_of(payload(NAN)) is None
    good = candidate_of(payload(1.0))
    assert good is not None
    names = {"symbol": "tX", "timeframe": "1h", "run_id": "r", "git_commit": "c"}
    manager.write_champion(candidate=good, snapshot_id="s", **names)
    path = manager.champions_dir / "tX_1h.json"
    text = json.loads(path.read_text())
    path.write_text(json.dumps({**text, "score": NAN}))
    current = manager.load_current("tX", "1h")
    assert current is not None and manager.should_replace(current, good)
    manager.write_champion(candidate=good, snapshot_id="s", **names)
    assert len(list((manager.champions_dir / "backup").iterdir())) == 1
    assert not manager.should_replace(manager.load_current("tX", "1h"), good)


def test_a_promoted_champion_is_loaded(own_project: Path) -> None:
    from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader

    good = candidate_of(payload(1.0))
    assert good is not None
    ChampionManager().write_champion(
        symbol="tX", timeframe="1h", candidate=good, run_id="r", git_commit="", snapshot_id=""
    )
    assert ChampionLoader().load_cached("tX", "1h").config == {"a": 1.0}


@needs_golden
def test_recorded_summary(own_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own_project / "results" / "hparam_search" / "synth"
    shutil.copytree(FOLDER / "summarize_run" / "run_dir", run)
    expected = json.loads((FOLDER / "summarize_run" / "summary.json").read_text())
    use_quirks(GenesisQuirks(count_config_files=True))
    found = summary.summarize_run("synth")
    for key, value in expected.items():
        if key not in ("run_dir", "_cache_mtime"):
            assert same(found[key], value), key
    summary._print_summary(found, top_n=3)
    printed = capsys.readouterr().out.replace(str(run), "<run_dir>")
    assert printed.strip() == (FOLDER / "summarize_run" / "summary_print.txt").read_text().strip()
    use_quirks(GenesisQuirks())
    configs = len(list(run.glob("trial_*_config.json")))
    counts = summary.summarize_run("synth")["counts"]
    assert counts["total"] == expected["counts"]["total"] - configs


def test_whatever_is_done_with_a_summary_leaves_the_next_alone(own_project: Path) -> None:
    run = own_project / "results" / "hparam_search" / "r"
    for k in range(3):
        write_json(run / f"trial_{k:03d}.json", payload(k / 2, f"trial_{k:03d}"))
        os.utime(run / f"trial_{k:03d}.json", (1_600_000_000, 1_600_000_000))
    expected = json.dumps(summary.summarize_run("r", use_cache=False))
    uses: list[Any] = [
        lambda found: found["trials"],
        lambda found: found.get("trials"),
        lambda found: found.pop("trials"),
        lambda found: found.setdefault("trials", []),
        lambda found: (found | {})["trials"],
        lambda found: ({} | found)["trials"],
        lambda found: {**found}["trials"],
        lambda found: dict(found)["trials"],
        lambda found: found.copy()["trials"],
        lambda found: copy.copy(found)["trials"],
        lambda found: copy.deepcopy(found)["trials"],
        lambda found: pickle.loads(pickle.dumps(found))["trials"],  # noqa: S301
        lambda found: next(v for k, v in found.items() if k == "trials"),
        lambda found: [*found.values()][list(found).index("trials")],
        lambda found: [found.popitem()[1] for _ in range(len(found))],
    ]
    for use in uses:
        for _ in range(2):
            taken = use(summary.summarize_run("r"))
            taken[0 if isinstance(taken[0], dict) else -1] = "mine"
            for part in taken:
                if isinstance(part, dict | list):
                    part.clear()
        assert json.dumps(summary.summarize_run("r")) == expected


def test_a_file_edited_again_in_the_same_tick_is_read_again(
    own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = own_project / "results" / "hparam_search" / "r"
    path = run / "trial_001.json"
    write_json(path, payload(1.0))
    tick = time.time_ns()
    os.utime(path, ns=(tick, tick))
    monkeypatch.setattr(time, "time_ns", lambda: tick + 1_000_000)
    assert summary.summarize_run("r")["best_trial"]["score"] == 1.0
    with path.open("r+") as file:  # the same size, file and time
        file.write(json.dumps(payload(2.0), indent=2))
    os.utime(path, ns=(tick, tick))
    assert summary.summarize_run("r")["best_trial"]["score"] == 2.0


def test_an_edit_reads_the_edited_trials_alone(
    own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = own_project / "results" / "hparam_search" / "r"
    paths = [run / f"trial_{k:03d}.json" for k in range(6)]
    for k, path in enumerate(paths):
        write_json(path, payload(k / 2, path.stem))
        os.utime(path, (1_600_000_000, 1_600_000_000))
    summary.summarize_run("r")
    read: list[str] = []
    reads = summary.read_trial
    monkeypatch.setattr(
        summary, "read_trial", lambda path: read.append(Path(path).stem) or reads(path)
    )
    for score in (50.0, 60.0, NAN):  # edited now: read again whenever asked
        paths[2].write_text(json.dumps(payload(score, "trial_002")))
        for _ in range(2):
            read.clear()
            found = summary.summarize_run("r")
            assert read == ["trial_002"]
            assert json.dumps(found) == json.dumps(summary.summarize_run("r", use_cache=False))
            found["trials"].clear()
    paths[3].unlink()
    write_json(run / "trial_009.json", payload(9.0, "trial_009"))
    (run / "trial_001.json").write_text("{")
    read.clear()
    found = summary.summarize_run("r")
    assert read == ["trial_001", "trial_002", "trial_009"] and found["counts"]["total"] == 5
    for path in run.iterdir():
        os.utime(path, (1_600_000_001, 1_600_000_001))
    whole = summary.summarize_run("r")
    read.clear()
    assert summary.summarize_run("r") == whole and read == []


def test_a_summary_is_never_stale_nor_shared(own_project: Path) -> None:
    run = own_project / "results" / "hparam_search" / "r"
    for k, score in enumerate((NAN, 0.5, 0.7)):
        write_json(run / f"trial_{k:03d}.json", payload(score, f"trial_{k:03d}"))
    first = summary.summarize_run("r")
    assert first["best_trial"]["score"] == 0.7 and first["counts"]["valid"] == 2
    assert summary.invalid_scores(first) == ["trial_000: score nan"]
    first["trials"][0]["trial_id"] = "mine"
    first["best_trial"]["score"] = 5.0
    again = summary.summarize_run("r")
    assert again["best_trial"]["score"] == 0.7 and again["trials"][0]["trial_id"] == "trial_000"
    assert dict(again)["counts"]["total"] == 3 and again == summary.summarize_run("r", False)
    path = run / "trial_001.json"
    path.write_text(json.dumps(payload(99.0, "trial_001")))
    assert summary.summarize_run("r")["best_trial"]["score"] == 99.0
    path.unlink()
    assert summary.summarize_run("r")["counts"]["total"] == 2
    with pytest.raises(FileNotFoundError, match="Run directory not found"):
        summary.summarize_run("nothing")
    (run / "run_meta.json").write_text("{")
    with pytest.raises(ValueError, match="Invalid JSON"):
        summary.summarize_run("r")


@needs_golden
def test_recorded_grid(own_project: Path) -> None:
    run = FOLDER / "optimizer_run_grid"
    runs = manifest()["runs"].items()
    names = [n for n, info in runs if (info["variant"], info["timeframe"]) == ("E", "1h")]
    if not run.is_dir() or not names:
        pytest.skip("no recorded search of variant E")
    info, text = manifest()["runs"][names[0]], recorded(names[0])[1]
    meta = json.loads((run / "run_meta.json").read_text())["raw_meta"]
    symbol, timeframe = meta["symbol"], meta["timeframe"]
    write_candles(own_project, symbol, timeframe, inputs(info["input"]))
    write_candles(own_project, symbol, "1D", inputs(info["daily"]))
    own = {k: text["config_seen_by_decide"][k] for k in ("htf_fib", "ltf_fib")}
    write_champion(own_project, symbol, timeframe, own)
    write_model(own_project, symbol, timeframe, text["model"])
    use_quirks(GenesisQuirks(variant="E", strict=False))
    for path in sorted(run.glob("trial_???.json")):
        expected = json.loads(path.read_text())
        cfg = json.loads((run / f"{path.stem}_config.json").read_text())["cfg"]
        seen = {k: v for k, v in cfg.items() if k in validate({})}
        write_json(own_project / "config" / "runtime.json", {"version": 1, "cfg": seen})
        one = TrialConfig(
            meta["snapshot_id"],
            symbol,
            timeframe,
            meta["warmup_bars"],
            {k: v for k, v in expected["parameters"].items() if k != "ltf_fib"},
            meta["runs"]["sample_start"],
            meta["runs"]["sample_end"],
        )
        found = run_trial(
            one,
            run_id="g",
            index=1,
            run_dir=own_project / "g",
            allow_resume=False,
            existing_trials={},
            constraints_cfg={"min_trades": 1, "min_profit_factor": 0.6, "max_max_dd": 0.5},
        )
        wanted = {k: expected["score"][k] for k in ("score", "metrics", "hard_failures")}
        assert same({k: found["score"][k] for k in wanted}, wanted, 1e-12)
        assert same(found["constraints"], expected["constraints"], 1e-12)
    assert ground_of(one).digest
