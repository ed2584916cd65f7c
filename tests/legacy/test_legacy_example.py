"""The example runs on bars of two symbols; the wheel test runs it on an installed wheel."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from marketsim.legacy.install import MODULES

EXAMPLE = Path(__file__).parents[2] / "examples" / "trading_loop.py"


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    found = subprocess.run(
        [sys.executable, EXAMPLE, *arguments], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"TOTO_MODEL_ID": "ewma"},
    )  # fmt: skip
    assert "Traceback" not in found.stderr
    return found.returncode, found.stdout, found.stderr


def write_bars(folder: Path, symbol: str, rows: int) -> None:
    draw = np.random.default_rng(rows)
    close = 100 * np.exp(draw.normal(0, 0.02, rows).cumsum())
    frame = pd.DataFrame(
        {"Open": close, "High": close * 1.02, "Low": close * 0.98, "Close": close, "Volume": 1.0},
        index=pd.date_range("2024-01-01", periods=rows, name="date"),
    )
    folder.mkdir(exist_ok=True)
    frame.to_csv(folder / f"{symbol}.csv")


def test_orders(tmp_path: Path) -> None:
    write_bars(tmp_path / "bars", "AAPL", 120)
    write_bars(tmp_path / "bars", "BTCUSD", 130)
    code, out, err = run(
        tmp_path, "bars", "AAPL", "BTCUSD", "NONE", "--simulations", "20", "--output", "o.json"
    )
    assert (code, out) == (2, "") and "NONE: unknown symbol" in err
    found = json.loads((tmp_path / "o.json").read_text())
    assert list(found["skipped"]) == ["NONE"]
    aapl, btc = found["orders"]
    assert aapl["as_of"].startswith("2024-04-29")  # the last row of 120
    assert (aapl["close_policy"], btc["close_policy"]) == ("KEEP_OPEN", "INSTANT_CLOSE")
    assert (aapl["fee"], btc["fee"]) == (0.0005, 0.0015)
    for order in (aapl, btc):
        averages = order["average_daily_returns"]
        assert averages[order["strategy"]] == max(averages.values())
        assert order["simulations"] == 20
        assert ("entry" in order) == (order["kind"] == "limit")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bars", "o.json"]  # no logs, no parts


def test_it_imports_old_names_only_after_one_line() -> None:
    modules = set()
    for node in ast.walk(ast.parse(EXAMPLE.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    ours = {name for name in modules if name not in sys.stdlib_module_names}
    assert ours == {"marketsim.legacy", "backtest_test3_inline", "loss_utils"}
    assert ours - {"marketsim.legacy"} <= set(MODULES)
