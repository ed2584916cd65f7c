"""Objectives of a search over a prepared walk-forward run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.search.grid import Objective, Sets
from marketsim.strategies import Strategy
from marketsim.walkforward import Prepared


def walk_forward_objective(
    prepared: Prepared,
    make: Callable[..., Strategy],
    metric: str = "sharpe",
    **options: Any,
) -> Objective:
    """An objective that runs a strategy of each parameter set on prepared forecasts.

    Forecasts, keys and plans are made once, by `marketsim.prepare`; only the orders are made anew.

    Args:
        prepared: what `marketsim.prepare` returns.
        make: a strategy of the parameters, which are given by name.
        metric: the score: a name of `WalkForwardResult.figures`, such as "sharpe", "total_return"
            or "calmar". Every other figure is recorded beside it.
        options: as `Prepared.evaluate` takes them: fill=, fee=, offset_window=, ...

    Raises:
        ArgumentError: when it is called: a metric that does not exist.

    Example:
        >>> import marketsim as ms
        >>> run = ms.prepare(ms.demo_bars(), "ewma", progress=False)  # doctest: +SKIP
        >>> objective = walk_forward_objective(run, MyStrategy, "sharpe")  # doctest: +SKIP
        >>> ms.search.grid(objective, {"threshold": [0.0, 0.001]}).best_params  # doctest: +SKIP
    """

    def objective(sets: Sets) -> dict[str, npt.ArrayLike]:
        names = list(sets)
        found: list[dict[str, float]] = []
        for values in zip(*sets.values(), strict=True):
            plain = [v.item() if isinstance(v, np.generic) else v for v in values]
            strategy = make(**dict(zip(names, plain, strict=True)))
            figures = prepared.evaluate([strategy], **options).figures
            if metric not in figures:
                raise ArgumentError(
                    f"unknown metric {metric!r}: expected one of {', '.join(sorted(figures))}"
                )
            found.append({name: float(value[0]) for name, value in figures.items()})
        columns: dict[str, npt.ArrayLike] = {
            name: [one[name] for one in found] for name in found[0]
        }
        return {"score": columns[metric], **columns}

    return objective
