"""marketsim inspect and convert, and the options by which all commands read."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.cli import main
from marketsim.cli.arguments import add_data_arguments

HEAD = "date,open,high,low,close,volume\n"
DAYS = "".join(f"2024-01-{d:02},{d},{d + 2},{d - 0.5},{d + 1},9\n" for d in range(2, 30))
LONG = "date,ticker,open,high,low,close,volume\n" + "".join(
    f"2024-01-{d:02},{s},1,2,1,2,9\n" for d in range(2, 30) for s in ("AAPL", "MSFT")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bars"
    path.mkdir()
    (path / "AAA.csv").write_text(HEAD + DAYS)
    (path / "README.txt").write_text("notes\n")
    (path / "AAA (1).csv").write_text(HEAD + DAYS)
    (path / "BAD.csv").write_text(HEAD + DAYS.replace(",9\n", ",-9\n"))
    return path


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return code, out, err


def test_inspect_shows_what_was_understood(folder: Path, capsys) -> None:
    code, out, err = run(capsys, "inspect", folder / "AAA.csv")
    assert (code, err) == (0, "")
    assert "AAA  28 bars of 1 day, 2024-01-02 to 2024-01-29" in out
    for words in ("market      crypto", "holes       none", "splits      none", "defects     none"):
        assert words in out
    assert "▁" in out and "█" in out


def test_inspect_json(folder: Path, capsys) -> None:
    code, out, _ = run(capsys, "inspect", folder / "AAA.csv", "--json", "--calendar", "24/7")
    facts = json.loads(out)
    assert code == 0
    assert (facts["ok"], facts["rows"], facts["market"]["calendar"]) == (True, 28, "24/7")
    assert facts["calendar"]["missing_sessions"] == []


def test_inspect_of_a_folder_tells_partial_from_none(folder: Path, capsys) -> None:
    code, out, err = run(capsys, "inspect", folder)
    assert code == 3
    assert "AAA  28 bars" in out
    assert "volume must be >= 0: 28 rows break it" in out
    assert "'AAA (1).csv' gives no symbol" in out
    assert "left out README.txt: text without a table" in err
    code, out, _ = run(capsys, "inspect", folder / "BAD.csv", "--json")
    assert code == 2
    assert [d["kind"] for d in json.loads(out)["defects"]] == ["negative_volume"]


def test_holes_and_suspects(tmp_path: Path, capsys) -> None:
    text = HEAD + DAYS + DAYS.replace("2024-01", "2024-12")
    (tmp_path / "A.csv").write_text(text)
    code, out, _ = run(capsys, "inspect", tmp_path / "A.csv")
    assert code == 0
    assert "no bars from 2024-01-29 to 2024-12-02 (308 days)" in out
    bars = ms.read_bars(tmp_path / "A.csv")
    assert [gap.row for gap in bars.gaps] == [28]
    assert "no bars from 2024-01-29 to 2024-12-02 (308 days)" in bars.notes


def test_several_symbols(tmp_path: Path, capsys) -> None:
    (tmp_path / "prices.csv").write_text(LONG)
    code, out, _ = run(capsys, "inspect", tmp_path / "prices.csv")
    assert code == 0
    assert "AAPL  28 bars" in out and "MSFT  28 bars" in out
    code, out, _ = run(capsys, "inspect", tmp_path / "prices.csv", "--symbol", "MSFT")
    assert "AAPL  28" not in out
    code, out, _ = run(capsys, "convert", tmp_path / "prices.csv", tmp_path / "out")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "AAPL.parquet", "MSFT.parquet"
    ]  # fmt: skip


def test_convert_writes_what_reads_alike(folder: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "A.parquet"
    code, out, _ = run(capsys, "convert", folder / "AAA.csv", target)
    assert code == 0
    assert "28 bars of 1 day" in out
    assert ms.read_bars(target).fingerprint == ms.read_bars(folder / "AAA.csv").fingerprint
    code, _, err = run(capsys, "convert", folder / "AAA.csv", target)
    assert code == 2
    assert "--force" in err
    assert run(capsys, "convert", folder / "AAA.csv", target, "--force")[0] == 0
    code, _, err = run(capsys, "convert", folder, tmp_path / "many")
    assert code == 3
    assert "error: BAD:" in err


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("d/m/Y", ["--dayfirst", "yes"]),
        ("d/m/Y", ["--date-format", "%d/%m/%Y"]),
        ("names", ["--columns", "timestamp=when", "open=a,high=b", "low=c", "close=d", "volume=e"]),
        ("adjusted", ["--adjusted", "auto"]),
    ],
)
def test_options_of_reading(tmp_path: Path, capsys, content: str, options: list[str]) -> None:
    text = {
        "d/m/Y": HEAD + "01/02/2024,1,2,1,2,9\n02/02/2024,1,2,1,2,9\n",
        "names": "when,a,b,c,d,e\n2024-02-01,1,2,1,2,9\n2024-02-02,1,2,1,2,9\n",
        "adjusted": HEAD.replace("\n", ",adj close\n")
        + "2024-02-01,1,2,1,2,9,1\n2024-02-02,1,2,1,2,9,2\n",
    }[content]
    (tmp_path / "A.csv").write_text(text)
    assert run(capsys, "inspect", tmp_path / "A.csv")[0] == 2
    code, out, _ = run(capsys, "inspect", tmp_path / "A.csv", *options)
    assert code == 0
    assert "2 bars of 1 day, 2024-02-01 to 2024-02-02" in out


def test_columns_without_an_equals_sign(folder: Path, capsys) -> None:
    code, _, err = run(capsys, "inspect", folder / "AAA.csv", "--columns", "open")
    assert code == 2
    assert "--columns takes ROLE=NAME" in err


def test_repairs_are_shown_above_the_table(tmp_path: Path, capsys) -> None:
    text = HEAD + "".join(
        f"2024-{m:02}-{d:02},1,2,1,{'' if d == 3 else 2},9\n"
        for m in range(1, 10) for d in range(1, 29)
    )  # fmt: skip
    (tmp_path / "A.csv").write_text(text)
    code, out, _ = run(
        capsys, "backtest", tmp_path / "A.csv", "--repair", "drop_invalid", "--simulations", "5",
        "--no-store", "--quiet",
    )  # fmt: skip
    assert code == 0
    assert out.splitlines()[0] == "A: dropped 9 of 252 rows with invalid prices"


def test_a_list_of_tickers_is_partial_and_alone_is_nothing(folder: Path, tmp_path, capsys) -> None:
    (folder / "AAA (1).csv").unlink()
    (folder / "BAD.csv").write_text("AAPL\nMSFT\n")
    code, out, _ = run(capsys, "inspect", folder)
    assert code == 3
    assert "BAD.csv is no table of prices: its first line is 'AAPL'" in out
    code, _, err = run(capsys, "convert", folder, tmp_path / "out")
    assert code == 3
    assert "left out README.txt" in err and "error: BAD.csv:" in err
    (folder / "AAA.csv").unlink()
    for command in (["inspect", folder], ["convert", folder, tmp_path / "out"]):
        assert run(capsys, *command)[0] == 2


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (HEAD + "01/02/2024,1,2,1,2,9\n02/02/2024,1,2,1,2,9\n",
         ["--dayfirst yes or --dayfirst no", "--date-format"]),
        (LONG, ["--symbol AAPL chooses one"]),
        (HEAD.replace("\n", ",nr x\n") + "2024-01-02,1,2,1,2,9,7\n2024-01-03,1,2,1,2,9,7\n"
         "2024-01-04,5,6,5,6,9,8\n", ['--columns "symbol=nr x" reads', '--columns "ignored=nr x"']),
        (HEAD + "2024-01-02,1,2,1,2,\n2024-01-03,1,2,1,2,9\n2024-01-01,1,2,1,2,9\n",
         ["--repair zero_volume", "--repair sort", "--repair drop_invalid"]),
        (HEAD + '2024-01-02,"1,002","1,003","1,001","1,002",9\n' * 2,
         ["--decimal , or --decimal ."]),
        (HEAD + "113/03/04,1,2,1,2,9\n2024-03-05,1,2,1,2,9\n", ["--date-format roc"]),
        (HEAD + "2024-01-02,1,2,1,2,9\n", ["expected at least 2 rows"]),
    ],
)  # fmt: skip
def test_fixes_name_flags(tmp_path: Path, capsys, text: str, flags: list[str]) -> None:
    path = tmp_path / "A.csv"
    path.write_text(text)
    for command in (["convert", path, tmp_path / "A.parquet"], ["backtest", path]):
        code, _, err = run(capsys, *command)
        assert code == 2
        assert all(flag in err for flag in flags), err
        assert not re.search(r"(columns|dayfirst|decimal|repair|symbol|date_format)=[^a-z]", err)
    if "date_format" not in text and text != LONG:
        code, out, _ = run(capsys, "inspect", path, "--json")
        assert all(flag in json.loads(out)["error"] for flag in flags)


def test_several_columns_are_left_out(tmp_path: Path, capsys) -> None:
    path = tmp_path / "A.csv"
    path.write_text(
        HEAD.replace("\n", ",p,q\n") + "2024-01-02,1,2,1,2,9,KO,KO\n2024-01-03,1,2,1,2,9,KO,KO\n"
        "2024-01-04,1,2,1,2,9,PG,PG\n"
    )
    assert run(capsys, "inspect", path, "--columns", "ignored=p")[0] == 3  # of KO and PG
    assert run(capsys, "inspect", path, "--columns", "ignored=p", "ignored=q")[0] == 0
    assert run(capsys, "inspect", path, "--columns", "ignored=p,ignored=q", "--min-bars", 4)[0] == 2


def test_every_option_of_reading_has_a_flag() -> None:
    names = set(inspect.signature(ms.read_bars).parameters) - {"path_or_frame"}
    parser = argparse.ArgumentParser()
    add_data_arguments(parser.add_argument_group())
    flags = {action.dest for action in parser._actions}
    assert names <= flags


def test_symbols_choose_from_folders_and_tables(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "long.csv").write_text(LONG.replace("28,AAPL", "28,KO"))
    (folder / "BBB.csv").write_text(HEAD + DAYS)
    for command, out in (("inspect", []), ("convert", [tmp_path / "out"])):
        code, text, _ = run(capsys, command, folder, *out, "--symbol", "BBB", "--repair", "sort")
        assert code == 0
        assert "BBB" in text and "AAA" not in text and "BAD" not in text
        code, text, _ = run(capsys, command, tmp_path / "long.csv", *out, "--symbols", "AAPL,MSFT")
        assert code == 0
        assert "AAPL" in text and "MSFT" in text and "KO" not in text
        for source in (folder, tmp_path / "long.csv"):
            for wrong in ("ZZZ", "AAA,ZZZ"):
                code, text, err = run(capsys, command, source, *out, "--symbols", wrong, "--force"
                                      if command == "convert" else "--json")  # fmt: skip
                assert code == 2
                assert "unknown symbol" in err + text


def test_a_bad_symbol_of_a_table_stops_no_other(tmp_path: Path, capsys) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG.replace("28,MSFT,1,2,1,2,9", "28,MSFT,1,2,1,2,-9"))
    code, out, _ = run(capsys, "inspect", path)
    assert code == 3
    assert "AAPL  28 bars" in out and "volume must be >= 0" in out
    code, out, err = run(capsys, "convert", path, tmp_path / "out")
    assert code == 3
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["AAPL.parquet"]
    assert "error: MSFT:" in err


def test_the_table_of_a_backtest_names_flags(tmp_path, capsys):
    times = pd.date_range("2024-03-04", periods=120, freq="h")
    price = 100.0 + np.arange(120) % 7 / 10
    frame = pd.DataFrame({"date": times, "open": price, "high": price + 1, "low": price - 1,
                          "close": price + 0.5, "volume": 1_000})  # fmt: skip
    frame.to_csv(tmp_path / "A.csv", index=False)
    assert main(["backtest", str(tmp_path / "A.csv"), "--model", "ewma", "--simulations", "3",
                 "--no-store", "--quiet"]) == 0  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    assert "--calendar XNYS" in shown and "calendar=" not in shown and "asset_class=" not in shown
