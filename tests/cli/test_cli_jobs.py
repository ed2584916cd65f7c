"""--jobs: the same output in any number of processes; failures, kills and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.cli import backtest, main
from marketsim.live import orders
from marketsim.processes import WorkerLostError


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As in a process without torch, whatever tests ran before; not where a network runs."""
    if "network" not in request.node.name:
        monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven symbols, of which one has too few bars and one a defect."""
    found = tmp_path / "bars"
    found.mkdir()
    for i in range(5):
        random_bars(300, seed=i).frame.to_csv(found / f"S{i}.csv", index_label="date")
    random_bars(20, seed=9).frame.to_csv(found / "SHORT.csv", index_label="date")
    text = (found / "S0.csv").read_text().splitlines()
    text[5] = text[5].split(",")[0] + ",1,-2,3,4,5"
    (found / "BAD.csv").write_text("\n".join(text))
    return found


COMMANDS = {
    "backtest": ["--model", "ewma", "--simulations", "5", "--asset-class", "equity"],
    "forecast": ["--model", "ewma", "--simulations", "5"],
    "orders": ["--model", "ewma", "--strategies", "maxdiff", "high_low", "--asset-class", "equity"],
    "replay": ["--params", "fast=5", "slow=20"],
}


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 3) -> tuple[str, str]:
    assert main([*map(str, arguments)]) == code
    found = capsys.readouterr()
    return found.out, found.err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_output_is_the_same_in_any_number(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(jobs: int) -> tuple[str, str]:
        store = [] if command == "replay" else ["--store", tmp_path / f"store{jobs}"]
        more = [*COMMANDS[command], *store, "--json", "--quiet", "--jobs", jobs]
        return said(capsys, command, folder, *more)

    def untimed(text: str) -> Any:
        found = json.loads(text.replace(str(tmp_path), ""))
        found.pop("store", None)
        for row in found.get("symbols", []):
            row.pop("seconds", None)
        return found

    alone, errors = run(1)
    for jobs in (2, 3):
        out, err = run(jobs)
        assert untimed(out) == untimed(alone)
        assert err == errors
    assert "BAD" in errors


def test_the_pages_are_the_same(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backtest", folder, *COMMANDS["backtest"], "--no-store", "--quiet", "--report"]
    for jobs in (1, 2):
        said(capsys, *arguments, tmp_path / str(jobs), "--jobs", jobs)
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert "S4.html" in names and "index.html" in names
    assert names == sorted(path.name for path in (tmp_path / "2").iterdir())
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_hits_of_all_processes_are_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "backtest", folder, *COMMANDS["backtest"], "--store", tmp_path / "store", "--jobs", 2,
    ]  # fmt: skip
    _, first = said(capsys, *arguments)
    _, again = said(capsys, *arguments)
    made = next(line for line in first.splitlines() if line.startswith("forecasts: 0 from"))
    count = made.split(", ")[1].removesuffix(" made")
    assert f"forecasts: {count} from the store, 0 made" in again


def test_a_killed_process_costs_its_symbol(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backtest.run_symbol

    def run_symbol(bars: ms.Bars, *args: Any, **options: Any) -> Any:
        if bars.symbol == "S2":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(bars, *args, **options)

    monkeypatch.setattr(backtest, "run_symbol", run_symbol)
    more = [*COMMANDS["backtest"], "--no-store", "--quiet", "--json"]
    out, err = said(capsys, "backtest", folder, *more, "--jobs", 2)
    assert "error: S2: the process that ran S2 ended: signal 9" in err
    assert [one["symbol"] for one in json.loads(out)["symbols"]] == ["S0", "S1", "S3", "S4"]


def test_ctrl_c_keeps_what_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, us = backtest.run_symbol, os.getpid()

    def run_symbol(bars: ms.Bars, *args: Any, **options: Any) -> Any:
        if bars.symbol == "S3":
            time.sleep(0.5)
            os.kill(us, signal.SIGINT)
            time.sleep(60 if os.getpid() != us else 0)
        return real(bars, *args, **options)

    monkeypatch.setattr(backtest, "run_symbol", run_symbol)
    more = [*COMMANDS["backtest"], "--no-store", "--quiet", "--json"]
    for jobs in (1, 2):
        out, err = said(capsys, "backtest", folder, *more, "--jobs", jobs, code=130)
        done = [one["symbol"] for one in json.loads(out)["symbols"]]
        assert done[:3] == ["S0", "S1", "S2"] and "S3" not in done
        assert "symbols are not done, from S3 on" in err


def test_wrong_numbers_of_jobs_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("0", "-1", "two", "1025"):
        with pytest.raises(SystemExit) as end:
            main(["backtest", str(folder), "--jobs", wrong])
        assert end.value.code == 2
        assert "--jobs: expected a number of processes" in capsys.readouterr().err


def test_a_folder_has_no_trades_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = said(capsys, "replay", folder, "--trades", "t.csv", code=2)
    assert "are of one symbol: got a folder" in err


def many(count: int = 4) -> dict[str, ms.Bars]:
    found = {}
    for i in range(count):
        found[f"S{i}"] = ms.read_bars(random_bars(200, i).frame, symbol=f"S{i}")
    return found


@pytest.mark.parametrize("jobs", [1, 2])
def test_walk_forward_each_is_walk_forward_of_each(jobs: int, folder: Path) -> None:
    options: dict[str, Any] = {"simulations": 5, "store": False, "progress": False}
    options["asset_class"] = "equity"
    bars = many()
    found = ms.walk_forward_each(bars, "ewma", jobs=jobs, **options)
    assert list(found) == list(bars)
    for symbol, result in found.items():
        alone = ms.walk_forward(bars[symbol], "ewma", **options)
        assert result.days.equals(alone.days) and result.to_dict() == alone.to_dict()
    errors: dict[str, str] = {}
    read = ms.walk_forward_each(folder, "ewma", jobs=jobs, errors=errors, **options)
    assert list(read) == ["S0", "S1", "S2", "S3", "S4"] and list(errors) == ["BAD", "SHORT"]
    with pytest.raises(ms.BarsError):
        ms.walk_forward_each(folder, "ewma", jobs=jobs, **options)


def test_next_orders_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"store": False, "progress": False, "asset_class": "equity"}
    bars = many(5)
    alone = ms.next_orders(bars, "ewma", "maxdiff", **options)
    for jobs in (2, 3):
        found = ms.next_orders(bars, "ewma", "maxdiff", jobs=jobs, **options)
        assert found.equals(alone) and found.attrs == alone.attrs
    us, real = os.getpid(), orders._Asked.__call__

    def killed(self: Any, symbols: Any) -> Any:
        if os.getpid() != us and "S0" in symbols:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, symbols)

    monkeypatch.setattr(orders._Asked, "__call__", killed)
    errors: dict[str, str] = {}
    rest = ms.next_orders(bars, "ewma", "maxdiff", jobs=5, errors=errors, **options)
    assert list(errors) == ["S0"] and "signal 9" in errors["S0"]
    assert rest["symbol"].unique().tolist() == ["S1", "S2", "S3", "S4"]
    with pytest.raises(WorkerLostError):
        ms.next_orders(bars, "ewma", "maxdiff", jobs=5, **options)


def test_a_network_gives_the_same_bytes_in_processes(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from checkpoints import write_toto2

    write_toto2(tmp_path / "toto", 1)
    model = ms.load_model(tmp_path / "toto")
    bars = many(3)
    options: dict[str, Any] = {"simulations": 4, "store": False, "progress": False}
    options["asset_class"] = "equity"
    alone = ms.walk_forward_each(bars, model, **options)
    found = ms.walk_forward_each(bars, model, jobs=2, **options)
    for symbol, result in found.items():
        ours, theirs = result.forecasts, alone[symbol].forecasts
        np.testing.assert_array_equal(ours["mean"].to_numpy(), theirs["mean"].to_numpy())
        assert result.days.equals(alone[symbol].days)
