"""Built-in rules and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import marketsim as ms
from marketsim.cli import main
from marketsim.errors import ArgumentError
from marketsim.replay.rules import RULES, crossings, hysteresis, rule_parameters


@pytest.mark.parametrize("name", RULES)
def test_a_rule_reads_nothing_later(name: str) -> None:
    bars = ms.demo_bars()
    rule = RULES[name]
    assert rule_parameters(rule)
    whole = rule(bars)
    assert all(flags.any() for flags in whole)
    for cut in (50, 700, 2001):
        part = rule(ms.Bars(bars.frame.iloc[:cut], "CUT"))
        for some, all_flags in zip(part, whole, strict=True):
            np.testing.assert_array_equal(some, all_flags[:cut])


def test_crossings() -> None:
    risen, fallen = crossings([np.nan, 1.0, 2.0, 3.0, 2.0, 1.0, 2.5], 2.0)
    assert risen.tolist() == [False, False, False, True, False, False, True]
    assert fallen.tolist() == [False, False, False, False, False, True, False]
    with pytest.raises(ArgumentError, match="fast must be below slow"):
        RULES["sma_cross"](ms.demo_bars(), fast=20, slow=20)


def test_hysteresis_holds_between_its_levels() -> None:
    entries, exits = hysteresis([0.0, 1.5, 0.8, np.nan, 1.2, 0.2], 1.0, 0.5)
    assert entries.tolist() == [False, True, False, False, True, False]
    assert exits.tolist() == [True, False, False, False, False, True]
    bars = ms.demo_bars()
    values = np.sin(np.arange(len(bars)) / 20.0)
    found = ms.replay(bars, *hysteresis(values, 0.5, -0.5))
    held = found.position.to_numpy()[:-1] > 0.0  # filled one bar after the decision
    decided = np.zeros(len(bars), bool)
    for t in range(len(bars)):
        decided[t] = values[t] > 0.5 or (t > 0 and decided[t - 1] and values[t] >= -0.5)
    np.testing.assert_array_equal(found.position.to_numpy()[1:] > 0.0, decided[:-1])
    assert held.any()
    with pytest.raises(ArgumentError, match="must not lie above"):
        hysteresis([1.0], 0.0, 1.0)


def test_the_command(tmp_path, capsys) -> None:
    trades = tmp_path / "trades.csv"
    arguments = ["replay", "demo", "--params", "fast=20", "slow=100", "--fee-bps", "10"]
    assert main([*arguments, "--json", "--trades", str(trades)]) == 0
    found = json.loads(capsys.readouterr().out)
    bars = ms.demo_bars()
    entries, exits = RULES["sma_cross"](bars, 20, 100)
    expected = ms.replay(bars, entries, exits, fee_bps=10)
    assert found["metrics"] == expected.to_dict()["metrics"]
    assert len(trades.read_text().splitlines()) == len(expected.trades) + 1
    assert main([*arguments, "--fast-window", "--start", "2010-01-01", "--end", "2012-12-31"]) == 0
    shown = capsys.readouterr()
    assert "--fast-window changes nothing" in shown.err
    assert "total return" in shown.out
    page = tmp_path / "page.html"
    assert main([*arguments, "--precompute-features", "--report", str(page)]) == 0
    shown = capsys.readouterr()
    assert "--precompute-features changes nothing" in shown.err
    html = page.read_text()
    for text in ("sma 20", "sma 100", "buy_and_hold", "long entry", "Round trips"):
        assert text in html


def test_the_command_runs_a_function_of_a_file(tmp_path, capsys) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def signals(bars, gap):\n    up = bars.close > bars.open + gap\n    return up, ~up\n"
    )
    arguments = ["replay", "demo", "--strategy", f"{file}:signals", "--params", "gap=1.5", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["trades"] > 10
    assert main(["replay", "demo", "--strategy", "nonsense"]) == 2
    assert "module:function" in capsys.readouterr().err
    assert main(["replay", "demo", "--strategy", f"{file}:missing"]) == 2
    assert "has no name 'missing'" in capsys.readouterr().err
    assert main(["replay", "demo", "--params", "fast"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err
