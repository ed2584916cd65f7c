"""Forecasting models and the distributions they return."""

from marketsim.models.aggregation import AGGREGATES, parse_aggregate
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.load import load_model
from marketsim.models.protocol import Contexts, Model
from marketsim.models.statistical import EwmaModel, PersistenceModel

__all__ = [
    "AGGREGATES",
    "Contexts",
    "Distribution",
    "EwmaModel",
    "Model",
    "PersistenceModel",
    "QuantileDistribution",
    "load_model",
    "parse_aggregate",
]
