"""TimesFM 2.5 on random weights: equal to a readable reference, and the same in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import (
    TIMESFM,
    TIMESFM_CONFIG,
    timesfm_weights,
    write_checkpoint,
    write_timesfm,
)
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from timesfm_reference import TimesFmReference

import marketsim as ms
from marketsim.errors import ArgumentError, CheckpointError, UnknownNameError
from marketsim.models.timesfm.model import TimesFmModel

PATCH, REACH = TIMESFM["patch"], TIMESFM["reach"]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one pass": {"flip_invariance": False},
    "continuous": {"continuous_quantiles": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_timesfm(tmp_path_factory.mktemp("timesfm"), 1)


def load(folder: Path, **options: Any) -> TimesFmModel:
    model = ms.load_model(folder, **options)
    assert isinstance(model, TimesFmModel)
    return model


def quantiles(distribution: Any) -> np.ndarray:
    return np.asarray(distribution.quantiles)


def walk(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).cumsum(axis=-1)


def contexts() -> dict[str, np.ndarray]:
    """Contexts [time] by name."""
    gaps = walk((31,), 1)
    gaps[[3, 4, 11, 12, 13, 14, 15, 29, 30]] = np.nan
    late = walk((30,), 3)
    late[:14] = np.nan
    return {
        "one value": walk((1,)),
        "below a patch": walk((3,)),
        "whole patches": walk((36,)),
        "part of a patch": walk((29,)),
        "gaps": gaps,
        "starts late": late,
        "constant": np.full(20, 5.0),
        "returns": 0.01 * np.random.default_rng(4).normal(0, 1, 50),
        "tiny": 1e-9 * walk((25,), 5),
    }


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", contexts())
def test_forecasts_equal_the_reference(folder: Path, name: str, option: str) -> None:
    context, chosen = contexts()[name], OPTIONS[option]
    model, reference = load(folder, **chosen), TimesFmReference(folder)
    for horizon in (1, REACH, 2 * REACH + 1):
        found = quantiles(model.predict([context], horizon=horizon))[0]
        expected = reference.forecast(
            context,
            horizon,
            flip=chosen.get("flip_invariance", True),
            continuous=chosen.get("continuous_quantiles", False),
        )
        assert found.shape == (horizon, 9)
        unit = np.nanstd(context) + np.abs(expected - np.nanmean(context)).max()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=3e-5 * unit)


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 9)), max_size=3),
    st.sampled_from([1, REACH, REACH + 1]),
    st.sampled_from([None, 4096, 9, 16]),
    st.sampled_from(list(OPTIONS)),
)
def test_each_day_equals_its_own_context_to_the_bit(
    folder: Path,
    seed: int,
    size: int,
    holes: list[tuple[int, int]],
    horizon: int,
    context_length: int | None,
    option: str,
) -> None:
    values = walk((size,), seed)
    for start, length in holes:
        values[start : start + length] = np.nan
    seen = ~np.isnan(values)
    if not seen.any():
        return
    start = int(seen.argmax()) + 1
    days = range(start, size + 1)
    span = context_length or size
    if any(not seen[max(0, day - span) : day].any() for day in days):
        return
    model = load(folder, context_length=context_length, **OPTIONS[option])
    each = quantiles(model.predict_each(values, start, horizon=horizon))
    for i, day in enumerate(days):
        alone = quantiles(model.predict(values[None, :day], horizon=horizon))[0]
        np.testing.assert_array_equal(each[i], alone, err_msg=f"day {day} of {size}")


@settings(max_examples=10)
@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, REACH, 2 * REACH + 1]),
    st.sampled_from([1, 40, 1024]),
)
def test_a_forecast_does_not_depend_on_what_is_beside_it(
    folder: Path, lengths: list[int], seed: int, horizon: int, max_tokens: int
) -> None:
    rows = [walk((length,), seed + i) for i, length in enumerate(lengths)]
    model = load(folder)
    model.batches.max_tokens = max_tokens
    together = quantiles(model.predict(rows, horizon=horizon))
    for row, found in zip(rows, together, strict=True):
        alone = quantiles(load(folder).predict(row[None], horizon=horizon))[0]
        np.testing.assert_array_equal(found, alone)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 49), st.booleans())
def test_what_comes_later_changes_nothing_before(
    folder: Path, seed: int, day: int, missing: bool
) -> None:
    values = walk((50,), seed)
    other = values.copy()
    other[day:] = np.nan if missing else 1e6 * walk((50 - day,), seed + 1)
    model = load(folder)
    before = quantiles(model.predict_each(values, 1))[:day]
    np.testing.assert_array_equal(quantiles(model.predict_each(other, 1))[:day], before)


def test_variates_are_forecast_each_alone(folder: Path) -> None:
    values = walk((3, 40))
    values[1, :9] = values[2, 20:26] = np.nan
    model = load(folder)
    each = quantiles(model.predict_each(values, 12, horizon=2))
    for i, row in enumerate(values):
        np.testing.assert_array_equal(quantiles(model.predict_each(row, 12, horizon=2)), each[:, i])
    with pytest.raises(UnknownNameError, match="variates"):
        load(folder, variates="joint")


def test_days_share_passes(folder: Path) -> None:
    cost = load(folder).cost([walk((100,))], [41])
    assert (cost.passes, cost.forecasts) == (PATCH, 60)


def test_negated_series_have_negated_forecasts(folder: Path) -> None:
    context, model = walk((30,)), load(folder)
    found = quantiles(model.predict([context, -context], horizon=REACH))
    np.testing.assert_array_equal(found[1], -found[0][:, ::-1])


def test_threads_change_no_bit(tmp_path: Path) -> None:
    """Widths at which libraries share a sum out among threads."""
    sizes = {"width": 640, "heads": 8, "hidden": 640, "inner": 640, "layers": 2}
    folder = write_timesfm(tmp_path, 2, **sizes)
    series, made = walk((150,)), []
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            model = load(folder)
            made += [quantiles(model.predict_each(series, 140))[7]]
            made += [quantiles(model.predict(series[None, :147]))[0]]
    finally:
        torch.set_num_threads(before)
    for found in made[1:]:
        np.testing.assert_array_equal(found, made[0])


def test_bfloat16_is_near_and_the_same_in_any_company(folder: Path) -> None:
    values, rough = walk((60,)), load(folder, dtype="bfloat16")
    each = quantiles(rough.predict_each(values, 30))
    exact = quantiles(load(folder).predict_each(values, 30))
    error = np.abs(each - exact) / values.std()
    assert 0 < error.mean() < 0.02
    for i, day in enumerate(range(30, 61)):
        np.testing.assert_array_equal(each[i], quantiles(rough.predict(values[None, :day]))[0])


def test_shards_and_folders_change_no_fingerprint(folder: Path, tmp_path: Path) -> None:
    sharded = load(write_timesfm(tmp_path / "other", 1, shards=3))
    assert sharded.fingerprint == load(folder).fingerprint
    context = walk((1, 30))
    expected = quantiles(load(folder).predict(context))
    np.testing.assert_array_equal(quantiles(sharded.predict(context)), expected)


def test_options_and_weights_are_part_of_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    chosen = [*OPTIONS.values(), {"context_length": 100}, {"dtype": "bfloat16"}]
    found = {load(folder, **options).fingerprint for options in chosen}
    found.add(load(write_timesfm(tmp_path, 2)).fingerprint)
    assert len(found) == len(chosen) + 1


def test_traits_state_how_far_it_forecasts(folder: Path) -> None:
    assert load(folder).traits.horizons is None
    model = load(folder, continuous_quantiles=True)
    assert model.traits.horizons == TIMESFM["spread_reach"]
    with pytest.raises(ArgumentError, match="at most 40 steps"):
        model.predict(walk((1, 30)), horizon=41)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    weights = timesfm_weights(1)
    weights["stacked_xf.1.ff0.weight"][2, 3] = value
    model = load(write_checkpoint(tmp_path, TIMESFM_CONFIG, weights, 1))
    with pytest.raises(CheckpointError, match=r"NaN or infinite values in stacked_xf\.1\.ff0"):
        model.predict(walk((1, 30)))


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("stacked_xf.0.attn.per_dim_scale.per_dim_scale", (7,), "heads of 7"),
        ("output_projection_point.output_layer.weight", (119, 28), "multiples of 10"),
        ("output_projection_point.output_layer.weight", (100, 28), "whole patches"),
        ("tokenizer.hidden_layer.weight", (28, 7), "values and flags"),
        ("stacked_xf.0.ff0.weight", (0, 24), "below 1"),
        ("stacked_xf.0.ff0.weight", (4,), "no matrices"),
    ],
)
def test_sizes_that_are_not_known_are_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], said: str
) -> None:
    weights = timesfm_weights(1) | {name: np.zeros(shape, np.float32)}
    with pytest.raises(CheckpointError, match=said):
        load(write_checkpoint(tmp_path, TIMESFM_CONFIG, weights, 1))


def test_weights_that_lack_are_named(tmp_path: Path) -> None:
    weights = timesfm_weights(1)
    del weights["stacked_xf.2.attn.out.weight"]
    model = load(write_checkpoint(tmp_path, TIMESFM_CONFIG, weights, 1))
    with pytest.raises(CheckpointError, match=r"missing: stacked_xf\.2\.attn\.out\.weight"):
        model.predict(walk((1, 30)))


def test_options_out_of_range_are_refused(folder: Path) -> None:
    for name in ("flip_invariance", "continuous_quantiles"):
        with pytest.raises(ArgumentError, match=name):
            load(folder, **{name: "no"})
    with pytest.raises(ArgumentError, match="context_length"):
        load(folder, context_length=0)
