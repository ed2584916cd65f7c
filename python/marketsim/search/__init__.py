"""Search for parameters: grids, what was tried, and ways to split bars into training and test."""

from marketsim.search.grid import GridResult, Plateau, grid, grid_sets, one_by_one
from marketsim.search.ledger import Known, Ledger, LedgerSummary, Trial, trial_key
from marketsim.search.objectives import walk_forward_objective
from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

__all__ = [
    "CombinatorialPurgedSplit",
    "GridResult",
    "Known",
    "Ledger",
    "LedgerSummary",
    "Plateau",
    "PurgedKFold",
    "Trial",
    "WalkForwardSplit",
    "grid",
    "grid_sets",
    "one_by_one",
    "trial_key",
    "walk_forward_objective",
]
