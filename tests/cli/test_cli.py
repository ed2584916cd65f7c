from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from market import random_frame

import marketsim as ms
from marketsim.cli import main
from marketsim.metrics.portfolio import portfolio_returns

QUICK = ["--simulations", "5", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three symbols, one of them too short."""
    path = tmp_path / "bars"
    path.mkdir()
    random_frame(150, 1).to_csv(path / "AAA.csv", index_label="date")
    random_frame(150, 2).to_parquet(path / "BBB.parquet")
    random_frame(20, 3).to_csv(path / "CCC.csv", index_label="date")
    return path


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return code, out, err


def test_one_file(folder: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "AAA.html"
    code, out, err = run(capsys, "backtest", folder / "AAA.csv", *QUICK, "--report", page)
    assert code == 0
    assert err == ""
    assert out.startswith("AAA  2015-")
    assert "maxdiff_always_on" in out
    assert "random_walk" in out
    assert str(page) in out
    assert 20_000 < page.stat().st_size < 1_000_000


def test_the_table_is_that_of_the_library(folder: Path, capsys) -> None:
    options = (
        "--fee",
        "7bps",
        "--fill",
        "optimistic",
        "--window",
        "5",
        "--strategies",
        "simple,maxdiff",
    )
    _, out, _ = run(capsys, "backtest", folder / "AAA.csv", *QUICK, *options)
    result = ms.walk_forward(
        folder / "AAA.csv", simulations=5, window=5, fee=0.0007, fill="optimistic",
        strategies=["simple", "maxdiff"], progress=False,
    )  # fmt: skip
    assert out.strip() == str(result.summary(bands=True)).strip()


def test_json(folder: Path, capsys) -> None:
    code, out, err = run(capsys, "backtest", folder / "AAA.csv", *QUICK, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["symbol"] == "AAA"
    assert found["settings"]["simulations"] == 5


def test_folder_gives_a_combined_table_and_names_what_failed(
    folder: Path, tmp_path: Path, capsys
) -> None:
    reports = tmp_path / "reports"
    code, out, err = run(capsys, "backtest", folder, *QUICK, "--report", reports)
    assert code == 3
    assert "CCC: too few bars for one simulation: got 20, need 78" in err
    rows = [line.split()[0] for line in out.splitlines() if line]
    assert rows[:4] == ["symbol", "----------------"[: len(rows[1])], "AAA", "BBB"]
    assert "over all symbols" in out
    assert sorted(p.name for p in reports.iterdir()) == [
        "AAA.html", "BBB.html", "index.html", "portfolio.html",
    ]  # fmt: skip
    page = (reports / "portfolio.html").read_text()
    assert "portfolio of 2, equal weights" in page and "equal weights, rebalanced daily" in page
    assert 'href="portfolio.html"' in (reports / "index.html").read_text()
    index = (reports / "index.html").read_text()
    assert 'href="AAA.html"' in index
    assert "Symbols that failed" in index and "CCC" in index


def test_the_portfolio_of_a_folder(folder: Path, capsys) -> None:
    (folder / "CCC.csv").unlink()
    _, out, _ = run(capsys, "backtest", folder, *QUICK, "--json", "--weights", "volatility")
    found = json.loads(out)["portfolio"]
    _, table, _ = run(capsys, "backtest", folder, *QUICK, "--weights", "volatility")
    results = [
        ms.walk_forward(file, simulations=5, progress=False) for file in sorted(folder.iterdir())
    ]
    closes = {r.bars.symbol: r.bars.frame["close"].tz_localize(None) for r in results}
    returns = portfolio_returns(
        {r.bars.symbol: r.returns for r in results}, weights="volatility", closes=closes
    )
    assert found["weights"] == "volatility" and found["days"] == len(returns)
    for row in found["strategies"]:
        total = float((1.0 + returns[row["strategy"]]).prod() - 1.0)
        assert row["total_return"] == pytest.approx(total)
    assert max(map(len, table.splitlines())) <= 80
    assert "inverse volatility" in " ".join(table.split())


def test_chosen_symbols(folder: Path, capsys) -> None:
    code, out, _ = run(capsys, "backtest", folder, *QUICK, "--symbols", "BBB,AAA", "--json")
    assert code == 0
    found = json.loads(out)
    assert [row["symbol"] for row in found["symbols"]] == ["AAA", "BBB"]
    assert found["errors"] == {}
    single = ms.walk_forward(folder / "AAA.csv", simulations=5, progress=False).to_dict()
    assert found["symbols"][0]["strategies"] == single["strategies"]
    code, _, err = run(capsys, "backtest", folder, "--symbols", "ZZZ")
    assert code == 2
    assert "unknown symbol 'ZZZ'" in err
    assert "AAA, BBB, CCC" in err


def test_demo_data(capsys) -> None:
    pytest.importorskip("arch")
    code, out, _ = run(capsys, "backtest", "demo", "--quiet")
    assert code == 0
    assert out.startswith("SP500  2018-09-12 to 2018-12-31, 76 of 5,031 bars evaluated")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch.csv"], "nosuch.csv does not exist"),
        (
            ["AAA.csv", "--model", "arima"],
            "unknown model 'arima': expected one of range, ewma, climatology, garch, persistence",
        ),
        (["AAA.csv", "--strategies", "magic"], "unknown strategy 'magic': expected one of simple"),
        (["AAA.csv", "--aggregate", "best"], "unknown aggregate 'best'"),
        (["AAA.csv", "--asset-class", "bond"], "expected one of equity, crypto, forex"),
        (["AAA.csv", "--symbols", "A,B"], "takes one name for a file, the name of its symbol"),
        (["spaced/A B.csv"], "pass --symbol, or rename the file"),
        ([""], "got an empty path"),
        (["AAA.csv", "--embargo", "1" + "0" * 20], "embargo must be at most 1,000,000,000"),
        (["AAA.csv", "--report", "AAA.csv"], "must end in .html or .htm"),
        (["AAA.csv", "--report", "./link.html"], "AAA.csv' it leads to must end in .html"),
        (["AAA.csv", "--report", "x" * 300 + ".html"], "has 305 characters"),
        (["demo", "--repair", "nope"], "the demo takes no reading options: got --repair"),
        (["demo", "--timezone", "UTC", "--adjusted", "no"], "got --timezone, --adjusted"),
        (["demo", "--symbols", "X"], "got --symbols"),
        (["AAA.csv", "--simulations", "0"], "simulations must be a whole number of at least 1"),
        (["AAA.csv", "--window", "999"], "too few bars for one simulation: got 150, need 1070"),
        (["AAA.csv", "--repair", "magic"], "magic"),
        (["AAA.csv", "--timezone", "Mars/Base"], "Mars/Base"),
        (["AAA.csv", "--report", "no/such/folder/x.html"], "no/such/folder"),
        (["text.csv"], "text.csv"),
        (["empty"], "empty"),
        ([".", "--report", "x.html"], "must name a folder"),
    ],
)
def test_bad_input_gives_one_line_and_code_2(
    folder: Path, capsys, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "text.csv").write_bytes(bytes(range(256)))
    (folder / "empty").mkdir()
    (folder / "link.html").symlink_to(folder / "AAA.csv")
    (folder / "spaced").mkdir()
    (folder / "spaced" / "A B.csv").write_bytes((folder / "AAA.csv").read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, out, err = run(capsys, "backtest", *args)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_wrong_arguments_are_explained(capsys) -> None:
    for args, message in (
        (["backtest", "x.csv", "--fee", "5"], "expected a fee below 5 %, as 5bps"),
        (["backtest", "x.csv", "--fee", "1e-4e"], "got '1e-4e'"),
        (["backtest", "x.csv", "--fill", "best"], "open_aware"),
        (["backtest"], "FILE|FOLDER|demo"),
        ([], "COMMAND"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(args)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"), [("5bps", 0.0005), ("0.05%", 0.0005), ("5e-4", 0.0005)]
)
def test_fee_units(folder: Path, capsys, text: str, expected: float) -> None:
    _, out, _ = run(capsys, "backtest", folder / "AAA.csv", *QUICK, "--fee", text, "--json")
    assert json.loads(out)["settings"]["fee_bps"] == pytest.approx(expected * 1e4)


def test_defects_are_listed_without_a_traceback(tmp_path: Path, capsys) -> None:
    frame = random_frame(150)
    frame.iloc[3, 1] = np.nan
    frame.iloc[7, 3] = -1.0
    frame.to_csv(tmp_path / "X.csv", index_label="date")
    code, _, err = run(capsys, "backtest", tmp_path / "X.csv", *QUICK)
    assert code == 2
    assert "NaN" in err or "nan" in err.lower()
    assert "drop_invalid" in err
    code, out, _ = run(
        capsys, "backtest", tmp_path / "X.csv", *QUICK, "--repair", "drop_invalid", "--json"
    )
    assert code == 0
    assert "2" in json.loads(out)["provenance"]["data_repairs"]


def test_warnings_go_to_standard_error(folder: Path) -> None:
    command = [sys.executable, "-m", "marketsim", "backtest", str(folder / "AAA.csv")]
    found = subprocess.run(
        [*command, "--simulations", "100", "--no-store"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stderr == "warning: 150 bars give 73 simulations of the 100 requested\n"


def test_says_what_the_store_had(folder: Path, tmp_path: Path, capsys) -> None:
    store = tmp_path / "store"
    command = ["backtest", folder / "AAA.csv", "--simulations", "3", "--store", store]
    code, first, err = run(capsys, *command)
    assert code == 0
    made = 4 * (3 + 6 + 60)
    assert err == f"forecasts: 0 from the store, {made} made\n"
    code, again, err = run(capsys, *command)
    assert err == f"forecasts: {made} from the store, 0 made\n"
    assert again == first
    (file,) = store.rglob("*.msp")
    data = bytearray(file.read_bytes())
    data[-200] ^= 1  # in the last record
    file.write_bytes(data)
    os.utime(file)
    code, again, err = run(capsys, *command)
    assert code == 0
    assert again == first
    assert f"forecasts: {made - 1} from the store, 1 made\n" in err
    assert "the store is damaged: 1 corrupt records" in err
    _, _, err = run(capsys, *command, "--quiet")
    assert "forecasts:" not in err


def test_debug_shows_where_an_error_comes_from(folder: Path, capsys, monkeypatch) -> None:
    for fails, expected in (
        (None, 2),
        (OSError(5, "no disk"), 2),
        (RuntimeError("boom"), 1),
        (KeyboardInterrupt(), 130),
    ):
        if fails is not None:

            def broken(*_: object, error: BaseException = fails, **__: object) -> None:
                raise error

            monkeypatch.setattr("marketsim.walkforward.walk_forward", broken)
        model = "ewma" if fails else "x"
        code, out, err = run(capsys, "backtest", folder / "AAA.csv", "--model", model, "--debug")
        assert (code, out) == (expected, "")
        assert "Traceback" in err
        assert "UnknownNameError: unknown model 'x'" in err or fails is not None


def test_a_name_for_the_symbol_of_a_file(folder: Path, capsys) -> None:
    path = (folder / "AAA.csv").rename(folder / "A B.csv")
    code, out, _ = run(capsys, "backtest", path, *QUICK, "--symbols", "A-B", "--json")
    assert code == 0
    assert json.loads(out)["symbol"] == "A-B"


def test_a_report_is_refused_before_anything_runs(folder: Path, capsys, monkeypatch) -> None:
    def ran(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr("marketsim.walkforward.walk_forward", ran)
    for path in (folder / "AAA.csv", folder / "no" / "x.html", folder):
        assert run(capsys, "backtest", folder / "AAA.csv", "--report", path)[0] == 2
    assert run(capsys, "backtest", folder, "--report", "a\0b")[0] == 2


def test_what_the_system_refuses_is_one_symbol_s_error(folder: Path, capsys) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs a file that opens and cannot be read")
    (folder / "BAD.csv").symlink_to("/proc/self/mem")
    code, out, err = run(capsys, "backtest", folder, *QUICK, "--json")
    assert code == 3
    found = json.loads(out)
    assert [row["symbol"] for row in found["symbols"]] == ["AAA", "BBB"]
    assert str(folder / "BAD.csv") in found["errors"]["BAD"]
    assert "error: BAD: [Errno 5]" in err


@pytest.mark.parametrize("name", ["index", "INDEX", "Portfolio"])
def test_a_symbol_named_as_the_index_loses_nothing(
    folder: Path, tmp_path: Path, capsys, name: str
) -> None:
    (folder / "CCC.csv").unlink()
    (folder / "AAA.csv").rename(folder / f"{name}.csv")
    reports = tmp_path / "reports"
    code, _, _ = run(capsys, "backtest", folder, *QUICK, "--report", reports)
    assert code == 0
    pages = sorted(path.name for path in reports.iterdir())
    assert pages == sorted(["BBB.html", "index.html", "portfolio.html", f"{name}_.html"])
    assert f'href="{name}_.html"' in (reports / "index.html").read_text()
    assert f"<h1>{name}: walk-forward" in (reports / f"{name}_.html").read_text()


def test_a_folder_of_which_nothing_runs(folder: Path, tmp_path: Path, capsys) -> None:
    reports = tmp_path / "reports"
    args = ("backtest", folder, *QUICK, "--symbols", "CCC", "--report", reports)
    code, out, err = run(capsys, *args)
    assert code == 2
    assert "no symbol could be run" in out
    assert err.startswith("error: CCC: too few bars")
    assert [path.name for path in reports.iterdir()] == ["index.html"]
    index = (reports / "index.html").read_text()
    assert "Symbols that failed" in index and "CCC" in index
    assert json.loads(run(capsys, *args, "--json")[1])["symbols"] == []


def test_pages_have_names_of_their_own() -> None:
    from marketsim.cli.combined import page_names

    names = page_names(["A", "Index", "index", "index_", "a"])
    assert names["A"] == "A.html"
    assert names["index_"] == "index_.html"
    assert len({name.lower() for name in names.values()} | {"index.html"}) == 6


def test_a_defect_of_ours_has_its_own_code(folder: Path, capsys, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("marketsim.walkforward.walk_forward", broken)
    code, _, err = run(capsys, "backtest", folder / "AAA.csv")
    assert code == 1
    assert "internal error: RuntimeError: boom" in err
    assert "Traceback" not in err


def test_interrupt_leaves_no_half_written_report(
    folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("the old report")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    code, _, err = run(capsys, "backtest", folder / "AAA.csv", *QUICK, "--report", page, "--force")
    assert code == 130, err
    assert "interrupted" in err
    assert page.read_text() == "the old report"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["page.html"]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_of_a_real_process(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(150):
        random_frame(300, i).to_csv(folder / f"S{i}.csv", index_label="date")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "marketsim",
            "backtest",
            str(folder),
            "--report",
            str(tmp_path / "out"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("out/*.html")) and time.monotonic() < deadline:
            assert process.poll() is None, (process.returncode, process.communicate()[1])
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, (process.returncode, err)
    assert "Traceback" not in err
    pages = list((tmp_path / "out").iterdir())
    assert 0 < len(pages) < 150
    assert all(page.suffix == ".html" for page in pages)
    assert all(page.read_text().rstrip().endswith("</html>") for page in pages)


def test_help_shows_examples(capsys) -> None:
    for args, words in (
        (["--help"], ("backtest", "doctor", "examples:")),
        (
            ["backtest", "--help"],
            ("examples:", "exit codes", "--fill", "open_aware", "--offset-window"),
        ),
        (["doctor", "--help"], ("doctor --json",)),
    ):
        with pytest.raises(SystemExit) as caught:
            main(args)
        assert caught.value.code == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words)


def test_doctor(capsys) -> None:
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    for word in ("marketsim", "numpy", "instruction set", "cuda", "self test: passed", "threads"):
        assert word in out
    code, out, _ = run(capsys, "doctor", "--json")
    facts = json.loads(out)
    assert facts["instruction_set"]["used"] in facts["instruction_set"]["supported"]
    assert facts["cuda"]["usable"] in (True, False)
    assert facts["cuda"]["reason"]


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"marketsim {ms.__version__}\n"


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    command = f"'{sys.executable}' -m marketsim backtest '{folder / 'AAA.csv'}' --quiet | head -1"
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0
    assert found.stderr == ""
    assert found.stdout.startswith("AAA")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MARKETSIM_ISA", "mmx", "instruction set 'mmx' is not available: this processor has base"),
        ("MARKETSIM_NUM_THREADS", "many", "must be a whole number from 1 to 4096: got many"),
    ],
)
def test_wrong_environment_is_explained(name: str, value: str, message: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "marketsim", "doctor"],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2, found.stderr
    assert found.stderr.startswith(f"error: {name}") and message in found.stderr


def test_a_terminal_without_the_characters(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "marketsim", "backtest", str(folder / "AAA.csv"), "--quiet"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "?se" in found.stdout


def test_a_model_with_weights_is_loaded_once_for_a_folder(
    folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    pytest.importorskip("torch")
    from checkpoints import write_toto2

    from marketsim.models.toto2.model import Toto2Model

    loads = []
    inner = Toto2Model._load

    def load(self: Toto2Model) -> object:
        loads.append(self)
        return inner(self)

    monkeypatch.setattr(Toto2Model, "_load", load)
    model = write_toto2(tmp_path / "toto", 1)
    options = ("--model", model, "--context-length", "32", "--json")
    code, out, err = run(capsys, "backtest", folder, *QUICK, *options)
    assert code == 3  # one symbol is too short
    assert "CCC" in err
    assert len(loads) == 1
    single = ms.walk_forward(
        folder / "AAA.csv", ms.load_model(model, context_length=32), simulations=5, progress=False
    )
    assert single.model.fingerprint == loads[0].fingerprint
    assert '"toto"' in out
