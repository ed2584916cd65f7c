"""What a user can get wrong: settings that nothing reads, numbers that are none, bad bars."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from genesis_project import (
    random_candles,
    random_config,
    random_model,
    write_candles,
    write_champion,
    write_json,
    write_model,
)

from marketsim.errors import ArgumentError, GenesisWarning, UnknownNameError, UnreadSettingError
from marketsim.legacy.genesis import GenesisQuirks, use_quirks
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.indicators.fibonacci import FibonacciConfig, detect_swing_points
from marketsim.legacy.genesis.optimizer.constraints import enforce_constraints
from marketsim.legacy.genesis.optimizer.runner import run_optimizer
from marketsim.legacy.genesis.strategy.features_asof import (
    extract_features_backtest,
    extract_features_live,
)


@pytest.fixture
def project(own_project: Path) -> Path:
    write_candles(own_project, "tX", "1h", random_candles(300, 2))
    write_champion(own_project, "tX", "1h", random_config(1))
    write_model(own_project, "tX", "1h", random_model(2))
    return own_project


def loaded() -> BacktestEngine:
    engine = BacktestEngine("tX", "1h", warmup_bars=60)
    assert engine.load_data()
    return engine


def search(root: Path, path: str, value: Any) -> Path:
    """A search file with one more setting."""
    table: dict[str, Any] = {
        "meta": {
            "symbol": "tX",
            "timeframe": "1h",
            "snapshot_id": "tX_1h_2020-03-01_2020-03-12_v1",
            "warmup_bars": 60,
            "description": "anything",
            "runs": {"strategy": "grid", "optuna": {"sampler": {"name": "tpe"}}},
        },
        "parameters": {"gates": {"cooldown_bars": {"type": "grid", "values": [1, 2]}}},
        "constraints": {"min_trades": 1, "zone_consistency": {"enforce": True}},
    }
    *above, last = path.split(".")
    inner = table
    for name in above:
        inner = inner.setdefault(name, {})
    inner[last] = value
    out = root / "search.yaml"
    out.write_text(json.dumps(table))
    return out


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("constraint", "constraints"),
        ("use_sample_range", "meta.runs.use_sample_range"),
        ("meta.sample_start", "meta.runs.sample_start"),
        ("meta.max_trials", "meta.runs.max_trials"),
        ("meta.warmup", "meta.warmup_bars"),
        ("meta.runs.max_trial", "meta.runs.max_trials"),
        ("meta.runs.study_name", "meta.runs.optuna.study_name"),
        ("meta.runs.optuna.timeout_second", "meta.runs.optuna.timeout_seconds"),
        ("meta.runs.optuna.sampler.kwarg", "meta.runs.optuna.sampler.kwargs"),
        ("constraints.min_trade", "constraints.min_trades"),
        ("constraints.zone_consistency.allowed", "constraints.zone_consistency.allowed_diff"),
        ("meta.vectorized.use_cache", ""),
    ],
)
def test_settings_of_a_search_file_that_nothing_reads(project: Path, path: str, right: str) -> None:
    file = search(project, path, 1)
    shown = path if right else "meta.vectorized"
    text = f"{shown}: the name is {right}." if right else f"{shown}: there is no such setting"
    with pytest.raises(UnreadSettingError, match=re.escape(f"nothing reads {text}")):
        run_optimizer(file, run_id="r")
    assert not (project / "results" / "hparam_search" / "r").exists()
    use_quirks(GenesisQuirks(strict=False))
    with pytest.warns(GenesisWarning, match=re.escape(f"nothing reads {shown}: ")):
        assert len(run_optimizer(file, run_id="r")) == 2


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ({"type": "grid", "values": [1], "value": 2}, "type grid takes values"),
        ({"type": "fixed", "values": [1]}, "type fixed takes value: got 'values'"),
        ({"type": "fixed"}, "type fixed takes value: got nothing"),
        ({"type": "int", "low": 1, "high": 2, "stp": 1}, "type int takes low, high, step"),
    ],
)
def test_names_that_the_type_of_a_parameter_does_not_read(
    project: Path, leaf: dict[str, Any], text: str
) -> None:
    file = search(project, "parameters.gates.cooldown_bars", leaf)
    with pytest.raises(ArgumentError, match=f"parameter gates.cooldown_bars: {text}"):
        run_optimizer(file, run_id="r")


def test_what_optuna_would_refuse_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    file = search(project, "meta.runs.max_trials", 1)
    table = json.loads(file.read_text())
    table["meta"]["runs"] |= {"strategy": "optuna", "optuna": {"direction": "maximise"}}
    file.write_text(json.dumps(table))
    with pytest.raises(UnknownNameError, match="unknown direction 'maximise'"):
        run_optimizer(file, run_id="r")
    for part in ("sampler", "pruner"):
        table["meta"]["runs"]["optuna"] = {part: {"kwargs": {"sede": 1}}}
        file.write_text(json.dumps(table))
        with pytest.raises(ArgumentError, match=rf"optuna\.{part}\.kwargs: .*'sede'"):
            run_optimizer(file, run_id="r")
    table["meta"]["runs"]["optuna"] = {}
    file.write_text(json.dumps(table))
    monkeypatch.setenv("OPTUNA_MAX_DUPLICATE_STREAK", "x")
    with pytest.raises(ArgumentError, match="OPTUNA_MAX_DUPLICATE_STREAK: expected a whole"):
        run_optimizer(file, run_id="r")


def test_settings_that_are_left_out_are_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(run_optimizer(search(project, "meta.runs.max_attempts", 3), run_id="r")) == 2
    assert "[NOTE] meta.runs.max_attempts: accepted; a trial that fails" in capsys.readouterr().out


def test_constraints_that_nothing_reads() -> None:
    score = {"score": 1.0, "metrics": {"num_trades": 3}, "hard_failures": []}
    with pytest.raises(UnreadSettingError, match=r"min_trade: the name is constraints\.min_trades"):
        enforce_constraints(score, {}, constraints_cfg={"min_trade": 10})
    with pytest.raises(UnreadSettingError, match="max_dd"):
        enforce_constraints(score, {"constraints": {"max_dd": 0.1}})


NAN = float("nan")


@pytest.mark.parametrize(
    ("path", "config"),
    [
        ("thresholds.entry_conf_overall", {"thresholds": {"entry_conf_overall": NAN}}),
        ("thresholds.regime_proba.bull", {"thresholds": {"regime_proba": {"bull": NAN}}}),
        ("risk.risk_map", {"risk": {"risk_map": [[0.3, NAN]]}}),
    ],
)
def test_no_setting_is_nan(project: Path, path: str, config: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"configs: {path}: expected a number, got NaN"):
        loaded().run(configs=config)
    write_champion(project, "tX", "1h", config)
    with pytest.raises(ArgumentError, match=rf"tX_1h\.json: {path}: expected a number, got NaN"):
        loaded().run()


@pytest.mark.parametrize("value", [NAN, float("inf")])
@pytest.mark.parametrize("name", ["w", "b", "calib"])
def test_no_number_of_a_model_is_nan(project: Path, name: str, value: float) -> None:
    model = random_model(2)
    wrong = {"w": [value, *model["sell"]["w"][1:]], "b": value, "calib": {"a": value, "b": 0.0}}
    model["sell"][name] = wrong[name]
    model.pop("calibration_by_regime", None)
    write_json(project / "config" / "models" / "tX_1h.json", model)
    with pytest.raises(ArgumentError, match="calibration of sell: expected finite numbers"):
        loaded().run()


@pytest.mark.parametrize("price", [NAN, float("inf"), 0.0, -5.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_without_a_price_are_reported(project: Path, price: float) -> None:
    engine = loaded()
    assert engine.candles_df is not None
    engine.candles_df = engine.candles_df.copy()
    engine.candles_df.loc[[150, 170], "high"] = price
    with pytest.warns(GenesisWarning, match="2 of 300 rows have a price .* first is row 150"):
        engine.run()


def test_bars_without_a_time_are_refused(project: Path) -> None:
    engine = loaded()
    assert engine.candles_df is not None
    engine.candles_df = engine.candles_df.copy()
    engine.candles_df.loc[5, "timestamp"] = pd.NaT
    with pytest.raises(ArgumentError, match="row 5 has no timestamp"):
        engine.run()


def test_a_second_run_of_an_engine_begins_anew(project: Path) -> None:
    low = {"thresholds": {"entry_conf_overall": 0.2, "regime_proba": {"balanced": 0.2}}}
    low["risk"] = {"risk_map": [[0.1, 0.02]]}  # type: ignore[dict-item]
    write_champion(project, "tX", "1h", low)
    engine = loaded()
    first, second = engine.run(), engine.run()
    assert len(first["trades"]) > 3 and first == second


def test_few_bars(project: Path) -> None:
    engine = loaded()
    frame = engine.candles_df
    assert frame is not None
    for rows, processed in ((0, 0), (1, 0), (60, 0), (61, 1)):
        engine.candles_df = frame.iloc[:rows]
        found = engine.run()
        assert len(found["equity_curve"]) == found["backtest_info"]["bars_processed"] == processed
        assert found["summary"]["final_capital"] == 10000.0 or found["trades"]


def test_arguments_of_other_kinds(project: Path) -> None:
    engine = loaded()
    configs: Any = [1]
    with pytest.raises(ArgumentError, match=r"configs: expected a table of settings, got \[1\]"):
        engine.run(configs=configs)
    window = engine._build_candles_window(250)
    row: Any = 60.5
    with pytest.raises(ArgumentError, match="asof_bar must be a whole number, got 60.5"):
        extract_features_backtest(window, row)
    assert extract_features_backtest(window, np.int64(60))[0]  # type: ignore[arg-type]
    nothing: Any = None
    with pytest.raises(ArgumentError, match="expected a table with close, got None"):
        extract_features_live(nothing)
    with pytest.raises(ArgumentError, match=r"must have one length: got \[2, 1, 2\]"):
        detect_swing_points([1.0, 2.0], [1.0], [1.0, 2.0], FibonacciConfig())
