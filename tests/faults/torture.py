"""Damage files of the store in random ways under readers and writers, for a given time.

    python tests/faults/torture.py [SECONDS] [SEED]

Each trial runs in a child. One line says: trials, wrong (values that nobody wrote), lost (records
that were acknowledged, and that the damage left alone), died (by a signal), hung, raised.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fault_tools import DATA_START, HEADER_BYTES, Log, memory_folder, settle

from marketsim.forecasts.store.inspect import stride_of

ALL = range(400)
SECONDS = 20  # a trial that takes longer hangs


def flip(path: Path, chance: random.Random) -> set[int]:
    """Flip a bit of a record; returns the records that may be gone."""
    slot = chance.randrange(len(ALL))
    at = DATA_START + slot * stride_of(24) + chance.randrange(stride_of(24))
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return {slot}


def cut(path: Path, chance: random.Random) -> set[int]:
    """Cut the file anywhere."""
    size = chance.randrange(path.stat().st_size)
    os.truncate(path, size)
    whole = max(0, size - DATA_START) // stride_of(24)
    return set(ALL) if size < DATA_START // 2 else set(range(whole, len(ALL)))


def blow_up(path: Path, chance: random.Random) -> set[int]:
    """Add a hole of up to 16 GiB at the end."""
    os.truncate(path, path.stat().st_size + chance.randrange(1 << 34))
    return set()


def copy_over(path: Path, chance: random.Random) -> set[int]:
    """Put the same content in its place as cp does: cut to nothing, then written in pieces."""
    content = path.read_bytes()
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(content), 8192):
            file.write(content[at : at + 8192])
    return set()


def garbage(path: Path, chance: random.Random) -> set[int]:
    """Overwrite a sector."""
    sector = chance.randrange(path.stat().st_size // 512)
    with path.open("r+b") as file:
        file.seek(512 * sector)
        file.write(chance.randbytes(512))
    first = (512 * sector - DATA_START) // stride_of(24)
    last = (512 * sector + 511 - DATA_START) // stride_of(24)
    return set(range(max(0, first), last + 1)) & set(ALL)


def exchange(path: Path, chance: random.Random) -> set[int]:
    """Rename a damaged copy over it, with the times of the old file."""
    content, before = bytearray(path.read_bytes()), path.stat()
    slot = chance.randrange(len(ALL))
    content[DATA_START + slot * stride_of(24) + chance.randrange(stride_of(24))] ^= 0x10
    copy = path.with_name("copy")
    copy.write_bytes(content)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.replace(path)
    return {slot}


def half_header(path: Path, chance: random.Random) -> set[int]:
    """One of the two headers is garbage."""
    with path.open("r+b") as file:
        file.seek(chance.choice((0, HEADER_BYTES)))
        file.write(chance.randbytes(HEADER_BYTES))
    return set()


def remove(path: Path, chance: random.Random) -> set[int]:
    """It is gone."""
    path.unlink()
    return set(ALL)


def fail_to_sync(path: Path, chance: random.Random) -> set[int]:
    """What a failed sync leaves: a file that is marked as not on the disk."""
    path.chmod(path.stat().st_mode | stat.S_ISVTX)
    return set()


def hold_lock(path: Path, chance: random.Random) -> set[int]:
    """Another process holds the lock for a while."""
    seconds = chance.random()
    if os.fork() == 0:
        try:
            held = os.open(path.parent / "lock", os.O_WRONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
            time.sleep(seconds)
        finally:
            os._exit(0)
    return set()


KINDS: tuple[Callable[[Path, random.Random], set[int]], ...] = (
    *(flip, cut, blow_up, copy_over, garbage, exchange, half_header, remove, fail_to_sync),
    hold_lock,
)


def read_on(path: Path, done: threading.Event, problems: list[AssertionError]) -> None:
    """Read in a loop while the damage is done."""
    try:
        log = Log(path)
        while not done.is_set():
            log.read(ALL)
            Log(path).read(ALL)
    except AssertionError as error:
        problems.append(error)


def trial(folder: Path, chance: random.Random) -> tuple[int, int]:
    """(wrong, lost) of one file, read before, during and after damage, and appended to."""
    path = folder / "series.msp"
    Log(path).append(ALL)
    reader = Log(path)
    if chance.random() < 0.7:
        reader.read(ALL)
    wrong = lost = 0
    done = threading.Event()
    beside = threading.Thread(target=read_on, args=(path, done, problems := []))
    beside.start()
    damaged = chance.choice(KINDS)(path, chance)
    done.set()
    beside.join()
    wrong += len(problems)
    try:
        lost += len(set(ALL) - damaged - Log(path).read(ALL))
        reader.read(ALL)
    except AssertionError:  # of values that nobody wrote
        wrong += 1
    if path.exists():
        settle(path)
    new = range(1000, 1000 + chance.randrange(1, 50))
    Log(path).append(new)
    Log(path).append(ALL)  # what was damaged is forecast again
    try:
        for log in (reader, Log(path)):
            lost += len({*ALL, *new} - log.read([*ALL, *new]))
    except AssertionError:
        wrong += 1
    return wrong, lost


def in_child(folder: Path, seed: int) -> str:
    """What became of a trial."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        try:
            wrong, lost = trial(folder, random.Random(seed))
            os._exit(3 if wrong else 4 if lost else 0)
        except BaseException:
            traceback.print_exc()
            os._exit(5)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "hung" if os.WTERMSIG(status) == signal.SIGALRM else "died"
    return {0: "fine", 3: "wrong", 4: "lost"}.get(os.WEXITSTATUS(status), "raised")


def main() -> int:
    """Run trials; returns 0 where nothing went wrong."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    counts = dict.fromkeys(("wrong", "lost", "died", "hung", "raised"), 0)
    trials, end = 0, time.monotonic() + seconds
    with memory_folder() as root:
        while time.monotonic() < end:
            folder = root / str(trials)
            folder.mkdir()
            found = in_child(folder, seed + trials)
            if found != "fine":
                counts[found] += 1
                print(f"seed {seed + trials}: {found}", file=sys.stderr)
            shutil.rmtree(folder)
            trials += 1
    print(f"trials {trials}, " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    return int(any(counts.values()))


if __name__ == "__main__":
    sys.exit(main())
