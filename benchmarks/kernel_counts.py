"""Counts the instructions of kernels, which noise does not move, and compares with a baseline.

    python benchmarks/kernel_counts.py            fails where a kernel grew by 5 %
    python benchmarks/kernel_counts.py --write    writes the baseline

Callgrind counts what one call on fixed input executes, for each instruction set that Valgrind can
run: not AVX-512, so the set is forced. A count depends on the compiler and its libraries; the
baseline names them, and another compiler has nothing to compare with: the check says so, and
passes.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "benchmarks/native/kernel_counts.cpp"
BASELINE = ROOT / "benchmarks/native/kernel_counts.json"
ISAS = ("baseline", "avx2")
GROWTH = 1.05  # of a count, at which the check fails

Counts = dict[str, dict[str, int]]


def main() -> int:
    """Count, then compare or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the baseline")
    parser.add_argument("--only", nargs="+", metavar="KERNEL", help="some kernels")
    args = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"instructions are not counted: {reason}")
        return 2 if args.write else 0
    kept = json.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    machine = compiled_by()
    if not args.write and kept.get("machine") != machine:
        print(
            f"instructions are not compared: the baseline is of {kept.get('machine')}, this is "
            f"{machine}; make counts-baseline writes one of this machine"
        )
        return 0
    counts = count(args.only)
    if args.write:
        BASELINE.write_text(json.dumps({"machine": machine, "counts": counts}, indent=2) + "\n")
        print(f"{len(counts)} kernels: {BASELINE.relative_to(ROOT)}")
        return 0
    lines, grown = compare(kept["counts"], counts)
    print("\n".join(lines))
    if grown:
        print(
            f"{', '.join(grown)}: {GROWTH - 1:.0%} more instructions than the baseline; if that is "
            "meant, make counts-baseline, and commit it with the reason"
        )
    return 1 if grown else 0


def why_not() -> str:
    """Why nothing can be counted here; "" if it can."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"the baseline is of x86-64, this is {platform.machine()}"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed (apt-get install valgrind)"
    if shutil.which("c++") is None:
        return "there is no C++ compiler"
    if library() is None:
        return "csrc is not built: make test-quick, or pip install -e . first"
    return ""


def library() -> Path | None:
    """The static library of the kernels in build/, not the one for sanitizers."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    found = [*ROOT.glob(f"build/{python}-*/csrc/libkernels.a")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def compiled_by() -> str:
    """Compiler and C library, which decide a count besides the sources."""
    said = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=True)
    return f"{said.stdout.splitlines()[0]}, {' '.join(platform.libc_ver())}"


def count(only: list[str] | None = None) -> Counts:
    """Instructions of each kernel by instruction set."""
    kernels = library()
    assert kernels is not None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "kernel_counts"
        options = ["-std=c++20", "-O2", "-pthread", f"-I{ROOT / 'csrc'}"]
        subprocess.run(["c++", *options, SOURCE, kernels, "-o", program], check=True)
        names = subprocess.run([program, "list"], capture_output=True, text=True, check=True)
        return {
            name: {isa: _count_one(program, name, isa) for isa in ISAS}
            for name in names.stdout.split()
            if only is None or name in only
        }


def _count_one(program: Path, name: str, isa: str) -> int:
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*callgrind, "--toggle-collect=counted", str(program), name, isa]
    said = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", said.stderr)
    if said.returncode != 0 or found is None or found[1] == "0":
        sys.exit(f"{' '.join(command)} counted nothing:\n{said.stdout}\n{said.stderr}")
    return int(found[1])


def compare(
    baseline: Mapping[str, Mapping[str, int]], counts: Mapping[str, Mapping[str, int]]
) -> tuple[list[str], list[str]]:
    """Lines of a table, and the kernels that grew by more than 5 % or have no baseline."""
    lines = [f"{'kernel':<24}{'isa':<10}{'baseline':>14}{'now':>14}{'change':>9}"]
    grown = []
    for name, found in counts.items():
        for isa, now in found.items():
            before = baseline.get(name, {}).get(isa)
            change = "new" if before is None else f"{now / before - 1:+.1%}"
            shown = "–" if before is None else f"{before:,}"
            lines.append(f"{name:<24}{isa:<10}{shown:>14}{now:>14,}{change:>9}")
            if before is None or now > before * GROWTH:
                grown.append(f"{name} ({isa})")
    return lines, grown


if __name__ == "__main__":
    sys.exit(main())
