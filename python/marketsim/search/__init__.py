"""Search for parameters: what was tried, and ways to split bars into training and test."""

from marketsim.search.ledger import Ledger, LedgerSummary, Trial, trial_key
from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

__all__ = [
    "CombinatorialPurgedSplit",
    "Ledger",
    "LedgerSummary",
    "PurgedKFold",
    "Trial",
    "WalkForwardSplit",
    "trial_key",
]
