from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.statistical.base import LEVELS

NAMES = ("ewma", "persistence")
Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def ewma_by_definition(past: np.ndarray, decay: float = 0.94, window: int = 500):
    """Mean, std and quantiles of the next value, from sums over the whole past."""
    past = past[~np.isnan(past)]

    def scale(rows: np.ndarray) -> float:
        weights = decay ** np.arange(len(rows))[::-1]
        return np.sqrt((weights * rows**2).sum() / weights.sum()) if len(rows) else 0.0

    scales = np.array([scale(past[:t]) for t in range(len(past))])
    used = scales > 0.0
    z = (past[used] / scales[used])[-window:]
    now = scale(past)
    if len(z) < 20:
        return 0.0, now, now * Z
    return now * z.mean(), now * z.std(), now * np.quantile(z, LEVELS)


def persistence_by_definition(past: np.ndarray, window: int = 500):
    past = past[~np.isnan(past)]
    changes = np.abs(np.diff(past))[-window:]
    if len(changes) == 0:
        return past[-1], 0.0, np.full(len(LEVELS), past[-1])
    side = 2.0 * np.array(LEVELS) - 1.0
    reach = np.quantile(changes, np.abs(side))
    return past[-1], np.sqrt((changes**2).mean()), past[-1] + np.sign(side) * reach


DEFINITIONS = {"ewma": ewma_by_definition, "persistence": persistence_by_definition}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 5, 21, 22, 60, 700])
def test_equals_definition(name: str, count: int) -> None:
    past = np.random.default_rng(count).normal(0.0, 0.01, count)
    if count > 50:
        past[::9] = np.nan
        past[20:30] = 0.0
    forecast = ms.load_model(name).predict([past])
    mean, std, quantiles = DEFINITIONS[name](past)
    np.testing.assert_allclose(forecast.mean, [[mean]], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(forecast.std, [[std]], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(forecast.quantile(LEVELS)[0, 0], quantiles, rtol=1e-9, atol=1e-15)


_series = hnp.arrays(
    np.float64,
    st.integers(2, 90),
    elements=st.one_of(
        st.floats(-0.5, 0.5), st.sampled_from([0.0, 0.01, -0.01, np.nan, 1e-300, 1e100])
    ),
)


@given(series=_series, name=st.sampled_from(NAMES), data=st.data())
def test_predict_each_equals_predict_bit_for_bit(series, name, data) -> None:
    if np.isnan(series[0]):
        series[0] = 0.002
    start = data.draw(st.integers(1, len(series)))
    model = ms.load_model(name, window=data.draw(st.sampled_from([2, 25, 500])))
    each = model.predict_each(series, start)
    contexts = [series[:t] for t in range(start, len(series) + 1)]
    one = model.predict(contexts if len(contexts) > 1 else [contexts[0]])
    assert each.mean.shape == (len(contexts), 1)
    np.testing.assert_array_equal(each.mean, one.mean)
    np.testing.assert_array_equal(each.std, one.std)
    np.testing.assert_array_equal(each.quantiles, one.quantiles)


@pytest.mark.parametrize("name", NAMES)
def test_no_look_ahead(name: str) -> None:
    rng = np.random.default_rng(1)
    series = rng.normal(0.0, 0.01, 300)
    model = ms.load_model(name)
    before = model.predict_each(series, 1)
    for row in (1, 57, 200, 299):
        changed = np.concatenate([series[:row], rng.normal(3.0, 5.0, 300 - row)])
        after = model.predict_each(changed, 1)
        # The forecast with index i is made from the values before i + 1.
        np.testing.assert_array_equal(after.quantiles[:row], before.quantiles[:row])
        np.testing.assert_array_equal(after.mean[:row], before.mean[:row])
        assert (after.quantiles[row:] != before.quantiles[row:]).any()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_batches_and_masks(name: str) -> None:
    model = ms.load_model(name)
    rng = np.random.default_rng(2)
    cube = rng.normal(0.0, 0.01, (3, 4, 80))
    forecast = model.predict(cube, horizon=5)
    assert forecast.mean.shape == forecast.std.shape == (3, 4, 5)
    assert forecast.quantile([0.1, 0.5, 0.9]).shape == (3, 4, 5, 3)
    alone = model.predict(cube[1, 2][None], horizon=5)
    np.testing.assert_array_equal(alone.quantiles[0], forecast.quantiles[1, 2])
    each = model.predict_each(cube[0], 70, horizon=2)
    assert each.mean.shape == (11, 4, 2)
    np.testing.assert_array_equal(
        each.quantiles[0], model.predict(cube[:1, :, :70], horizon=2).quantiles[0]
    )
    mask = rng.random(cube.shape) < 0.7
    masked = model.predict(cube, mask=mask)
    np.testing.assert_array_equal(
        masked.quantiles, model.predict(np.where(mask, cube, np.nan)).quantiles
    )
    ragged = [cube[0, 0, :30], cube[0, 1, :41]]
    with_mask = model.predict(ragged, mask=[np.arange(30) > 3, np.arange(41) > 3])
    np.testing.assert_array_equal(
        with_mask.quantiles[0], model.predict([np.r_[[np.nan] * 4, ragged[0][4:]]]).quantiles[0]
    )


def test_horizon_widens_persistence_and_keeps_ewma() -> None:
    past = np.random.default_rng(3).normal(0.0, 0.01, (1, 100))
    ewma = ms.load_model("ewma").predict(past, horizon=4)
    np.testing.assert_array_equal(ewma.quantiles[0, 3], ewma.quantiles[0, 0])
    naive = ms.load_model("persistence").predict(past, horizon=4)
    np.testing.assert_array_equal(naive.mean, np.full((1, 4), past[0, -1]))
    np.testing.assert_allclose(naive.std[0, 3], 2.0 * naive.std[0, 0])
    assert naive.quantile([0.5])[0, 3, 0] == past[0, -1]


def test_persistence_point_is_the_last_value_for_every_symmetric_aggregate() -> None:
    past = np.random.default_rng(4).normal(0.0, 0.01, (1, 200))
    forecast = ms.load_model("persistence").predict(past)
    for spec in ("mean", "median", "p50", "trimmed_mean_10", "trimmed_mean_0.4"):
        np.testing.assert_allclose(forecast.aggregate(spec), past[:, -1:], atol=1e-16)


def test_context_length_is_what_a_forecast_depends_on() -> None:
    model = ms.load_model("persistence", window=30)
    past = np.random.default_rng(5).normal(0.0, 0.01, 100)
    assert model.context_length == 31
    np.testing.assert_array_equal(
        model.predict([past]).quantiles, model.predict([past[-31:]]).quantiles
    )
    assert ms.load_model("ewma").context_length is None


def test_fingerprint_names_everything_that_changes_a_forecast() -> None:
    variants = [
        ms.load_model("ewma"),
        ms.load_model("ewma", decay=0.97),
        ms.load_model("ewma", window=250),
        ms.load_model("persistence"),
        ms.load_model("persistence", window=250),
    ]
    prints = [model.fingerprint for model in variants]
    assert len(set(prints)) == len(prints)
    assert prints[0] == ms.load_model("ewma").fingerprint
    assert all(isinstance(model, ms.Model) for model in variants)
    int(prints[0], 16)


def test_errors() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown model 'arima': .* range, ewma, climatology, garch, per"
    ):
        ms.load_model("arima")
    with pytest.raises(UnknownNameError, match="unknown option of ewma 'span'.*decay, window"):
        ms.load_model("ewma", span=3)
    with pytest.raises(ArgumentError, match="runs on the CPU"):
        ms.load_model("ewma", device="cuda")
    with pytest.raises(ArgumentError, match="decay"):
        ms.load_model("ewma", decay=1.0)
    with pytest.raises(ArgumentError, match="window"):
        ms.load_model("persistence", window=1)
    model = ms.load_model("ewma")
    with pytest.raises(ArgumentError, match="no observed value"):
        model.predict([[np.nan, np.nan]])
    with pytest.raises(ArgumentError, match="no observed value"):
        model.predict_each([np.nan, 0.1], 1)
    with pytest.raises(ArgumentError, match="infinite value at 1"):
        model.predict([[0.1, np.inf]])
    with pytest.raises(ArgumentError, match=r"got shape \(3,\)"):
        model.predict(np.zeros(3))
    with pytest.raises(ArgumentError, match=r"mask must have the shape of the contexts \(1, 3\)"):
        model.predict(np.zeros((1, 3)), mask=[True])
    with pytest.raises(ArgumentError, match=r"start must be a whole number in 1 \.\. 3"):
        model.predict_each(np.zeros(3), 0)
    with pytest.raises(ArgumentError, match="horizon"):
        model.predict(np.ones((1, 3)), horizon=0)
