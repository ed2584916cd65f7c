from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from market import random_bars, random_frame

import marketsim as ms
from marketsim.cli import main
from marketsim.errors import StoreMissError
from marketsim.forecasts import PredictionStore
from marketsim.forecasts.store.inspect import take_inventory


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "AAA.csv"
    random_frame(150, 1).to_csv(path, index_label="date")
    return path


@pytest.fixture
def toto(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    from checkpoints import write_toto1

    return write_toto1(tmp_path / "toto", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three symbols, one of them too short."""
    path = tmp_path / "bars"
    path.mkdir()
    for symbol, count in (("AAA", 150), ("BBB", 150), ("CCC", 20)):
        random_frame(count, ord(symbol[0])).to_csv(path / f"{symbol}.csv", index_label="date")
    return path


def run(capsys, *args: str | Path) -> tuple[int, str, str]:
    code = main(["forecast", *map(str, args)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def rows(out: str) -> list[dict[str, object]]:
    return json.loads(out)["symbols"]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], {}),
        (["--simulations", "5", "--window", "3"], {"simulations": 5, "window": 3}),
        (
            ["--simulations", "9", "--offset-window", "30", "--purge", "2", "--embargo", "6"],
            {"simulations": 9, "offset_window": 30, "purge": 2, "embargo": 6},
        ),
        (
            ["--simulations", "5", "--offset-window", "0"],
            {"simulations": 5, "strategies": "simple"},
        ),
        (
            ["--simulations", "5", "--offset-window", "3", "--window", "4", "--embargo", "19"],
            {"simulations": 5, "offset_window": 3, "window": 4, "embargo": 19},
        ),
        (["--model", "persistence"], {"model": "persistence"}),
    ],
)
def test_a_backtest_finds_all_that_it_needs(
    bars: Path, tmp_path: Path, capsys, options: list[str], arguments: dict[str, object]
) -> None:
    path = tmp_path / "s"
    code, out, err = run(capsys, bars, "--store", path, "--json", *options)
    assert (code, err) == (0, "")
    (row,) = rows(out)
    assert (row["symbol"], row["held"], row["missing"]) == ("AAA", 0, row["needed"])
    held = take_inventory(path).totals["records"]
    assert held == row["needed"] > 0
    store = PredictionStore(path, require_complete=True)
    result = ms.walk_forward(bars, store=store, progress=False, **arguments)
    assert store.counters["misses"] == 0
    assert store.counters["hits"] == held  # and nothing that it does not need
    plain = ms.walk_forward(bars, store=False, progress=False, **arguments)
    assert result.days.equals(plain.days)


def test_what_is_there_is_not_made_again(bars: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "s"
    run(capsys, bars, "--store", path, "--simulations", "5")
    code, out, _ = run(capsys, bars, "--store", path, "--simulations", "9", "--json")
    (row,) = rows(out)
    assert code == 0
    assert (row["needed"], row["held"], row["missing"]) == (75 * 4, 71 * 4, 4 * 4)
    assert row["seconds"] > 0
    code, out, _ = run(capsys, bars, "--store", path, "--simulations", "9")
    assert "300 forecasts of 1 symbol: 0 made" in out
    assert out.splitlines()[4].split()[:4] == ["AAA", "300", "300", "0"]


def test_a_plan_asks_no_model_and_writes_nothing(
    bars: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    path = tmp_path / "s"
    run(capsys, bars, "--store", path, "--simulations", "5")
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(ms.models.EwmaModel, "predict_each", asked)
    options = ["--simulations", "9", "--plan"]
    code, out, _ = run(capsys, bars, "--store", path, *options, "--json")
    assert code == 0
    assert rows(out) == [
        {
            "symbol": "AAA",
            "needed": 300,
            "one_by_one": 9 * 7 * 4,
            "held": 284,
            "missing": 16,
            "seconds": None,
            "passes": None,
        }
    ]
    assert json.loads(out)["estimate"] is None
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before
    code, out, _ = run(capsys, bars, "--store", tmp_path / "none", *options)
    assert code == 0
    assert out.splitlines()[4].split() == ["AAA", "300", "252", "0", "300"]
    assert "300 forecasts of 1 symbol: 300 to make" in out
    assert "one by one: 252 calls" in out
    assert "time and memory: –, range has no cost model" in out
    assert not (tmp_path / "none").exists()


def test_the_plan_of_a_model_with_weights(
    bars: Path, toto: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    from marketsim.models.toto1.model import Toto1Model

    path = tmp_path / "s"
    command = [bars, "--store", path, "--model", toto, "--simulations", "5"]

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("weights were read")

    with monkeypatch.context() as patched:
        patched.setattr(Toto1Model, "_load", asked)
        code, out, err = run(capsys, *command, "--plan", "--json")
        assert (code, err) == (0, "")
        (row,) = rows(out)
        assert (row["needed"], row["held"], row["missing"]) == (284, 0, 284)
        estimate = json.loads(out)["estimate"]
        assert estimate["forecasts"] == 284
        assert estimate["passes"] == row["passes"] == 4 * 4  # targets, alignments
        assert estimate["operations"] > 1e6
        expected = estimate["expected"]
        assert set(expected) == {"seconds", "load_seconds", "memory", "weights", "rate"}
        assert expected["seconds"] > 0.0
        assert expected["memory"] > expected["weights"] > 0
        code, out, err = run(capsys, *command, "--plan")
        assert (code, err) == (0, "")
        assert out.splitlines()[4].split() == ["AAA", "284", "140", "0", "284", "16"]
        assert "16 passes in " in out
        assert re.search(r"time: about .* on cpu in float32, after about .* of loading", out)
        assert re.search(r"memory: about .* beside the libraries, .* of it weights", out)
        assert "estimated from " in out
        assert "not in it" not in out
        code, out, _ = run(capsys, *command, "--plan", "--compile", "--dtype", "bfloat16")
        assert "on cpu in bfloat16" in out
        assert re.search(r"not included: compilation of the network for \d+ shapes? of", out)
        assert not path.exists()
    assert run(capsys, *command)[0] == 0
    code, out, _ = run(capsys, *command, "--plan")
    assert out.splitlines()[4].split() == ["AAA", "284", "140", "284", "0", "0"]
    assert "no weights would be loaded" in out
    code, out, _ = run(capsys, *command, "--plan", "--json")
    assert json.loads(out)["estimate"]["expected"] is None


def test_options_of_models_are_passed_on_where_they_are_given(
    bars: Path, toto: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    seen = []
    inner = ms.models.load_model

    def load(name: str, **options: object) -> object:
        seen.append(options)
        return inner(name, **options)

    monkeypatch.setattr(ms.models, "load_model", load)
    command = [bars, "--store", tmp_path / "s", "--simulations", "5", "--plan"]
    run(capsys, *command)
    given = ["--device", "cpu", "--dtype", "bfloat16", "--compile", "--context-length", "64"]
    run(capsys, *command, "--model", toto, *given, "--variates", "joint", "--offline")
    run(capsys, *command, "--model", toto, "--context-length", "all")
    assert seen == [
        {},
        {
            "device": "cpu",
            "dtype": "bfloat16",
            "compile": True,
            "context_length": 64,
            "variates": "joint",
            "offline": True,
        },
        {"context_length": None},
    ]


def test_the_variates_of_a_day_together(bars: Path, toto: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "s"
    command = [bars, "--store", path, "--model", toto, "--simulations", "5", "--json"]
    joint = ["--variates", "joint", "--context-length", "20"]
    _, out, _ = run(capsys, *command, *joint, "--plan")
    assert rows(out)[0]["passes"] == 71  # each day has another first row
    assert json.loads(out)["estimate"]["forecasts"] == 284
    code, out, _ = run(capsys, *command, *joint)
    assert (code, rows(out)[0]["missing"]) == (0, 284)
    _, out, _ = run(capsys, *command, "--plan")  # another model
    assert rows(out)[0]["missing"] == 284


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dtype", "int4"], "unknown dtype 'int4'"),
        (["--dtype", "float16"], "float16 is not for the CPU"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--context-length", "0"], "context_length must be a whole number of at least 1"),
        (["--context-length", "ten"], "--context-length must be a whole number or all: got 'ten'"),
        (["--variates", "both"], "unknown variates 'both'"),
        (["--quantize", "int3"], "unknown quantize 'int3'"),
        (["--revision", "v1"], "revision is for hub ids"),
    ],
)
def test_wrong_options_of_models(
    bars: Path, toto: Path, capsys, args: list[str], message: str
) -> None:
    for command in ("forecast", "backtest", "profile"):
        code = main([command, str(bars), "--model", str(toto), *args])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert message in err


def test_options_of_models_that_have_them_not(bars: Path, tmp_path: Path, capsys) -> None:
    for args, message in (
        (["--dtype", "bfloat16"], "range runs on the CPU in float64"),
        (["--variates", "joint"], "unknown option of range 'variates'"),
        (["--offline"], "unknown option of range 'offline'"),
    ):
        code, out, err = run(capsys, bars, "--store", tmp_path / "s", *args)
        assert (code, out) == (2, "")
        assert message in err


def test_a_store_that_is_locked_for_a_while(bars: Path, tmp_path: Path, capsys) -> None:
    """A wait of more than two seconds is reported, and ends the command only at its limit."""
    store = tmp_path / "store"
    assert run(capsys, bars, "--store", store)[0] == 0
    (file,) = store.glob("v1/*/*/*.msp")
    lock = os.open(file.with_name("lock"), os.O_WRONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = (bars, "--store", store, "--all-days", "--lock-timeout")
    code, _, err = run(capsys, *command, "0.1")
    assert code == 2
    assert f"locked for writing by process {os.getpid()}" in err
    timer = threading.Timer(6.0, os.close, [lock])  # a loaded machine starts late
    timer.start()
    code, _, err = run(capsys, *command, "60")
    timer.join()
    assert code == 0
    assert "waiting for the lock" in err


def test_all_days(bars: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "s"
    code, out, _ = run(capsys, bars, "--store", path, "--all-days", "--json")
    assert code == 0
    assert rows(out)[0]["needed"] == (150 - 11) * 4
    store = PredictionStore(path, require_complete=True)
    ms.walk_forward(bars, simulations=73, store=store, progress=False)
    with pytest.raises(StoreMissError):
        ms.walk_forward(random_bars(200, 7), store=store, progress=False)
    random_frame(11).to_csv(tmp_path / "S.csv", index_label="date")
    code, _, err = run(capsys, tmp_path / "S.csv", "--store", path, "--all-days")
    assert code == 2
    assert "too few bars for one forecast: got 11, need 12" in err
    random_frame(12).to_csv(tmp_path / "S.csv", index_label="date")
    assert run(capsys, tmp_path / "S.csv", "--store", path, "--all-days")[0] == 0


def test_a_folder(folder: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "s"
    code, out, err = run(capsys, folder, "--store", path, "--simulations", "5")
    assert code == 3
    assert [line.split()[0] for line in out.splitlines()[4:6]] == ["AAA", "BBB"]
    assert "568 forecasts of 2 symbols: 568 made" in out
    assert err.startswith("error: CCC: too few bars for one simulation: got 20")
    code, out, _ = run(
        capsys, folder, "--store", path, "--simulations", "5", "--symbols", "BBB", "--json"
    )
    assert code == 0
    assert [(row["symbol"], row["missing"]) for row in rows(out)] == [("BBB", 0)]


def test_a_folder_of_which_several_symbols_share_batches(
    folder: Path, toto: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    """One is too short, one has a series that the model answers with no number."""
    from marketsim.models.toto1.model import Toto1Model

    frame = random_frame(150, 7)
    frame.to_csv(folder / "AAB.csv", index_label="date")
    ask, sizes = Toto1Model.predict_batches, []

    def spoiled(self, series, starts, take, **options):
        sizes.append(len(series))
        close = ms.bars.close_moves(ms.read_bars(folder / "AAB.csv"))[3]
        bad = [np.array_equal(one, close[-len(one) - 1 : -1]) for one in series]

        def spoil(batch) -> None:
            batch.distribution.loc[np.array(bad)[batch.series]] = np.nan
            take(batch)

        ask(self, series, starts, spoil, **options)

    options = ("--model", toto, "--simulations", "5", "--json")
    monkeypatch.setattr(Toto1Model, "predict_batches", spoiled)
    code, out, err = run(capsys, folder, "--store", tmp_path / "s", *options)
    assert code == 3, err
    assert [(row["symbol"], row["needed"]) for row in rows(out)] == [("AAA", 284), ("BBB", 284)]
    assert set(json.loads(out)["errors"]) == {"AAB", "CCC"}
    assert "not finite for row" in json.loads(out)["errors"]["AAB"]
    assert sizes[0] == 12  # all of three symbols at once
    monkeypatch.setattr(Toto1Model, "predict_batches", ask)
    together = tmp_path / "together"
    assert run(capsys, folder, "--store", together, *options)[0] == 3
    again = run(capsys, folder / "AAB.csv", "--store", together, *options)[1]
    assert [(row["held"], row["missing"]) for row in rows(again)] == [(284, 0)]


def test_the_default_store(bars: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "mine"))
    code, out, _ = run(capsys, bars, "--simulations", "5")
    assert code == 0
    assert out.startswith(f"range  {tmp_path / 'mine'}")
    assert take_inventory(tmp_path / "mine").totals["records"] == 284
    monkeypatch.setenv("MARKETSIM_STORE", "off")
    code, _, err = run(capsys, bars)
    assert code == 2
    assert "MARKETSIM_STORE is off, so there is no store: give --store PATH" in err


def test_what_cannot_be_kept_is_an_error(
    bars: Path, folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    for source in (bars, folder):
        code, out, err = run(capsys, source, "--store", tmp_path / "file", "--simulations", "5")
        assert (code, out) == (2, "")
        assert err.startswith("error: --store must be a folder: got the file ")
        code, out, err = run(capsys, source, "--store", tmp_path / "file/s", "--simulations", "5")
        assert (code, out) == (2, "")
        assert err.startswith("error: forecasts are not stored: ")
        assert err.count("\n") == 1
    name = "marketsim.forecasts.store.disk.network_file_system"
    monkeypatch.setattr(name, lambda path: "nfs")
    code, _, err = run(capsys, bars, "--store", tmp_path / "s")
    assert code == 2
    assert "this store cannot be written" in err
    assert "network file system (nfs)" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch.csv"], "nosuch.csv does not exist"),
        (["AAA.csv", "--model", "arima"], "unknown model 'arima'"),
        (["AAA.csv", "--symbols", "A", "B"], "--symbols takes one name for a file"),
        (["AAA.csv", "--simulations", "0"], "simulations must be a whole number of at least 1"),
        (["AAA.csv", "--purge", "-1"], "purge must be a whole number of at least 0"),
        (["AAA.csv", "--window", "999"], "too few bars for one simulation: got 150, need 1070"),
    ],
)
def test_bad_input_gives_one_line_and_code_2(
    bars: Path, capsys, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(bars.parent)
    for more in ([], ["--plan"]):
        code, out, err = run(capsys, *args, *more, "--store", "s")
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert message in err
    assert not (bars.parent / "s").exists()


def test_fewer_simulations_are_a_warning(bars: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "marketsim", "forecast", str(bars)]
    found = subprocess.run(
        [*command, "--simulations", "100", "--store", str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert found.stderr == "warning: 150 bars give 73 simulations of the 100 requested\n"


def test_help_shows_examples(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["forecast", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    words = ("examples:", "exit codes", "--all-days", "--plan", "--offset-window")
    for word in (*words, "--dtype", "--context-length", "Datadog/Toto-2.0-22m --dtype bfloat16"):
        assert word in out
