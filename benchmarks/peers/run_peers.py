"""Measures marketsim beside other packages on the same work; writes one Markdown page.

    python benchmarks/peers/run_peers.py [--tasks NAME...] [--out docs/peers.md]

Each figure is of a process of its own: cold is the import of the package and the first call; warm
the fastest of many calls, with the CPU seconds of all threads; memory what the process grew by.
Numpy and pandas are loaded before, and their size is not counted. Packages that are not installed
are named. Losses stay in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHARED = {"numpy", "pandas"}  # every contender needs them


def main() -> None:
    """Measure all, or one in this process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="some tasks (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "peers.md")
    parser.add_argument("--one", nargs=2, metavar=("TASK", "PACKAGE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    from contenders import TASKS

    found: dict[str, dict[str, dict[str, Any]]] = {}
    for task in args.tasks or TASKS:
        found[task] = {}
        for package in TASKS[task].contenders:
            print(f"{task}: {package}", file=sys.stderr)
            found[task][package] = in_process(task, package)
    args.out.write_text(page(found))
    print(args.out)


def in_process(task: str, package: str) -> dict[str, Any]:
    """Measure one contender in a new process."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return {"error": "not installed"}
    said = subprocess.run(
        [sys.executable, __file__, "--one", task, package], capture_output=True, text=True,
        env=os.environ | {"MARKETSIM_STORE": os.devnull},
    )  # fmt: skip
    if said.returncode != 0:
        if said.returncode < 0:
            return {"error": f"ended by signal {-said.returncode}"}
        last = (said.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": last[:100]}
    return json.loads(said.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def measure(task: str, package: str) -> dict[str, Any]:
    """Cold and warm seconds, CPU seconds, memory and answer of one contender, in this process."""
    from contenders import TASKS, make_input

    given = make_input()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    call = TASKS[task].contenders[package](given)
    answer = call()
    cold = time.perf_counter() - start
    walls, cpus = [], []
    end = time.perf_counter() + min(2.0, max(0.5, 10 * cold))
    least = 1 if cold > 5.0 else 3
    while len(walls) < least or (time.perf_counter() < end and len(walls) < 2_000):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "version": metadata.version(package), "cold": cold, "warm": min(walls), "cpu": min(cpus),
        "peak": (peak - before) / 1024.0, "install": install_size(package), "answer": answer,
        "calls": len(walls),
    }  # fmt: skip


def install_size(package: str) -> float:
    """Megabytes of a package and what it requires, without numpy, pandas and what they require."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    def closure(names: set[str]) -> set[str]:
        done: set[str] = set()
        todo = [canonicalize_name(name) for name in names]
        while todo:
            name = todo.pop()
            if name in done:
                continue
            try:
                required = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue
            done.add(name)
            for text in required:
                one = Requirement(text)
                if one.marker is None or one.marker.evaluate({"extra": ""}):
                    todo.append(canonicalize_name(one.name))
        return done

    total = 0
    for name in closure({package}) - closure(SHARED):
        for file in metadata.files(name) or ():
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.is_file() else 0
        if name == "marketsim":  # an editable install lists no sources
            sources = [*(ROOT / "python").rglob("*.py"), *_extensions()]
            total += sum(path.stat().st_size for path in sources)
    return total / 1e6


def _extensions() -> list[Path]:
    from marketsim import _core

    return [Path(_core.__file__)]


def page(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The Markdown page."""
    from contenders import TASKS

    lines = [
        "# Beside other packages",
        "",
        "Written by `make peers`: the same input and, where the last column says so, the same",
        "answer. Each row is a process of its own with numpy and pandas already loaded. Cold:",
        "import of the package, set-up and first call. Warm: the fastest of many calls; CPU: of",
        "all threads. Memory: growth of the process's peak. Install: the package and what it",
        "requires, without numpy and pandas. Ratio: warm time against marketsim's; below 1 the",
        "other is faster.",
        "",
        f"Python {platform.python_version()}, {_processor()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end.",
    ]
    for task, rows in found.items():
        lines += ["", f"## {TASKS[task].title}", ""]
        if TASKS[task].note:
            lines += [TASKS[task].note, ""]
        lines += [
            "| package | version | cold | warm | CPU | memory | install | ratio | same answer |",
            "|---|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        ours = rows.get("marketsim", {})
        for package, row in rows.items():
            if "error" in row:
                lines.append(f"| {package} | {row['error']} | | | | | | | |")
                continue
            ratio = row["warm"] / ours["warm"] if "warm" in ours else float("nan")
            same = abs(row["answer"] - ours.get("answer", 0.0)) <= 1e-3 * abs(row["answer"])
            lines.append(
                f"| {package} | {row['version']} | {row['cold']:.2f} s | {_time(row['warm'])} | "
                f"{_time(row['cpu'])} | {row['peak']:.0f} MB | {row['install']:.0f} MB | "
                f"{ratio:.2f} | {'yes' if same else 'no'} |"
            )
    return "\n".join(lines) + "\n"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


if __name__ == "__main__":
    main()
