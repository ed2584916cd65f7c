"""The store that nodes share: segments, places, claims, what kills leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from market import random_bars

import marketsim as ms
from marketsim.cluster import SegmentStore, gather
from marketsim.cluster.claim import NAME, STALE_SECONDS, Claim, read_claim
from marketsim.cluster.place import open_place
from marketsim.errors import ArgumentError, ClusterError, MissingDependencyError, StoreWarning
from marketsim.forecasts import ForecastPlan, PredictionStore, run_plan

Fresh = Callable[[str], SegmentStore]


@pytest.fixture(params=["folder", "file", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        pytest.importorskip("fsspec", reason="fsspec is not installed")
        return f"memory://store{tmp_path.name}{os.getpid()}"
    return f"file://{tmp_path}/shared" if request.param == "file" else str(tmp_path / "shared")


@pytest.fixture
def fresh(location: str, tmp_path: Path) -> Fresh:
    """Opens the store as a machine that has its own folder."""
    return lambda machine: SegmentStore(location, tmp_path / machine)


def forecasts(bars: ms.Bars, store: Any, stop: int = 200) -> Any:
    plan = ForecastPlan.of_rows(len(bars.frame), 50, stop, (1,))
    return run_plan(bars, ms.load_model("ewma"), plan, store=store, progress=False)


def test_published_records_are_found_elsewhere(fresh: Fresh, location: str, tmp_path: Path) -> None:
    bars = random_bars(200, 1)
    one = fresh("one")
    made = forecasts(bars, one)
    assert one.counters["misses"] == 600 and one.counters["hits"] == 0
    assert open_place(location).names("segments") == []  # not before it is published
    assert forecasts(bars, one).records.tobytes() == made.records.tobytes()
    assert one.publish() == 1 and one.publish() == 0
    other = fresh("other")
    assert forecasts(bars, other).records.tobytes() == made.records.tobytes()
    assert (other.counters["hits"], other.counters["misses"]) == (600, 0)
    assert other.publish() == 0
    assert gather(location, tmp_path / "local") == 600
    with PredictionStore(tmp_path / "local") as local:
        assert forecasts(bars, local).records.tobytes() == made.records.tobytes()
        assert local.counters["misses"] == 0


def test_a_series_of_several_segments_is_merged(fresh: Fresh, location: str) -> None:
    bars = random_bars(200, 2)
    for machine, stop in (("one", 100), ("two", 150), ("three", 200)):
        store = fresh(machine)
        forecasts(bars, store, stop)
        assert store.publish() == 1
    assert len(open_place(location).names("segments")) == 3
    last = fresh("four")
    forecasts(bars, last)
    assert (last.counters["hits"], last.counters["misses"]) == (600, 0)


def test_a_damaged_segment_is_left_out_and_made_again(fresh: Fresh, location: str) -> None:
    bars = random_bars(200, 3)
    one = fresh("one")
    made = forecasts(bars, one)
    one.publish()
    place = open_place(location)
    (name,) = place.names("segments")
    content = place.read(name)
    assert content is not None
    assert blake3(content).hexdigest(length=16) == Path(name).stem
    place.put(name, content[:-100])  # as a half copy
    other = fresh("other")
    with pytest.warns(StoreWarning, match="is not what its name says"):
        again = forecasts(bars, other)
    assert again.records.tobytes() == made.records.tobytes()
    assert other.counters["corrupt"] == 1 and other.counters["misses"] == 600
    other.publish()
    assert place.read(name) == content  # the same bytes have the same name


KILLED = """
import sys
from marketsim.cluster.place import open_place
place = open_place(sys.argv[1])
content = bytes(range(256)) * 4096
print("begun", flush=True)
for i in range(1_000_000):
    place.put(f"segments/{i}.msp", content)
"""


def test_a_kill_leaves_nothing_half_published(tmp_path: Path) -> None:
    for number in range(3):
        root = tmp_path / str(number)
        command = [sys.executable, "-c", KILLED, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            place = open_place(root)
            while len(place.names("segments")) < 5 + number:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        found = place.names("segments")
        assert found
        assert all(place.read(name) == bytes(range(256)) * 4096 for name in found)


def test_two_drivers_exclude_each_other(location: str) -> None:
    place = open_place(location)
    held = f"another driver: process {os.getpid()} on"
    with Claim(place, "the store"), pytest.raises(ClusterError, match=held):
        Claim(place, "the store")
    assert read_claim(place) is None
    with Claim(place, "the store"):
        pass


@pytest.mark.parametrize("why", ["old", "gone", "unreadable"])
def test_claims_that_nobody_renews(location: str, why: str) -> None:
    place = open_place(location)
    with Claim(place, "the store"):
        held = read_claim(place)
    assert held is not None
    held["driver"] = "other"
    if why == "old":
        held |= {"host": "elsewhere", "time": time.time() - STALE_SECONDS - 1}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    if why == "gone":
        held["process"] = ended.pid
    place.put(NAME, b"{" if why == "unreadable" else json.dumps(held).encode())
    if why == "unreadable":  # being written by another driver, for all we know
        with pytest.raises(ClusterError, match="is written by another driver"):
            Claim(place, "the store")
        return
    with Claim(place, "the store") as claim:
        assert (read_claim(place) or {})["driver"] == claim.driver


def test_places_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="needs a folder or a URL"):
        open_place("")
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    with pytest.raises(ArgumentError, match="no URL that fsspec knows"):
        open_place("nonsense://a/b")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[cluster\]"'):
        open_place("s3://bucket/a")


def test_append_keeps_the_first_record(fresh: Fresh) -> None:
    bars = random_bars(200, 4)
    store = fresh("one")
    made = forecasts(bars, store)
    store.publish()
    seen: list[Any] = []

    class Spy(SegmentStore):
        def append(self, series: Any, keys: Any, records: Any) -> int:
            seen.append((series, keys))
            return super().append(series, keys, records)

    spy = Spy(store.location, store._root.parent / "spy")
    forecasts(bars, spy, 210 if len(bars.frame) > 210 else 200)
    assert not seen  # all were found
    assert np.isfinite(made.records).all()
