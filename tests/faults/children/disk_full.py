"""Writes until nothing fits any more: what was there stays, and the error says what happened.

disk_full disk|limit FOLDER
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_tools import Log, report

BATCH = 64


def must_fail(work: Callable[[], object], code: int, path: Path) -> None:
    try:
        work()
    except OSError as error:
        assert error.errno == code, repr(error)
        assert os.strerror(code) in str(error.strerror), repr(error)
        assert str(error.filename).startswith(str(path)), repr(error)
    else:
        raise AssertionError("it fitted")


def fill(log: Log, code: int) -> int:
    """Appends until it fails; returns how many records were acknowledged."""
    for count in itertools.count(0, BATCH):
        try:
            log.append(range(count, count + BATCH))
        except OSError:
            must_fail(lambda at=count: log.append(range(at, at + BATCH)), code, log.path)
            return count
    raise AssertionError


def disk(folder: Path) -> dict[str, Any]:
    """A file system without space."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(256 * 1024))
    log = Log(folder / "series.msp")
    count = fill(log, errno.ENOSPC)
    assert count >= BATCH
    for one in (
        log,
        Log(log.path),
    ):
        assert set(range(count)) <= one.read(range(count + BATCH))
    before = log.path.read_bytes()
    must_fail(log.file.compact, errno.ENOSPC, log.path)
    assert log.path.read_bytes() == before, "a compaction that failed changed the file"
    other = Log(folder / "another" / "series.msp")
    must_fail(lambda: other.append(range(4)), errno.ENOSPC, folder)
    left = [path.name for path in folder.rglob("*.tmp-*")]
    assert not left, f"left behind: {left}"

    ballast.unlink()
    assert other.append(range(4)) == 4
    log.append(range(count + BATCH))
    for one in (log, Log(log.path)):
        assert one.read(range(count + BATCH)) == set(range(count + BATCH))
        assert one.counts()["quarantined"] == 0
    return {"records": count}


def limit(folder: Path) -> dict[str, Any]:
    """Files that may not grow beyond a limit, as under a quota."""
    log = Log(folder / "series.msp")
    log.append(range(BATCH))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    count = fill(log, errno.EFBIG)
    assert count > BATCH
    assert set(range(count)) <= Log(log.path).read(range(count + BATCH))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    must_fail(log.file.compact, errno.EFBIG, log.path)
    must_fail(lambda: Log(folder / "new.msp").append(range(4)), errno.EFBIG, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "series.msp"]
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.append(range(count + BATCH))
    assert Log(log.path).read(range(count + BATCH)) == set(range(count + BATCH))
    return {"records": count}


def main(arguments: list[str]) -> dict[str, Any]:
    return {"disk": disk, "limit": limit}[arguments[0]](Path(arguments[1]))


if __name__ == "__main__":
    report(main)
