"""Calibrated models and ensembles learn from the past alone, and from all of what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import marketsim as ms
from marketsim import testing
from marketsim.models import QuantileDistribution, calibrated, ensemble
from marketsim.models.calibration import FIRST

LEVELS = tuple(i / 10 for i in range(1, 10))
TOO_NARROW = ms.model_from(
    lambda past: np.quantile(past[-250:] / 3.0 + 0.002, LEVELS), levels=LEVELS, name="narrow"
)


def returns(seed: int, count: int = 900) -> Any:
    return np.random.default_rng(seed).standard_t(4, size=count) * 0.01


def coverage(quantiles: Any, came: Any) -> float:
    return float(((came >= quantiles[:, 0]) & (came <= quantiles[:, -1])).mean())


def test_a_model_that_is_three_times_too_narrow_is_repaired_within_100_bars() -> None:
    inside, before = [], []
    for seed in range(6):
        came = returns(seed, 500)
        made = calibrated(TOO_NARROW).predict_each(came, 100).quantiles[:-1, 0]
        inside.append(coverage(made, came[100:]))
        before.append(coverage(TOO_NARROW.predict_each(came, 100).quantile(LEVELS)[:-1, 0],
                               came[100:]))  # fmt: skip
    assert np.mean(before) < 0.5
    assert abs(np.mean(inside) - 0.8) < 0.03


@pytest.mark.parametrize(
    "model",
    [
        calibrated("ewma", window=60),
        calibrated(TOO_NARROW, window=60),
        calibrated("range"),
        ensemble(["ewma", "climatology"], window=60),
        ensemble(["ewma", TOO_NARROW], "crps", window=60),
    ],
    ids=lambda model: model.name,
)
def test_predict_is_predict_each_and_later_values_change_nothing(model: Any) -> None:
    one = returns(1, 400)
    series = one
    if model.traits.joint:  # whole bars
        high, low = (np.abs(returns(k, 400)) for k in (2, 3))
        series = np.stack([one / 2, np.maximum(one, 0) + high, np.minimum(one, 0) - low, one])
    steps = 1 if model.traits.horizons == 1 else 3
    whole = model.predict_each(series, 2, horizon=steps).quantiles
    for end in (2, 9, FIRST, 11, 29, 30, 31, 69, 70, 71, 130, 200, 399, 400):
        alone = model.predict([series[..., :end]], horizon=steps).quantiles[0]
        np.testing.assert_array_equal(alone, whole[end - 2])
        changed = np.concatenate([series[..., :end], series[..., end:] * -3.0], axis=-1)
        again = model.predict_each(changed, max(2, end - 5), horizon=steps).quantiles
        np.testing.assert_array_equal(again[end - max(2, end - 5)], whole[end - 2])
    if model.context_length is not None:
        last = series[..., -model.context_length :]
        np.testing.assert_array_equal(model.predict([last], horizon=steps).quantiles[0], whole[-1])


def test_calibration_is_that_of_plain_loops() -> None:
    came = returns(5, 200)
    model = calibrated("climatology", window=50)
    base = ms.load_model("climatology")
    for step, end in ((1, 40), (1, 150), (2, 150), (3, 45)):
        distances = []
        for made_at in range(max(FIRST, end - 50), end - step + 1):
            if made_at + step - 1 >= end:
                continue
            low, middle, high = np.asarray(
                base.predict([came[:made_at]], horizon=step).quantile([0.1, 0.5, 0.9])
            )[0, step - 1]
            distances.append((came[made_at + step - 1] - middle) / (high - low))
        n = len(distances)
        ranks = np.clip((np.array(model.levels) * (n + 1) - 1) / (n - 1), 0, 1)
        low, middle, high = np.asarray(
            base.predict([came[:end]], horizon=step).quantile([0.1, 0.5, 0.9])
        )[0, step - 1]
        expected = middle + (high - low) * np.quantile(distances, ranks)
        got = model.predict([came[:end]], horizon=step).quantiles[0, step - 1]
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_few_outcomes_leave_the_model_as_it_is() -> None:
    came = returns(6, 60)
    own = TOO_NARROW.predict_each(came, 12).quantile(LEVELS)
    made = calibrated(TOO_NARROW).predict_each(came, 12).quantiles
    np.testing.assert_array_equal(made[: FIRST + 20 - 12], own[: FIRST + 20 - 12])
    assert not np.array_equal(made[FIRST + 20 - 12], own[FIRST + 20 - 12])


def test_weights_by_loss_prefer_what_did_better() -> None:
    came = returns(7, 600)
    both = ["climatology", TOO_NARROW]
    equal, weighted = ensemble(both), ensemble(both, "crps")
    good = ms.load_model("climatology")
    levels = equal.levels

    def loss(model: Any) -> float:
        error = (
            came[300:, None] - np.asarray(model.predict_each(came, 300).quantile(levels))[:-1, 0]
        )
        return float(np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error).mean())

    assert loss(weighted) < loss(equal) < loss(TOO_NARROW)
    mean = (np.asarray(good.predict([came]).quantile(levels))
            + np.asarray(TOO_NARROW.predict([came]).quantile(levels))) / 2  # fmt: skip
    np.testing.assert_allclose(equal.predict([came]).quantiles, mean, rtol=1e-12)


@settings(max_examples=25)
@given(st.lists(st.sampled_from([-0.01, 0.0, 0.0, 0.02, 1e-9]), min_size=12, max_size=120))
def test_flat_and_repeated_values(values: list[float]) -> None:
    for model in (calibrated("climatology", window=50), ensemble(["ewma", "climatology"], "crps")):
        made = model.predict_each(np.array(values), 10).quantiles
        assert np.isfinite(made).all() and (np.diff(made, axis=-1) >= 0).all()


def test_identity() -> None:
    one = calibrated("ewma")
    assert one.fingerprint == calibrated("ewma").fingerprint
    others = [
        calibrated("ewma", window=100),
        calibrated(ms.load_model("ewma", decay=0.9)),
        calibrated("climatology"),
        calibrated(one),
        ensemble(["ewma", "climatology"]),
        ensemble(["climatology", "ewma"]),
        ensemble(["ewma", "climatology"], "crps"),
    ]
    assert len({model.fingerprint for model in [one, *others]}) == len(others) + 1
    network = object()  # whose content nothing says
    unknown = ms.model_from(lambda past: [0.0, hash(network) * 0.0 + 1.0], levels=(0.1, 0.9))
    assert unknown.identity is None and calibrated(unknown).identity is None


def test_the_contract_holds() -> None:
    testing.check_model(lambda: calibrated("ewma", window=50))
    testing.check_model(lambda: ensemble(["ewma", "persistence"], "crps", window=50))


def test_a_walk_forward_runs_on_them() -> None:
    bars = ms.bars.Bars(ms.demo_bars().frame.iloc[:600], "SPX")
    model = ensemble([calibrated("ewma"), "climatology"], "crps")
    store = ms.MemoryStore()
    one = ms.walk_forward(bars, model, simulations=5, store=store, progress=False)
    kept = len(store)
    two = ms.walk_forward(bars, model, simulations=5, store=store, progress=False)
    assert kept > 0 and len(store) == kept
    assert one.days.equals(two.days)
    assert (
        ms.walk_forward(bars, calibrated("range"), simulations=2, progress=False).days is not None
    )


def test_wrong_arguments() -> None:
    for wrong in (10, 0, 2.5, True):
        with pytest.raises(ms.ArgumentError, match="window"):
            calibrated("ewma", window=wrong)  # type: ignore[arg-type]
        with pytest.raises(ms.ArgumentError, match="window"):
            ensemble(["ewma", "range"], window=wrong)  # type: ignore[arg-type]
    with pytest.raises(ms.UnknownNameError, match="conformal"):
        calibrated("ewma", "isotonic")
    with pytest.raises(ms.UnknownNameError, match="weights"):
        ensemble(["ewma", "climatology"], "best")
    with pytest.raises(ms.ArgumentError, match="at least two"):
        ensemble(["ewma"])
    own = ms.model_from(lambda past: [0.0, 1.0], levels=(0.1, 0.9), targets=("own",), name="own")
    with pytest.raises(ms.ArgumentError, match="share a kind"):
        ensemble([own, "range"])
    import pandas as pd

    table = pd.DataFrame([{"date": "2024-01-03", "known": "2024-01-02", "target": "close",
                           "q0.1": -0.1, "q0.9": 0.1}])  # fmt: skip
    with pytest.raises(ms.ArgumentError, match="sees when bars were"):
        calibrated(ms.model_from_frame(table))
    with pytest.raises(ms.ArgumentError, match="NaN"):
        calibrated("ewma").predict_each([0.1, float("nan"), 0.2], 2)
    with pytest.raises(ms.ArgumentError, match="mask"):
        calibrated("ewma").predict([[0.1, 0.2]], mask=[[True, False]])
    assert isinstance(calibrated("ewma").predict([[0.1, 0.2]]), QuantileDistribution)
