"""Every system call of a scenario fails in its turn: nothing acknowledged is lost, none wrong.

Prints what was tried. A case that goes wrong ends it with its name.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import preloaded
from fault_tools import Log, files_aside, memory_folder, report

MANY = range(10, 2400)  # more than the engine writes at once
BATCHES = ([0, 1, 2], [3, 1, 4], MANY)
LAST = [5, 6]
ALL = [0, 1, 2, 3, 4, *MANY, *LAST]
LATER = [7, 8]


@dataclass
class Outcome:
    acknowledged: set[int] = field(default_factory=set)
    errors: list[OSError] = field(default_factory=list)
    missed: int = 0  # acknowledged records that a read did not find
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    kind: str
    nth: int
    error: int
    mode: int

    @property
    def invisible(self) -> bool:
        return self.error == errno.EINTR or self.mode == preloaded.SHORT

    def __str__(self) -> str:
        how = ("once", "from then on", "short", "short, then failing")[self.mode]
        return f"{self.kind} {self.nth} with {errno.errorcode.get(self.error, 'nothing')}, {how}"


def scenario(path: Path) -> tuple[Outcome, Log]:
    """Create, append three times, read, compact, open again, append, read."""
    outcome = Outcome()
    log = Log(path)

    def append(numbers: Any) -> None:
        try:
            log.append(numbers)
            outcome.acknowledged |= set(numbers)
        except OSError as error:
            outcome.errors.append(error)

    def read() -> None:
        outcome.missed += len(outcome.acknowledged - log.read(ALL))

    def note_counts() -> None:
        for name, count in log.counts().items():
            outcome.counts[name] = outcome.counts.get(name, 0) + count

    for batch in BATCHES:
        append(batch)
    read()
    try:
        log.file.compact()
    except OSError as error:
        outcome.errors.append(error)
    read()
    note_counts()
    log = Log(path)
    read()
    append(LAST)
    read()
    note_counts()
    return outcome, log


def check_errors(case: Case, outcome: Outcome, folder: Path) -> None:
    for error in outcome.errors:
        assert error.errno == case.error, f"says {error!r}"
        assert str(error.filename).startswith(str(folder)), f"names no path: {error!r}"
        assert os.strerror(case.error) in str(error.strerror), f"gives no reason: {error!r}"


def check(case: Case, folder: Path) -> None:
    path = folder / "a" / "b" / "one.msp"
    preloaded.watch(folder)
    preloaded.arm(case.kind, case.nth, case.error, case.mode)
    outcome, log = scenario(path)
    fired = preloaded.disarm()
    assert fired, "never happened"
    check_errors(case, outcome, folder)
    assert outcome.counts["quarantined"] == 0 and not files_aside(path), "a good file set aside"
    # Torn tails; what the disk does not give counts as well, and once as unreadable.
    not_given = case.kind == "pread" and outcome.counts["unreadable"] > 0
    assert outcome.counts["corrupt"] <= 2 or not_given, outcome.counts
    if case.invisible:
        assert not outcome.errors, outcome.errors
        assert outcome.missed == 0 and outcome.counts["unreadable"] == 0, outcome
    if outcome.missed:
        assert outcome.counts["unreadable"] > 0, f"{outcome.missed} missed and not counted"

    fresh = Log(path)
    assert outcome.acknowledged <= fresh.read(ALL), "acknowledged records lost"
    assert fresh.counts()["corrupt"] <= 2, fresh.counts()  # what was not given is whole now
    assert outcome.acknowledged <= log.read(ALL), "acknowledged records lost to the old object"
    log.append(ALL)
    fresh.append(LATER)
    for one in (log, fresh, Log(path)):
        assert one.read([*ALL, *LATER]) == {*ALL, *LATER}, "a later append is not found"
    left = [name.name for name in path.parent.iterdir() if ".tmp-" in name.name]
    assert case.kind == "unlink" or not left, f"left behind: {left}"


def calls_of_scenario(folder: Path) -> dict[str, int]:
    """How many calls of each kind it makes when nothing fails."""
    preloaded.watch(folder)
    outcome, _ = scenario(folder / "a" / "b" / "one.msp")
    assert outcome.acknowledged == set(ALL) and not outcome.errors and not outcome.missed
    return {kind: preloaded.calls(kind) for kind in preloaded.KINDS}


def cases(calls: dict[str, int]) -> Iterator[Case]:
    lasting = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
    for kind, count in calls.items():
        for nth in range(1, count + 1):
            for error in lasting:
                yield Case(kind, nth, error, preloaded.ONCE)
                yield Case(kind, nth, error, preloaded.FROM_THEN_ON)
            if kind not in ("mkdir", "unlink", "link"):
                yield Case(kind, nth, errno.EINTR, preloaded.ONCE)
            if kind in ("pwrite", "pread"):
                yield Case(kind, nth, 0, preloaded.SHORT)
                yield Case(
                    kind, nth, errno.ENOSPC if kind == "pwrite" else errno.EIO, preloaded.CUT
                )


def without_renameat2(folder: Path) -> None:
    """Where the file system has no RENAME_NOREPLACE a link does its work."""
    for i, error in enumerate((errno.EINVAL, errno.ENOSYS)):
        preloaded.watch(folder)
        preloaded.arm("renameat2", 1, error, preloaded.FROM_THEN_ON)
        path = folder / str(i) / "one.msp"
        outcome, _ = scenario(path)
        assert preloaded.disarm() == 1 and preloaded.calls("link") == 1
        assert outcome.acknowledged == set(ALL) and not outcome.errors
        assert [entry.name for entry in sorted(path.parent.iterdir())] == ["lock", "one.msp"]


def main(arguments: list[str]) -> dict[str, Any]:
    with memory_folder() as root:
        (root / "count").mkdir()
        calls = calls_of_scenario(root / "count")
        tried = 0
        wrong = []
        for i, case in enumerate(cases(calls)):
            folder = root / str(i)
            folder.mkdir()
            try:
                check(case, folder)
            except AssertionError as defect:
                preloaded.disarm()
                wrong.append(f"{case}: {defect}")
            except BaseException:
                print(f"in the case: {case}", file=sys.stderr)
                raise
            shutil.rmtree(folder)
            tried += 1
        (root / "link").mkdir()
        without_renameat2(root / "link")
    return {"tried": tried, "calls": calls, "wrong": wrong}


if __name__ == "__main__":
    report(main)
