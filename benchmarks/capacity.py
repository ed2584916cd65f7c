"""Checks the arithmetic of docs/scale.md: predicts a run from unit costs, then runs it.

    python benchmarks/capacity.py                     100 symbols, 1 % of the plan
    python benchmarks/capacity.py --symbols 20 --jobs 2

The models are four of `ewma`, which cost next to nothing, so that what is measured is what the rest
costs: keys, store, scheduling. Each symbol and model is one piece of work of `run_each`, the
scheduler of `--jobs`, and all share one store. Unit costs come from the first symbol; sizes and CPU
seconds of the whole are then compared with units times counts.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import marketsim as ms
from marketsim.forecasts import ForecastPlan, PredictionStore, ReturnTable, run_plans
from marketsim.processes import run_each

YEARS, HORIZONS, FIRST = 10, (1, 2, 3, 5, 10), 252
DECAYS = (0.90, 0.94, 0.97, 0.99)


class Run:
    """The forecasts of one symbol by one model, of a name such as 12/0.94."""

    def __init__(self, folder: Path) -> None:
        self.store = PredictionStore(folder, sync="none")

    def __call__(self, name: str) -> int:
        number, _, decay = name.partition("/")
        bars, model = made_bars(int(number)), ms.load_model("ewma", decay=float(decay))
        plan = ForecastPlan.of_rows(len(bars), FIRST, None, HORIZONS)
        table = ReturnTable.for_model(bars, model)
        run_plans([(table, plan)], model, store=self.store, progress=False)
        return plan.forecasts


def made_bars(number: int) -> ms.Bars:
    """Ten years of daily bars."""
    rng = np.random.default_rng(number)
    days = 252 * YEARS
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, days)))
    opened = close * np.exp(rng.normal(0.0, 0.005, days))
    high = np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.005, days))
    low = np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.005, days))
    index = pd.bdate_range("2014-01-02", periods=days, tz="UTC")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    return ms.Bars(pd.DataFrame(columns, index), f"S{number}")


class Spent(NamedTuple):
    """What a run took: forecasts, bytes of the store, its files, CPU seconds, seconds."""

    forecasts: int
    size: int
    files: int
    cpu: float
    wall: float


def spent(names: list[str], jobs: int) -> Spent:
    """Run names in a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), _cpu()
        made = 0
        for name, outcome in run_each(Run(Path(folder)), names, jobs=jobs):
            if outcome.raised is not None:
                raise RuntimeError(name) from outcome.raised
            made += outcome.found
        files = list(Path(folder).rglob("*.msp"))
        size = sum(path.stat().st_size for path in files)
        return Spent(made, size, len(files), _cpu() - cpu, time.perf_counter() - wall)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Measure units, predict, run, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    spent(["0/0.94"], 1)  # warms caches and imports
    unit = min((spent(["0/0.94"], 1) for _ in range(3)), key=lambda one: one.cpu)
    names = [f"{number}/{decay}" for number in range(args.symbols) for decay in DECAYS]
    count = len(names)
    whole = spent(names, args.jobs)
    print(
        f"{args.symbols} symbols x {YEARS} years x {len(DECAYS)} models x {len(HORIZONS)} horizons"
    )
    rows = {
        "forecasts": (count * unit.forecasts, whole.forecasts, ",.0f"),
        "MB": (count * unit.size / 1e6, whole.size / 1e6, ",.1f"),
        "files": (count, whole.files, ",.0f"),
        "CPU s": (count * unit.cpu, whole.cpu, ",.1f"),
    }
    for name, (predicted, found, form) in rows.items():
        print(
            f"{name:<10} predicted {predicted:>14{form}}  found {found:>14{form}}  "
            f"ratio {found / predicted:.3f}"
        )
    each = whole.size / args.symbols / 1e6
    print(f"{whole.wall:.1f} s in {args.jobs} processes; {each:.1f} MB a symbol")


if __name__ == "__main__":
    main()
