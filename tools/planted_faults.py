"""Plants faults in the code, one at a time, and says which tests find each.

    python tools/planted_faults.py [NAME ...]

Run it on a clean checkout: it edits a file, rebuilds where that is C++, runs the tests of the topic
and puts the file back. Exit code 1 where a fault is not found. docs/testing.md has the table.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Fault(NamedTuple):
    """One text of one file replaced by another, and the tests that must find it."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = {
    "a limit fills at a touch": Fault(
        "csrc/kernels/leg.hpp",
        "legs.entry_limit = choose(trades, next_up(low), never);",
        "legs.entry_limit = choose(trades, low, never);",
        ("tests/kernels/test_profit.py",),
    ),
    "a long buys at the high": Fault(
        "csrc/kernels/leg.hpp",
        "legs.entry_pred = mirrored(day.low_pred, day.high_pred);",
        "legs.entry_pred = mirrored(day.high_pred, day.low_pred);",
        ("tests/kernels/test_profit.py",),
    ),
    "a record's CRC is not compared": Fault(
        "csrc/kernels/store/read.cpp",
        "good[i] = head.crc == crcs[i];",
        "good[i] = true;",
        ("tests/forecasts/store/test_stores_disk.py", "tests/forecasts/store/test_stores.py"),
    ),
    "the exit costs nothing": Fault(
        "python/marketsim/walkforward/limits.py",
        "return size, size * (costs.entry + exit_rate)",
        "return size, size * costs.entry",
        ("tests/walkforward/test_walk_forward.py",),
    ),
    "a key covers one column": Fault(
        "python/marketsim/forecasts/digests.py",
        "np.asarray(values, dtype=np.float64),",
        "np.asarray(values, dtype=np.float64)[:1],",
        ("tests/forecasts/test_digests.py", "tests/forecasts/store/test_stores_keys.py"),
    ),
    "a key leaves the model out": Fault(
        "python/marketsim/forecasts/digests.py",
        "parts = (series.schema, series.model, series.series, target, str(horizon))",
        "parts = (series.schema, series.series, target, str(horizon))",
        ("tests/forecasts/test_digests.py", "tests/forecasts/store/test_stores_keys.py"),
    ),
    "offsets are fitted on the day they trade": Fault(
        "python/marketsim/walkforward/limits.py",
        "np.arange(count), book.offset_window",
        "np.arange(count) + 1, book.offset_window",
        ("tests/test_lookahead.py",),
    ),
    "the hour that happens twice is one": Fault(
        "python/marketsim/bars/zones.py",
        "summer[: back[0] + 1] = True",
        "summer[:] = True",
        ("tests/bars/test_bars_timestamps.py",),
    ),
    "sorting is descending": Fault(
        "python/marketsim/bars/repair.py",
        'np.argsort(key, kind="stable")',
        'np.argsort(key, kind="stable")[::-1]',
        ("tests/bars/test_bars_repair.py",),
    ),
    "volatility grows with time, not its root": Fault(
        "python/marketsim/metrics/performance.py",
        "total, annual, mean, std, std * root, sharpe * root",
        "total, annual, mean, std, std * scale, sharpe * root",
        ("tests/metrics/test_performance.py",),
    ),
    "quantiles that cross are not sorted": Fault(
        "python/marketsim/models/toto2/scaler.py",
        "return np.sort(np.clip(quantiles, *limits), axis=-1)",
        "return np.clip(quantiles, *limits)",
        ("tests/models/test_toto2.py", "tests/models/test_toto2_golden.py"),
    ),
    "a ruined account goes on": Fault(
        "python/marketsim/walkforward/outcome.py",
        "net[bar], net[bar + 1 : stop] = -1.0, 0.0",
        "net[bar] = -1.0",
        ("tests/walkforward/test_accounts.py",),
    ),
}


def build() -> None:
    """Build the extension anew, with the GPU's kernels on the host."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-build-isolation", "--no-deps", "-C", "cmake.define.MARKETSIM_EMULATION=ON"]
    subprocess.run([*command, *options, "-e", ROOT], check=True)


def failing(tests: tuple[str, ...]) -> list[str]:
    """The tests that fail, without their parameters."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--maxfail=5", *tests], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", done.stdout, re.MULTILINE)
    return list(dict.fromkeys(found))


def plant(fault: Fault) -> list[str]:
    """The tests that find it."""
    path = ROOT / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        sys.exit(f"{fault.file} must have this text once: {fault.old!r}")
    compiled = fault.file.startswith("csrc/")
    path.write_text(text.replace(fault.old, fault.new))
    try:
        if compiled:
            build()
        return failing(fault.tests)
    finally:
        path.write_text(text)
        if compiled:
            build()


def main() -> None:
    """Plant those named, or all."""
    missed = 0
    for name in sys.argv[1:] or FAULTS:
        found = plant(FAULTS[name])
        missed += not found
        print(f"| {name} | {', '.join(found[:3]) or 'NOT FOUND'} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
