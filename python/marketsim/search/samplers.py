"""Samplers and pruners of Optuna by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from marketsim.errors import ArgumentError, MissingDependencyError, UnknownNameError
from marketsim.search.spaces import Dimension, values_of

SAMPLERS = {
    "tpe": "TPESampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "grid": "GridSampler",
    "nsga2": "NSGAIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}


def named_sampler(
    package: Any,
    sampler: str | Any,
    seed: int,
    space: Mapping[str, Dimension] | None,
    *,
    objectives: int = 1,
) -> Any:
    """A sampler of Optuna by its name here, or the sampler itself.

    Raises:
        UnknownNameError: no such name.
        MissingDependencyError: a package that it needs is not installed.
        ArgumentError: the grid sampler without values by name, CMA-ES with several objectives.
    """
    if objectives > 1 and (
        sampler == "cmaes" or isinstance(sampler, package.samplers.CmaEsSampler)
    ):
        raise ArgumentError(
            f"CMA-ES searches a single objective: got {objectives} directions; take the sampler "
            "tpe, gp or nsga2, or give a single direction"
        )
    if not isinstance(sampler, str):
        return _own("sampler", sampler, package.samplers.BaseSampler, SAMPLERS)
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    if sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise MissingDependencyError(
            "sampler 'cmaes' needs the package cmaes: pip install '.[search]' in the checkout"
        )
    if sampler == "gp" and importlib.util.find_spec("torch") is None:
        raise MissingDependencyError(
            "sampler 'gp' needs torch: pip install '.[models]' in the checkout"
        )
    kind = getattr(package.samplers, SAMPLERS[sampler])
    if sampler != "grid":
        return kind(seed=seed)
    if space is None:
        raise ArgumentError("sampler 'grid' needs a space of values by name, not a function")

    class Grid(kind):  # type: ignore[misc, valid-type]
        def after_trial(self, *args: Any, **kwargs: Any) -> None:
            """Optuna's own ends the loop of `optimize` here; ours counts."""

        def _get_unvisited_grid_ids(self, study: Any) -> list[int]:
            """Cells left to try, by the parameters of trials: numbers depend on the seed."""
            trials = study.get_trials(deepcopy=False)
            done = {cell_of(trial) for trial in trials if trial.state.is_finished()}
            running = {cell_of(trial) for trial in trials if not trial.state.is_finished()}
            cells = [
                tuple(map(repr, cell))
                for cell in self._all_grids  # names in alphabetical order
            ]
            left = [at for at, cell in enumerate(cells) if cell not in done]
            # All have begun: one that still runs may have been killed.
            return [at for at in left if cells[at] not in running] or left

    return Grid({name: values_of(name, dimension) for name, dimension in space.items()}, seed=seed)


def cell_of(trial: Any) -> tuple[str, ...]:
    """The cell of a grid that a trial tries."""
    return tuple(repr(trial.params[name]) for name in sorted(trial.params))


def _own(what: str, given: Any, kind: type, names: Mapping[str, str]) -> Any:
    if not isinstance(given, kind):
        raise ArgumentError(
            f"{what} must be one of {', '.join(names)}, or a {what} of Optuna: got {given!r:.80}"
        )
    return given


def named_pruner(package: Any, pruner: str | Any) -> Any:
    """A pruner of Optuna by its name here, or the pruner itself.

    Raises:
        UnknownNameError: no such name.
    """
    if pruner is None:
        return None
    if not isinstance(pruner, str):
        return _own("pruner", pruner, package.pruners.BasePruner, PRUNERS)
    if pruner not in PRUNERS:
        raise UnknownNameError("pruner", pruner, PRUNERS)
    return getattr(package.pruners, PRUNERS[pruner])()
