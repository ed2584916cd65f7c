"""Features declared once: over whole series, at one bar, and bar by bar; equal bit for bit.

from marketsim.features import Pipeline, column, indicator

close = column("close")
pipeline = Pipeline(
    {
        "move": close / close.lag(1) - 1,
        "rsi": (indicator("rsi", window=14, lookback=200) - 50) / 50,
    },
    asof="current",
)
table = pipeline.all(bars)       # every row
row = pipeline.at(bars, 100)     # one row, from the rows it follows from alone
live = pipeline.stream()         # one bar at a time
"""

from __future__ import annotations

from marketsim.features.joins import JoinStream, forecast_columns, join
from marketsim.features.pipeline import FeatureTable, Pipeline, PipelineStream
from marketsim.features.store import FeatureStore, StoredFeatures
from marketsim.features.universe import CrossSection, across, cross_section
from marketsim.features.values import Value, column, indicator, where

__all__ = [
    "CrossSection",
    "FeatureStore",
    "FeatureTable",
    "JoinStream",
    "Pipeline",
    "PipelineStream",
    "StoredFeatures",
    "Value",
    "across",
    "column",
    "cross_section",
    "forecast_columns",
    "indicator",
    "join",
    "where",
]
