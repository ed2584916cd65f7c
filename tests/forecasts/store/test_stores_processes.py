"""Several objects, processes and threads on one store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from store_cases import SERIES, bits, in_child, keys_for, records_for

from marketsim.forecasts import PredictionStore, SeriesId

SUPPORT = Path(__file__).parents[2] / "support"


def put(store: PredictionStore, numbers: range, version: int = 0, series: SeriesId = SERIES) -> int:
    return store.append(series, keys_for(numbers), records_for(numbers, version=version))


def holds(store: PredictionStore, numbers: range, series: SeriesId = SERIES) -> bool:
    records, found = store.read(series, keys_for(numbers))
    return bool(found.all()) and bits(records) == bits(records_for(numbers))


def test_two_objects_on_one_folder(tmp_path: Path) -> None:
    stores = [PredictionStore(tmp_path), PredictionStore(tmp_path, sync="none")]
    for i in range(20):
        first = 10 * i
        assert put(stores[i % 2], range(first, first + 10)) == 10
        assert put(stores[1 - i % 2], range(first, first + 10), version=1) == 0
        assert holds(stores[1 - i % 2], range(first + 10))
        if i % 5 == 4:
            stores[i % 2]._file(SERIES).compact()
    contents = stores[0]._file(SERIES).contents()
    assert (contents["slots"], contents["live"], contents["corrupt"]) == (200, 200, 0)


def test_a_child_and_its_parent_share_a_store(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path)
    put(store, range(10))
    view = store.get(SERIES, keys_for([3]).digests()[0])

    def child() -> None:
        assert holds(store, range(10))
        assert bits(view) == bits(records_for([3]))
        assert put(store, range(5, 20)) == 10

    in_child(child)
    assert holds(store, range(20))
    in_child(store._file(SERIES).compact)
    assert holds(store, range(20))
    assert put(store, range(15, 25)) == 5
    in_child(lambda: None if holds(store, range(25)) else sys.exit("not there"))


def test_threads_read_and_append(tmp_path: Path) -> None:
    stores = [PredictionStore(tmp_path, sync="none"), PredictionStore(tmp_path, sync="none")]
    lists = [SERIES, SERIES._replace(series="B")]
    defects: list[str] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(150):
            store, series = stores[rng.integers(2)], lists[rng.integers(2)]
            first = int(rng.integers(2000))
            numbers = range(first, first + int(rng.integers(1, 30)))
            if seed % 2:
                put(store, numbers, series=series)
                if not holds(store, numbers, series=series):
                    defects.append(f"{numbers}: appended and not there")
            else:
                records, found = store.read(series, keys_for(numbers))
                if bits(records[found]) != bits(records_for(np.array(numbers)[found].tolist())):
                    defects.append(f"{numbers}: wrong values")
                view = store.get(series, keys_for([first]).digests()[0])
                if view is not None and bits(view) != bits(records_for([first])):
                    defects.append(f"{first}: wrong view")
            if rng.random() < 0.02:
                store._file(series).compact()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert defects == []


def run_apart(code: str, folder: Path, *, seconds: int = 120) -> str:
    """Run a script in a process of its own, which says where it hangs if it does."""
    guard = f"import faulthandler; faulthandler.dump_traceback_later({seconds - 10}, exit=True)\n"
    found = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", guard + code, str(folder)],
        env=dict(os.environ, PYTHONPATH=str(SUPPORT)),
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


FORKS = """
import sys, threading
from store_cases import SERIES, bits, in_child, keys_for, records_for
from marketsim.forecasts import PredictionStore

store, done, wrong = PredictionStore(sys.argv[1], sync="none"), threading.Event(), []
batches = [[range(j, j + 10) for j in range(i * 5000, i * 5000 + 5000, 10)] for i in range(4)]
batches = [[(keys_for(n), records_for(n)) for n in part] for part in batches]

def write(part):
    for keys, records in part:
        if done.is_set():
            return
        store.append(SERIES, keys, records)
        if bits(store.read(SERIES, keys)[0]) != bits(records):
            wrong.append(keys)

def child(number):
    mine = range(30_000 + 10 * number, 30_010 + 10 * number)
    assert store.append(SERIES, keys_for(mine), records_for(mine)) == 10
    assert bits(store.read(SERIES, keys_for(mine))[0]) == bits(records_for(mine))
    store.get(SERIES, keys_for([0]).digests()[0])

threads = [threading.Thread(target=write, args=(part,)) for part in batches]
for thread in threads:
    thread.start()
for number in range(40):
    in_child(lambda: child(number), seconds=30)
done.set()
for thread in threads:
    thread.join()
assert not wrong
last = range(30_000, 30_400)
assert bits(store.read(SERIES, keys_for(last))[0]) == bits(records_for(last))
print(store._file(SERIES).contents()["corrupt"])
"""


def test_forks_while_threads_append(tmp_path: Path) -> None:
    assert run_apart(FORKS, tmp_path).strip() == "0"


WAITING = """
import fcntl, os, signal, sys, threading, time
from store_cases import SERIES, in_child, keys_for, records_for
from marketsim.forecasts import PredictionStore

store = PredictionStore(sys.argv[1])
store.append(SERIES, keys_for([1]), records_for([1]))
key, other = keys_for([1]).digests()[0], SERIES._replace(series="B")
lock = os.open(store.path_of(SERIES).parent / 'lock', os.O_WRONLY)
fcntl.flock(lock, fcntl.LOCK_EX)  # as another process's batch does
signal.signal(signal.SIGUSR1, lambda *_: None)
counted, answered = [], []

def read():  # while the main thread waits in append
    time.sleep(0.3)
    answered.append(store.get(SERIES, key))
    answered.append(store.read(SERIES, keys_for([1]))[1].all())

def tick():
    for i in range(10):
        time.sleep(0.1)
        counted.append(i)
        os.kill(os.getpid(), signal.SIGUSR1)
    fcntl.flock(lock, fcntl.LOCK_UN)

threads = [threading.Thread(target=work) for work in (read, tick)]
for thread in threads:
    thread.start()
store.append(SERIES, keys_for([2]), records_for([2]))
for thread in threads:
    thread.join()
assert len(counted) == 10 and len(answered) == 2 and answered[0] is not None and answered[1]
print("went on")
"""


def test_threads_go_on_while_one_waits_for_a_lock(tmp_path: Path) -> None:
    assert run_apart(WAITING, tmp_path, seconds=30).strip() == "went on"


INTERRUPTED = """
import fcntl, os, signal, sys, threading
from store_cases import SERIES, bits, keys_for, records_for
from marketsim.forecasts import PredictionStore

store = PredictionStore(sys.argv[1])
store.append(SERIES, keys_for([1]), records_for([1]))
lock = os.open(store.path_of(SERIES).parent / 'lock', os.O_WRONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    store.append(SERIES, keys_for([2]), records_for([2]))
except KeyboardInterrupt:
    fcntl.flock(lock, fcntl.LOCK_UN)
    assert store.append(SERIES, keys_for([2, 3]), records_for([2, 3])) == 2
    assert bits(store.read(SERIES, keys_for([1, 2, 3]))[0]) == bits(records_for([1, 2, 3]))
    print("interrupted")
"""


def test_a_wait_for_a_lock_can_be_interrupted(tmp_path: Path) -> None:
    assert run_apart(INTERRUPTED, tmp_path, seconds=30).strip() == "interrupted"
