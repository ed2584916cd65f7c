"""Runs in one table, with a paired test of their daily returns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.cli import main

MODELS = ("ewma", "persistence", "range")


@pytest.fixture(scope="module")
def results() -> dict[str, ms.WalkForwardResult]:
    options = {"simulations": 40, "strategies": ["simple", "high_low"], "store": False}
    return {m: ms.walk_forward(ms.demo_bars(), m, progress=False, **options) for m in MODELS}


def test_figures_are_those_of_the_runs(results: dict[str, ms.WalkForwardResult]) -> None:
    found = ms.compare(results)
    table = found.frame.set_index(["strategy", "run"])
    assert len(table) == 3 * 2  # no baselines
    for name, result in results.items():
        own = result.summary().strategies
        for strategy in ("simple", "high_low"):
            row = table.loc[(strategy, name)]
            for figure in ("total_return", "sharpe", "max_drawdown", "trades"):
                np.testing.assert_equal(row[figure], own.loc[strategy, figure])
            net, base = result.returns[strategy], results["ewma"].returns[strategy]
            if name == "ewma":
                assert np.isnan(row["difference_bps"]) and np.isnan(row["p_value"])
                continue
            assert row["difference_bps"] == pytest.approx(float((net - base).mean()) * 1e4)
    ends = [curve.iloc[-1] - 1.0 for curve in found.equity]
    assert ends == pytest.approx(found.frame["total_return"].tolist())
    assert max(map(len, str(found).splitlines())) <= 80


def test_the_test_is_paired_by_day(results: dict[str, ms.WalkForwardResult]) -> None:
    """A run that is better by the same amount each day is found; another period gives no p."""

    class Shifted:
        def __init__(self, of: ms.WalkForwardResult, by: pd.Series) -> None:
            self.returns = of.returns.add(by, axis=0)
            self.summary = of.summary

    ewma = results["ewma"]
    noise = np.random.default_rng(0).normal(0.002, 0.0005, len(ewma.returns))
    better = Shifted(ewma, pd.Series(noise, ewma.returns.index))
    later = Shifted(ewma, pd.Series(noise, ewma.returns.index))
    later.returns = later.returns.shift(1, freq="D")
    table = ms.compare({"a": ewma, "b": better, "c": later}).frame.set_index(["strategy", "run"])
    assert table.loc[("simple", "b"), "p_value"] < 1e-6
    assert table.loc[("simple", "b"), "difference_bps"] == pytest.approx(noise.mean() * 1e4)
    assert np.isnan(table.loc[("simple", "c"), "p_value"])


def test_what_cannot_be_compared(results: dict[str, ms.WalkForwardResult]) -> None:
    with pytest.raises(ms.ArgumentError, match="at least two runs: got 1"):
        ms.compare({"ewma": results["ewma"]})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["backtest", "demo", "--simulations", "20", "--strategies", "simple", "--quiet"]
    page = tmp_path / "c.html"
    assert main([*command, "--model", "ewma", "range", "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert "differences against ewma" in out and out.count("simple") == 2
    assert "simple (range)" in page.read_text()
    assert main([*command, "--model", "ewma", "range", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["runs"]) == ["ewma", "range"] and len(found["comparison"]) == 2
    assert main([*command, "--model", "ewma", "nope"]) == 2
    assert "nope" in capsys.readouterr().err
    assert main([*command, "--model", "ewma", "range", "--ledger", str(tmp_path / "l")]) == 2
