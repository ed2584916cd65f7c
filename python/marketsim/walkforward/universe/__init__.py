"""A walk-forward run over a universe in one go, on a device."""

from marketsim.walkforward.universe.result import UniverseResult
from marketsim.walkforward.universe.run import Universe, walk_forward_universe

__all__ = ["Universe", "UniverseResult", "walk_forward_universe"]
