"""Search for parameters: grids, what was tried, and ways to split bars into training and test."""

from marketsim.search.grid import grid, grid_sets, one_by_one
from marketsim.search.grid_result import GridResult, Plateau
from marketsim.search.ledger import Known, Ledger, LedgerSummary, Trial, trial_key
from marketsim.search.objectives import (
    ReplayObjective,
    WalkForwardObjective,
    replay_objective,
    walk_forward_objective,
)
from marketsim.search.optuna import TuningResult, optuna
from marketsim.search.selection import (
    Evidence,
    WalkForwardSelection,
    evidence,
    select_walk_forward,
)
from marketsim.search.spaces import Choice, Float, Int
from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit
from marketsim.search.statistics import lower_bound, median_over_folds, sharpe_scores
from marketsim.search.workers import Pruned

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
    "ReplayObjective",
    "Trial",
    "TuningResult",
    "WalkForwardObjective",
    "WalkForwardSelection",
    "WalkForwardSplit",
    "evidence",
    "grid",
    "grid_sets",
    "lower_bound",
    "median_over_folds",
    "one_by_one",
    "optuna",
    "replay_objective",
    "select_walk_forward",
    "sharpe_scores",
    "trial_key",
    "walk_forward_objective",
]
