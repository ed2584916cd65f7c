"""GARCH through the package arch, and scales of `range` that other models forecast."""

from __future__ import annotations

import math

import numpy as np
import pytest

import marketsim as ms
from marketsim.models import EwmaModel, GarchModel, PersistenceModel, RangeModel
from marketsim.models.statistical.base import LEVELS
from marketsim.models.statistical.range import _log_variances

arch = pytest.importorskip("arch")
stats = pytest.importorskip("scipy.stats")


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    generator, variance, found = np.random.default_rng(5), 1e-4, []
    for shock in generator.standard_t(6, 400):
        found.append(0.0003 + math.sqrt(variance) * shock)
        variance = 2e-6 + 0.1 * found[-1] ** 2 + 0.87 * variance
    return np.array(found)


def test_it_is_what_arch_forecasts(returns: np.ndarray) -> None:
    model = GarchModel(window=200, refit=40)
    made = model.predict_each(returns, 300)
    for end in (300, 340):  # estimated there: 100 + 40 n
        values = returns[end - 200 : end]
        unit = values.std()
        scaled = (values - values.mean()) / unit
        found = arch.arch_model(scaled, vol="GARCH", dist="t", rescale=False).fit(disp="off")
        ahead = found.forecast(horizon=1)
        mean = float(ahead.mean.iloc[-1, 0]) * unit + values.mean()
        size = math.sqrt(float(ahead.variance.iloc[-1, 0])) * unit
        nu = found.params["nu"]
        quantiles = mean + size * stats.t.ppf(LEVELS, nu) * math.sqrt((nu - 2) / nu)
        assert made.mean[end - 300, 0] == pytest.approx(mean, rel=1e-9)
        assert made.std[end - 300, 0] == pytest.approx(size, rel=1e-9)
        np.testing.assert_allclose(made.quantiles[end - 300, 0], quantiles, rtol=1e-9)


def test_predict_is_predict_each_and_reads_no_later_value(returns: np.ndarray) -> None:
    model = GarchModel(window=150, refit=30)
    made = model.predict_each(returns, 1)
    for end in (1, 2, 99, 100, 129, 130, 255, 400):
        alone = model.predict([returns[:end]])
        np.testing.assert_array_equal(made.quantiles[end - 1], alone.quantiles[0])
    assert (np.diff(made.quantiles, axis=-1) >= 0).all()
    later = returns.copy()
    later[260:] *= 5.0
    np.testing.assert_array_equal(
        model.predict_each(later, 1).quantiles[:260], made.quantiles[:260]
    )
    np.testing.assert_array_equal(model.predict_each(returns, 222).quantiles, made.quantiles[221:])


def test_what_it_cannot_do(returns: np.ndarray) -> None:
    assert (GarchModel().predict([np.zeros(120)]).quantiles == 0.0).all()
    with pytest.raises(ms.ArgumentError, match="needs every value"):
        GarchModel().predict([[0.1, np.nan, 0.2]])
    for wrong in ({"window": 50}, {"refit": 0}, {"refit": 1.5}):
        with pytest.raises(ms.ArgumentError, match="must be"):
            GarchModel(**wrong)
    assert GarchModel().fingerprint != GarchModel(refit=20).fingerprint
    assert "arch" in GarchModel().identity.libraries


def bars(count: int, seed: int = 0) -> np.ndarray:
    """Moves [4, bar] whose size swings."""
    generator = np.random.default_rng(seed)
    size = 0.01 * np.exp(np.sin(np.arange(count) / 20.0))
    opened, close = generator.normal(0, 0.3, count) * size, generator.normal(0, 1, count) * size
    high = np.maximum(opened, close) + np.abs(generator.normal(0, 0.5, count)) * size
    low = np.minimum(opened, close) - np.abs(generator.normal(0, 0.5, count)) * size
    return np.stack([opened, high, low, close])


@pytest.mark.parametrize("scale", [EwmaModel(), PersistenceModel(window=50)], ids=lambda m: m.name)
def test_any_model_forecasts_the_scale(scale) -> None:
    moves, model = bars(300), RangeModel(window=50, scale=scale)
    made = model.predict_each(moves, 1).quantile(LEVELS)[:, :, 0]
    for end in (1, 20, 59, 60, 61, 130, 300):
        alone = model.predict(moves[None, :, :end]).quantile(LEVELS)[0, :, 0]
        np.testing.assert_array_equal(made[end - 1], alone)
    later = moves.copy()
    later[:, 200:] *= 3.0
    other = model.predict_each(later, 1).quantile(LEVELS)[:200, :, 0]
    np.testing.assert_array_equal(other, made[:200])
    assert (made[:, 1] >= np.maximum(made[:, 0], made[:, 3])).all()
    # By hand: the shape of the last 50 bars, each divided by the scale forecast for it.
    logs = _log_variances(moves)
    ends = range(250, 301)
    sizes = [
        math.exp(0.5 * float(np.clip(
            scale.predict([logs[:end]]).quantile([0.5])[0, 0, 0], logs[:end].min(), logs[:end].max()
        )))
        for end in ends
    ]  # fmt: skip
    scaled = moves[:, 250:] / np.array(sizes[:-1])
    expected = np.quantile(scaled, LEVELS, axis=1).T * sizes[-1]
    np.testing.assert_allclose(made[-1], expected, rtol=1e-9)


def test_a_scale_is_part_of_the_identity() -> None:
    one = ms.load_model("range", scale="ewma")
    assert one.name == "range of ewma"
    prints = {RangeModel().fingerprint, one.fingerprint}
    prints.add(ms.load_model("range", scale=EwmaModel(decay=0.9)).fingerprint)
    assert len(prints) == 3
    for wrong in ("range", ms.model_from_frame(_table())):
        with pytest.raises(ms.ArgumentError, match="scale takes a model that forecasts a series"):
            ms.load_model("range", scale=wrong)

    class Unknown(EwmaModel):
        identity = None

    assert RangeModel(scale=Unknown()).identity is None


def _table():
    import pandas as pd

    row = {"date": "2024-01-03", "known": "2024-01-02", "target": "close", "q0.1": 0.0, "q0.9": 1.0}
    return pd.DataFrame([row])
