"""Flags of costs, volume, execution and benchmark: what they say stands in every output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import marketsim as ms
from marketsim.cli import main

QUICK = ("--simulations", "10", "--strategies", "simple,maxdiff", "--quiet", "--no-store")


def told(capsys, *args: str) -> str:
    assert main(["backtest", "demo", *QUICK, *args]) == 0
    return capsys.readouterr().out


def settings(capsys, *args: str) -> dict:
    return json.loads(told(capsys, *args, "--json"))["settings"]


def test_each_part_of_the_costs_has_a_flag(capsys, tmp_path: Path) -> None:
    flags = ("--maker", "-0.2bps", "--taker", "3bps", "--half-spread", "0.01%")
    flags += ("--borrow", "2%", "--financing", "0.07")
    page = tmp_path / "x.html"
    text = told(capsys, *flags, "--report", str(page))
    head = "limit -0.2 bp, market 4 bp, borrow 200 bp a year, financing 700 bp a year"
    assert head in " ".join(text.split()) and head in page.read_text()
    costs = settings(capsys, *flags)["costs"]
    assert costs == pytest.approx(
        {
            "fee_bps": 3.0, "half_spread_bps": 1.0, "maker_bps": -0.2, "borrow_bps": 200.0,
            "financing_bps": 700.0,
        }
    )  # fmt: skip


def test_parts_that_are_not_stated_stay_the_asset_class_s_own(capsys) -> None:
    own = settings(capsys)["costs"]
    assert settings(capsys, "--borrow", "3%")["costs"] == own | {"borrow_bps": 300.0}
    crypto = settings(capsys, "--asset-class", "crypto", "--maker", "0")["costs"]
    assert (crypto["maker_bps"], crypto["fee_bps"]) == (0.0, 15.0)
    # --fee is one rate for every fill, and nothing else.
    one = settings(capsys, "--fee", "2bps", "--borrow", "1%")["costs"]
    assert one["maker_bps"] is None
    assert (one["fee_bps"], one["borrow_bps"], one["financing_bps"]) == pytest.approx((2, 100, 0))


def test_the_other_rules_of_a_run_are_told_as_well(capsys, tmp_path: Path) -> None:
    bars = tmp_path / "SPX.csv"
    ms.demo_bars().frame.to_csv(bars)
    flags = ("--volume-cap", "1e6:5%", "--execution", "next_open", "--risk-free", "4%")
    flags += ("--benchmark", str(bars))
    page = tmp_path / "x.html"
    text = told(capsys, *flags, "--report", str(page))
    for words in ("most 0.05 of a bar", "eld positions trade at the next open"):
        assert words in text and words in page.read_text()
    assert "risk-free 0.04 a year" in text and "against SPX" in text
    found = settings(capsys, *flags)
    assert found["volume_cap"] == {"capital": 1e6, "share": 0.05}
    assert (found["execution"], found["risk_free"]) == ("next_open", 0.04)
    assert found["benchmark"] == "SPX"
    assert settings(capsys, "--volume-cap", "500")["volume_cap"] == {"capital": 500, "share": 0.1}


def test_flags_are_those_of_walk_forward(capsys) -> None:
    flags = ("--taker", "3bps", "--execution", "next_open", "--start", "2017-01-01")
    found = json.loads(told(capsys, *flags, "--end", "2017-03-01", "--json"))
    costs = ms.Costs(3.0, 1.0, maker_bps=5.0, borrow_bps=50.0, financing_bps=600.0)
    result = ms.walk_forward(
        ms.demo_bars(), simulations=10, strategies=["simple", "maxdiff"], fee=costs, store=False,
        execution="next_open", start="2017-01-01", end="2017-03-01", progress=False,
    )  # fmt: skip
    assert found["strategies"] == result.to_dict()["strategies"]
    assert found["settings"]["last_day"][:10] <= "2017-03-01"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--fee", "1bp", "--maker", "2bps"),
            "--fee already sets the rate of every fill: got --maker",
        ),
        (("--maker", "150%"), "expected a rate below 100 %"),
        (("--borrow", "-1%"), "borrow_bps must not be negative"),
        (("--volume-cap", "1e6:2"), "expected CAPITAL:SHARE with a share"),
        (("--volume-cap", "5%"), "expected CAPITAL:SHARE with a share"),
        (("--execution", "never"), "invalid choice: 'never'"),
        (("--risk-free", "x"), "expected a rate below 100 %"),
        (("--benchmark", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_is_an_error(capsys, flags, message) -> None:
    try:
        code = main(["backtest", "demo", *QUICK, *flags])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err
