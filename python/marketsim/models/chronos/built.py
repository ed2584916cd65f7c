"""Make models of Chronos pipelines that the caller has built."""

from __future__ import annotations

from typing import Any

from marketsim.errors import ArgumentError
from marketsim.models.chronos.model import ChronosModel
from marketsim.models.chronos.pipeline import BuiltPipeline
from marketsim.models.chronos.quantiles import ChronosQuantileModel
from marketsim.models.chronos.samples import ChronosSampleModel


def chronos_from_pipeline(pipeline: Any, *, name: str, **options: Any) -> ChronosModel:
    """Make a model of a chronos-forecasting pipeline.

    It computes where and how it is, and must not be changed afterwards: stored forecasts are
    reached through the weights that it has now.

    Args:
        pipeline: a ChronosPipeline, ChronosBoltPipeline, Chronos2Pipeline, or one derived.
        name: display name.
        **options: those of `ChronosQuantileModel` or `ChronosSampleModel`.

    Raises:
        ArgumentError: it is no such pipeline, or not in evaluation mode.
    """
    models: dict[str, type[ChronosModel]] = {
        "quantiles": ChronosQuantileModel,
        "samples": ChronosSampleModel,
    }
    built = BuiltPipeline.of(pipeline, name)
    kind = getattr(getattr(pipeline, "forecast_type", None), "value", None)
    if kind not in models:
        raise ArgumentError(
            "forecast_type of a pipeline must be quantiles or samples: "
            f"{type(pipeline).__name__} has {kind!r}"
        )
    model = models[kind](built, built.execution, **options)
    if pipeline.model_context_length != model.config.context_length:
        raise ArgumentError(
            f"the pipeline {name} sees {pipeline.model_context_length} values, but its "
            f"configuration says {model.config.context_length}"
        )
    return model
