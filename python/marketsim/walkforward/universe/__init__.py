"""Walk-forward runs over a universe of symbols at once, on a device."""

from marketsim.walkforward.universe.result import UniverseResult
from marketsim.walkforward.universe.run import (
    PreparedUniverse,
    Universe,
    prepare_universe,
    walk_forward_universe,
)

__all__ = [
    "PreparedUniverse",
    "Universe",
    "UniverseResult",
    "prepare_universe",
    "walk_forward_universe",
]
