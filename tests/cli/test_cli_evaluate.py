"""marketsim evaluate: what fewer samples cost, from exact forecasts to decisions."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import write_toto1

from marketsim.cli import main
from marketsim.cli.flame import flame_svg


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["evaluate", *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return found


def test_more_samples_are_nearer_to_the_exact_forecast(
    daily_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exact, few, many = rows(capsys, str(daily_file), "--samples", "8,2048", "--days", "60")
    assert exact["pinball_change"] == exact["point_change"] == exact["decisions_changed"] == 0.0
    assert few["point_change"] > 3.0 * many["point_change"] > 0.0
    assert few["decisions_changed"] >= many["decisions_changed"]
    assert abs(many["pinball_change"]) < 0.05 and few["days"] == 60


def test_the_same_draws_each_time(daily_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (str(daily_file), "--samples", "16", "--days", "20")
    assert rows(capsys, *asked) == rows(capsys, *asked)
    assert rows(capsys, *asked) != rows(capsys, *asked, "--seed", "1")


@pytest.mark.parametrize("wrong", [["--samples", "1"], ["--samples", "many"], ["--days", "0"]])
def test_wrong_numbers(
    daily_file: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(daily_file), *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_table(daily_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(daily_file), "--samples", "32", "--days", "20"]) == 0
    assert "decisions changed" in capsys.readouterr().out


def test_a_flame_graph_shares_its_width_by_time() -> None:
    svg = flame_svg("run;model 750\nrun;store & more 250\n", "a <run>")
    assert "model: 0.75 ms, 75.0 %" in svg and "store &amp; more: 0.25 ms, 25.0 %" in svg
    assert 'width="900.0"' in svg and 'width="300.0"' in svg and "a &lt;run&gt;" in svg
    assert flame_svg("", "nothing").startswith("<svg")


@pytest.fixture
def daily_file(tmp_path: Path) -> Path:
    import pandas as pd

    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 120)))
    opened = close * np.exp(rng.normal(0, 0.005, 120))
    frame = pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=120),
            "open": opened,
            "high": np.maximum(opened, close) * 1.01,
            "low": np.minimum(opened, close) * 0.99,
            "close": close,
            "volume": 1e6,
        }
    )
    path = tmp_path / "AAA.csv"
    frame.to_csv(path, index=False)
    return path


def test_what_lower_precision_costs(
    daily_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    model = str(write_toto1(tmp_path / "toto", 0))
    asked = [str(daily_file), "--model", model, "--days", "3", "--samples", "32"]
    found = rows(capsys, *asked, "--against", "exact", "--dtypes", "bfloat16")
    assert [row["forecasts"] for row in found] == ["exact", "32 samples", "bfloat16"]
    exact, _, half = found
    assert exact["decisions_changed"] == 0.0 and 0.0 < half["point_change"] < 0.1
    if find_spec("torchao") is None:  # it is asked for, by its name
        assert main(["evaluate", *asked, "--dtypes", "int8", "--quiet"]) == 2
        assert "torchao" in capsys.readouterr().err
    else:
        assert rows(capsys, *asked, "--dtypes", "int8")[-1]["forecasts"] == "int8"


@pytest.mark.parametrize("suffix", [".svg", ".folded"])
def test_a_profile_of_the_old_functions(
    daily_file: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("MARKETSIM_CACHE_PREDICTIONS", "0")
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")  # restored afterwards: the command sets it
    out = tmp_path / f"profile{suffix}"
    command = ["profile", str(daily_file), "--legacy", "--simulations", "2", "--output", str(out)]
    assert main([*command, "--quiet"]) == 0
    assert out.read_text().startswith("<svg" if suffix == ".svg" else "marketsim")


def test_a_profile_of_the_old_functions_reads_the_variables(
    daily_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("MARKETSIM_CACHE_PREDICTIONS", "0")
    monkeypatch.setenv("MARKETSIM_BACKTEST_SIMULATIONS", "3")
    monkeypatch.setenv("TOTO_MODEL_ID", "climatology")
    command = ["profile", str(daily_file), "--legacy", "--quiet"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "climatology" in out and "36 forecasts needed, 36 made" in out  # 4 prices, 9 days
    for option in (["--dtype", "bfloat16"], ["--window", "5"], ["--store", "kept"]):
        assert main([*command, *option]) == 2
        assert f"{option[0]} has no effect with --legacy" in capsys.readouterr().err


def test_models_are_judged(daily_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(daily_file), "--model", "ewma", "range", "--horizons", "1,3", "--no-store"]
    assert main(["evaluate", *asked, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "MAE/walk" in out and "to the best" in out and "range" in out
    facts = rows(capsys, *asked, "--cutoffs", "ewma=2020-03-01")
    assert {(row["model"], row["horizon"]) for row in facts} == {
        ("ewma", 1), ("ewma", 3), ("range", 1), ("range", 3),
    }  # fmt: skip
    assert any(row["regime"] == "after the cutoff" for row in facts)


def test_a_page_is_written(
    daily_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "skill.html"
    common = ["evaluate", str(daily_file), "--no-store", "--quiet", "--model", "ewma", "range"]
    assert main([*common, "--report", str(page)]) == 0
    assert "Coverage by level" in page.read_text()
    capsys.readouterr()
    assert main([*common, "--report", str(tmp_path / "skill.csv")]) == 2
    assert "must end in .html" in capsys.readouterr().err


def test_options_reach_the_models_that_have_them(
    daily_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["evaluate", str(daily_file), "--no-store", "--quiet", "--model", "range", "ewma"]
    assert main([*common, "--option", "fit=60", "decay=0.9", "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["rows"]
    assert main([*common, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)["rows"]
    assert {row["model"] for row in changed} == {"range", "ewma"}
    for model in ("range", "ewma"):
        old, new = (
            [row["mae"] for row in rows if row["model"] == model] for rows in (plain, changed)
        )
        assert old != new
    for wrong, message in (
        ("samples=3", "none of the models range, ewma has the option samples"),
        ("fit", "--option takes NAME=VALUE"),
        ("fit=many", "fit must be a whole number"),
    ):
        assert main([*common, "--option", wrong]) == 2
        assert message in capsys.readouterr().err


def test_a_folder_names_what_fails(
    daily_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "A.csv").write_bytes(daily_file.read_bytes())
    (folder / "B.csv").write_text("timestamp,open,high,low,close,volume\n2020-01-01,1,2,3,4,x\n")
    assert main(["evaluate", str(folder), "--no-store", "--quiet"]) == 3
    assert "error: B" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--horizons", "one"], "--horizons must be whole numbers"),
        (["--cutoffs", "ewma"], "--cutoffs takes MODEL=DATE"),
        (["--samples", "8", "--report", "page.html"], "--report is of an evaluation"),
        (["--model", "ewma", "range", "--samples", "8"], "--against compares forecasts of one"),
        (["--samples", "8", "--dtypes", "int8"], "--dtypes compares precisions of a network"),
    ],
)
def test_wrong_judgements(
    daily_file: Path, wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(daily_file), "--no-store", *wrong]) == 2
    assert message in capsys.readouterr().err
