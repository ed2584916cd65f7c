"""What is checked and measured on a GPU; it runs on the emulation too, where times mean nothing."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from fill_rules import fitting
from problems import KINDS, awkward_days, random_days

import marketsim as ms
from marketsim.kernels import rules
from marketsim.kernels.cuda import place as cuda
from marketsim.kernels.cuda.windows import Fit, fit_windows, sum_windows, windows_at

f32 = np.float32
FEE = 0.0005
# Arithmetic of one day and candidate in the sums, counted in the source: additions, products,
# comparisons, minima, maxima, selections and the conversion, each an instruction of its own.
# open_aware adds a comparison and two selections.
INSTRUCTIONS = 19
Row = dict[str, Any]


class Sizes(NamedTuple):
    """How much is measured; `problems` for each number of days."""

    sum_problems: int = 1024  # a millisecond of work and more: no launch is in the way
    day_problems: int = 64  # a quarter of a GB of profits
    candidates: int = 4096
    problems: tuple[tuple[int, int], ...] = (
        (6, 4_000_000),
        (20, 1_000_000),
        (60, 300_000),
        (250, 40_000),
        (2000, 2_000),
    )
    symbols: int = 500
    simulations: int = 70
    matrix: int = 8192
    most_crossover: int = 1 << 20
    repeats: int = 9


SMALL = Sizes(2, 2, 70, ((6, 8), (20, 4), (60, 2), (130, 2)), 2, 4, 32, 64, 1)


class Clock:
    """Device time of work on the current stream, by events; on the emulation that of the host.

    The device idles for some 10 ms first, in which the host puts all of the work on the stream:
    what is between the two events is then the device's time alone.
    """

    LEAD = 20_000_000  # cycles

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.place = cuda.platform().place(None)
        self.on_gpu = self.place.platform.kind == "cuda"
        self.device = self.place.device

    def seconds(self, work: Callable[[], Any]) -> float:
        """Median over repeats, after warm-up."""
        for _ in range(3 if self.on_gpu else 0):
            work()
        found = []
        for _ in range(self.repeats):
            if not self.on_gpu:
                found.append(self.wall(work))
                continue
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(self.LEAD)
            start.record()
            work()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1e3)
        return statistics.median(found)

    def wall(self, work: Callable[[], Any]) -> float:
        """Time of the host until the device has done it, once."""
        self.place.settle()
        start = time.perf_counter()
        work()
        self.place.settle()
        return time.perf_counter() - start

    def walls(self, work: Callable[[], Any]) -> float:
        """Median time of the host over repeats, after one call."""
        work()
        return statistics.median(self.wall(work) for _ in range(self.repeats))

    def moved(self, days: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Arrays on the device."""
        return {name: torch.from_numpy(np.array(v)).to(self.device) for name, v in days.items()}


def check(sizes: Sizes) -> tuple[int, list[str]]:
    """Compare with the CPU, to the last bit; how many comparisons were made, and which failed."""
    made, wrong = 0, []
    rng = np.random.default_rng(0)
    for (days, _), kind in itertools.product(sizes.problems, KINDS):
        rows = awkward_days(rng, (3, days), kind)
        highs, lows = np.round(rng.normal(0, 0.01, (2, sizes.candidates)), 4).astype(f32)
        for fill in rules.FILLS:
            rule = fitting(rows, {"fill": fill}) | {"fill": fill, "fee": FEE}
            calls: list[tuple[Callable[..., Any], Row]] = [
                (ms.profit, {"high_offset": highs[:9], "low_offset": lows[:9]}),
                (ms.profit_sums, {"high_offset": highs, "low_offset": lows}),
                (ms.best_offsets, {"always_on": False}),
                (ms.best_offsets, {"always_on": True}),
            ]
            for function, options in calls:
                made += 1
                try:
                    _same(function, rule | options)
                except AssertionError as error:
                    text = " ".join(str(error).split())[:300]
                    wrong.append(f"{function.__name__}, N={days}, kind {kind}, {fill}: {text}")
    return made, wrong


def _same(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    expected = function(**arguments)
    for _ in range(2):  # and the same between runs
        found = function(**arguments, device="cuda")
        parts = (
            zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
        )
        for got, value in parts:
            np.testing.assert_array_equal(got, value)


def peak(clock: Clock, sizes: Sizes) -> Row:
    """The FP32 peak as far as a matrix product shows it: without TF32, in fused multiply-adds."""
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = (torch.randn(sizes.matrix, sizes.matrix, device=clock.device) for _ in range(2))
    seconds = clock.seconds(lambda: torch.mm(a, b))
    return {"case": "FP32 matrix product", "seconds": seconds,
            "instructions_per_second": sizes.matrix**3 / seconds}  # fmt: skip


def profits(clock: Clock, sizes: Sizes, per_second: float) -> Iterator[Row]:
    """Fused profit of resident data: sums for each policy, and per day."""
    rng = np.random.default_rng(1)
    days = clock.moved(random_days(rng, (sizes.sum_problems, 250)))
    highs, lows = torch.empty(2, sizes.candidates, device=clock.device).uniform_(-0.03, 0.03)
    work = sizes.sum_problems * 250 * sizes.candidates
    options = {"high_offset": highs, "low_offset": lows, "fee": FEE, "device": "cuda"}
    for fill in rules.FILLS:
        seconds = clock.seconds(lambda fill=fill: ms.profit_sums(**days, fill=fill, **options))
        yield {
            "case": f"profit sums, {fill}", "items": work, "seconds": seconds,
            "ns_per_day_candidate": seconds / work * 1e9, "per_second": work / seconds,
            "share_of_peak": work * INSTRUCTIONS / seconds / per_second, "target": 1e12,
        }  # fmt: skip
    days = {name: values[: sizes.day_problems] for name, values in days.items()}
    work = sizes.day_problems * 250 * sizes.candidates
    seconds = clock.seconds(lambda: ms.profit(**days, fill="open_aware", **options))
    yield {
        "case": "profit of each day, open_aware", "items": work, "seconds": seconds,
        "ns_per_day_candidate": seconds / work * 1e9, "per_second": work / seconds,
        "bytes_per_second": 4 * work / seconds,
    }  # fmt: skip


def offsets(clock: Clock, sizes: Sizes) -> Iterator[Row]:
    """Exact solves of resident problems."""
    for days, problems in sizes.problems:
        rows = clock.moved(random_days(np.random.default_rng(days), (problems, days)))
        for fill in ("optimistic", "open_aware"):
            seconds = clock.seconds(
                lambda rows=rows, fill=fill: ms.best_offsets(
                    **rows, fill=fill, fee=FEE, device="cuda"
                )
            )
            yield {
                "case": f"best offsets, N={days}, {fill}", "items": problems,
                "seconds": seconds, "per_second": problems / seconds,
                "target": {6: 1e9, 250: 1e7}.get(days),
            }  # fmt: skip


def walk(clock: Clock, sizes: Sizes) -> Row:
    """All symbols x simulations x policies x strategies: from predictions there to sums there."""
    window, fitted_on = 7, 60
    evaluated = sizes.simulations + window - 1
    length = fitted_on + evaluated
    series = random_days(np.random.default_rng(2), sizes.symbols * length)
    market = clock.moved(series)
    levels = {name: market.pop(name) for name in ("high_pred", "low_pred", "position")}
    first = np.arange(sizes.symbols)[:, None]
    fit_at = windows_at((first * length + np.arange(evaluated)).reshape(-1), fitted_on, behind=1)
    sum_at = windows_at((first * evaluated + np.arange(sizes.simulations)).reshape(-1), window)
    fits = [
        Fit(**levels, fill=fill, always_on=always_on)
        for fill in ("optimistic", "close_only")
        for always_on in (False, True)
    ]

    def run() -> list[Any]:
        found = fit_windows(market, fits, fit_at, fee=FEE)
        return [sum_windows(fitted.net.reshape(-1), sum_at) for fitted in found]

    seconds = clock.seconds(run)
    return {
        "case": f"walk-forward: {sizes.symbols} symbols x {sizes.simulations} simulations x 2 "
        "policies x 2 strategies",
        "items": len(fits) * sizes.symbols * evaluated, "seconds": seconds,
        "per_second": len(fits) * sizes.symbols * evaluated / seconds, "target_seconds": 0.005,
    }  # fmt: skip


def with_transfers(clock: Clock, sizes: Sizes) -> Iterator[Row]:
    """NumPy in and out: what the host waits for."""
    rows = random_days(np.random.default_rng(3), (sizes.sum_problems, 250))
    grid = np.linspace(-0.03, 0.03, max(int(sizes.candidates**0.5), 2)).astype(f32)
    pairs = {"high_offset": grid, "low_offset": grid, "grid": True}
    items = rows["close"].size * grid.size**2
    seconds = clock.walls(lambda: ms.profit_sums(**rows, **pairs, fee=FEE, device="cuda"))
    yield {"case": "profit sums of a grid, NumPy", "items": items, "seconds": seconds,
           "per_second": items / seconds}  # fmt: skip
    for days, problems in sizes.problems:
        rows = random_days(np.random.default_rng(days), (problems, days))
        seconds = clock.walls(lambda rows=rows: ms.best_offsets(**rows, fee=FEE, device="cuda"))
        yield {"case": f"best offsets, N={days}, NumPy", "items": problems, "seconds": seconds,
               "per_second": problems / seconds}  # fmt: skip


def crossover(clock: Clock, sizes: Sizes) -> Iterator[Row]:
    """From what size on the GPU, with transfers, is faster than the CPU with all its cores."""
    one = random_days(np.random.default_rng(4), 250)

    def profit(size: int) -> tuple[Callable[..., Any], dict[str, Any], int]:
        offsets = np.linspace(-0.03, 0.03, size).astype(f32)
        return ms.profit, one | {"high_offset": offsets, "low_offset": -offsets}, 250 * size

    def sums(size: int) -> tuple[Callable[..., Any], dict[str, Any], int]:
        return ms.profit_sums, profit(size)[1], 250 * size

    def solves(size: int) -> tuple[Callable[..., Any], dict[str, Any], int]:
        return ms.best_offsets, random_days(np.random.default_rng(5), (size, 60)), 60 * size

    for constant, case in (
        ("LEAST_PROFITS", profit), ("LEAST_SUMS", sums), ("LEAST_OFFSET_DAYS", solves),
    ):  # fmt: skip
        size, found, row = 1, None, {}
        while found is None and size <= sizes.most_crossover:
            function, arguments, work = case(size)
            cpu, gpu = (
                clock.walls(functools.partial(function, **arguments, device=on))
                for on in ("cpu", "cuda")
            )
            row = {"work": work, "cpu_seconds": cpu, "gpu_seconds": gpu}
            found = work if gpu < cpu else None
            size *= 2
        yield {"case": f"crossover, {constant}", "from": found,
               "in_use": getattr(cuda, constant), **row}  # fmt: skip
