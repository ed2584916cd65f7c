"""Forecasts of one bar in order: low <= open, close <= high."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from market import random_bars

import marketsim as ms
from marketsim.forecasts import ForecastCube, ForecastPlan, Schema, run_plan
from marketsim.forecasts.schema import Schema as _Schema
from marketsim.models import EwmaModel, QuantileDistribution, SampleDistribution

LEVELS = (0.1, 0.5, 0.9)
OPEN, HIGH, LOW, CLOSE = range(4)


def in_order(values: np.ndarray) -> bool:
    """values [bar, target, ...]"""
    top = np.maximum(values[:, OPEN], values[:, CLOSE])
    bottom = np.minimum(values[:, OPEN], values[:, CLOSE])
    return bool((values[:, HIGH] >= top).all() and (values[:, LOW] <= bottom).all())


def close_schema(schema: Schema) -> Schema:
    return _Schema.parse(schema.text + ";close")


def cube_of(schema: Schema, distribution) -> ForecastCube:
    return ForecastCube(5, schema, schema.encode(distribution)[:, None])


@given(arrays(np.float64, (6, 4, 1, 3), elements=st.floats(-1, 1, width=32)))
def test_quantiles_are_moved_to_those_that_they_crossed(values: np.ndarray) -> None:
    values.sort(axis=-1)
    cube = cube_of(close_schema(Schema.quantiles(LEVELS)), QuantileDistribution(LEVELS, values))
    found, count = cube.ordered()
    quantiles = found.distribution.quantile(LEVELS)
    assert in_order(quantiles) and (np.diff(quantiles, axis=-1) >= 0).all()
    assert in_order(found.distribution.mean[..., None])
    np.testing.assert_array_equal(quantiles[:, [OPEN, CLOSE]], values[:, [OPEN, CLOSE], 0])
    before = cube.records[:, 0, :, 2:]
    crossed = [not in_order(one[None]) for one in before]
    means = [not in_order(one[None, :, None]) for one in cube.records[:, 0, :, 0]]
    assert count == sum(a or b for a, b in zip(crossed, means, strict=True))
    again, more = found.ordered()
    assert (again is found) and more == 0
    assert in_order(cube.point("mean_minus_std_1")[..., None])


@given(arrays(np.float64, (5, 3, 4, 1), elements=st.floats(-1, 1, width=32)))
def test_draws_that_cross_are_sorted_and_whole_bars_stay(draws: np.ndarray) -> None:
    schema = close_schema(Schema.of_samples(5))
    cube = cube_of(schema, SampleDistribution(draws))
    found, count = cube.ordered()
    samples = np.moveaxis(found.records[:, 0], -1, 0)
    assert all(in_order(one) for one in samples)
    whole = draws.copy()
    whole[:, :, HIGH] = draws.max(axis=2)
    whole[:, :, LOW] = draws.min(axis=2)
    bars = cube_of(schema, SampleDistribution(whole))
    assert bars.ordered() == (bars, 0)
    assert count == sum(
        not all(in_order(one[i : i + 1]) for one in draws[..., 0]) for i in range(3)
    )


def test_own_returns_have_no_order() -> None:
    values = np.zeros((2, 4, 1, 3))
    values[:, LOW] = 1.0
    cube = cube_of(Schema.quantiles(LEVELS), QuantileDistribution(LEVELS, values))
    assert cube.ordered() == (cube, 0)
    assert cube.point("median")[0, LOW] == 1.0


def test_a_device_gives_the_same_bits() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for schema, made in (
        (
            Schema.quantiles(LEVELS),
            QuantileDistribution(LEVELS, np.sort(rng.normal(size=(9, 4, 1, 3)))),
        ),
        (Schema.of_samples(7), SampleDistribution(rng.normal(size=(7, 9, 4, 1)))),
    ):
        cube = cube_of(close_schema(schema), made)
        there = cube.to("cpu").ordered()
        np.testing.assert_array_equal(there.records.numpy(), cube.ordered()[0].records)
        for name in ("median", "mean_plus_std_2", "trimmed_mean_10"):
            host = cube.ordered()[0].point(name)
            assert torch.equal(there.point(name), torch.from_numpy(host))


def test_a_run_says_that_forecasts_crossed_and_decides_by_those_in_order() -> None:
    bars = random_bars(200)
    result = ms.walk_forward(bars, "ewma", simulations=20, store=False, progress=False)
    assert result.targets == "close"
    crossed = result.run.inputs.forecasts.crossed
    assert crossed > 0
    (note,) = [text for text in result.summary().notes if "crossed" in text]
    assert f"on {crossed:,} of" in note and "ewma" in note
    table = result.forecasts
    for name in ("point", "q0.1", "q0.5", "q0.9"):
        assert in_order(table[name].to_numpy().reshape(-1, 4))
    raw = run_plan(bars, EwmaModel(), ForecastPlan(120, 200, 1, 1), store=None)
    assert not in_order(raw.distribution.quantile(LEVELS))
    whole = ms.walk_forward(bars, "range", simulations=20, store=False, progress=False)
    assert whole.run.inputs.forecasts.crossed == 0
    assert not [text for text in whole.summary().notes if "crossed" in text]
