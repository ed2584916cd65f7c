"""Contract of models: what storing and batching of forecasts rely on."""

from __future__ import annotations

import re
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from marketsim.errors import MarketsimError
from marketsim.forecasts.schema import check_made
from marketsim.models import Distribution, Model
from marketsim.models.fingerprint import identity_of, stored_as
from marketsim.models.protocol import BatchedModel, BatchForecasts, SeededModel
from marketsim.models.traits import ModelTraits, traits_of

Floats = npt.NDArray[np.float64]
ROWS = 90
_START = 70


class ModelContractError(MarketsimError, AssertionError):
    """Raised if a model breaks the contract; the message says how, and what to do."""


def check_model(
    make: Callable[[], Model], *, only: str | None = None, tolerance: float = 0.0, seed: int = 0
) -> None:
    """Check that a model fulfils the contract of `marketsim.models.Model`.

    Args:
        make: makes the model; called more than once, and each must be the same model.
        only: the name of one check of `MODEL_CHECKS`; all of them by default.
        tolerance: how far forecasts may differ that must be equal, relative to their spread. 0 is
            equal to the last bit; a network in a library of its own may need 1e-5.
        seed: of the random moves that the model is given.

    Raises:
        ModelContractError: what it does not keep to.

    Example:
        >>> from marketsim.models import EwmaModel
        >>> check_model(EwmaModel)
    """
    names = MODEL_CHECKS if only is None else (only,)
    model = make()
    case = _Case(make, model, traits_of(model), _moves(traits_of(model), seed), tolerance)
    for name in names:
        _CHECKS[name](case)


class _Case:
    def __init__(
        self,
        make: Callable[[], Model],
        model: Model,
        traits: ModelTraits,
        series: Floats,
        tolerance: float,
    ) -> None:
        self.make, self.model, self.traits = make, model, traits
        self.series, self.tolerance = series, tolerance

    @property
    def name(self) -> str:
        return self.model.name

    def each(self, series: Floats, start: int, horizon: int = 1, model: Any = None) -> Distribution:
        """Call `predict_each`; a model that draws samples gets a seed for each bar."""
        model = self.model if model is None else model
        if not self.traits.seeded:
            return cast(Model, model).predict_each(series, start, horizon=horizon)
        seeds = np.arange(start, series.shape[-1] + 1, dtype=np.uint64)
        return cast(SeededModel, model).predict_each(series, start, horizon=horizon, seeds=seeds)

    def figures(self, made: Distribution) -> Floats:
        """Return mean and quantiles [..., horizon, figure]."""
        return np.concatenate([made.mean[..., None], made.quantile(self.traits.levels)], axis=-1)

    def require_equal(self, got: Floats, expected: Floats, what: str) -> None:
        if got.shape != expected.shape:
            raise ModelContractError(
                f"{self.name}: {what}: shape {got.shape}, expected {expected.shape}"
            )
        room = self.tolerance * (float(np.abs(expected).max()) if expected.size else 0.0)
        far = ~(np.abs(got - expected) <= room)
        if far.any():
            raise ModelContractError(
                f"{self.name}: {what}: {int(far.sum())} of {far.size} figures differ, by up to "
                f"{float(np.nanmax(np.abs(got - expected))):.3g}"
            )


def _moves(traits: ModelTraits, seed: int) -> Floats:
    """Draw random moves [time], or [4, time] for a model of all targets together."""
    rng = np.random.default_rng(seed)
    close = rng.normal(0.0, 0.01, ROWS)
    opened = rng.normal(0.0, 0.004, ROWS)
    high = np.maximum(close, opened) + rng.exponential(0.005, ROWS)
    low = np.minimum(close, opened) - rng.exponential(0.005, ROWS)
    return np.stack([opened, high, low, close]) if traits.joint else close


def _horizons(traits: ModelTraits) -> tuple[int, ...]:
    return (1, 3) if traits.horizons is None or traits.horizons >= 3 else (1,)


def _shapes(case: _Case) -> None:
    """Check that forecasts have the shape, kind, levels and order that the traits state."""
    middle = (4,) if case.traits.joint else ()
    for horizon in _horizons(case.traits):
        made = case.each(case.series, _START, horizon)
        shape = (ROWS - _START + 1, *middle, horizon)
        check_made(case.name, case.traits, made, shape)
        figures = case.figures(made)
        if not np.isfinite(figures).all():
            raise ModelContractError(f"{case.name}: forecasts must be finite")
        if (np.diff(figures[..., 1:], axis=-1) < 0).any():
            raise ModelContractError(f"{case.name}: quantiles must not decrease: sort them")


def _batches(case: _Case) -> None:
    """Check that a forecast does not depend on the rest of its batch."""
    if case.traits.seeded:
        return  # each forecast draws from its own seed: see the check of days
    contexts = [case.series[..., :end] for end in (40, 61, ROWS)]
    alone = [case.model.predict(one[None] if one.ndim > 1 else [one]) for one in contexts]
    if case.traits.joint:
        pair = np.stack([case.series[..., -40:], case.series[..., :40]])
        together = case.figures(case.model.predict(pair))
        expected = np.concatenate([case.figures(case.model.predict(one[None])) for one in pair])
    else:
        together = case.figures(case.model.predict(contexts))
        expected = np.concatenate([case.figures(one) for one in alone])
    case.require_equal(together, expected, "predict of a batch differs from predict one by one")
    if case.traits.batched:
        _own_batches(case)


def _own_batches(case: _Case) -> None:
    series = [case.series, case.series[..., 5:]]
    expected = [case.figures(case.each(one, 50)) for one in series]
    got = [np.full(one.shape, np.nan) for one in expected]

    def take(batch: BatchForecasts) -> None:
        figures = case.figures(batch.distribution)
        for i, day, one in zip(batch.series, batch.days, figures, strict=True):
            got[i][day] = one

    cast(BatchedModel, case.model).predict_batches(series, [50, 50], take)
    for i in range(2):
        case.require_equal(got[i], expected[i], "predict_batches differs from predict_each")


def _days(case: _Case) -> None:
    """Check that `predict_each` equals a call with the context cut off at each bar."""
    for horizon in _horizons(case.traits):
        whole = case.figures(case.each(case.series, _START, horizon))
        for end in (_START, 81, ROWS):
            part = case.figures(case.each(case.series[..., :end], end, horizon))
            what = f"predict_each from {_START} rows on differs from that of {end} rows alone"
            case.require_equal(whole[end - _START : end - _START + 1], part, what)
            if not case.traits.seeded:
                context = case.series[None, ..., :end]
                alone = case.figures(case.model.predict(context, horizon=horizon))
                case.require_equal(part, alone, "predict_each differs from predict")


def _look_ahead(case: _Case) -> None:
    """Check that later bars change no forecast made before them."""
    whole = case.figures(case.each(case.series, _START))
    for cut in (_START, 80, ROWS - 1):
        changed = case.series.copy()
        changed[..., cut:] = changed[..., cut:] * 3.0 + 0.01
        after = case.figures(case.each(changed, _START))
        same = cut - _START + 1
        what = f"a change of row {cut} and later changes forecasts made before (look-ahead)"
        case.require_equal(after[:same], whole[:same], what)


def _rows(case: _Case) -> None:
    """Check that a forecast depends on the last `rows` rows of the traits only."""
    rows = case.traits.rows
    if rows is None or rows >= ROWS:
        return
    whole = case.figures(case.each(case.series, ROWS))
    last = case.figures(case.each(case.series[..., -rows:], rows)) if rows >= 1 else whole
    if case.traits.seeded:
        return
    what = (
        f"rows before the last {rows} change a forecast: state trait rows (context_length) as it is"
    )
    case.require_equal(last, whole, what)


def _identity(case: _Case) -> None:
    """Check that the fingerprint is hex, follows from the identity, and is the same each time."""
    model, other = case.model, case.make()
    if not re.fullmatch(r"[0-9a-f]{4,128}", model.fingerprint):
        raise ModelContractError(f"{case.name}: fingerprint must be hex: got {model.fingerprint!r}")
    if identity_of(model) is None:
        raise ModelContractError(
            f"{case.name}: states no identity, so nothing is stored of it: give it `identity`, a "
            "marketsim.ModelIdentity of all that decides its forecasts"
        )
    if (model.fingerprint, stored_as(model)) != (other.fingerprint, stored_as(other)):
        raise ModelContractError(f"{case.name}: two models made alike have different fingerprints")


def _pickles(case: _Case) -> None:
    """Check that a pickled copy has the same fingerprint and forecasts."""
    copy = ForkingPickler.loads(ForkingPickler.dumps(case.model))
    if copy.fingerprint != case.model.fingerprint or stored_as(copy) != stored_as(case.model):
        raise ModelContractError(f"{case.name}: a pickled copy has another fingerprint")
    expected = case.figures(case.each(case.series, _START))
    got = case.figures(case.each(case.series, _START, model=copy))
    case.require_equal(got, expected, "a pickled copy gives other forecasts")


_CHECKS: dict[str, Callable[[_Case], None]] = {
    "shapes": _shapes,
    "batches": _batches,
    "days": _days,
    "look_ahead": _look_ahead,
    "rows": _rows,
    "identity": _identity,
    "pickles": _pickles,
}
MODEL_CHECKS = tuple(_CHECKS)
