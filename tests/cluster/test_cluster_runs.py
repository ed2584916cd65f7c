"""Whole runs on a cluster: a node lost, a driver killed and resumed, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from market import random_bars

import marketsim as ms
from marketsim.cli import main
from marketsim.cluster import connect, run_on
from marketsim.cluster.claim import Claim
from marketsim.cluster.place import open_place
from marketsim.errors import ArgumentError, ClusterError

OPTIONS: dict[str, Any] = {"simulations": 5, "progress": False, "asset_class": "equity"}


def many(count: int = 4) -> dict[str, ms.Bars]:
    return {f"S{i}": ms.read_bars(random_bars(200, i).frame, symbol=f"S{i}") for i in range(count)}


def test_a_node_that_is_lost_in_mid_run(cluster: Any, nodes: Any, tmp_path: Path) -> None:
    extra = nodes.add_node(num_cpus=2, object_store_memory=80 << 20)
    now = connect("auto")
    lost = extra.node_id
    bars = many(8)
    alone = ms.walk_forward_each(bars, "ewma", store=False, **OPTIONS)

    def work(symbol: str) -> Any:
        import ray

        (tmp_path / f"{symbol}-{os.getpid()}").write_text("")
        if ray.get_runtime_context().get_node_id() == lost:
            (tmp_path / "there").write_text("")
            time.sleep(600)  # until the node is killed
        return ms.walk_forward(handed[symbol], "ewma", store=False, **OPTIONS)

    with run_on(now, None, bars, None) as run:
        handed = run.bars
        running = run.each(work, list(bars))
        found = {}
        killed = False
        for symbol, outcome in running:
            found[symbol] = outcome.found
            if not killed:
                end = time.monotonic() + 60
                while not (tmp_path / "there").exists() and time.monotonic() < end:
                    time.sleep(0.05)
                nodes.remove_node(extra, allow_graceful=False)
                killed = True
    assert killed and (tmp_path / "there").exists()
    for symbol, result in alone.items():
        assert found[symbol].to_dict() == result.to_dict()
    runs = Counter(path.name.split("-")[0] for path in tmp_path.iterdir() if "-" in path.name)
    assert set(runs) == set(bars) and sum(runs.values()) <= len(bars) + 4


DRIVER = """
import sys, time
import marketsim as ms
from marketsim.cli import main
from marketsim.cluster import run_on
from market import random_bars

bars = {f"S{i}": ms.read_bars(random_bars(200, i).frame, symbol=f"S{i}") for i in range(12)}
options = {"simulations": 5, "progress": False, "asset_class": "equity"}
with run_on(sys.argv[1], ms.load_model("ewma"), bars, sys.argv[2]) as run:
    handed, model, store = run.bars, run.model, run.store

    def work(symbol):
        time.sleep(0.5)
        return ms.walk_forward(handed[symbol], model, store=store, **options).to_dict()

    for symbol, outcome in run.each(work, list(bars)):
        print(symbol, flush=True)
"""


def segments(store: Path) -> dict[str, int]:
    return Counter(str(Path(name).parent) for name in open_place(store).names("segments"))


def test_a_killed_driver_is_resumed(cluster: Any, nodes: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-c", DRIVER, nodes.address, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if line.startswith("S"))
        with pytest.raises(ClusterError, match="is written by another driver: process"):
            ms.walk_forward_each(many(1), "ewma", cluster=cluster, store=store, **OPTIONS)
        assert next(line for line in process.stdout if line.startswith("S"))
        process.send_signal(signal.SIGKILL)
    before = segments(store)
    assert 2 <= len(before) < 12
    bars = many(12)
    found = ms.walk_forward_each(bars, "ewma", cluster=cluster, store=store, **OPTIONS)
    alone = ms.walk_forward_each(bars, "ewma", store=False, **OPTIONS)
    for symbol, result in alone.items():
        assert found[symbol].to_dict() == result.to_dict()
    after = segments(store)
    assert len(after) == 12 and set(after.values()) == {1}  # nothing was made twice
    records = [json.loads(path.read_text()) for path in (store / "runs").iterdir()]
    assert len(records) == 2
    assert all(one["model"]["name"] == "ewma" and one["nodes"] for one in records)
    assert not (store / "claim.json").exists()


def test_stores_that_nodes_cannot_share(cluster: Any, tmp_path: Path) -> None:
    bars = many(1)
    for store in (ms.MemoryStore(), ms.PredictionStore(tmp_path / "own")):
        with pytest.raises(ArgumentError, match="must be a folder that all nodes share"):
            ms.walk_forward_each(bars, "ewma", cluster=cluster, store=store, **OPTIONS)
    ms.walk_forward_each(bars, "ewma", store=tmp_path / "local", **OPTIONS)
    with pytest.raises(ArgumentError, match="is a store of one machine"):
        ms.walk_forward_each(bars, "ewma", cluster=cluster, store=tmp_path / "local", **OPTIONS)
    with pytest.raises(ClusterError, match="is not shared by all nodes"):
        ms.walk_forward_each(bars, "ewma", cluster=cluster, store="memory://x", **OPTIONS)
    with Claim(open_place(tmp_path / "held"), "it"), pytest.raises(ClusterError, match="another"):
        ms.walk_forward_each(bars, "ewma", cluster=cluster, store=tmp_path / "held", **OPTIONS)


COMMANDS = {
    "backtest": ["--model", "ewma", "--simulations", "5", "--asset-class", "equity"],
    "forecast": ["--model", "ewma", "--simulations", "5"],
    "orders": ["--model", "ewma", "--strategies", "maxdiff", "--asset-class", "equity"],
    "replay": ["--params", "fast=5", "slow=20"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_print_what_one_process_prints(
    command: str, cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    for i in range(3):
        random_bars(300, seed=i).frame.to_csv(folder / f"S{i}.csv", index_label="date")
    text = (folder / "S0.csv").read_text().splitlines()
    text[5] = text[5].split(",")[0] + ",1,-2,3,4,5"
    (folder / "BAD.csv").write_text("\n".join(text))

    def said(name: str, *more: str) -> tuple[Any, str]:
        store = [] if command == "replay" else ["--store", str(tmp_path / name)]
        given = [command, str(folder), *COMMANDS[command], *store, "--json", "--quiet", *more]
        assert main(given) == 3
        told = capsys.readouterr()
        found = json.loads(told.out)
        found.pop("store", None)
        for row in found.get("symbols", []):
            row.pop("seconds", None)
        return found, told.err

    assert said("there", "--cluster", "auto") == said("here")
    if command == "backtest":
        assert main([command, str(folder), "--cluster", "auto", "--jobs", "2"]) == 2
        assert "--jobs and --cluster exclude each other" in capsys.readouterr().err
        assert main([command, str(folder), "--store", "s3://bucket/a"]) == 2
        assert "is a URL, which --cluster alone can use" in capsys.readouterr().err
        assert main([command, str(folder / "S1.csv"), "--cluster", "auto"]) == 2
        assert "runs the symbols of a folder: got one symbol" in capsys.readouterr().err
