"""Search for parameters: ways to split bars into training and test."""

from marketsim.search.splits import CombinatorialPurgedSplit, PurgedKFold, WalkForwardSplit

__all__ = ["CombinatorialPurgedSplit", "PurgedKFold", "WalkForwardSplit"]
