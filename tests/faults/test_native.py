"""The native programs of the suite: kills, threads and fuzzing, under sanitizers."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from fault_tools import (
    FULL,
    Log,
    full,
    fuzzer_compiler,
    memory_folder,
    program,
    run,
)

SEED = "1"


def torture(folder: Path, kills: int, *more: str) -> subprocess.CompletedProcess[str]:
    made = program("torture", "plain", "torture.cpp")
    return subprocess.run(
        [made, folder, str(kills), SEED, *more], capture_output=True, text=True, timeout=1800
    )


def test_kills_lose_nothing_and_read_nothing_wrong(tmp_path: Path) -> None:
    made = program("torture", "plain", "torture.cpp")
    kills = full(150, 10_000)
    found = run(made, tmp_path, str(kills), SEED, timeout=1800)
    assert found["kills"] == kills
    assert found["wrong"] == found["lost"] == found["changed"] == found["strange"] == 0
    assert found["hits"] > 100 * kills
    assert found["records"] > 10 * kills
    assert found["compactions"] > kills / 20


def test_planted_bug_is_caught(tmp_path: Path) -> None:
    """Verify in the map, then copy: the same program must convict a store that does it."""
    done = torture(tmp_path, 150, "planted")
    assert done.returncode == 1, done.stderr[-2000:]
    assert '"wrong": 0' not in done.stdout
    assert '"strange": 0' in done.stdout, done.stderr[-2000:]  # it worked, but for the bug


def without_random_addresses() -> list[str]:
    """Older ThreadSanitizers cannot place their shadow where addresses are very random."""
    command = ["setarch", "-R"]
    if shutil.which("setarch") is None:
        return []
    tried = subprocess.run([*command, "true"], capture_output=True)
    return command if tried.returncode == 0 else []


def test_threads_under_thread_sanitizer(tmp_path: Path) -> None:
    made = program("concurrent", "thread", "concurrent.cpp")
    rounds = str(full(40, 500))
    found = run(*without_random_addresses(), made, tmp_path, rounds, SEED, timeout=1800)
    assert found["defects"] == 0


def test_threads_under_address_sanitizer(tmp_path: Path) -> None:
    made = program("concurrent", "address", "concurrent.cpp")
    found = run(made, tmp_path, str(full(40, 2000)), SEED, timeout=1800)
    assert found["defects"] == 0


def write_corpus(folder: Path) -> None:
    """An input for each mode of a target, and a whole file."""
    folder.mkdir()
    chance = random.Random(SEED)
    for mode in range(128):
        (folder / str(mode)).write_bytes(bytes([mode]) + chance.randbytes(mode))
    log = Log(folder / "whole", width=3)
    log.append(range(4))
    content = log.path.read_bytes()
    log.path.write_bytes(b"\4" + content)


@pytest.mark.parametrize("target", ["header", "scan"])
def test_fuzzing_without_coverage(target: str) -> None:
    made = program(f"drive-{target}", "address", f"fuzz_{target}.cpp", "driver.cpp")
    runs = full(2000, 400_000)
    with memory_folder() as folder:
        write_corpus(folder / "corpus")
        found = run(
            *(made, f"-runs={runs}", f"-seed={SEED}", folder / "corpus"),
            timeout=1800,
            FAULTS_FOLDER=str(folder),
        )
    assert found["runs"] == runs


@pytest.mark.parametrize("target", ["header", "scan"])
def test_fuzzing_with_coverage(target: str) -> None:
    compiler = fuzzer_compiler()
    if compiler is None:
        pytest.skip("no clang++ with libFuzzer here")
    made = program(f"fuzz-{target}", "fuzzer", f"fuzz_{target}.cpp", compiler=compiler)
    with memory_folder() as folder:
        write_corpus(folder / "corpus")
        done = subprocess.run(
            [
                *(made, f"-max_total_time={full(2, 120)}", f"-seed={SEED}", "-max_len=16384"),
                *("-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/"),
                folder / "corpus",
            ],
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ | {"FAULTS_FOLDER": str(folder)},
        )
        kept = {path.name: path.read_bytes().hex() for path in folder.glob("*-*") if path.is_file()}
    assert done.returncode == 0, f"{done.stderr[-4000:]}\ninputs: {kept}"
    assert FULL or "Done" in done.stderr
