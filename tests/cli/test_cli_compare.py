"""marketsim compare: saved runs in one table and on one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars, random_frame

import marketsim as ms
from marketsim.cli import main
from marketsim.walkforward.saved import load_run, save_run


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leave:
        code = int(leave.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def saved(tmp_path: Path, capsys: Any) -> Path:
    random_frame(260).to_csv(tmp_path / "A.csv", index_label="timestamp")
    for model in ("ewma", "persistence"):
        code, _, err = run(
            capsys, "backtest", tmp_path / "A.csv", "--model", model, "--simulations", 30,
            "--strategies", "simple", "maxdiff", "--no-store", "--save", tmp_path / f"{model}.json",
        )  # fmt: skip
        assert code == 0, err
    return tmp_path


def test_saved_runs_compare_as_the_runs_do(saved: Path, capsys: Any) -> None:
    files = [saved / "ewma.json", saved / "persistence.json"]
    code, out, err = run(capsys, "compare", *files, "--report", saved / "page.html")
    assert (code, err) == (0, "")
    assert "model: ewma | persistence" in out
    page = (saved / "page.html").read_text()
    assert "Settings that differ" in page and "simple (persistence)" in page
    bars = ms.read_bars(saved / "A.csv")
    runs = {
        name: ms.walk_forward(
            bars, name, simulations=30, strategies=["simple", "maxdiff"], progress=False
        )
        for name in ("ewma", "persistence")
    }
    expected = ms.compare(runs)
    assert str(expected) in out
    found = json.loads(run(capsys, "compare", *files, "--json")[1])
    assert found["comparison"] == expected.to_dict()
    assert {row["setting"] for row in found["settings_that_differ"]} == {"model"}


def test_returns_come_back_exactly(tmp_path: Path) -> None:
    result = ms.walk_forward(random_bars(200), strategies=["simple"], simulations=9, progress=False)
    found = load_run(save_run(result, tmp_path / "run.json"))
    np.testing.assert_array_equal(found.returns.to_numpy(), result.returns.to_numpy())
    assert found.returns.index.equals(result.returns.index)
    assert "SavedRun(TEST, model range" in repr(found)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "x", "version": 1}',
                                     '{"format": "marketsim run", "version": 2}',
                                     '{"format": "marketsim run", "version": 1}'])  # fmt: skip
def test_other_files_are_named(saved: Path, capsys: Any, content: str) -> None:
    (saved / "other.json").write_text(content)
    code, _, err = run(capsys, "compare", saved / "ewma.json", saved / "other.json")
    assert code == 2
    assert err.startswith("error: ") and "other.json" in err and "--save run.json" in err


def test_wrong_commands_say_what_to_do(saved: Path, capsys: Any) -> None:
    one = saved / "ewma.json"
    assert "at least two runs: got 1" in run(capsys, "compare", one)[2]
    assert "given twice" in run(capsys, "compare", one, one)[2]
    (saved / "mine.json").write_text("[]")
    code, _, err = run(
        capsys, "backtest", saved / "A.csv", "--simulations", 5, "--save", saved / "mine.json"
    )
    assert code == 2 and "--force" in err
    assert (saved / "mine.json").read_text() == "[]"
    assert "--save is of one symbol" in run(capsys, "backtest", saved, "--save", "x.json")[2]
