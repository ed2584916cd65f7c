from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from market import random_bars

from marketsim.cli import main
from marketsim.cli.search import with_command
from marketsim.replay import replay
from marketsim.replay.rules import sma_cross
from marketsim.search import Ledger

pytest.importorskip("optuna").logging.set_verbosity(40)
pytest.importorskip("yaml")

SPACE = "fast: [2, 5, 9]\nslow: {int: [6, 12], step: 3}\nwhere: [fast < slow]\n"
STRATEGY = """
import numpy as np
from marketsim import Hold

class Momentum:
    name, targets, fitted = "momentum", ("close",), False

    def __init__(self, threshold):
        self.threshold = threshold

    def decide(self, view):
        return Hold((view.last_return > self.threshold).astype(float))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random_bars(400, seed=5).frame.to_csv("X.csv")
    Path("space.yaml").write_text(SPACE)
    Path("level.json").write_text('{"threshold": {"float": [-0.02, 0.02]}}')
    Path("mine.py").write_text(STRATEGY)
    return tmp_path


def run(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    code = main(["search", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def failed(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    code = main(["search", *arguments])
    assert code == 2
    return capsys.readouterr().err


GRID = ("X.csv", "--strategy", "sma_cross", "--space", "space.yaml", "--sampler", "grid")


def test_a_grid_and_what_its_ledger_says(folder: Path, capsys: pytest.CaptureFixture) -> None:
    found = json.loads(run(capsys, *GRID, "--fee-bps", "10", "--json"))
    bars = random_bars(400, seed=5)
    scores = {
        (fast, slow): replay(bars, *sma_cross(bars, fast, slow), fee_bps=10).metrics["sharpe"]
        for fast in (2, 5, 9) for slow in (6, 9, 12) if fast < slow
    }  # fmt: skip
    assert found["evaluated"] == len(scores) == 7
    assert found["score"] == pytest.approx(max(scores.values()), rel=1e-9)
    assert tuple(found["best"].values()) == max(scores, key=scores.get)
    assert found["trials"] == 7 and 0.0 <= found["probability_of_overfitting"] <= 1.0
    again = run(capsys, *GRID, "--fee-bps", "10")
    assert "0 sets evaluated, 7 reused from the ledger" in again
    assert "deflated Sharpe ratio 0." in again and "plateau" in again

    study = found["study"]
    listed = json.loads(run(capsys, "list", "--json"))
    assert [row["study"] for row in listed] == [study] and listed[0]["attempts"] == 7
    assert f"{study}: 7 trials in 7 attempts" in run(capsys, "summary")
    best = json.loads(run(capsys, "best", study, "--count", "2", "--json"))
    assert [row["score"] for row in best] == sorted(scores.values())[:-3:-1]
    assert len(run(capsys, "best").splitlines()) >= 8
    run(capsys, *GRID, "--study", "free")
    compared = json.loads(run(capsys, "compare", "--json"))
    assert [row["study"] for row in compared] == sorted([study, "free"])
    assert "free" in run(capsys, "compare", "free")
    options = ("--rows", "fast", "--columns", "slow")
    heat = json.loads(run(capsys, "heatmap", study, *options, "--json"))
    assert heat["scores"][0][0] == pytest.approx(scores[2, 6], rel=1e-9)
    assert heat["scores"][2][0] is None and heat["best"] == list(found["best"].values())
    assert "plateau: fast=" in run(capsys, "heatmap", study, *options)
    run(capsys, "heatmap", study, *options, "--out", "heat.svg")
    assert ElementTree.parse("heat.svg").getroot().tag.endswith("svg")
    run(capsys, "export", study, "--out", "trials.csv")
    assert len(pd.read_csv("trials.csv")) == 7
    decided = json.loads(run(capsys, "promote", study, "--json"))
    assert not decided["accepted"] and decided["reasons"]
    text = run(capsys, "promote", study, "--least-deflated", "0", "--most-overfitting", "1")
    assert "promoted\n  the rule is met" in text and "refused" in text
    assert listed[0]["champion"] is None
    assert json.loads(run(capsys, "list", "--json"))[1]["champion"] == found["best"]


def test_a_sampler_and_processes(folder: Path, capsys: pytest.CaptureFixture) -> None:
    found = json.loads(
        run(capsys, *GRID[:-1], "random", "--trials", "12", "--jobs", "2", "--ledger", "t.sqlite",
            "--metric", "total_return", "--storage", "journal.log", "--json")
    )  # fmt: skip
    with Ledger("t.sqlite") as ledger:
        summary = ledger.summary(found["study"])
    assert summary.trials <= 9 and summary.best.score >= found["score"]  # probes count too
    assert summary.pruned == 0  # sets that do not meet the condition are no trials


def test_a_walk_forward_search(folder: Path, capsys: pytest.CaptureFixture) -> None:
    options = ("--split", "walk-forward", "--train", "200", "--test", "100")
    found = json.loads(run(capsys, *GRID, *options, "--json"))
    assert len(found["windows"]) == 2 and found["windows"][1]["test_first"] == 300
    assert set(found["drift"]) == {"fast", "slow"}
    text = run(capsys, *GRID, *options)
    assert "return         in sample" in text and "test from bar 200: fast=" in text
    # How much of it is luck: of the set chosen last, among all that were tried in all windows.
    last = {name: found["windows"][1][f"param_{name}"] for name in ("fast", "slow")}
    assert found["last"] == last and found["trials"] == found["evaluated"] == 7
    assert 0.0 < found["deflated_sharpe"] < 1.0 and 0.0 <= found["probability_of_overfitting"] <= 1
    assert 0.0 < found["out_of_sample_skill"] < 1.0
    bands, total = found["out_of_sample_bands"], found["out_of_sample_return"]
    low, high = bands["figures"]["total_return"]
    assert low < total < high and bands["seed"] == 0
    assert f"{total:,.1%} ({low:,.1%} to {high:,.1%})" in text and "samples of the bars" in text
    for words in (
        "chosen last    fast=", "behind it      7 trials", "deflated Sharpe ratio 0.",
        "probability of backtest overfitting", "its Sharpe ratio is above 0 is",
    ):  # fmt: skip
        assert words in text
    stored = (*options, "--storage", "j.log", "--ledger", "stored.sqlite", "--study", "w")
    assert json.loads(run(capsys, *GRID, *stored, "--json"))["trials"] == 7
    with Ledger("stored.sqlite") as ledger:
        assert ledger.studies() == ["w"]  # one search, whatever its windows are called elsewhere
    options = ("--split", "combinatorial", "--folds", "4", "--test-folds", "2", "--purge", "12")
    found = json.loads(run(capsys, *GRID, *options, "--json"))
    assert len(found["windows"]) == 6 and len(found["path_returns"]) == 3
    assert "(3 paths, " in run(capsys, *GRID, *options)
    options = ("--split", "walk-forward", "--train", "200", "--test", "100")
    assert "--metric sharpe, mean" in failed(capsys, *GRID, *options, "--metric", "calmar")
    assert "leave none to test" in failed(capsys, *GRID, "--split", "walk-forward")


def test_strategies_on_forecasts(folder: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = (
        "X.csv", "--strategy", "mine.py:Momentum", "--model", "ewma", "--simulations", "60",
        "--space", "level.json", "--trials", "4", "--no-store", "--json",
    )  # fmt: skip
    found = json.loads(run(capsys, *arguments))
    assert found["study"] == "Momentum X" and -0.02 <= found["best"]["threshold"] <= 0.02
    assert found["trials"] >= 4


def test_a_grid_in_one_call_has_no_use_for_a_cluster(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert "leave --cluster out" in failed(capsys, *GRID, "--cluster", "auto")


def test_a_dry_run_records_nothing(folder: Path, capsys: pytest.CaptureFixture) -> None:
    text = run(capsys, *GRID, "--dry-run")
    assert text.startswith("7 evaluations of ") and "nothing was recorded" in text
    options = ("X.csv", "--strategy", "sma_cross", "--space", "space.yaml", "--trials", "30")
    split = ("--split", "walk-forward", "--train", "100", "--test", "100")
    facts = json.loads(run(capsys, *options, *split, "--jobs", "2", "--dry-run", "--json"))
    assert (facts["evaluations"], facts["jobs"]) == (90, 2) and facts["seconds"] > 0
    assert not Path("marketsim-trials.sqlite").exists()


def test_a_replay_and_a_backtest_say_what_led_to_them(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    def command(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert main(list(arguments)) == code
        return capsys.readouterr()

    run(capsys, *GRID, "--fee-bps", "10")
    behind = ("--ledger", "marketsim-trials.sqlite", "--fee-bps", "10")
    plain = ("replay", "X.csv", "--params", "fast=5", "slow=9")
    out, err = command(*plain, *behind, "--json")
    found = json.loads(out)["search"]
    assert not err and found["trials"] == 7 and found["study"] == "sma_cross X"
    assert found["params"] == {"fast": 5, "slow": 9}
    # Another fee is another trial, and says where it is recorded.
    out, err = command(*plain, *behind[:2], "--fee-bps", "20", "--report", "r.html")
    assert "chosen among 8 trials of the search 'sma_cross X'" in out
    assert "recorded in marketsim-trials.sqlite as a trial of 'sma_cross X'" in err
    assert "hosen among 8 trials of the search" in Path("r.html").read_text()
    assert command(*plain, *behind[:2], "--fee-bps", "20")[1] == ""
    assert "state --ledger too" in command(*plain, "--study", "s", code=2)[1]
    walk = ("backtest", "X.csv", "--model", "ewma", "--simulations", "30", "--no-store", "--quiet")
    out, err = command(*walk, "--strategies", "simple", "maxdiff", "--ledger", "w.sqlite")
    assert "chosen among 2 trials of the search 'ewma X'" in out and "as a trial of 'ewma X'" in err
    out, err = command(*walk, "--strategies", "simple", "--ledger", "w.sqlite", "--json")
    assert json.loads(out)["search"]["trials"] == 2 and not err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("X.csv", "--strategy", "sma", "--space", "space.yaml"), "unknown rule 'sma'"),
        (("X.csv", "--strategy", "sma_cross", "--space", "no.yaml"), "there is no file no.yaml"),
        ((*GRID, "--metric", "alpha"), "unknown metric 'alpha'"),
        (("X.csv", "--strategy", "sma_cross", "--space", "level.json"), "no parameter 'threshold'"),
        (("list",), "there is no ledger marketsim-trials.sqlite"),
        (("promote",), "there is no ledger"),
        ((*GRID[:-1], "magic"), "unknown sampler 'magic'"),
    ],
)
def test_bad_arguments(folder: Path, capsys, arguments: tuple[str, ...], message: str) -> None:
    assert message in failed(capsys, *arguments)


def test_bad_ledger_arguments(folder: Path, capsys: pytest.CaptureFixture) -> None:
    run(capsys, *GRID)
    assert "study 'x' is not in" in failed(capsys, "summary", "x")
    assert "study 'x' is not in" in failed(capsys, "compare", "x")
    assert "must end in .csv or .parquet" in failed(capsys, "export", "--out", "a.txt")
    assert "'x' is no parameter" in failed(capsys, "heatmap", "--rows", "x", "--columns", "slow")


def test_messages_name_flags_and_folders(folder: Path, capsys: pytest.CaptureFixture) -> None:
    for study in ("one", "other"):
        run(capsys, *GRID, "--study", study)
    assert "which study of marketsim-trials.sqlite? state one: it has 'one', 'other'" in failed(
        capsys, "summary"
    )
    assert "there is no folder no" in failed(capsys, "export", "one", "--out", "no/t.csv")
    heatmap = "heatmap", "one", "--rows", "fast", "--columns", "slow", "--out", "no/t.svg"
    assert "there is no folder no" in failed(capsys, *heatmap)
    ledger = "--ledger", "marketsim-trials.sqlite"
    code = main(["replay", "X.csv", "--params", "fast=2", "slow=6", *ledger])
    assert code == 2
    assert "state --study, one of 'other', 'one'" in capsys.readouterr().err


def test_the_word_run_may_be_left_out() -> None:
    assert with_command(["search", "X.csv"]) == ["search", "run", "X.csv"]
    assert with_command(["search", "--space", "s"]) == ["search", "run", "--space", "s"]
    for known in (["search", "list"], ["search", "run", "X"], ["search", "--help"], ["search"], []):
        assert with_command(known) == known
    assert with_command(["replay", "X.csv"]) == ["replay", "X.csv"]


def test_a_strategy_imports_what_lies_beside_it(tmp_path: Path) -> None:
    from marketsim.cli.loading import load_object

    (tmp_path / "beside_it_7.py").write_text("FACTOR = 3\n")
    (tmp_path / "own_7.py").write_text(
        "from beside_it_7 import FACTOR\ndef rule(): return FACTOR\n"
    )
    before = list(sys.path)
    try:
        assert load_object(f"{tmp_path / 'own_7.py'}:rule")() == 3
    finally:
        sys.path[:] = before
        sys.modules.pop("beside_it_7", None)
