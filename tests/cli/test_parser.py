"""Errors of the command line: the error first, one line of usage; lists leave the file alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketsim.cli import _parser, main
from marketsim.cli.loading import load_object


@pytest.mark.parametrize(
    ("given", "error", "usage"),
    [
        (["backtest"], "expected FILE|FOLDER|demo: got nothing", "backtest FILE|FOLDER|demo"),
        (["backtest", "demo", "--modl", "ewma"], "did you mean --model?", "backtest"),
        (["backtest", "demo", "--fill", "optimist"], "did you mean optimistic?", "backtest"),
        (["stor"], "did you mean store?", "marketsim COMMAND"),
        (["store", "repairr"], "did you mean repair?", "store COMMAND"),
        (["store", "gc", "--older-than", "x"], "--older-than: expected an age", "store gc"),
        (["check", "a:b"], "expected FILE|demo", "check MODULE:NAME FILE|demo"),
        (["backtest", "a.csv", "b.csv"], "unrecognized arguments: b.csv", "backtest"),
    ],
)
def test_the_error_comes_first_and_usage_is_one_line(
    given: list[str], error: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(given)
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert not out and first.startswith("error: ") and error in first
    assert second.startswith("usage: marketsim ") and usage in second and len(second) <= 80


def test_a_list_of_names_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "AAPL.csv"
    file.touch()
    args = _parser(["backtest"]).parse_args(["backtest", "--strategies", "simple", str(file)])
    assert (args.source, args.strategies) == (str(file), ["simple"])
    args = _parser(["backtest"]).parse_args(["backtest", str(file), "--strategies", "a", "demo"])
    assert (args.source, args.strategies) == (str(file), ["a", "demo"])
    with pytest.raises(SystemExit):
        _parser(["backtest"]).parse_args(["backtest", "--strategies", "simple", "missing.csv"])
    with pytest.raises(SystemExit):  # one of the two would be lost
        _parser(["backtest"]).parse_args(
            ["backtest", "--strategies", "simple", str(file), "--quiet", str(file)]
        )


def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = f"{sys.executable} -m marketsim backtest --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("usage: marketsim backtest") and not done.stderr


def test_a_file_edited_within_a_second_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    for value in (1, 2, 3):
        path.write_text(f"VALUE = {value}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        assert load_object(f"{path}:VALUE") == value
    assert [one.name for one in tmp_path.iterdir()] == ["mine.py"]
