"""A universe from forecasts on the device to the sums of its simulations, as users run it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from market import random_frame

import marketsim as ms
from marketsim.forecasts import DeviceCube, Schema
from marketsim.walkforward import Universe

if TYPE_CHECKING:
    from gpu_cases import Clock, Row, Sizes

FILLS = ("optimistic", "close_only")
LEVELS = tuple(float(level) for level in np.linspace(0.02, 0.98, 23))
COMPONENTS = 24


def walks(clock: Clock, sizes: Sizes) -> Iterator[Row]:
    """All symbols x simulations x policies x strategies, from records to sums, nothing left out."""
    universe = Universe.of(
        [
            ms.read_bars(random_frame(sizes.simulations + 90, i), symbol=f"S{i}")
            for i in range(sizes.symbols)
        ],
        simulations=sizes.simulations,
        device="cuda",
    )
    days = universe.days
    for name, cube, aggregate in (
        ("quantiles", quantiles(universe), "trimmed_mean_10"),
        ("mixtures", mixtures(universe), "mean"),
        ("mixtures", mixtures(universe), "median"),
        ("mixtures", mixtures(universe), "trimmed_mean_10"),
    ):

        def run(cube: DeviceCube = cube, aggregate: str = aggregate) -> ms.UniverseResult:
            return universe.evaluate(cube, fills=FILLS, aggregate=aggregate)

        seconds = clock.seconds(run)
        items = len(FILLS) * 2 * days.evaluated
        yield {
            "case": f"universe of {sizes.symbols} symbols x {sizes.simulations} simulations x 2 "
            f"policies x 2 strategies, from {name}, {aggregate}",
            "items": items, "seconds": seconds, "per_second": items / seconds,
            "host_seconds": clock.walls(run),
        }  # fmt: skip


def quantiles(universe: Universe) -> DeviceCube:
    """Forecasts as quantiles, random."""
    shape = (universe.days.count, 1, 4)
    values = 0.01 * torch.randn(*shape, len(LEVELS), device=universe.days.before.device)
    rest = values.std(-1, keepdim=True)
    records = torch.cat([values.mean(-1, keepdim=True), rest, values.sort(-1).values], dim=-1)
    return DeviceCube(0, Schema.quantiles(LEVELS), records, universe.place)


def mixtures(universe: Universe) -> DeviceCube:
    """Forecasts as mixtures of Student-t distributions, random."""
    shape = (universe.days.count, 1, 4, COMPONENTS)
    on = {"device": universe.days.before.device}
    parts = [
        2.5 + 5.0 * torch.rand(shape, **on),
        0.005 * torch.randn(shape, **on),
        0.01 * (0.1 + torch.rand(shape, **on)),
        torch.rand(shape, **on).softmax(-1),
    ]
    return DeviceCube(
        0, Schema.student_t_mixture(COMPONENTS), torch.cat(parts, dim=-1), universe.place
    )
