"""Runs the old repository's own tests against the old code and against marketsim.legacy.

    LEGACY_CHECKOUT=~/stock-prediction make test-upstream

Nothing is fetched: LEGACY_CHECKOUT names a checkout, LEGACY_PYTHON an interpreter that has the
packages which its tests import and marketsim (this one, by default). Each file that names an old
module, or imports a module of the checkout that imports one, runs twice in processes of its own,
the second time after `marketsim.legacy.install()`. Both results are printed side by side; of a file
whose tests all fail with the old code, why (a GPU, weights, data or a package that is not there). A
test that passes with the old code alone is an error, unless tests/upstream/legacy_differences.txt
lists it with a reason; an entry that passes is one, too.

The tests want the keys of a broker, which the checkout lacks: a file `env_real` without any stands
for them, and its address leads nowhere.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DIFFERENCES = ROOT / "tests" / "upstream" / "legacy_differences.txt"
OLD = (
    r"\b(backtest_test3_inline|loss_utils|disk_cache|optimization_utils|prediction_cache"
    r"|toto_aggregation|toto_wrapper|kronos_wrapper)\b"
)
OLD_MODULES = {
    "backtest_test3_inline",
    "disk_cache",
    "loss_utils",
    "src.models.kronos_wrapper",
    "src.models.toto_aggregation",
    "src.models.toto_wrapper",
    "src.optimization_utils",
    "src.prediction_cache",
}
_SECONDS = 300
# Loaded by pytest before it collects anything. The checkout's conftest puts an empty module in the
# place of a broker's package that nothing has imported, and then uses a name that it defines only
# where that package lacks REST: with the package there, its tests of the backtest run.
_PLUGIN = """
import builtins

try:
    import alpaca_trade_api
    import alpaca_trade_api.rest
except ImportError:
    pass
else:
    builtins._DummyREST = alpaca_trade_api.REST
"""
_DROP_IN = "\nimport marketsim.legacy\n\nmarketsim.legacy.install()\n"
_KEYS = """
ALP_KEY_ID = ALP_SECRET_KEY = ALP_KEY_ID_PROD = ALP_SECRET_KEY_PROD = "none"
ALP_ENDPOINT = "https://none.invalid"
BINANCE_API_KEY = BINANCE_SECRET = CLAUDE_API_KEY = "none"
PAPER = SIMULATE = True
ADD_LATEST = False
"""


class Outcomes(NamedTuple):
    """What pytest's report says of each test of a file, and the first of its errors."""

    by_test: dict[str, str]
    error: str = ""

    @property
    def passed(self) -> set[str]:
        """The tests that pass."""
        return {test for test, outcome in self.by_test.items() if outcome == "passed"}


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
        passed = [old.passed, new.passed]
        totals = [total + len(tests) for total, tests in zip(totals, passed, strict=True)]
        print(f"{name[-40:]:>40} {len(passed[0]):3} {len(passed[1]):7}", flush=True)
        if not passed[0]:
            print(f"    with the old code: {old.error or 'no test is run'}")
        for test in sorted(passed[0] - passed[1]):
            reason = next((why for start, why in expected.items() if test.startswith(start)), None)
            outcome = new.by_test.get(test, "not collected")
            print(f"    {test}: {outcome}; {reason or 'NOT EXPECTED: ' + new.error}")
            seen |= {start for start in expected if test.startswith(start)}
            unexpected += [] if reason else [test]
        for test in sorted(passed[1] - passed[0]):
            print(f"    {test}: passes with the drop-in alone")
    stale = [] if sys.argv[1:] else sorted(expected.keys() - seen)
    for start in stale:
        print(f"listed, and does not differ: {start}")
    if not sys.argv[1:]:
        print(f"named test_, and programs: {', '.join(programs(checkout))}")
    print(f"{'all':>40} {totals[0]:3} {totals[1]:7}; {len(unexpected)} differ unexpectedly")
    return 1 if unexpected or stale else 0


def test_files(checkout: Path) -> list[Path]:
    """The files with tests that use one of the old modules, or call what uses it."""
    return [path for path, tests in _named(checkout) if tests]


def programs(checkout: Path) -> list[str]:
    """Files named test_ that name one of the old modules, and have no test that pytest finds."""
    return [str(path.relative_to(checkout)) for path, tests in _named(checkout) if not tests]


def _named(checkout: Path) -> list[tuple[Path, bool]]:
    """Files that name an old module or import one that imports one: whether they have tests."""
    found = []
    for path in sorted(checkout.rglob("test_*.py")):
        text = path.read_text(errors="ignore")
        tests = re.search(r"^(async )?def test_|^class Test", text, re.M) is not None
        if re.search(OLD, text) or (tests and _imports_a_caller(checkout, path)):
            found.append((path, tests))
    return found


def _imports_a_caller(checkout: Path, path: Path) -> bool:
    for name in imports(checkout, path):
        stem = checkout.joinpath(*name.split("."))
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file() and imports(checkout, file) & OLD_MODULES:
                return True
    return False


@cache
def imports(checkout: Path, path: Path) -> frozenset[str]:
    """Modules that a file imports anywhere, and names in them; none of a file that is no Python."""
    try:
        tree = ast.parse(path.read_text(errors="ignore"))
    except (SyntaxError, ValueError):
        return frozenset()
    own = path.relative_to(checkout).with_suffix("").parts
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = own[: -node.level] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            found |= {module, *(f"{module}.{name.name}" for name in node.names)}
    return frozenset(found)


def differences(path: Path) -> dict[str, str]:
    """Start of a test's id: why it may differ. Lines are `id: reason`; # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.partition(": ") for line in lines if line)
    return {start: reason for start, _, reason in pairs}


def run(checkout: Path, name: str, *, dropin: bool) -> Outcomes:
    """The outcome of each test of a file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        Path(folder, "marketsim_plugin.py").write_text(_PLUGIN + (_DROP_IN if dropin else ""))
        Path(folder, "env_real.py").write_text(_KEYS)
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        options += ["-p", "marketsim_plugin"]
        if "experimental" in Path(name).parts:  # which the checkout leaves out by default
            options.append("--run-experimental")
        environment = dict(
            os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=folder, USE_REAL_ENV="1"
        )
        if dropin:
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
            return Outcomes({}, f"not done after {_SECONDS} s")
        return outcomes(report) if report.is_file() else Outcomes({}, "pytest did not start")


def outcomes(report: Path) -> Outcomes:
    """By test, what pytest's report says of it."""
    found: dict[str, str] = {}
    errors: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):
        told = [child for child in case if child.tag in ("failure", "error", "skipped")]
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = sorted(child.tag for child in told)[0] if told else "passed"
        errors += [_said(child) for child in told]
    return Outcomes(found, errors[0] if errors else "")


def _said(told: ElementTree.Element) -> str:
    """The line of a report that names the error."""
    lines = [line[1:].strip() for line in (told.text or "").splitlines() if line.startswith("E ")]
    return (lines or [told.get("message") or told.tag])[-1][:160]


if __name__ == "__main__":
    sys.exit(main())
