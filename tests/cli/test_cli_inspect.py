"""marketsim inspect and convert, and the options by which all commands read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import marketsim as ms
from marketsim.cli import main

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
