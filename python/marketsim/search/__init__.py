"""Search for parameters: grids, what was tried, and ways to split bars into training and test."""

from marketsim.search.grid import GridResult, Plateau, grid, grid_sets, one_by_one
from marketsim.search.ledger import Known, Ledger, LedgerSummary, Trial, trial_key
from marketsim.search.objectives import walk_forward_objective
from marketsim.search.optuna import Pruned, TuningResult, optuna
from marketsim.search.selection import (
    Evidence,
    WalkForwardSelection,
    evidence,
    median_over_folds,
    select_walk_forward,
    sharpe_scores,
)
from marketsim.search.spaces import Choice, Float, Int
from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

__all__ = [
    "Choice",
    "CombinatorialPurgedSplit",
    "Evidence",
    "Float",
    "GridResult",
    "Int",
    "Known",
    "Ledger",
    "LedgerSummary",
    "Plateau",
    "Pruned",
    "PurgedKFold",
    "Trial",
    "TuningResult",
    "WalkForwardSelection",
    "WalkForwardSplit",
    "evidence",
    "grid",
    "grid_sets",
    "median_over_folds",
    "one_by_one",
    "optuna",
    "select_walk_forward",
    "sharpe_scores",
    "trial_key",
    "walk_forward_objective",
]
