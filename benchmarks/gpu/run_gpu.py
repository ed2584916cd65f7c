"""Checks, then measures the GPU's kernels: `make bench-gpu`, or this file in any environment that
has marketsim, built with CUDA, and torch.

Writes benchmarks/results/<gpu>-<date>.json and .md, anew after each part, so that what is known
stays should a later part fail. Exit codes: 0 done, 1 an answer is wrong or a part failed, 2 no GPU
can be used.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from marketsim.build_info import cuda_state, versions

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check-only", action="store_true", help="compare with the CPU, no times")
    parser.add_argument("--small", action="store_true", help="little work, to try the command")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument(
        "--minutes", type=float, default=8.0, help="start no further part after that many"
    )
    args = parser.parse_args(arguments)
    state = cuda_state()
    if not state["usable"]:
        print(f"no GPU can be used: {state['reason']}", file=sys.stderr)
        return 2
    sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests" / "support")]
    import gpu_cases

    sizes = gpu_cases.SMALL if args.small or args.check_only else gpu_cases.Sizes()
    if args.check_only:
        return 1 if report_check(*gpu_cases.check(sizes)) else 0
    run = Run(args.output, state, sizes, args.minutes)
    run.all_parts()
    print(markdown(run.facts))
    for text in run.failed:
        print(text, file=sys.stderr)
    return 1 if run.failed else 0


def report_check(made: int, wrong: list[str]) -> list[str]:
    """Say how the comparison went; returns what to call it."""
    for text in wrong:
        print(f"the GPU's answer is wrong: {text}", file=sys.stderr)
    if not wrong:
        print(f"{made} comparisons with the CPU: equal to the last bit", flush=True)
    return [f"{len(wrong)} of {made} answers of the GPU are wrong"] if wrong else []


class Run:
    """All parts, one after the other; each is written as soon as it is done."""

    def __init__(self, output: Path, state: Row, sizes: Any, minutes: float) -> None:
        self.sizes = sizes
        self.failed: list[str] = []
        self.until = time.monotonic() + 60.0 * minutes
        self.facts: Row = {
            "date": datetime.date.today().isoformat(),
            "cuda": state,
            "versions": versions(),
            "platform": platform.platform(),
            "gpu": gpu_state(),
            "checked": 0,
            "wrong": [],
            "sizes": sizes._asdict(),
            "measured": {},
            "sanitizer": {},
            "failed": self.failed,
        }
        name = f"{state['devices'][0]}-{self.facts['date']}".lower()
        self.path = output / re.sub(r"[^a-z0-9]+", "-", name)
        output.mkdir(parents=True, exist_ok=True)

    def all_parts(self) -> None:
        """Check, measure, and last what takes long."""
        import gpu_cases
        import gpu_universe

        clock, sizes = gpu_cases.Clock(self.sizes.repeats), self.sizes
        per_second = [float("nan")]  # of the peak, once it is measured

        def peak() -> list[Row]:
            row = gpu_cases.peak(clock, sizes)
            per_second[0] = row["instructions_per_second"]
            return [row]

        self.part("check", self.check)
        self.measure("peak", peak)
        self.measure("profit", lambda: gpu_cases.profits(clock, sizes, per_second[0]))
        self.measure("offsets", lambda: gpu_cases.offsets(clock, sizes))
        self.measure("walk-forward", lambda: [gpu_cases.walk(clock, sizes)])
        self.measure("universe", lambda: gpu_universe.walks(clock, sizes))
        self.facts["gpu_after"] = gpu_state()
        self.part("sanitizer", self.sanitize)
        self.measure("with transfers", lambda: gpu_cases.with_transfers(clock, sizes))
        self.measure("crossover", lambda: gpu_cases.crossover(clock, sizes))

    def part(self, title: str, work: Callable[[], None]) -> None:
        """Do one part, or say why not, and write what there is."""
        if time.monotonic() > self.until:
            self.failed.append(f"{title}: not run, no time was left")
        else:
            print(f"{title} ...", file=sys.stderr, flush=True)
            try:
                work()
            except Exception as error:  # the next part may still work
                self.failed.append(f"{title}: {type(error).__name__}: {error}")
        self.write()

    def measure(self, title: str, rows: Callable[[], Iterable[Row]]) -> None:
        """One part that gives rows; those before a failure stay."""

        def work() -> None:
            found: list[Row] = []
            self.facts["measured"][title] = found
            for row in rows():
                found.append(row)
                self.write()

        self.part(title, work)

    def check(self) -> None:
        """Compare with the CPU."""
        import gpu_cases

        self.facts["checked"], self.facts["wrong"] = gpu_cases.check(self.sizes)
        self.failed += report_check(self.facts["checked"], self.facts["wrong"])

    def sanitize(self) -> None:
        """What compute-sanitizer has to say of a small check, by its tools."""
        program = shutil.which("compute-sanitizer") or shutil.which(
            "compute-sanitizer", path="/usr/local/cuda/bin"
        )
        if program is None:
            self.facts["sanitizer"] = {"compute-sanitizer": "not installed: not run"}
            return
        for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
            self.facts["sanitizer"][tool] = text = sanitized(program, tool, self.until)
            if text.startswith("FAILED"):
                self.failed.append(f"compute-sanitizer, {tool}: {text}")
            self.write()

    def write(self) -> None:
        """Both files."""
        self.path.with_suffix(".json").write_text(json.dumps(self.facts, indent=1) + "\n")
        self.path.with_suffix(".md").write_text(markdown(self.facts))


def sanitized(program: str, tool: str, until: float) -> str:
    """What one tool says; each array is memory of its own, so that its end is seen."""
    left = min(until - time.monotonic(), 120.0)
    if left < 10.0:
        return "not run: no time was left"
    try:
        run = subprocess.run(
            [program, "--tool", tool, "--error-exitcode", "9", sys.executable, __file__,
             "--check-only"],
            capture_output=True, text=True, check=False, timeout=left,
            env=os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not finished within {left:.0f} s"
    lines = [line for line in run.stdout.splitlines() if line.startswith("=========")]
    last = (lines or run.stdout.strip().splitlines() or ["no output"])[-1]
    return f"{'passed' if run.returncode == 0 else 'FAILED'}: {last}"


def gpu_state() -> str:
    """Clocks, power and memory, where nvidia-smi is there."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "nvidia-smi is not there"
    fields = "name,clocks.sm,clocks.max.sm,power.draw,temperature.gpu,memory.total"
    found = subprocess.run(
        [program, f"--query-gpu={fields}", "--format=csv,noheader"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    return found.stdout.strip()


def markdown(facts: Row) -> str:
    """The results as a page."""
    cuda = facts["cuda"]
    answers = (
        f"{len(facts['wrong'])} of {facts['checked']} comparisons with the CPU FAILED"
        if facts["wrong"]
        else f"{facts['checked']} comparisons with the CPU: equal to the last bit"
    )
    lines = [
        f"# {cuda['devices'][0]}, {facts['date']}",
        "",
        f"{cuda['driver']}; {cuda['reason']}; kernels for {cuda['built_for']}. {answers}. Times "
        "are medians of device events after warm-up, without the host's part; with transfers and "
        "at crossovers they are what the host waits.",
    ]
    lines += [f"\n**{text}**" for text in facts["failed"]]
    for title, rows in facts["measured"].items():
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines += ["", f"## {title}", "", f"| {' | '.join(n.replace('_', ' ') for n in names)} |"]
        lines.append("|" + "---|" * len(names))
        lines += [f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in rows]
    lines += ["", "## compute-sanitizer", ""]
    lines += [f"- {tool}: {text}" for tool, text in facts["sanitizer"].items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.3g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


if __name__ == "__main__":
    sys.exit(main())
