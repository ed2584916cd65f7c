"""Trained weights, end to end: Fracast-0, whose weights are in its package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.models.fracast import FracastModel

pytest.importorskip("torch")
fracast = pytest.importorskip("fracast")


@pytest.fixture(scope="module")
def model() -> FracastModel:
    found = ms.load_model("fracast")
    assert isinstance(found, FracastModel)
    return found


SERIES = np.random.default_rng(0).normal(0, 0.01, 60)


def test_it_is_what_the_package_forecasts(model: FracastModel) -> None:
    own = fracast.FracastModel.from_pretrained(weights="fp32")
    made = model.predict([SERIES, SERIES[:20]], horizon=5)
    for i, context in enumerate((SERIES, SERIES[:20])):
        expected = np.sort(own.forecast(context, horizon=5), axis=-1)
        np.testing.assert_allclose(made.quantiles[i], expected, atol=1e-7)
    gappy = SERIES.copy()
    gappy[30:33] = np.nan
    expected = np.sort(own.forecast(gappy, horizon=1), axis=-1)
    np.testing.assert_allclose(model.predict([gappy]).quantiles[0], expected, atol=1e-7)


def test_predict_is_predict_each_in_any_batch(model: FracastModel) -> None:
    made = model.predict_each(SERIES, 57)
    for end in (57, 60):
        alone = model.predict([SERIES[:end]])
        np.testing.assert_array_equal(made.quantiles[end - 57], alone.quantiles[0])
    four = model.predict_each(np.stack([SERIES, -SERIES]), 60)
    np.testing.assert_array_equal(four.quantiles[:, 0], made.quantiles[-1:])


def test_trained_weights_have_skill_where_there_is_something_to_know(model: FracastModel) -> None:
    """A wave: one step ahead its error is far below that of what is usual."""
    wave = np.sin(np.arange(376) / 5.0)
    made = model.predict_each(wave, 360)
    error = np.abs(made.aggregate("median")[:-1, 0] - wave[360:])
    assert error.mean() < 0.4 * np.abs(wave[360:] - np.median(wave[:360])).mean()


def test_a_run_from_the_command_to_the_store(model: FracastModel, tmp_path: Path) -> None:
    bars, store = random_bars(80), ms.PredictionStore(tmp_path)
    run = {"simulations": 2, "window": 1, "offset_window": 1, "progress": False, "store": store}
    first = ms.walk_forward(bars, model, **run)
    made = store.counters["misses"]
    again = ms.walk_forward(bars, "fracast", **run)
    assert store.counters["misses"] == made > 0
    assert again.to_dict() == first.to_dict()
    found = ms.evaluate_forecasts(
        bars, ["fracast", "climatology"], start=bars.frame.index[-2], store=store, progress=False
    )
    assert found.unknown_cutoffs == ("fracast",)


def test_what_it_refuses(model: FracastModel) -> None:
    with pytest.raises(ms.ArgumentError, match="at least 8 observed"):
        model.predict([SERIES[:7]])
    with pytest.raises(ms.ArgumentError, match="at most 48 steps"):
        model.predict([SERIES], horizon=49)
    with pytest.raises(ms.UnknownNameError, match="weights of fracast"):
        ms.load_model("fracast", weights="int4")
    with pytest.raises(ms.ArgumentError, match="runs on the CPU in float32"):
        ms.load_model("fracast", device="cuda")
    assert ms.load_model("fracast", weights="w8").fingerprint != model.fingerprint
