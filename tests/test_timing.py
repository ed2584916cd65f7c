from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from marketsim import timing
from marketsim.errors import ArgumentError
from marketsim.timing import OTHER, profiled, stage


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000
        monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: self.now)

    def pass_(self, nanoseconds: int) -> None:
        self.now += nanoseconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_each_moment_counts_once_for_the_innermost_stage(clock: Clock) -> None:
    with profiled() as profile:
        clock.pass_(1)
        with stage("a"):
            clock.pass_(10)
            with stage("b"):
                clock.pass_(100)
            clock.pass_(1_000)
            with stage("b"):
                clock.pass_(10_000)
        with stage("b"):
            clock.pass_(100_000)
    clock.pass_(1_000_000)  # after its end
    found = {s.name: (round(s.seconds * 1e9), s.calls) for s in profile.by_stage()}
    assert found == {"a": (1_010, 1), "b": (110_100, 3), OTHER: (1, 1)}
    assert [s.name for s in profile.by_stage()] == ["a", "b", OTHER]
    assert round(profile.seconds * 1e9) == 111_111
    paths = {path: round(seconds * 1e9) for path, seconds in profile.by_path().items()}
    assert paths == {(): 1, ("a",): 1_010, ("a", "b"): 10_100, ("b",): 100_000}
    assert round(profile.within("a") * 1e9) == 11_110
    assert round(profile.within("b") * 1e9) == 110_100
    assert round(profile.within("a", "b") * 1e9) == 10_100
    assert profile.within("c") == 0.0


def test_a_stage_within_itself_is_one(clock: Clock) -> None:
    with profiled() as profile, stage("a"):
        clock.pass_(1)
        with stage("a"):
            clock.pass_(10)
            with stage("b"), stage("a"):  # of another path
                clock.pass_(100)
        clock.pass_(1_000)
    paths = {path: round(seconds * 1e9) for path, seconds in profile.by_path().items()}
    assert paths == {(): 0, ("a",): 1_011, ("a", "b"): 0, ("a", "b", "a"): 100}
    assert {s.name: s.calls for s in profile.by_stage()} == {"a": 2, "b": 1, OTHER: 1}


def test_a_stage_may_be_told_apart_as_a_whole(clock: Clock) -> None:
    with profiled() as profile:
        with stage("a", whole=True):
            with stage("b"), stage("c"):
                clock.pass_(5)
            clock.pass_(7)
        with stage("b"):
            clock.pass_(11)
            with stage("b", whole=True), stage("c"):
                clock.pass_(13)
    found = {s.name: (round(s.seconds * 1e9), s.calls) for s in profile.by_stage()}
    assert found == {"a": (12, 1), "b": (24, 1), OTHER: (0, 1)}


def test_an_error_closes_its_stages(clock: Clock) -> None:
    with profiled() as profile:
        with pytest.raises(RuntimeError, match="boom"), stage("a"), stage("b"):
            clock.pass_(5)
            raise RuntimeError("boom")
        clock.pass_(7)
        with stage("c"):
            clock.pass_(11)
    paths = {path: round(seconds * 1e9) for path, seconds in profile.by_path().items()}
    assert paths == {(): 7, ("a",): 0, ("a", "b"): 5, ("c",): 11}
    with pytest.raises(RuntimeError, match="boom"), profiled():
        raise RuntimeError("boom")
    already = pytest.raises(ArgumentError, match="a profile is already active")
    with profiled(), already, profiled():
        raise AssertionError
    with profiled():  # and it can be taken again
        pass


def test_a_device_is_waited_for_at_both_ends_and_only_then(clock: Clock) -> None:
    waits = []

    def settle() -> None:
        waits.append(clock.now)
        clock.pass_(50)

    with stage("a", settle=settle):
        assert waits == []
    with profiled() as profile:
        with stage("a", settle=settle):
            clock.pass_(1)
        assert len(waits) == 2
        with pytest.raises(RuntimeError), stage("b", settle=settle):
            raise RuntimeError
        assert len(waits) == 3  # after an error it may not be there
    # What a device still had to do before a stage is no part of it.
    assert {s.name: round(s.seconds * 1e9) for s in profile.by_stage()} == {
        "a": 51,
        "b": 0,
        OTHER: 100,
    }


def test_other_threads_are_not_seen(clock: Clock) -> None:
    def work() -> None:
        with stage("theirs"):
            clock.pass_(5)

    with profiled() as profile, stage("ours"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert {s.name: round(s.seconds * 1e9) for s in profile.by_stage()} == {"ours": 5, OTHER: 0}


def test_collapsed_stacks(clock: Clock) -> None:
    with profiled() as profile:
        clock.pass_(2_400_000)
        with stage("store read"):
            clock.pass_(1_500)
            with stage("b"):
                clock.pass_(499)  # nothing in microseconds
    assert profile.folded("marketsim") == "marketsim 2400\nmarketsim;store read 2\n"


def test_stages_of_the_clock_that_is_there_add_up() -> None:
    start = time.perf_counter()
    with profiled() as profile:
        for _ in range(100):
            with stage("a"), stage("b"):
                pass
    passed = time.perf_counter() - start
    assert 0.0 < profile.seconds <= passed
    total = sum(s.seconds for s in profile.by_stage())
    assert total == pytest.approx(profile.seconds, abs=1e-9)


def test_names_of_stages_fit_into_collapsed_stacks() -> None:
    package = Path(timing.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        found |= set(re.findall(r'\bstage\("([^"]*)"', path.read_text()))
    assert {"load", "encode", "head", "store read", "slices", "offsets", "metrics"} <= found
    for name in found:
        assert re.fullmatch(r"[a-z ]+", name)
