"""Sectors that cannot be read: a file system on a loop device whose image has lost its end.

bad_sector FOLDER (as root, in a mount namespace of its own); exit code 77: there is no loop device.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from fault_tools import report
from store_cases import SCHEMA, SERIES, bits, keys_for, records_for

from marketsim.forecasts import PredictionStore
from marketsim.forecasts.store.gc import collect_garbage
from marketsim.forecasts.store.inspect import take_inventory
from marketsim.forecasts.store.maintain import verify
from marketsim.models.fingerprint import content_hash

COUNT = 200_000
BLOCK = 4096
NO_DEVICE = 77


def call(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: list[str]) -> dict[str, Any]:
    folder = Path(arguments[0])
    image, mount = folder / "image", folder / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(128 << 20)
    call("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), image)
    try:
        device = call("losetup", "-f", "--show", image)
    except subprocess.CalledProcessError:
        sys.exit(NO_DEVICE)
    try:
        try:
            call("mount", "-o", "noatime", device, mount)
        except subprocess.CalledProcessError:
            sys.exit(NO_DEVICE)
        return damaged_reads(image, mount)
    finally:
        subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
        subprocess.run(["losetup", "-d", device], capture_output=True, check=False)


def damaged_reads(image: Path, mount: Path) -> dict[str, Any]:
    (mount / "filler").write_bytes(os.urandom(28 << 20))
    store = PredictionStore(mount / "store")
    store.append(SERIES, keys_for(range(COUNT)), records_for(range(COUNT)))
    path = store.path_of(SERIES)
    os.sync()
    extents = re.findall(r"^ *\d+: +\d+\.\. +\d+: +(\d+)\.\. +(\d+):", call("filefrag", "-v", path),
                         re.MULTILINE)  # fmt: skip
    first, last = map(int, max(extents, key=lambda extent: int(extent[1])))
    os.truncate(image, (first + last) // 2 * BLOCK)  # what lies beyond is an I/O error
    Path("/proc/sys/vm/drop_caches").write_text("3")
    try:
        path.read_bytes()
    except OSError:
        pass
    else:
        sys.exit(NO_DEVICE)  # the system still has it in memory
    reader = PredictionStore(mount / "store", mode="r")
    records, found = reader.read(SERIES, keys_for(range(COUNT)))
    expected = records_for(range(COUNT))
    files = take_inventory(mount / "store", progress=False).files
    try:
        content_hash([path])
        hashed = True
    except OSError:
        hashed = False
    return {
        "found": int(found.sum()),
        "wrong": bits(records[found]) != bits(expected[found]),
        "unreadable": reader.counters["unreadable"],
        "defects": [text for _, text in verify(mount / "store", progress=False).defects],
        "listed": [file.unreadable for file in files],
        "kept": len(collect_garbage(mount / "store", dry_run=True, progress=False).removed),
        "hashed": hashed,
        "width": SCHEMA.width,
    }


if __name__ == "__main__":
    report(main)
