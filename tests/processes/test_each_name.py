"""Work in several processes: results, order, errors, kills, Ctrl-C, shared memory."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim import _core
from marketsim.errors import ArgumentError, MarketsimError
from marketsim.processes import WorkerLostError, run_each
from marketsim.processes.messages import Package, receive, send


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without torch, whatever tests ran before."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def doubled(name: str) -> str:
    return name * 2


def told(name: str) -> np.ndarray:
    return np.full(100_000, float(name))


@pytest.mark.parametrize("jobs", [1, 2, 3, 9])
def test_every_name_has_its_outcome(jobs: int) -> None:
    names = [str(i) for i in range(7)]
    found = dict(run_each(doubled, names, jobs=jobs))
    assert {name: outcome.found for name, outcome in found.items()} == {n: n * 2 for n in names}
    assert all(outcome.raised is None for outcome in found.values())
    assert list(run_each(doubled, [], jobs=jobs)) == []


def test_jobs_below_one_are_refused() -> None:
    with pytest.raises(ArgumentError, match="jobs"):
        run_each(doubled, ["a"], jobs=0)


def test_work_runs_in_other_processes_with_a_share_of_the_cores() -> None:
    def seen(name: str) -> tuple[int, int, str | None]:
        time.sleep(0.05)
        return os.getpid(), _core.thread_limit(), os.environ.get("OMP_NUM_THREADS")

    found = [outcome.found for _, outcome in run_each(seen, list("abcdef"), jobs=2)]
    share = str(max(1, _core.thread_limit() // 2))
    assert len({pid for pid, _, _ in found}) == 2 and os.getpid() not in {f[0] for f in found}
    assert {(str(limit), omp) for _, limit, omp in found} == {(share, share)}


def test_an_error_costs_its_name_alone() -> None:
    def work(name: str) -> str:
        if name == "b":
            raise MarketsimError("no bars")
        return name

    for jobs in (1, 2):
        found = dict(run_each(work, list("abc"), jobs=jobs))
        assert (found["a"].found, found["c"].found) == ("a", "c")
        assert isinstance(found["b"].raised, MarketsimError) and str(found["b"].raised) == "no bars"
    assert "in another process" in "".join(found["b"].raised.__notes__)


def test_a_killed_process_is_reported_with_the_name() -> None:
    def work(name: str) -> str:
        if name == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    found = dict(run_each(work, list("abcde"), jobs=2))
    lost = found.pop("b").raised
    assert isinstance(lost, WorkerLostError)
    assert "ran b ended: signal 9" in str(lost) and "memory" in str(lost)
    assert [found[name].found for name in "acde"] == list("acde")


def test_closing_ends_the_processes(tmp_path: Path) -> None:
    def work(name: str) -> str:
        if name != "0":
            (tmp_path / f"pid{name}").write_text(str(os.getpid()))
            time.sleep(60)
        return name

    outcomes = run_each(work, ["0", "1", "2"], jobs=2)
    assert next(outcomes)[0] == "0"
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    outcomes.close()
    for file in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


def test_arrays_come_back_equal_and_shared() -> None:
    for jobs in (1, 2):
        found = dict(run_each(told, ["1", "2"], jobs=jobs))
        for name, outcome in found.items():
            np.testing.assert_array_equal(outcome.found, told(name))


def test_beside_torch_work_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    found = dict(run_each(told, ["1", "2"], jobs=2))
    np.testing.assert_array_equal(found["2"].found, told("2"))
    with pytest.raises(ArgumentError, match="handed to new processes, because torch is loaded"):
        run_each(lambda name: name, ["a", "b"], jobs=2)


@given(st.lists(st.integers(0, 20_000), max_size=5), st.text(max_size=9), st.booleans())
def test_messages_arrive_as_they_were_sent(sizes: list[int], text: str, mapped: bool) -> None:
    ours, theirs = Pipe()
    arrays = [np.arange(size, dtype=np.float32) for size in sizes]
    with ours, theirs, Package({"arrays": arrays, "text": text}) as package:
        for _ in range(2):  # sent twice, it is written once
            package.send(ours)
            got = receive(theirs, mapped=mapped)
            assert got["text"] == text and len(got["arrays"]) == len(arrays)
            for one, other in zip(arrays, got["arrays"], strict=True):
                np.testing.assert_array_equal(one, other)
                other += 1.0  # of its own: the next receiver sees what was sent


def test_large_arrays_do_not_travel_through_the_pipe() -> None:
    ours, theirs = Pipe()  # a message larger than the pipe's buffer would wait for ever
    with ours, theirs:
        send(ours, np.zeros(10_000_000))
        before = len(list(Path("/proc/self/fd").iterdir()))
        got = receive(theirs)
        assert got.nbytes == 80_000_000
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_forked_process_hashes_large_files(tmp_path: Path) -> None:
    """The threads of BLAKE3 do not survive a fork; a hash must not wait for them."""
    from marketsim.models import fingerprint

    file = tmp_path / "weights.bin"
    file.write_bytes(os.urandom(1 << 22))
    here = fingerprint._file_hash(file)  # begins its threads in this process
    found = dict(
        run_each(lambda name: fingerprint._file_hash(Path(name)), [str(file), "-"], jobs=2)
    )
    assert found[str(file)].found == here
    assert isinstance(found["-"].raised, OSError)


def test_the_collector_of_this_process_goes_on() -> None:
    list(run_each(doubled, ["a", "b"], jobs=2))
    assert gc.get_freeze_count() == 0


INTERRUPTED = """
import os, sys, time
from marketsim.processes import run_each

def slow(name):
    os.write(1, b"begun\\n")
    time.sleep(60)

try:
    for _ in run_each(slow, list("abcd"), jobs=2):
        pass
except KeyboardInterrupt:
    os.write(1, b"interrupted\\n")
"""


def test_ctrl_c_ends_all_processes_at_once() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"begun\n"] * 2
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to all of them
        assert process.stdout.read() == b"interrupted\n"  # ends when all have ended
        assert process.stderr.read() == b""
