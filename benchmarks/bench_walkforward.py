"""Whole runs: warm, over all days, the first in a process, and 500 symbols in little memory.

Targets for 5,000 bars and all strategies: 50 ms warm with 70 simulations, 1 s with every day as a
simulation, 0.5 s more for the first run in a process, 0.15 s for the import; 500 symbols of 2,500
days below 1 GB. No store is used: forecasts are made anew in each run; bench_store_runs.py has the
runs that find them in a store.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from market import random_bars, random_frame

import marketsim as ms

BARS = 5_000


def complete(result: ms.WalkForwardResult) -> ms.WalkForwardResult:
    """Everything that a run gives is computed, not only what is lazy."""
    for part in (result.days, result.forecasts, result.simulations):
        assert len(part) > 0
    assert "maxdiff" in str(result.summary())
    return result


def bench_seventy_simulations(measure, benchmark) -> None:
    benchmark.group = f"walk-forward of {BARS} bars, all strategies, ewma"
    bars = random_bars(BARS)
    result = measure(
        lambda: complete(ms.walk_forward(bars, "ewma", store=False, progress=False)),
        items=1,
        unit="70 simulations",
    )
    assert len(result.windows.as_of) == 70
    assert len(result.days) == 76 * 9


def bench_every_day_a_simulation(measure, benchmark) -> None:
    benchmark.group = f"walk-forward of {BARS} bars, all strategies, ewma"
    bars = random_bars(BARS)

    def run() -> ms.WalkForwardResult:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few days at the start have no history to fit on
            return complete(
                ms.walk_forward(bars, "ewma", simulations=BARS, store=False, progress=False)
            )

    result = measure(run, items=1, unit="all days")
    assert len(result.windows.as_of) == BARS - 77


FRESH = """
import json, sys, time
sys.path.insert(0, {support!r})
start = time.perf_counter()
import marketsim as ms
imported = time.perf_counter() - start
from market import random_bars
bars = random_bars({bars})
times = []
for _ in range(6):
    start = time.perf_counter()
    result = ms.walk_forward(bars, "ewma", store=False, progress=False)
    result.days, result.forecasts, result.simulations, str(result.summary())
    times.append(time.perf_counter() - start)
print(json.dumps([imported, times[0], min(times[1:])]))
"""


def fresh_process() -> tuple[float, float, float]:
    """(import, first run, warm run) in seconds, in a new process."""
    support = str(Path(__file__).parent.parent / "tests" / "support")
    code = FRESH.format(support=support, bars=BARS)
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported, first, warm = json.loads(found.stdout)
    return imported, first, warm


def bench_first_run_in_a_process(benchmark) -> None:
    benchmark.group = "a new process"
    fresh_process()  # the first ever compiles the loops
    imported, first, warm = benchmark(fresh_process)
    benchmark.extra_info.update(import_s=imported, first_s=first, warm_s=warm)
    print(f"\nimport {imported:.3f} s, first run {first:.3f} s, warm run {warm:.3f} s")


MEMORY = """
import pathlib, re, sys
from marketsim.cli import main
code = main(["backtest", sys.argv[1], "--quiet", "--json", "--simulations", "70"])
# Not ru_maxrss, in which the peak of the process that started this one lives on.
peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())
print(peak[1], file=sys.stderr)
raise SystemExit(code)
"""


@pytest.mark.parametrize("symbols", [500])
def bench_many_symbols(benchmark, tmp_path: Path, symbols: int) -> None:
    benchmark.group = f"{symbols} symbols of 2,500 days"
    frame = random_frame(2_500)
    count = symbols if benchmark.enabled else 20
    for i in range(count):
        (frame * (1.0 + i / 1000)).to_csv(tmp_path / f"S{i:03d}.csv", index_label="date")

    def run() -> int:
        found = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path)],
            check=True,
            capture_output=True,
            text=True,
        )
        assert len(json.loads(found.stdout)["symbols"]) == count
        return int(found.stderr.splitlines()[-1])

    kilobytes = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["peak_mb"] = kilobytes / 1024
    print(f"\npeak memory {kilobytes / 1024:.0f} MB")
    assert kilobytes < 1024 * 1024
