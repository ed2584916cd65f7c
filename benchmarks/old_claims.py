"""What the old analyses claimed, counted and measured: prints the tables of docs/old-claims.md.

Counts follow from the bars of the demo (the S&P 500, 1999-2018) and are the same everywhere; a test
compares them with the page. `make claims` prints them with the times of this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import marketsim as ms

Array = npt.NDArray[np.float64]

KEYS = ("Close", "Low", "High", "Open")
SIMULATIONS, HORIZON = 70, 7
PROBLEMS = 200  # of six days each, for the search of offsets


class Request(NamedTuple):
    """A forecast that the old code asks for.

    Attributes:
        simulation, step: which of the simulations asks, and how many values before the end of its
            data the context ends.
        key: Close, Low, High or Open.
        context: float32, what the model is handed.
    """

    simulation: int
    key: str
    step: int
    context: npt.NDArray[np.float32]

    @property
    def cache_key(self) -> str:
        """The name of the old cache's file, of 128 samples in batches of 32."""
        parts = [hashlib.md5(self.context.tobytes()).hexdigest(), "1"]
        parts += ["num_samples:128", "samples_per_batch:32", "symbol:SP500"]
        return hashlib.md5(":".join(parts).encode()).hexdigest()


def moves(prices: dict[str, Array], key: str) -> Array:
    """The returns that are forecast, from row 1 on."""
    values = prices[key]
    return (values[1:] - values[:-1]) / values[:-1]


def requests(
    prices: dict[str, Array], simulations: int = SIMULATIONS, horizon: int = HORIZON
) -> Iterator[Request]:
    """All forecasts of a backtest, in the old order: simulation s lacks the last s + 1 rows."""
    rows = len(prices["Close"])
    for simulation in range(simulations):
        for key in KEYS:
            known = moves(prices, key)[: rows - 2 - simulation].astype(np.float32)
            for step in range(horizon, 0, -1):
                yield Request(simulation, key, step, known[:-step])


def demo_prices() -> dict[str, Array]:
    """The demo's prices under the old names."""
    frame = ms.demo_bars().frame
    return {key: frame[key.lower()].to_numpy(dtype=np.float64) for key in KEYS}


@dataclass(frozen=True)
class Finding:
    """A row of a table.

    Attributes:
        claim: what was said.
        found: what is true, with its figures.
    """

    claim: str
    found: str

    def __str__(self) -> str:
        return f"| {self.claim} | {self.found} |"


def hits_within_a_run(prices: dict[str, Array]) -> Finding:
    """The old cache, counted on the contexts themselves."""
    keys = [request.cache_key for request in requests(prices)]
    distinct = len(set(keys))
    hits = len(keys) - distinct
    return Finding(
        "the disk cache never hits within a run, since every simulation has data of another length",
        f"it hits {hits:,} of {len(keys):,} times, {hits / len(keys):.0%}: a context's length is "
        f"simulation + step, of which there are {SIMULATIONS + HORIZON - 1}, not "
        f"{SIMULATIONS * HORIZON}. What it costs is a hash of the whole context and an unpickled "
        "file each time",
    )


def redundant_forecasts(prices: dict[str, Array]) -> Finding:
    """How many forecasts there are, and how many differ."""
    asked = list(requests(prices))
    distinct = len({request.cache_key for request in asked})
    return Finding(
        "46,340 forecasts are made in 200 days of data, of which 800 differ (98 % redundant)",
        f"{len(asked):,} are asked for, whatever the length of the data: a simulation forecasts "
        f"its last {HORIZON} days, not each of its days. {distinct} differ "
        f"({1 - distinct / len(asked):.0%} redundant)",
    )


def leaks_of_computing_once(prices: dict[str, Array]) -> Finding:
    """Forecasts of the full data handed to all simulations: which of them see the future."""
    rows = len(prices["Close"])
    asked = late = 0
    for request in requests(prices):
        last_seen = rows - 1 - request.step  # by the forecast of the full data in its place
        own_last = rows - 2 - request.simulation
        asked += 1
        late += last_seen > own_last
    return Finding(
        "70 times fewer calls, and exact: forecast once on the full data, hand that to every "
        "simulation",
        f"{late:,} of the {asked:,} forecasts used then see rows after the end of the simulation "
        f"that uses them, {late / asked:.0%}. Exact is one forecast for each day, from the rows "
        "before that day alone",
    )


def exact_calls(prices: dict[str, Array]) -> Finding:
    """What the functions of marketsim.legacy ask a model for, counted by the store."""
    counts = backtests(2)
    first = counts[0]["misses"]
    again = counts[1]["misses"] - first
    of_prices = len({request.cache_key for request in requests(prices)})
    return Finding(
        "(what is exact)",
        f"`backtest_forecasts` with {SIMULATIONS} simulations asks a model for {first} forecasts: "
        f"{of_prices} of prices in place of {SIMULATIONS * HORIZON * len(KEYS):,}, and "
        f"{first - of_prices} of the strategies' own returns; run again, for {again}",
    )


def backtests(times: int) -> list[dict[str, int]]:
    """The store's counters after each of some runs of the old function, from an empty store."""
    import marketsim.legacy.stock.backtest_test3_inline as old
    from marketsim.forecasts import open_store

    frame = ms.demo_bars().frame.rename(columns=str.title)
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        environment(MARKETSIM_STORE=folder, TOTO_MODEL_ID="ewma", HYPERPARAM_ROOT=folder),
        replaced(old, "download_daily_stock_data", lambda *_, **__: frame),
    ):
        for _ in range(times):
            old.backtest_forecasts("SP500", SIMULATIONS)
            store = open_store()
            found.append(dict(store.counters))  # type: ignore[union-attr]
        old.release_model_resources(force=True)
    return found


def horizons_in_one_call(prices: dict[str, Array]) -> Finding:
    """Seven one-step forecasts against one of seven steps, by two models."""
    contexts = [r.context.astype(np.float64) for r in requests(prices) if r.key == "Close"]
    shares = []
    for name in ("persistence", "ewma"):
        model = ms.load_model(name)
        single = model.predict(contexts).quantile([0.1, 0.5, 0.9])[:, 0]
        together = model.predict(contexts[::HORIZON], horizon=HORIZON).quantile([0.1, 0.5, 0.9])
        gap = np.abs(single - together.reshape(single.shape)).mean()
        shares.append(f"{name} {gap / np.abs(single).mean():.0%}")
    return Finding(
        "7 times fewer calls: ask once for seven steps in place of seven times for one",
        "another question: all seven are then forecast from the earliest context. On these bars "
        f"the quantiles of the close differ by {' and '.join(shares)} of their size. The old "
        "measurement found it 25 % slower, and failing",
    )


def three_settings(prices: dict[str, Array]) -> list[Finding]:
    """Each factor of the 36."""
    from marketsim.legacy.stock.parameters import SamplingBounds
    from marketsim.legacy.stock.settings import LegacySettings

    def distinct(**options: int) -> int:
        return len({request.cache_key for request in requests(prices, **options)})

    usual, short, few = distinct(), distinct(horizon=1), distinct(simulations=35)
    samples, batch = SamplingBounds.of(LegacySettings()).clamp(32, 16)
    return [
        Finding(
            "7x: MARKETSIM_MAX_HORIZON=1",
            f"the snapshot never reads it, and one day leaves no day to validate on. {short} "
            f"forecasts differ then in place of {usual}: {usual / short:.2f}x",
        ),
        Finding(
            "4x: 32 samples in place of 128",
            f"under the floor: {samples} samples in batches of {batch} are used, as before: 1.00x. "
            "Ours draws none",
        ),
        Finding(
            "1.4x: MARKETSIM_FAST_SIMULATE=1",
            f"acts: 35 simulations in place of {SIMULATIONS}, so {few} forecasts that differ in "
            f"place of {usual}: {usual / few:.2f}x, for half of the results",
        ),
    ]


def counts(prices: dict[str, Array]) -> list[Finding]:
    """All rows that are the same on every machine."""
    return [
        hits_within_a_run(prices),
        redundant_forecasts(prices),
        leaks_of_computing_once(prices),
        exact_calls(prices),
        horizons_in_one_call(prices),
        *three_settings(prices),
    ]


def offset_problems(prices: dict[str, Array]) -> list[tuple[Array, ...]]:
    """close, high, low, high_pred, low_pred and position of six days each, from random places."""
    draw = np.random.default_rng(0)
    close = prices["Close"]
    day = {key: prices[key][1:] / close[:-1] - 1 for key in ("Close", "High", "Low")}
    found = []
    for start in draw.integers(0, len(close) - 8, PROBLEMS):
        window = slice(start, start + 6)
        high, low = day["High"][window], day["Low"][window]
        noise = draw.normal(0, 0.004, (2, 6))
        position = draw.choice([-1.0, 1.0], 6)
        found.append((day["Close"][window], high, low, high + noise[0], low + noise[1], position))
    return found


def search_times(prices: dict[str, Array]) -> list[Finding]:
    """The exact search against DIRECT, on the same problems."""
    import torch

    from marketsim.legacy.stock.optimization_utils import optimize_entry_exit_multipliers

    problems = [
        [torch.tensor(row, dtype=torch.float32) for row in problem]
        for problem in offset_problems(prices)
    ]

    def search(problem: list[torch.Tensor]) -> float:
        close, high, low, high_pred, low_pred, position = problem
        return optimize_entry_exit_multipliers(close, position, high, high_pred, low, low_pred)[2]

    def run(rounds: int, **variables: str) -> tuple[list[float], float]:
        with environment(**variables):
            profits = [search(problem) for problem in problems[:rounds]]
            return profits, median_time(lambda: [search(p) for p in problems[:rounds]]) / rounds

    exact, fast = run(PROBLEMS)
    direct, slow = run(PROBLEMS, MARKETSIM_USE_DIRECT_OPTIMIZER="1")
    less, quick = run(PROBLEMS, MARKETSIM_USE_DIRECT_OPTIMIZER="1", MARKETSIM_FAST_OPTIMIZE="1")
    never = all(a >= b - 1e-9 for a, b in zip(exact, direct, strict=True))
    lost = [1 - sum(other) / sum(exact) for other in (direct, less)]
    return [
        Finding(
            "the optimisation is fast already",
            f"DIRECT with 500 evaluations: {slow * 1e3:.1f} ms a call. The exact search: "
            f"{fast * 1e6:.1f} us, {slow / fast:,.0f}x; its profit is "
            f"{'never' if never else 'SOMETIMES'} lower, and DIRECT leaves {lost[0]:.1%} of it",
        ),
        Finding(
            "6x, at a loss of 28 %: MARKETSIM_FAST_OPTIMIZE=1",
            f"acts where DIRECT searches: {quick * 1e3:.1f} ms, {slow / quick:.1f}x; it leaves "
            f"{lost[1]:.1%} of the profit. The exact search has nothing to shorten",
        ),
    ]


def backtest_times(prices: dict[str, Array]) -> Finding:
    """A whole backtest, with the store empty and filled."""
    import marketsim.legacy.stock.backtest_test3_inline as old

    frame = ms.demo_bars().frame.rename(columns=str.title)
    with (
        tempfile.TemporaryDirectory() as folder,
        environment(MARKETSIM_STORE=folder, TOTO_MODEL_ID="ewma", HYPERPARAM_ROOT=folder),
        replaced(old, "download_daily_stock_data", lambda *_, **__: frame),
    ):
        old.backtest_forecasts("SP500", SIMULATIONS)
        warm = median_time(lambda: old.backtest_forecasts("SP500", SIMULATIONS))
        old.release_model_resources(force=True)
    return Finding(
        f"60 s for {SIMULATIONS} simulations, once all is optimised",
        f"{warm * 1e3:.0f} ms where the forecasts are in the store (`ewma`; once they are made, "
        "the model does not matter)",
    )


def median_time(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Sets variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


@contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    """Puts something into a module for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", action="store_true", help="leave the times out")
    args = parser.parse_args()
    prices = demo_prices()
    print("| claimed | counted |\n|---|---|")
    print("\n".join(map(str, counts(prices))))
    if args.counts:
        return
    print(f"\n{processor()}, Python {platform.python_version()}, {sys.platform}\n")
    print("| claimed | measured |\n|---|---|")
    print("\n".join(map(str, [*search_times(prices), backtest_times(prices)])))


if __name__ == "__main__":
    main()
