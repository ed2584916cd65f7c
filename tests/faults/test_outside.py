"""What others do to files: copies into a live store, sectors that fail, weights that are cut."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fault_tools import CHILDREN, DATA_START, ROOT, Log, child, files_aside

from marketsim.models import fingerprint
from marketsim.models.fingerprint import content_hash


@pytest.mark.parametrize("kind", ["cp", "rsync", "pieces", "replace"])
def test_a_copy_into_a_live_store_loses_nothing(kind: str, tmp_path: Path) -> None:
    if kind == "rsync" and shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    found = child("copying", tmp_path, kind, timeout=120)
    assert found["looks"] > 0


def test_a_reader_finds_records_that_a_copy_fills_in_late(tmp_path: Path) -> None:
    """A copy may truncate the file during an append, which leaves a hole before its record."""
    log = Log(tmp_path / "series.msp")
    log.append(range(40))
    content = log.path.read_bytes()
    stride = (len(content) - DATA_START) // 40
    with log.path.open("r+b") as file:
        file.truncate(DATA_START + 7 * stride)
        file.truncate(len(content))
    log.append([1000])
    reader = Log(log.path)
    assert reader.read(range(1001)) == {*range(7), 1000}
    with log.path.open("r+b", buffering=0) as file:  # the copy goes on, then others append
        file.write(content)
    Log(log.path).append([1001])
    assert reader.read(range(1002)) == log.read(range(1002)) == {*range(40), 1000, 1001}


@pytest.mark.parametrize("pause", [0.005, 0.05, 0.2])
def test_an_append_waits_for_the_end_of_a_copy(pause: float, tmp_path: Path) -> None:
    """A copy that pauses on the boundaries of records takes the place of no record."""
    source = Log(tmp_path / "source.msp")
    source.append(range(40))
    content = source.path.read_bytes()
    stride = (len(content) - DATA_START) // 40
    path = tmp_path / "series.msp"
    opened = threading.Event()

    def copy() -> None:
        with path.open("wb", buffering=0) as file:
            opened.set()
            for at in (0, DATA_START, *(DATA_START + i * stride for i in (1, 8, 16, 40))):
                file.write(content[file.tell() : at])
                time.sleep(pause)

    copying = threading.Thread(target=copy)
    copying.start()
    assert opened.wait(10)
    log, kept, refused = Log(path), set(range(40)), 0
    for number in itertools.count(1000):
        last = not copying.is_alive()
        try:
            log.append([number])
            kept.add(number)
        except OSError as error:
            assert error.errno == errno.EBUSY
            refused += 1
        if last:
            break
    copying.join()
    fresh = Log(path)
    assert fresh.read(kept) == log.read(kept) == kept
    assert fresh.counts()["corrupt"] == 0
    assert len(kept) > 40 and not files_aside(path)
    assert refused <= 2  # a copy of a second or less is waited for


def test_a_sector_that_cannot_be_read_is_a_miss(tmp_path: Path) -> None:
    """A signal would end the child. There are so many that looks at the file are interrupted."""
    if os.geteuid() != 0:
        pytest.skip("loop devices need root")
    for tool in ("unshare", "mkfs.ext4", "losetup", "filefrag"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, CHILDREN / "bad_sector.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests" / "support")},
    )
    if done.returncode == 77 or "Operation not permitted" in done.stderr:
        pytest.skip("no loop device can be used here")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["wrong"]
    assert 0 < found["found"] < 200_000
    lost = 200_000 - found["found"]
    assert found["listed"] == [lost]
    assert found["defects"] == [f"{lost} corrupt, {lost} of them not readable"]
    assert found["unreadable"] > 0
    assert not found["hashed"]


@pytest.mark.parametrize("change", ["cut", "written over", "written over, times kept"])
def test_weights_that_change_while_they_are_hashed_are_an_error(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(9 << 20))
    before = path.stat()

    class Changing(io.FileIO):
        """A file that is changed once the first part of it has been read."""

        reads = 0

        def readinto(self, buffer: Any, /) -> int | None:
            count = super().readinto(buffer)
            if self.reads == 0:
                with path.open("r+b") as file:
                    file.write(b"others")
                if change == "cut":
                    os.truncate(path, 1 << 20)
                if change.endswith("kept"):
                    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            self.reads += 1
            return count

    assert content_hash([path]) == content_hash([path])
    monkeypatch.setattr(fingerprint, "open_regular", lambda path: Changing(path, "rb"))
    with pytest.raises(OSError, match="written to while it was read"):
        content_hash([path])


def test_two_changes_within_one_tick_have_two_stamps(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    for i in range(20):
        path.write_bytes(b"a")
        first = fingerprint.settled_stamp(path.stat)
        path.write_bytes(b"b")
        assert fingerprint.settled_stamp(path.stat) != first, i
