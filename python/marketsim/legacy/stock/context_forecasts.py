"""Forecasts of contexts that carry no dates, kept in the prediction store and found again there.

The key of a record covers the context's values as far as the model sees them, the model's
fingerprint, the number of steps asked for, and the step.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.errors import ArgumentError, StoreWarning, StoreWriteError
from marketsim.forecasts import ForecastStore, RecordKeys, Schema, SeriesId
from marketsim.forecasts.keys import KEY_BYTES
from marketsim.models import (
    Distribution,
    Model,
    QuantileDistribution,
    SampleDistribution,
    StudentTMixture,
    describe_model,
)
from marketsim.models.fingerprint import stored_as

Array = npt.NDArray[np.float64]
Records = npt.NDArray[np.float32]

# What the store's commands show as the symbol of these forecasts.
SERIES = "contexts without dates"
_KEY_VERSION = b"marketsim.legacy context 1"


def forecast_contexts(
    model: Model, contexts: Sequence[Array], horizon: int, store: ForecastStore | None
) -> list[Distribution]:
    """The forecasts after each context, from the store or by the model in one call.

    A forecast is the same whether it comes from the store or not: both ways it is what the record
    stands for.

    Args:
        model: who is asked for what the store lacks.
        contexts: 1-D arrays of any lengths.
        horizon: steps ahead, at least 1.
        store: where they are kept; None for nowhere.

    Returns:
        One distribution a context, of shape [horizon].

    Raises:
        ArgumentError: a context or the horizon is not what a model takes, or the model returned a
            forecast that is not finite.
    """
    schema = Schema.for_model(model)
    records = np.full((len(contexts), horizon, schema.width), np.nan, dtype=np.float32)
    keys: list[RecordKeys] = []
    missing = list(range(len(contexts)))
    series = None
    stored = None if store is None else stored_as(model)
    if store is not None and stored is not None:
        series = SeriesId(stored, SERIES, schema.text)
        keys = [_keys(series, model, context, horizon) for context in contexts]
        missing = _read(store, series, keys, records)
    if missing:
        made = model.predict([contexts[i] for i in missing], horizon=horizon)
        records[missing] = _records(schema, made, horizon)
        _check_finite(model, records[missing])
    if store is not None and series is not None and missing:
        _keep(store, series, model, [keys[i] for i in missing], records[missing])
    return [schema.decode(record) for record in records]


def _keys(series: SeriesId, model: Model, context: Array, horizon: int) -> RecordKeys:
    seen = context if model.context_length is None else context[-model.context_length :]
    head = blake3(_KEY_VERSION)
    for part in (series.schema, series.model, str(horizon)):
        encoded = part.encode()
        head.update(len(encoded).to_bytes(8, "little") + encoded)
    head.update(np.ascontiguousarray(seen, dtype="<f8").tobytes())
    digests = head.digest(length=KEY_BYTES * horizon)  # as many bytes as steps need
    tags = np.frombuffer(digests, dtype=np.uint8).reshape(horizon, KEY_BYTES)
    zeros = np.zeros(horizon, dtype=np.int64)
    steps = np.arange(1, horizon + 1, dtype=np.uint16)
    flags = np.zeros(horizon, dtype=np.uint8)
    return RecordKeys(tags, zeros, flags, steps, flags)


def _read(
    store: ForecastStore, series: SeriesId, keys: Sequence[RecordKeys], records: Records
) -> list[int]:
    """Fill in the records that the store has; the contexts that it lacks."""
    found, known = store.read(series, _joined(keys))
    horizon = records.shape[1]
    whole = known.reshape(-1, horizon).all(axis=1)
    records[whole] = found.reshape(records.shape)[whole]
    return [int(i) for i in np.flatnonzero(~whole)]


def _keep(
    store: ForecastStore,
    series: SeriesId,
    model: Model,
    keys: Sequence[RecordKeys],
    records: Records,
) -> None:
    try:
        store.describe(series.model, describe_model(model))
        flat = np.ascontiguousarray(records.reshape(-1, records.shape[-1]))
        store.append(series, _joined(keys), flat)
    except StoreWriteError as error:
        warnings.warn(f"forecasts are not kept: {error}", StoreWarning, stacklevel=4)


def _joined(keys: Sequence[RecordKeys]) -> RecordKeys:
    return RecordKeys(
        np.concatenate([key.tags for key in keys]),
        np.concatenate([key.as_of for key in keys]),
        np.concatenate([key.target for key in keys]),
        np.concatenate([key.horizon for key in keys]),
        np.concatenate([key.flags for key in keys]),
    )


def _records(schema: Schema, made: Distribution, horizon: int) -> Records:
    """Records [context, step, width] of forecasts [context, step]."""
    return np.stack([schema.encode(_step(schema, made, i)) for i in range(horizon)], axis=1)


def _step(schema: Schema, made: Distribution, step: int) -> Distribution:
    """The forecasts of one step, [context, 1]."""
    part = slice(step, step + 1)
    if isinstance(made, StudentTMixture):
        parts = (made.df, made.loc, made.scale, made.weights)
        return StudentTMixture(*(values[..., part, :] for values in parts))
    if isinstance(made, SampleDistribution):
        return SampleDistribution(made.samples[..., part])
    quantiles = made.quantile(schema.levels)[..., part, :]
    return QuantileDistribution(schema.levels, quantiles, made.mean[..., part], made.std[..., part])


def _check_finite(model: Model, records: Records) -> None:
    finite = np.isfinite(records).all(axis=(1, 2))
    if not finite.all():
        which = int(np.flatnonzero(~finite)[0])
        raise ArgumentError(f"{model.name} returned a forecast that is not finite: context {which}")
