"""No name out of a file reaches a terminal as a control character, on either stream."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

import pytest
from market import random_frame

import marketsim as ms
from marketsim import text
from marketsim.cli import main
from marketsim.cli.terminal import printable_output
from marketsim.errors import StoreWarning, StoreWriteError, UnknownNameError

EVIL = "\x1b]0;owned\x07\x9b2J\r\u202egnp\u2066\u200b\x7f"


def is_clean(shown: str) -> bool:
    return all(line.isprintable() for line in shown.split("\n"))


def test_what_printable_keeps_and_writes_as_codes() -> None:
    assert text.printable("BTC-USD é 日本 😀") == "BTC-USD é 日本 😀"
    assert text.printable("a\tb\nc") == "a\\tb\\nc"
    assert text.printable("abcdef", 4) == "abc…"
    assert is_clean(text.printable_lines(f"a\n{EVIL}\n{chr(0xD800)}"))
    assert text.printable(text.printable(EVIL)) == text.printable(EVIL)


def test_both_streams_of_the_command_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    with printable_output():
        print(EVIL)
        print(EVIL, file=sys.stderr)
        sys.stdout.writelines([EVIL, "\n"])
    print(EVIL)
    out, err = capsys.readouterr()
    assert is_clean(out.removesuffix(f"{EVIL}\n"))
    assert out.endswith(f"{EVIL}\n")  # outside, the program's own stream is back
    assert is_clean(err)


def test_messages_of_errors_warnings_and_logs_are_clean(caplog: pytest.LogCaptureFixture) -> None:
    errors = (
        ms.errors.ArgumentError(EVIL),
        StoreWriteError(28, f"{EVIL} could not be stored"),
        UnknownNameError("model", "x", [EVIL]),
        ms.errors.BarsError(EVIL),
    )
    assert all(is_clean(str(error)) for error in errors)
    assert errors[1].errno == 28
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.warn(EVIL, StoreWarning, stacklevel=1)
    assert is_clean(str(found[0].message))
    logger = text.get_logger("marketsim.test")
    with caplog.at_level(logging.WARNING):
        logger.warning("%s of %d", EVIL, 3)
    assert is_clean(caplog.records[0].getMessage())
    assert caplog.records[0].getMessage().endswith("of 3")


def test_names_of_files_and_models_are_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = EVIL.replace("/", "")
    folder = tmp_path / name
    folder.mkdir()
    bars = folder / "AAA.csv"
    random_frame(150).to_csv(bars)
    store = tmp_path / "store"
    run = ["--simulations", "5", "--strategies", "simple", "--model", "persistence"]
    assert main(["backtest", str(bars), *run, "--store", str(store)]) == 0
    (model,) = (store / "v1").iterdir()
    facts = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**facts, "name": EVIL}))
    for argv in (
        ["inspect", str(bars)],
        ["inspect", str(folder)],
        ["inspect", str(folder / "none.csv")],
        ["store", "stat", "--store", str(store)],
        ["store", "ls", "--store", str(store)],
        ["store", "ls", "--store", str(folder)],
        ["store", "show", "AAA", "--store", str(store)],
        ["store", "verify", "--store", str(store)],
        ["backtest", str(bars), *run, "--no-store", "--report", str(folder / "x.html")],
        ["replay", str(bars), "--strategy", EVIL],
        ["backtest", str(bars), "--model", str(folder)],
    ):
        main(argv)
    out, err = capsys.readouterr()
    assert is_clean(out)
    assert is_clean(err)
    assert "owned" in out + err
