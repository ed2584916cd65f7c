"""Old import paths, the commands, files in the old layout, and light imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
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

from marketsim import cli
from marketsim.errors import ArgumentError, FileFormatError, UnknownNameError
from marketsim.legacy.genesis import GenesisQuirks, use_quirks
from marketsim.legacy.genesis import run_backtest as command
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.backtest.walk_forward import run_walk_forward
from marketsim.legacy.genesis.config.runtime import runtime_config, validate
from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader


def program(text: str, folder: Path) -> str:
    environment = {**os.environ, "MARKETSIM_GENESIS_ROOT": str(folder)}
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_old_paths_lead_here(tmp_path: Path) -> None:
    program(
        """
import sys, marketsim.legacy
names = marketsim.legacy.install("genesis", variant="E")
assert marketsim.legacy.install("genesis") == names
from core.backtest.engine import BacktestEngine
from core.strategy.features_asof import extract_features_backtest, _feature_cache
from core.strategy.evaluate import evaluate_pipeline
from core.strategy.decision import decide
from core.strategy.prob_model import predict_proba, predict_proba_for
from core.indicators.ema import calculate_ema
from core.indicators.fibonacci import detect_swing_points
from core.optimizer.runner import run_optimizer, run_trial
from core.optimizer.scoring import score_backtest
from core.optimizer.champion import ChampionManager
from core.backtest.walk_forward import run_walk_forward
from scripts.optimizer import summarize_run
import core.backtest.metrics as metrics
assert calculate_ema([1.0, 2.0], 3) == [1.0, 1.5]
from marketsim.legacy.genesis import current_quirks
assert current_quirks().variant == "E"
assert all(name in sys.modules for name in names)
""",
        tmp_path,
    )


def test_the_page_on_moving_runs(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "migration_genesis.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    assert len(blocks) >= 2
    assert "exit_settings: stop_loss_pct" in program("\n".join(blocks), tmp_path)


def test_what_install_refuses() -> None:
    from marketsim.legacy import install

    with pytest.raises(UnknownNameError, match="genesis"):
        install("genesys")
    with pytest.raises(ArgumentError, match='expected with install\\("genesis"\\)'):
        install("stock", variant="E")
    with pytest.raises(UnknownNameError, match="variant"):
        GenesisQuirks(variant="F")


def test_import_is_light(tmp_path: Path) -> None:
    heavy = ("pandas", "torch", "optuna", "numba", "pyarrow", "yaml", "sqlite3")
    text = "import sys, marketsim.legacy.genesis as g; g.GenesisQuirks()\n"
    text += f"print([name for name in {heavy!r} if name in sys.modules])"
    assert program(text, tmp_path).strip() == "[]"


@pytest.fixture
def project(own_project: Path) -> Path:
    write_candles(own_project, "tX", "1h", random_candles(300, 2))
    write_candles(own_project, "tX", "1D", random_candles(40, 3, step="D"))
    write_champion(own_project, "tX", "1h", random_config(1))
    write_model(own_project, "tX", "1h", random_model(2))
    return own_project


RUN = ["genesis", "run-backtest", "--symbol", "tX", "--timeframe", "1h", "--warmup", "60"]


def test_command_writes_the_old_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*RUN, "--fast-window", "--precompute-features", "--end", "2020-03-12"]) == 0
    out = capsys.readouterr().out
    assert "[SUCCESS] Backtest complete!" in out and "fast_window: accepted" in out
    assert "[NOTE] quirk htf: daily swings come from the whole file" in out
    (path,) = (project / "results" / "backtests").glob("tX_1h_*.json")
    saved = json.loads(path.read_text())
    assert saved["backtest_info"]["end_date"] == "2020-03-12 00:00:00"
    assert {"summary", "trades", "equity_curve", "score"} <= saved.keys()
    assert len(list((project / "results" / "backtests").glob("tX_1h_equity_*.csv"))) == 1
    rows = saved["backtest_info"]["bars_total"]
    with np.load(project / "cache" / "precomputed" / f"tX_1h_{rows}.npz") as file:
        assert len(file["atr_14"]) == rows and "fib_high_idx" in file.files
    assert cli.main([*RUN, "--no-save", "--compare", str(path)]) == 0
    assert "[DIFF] Trades: old=" in capsys.readouterr().out


def test_command_fails_in_words(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = RUN[2:]
    assert command.main(["--symbol", "tNONE", "--timeframe", "1h"]) == 1
    settings = project / "settings.json"
    write_json(settings, {"thresholds": {}})
    assert command.main([*arguments, "--config-file", str(settings)]) == 1
    assert "must contain a 'cfg' dictionary" in capsys.readouterr().err
    write_json(settings, {"cfg": {"thresholds": {"entry_conf_overall": 2.0}}})
    assert command.main([*arguments, "--config-file", str(settings)]) == 1
    text = capsys.readouterr().err
    assert "thresholds.entry_conf_overall: expected 0 to 1, got 2.0" in text
    write_json(settings, {"cfg": {"exit": {"max_hold_bars": 3}, "htf_exit_config": {"x": 1}}})
    assert command.main([*arguments, "--config-file", str(settings)]) == 1
    text = capsys.readouterr().err
    assert "exit.max_hold_bars: no exit looks at the time held" in text
    assert "htf_exit_config.x" in text and "--no-strict" in text
    with pytest.warns(UserWarning, match=r"exit\.max_hold_bars"):
        assert command.main([*arguments, "--config-file", str(settings), "--no-strict"]) == 0


def test_variables(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("GENESIS_FAST_WINDOW", "0")  # any text counts, as in the original
    monkeypatch.setenv("GENESIS_PRECOMPUTE_FEATURES", "1")
    monkeypatch.setenv("GENESIS_RANDOM_SEED", "7")
    monkeypatch.setenv("GENESIS_FAST_HASH", "1")
    assert command.main([*RUN[2:], "--no-save"]) == 0
    out = capsys.readouterr().out
    assert "[SEED] 7" in out and "fast_window: accepted" in out and "precompute" in out
    assert "GENESIS_FAST_HASH: accepted; no result is looked up in a cache" in out
    monkeypatch.setenv("GENESIS_RANDOM_SEED", "x")
    assert command.main([*RUN[2:], "--no-save"]) == 1
    assert "GENESIS_RANDOM_SEED: expected a whole number" in capsys.readouterr().err


def test_summarize_command(
    own_project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = own_project / "results" / "hparam_search" / "r"
    for k in range(3):
        score = {"score": k / 2, "metrics": {"num_trades": k}, "hard_failures": []}
        write_json(
            run / f"trial_{k:03d}.json",
            {"trial_id": f"trial_{k:03d}", "score": score, "constraints": {"ok": True}},
        )
    assert cli.main(["genesis", "optimizer", "summarize", "r", "--top", "2"]) == 0
    out = capsys.readouterr().out
    assert "id: trial_002" in out and "Top 2 trials" in out and "... 1 more" in out
    assert cli.main(["genesis", "optimizer", "summarize", "none"]) == 1
    assert "Run directory not found" in capsys.readouterr().err
    monkeypatch.setenv("GENESIS_OPTIMIZER_JSON_CACHE", "1")
    assert cli.main(["genesis", "optimizer", "summarize", "r"]) == 0
    out = capsys.readouterr().out
    assert "[NOTE] GENESIS_OPTIMIZER_JSON_CACHE: accepted; a file is read as it is now" in out


def test_runtime_configuration(own_project: Path) -> None:
    defaults = validate({})
    assert runtime_config() == defaults
    write_json(
        own_project / "config" / "runtime.seed.json", {"cfg": {"gates": {"cooldown_bars": 2}}}
    )
    assert runtime_config()["gates"] == {"hysteresis_steps": 2, "cooldown_bars": 2}
    write_json(own_project / "config" / "runtime.json", {"cfg": {"htf_fib": {"x": 1}}})
    assert runtime_config() == defaults  # keys that it does not know go
    for cfg, text in (
        ({"gates": {"cooldown_bars": -1}}, "gates.cooldown_bars: expected at least 0"),
        ({"gates": {"cooldown_bars": 1.5}}, "expected a whole number"),
        ({"risk": {"risk_map": [[1]]}}, "risk.risk_map: expected pairs"),
        ({"exit": []}, "exit: expected a table"),
        ({"thresholds": {"signal_adaptation": {"zones": {"low": {}}}}}, "zones.low"),
        ({"ev": {"R_default": "much"}}, "ev.R_default: expected a number"),
    ):
        with pytest.raises(ArgumentError, match=text):
            validate(cfg)


def test_champions_and_baselines(own_project: Path) -> None:
    loader = ChampionLoader()
    assert loader.load_cached("tX", "1h").source == "baseline:absent"
    code = '''
def get_1h_config():
    """One hour."""
    return {"gates": {"cooldown_bars": 3}}  # a comment

def get_timeframe_config(timeframe):
    raise SystemExit("this file is read, never run")
'''
    path = own_project / "config" / "timeframe_configs.py"
    path.parent.mkdir(parents=True)
    path.write_text(code)
    found = loader.load_cached("tX", "1h")
    assert (found.config, found.source) == ({"gates": {"cooldown_bars": 3}}, "baseline:1h")
    assert loader.load_cached("tX", "4h").source == "baseline:fallback_1h"
    champion = own_project / "config" / "strategy" / "champions" / "tX_1h.json"
    write_json(champion, {"cfg": {"parameters": {"ev": {"R_default": 2}}}})
    assert loader.load_cached("tX", "1h").source == "baseline:1h"  # D does not look there
    use_quirks(GenesisQuirks(variant="E"))
    found = loader.load_cached("tX", "1h")
    assert found.config == {"ev": {"R_default": 2}} and len(found.checksum) == 64
    champion.write_text("{")
    with pytest.raises(ValueError, match="expected JSON"):
        loader.load_cached("tX", "1h")


def test_walk_forward_writes_its_periods(project: Path) -> None:
    windows = [("2020-03-01", "2020-03-08"), ("2020-03-06", "2020-03-13")]
    found = run_walk_forward(symbol="tX", timeframe="1h", windows=windows, warmup_bars=60)
    folder = project / "results" / "walk_forward" / found["run_id"]
    saved = json.loads((folder / "summary.json").read_text())
    assert [p["index"] for p in saved["periods"]] == [1, 2]
    period = json.loads((folder / "period_02.json").read_text())
    assert period["walk_forward_info"]["start"] == "2020-03-06"
    with pytest.raises(ValueError, match="no bars of tX 1h 2030"):
        run_walk_forward(symbol="tX", timeframe="1h", windows=[("2030-01-01", "2030-02-01")])


def test_bad_bars_and_numbers_are_refused_by_name(own_project: Path) -> None:
    write_candles(own_project, "tX", "1h", random_candles(120, 3))
    path = own_project / "data" / "curated" / "v1" / "candles" / "tX_1h.parquet"
    whole, frame = path.read_bytes(), pd.read_parquet(path)
    engine = BacktestEngine("tX", "1h", warmup_bars=50)
    for change, text in (
        (frame.assign(close="a"), "close must be numbers"),
        (frame.drop(columns="high"), "candles: 'high' is missing"),
        (frame.drop(columns="timestamp"), "'timestamp' is missing"),
        (frame.iloc[::-1], "timestamps must ascend: row 1, .* is before row 0"),
    ):
        engine.candles_df = change
        with pytest.raises(ArgumentError, match=text):
            engine.run()
    for options, text in (
        ({"initial_capital": float("nan")}, "initial_capital must be above 0"),
        ({"initial_capital": "x"}, "initial_capital must be a number"),
        ({"slippage_rate": 2.0}, "slippage_rate must be a share"),
        ({"warmup_bars": -1}, "warmup_bars must be a whole number"),
        ({"htf_exit_config": {"partial_9_pct": 1.0}}, "nothing reads 'partial_9_pct'"),
    ):
        with pytest.raises(ValueError, match=text):
            BacktestEngine("tX", "1h", **options)
    with pytest.raises(ArgumentError, match="start: expected a date YYYY-MM-DD, got 'garbage'"):
        BacktestEngine("tX", "1h", "garbage").load_data()
    for content in (whole[:300], b"hello"):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"tX_1h.parquet: expected a Parquet file"):
            engine.load_data()
    frame.drop(columns="volume").to_parquet(path)
    with pytest.raises(FileFormatError, match="with timestamp, open, high, low, close, volume"):
        engine.load_data()
    # Times with a zone are those in UTC.
    tokyo = frame.timestamp.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    frame.assign(timestamp=tokyo).to_parquet(path)
    begin = str(frame.timestamp[30])
    aware = BacktestEngine("tX", "1h", begin, warmup_bars=50)
    assert aware.load_data() and aware.candles_df is not None
    assert aware.candles_df.timestamp.tolist() == frame.timestamp[30:].tolist()
    broken = own_project / "broken.json"
    broken.write_text("{")
    assert command.main(["--symbol", "tX", "--timeframe", "1h", "--compare", str(broken)]) == 1
