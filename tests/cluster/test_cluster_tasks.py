"""Work on a cluster's nodes: outcomes, order, lost workers, back-pressure, Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.cluster import HandedBars, connect, run_each_on
from marketsim.errors import ArgumentError, BarsError, MarketsimError
from marketsim.processes import WorkerLostError


def many(count: int = 4) -> dict[str, ms.Bars]:
    return {f"S{i}": ms.read_bars(random_bars(200, i).frame, symbol=f"S{i}") for i in range(count)}


def test_every_name_has_its_outcome_and_its_node(cluster: Any) -> None:
    names = [str(i) for i in range(20)]
    found = dict(run_each_on(cluster, lambda name: name * 2, names))
    assert {name: one.found for name, one in found.items()} == {name: name * 2 for name in names}
    assert {cluster.places[name] for name in names} <= {node.id for node in cluster.nodes}
    assert list(run_each_on(cluster, str.lower, [])) == []


def test_the_environment_of_each_node_is_known(cluster: Any) -> None:
    told = cluster.environment()
    assert [node["cpus"] for node in told["nodes"]] in (
        [0.0, 2.0, 2.0],
        [2.0, 2.0, 0.0],
        [2.0, 0.0, 2.0],
    )
    for node in told["nodes"]:
        assert node["versions"] == told["driver"] and node["instruction_set"]


def test_an_error_costs_its_name_alone(cluster: Any) -> None:
    def work(name: str) -> Any:
        if name == "b":
            raise MarketsimError("no bars")
        return (lambda: name) if name == "c" else name

    found = dict(run_each_on(cluster, work, list("abcd")))
    assert (found["a"].found, found["d"].found) == ("a", "d")
    assert isinstance(found["b"].raised, MarketsimError) and str(found["b"].raised) == "no bars"
    assert "on node" in "".join(found["b"].raised.__notes__)
    assert found["c"].raised is None and found["c"].found() == "c"


def test_a_killed_worker_is_tried_again(cluster: Any, tmp_path: Path) -> None:
    def work(name: str) -> str:
        tries = tmp_path / name
        tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
        if name == "bad" or (name == "once" and tries.read_text() == "x"):
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    found = dict(run_each_on(cluster, work, ["a", "once", "bad", "b"]))
    assert [found[name].found for name in ("a", "once", "b")] == ["a", "once", "b"]
    assert isinstance(found["bad"].raised, WorkerLostError)
    assert "the worker that ran bad was lost 3 times" in str(found["bad"].raised)
    tries = {name: (tmp_path / name).read_text() for name in found}
    assert tries["once"] == "xx" and tries["bad"] == "xxx"


def test_tasks_in_flight_are_bounded(cluster: Any) -> None:
    read: list[str] = []

    class Source(dict[str, ms.Bars]):
        def __getitem__(self, symbol: str) -> ms.Bars:
            read.append(symbol)
            return super().__getitem__(symbol)

    bars = Source({f"S{i}": one for i in range(30) for one in [random_bars(30)]})
    running = run_each_on(cluster, str, list(bars), bars=HandedBars(bars))
    next(running)
    assert len(read) <= 2 * cluster.cpus + 4  # twice the four CPUs, and those that have ended
    assert len(dict(running)) == 29 and len(read) == 30


def test_bars_are_handed_over_and_bad_ones_cost_their_symbol(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    for i in range(3):
        random_bars(300, seed=i).frame.to_csv(folder / f"S{i}.csv", index_label="date")
    text = (folder / "S0.csv").read_text().splitlines()
    text[5] = text[5].split(",")[0] + ",1,-2,3,4,5"
    (folder / "BAD.csv").write_text("\n".join(text))
    bars = ms.read_folder(folder)
    handed = HandedBars(bars)
    found = dict(
        run_each_on(
            cluster, lambda s: float(handed[s].frame["close"].sum()), list(bars), bars=handed
        )
    )
    assert isinstance(found.pop("BAD").raised, BarsError)
    for symbol, outcome in found.items():
        assert outcome.found == float(bars[symbol].frame["close"].sum())


def test_closing_cancels_what_is_in_flight(cluster: Any, tmp_path: Path) -> None:
    def work(name: str) -> str:
        if name != "0":
            (tmp_path / name).write_text(str(os.getpid()))
            time.sleep(600)
        return name

    running = run_each_on(cluster, work, ["0", "1", "2"])
    assert next(running)[0] == "0"
    while len(list(tmp_path.iterdir())) < 2 or not all(f.read_text() for f in tmp_path.iterdir()):
        time.sleep(0.05)
    running.close()
    pids = [int(file.read_text()) for file in tmp_path.iterdir()]
    end = time.monotonic() + 120
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "tasks still run"
        time.sleep(0.1)


def test_walk_forward_each_gives_the_bytes_of_one_process(cluster: Any) -> None:
    options: dict[str, Any] = {"simulations": 5, "store": False, "progress": False}
    options["asset_class"] = "equity"
    bars = many()
    alone = ms.walk_forward_each(bars, "ewma", **options)
    found = ms.walk_forward_each(bars, "ewma", cluster=cluster, **options)
    assert list(found) == list(bars)
    for symbol, result in found.items():
        assert result.days.equals(alone[symbol].days)
        assert result.to_dict() == alone[symbol].to_dict()
        np.testing.assert_array_equal(
            result.forecasts["mean"].to_numpy(), alone[symbol].forecasts["mean"].to_numpy()
        )
    with pytest.raises(ArgumentError, match="jobs and cluster exclude each other"):
        ms.walk_forward_each(bars, "ewma", cluster=cluster, jobs=2, **options)


def test_a_connected_process_finds_its_cluster(cluster: Any, nodes: Any) -> None:
    for asked in ("auto", nodes.address):
        again = connect(asked)
        assert again.address == nodes.address and again.nodes == cluster.nodes
        again.close()  # not ours to end
    assert dict(run_each_on(cluster, str, ["a"]))["a"].found == "a"
    with pytest.raises(ms.MarketsimError, match="is connected to the cluster at"):
        connect("10.1.2.3:6379")
