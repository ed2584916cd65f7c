"""marketsim orders prints what next_orders gives."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

import marketsim as ms
from marketsim.cli import main


def test_table_csv_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["orders", "demo", "--strategies", "maxdiff", "high_low", "--tick", "0.01", "--equity",
            "10000", "--no-store", "--quiet"]  # fmt: skip
    expected = ms.next_orders(
        ms.demo_bars(), "range", ["maxdiff", "high_low"], tick=0.01, equity=10_000.0, store=False
    )
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert "orders for the bar 2019-01-01, from the close of 2018-12-31" in out
    assert f"{expected['entry_limit'].iloc[0]:,.10g}" in out
    assert "next bar" in err and "calendar=" in err
    assert main([*args, "--format", "csv"]) == 0
    read = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert read["buy_limit"].tolist()[0] == expected["buy_limit"].iloc[0]
    assert main([*args, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["orders"][0]["sell_limit"] == expected["sell_limit"].iloc[0]
    assert facts["notes"] == expected.attrs["notes"]


def test_rows_without_an_order_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["orders", "demo", "--strategies", "buy_and_hold", "--no-store", "--quiet"]
    assert main(args) == 0
    assert capsys.readouterr().out == "1 row without an order; --all shows them\n"
    assert main([*args, "--all"]) == 0
    assert "buy_and_hold  none" in capsys.readouterr().out


def test_folder_reports_what_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = ms.demo_bars().frame
    frame.iloc[-300:].to_csv(tmp_path / "AAA.csv")
    frame.iloc[-30:].to_csv(tmp_path / "SHORT.csv")
    args = ["orders", str(tmp_path), "--strategies", "maxdiff", "--no-store", "--quiet"]
    assert main(args) == 3
    out, err = capsys.readouterr()
    assert "AAA" in out and "error: SHORT: SHORT: too few bars" in err
    (tmp_path / "AAA.csv").unlink()
    assert main(args) == 2


def test_wrong_values_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["orders", "demo", "--tick", "-1", "--no-store", "--quiet"]) == 2
    assert "tick must be above 0" in capsys.readouterr().err
