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


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A folder of three symbols; one has other days, one file is no table."""
    folder = tmp_path / "bars"
    folder.mkdir()
    for i, rows in enumerate((slice(0, 300), slice(50, 300), slice(0, 200))):
        random_bars(300, seed=i).frame.iloc[rows].to_csv(folder / f"S{i}.csv")
    return folder


def test_a_folder_has_a_page_a_symbol_and_one_of_all(several, tmp_path, capsys) -> None:
    pages = tmp_path / "pages"
    words = ["replay", str(several), "--params", "fast=5", "slow=15", "--quiet"]
    assert main([*words, "--report", str(pages)]) == 0
    assert f"reports: {pages / 'index.html'}" in capsys.readouterr().out
    index = (pages / "index.html").read_text()
    total = 0.0
    for i in range(3):
        assert f'href="S{i}.html"' in index
        assert 'href="index.html"' in (pages / f"S{i}.html").read_text()
        bars = ms.read_bars(several / f"S{i}.csv")
        total += replay(bars, *sma_cross(bars, 5, 15)).metrics["final_equity"]
    assert f"{total / 30_000.0 - 1.0:+.2%}" in index
    assert 'href="portfolio.html"' in index
    together = (pages / "portfolio.html").read_text()
    assert "buy_and_hold" in together and "the sum of 3 accounts" in together
    assert main([*words, "--report", str(pages)]) == 0  # its own pages are replaced


def test_pages_do_not_depend_on_the_number_of_processes(several, tmp_path) -> None:
    for jobs in ("1", "2"):
        words = ["replay", str(several), "--quiet", "--jobs", jobs]
        assert main([*words, "--report", str(tmp_path / jobs)]) == 0
    for page in (tmp_path / "1").iterdir():
        assert page.read_text() == (tmp_path / "2" / page.name).read_text()


def test_a_symbol_that_fails_is_on_the_index(several, tmp_path, capsys) -> None:
    (several / "BAD.csv").write_text("hello\n")
    words = ["replay", str(several), "--quiet", "--report", str(tmp_path / "pages")]
    assert main(words) == 3
    assert "BAD.csv" in (tmp_path / "pages" / "index.html").read_text()


@pytest.mark.parametrize("name", ["page.html", "file"])
def test_pages_of_a_folder_go_to_a_folder(several, tmp_path, capsys, name) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["replay", str(several), "--report", str(tmp_path / name)]) == 2
    assert "must name a folder for several symbols" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
