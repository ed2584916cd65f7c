"""Search for parameters: grids, Optuna, a ledger of trials, and splits of bars."""

from marketsim.processes import Pruned
from marketsim.search.champion import PromotionRule, champion, promote
from marketsim.search.evidence import (
    TrialOf,
    best_result,
    evidence,
    trials_of,
    with_ledger,
)
from marketsim.search.grid import grid, grid_sets, one_by_one
from marketsim.search.grid_result import GridResult, Plateau
from marketsim.search.ledger import Ledger
from marketsim.search.ledger_grid import ledger_grid
from marketsim.search.objectives import (
    ReplayObjective,
    WalkForwardObjective,
    in_parts,
    replay_objective,
    walk_forward_objective,
)
from marketsim.search.optuna import TuningResult, optuna
from marketsim.search.selection import WalkForwardSelection, select_walk_forward
from marketsim.search.space_file import SpaceFile, read_space
from marketsim.search.spaces import Choice, Float, Int
from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit
from marketsim.search.statistics import lower_bound, median_over_folds, sharpe_scores
from marketsim.search.trial import Decision, Kept, Known, LedgerSummary, Trial, trial_key
from marketsim.search.walk_forward import WalkForwardSearch, search_walk_forward

__all__ = [
    "Choice",
    "CombinatorialPurgedSplit",
    "Decision",
    "Float",
    "GridResult",
    "Int",
    "Kept",
    "Known",
    "Ledger",
    "LedgerSummary",
    "Plateau",
    "PromotionRule",
    "Pruned",
    "PurgedKFold",
    "ReplayObjective",
    "SpaceFile",
    "Trial",
    "TrialOf",
    "TuningResult",
    "WalkForwardObjective",
    "WalkForwardSearch",
    "WalkForwardSelection",
    "WalkForwardSplit",
    "best_result",
    "champion",
    "evidence",
    "grid",
    "grid_sets",
    "in_parts",
    "ledger_grid",
    "lower_bound",
    "median_over_folds",
    "one_by_one",
    "optuna",
    "promote",
    "read_space",
    "replay_objective",
    "search_walk_forward",
    "select_walk_forward",
    "sharpe_scores",
    "trial_key",
    "trials_of",
    "walk_forward_objective",
    "with_ledger",
]
