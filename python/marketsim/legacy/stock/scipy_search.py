"""SciPy's searches, for programs that ask for them: DIRECT and differential evolution.

SciPy is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from marketsim.errors import MissingDependencyError
from marketsim.legacy.stock.settings import setting
from marketsim.text import get_logger

logger = get_logger(__name__)


class Effort(NamedTuple):
    """How hard SciPy searches, in the words of its differential evolution.

    DIRECT evaluates the profit maxiter * popsize times, or 100 with MARKETSIM_FAST_OPTIMIZE.
    """

    maxiter: int
    popsize: int
    atol: float
    seed: int | None
    workers: int


# What a program put in the place of SciPy's functions, by their names in `optimization_utils`.
searches: dict[str, Callable[..., Any]] = {}


def minimize(
    loss: Callable[[Sequence[float]], float],
    bounds: list[tuple[float, float]],
    effort: Effort,
    optimizer: str,
) -> Any:
    """SciPy's answer by DIRECT; by differential evolution where that is asked for, or DIRECT fails.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    if optimizer != "differential_evolution":
        fast = searches.get("_FAST_MODE", setting("fast_optimize"))
        most = 100 if fast else effort.maxiter * effort.popsize
        direct = searches.get("direct") or scipy_optimize().direct
        try:
            return direct(loss, bounds=bounds, maxfun=most)
        except Exception as error:
            logger.warning("DIRECT failed, differential evolution searches instead: %s", error)
    return evolve(loss, bounds, effort)


def evolve(
    loss: Callable[[Sequence[float]], float], bounds: list[tuple[float, float]], effort: Effort
) -> Any:
    """SciPy's differential evolution of a loss.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    search = searches.get("differential_evolution") or scipy_optimize().differential_evolution
    return search(
        loss,
        bounds=bounds,
        maxiter=effort.maxiter,
        popsize=effort.popsize,
        atol=effort.atol,
        seed=effort.seed,
        workers=effort.workers,
        updating="immediate" if effort.workers == 1 else "deferred",
    )


def scipy_optimize() -> Any:
    """The module scipy.optimize.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    try:
        import scipy.optimize
    except ImportError as error:
        raise MissingDependencyError(
            "DIRECT and differential evolution are SciPy's, which is not installed: "
            "pip install scipy, or leave the optimizer at exact"
        ) from error
    return scipy.optimize
