"""Simulated bars for first tries, and the first example of every help page run on them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import marketsim as ms
from marketsim.bars.demo import simulated_bars
from marketsim.cli import _parser, main

PAGES = (
    "backtest", "check", "convert", "evaluate", "forecast", "inspect", "orders", "profile",
    "replay", "search",
)  # fmt: skip


def test_simulated_bars_are_bars() -> None:
    bars = simulated_bars(2_500)
    assert len(bars) == 2_500 and bars.repairs == ()
    moves = np.abs(np.diff(np.log(bars.close)))
    assert np.corrcoef(moves[1:], moves[:-1])[0, 1] > 0.05  # volatility clusters
    assert 0.1 < moves.std() * 16 < 0.5
    assert simulated_bars(2_500).fingerprint == bars.fingerprint
    assert simulated_bars(2_500, seed=1).fingerprint != bars.fingerprint
    with pytest.raises(ms.ArgumentError, match="count >= 1"):
        simulated_bars(0)


def test_the_file_is_written_once_and_not_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo-data"]) == 0 and main(["demo-data"]) == 0
    assert "2,500 simulated bars of a fictitious stock" in capsys.readouterr().out
    assert ms.read_bars("demo.csv", symbol="DEMO").close == pytest.approx(simulated_bars().close)
    Path("mine.csv").write_text("date,close\n2024-01-02,1\n")
    assert main(["demo-data", "mine.csv"]) == 2
    assert "did not write" in capsys.readouterr().err
    assert main(["demo-data", "demo.txt"]) == 2


@pytest.mark.parametrize("page", PAGES)
def test_the_first_example_of_each_help_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["demo-data"])
    commands = next(a for a in _parser([page])._actions if page in (a.choices or ()))
    help_page = commands.choices[page].format_help()
    written = r"(?:  echo '(.*)' > (\S+)\n)?"
    found = re.search(rf"writes demo.csv\)\n{written}  (marketsim .*?)(?:   .*)?\n", help_page)
    if found[1]:
        Path(found[2]).write_text(found[1])
    assert main(shlex.split(found[3])[1:]) == 0
