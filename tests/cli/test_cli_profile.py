from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from market import random_frame

import marketsim as ms
from marketsim.cli import main
from marketsim.cli.profile import _STAGES
from marketsim.forecasts.store.inspect import take_inventory

QUICK = ("--simulations", "5", "--quiet")


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "AAA.csv"
    random_frame(150, 1).to_csv(path, index_label="date")
    return path


@pytest.fixture
def toto(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    from checkpoints import write_toto2

    return write_toto2(tmp_path / "toto", 1)


def run(capsys, *args: str | Path) -> tuple[int, str, str]:
    code = main(["profile", *map(str, args)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def stages(out: str) -> dict[str, dict[str, float]]:
    return {row.pop("stage"): row for row in json.loads(out)["stages"]}


def test_the_stages_of_a_model_with_weights(bars: Path, toto: Path, capsys) -> None:
    code, out, err = run(capsys, bars, *QUICK, "--model", toto, "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    found = stages(out)
    assert set(found) == set(_STAGES) - {"transfer"}  # which is of a GPU
    assert sum(row["seconds"] for row in found.values()) == pytest.approx(facts["seconds"])
    assert sum(row["share"] for row in found.values()) == pytest.approx(1.0)
    assert all(row["seconds"] >= 0.0 for row in found.values())
    assert found["encode"]["calls"] > 0
    assert (found["store read"]["calls"], found["store append"]["calls"]) == (1, 4)
    assert found["strategies"]["calls"] == 12  # nine, and three baselines
    assert found["bars"]["calls"] == found["imports"]["calls"] == 1
    assert facts["bottleneck"] == max(found, key=lambda name: found[name]["seconds"])
    assert facts["forecasts_needed"] == facts["forecasts_made"] == 284
    seconds = 284 / facts["forecasts_per_second"]
    within = ("model", "prepare", "encode", "store keys", "forecasts")
    assert sum(found[name]["seconds"] for name in within) < seconds < facts["seconds"]
    assert facts["run"] == "toto  AAA"


def test_the_table(bars: Path, capsys) -> None:
    code, out, _ = run(capsys, bars, *QUICK)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "range  AAA"
    assert lines[2].split() == ["stage", "seconds", "share", "calls"]
    rows = [re.fullmatch(r"([a-z ]+?) +(\d+\.\d{4}) +(\d+\.\d) %( +\d+)?(  .*)?", x) for x in lines]
    table = {row[1]: (float(row[2]), float(row[3])) for row in rows if row}
    total, share = table.pop("total")
    assert share == 100.0
    assert sum(seconds for seconds, _ in table.values()) == pytest.approx(total, abs=0.0005)
    assert sum(share for _, share in table.values()) == pytest.approx(100.0, abs=0.5)
    assert "model" in table
    assert "encode" not in table  # it has no network
    assert re.search(r"284 forecasts needed, 284 made: [\d,]+ forecasts/s without loading", out)
    assert re.search(r"bottleneck: [a-z ]+, \d+ % of the time \(\d+\.\d\d of \d+\.\d\d s\): ", out)


def test_collapsed_stacks(bars: Path, toto: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "profile.folded"
    code, out, _ = run(capsys, bars, *QUICK, "--model", toto, "--output", file, "--json")
    assert code == 0
    total, paths = 0, set()
    for line in file.read_text().splitlines():
        match = re.fullmatch(r"([^;]+(?:;[^;]+)*) (\d+)", line)
        assert match
        paths.add(tuple(match[1].split(";")))
        total += int(match[2])
    assert all(path[0] == "marketsim" for path in paths)
    assert ("marketsim", "forecasts", "model", "prepare", "encode") in paths
    assert total == pytest.approx(1e6 * json.loads(out)["seconds"], abs=len(paths))
    code, out, err = run(capsys, bars, *QUICK, "--output", tmp_path / "no" / "file")
    assert (code, out) == (2, "")
    assert "there is no folder" in err
    code, out, _ = run(capsys, bars, *QUICK, "--output", file)
    assert f"written: {file}" in out


def test_forecasts_are_forgotten_unless_there_is_a_store(
    bars: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "mine"))
    assert run(capsys, bars, *QUICK)[0] == 0
    assert not (tmp_path / "mine").exists()
    path = tmp_path / "s"
    code, out, _ = run(capsys, bars, *QUICK, "--store", path)
    assert "284 forecasts needed, 284 made" in out
    assert take_inventory(path).totals["records"] == 284
    code, out, _ = run(capsys, bars, *QUICK, "--store", path, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["forecasts_needed"], facts["forecasts_made"]) == (284, 0)
    assert facts["forecasts_per_second"] is None
    assert "model" not in stages(out)  # naive forecasts count as metrics
    code, out, _ = run(capsys, bars, *QUICK, "--store", path)
    assert "284 forecasts needed, 0 made\n" in out


def test_a_folder(bars: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    for name in ("AAA", "BBB"):
        (folder / f"{name}.csv").write_bytes(bars.read_bytes())
    code, out, _ = run(capsys, folder, *QUICK, "--json")
    assert code == 0
    assert json.loads(out)["run"] == "range  2 symbols"
    assert stages(out)["bars"]["calls"] == 2
    code, out, _ = run(capsys, folder, *QUICK, "--symbols", "BBB", "--json")
    assert json.loads(out)["run"] == "range  BBB"


def test_results_are_those_of_an_unprofiled_run(bars: Path, toto: Path, monkeypatch) -> None:
    from marketsim.timing import profiled

    model = ms.load_model(toto)
    arguments = {"simulations": 5, "store": False, "progress": False}
    plain = ms.walk_forward(bars, model, **arguments)
    with profiled():
        timed = ms.walk_forward(bars, ms.load_model(toto), **arguments)
    assert timed.days.equals(plain.days)
    assert timed.forecasts.equals(plain.forecasts)


def test_bad_input_gives_one_line_and_code_2(bars: Path, capsys) -> None:
    for args, message in (
        (("nosuch.csv",), "nosuch.csv does not exist"),
        ((bars, "--model", "arima"), "unknown model 'arima'"),
        ((bars, "--simulations", "0"), "simulations must be a whole number of at least 1"),
    ):
        code, out, err = run(capsys, *args)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert message in err
    assert run(capsys, bars, *QUICK)[0] == 0  # a profile that failed is over


def test_help_shows_examples(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["profile", "--help"])
    out = capsys.readouterr().out
    for word in ("examples:", "speedscope", "--output", "--model", "exit codes"):
        assert word in out
