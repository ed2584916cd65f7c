"""Files that are copied into a live store beside readers and writers.

copying FOLDER cp|rsync|pieces|replace
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_tools import Log, files_aside, report

HELD = range(3000)
ROUNDS = 6


def by_cp(source: Path, path: Path) -> None:
    subprocess.run(["cp", source, path], check=True)


def by_rsync(source: Path, path: Path) -> None:
    subprocess.run(["rsync", "--inplace", "--bwlimit=20000", source, path], check=True)


def in_pieces(source: Path, path: Path) -> None:
    content = source.read_bytes()
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(content), 3000):
            file.write(content[at : at + 3000])
            time.sleep(1e-4)


def by_replace(source: Path, path: Path) -> None:
    part = path.with_name("part")
    shutil.copy2(source, part)
    part.replace(path)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "cp": by_cp,
    "rsync": by_rsync,
    "pieces": in_pieces,
    "replace": by_replace,
}


def main(arguments: list[str]) -> dict[str, Any]:
    folder, kind = Path(arguments[0]), arguments[1]
    source = folder / "source" / "series.msp"
    Log(source).append(HELD)
    before = source.read_bytes()
    looks = appended = refused = 0
    for i in range(ROUNDS):
        path = folder / str(i) / "series.msp"
        path.parent.mkdir()
        if i % 2:  # a file that is in use is copied over
            shutil.copy(source, path)
        reader = Log(path)
        copying = threading.Thread(target=KINDS[kind], args=(source, path))
        copying.start()
        while copying.is_alive():
            reader.read(HELD)
            Log(path).read(HELD)
            looks += 1
            if kind != "replace" and path.exists():
                try:
                    Log(path).append([100_000 + looks])
                    appended += 1
                except OSError:  # it is no file of the store yet
                    refused += 1
        copying.join()
        for log in (reader, Log(path)):
            missing = set(HELD) - log.read(HELD)
            assert not missing, f"{len(missing)} lost by {kind}"
        assert not files_aside(path), "a copy was renamed"
        Log(path).append(HELD)
        assert Log(path).read(HELD) == set(HELD)
    assert source.read_bytes() == before
    return {"looks": looks, "appended": appended, "refused": refused}


if __name__ == "__main__":
    report(main)
