"""Checks, then measures the GPU's kernels: `make bench-gpu`.

Writes benchmarks/results/<gpu>-<date>.json and .md. Exit codes: 0 done, 1 an answer is wrong, 2 no
GPU can be used.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from marketsim.build_info import cuda_state, versions

RESULTS = Path(__file__).parent.parent / "results"
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check-only", action="store_true", help="compare with the CPU, no times")
    parser.add_argument("--small", action="store_true", help="little work, to try the command")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args(arguments)
    state = cuda_state()
    if not state["usable"]:
        print(f"no GPU can be used: {state['reason']}", file=sys.stderr)
        return 2
    import gpu_cases

    sizes = gpu_cases.SMALL if args.small else gpu_cases.Sizes()
    try:
        made = gpu_cases.check(gpu_cases.SMALL if args.check_only else sizes)
    except AssertionError as error:
        print(f"the GPU's answer is wrong: {error}", file=sys.stderr)
        return 1
    print(f"{made} comparisons with the CPU: equal to the last bit")
    if args.check_only:
        return 0
    facts = {
        "date": datetime.date.today().isoformat(),
        "cuda": state,
        "versions": versions(),
        "platform": platform.platform(),
        "checked": made,
        "sizes": sizes._asdict(),
        "sanitizer": sanitized(),
        "measured": measured(sizes),
    }
    name = re.sub(r"[^a-z0-9]+", "-", f"{state['devices'][0]}-{facts['date']}".lower())
    args.output.mkdir(parents=True, exist_ok=True)
    table = markdown(facts)
    (args.output / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    (args.output / f"{name}.md").write_text(table)
    print(table)
    return 0


def measured(sizes: Any) -> dict[str, list[Row]]:
    """All measurements, by their kinds."""
    import gpu_cases
    import gpu_universe

    clock = gpu_cases.Clock(sizes.repeats)
    peak = gpu_cases.peak(clock, sizes)
    return {
        "peak": [peak],
        "profit": list(gpu_cases.profits(clock, sizes, peak["instructions_per_second"])),
        "offsets": list(gpu_cases.offsets(clock, sizes)),
        "walk-forward": [gpu_cases.walk(clock, sizes), *gpu_universe.walks(clock, sizes)],
        "with transfers": list(gpu_cases.with_transfers(clock, sizes)),
        "crossover": list(gpu_cases.crossover(clock, sizes)),
    }


def sanitized() -> dict[str, str]:
    """What compute-sanitizer has to say of the checks, by its tools."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return {"compute-sanitizer": "not installed: not run"}
    found = {}
    for tool in ("memcheck", "racecheck", "synccheck"):
        run = subprocess.run(
            [program, "--tool", tool, "--error-exitcode", "9", sys.executable, __file__,
             "--check-only"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        last = (run.stdout.strip().splitlines() or ["no output"])[-1]
        found[tool] = f"{'passed' if run.returncode == 0 else 'FAILED'}: {last}"
    return found


def markdown(facts: Row) -> str:
    """The results as a page."""
    cuda = facts["cuda"]
    lines = [
        f"# {cuda['devices'][0]}, {facts['date']}",
        "",
        f"{cuda['driver']}; {cuda['reason']}; kernels for {cuda['built_for']}. {facts['checked']} "
        "comparisons with the CPU: equal to the last bit. Times are medians of device events after "
        "warm-up; with transfers and at crossovers they are what the host waits.",
    ]
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
