"""Forecasting models and the distributions they return."""

from marketsim.models.aggregation import AGGREGATES, parse_aggregate
from marketsim.models.chronos.model import ChronosModel
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity, content_hash, describe_model
from marketsim.models.load import load_model
from marketsim.models.mixture import StudentTMixture
from marketsim.models.neural.cost import Cost
from marketsim.models.neural.estimate import Expectation
from marketsim.models.protocol import (
    BarModel,
    BatchedModel,
    Contexts,
    CostedModel,
    Model,
    SeededModel,
)
from marketsim.models.samples import SampleDistribution
from marketsim.models.statistical.ewma import EwmaModel
from marketsim.models.statistical.persistence import PersistenceModel

__all__ = [
    "AGGREGATES",
    "BarModel",
    "BatchedModel",
    "ChronosModel",
    "Contexts",
    "Cost",
    "CostedModel",
    "Distribution",
    "EwmaModel",
    "Expectation",
    "Model",
    "ModelIdentity",
    "PersistenceModel",
    "QuantileDistribution",
    "SampleDistribution",
    "SeededModel",
    "StudentTMixture",
    "content_hash",
    "describe_model",
    "load_model",
    "parse_aggregate",
]
