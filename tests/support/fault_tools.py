"""What the fault tests share: built programs, files of the store's engine, records with an oracle.

Built programs lie in build/faults, each under a name that follows from its sources and flags.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from marketsim import _core

ROOT = Path(__file__).parent.parent.parent
NATIVE = ROOT / "tests" / "faults" / "native"
CHILDREN = ROOT / "tests" / "faults" / "children"
BUILD = ROOT / "build" / "faults"
ENGINE = [
    ROOT / "csrc" / name
    for name in (
        *(f"kernels/store/{part}.cpp" for part in ("read", "write", "io", "view", "format")),
        *("kernels/store/crc32c.cpp", "common/isa.cpp"),
    )
]
FULL = os.environ.get("MARKETSIM_FAULTS") == "full"

CXX = os.environ.get("CXX", "g++")
CC = os.environ.get("CC", "gcc")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CPP = ["-std=c++20", "-g1", "-pthread", f"-I{ROOT / 'csrc'}", f"-I{NATIVE}", *WARNINGS]
UNDEFINED = "-fno-sanitize-recover=undefined"
FLAVOURS = {
    "plain": ["-O2"],
    "thread": ["-O1", "-fsanitize=thread"],
    "address": ["-O1", "-fsanitize=address,undefined", UNDEFINED],
    "fuzzer": ["-O1", "-fsanitize=fuzzer,address,undefined", UNDEFINED],
}

HEADER_BYTES = 4096
DATA_START = 2 * HEADER_BYTES
HEAD_BYTES = 32
MARKETSIM_DAY = 86_400_000_000_000


def full(bounded: int, everything: int) -> int:
    """How much of something to do: less by default, all of it with MARKETSIM_FAULTS=full."""
    return everything if FULL else bounded


# ---- programs -----------------------------------------------------------------------------------


@functools.cache
def _headers_digest() -> bytes:
    found = hashlib.sha256()
    for folder in (NATIVE, ROOT / "csrc" / "kernels", ROOT / "csrc" / "common"):
        for path in sorted(folder.rglob("*.hpp")):
            found.update(path.read_bytes())
    return found.digest()


def _build(name: str, command: list[str], sources: list[Path]) -> Path:
    text = _headers_digest() + repr(command).encode()
    text += b"".join(path.read_bytes() for path in sources)
    stem, dot, ending = name.partition(".")
    made = BUILD / f"{stem}-{hashlib.sha256(text).hexdigest()[:12]}{dot}{ending}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in BUILD.glob(f"{stem}-????????????{dot}{ending}"):
                old.unlink()
            fresh = BUILD / f"{name}.new"
            subprocess.run([*command, *sources, "-o", fresh], check=True)
            fresh.rename(made)
    return made


def program(name: str, flavour: str, *sources: str, compiler: str = CXX) -> Path:
    """A native program of the suite with the engine in it, built unless it is there."""
    command = [compiler, *CPP, *FLAVOURS[flavour]]
    tag = f"{flavour}-{Path(compiler).name}"
    engine = [_build(f"{path.stem}-{tag}.o", [*command, "-c"], [path]) for path in ENGINE]
    return _build(f"{name}-{tag}", command, [*(NATIVE / source for source in sources), *engine])


def shim() -> Path:
    """The library that makes system calls fail, to be preloaded."""
    flags = ["-std=gnu17", "-O1", "-shared", "-fPIC", *WARNINGS]
    return _build("shim.so", [CC, *flags], [NATIVE / "shim.c"])


def fuzzer_compiler() -> str | None:
    """A clang++ that has libFuzzer, or None."""
    for name in ("clang++", *(f"clang++-{version}" for version in range(22, 13, -1))):
        path = shutil.which(name)
        if path and _links_fuzzer(path):
            return path
    return None


@functools.cache
def _links_fuzzer(compiler: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.cpp"
        source.write_text(
            "#include <cstddef>\n#include <cstdint>\n"
            'extern "C" int LLVMFuzzerTestOneInput(const uint8_t*, size_t) { return 0; }\n'
        )
        made = subprocess.run(
            [compiler, "-fsanitize=fuzzer,address", source, "-o", Path(folder) / "empty"],
            capture_output=True,
        )
    return made.returncode == 0


def run(*command: str | Path, timeout: float, **environment: str) -> dict[str, Any]:
    """Runs a program that must succeed; returns the JSON object of its last line."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=os.environ | environment
    )
    told = f"{' '.join(map(str, command))}\nstatus {done.returncode}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, told
    return json.loads(done.stdout.splitlines()[-1])


def child(script: str, *arguments: object, timeout: float = 300, shimmed: bool = False) -> Any:
    """Runs tests/faults/children/<script>.py, where a signal ends it and not the tests."""
    paths = os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    preload = {"LD_PRELOAD": str(shim()), "FAULTS_SHIM": str(shim())} if shimmed else {}
    return run(
        *(sys.executable, "-W", "error", CHILDREN / f"{script}.py", *map(str, arguments)),
        timeout=timeout,
        PYTHONPATH=paths,
        **preload,
    )


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one, for tests that make very many files."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="marketsim-faults-", dir=where) as name:
        yield Path(name)


# ---- CRC-32C, and headers with whatever in them --------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(seed: int, data: bytes) -> int:
    """CRC-32C without its usual inversions, owing nothing to the engine's."""
    for byte in data:
        seed = (seed >> 8) ^ _TABLE[(seed ^ byte) & 0xFF]
    return seed


def with_crc(header: bytes) -> bytes:
    """A header's bytes with its CRC put right."""
    body = header[: HEADER_BYTES - 4]
    return body + crc32c(0xFFFFFFFF, body).to_bytes(4, "little")


# ---- files and records ---------------------------------------------------------------------------


def stride_of(width: int) -> int:
    """Bytes of a record."""
    return -(-(HEAD_BYTES + 4 * width) // 64) * 64


class Log:
    """A file of the engine with its counters, and records that follow from their numbers."""

    def __init__(
        self,
        path: Path | str,
        *,
        width: int = 24,
        series: str = "series",
        writable: bool = True,
        sync: bool = True,
    ) -> None:
        self.path, self.width = Path(path), width
        self.counters = _core.StoreCounters()
        self.file = _core.StoreFile(
            str(path), "model", series, "schema", width, self.counters, writable, sync
        )

    def append(self, numbers: Iterable[int]) -> int:
        """Appends the records of these numbers."""
        which = np.array(list(numbers), dtype=np.int64)
        return self.file.append(
            keys_of(which),
            which * MARKETSIM_DAY,
            (which % 4).astype(np.uint8),
            (which % 1000).astype(np.uint16),
            np.zeros(len(which), dtype=np.uint8),
            values_of(which, self.width),
        )

    def read(self, numbers: Iterable[int]) -> set[int]:
        """The numbers of those records that were found; their values must be right."""
        which = np.array(list(numbers), dtype=np.int64)
        values, found, hits = self.file.read(keys_of(which))
        assert hits == found.sum()
        assert same_bits(values[found], values_of(which[found], self.width)), "wrong values"
        return set(which[found].tolist())

    def counts(self) -> dict[str, int]:
        """The counters."""
        return self.counters.counts()


def settle(path: Path) -> None:
    """Date a file back, so that it is not taken for one that is being copied to its place."""
    os.utime(path, (1, 1))


def keys_of(which: np.ndarray) -> np.ndarray:
    """The 16 bytes of each number's key."""
    low = (which.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    low ^= low >> np.uint64(29)
    both = np.stack([low, (low * np.uint64(0xBF58476D1CE4E5B9)) ^ np.uint64(0x55)], axis=1)
    return np.ascontiguousarray(both).view(np.uint8).reshape(len(which), 16)


def values_of(which: np.ndarray, width: int) -> np.ndarray:
    """The values of each number's record: no two numbers share one."""
    every = which[:, None].astype(np.int64) * width + np.arange(width)
    return (every % (1 << 24)).astype(np.float32) * np.float32(0.5)


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays are equal bit for bit."""
    return np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()


def files_aside(path: Path) -> list[Path]:
    """What was renamed aside from a path."""
    return sorted(path.parent.glob(f"{path.name}.bad-*"))


def numbered(folder: Path) -> Iterator[Path]:
    """Fresh names in a folder."""
    return (folder / f"case-{i}.msp" for i in itertools.count())


def report(work: Callable[[list[str]], dict[str, Any]]) -> None:
    """The main function of a child: its result is the last line."""
    print(json.dumps(work(sys.argv[1:])))
