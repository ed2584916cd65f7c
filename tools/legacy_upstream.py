"""Runs the old repository's own tests against the old code and against marketsim.legacy.

    LEGACY_CHECKOUT=~/stock-prediction make test-upstream

Nothing is fetched: LEGACY_CHECKOUT names a checkout, LEGACY_PYTHON an interpreter that has the
packages which its tests import and marketsim (this one, by default). Each file that imports an old
module runs twice in processes of its own, the second time after `marketsim.legacy.install()`. Both
results are printed side by side. A test that passes with the old code alone is an error, unless
tests/upstream/legacy_differences.txt lists it with a reason; an entry that passes is one, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIFFERENCES = ROOT / "tests" / "upstream" / "legacy_differences.txt"
OLD = (
    r"\b(backtest_test3_inline|loss_utils|disk_cache|optimization_utils|prediction_cache"
    r"|toto_aggregation|toto_wrapper|kronos_wrapper)\b"
)
_SECONDS = 300
# Loaded by pytest before it collects anything.
_PLUGIN = "import marketsim.legacy\n\nmarketsim.legacy.install()\n"

Outcomes = dict[str, str]


def main() -> int:
    """Run all files; 0 where only expected tests differ, 1 where others do, 2 without any."""
    named = os.environ.get("LEGACY_CHECKOUT")
    if not named or not Path(named).is_dir():
        print("LEGACY_CHECKOUT must name a checkout of the old repository", file=sys.stderr)
        return 2
    checkout = Path(named).resolve()
    wanted = sys.argv[1:] or [str(path.relative_to(checkout)) for path in test_files(checkout)]
    expected = differences(DIFFERENCES)
    unexpected: list[str] = []
    seen: set[str] = set()
    totals = [0, 0]
    print(f"{'tests that pass':>40} old drop-in")
    for name in wanted:
        old, new = run(checkout, name, dropin=False), run(checkout, name, dropin=True)
        passed = [
            {test for test, outcome in of.items() if outcome == "passed"} for of in (old, new)
        ]
        totals = [total + len(tests) for total, tests in zip(totals, passed, strict=True)]
        print(f"{name[-40:]:>40} {len(passed[0]):3} {len(passed[1]):7}", flush=True)
        for test in sorted(passed[0] - passed[1]):
            reason = next((why for start, why in expected.items() if test.startswith(start)), None)
            print(f"    {test}: {new.get(test, 'not collected')}; {reason or 'NOT EXPECTED'}")
            seen |= {start for start in expected if test.startswith(start)}
            unexpected += [] if reason else [test]
        for test in sorted(passed[1] - passed[0]):
            print(f"    {test}: passes with the drop-in alone")
    stale = [] if sys.argv[1:] else sorted(expected.keys() - seen)
    for start in stale:
        print(f"listed, and does not differ: {start}")
    print(f"{'all':>40} {totals[0]:3} {totals[1]:7}; {len(unexpected)} differ unexpectedly")
    return 1 if unexpected or stale else 0


def test_files(checkout: Path) -> list[Path]:
    """The files with tests that import one of the old modules."""
    found = []
    for path in sorted(checkout.rglob("test_*.py")):
        text = path.read_text(errors="ignore")
        if re.search(OLD, text) and re.search(r"^\s*(async )?def test_|^class Test", text, re.M):
            found.append(path)
    return found


def differences(path: Path) -> dict[str, str]:
    """Start of a test's id: why it may differ. Lines are `id: reason`; # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.partition(": ") for line in lines if line)
    return {start: reason for start, _, reason in pairs}


def run(checkout: Path, name: str, *, dropin: bool) -> Outcomes:
    """The outcome of each test of a file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        if dropin:
            Path(folder, "marketsim_dropin.py").write_text(_PLUGIN)
            options += ["-p", "marketsim_dropin"]
            environment["PYTHONPATH"] = folder
            # Nothing downloads Toto's weights: the old repository's conftest has a stand-in for its
            # backtest module, and for ours a model without weights forecasts.
            environment.setdefault("TOTO_MODEL_ID", "ewma")
        python = os.environ.get("LEGACY_PYTHON", sys.executable)
        command = [python, "-m", "pytest", *options, name]
        try:
            subprocess.run(
                command, cwd=checkout, env=environment, capture_output=True, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            return {}
        return outcomes(report) if report.is_file() else {}


def outcomes(report: Path) -> Outcomes:
    """By test, what pytest's report says of it."""
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = sorted(kinds)[0] if kinds else "passed"
    return found


if __name__ == "__main__":
    sys.exit(main())
