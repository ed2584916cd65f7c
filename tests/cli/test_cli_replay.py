"""marketsim replay: its range of dates, its parameters, and what a strategy does wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.cli import main
from marketsim.replay import replay
from marketsim.replay.rules import sma_cross

RULE = """
import numpy as np

def signals(bars, fast=5, slow=15):
    from marketsim.replay.rules import sma_cross
    return sma_cross(bars, fast, slow)

def raises(bars):
    return bars.no_such_thing

def nothing(bars):
    return None

def sized(bars):
    up = bars.close > bars.open
    return {"entries": up, "exits": ~up, "size": np.linspace(0.1, 0.9, len(bars))}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random_bars(400, seed=4).frame.to_csv(tmp_path / "X.csv")
    (tmp_path / "mine.py").write_text(RULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *words: str) -> dict:
    assert main(["replay", "X.csv", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("direction", ["long", "short", "both"])
def test_a_range_of_dates_is_a_replay_of_those_bars(folder, capsys, direction) -> None:
    """Indicators know the bars before; nothing trades before the range or after it."""
    whole = ms.read_bars(folder / "X.csv")
    index = whole.frame.index
    words = ("--params", "fast=5", "slow=15", "--direction", direction)
    dates = ("--start", str(index[100].date()), "--end", str(index[299].date()))
    found = answer(capsys, *words, *dates)
    flags = [x[100:300] for x in sma_cross(whole, 5, 15)]
    expected = replay(ms.Bars(whole.frame.iloc[100:300], "X"), *flags, direction=direction)
    assert found["bars"] == 200
    assert found["metrics"] == {
        k: None if np.isnan(v) else v for k, v in expected.metrics.items()
    }  # fmt: skip
    assert found["metrics"]["trades"] > 3
    assert main(["replay", "X.csv", *words, *dates, "--trades", "t.csv", "--report", "r.html"]) == 0
    assert str(index[99].date()) not in (folder / "t.csv").read_text()


def test_sizes_a_bar_are_cut_to_the_range(folder, capsys) -> None:
    index = ms.read_bars(folder / "X.csv").frame.index
    found = answer(capsys, "--strategy", "mine.py:sized", "--start", str(index[200].date()))
    assert found["bars"] == 200 and found["metrics"]["trades"] > 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--params", "fas=3"), "unknown parameter 'fas'"),
        (("--params", "fast=30", "slow=20"), "fast must be below slow"),
        (("--strategy", "mine.py:signals", "--params", "low=3"), "unknown parameter 'low'"),
        (("--strategy", "mine.py:raises"), "mine.py:raises raised AttributeError"),
        (("--strategy", "mine.py:nothing"), "must return (entries, exits)"),
        (("--start", "2190-01-01"), "no bar lies from 2190-01-01 to the last"),
        (("--start", "soon"), "a date such as 2015-01-31 is expected"),
    ],
)
def test_errors_say_what_is_wrong(folder, capsys, words, says) -> None:
    assert main(["replay", "X.csv", *words]) == 2
    error = capsys.readouterr().err
    assert says in error and "internal error" not in error
