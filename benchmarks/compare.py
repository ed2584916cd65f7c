"""Compares two runs of the benchmarks: what got slower beyond noise.

    python benchmarks/compare.py main .                     two revisions; . is the working tree
    python benchmarks/compare.py old.json new.json          two files of `make bench`
    python benchmarks/compare.py main . --files bench_offsets.py --select "open_aware" --rounds 9

Revisions are built into environments of their own under build/compare and run in turn, A B, B A,
A B ..., so that a slow minute hits both. Each pair of runs gives one ratio a benchmark; one is
called slower or faster where the 99 % interval of the mean of its logarithms leaves out 1 and the
median differs by 3 % or more. Files were not run in turn: their figures are shown, and only
differences beyond their own spread are called so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAST = 0.03  # a smaller difference is not called one
# Two-sided 99 % points of Student's t, by degrees of freedom.
_T99 = {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 6: 3.707, 7: 3.499, 8: 3.355, 9: 3.250,
        10: 3.169, 12: 3.055, 14: 2.977, 16: 2.921, 20: 2.845, 30: 2.750, 60: 2.660}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One benchmark in both runs.

    Attributes:
        name: the benchmark.
        before, after: median seconds of a call.
        low, high: interval of the ratio after / before.
        ratio: median ratio.
    """

    name: str
    before: float
    after: float
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Slower, faster or "" for neither."""
        if self.low > 1.0 and self.ratio >= 1.0 + LEAST:
            return "slower"
        if self.high < 1.0 and self.ratio <= 1.0 / (1.0 + LEAST):
            return "faster"
        return ""


def paired_change(name: str, before: Sequence[float], after: Sequence[float]) -> Change:
    """The change of a benchmark from runs that were made in turn."""
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    middle, spread = statistics.fmean(logs), math.inf
    if len(logs) > 1:
        free = max(key for key in _T99 if key <= len(logs) - 1)
        spread = _T99[free] * statistics.stdev(logs) / math.sqrt(len(logs))
    return Change(
        name, statistics.median(before), statistics.median(after),
        math.exp(statistics.median(logs)), math.exp(middle - spread), math.exp(middle + spread),
    )  # fmt: skip


def unpaired_change(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> Change:
    """The change between two files: the interval is that of the quartiles of both."""
    ratio = after["median"] / before["median"]
    return Change(
        name, before["median"], after["median"], ratio,
        after["q1"] / before["q3"], after["q3"] / before["q1"],
    )  # fmt: skip


def table(changes: Sequence[Change]) -> list[str]:
    """Lines of a table, the slower ones first."""
    order = {"slower": 0, "": 1, "faster": 2}
    rows = sorted(changes, key=lambda one: (order[one.verdict], -one.ratio))
    width = max((len(one.name) for one in rows), default=9)
    lines = [f"{'benchmark':<{width}}  {'A':>10}  {'B':>10}  {'B / A':>7}  {'99 %':>15}"]
    for one in rows:
        interval = f"{one.low:.3f}-{one.high:.3f}"
        lines.append(
            f"{one.name:<{width}}  {_time(one.before):>10}  {_time(one.after):>10}  "
            f"{one.ratio:>7.3f}  {interval:>15}  {one.verdict}".rstrip()
        )
    slower = sum(one.verdict == "slower" for one in rows)
    faster = sum(one.verdict == "faster" for one in rows)
    lines.append(f"{len(rows)} benchmarks: {slower} slower, {faster} faster beyond noise")
    return lines


def _time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def stats_of(path: Path) -> dict[str, dict[str, float]]:
    """Figures of each benchmark of a file that pytest-benchmark wrote."""
    try:
        found = json.loads(path.read_text())["benchmarks"]
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{path} is no file of `make bench`: {error!r}")
    return {one["fullname"].rpartition("/")[2]: one["stats"] for one in found}


def main() -> int:
    """Compare; exit code 1 where something is slower."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", help="revision, . for the working tree, or a file of make bench")
    parser.add_argument("b", help="the same")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--files", nargs="+", default=["."], help="files below benchmarks/")
    parser.add_argument("--select", default="", help="pytest's -k")
    args = parser.parse_args()
    files = [side.endswith(".json") for side in (args.a, args.b)]
    if all(files):
        before, after = stats_of(Path(args.a)), stats_of(Path(args.b))
        changes = [unpaired_change(n, before[n], after[n]) for n in before if n in after]
        print("two files: not run in turn, so a change of the machine's load counts as one")
    elif any(files):
        sys.exit("compare two revisions or two files, not one with the other")
    else:
        changes = in_turn(args)
    print("\n".join(table(changes)))
    return 1 if any(one.verdict == "slower" for one in changes) else 0


def in_turn(args: argparse.Namespace) -> list[Change]:
    """Run both revisions in turn."""
    if args.rounds < 2:
        sys.exit(f"--rounds must be 2 or more: got {args.rounds}")
    sides = [_built(args.a), _built(args.b)]
    found: list[dict[str, list[float]]] = [{}, {}]
    for number in range(args.rounds):
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            for name, stats in _measured(sides[i], args).items():
                found[i].setdefault(name, []).append(stats["min"])
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    whole = [n for n, times in found[0].items() if len(times) == len(found[1].get(n, ()))]
    return [paired_change(name, found[0][name], found[1][name]) for name in whole]


def _built(revision: str) -> Path:
    """Build a revision into a folder of its own; returns it."""
    base = ROOT / "build" / "compare"
    if revision == ".":
        folder, files = base / "work", _git("ls-files", "-co", "--exclude-standard", "-z")
        shutil.rmtree(folder, ignore_errors=True)
        for name in files.split("\0"):
            if name and (ROOT / name).is_file():
                (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / "source" / name)
    else:
        commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").strip()
        folder = base / commit[:12]
        if (folder / "built").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "source").mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
        if archive.returncode != 0:
            sys.exit(f"git archive {commit}: {archive.stderr.decode()}")
        subprocess.run(["tar", "-x"], cwd=folder / "source", input=archive.stdout, check=True)
    print(f"building {revision}", file=sys.stderr)
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    wheels = folder / "wheels"
    _run([*pip, "wheel", *quiet, "--no-build-isolation", "-w", wheels, folder / "source"])
    _run([sys.executable, "-m", "venv", "--without-pip", folder / "env"])
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    # The packages of this environment, but not its editable install: a path file names folders
    # alone.
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(paths) + "\n")
    (wheel,) = wheels.glob("*.whl")
    python = folder / "env" / "bin" / "python"
    _run([*pip, "--python", python, "install", *quiet, "--force-reinstall", wheel])
    (folder / "built").touch()
    return folder


def _measured(folder: Path, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    out = folder / "run.json"
    out.unlink(missing_ok=True)
    source = folder / "source"
    command = [
        folder / "env" / "bin" / "python", "-m", "pytest", "-q", "-p", "no:xdist",
        "-p", "no:cacheprovider", "--benchmark-enable", "--benchmark-only",
        "--benchmark-max-time=0.5", f"--benchmark-json={out}",
        *(source / "benchmarks" / name for name in args.files),
        *(["-k", args.select] if args.select else []),
    ]  # fmt: skip
    said = subprocess.run(
        [str(part) for part in command], cwd=source, capture_output=True, text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    if not out.is_file() or not out.stat().st_size:
        sys.exit(f"{folder}: the benchmarks failed:\n{said.stdout[-4000:]}\n{said.stderr[-2000:]}")
    return stats_of(out)


def _git(*arguments: str) -> str:
    said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(f"git {' '.join(arguments)}: {said.stderr.strip()}")
    return said.stdout


def _run(command: list[object]) -> None:
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(f"{command} failed:\n{said.stdout}\n{said.stderr}")


if __name__ == "__main__":
    sys.exit(main())
