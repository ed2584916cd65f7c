"""Forecasting models and their distributions."""

from marketsim.models.adapters import FrameModel, FunctionModel, model_from, model_from_frame
from marketsim.models.aggregation import AGGREGATES, parse_aggregate
from marketsim.models.calibration import CalibratedModel, calibrated
from marketsim.models.chronos.built import chronos_from_pipeline
from marketsim.models.chronos.model import ChronosModel
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.ensembles import EnsembleModel, ensemble
from marketsim.models.fingerprint import ModelIdentity, content_hash, describe_model
from marketsim.models.inputs import ModelInputs
from marketsim.models.load import load_model
from marketsim.models.mixture import StudentTMixture
from marketsim.models.neural.cost import Cost
from marketsim.models.neural.estimate import CostedModel, Expectation
from marketsim.models.protocol import (
    BarModel,
    BatchedModel,
    BatchForecasts,
    Contexts,
    InputsModel,
    Model,
    SeededModel,
)
from marketsim.models.samples import SampleDistribution
from marketsim.models.statistical.climatology import ClimatologyModel
from marketsim.models.statistical.ewma import EwmaModel
from marketsim.models.statistical.garch import GarchModel
from marketsim.models.statistical.persistence import PersistenceModel
from marketsim.models.statistical.range import RangeModel
from marketsim.models.traits import ModelTraits, traits_of

__all__ = [
    "AGGREGATES",
    "BarModel",
    "BatchForecasts",
    "BatchedModel",
    "CalibratedModel",
    "ChronosModel",
    "ClimatologyModel",
    "Contexts",
    "Cost",
    "CostedModel",
    "Distribution",
    "EnsembleModel",
    "EwmaModel",
    "Expectation",
    "FrameModel",
    "FunctionModel",
    "GarchModel",
    "InputsModel",
    "Model",
    "ModelIdentity",
    "ModelInputs",
    "ModelTraits",
    "PersistenceModel",
    "QuantileDistribution",
    "RangeModel",
    "SampleDistribution",
    "SeededModel",
    "StudentTMixture",
    "calibrated",
    "chronos_from_pipeline",
    "content_hash",
    "describe_model",
    "ensemble",
    "load_model",
    "model_from",
    "model_from_frame",
    "parse_aggregate",
    "traits_of",
]
