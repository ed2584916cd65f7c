"""Records a scenario's system calls and lets the power fail after each of them.

    power_loss SCENARIO TRIALS SEED

Whatever was acknowledged as synced is found afterwards, nothing wrong is, and the store goes on.
"""

from __future__ import annotations

import errno
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import preloaded
from crash_disk import Disk
from fault_tools import Log, memory_folder, report, settle

MANY = range(100, 2400)  # more than the engine writes at once
NAME = "v1/model/aa/series.msp"


def acknowledged(log: Log, numbers: Any) -> None:
    """Appends; what comes back without an error is to last."""
    log.append(numbers)
    preloaded.mark(json.dumps([min(numbers), max(numbers)]))


def refused(work: Callable[[], object]) -> None:
    """It must fail, and be said to."""
    try:
        work()
    except OSError:
        preloaded.disarm()
        return
    raise AssertionError("nothing failed")


def fail_from_now(folder: Path, kind: str, nth: int, mode: int) -> None:
    preloaded.watch(folder)
    preloaded.arm(kind, nth, errno.EIO, mode)


def growth(folder: Path) -> None:
    """Batches, a compaction, more batches, by two objects."""
    one, two = Log(folder / NAME), Log(folder / NAME)
    acknowledged(one, range(4))
    acknowledged(two, range(4, 9))
    acknowledged(one, MANY)
    acknowledged(two, range(9, 12))
    one.file.compact()
    acknowledged(two, range(12, 20))
    acknowledged(one, range(20, 22))


def torn_tails(folder: Path) -> None:
    """Batches that were cut off, each followed by a whole one."""
    log = Log(folder / NAME)
    acknowledged(log, range(4))
    for number in (4, 8):
        fail_from_now(folder, "pwrite", 1, preloaded.CUT)
        refused(lambda: log.append(range(50, 53)))
        acknowledged(log, range(number, number + 4))
    log.file.compact()
    acknowledged(log, range(12, 14))


def set_aside(folder: Path) -> None:
    """A file of another series, renamed aside."""
    Log(folder / NAME, series="another").append(range(3))
    settle(folder / NAME)
    acknowledged(Log(folder / NAME), range(5))
    acknowledged(Log(folder / NAME), range(5, 8))


def unsynced(folder: Path) -> None:
    """Batches that promise nothing, and then one that does."""
    loose = Log(folder / NAME, sync=False)
    loose.append(range(4))
    loose.append(MANY)
    acknowledged(Log(folder / NAME), range(5, 8))


def unsynced_first(folder: Path) -> None:
    """A batch whose records are there already, but not synced."""
    Log(folder / NAME, sync=False).append(range(4))
    acknowledged(Log(folder / NAME), range(4))


def sync_fails(folder: Path) -> None:
    """An append whose sync fails, tried again."""
    log = Log(folder / NAME)
    acknowledged(log, range(2))
    fail_from_now(folder, "fdatasync", 1, preloaded.ONCE)
    refused(lambda: log.append(range(2, 5)))
    acknowledged(log, range(2, 5))


def folder_sync_fails(folder: Path) -> None:
    """Each sync of a folder while a file is made fails once; then another tries."""
    for nth in range(1, 20):
        fail_from_now(folder, "fsync", nth, preloaded.ONCE)
        name = folder / str(nth) / NAME
        try:
            Log(name).append(range(3))
        except OSError:
            preloaded.disarm()
            acknowledged(Log(name), range(3))
            preloaded.mark("forget")
        else:
            preloaded.disarm()
            return


def compaction_sync_fails(folder: Path) -> None:
    """A compaction that could not sync the folder, and an append to the new file."""
    log = Log(folder / NAME)
    acknowledged(log, range(4))
    fail_from_now(folder, "fsync", 1, preloaded.ONCE)
    refused(log.file.compact)
    acknowledged(Log(folder / NAME), range(4, 6))


SCENARIOS = {
    work.__name__: work
    for work in (
        *(growth, torn_tails, set_aside, unsynced, unsynced_first),
        *(sync_fails, folder_sync_fails, compaction_sync_fails),
    )
}


def check(folder: Path, name: str, promised: set[int]) -> None:
    """What stands in the folder after the crash."""
    numbers = [*range(60), *MANY]
    log = Log(folder / name)
    found = log.read(numbers)
    assert promised <= found, f"lost {sorted(promised - found)[:5]} of {len(promised)}"
    if (folder / name).exists():
        settle(folder / name)  # it is a while until the power is back
    assert log.append([3000]) == 1
    log.append(numbers)
    again = Log(folder / name)
    assert again.read([*numbers, 3000]) == {*numbers, 3000}, "an append after the crash is lost"


def main(arguments: list[str]) -> dict[str, Any]:
    scenario, trials, seed = arguments[0], int(arguments[1]), int(arguments[2])
    tried = 0
    wrong = []
    with memory_folder() as root:
        live, crashed = root / "live", root / "crashed"
        live.mkdir()
        preloaded.watch(live)
        preloaded.record(root / "log")
        SCENARIOS[scenario](live)
        preloaded.stop_recording()
        disk = Disk(live)
        promised: set[int] = set()
        name = NAME
        recorded = preloaded.events(root / "log")
        for at, event in enumerate(recorded):
            disk.replay(event)
            if event.kind == "mark":
                promised = promised_by(event.names[0], promised)
            if event.kind == "open":
                name = name_in(event.names[0], live)
            for trial in range(trials):
                crashed.mkdir()
                disk.crash(random.Random(f"{seed} {at} {trial}"), crashed)
                try:
                    check(crashed, name, promised)
                except AssertionError as defect:
                    wrong.append(f"after call {at} ({event.kind}), trial {trial}: {defect}")
                shutil.rmtree(crashed)
                tried += 1
    return {"tried": tried, "calls": len(recorded), "wrong": wrong}


def promised_by(mark: str, before: set[int]) -> set[int]:
    if mark == "forget":
        return set()
    first, last = json.loads(mark)
    return before | set(range(first, last + 1))


def name_in(path: str, live: Path) -> str:
    """The file at hand: the one that was made last, without its ending."""
    return path.removeprefix(f"{live}/").split(".msp")[0] + ".msp"


if __name__ == "__main__":
    report(main)
