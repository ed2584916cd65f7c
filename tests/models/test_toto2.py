"""Toto 2.0 on random weights: equal to a readable reference, and the same in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import TOTO2, toto2_weights, write_checkpoint, write_toto2
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from toto2_reference import Toto2Reference

import marketsim as ms
from marketsim.errors import (
    ArgumentError,
    CheckpointError,
    CheckpointNotFoundError,
    UnknownNameError,
)
from marketsim.models.toto2.model import Toto2Model

PATCH = TOTO2["patch_size"]
# Heads share keys, values have a size of their own, variate layers come first and in between.
ODD = {
    "d_ff": 36,
    "heads_per_group": 2,
    "layer_group_size": 2,
    "norm_eps": 5e-4,
    "num_groups": 2,
    "num_heads": 4,
    "num_layers": 4,
    "patch_size": 6,
    "qk_dim": 12,
    "v_dim": 20,
    "variate_layer_first": True,
}
SIZES: dict[str, dict[str, Any]] = {
    "plain": {},
    "odd": ODD,
    # Looks across variates before patches have passed on what they hold.
    "mixed": {
        "num_layers": 4,
        "layer_group_size": 2,
        "d_model": 32,
        "num_heads": 2,
        "num_groups": 2,
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: write_toto2(tmp_path_factory.mktemp(name), seed, **sizes)
        for seed, (name, sizes) in enumerate(SIZES.items())
    }


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path]) -> Path:
    return folders["plain"]


@pytest.fixture(scope="module")
def model(folder: Path) -> Toto2Model:
    return load(folder)


def load(folder: Path, **options: Any) -> Toto2Model:
    model = ms.load_model(folder, **options)
    assert isinstance(model, Toto2Model)
    return model


def quantiles(distribution: Any) -> np.ndarray:
    return np.asarray(distribution.quantiles)


def walk(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).cumsum(axis=-1)


def contexts() -> dict[str, np.ndarray]:
    """Contexts [variate, time] by name."""
    gaps = walk((1, 31), 1)
    gaps[0, [3, 4, 11, 29, 30]] = np.nan
    dead = walk((3, 40), 2)
    dead[0, :13] = dead[1, 14:23] = dead[2, 38:] = np.nan
    leading = walk((1, 30), 3)
    leading[0, :14] = np.nan
    return {
        "one value": walk((1, 1)),
        "below a patch": walk((1, 3)),
        "whole patches": walk((1, 36)),
        "part of a patch": walk((1, 29)),
        "four variates": walk((4, 26)),
        "gaps": gaps,
        "hidden patches": dead,
        "starts late": leading,
        "constant": np.full((1, 20), 5.0),
        "zero": np.zeros((2, 20)),
        "huge": 1e30 * walk((1, 25), 4),
        "tiny": 1e-20 * walk((1, 25), 5),
        "high level": 1e5 + 0.1 * walk((1, 25), 6),
        "jump": np.concatenate([walk((1, 20), 7), 1e6 + walk((1, 5), 8)], axis=1),
    }


def assert_near(found: np.ndarray, expected: np.ndarray, context: np.ndarray) -> None:
    """Within 2e-5 of the unit in which the head's float32 rounds, after the sinh."""
    scale = np.nanmax(np.nanstd(context, axis=-1))
    level = np.nanmax(np.abs(np.nanmean(context, axis=-1)))
    unit = np.hypot(max(scale, 1e-6), np.abs(expected - np.nanmean(expected)).max())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-5 * unit + 1e-7 * level)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", contexts())
@pytest.mark.parametrize("has_missing_values", [True, False])
def test_forecasts_equal_the_reference(
    folders: dict[str, Path], size: str, name: str, has_missing_values: bool
) -> None:
    context = contexts()[name]
    model = load(folders[size], has_missing_values=has_missing_values)
    reference = Toto2Reference(folders[size])
    for horizon in (1, model.patch, 2 * model.patch + 1):
        found = quantiles(model.predict(context[None], horizon=horizon))[0]
        expected = reference.forecast(context, horizon, has_missing_values=has_missing_values)
        assert found.shape == (len(context), horizon, 9)
        assert_near(found, expected, context)


@pytest.mark.parametrize("options", [{"fallback_observations": 7}, {"cap": 0.1}, {"cap": 1e4}])
@pytest.mark.parametrize("name", ["one value", "gaps", "hidden patches", "whole patches"])
def test_options_equal_the_reference(folder: Path, options: dict[str, Any], name: str) -> None:
    context = contexts()[name]
    found = quantiles(load(folder, **options).predict(context[None], horizon=3))[0]
    expected = Toto2Reference(folder).forecast(context, 3, **options)
    assert_near(found, expected, context)


def test_a_mask_leaves_values_out_but_for_those_of_the_last_patch(folder: Path) -> None:
    context, mask = walk((1, 22)), np.ones((1, 22), dtype=bool)
    mask[0, [2, 9, 10, 21]] = False
    found = quantiles(load(folder).predict(context[None], mask=mask[None]))[0]
    assert_near(found, Toto2Reference(folder).forecast(context, 1, mask=mask), context)


@pytest.mark.parametrize("patches", [1, 2, 5])
def test_one_block_for_all_equals_no_blocks(folder: Path, patches: int) -> None:
    context = walk((2, 1, 27))
    horizon = patches * PATCH
    at_once = quantiles(load(folder).predict(context, horizon=horizon))
    block = quantiles(load(folder, decode_block=horizon).predict(context, horizon=horizon))
    np.testing.assert_array_equal(at_once, block)


def test_the_first_block_is_that_of_its_own_horizon(folder: Path) -> None:
    context = contexts()["hidden patches"][None]
    model = load(folder, decode_block=PATCH)
    found = quantiles(model.predict(context, horizon=3 * PATCH))
    first = quantiles(model.predict(context, horizon=PATCH))
    np.testing.assert_allclose(found[:, :, :PATCH], first, rtol=1e-6, atol=1e-6)
    assert (np.diff(found, axis=-1) >= 0).all()


series_strategy = st.builds(
    lambda seed, variates, size, holes, late: _series(seed, variates, size, holes, late),
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 59), st.integers(1, 11)), max_size=3),
    st.integers(0, 15),
)


def _series(
    seed: int, variates: int, size: int, holes: list[tuple[int, int, int]], late: int
) -> np.ndarray:
    values = walk((variates, size), seed)
    if late % 3 == 0:
        values[0, : min(late, size)] = np.nan
    for variate, start, length in holes:
        values[variate % variates, start : start + length] = np.nan
    return values


def _first_start(values: np.ndarray) -> int | None:
    """The first length at which all variates have an observed value."""
    seen = (~np.isnan(values)).any(axis=1)
    return int((~np.isnan(values)).argmax(axis=1).max()) + 1 if seen.all() else None


@settings(max_examples=40)
@given(
    series_strategy,
    st.sampled_from([1, 3, PATCH, 2 * PATCH]),
    st.sampled_from([None, 4096, 9, 16]),
    st.booleans(),
    st.sampled_from([{}, {"fallback_observations": 6}, {"cap": 0.3}, {"decode_block": PATCH}]),
    st.sampled_from(list(SIZES)),
)
def test_each_day_equals_its_own_context_to_the_bit(
    folders: dict[str, Path],
    values: np.ndarray,
    horizon: int,
    context_length: int | None,
    has_missing: bool,
    options: dict[str, Any],
    size: str,
) -> None:
    start = _first_start(values)
    if start is None:
        return
    if size == "odd":
        options = {key: value for key, value in options.items() if key != "decode_block"}
    model = load(
        folders[size], context_length=context_length, has_missing_values=has_missing, **options
    )
    days = range(start, values.shape[1] + 1)
    if context_length is not None:
        part = [values[:, max(0, day - context_length) : day] for day in days]
        if any(np.isnan(one).all(axis=1).any() for one in part):
            return
    each = quantiles(model.predict_each(values, start, horizon=horizon))
    middle = len(days) // 2  # and from there every alignment of patches
    for i in sorted({0, *range(middle, min(middle + PATCH, len(days))), len(days) - 1}):
        alone = quantiles(model.predict(values[None, :, : days[i]], horizon=horizon))[0]
        np.testing.assert_array_equal(each[i], alone, err_msg=f"day {days[i]} of {values.shape}")


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, PATCH, 2 * PATCH + 1]),
    st.sampled_from([None, PATCH]),
)
def test_a_forecast_does_not_depend_on_what_is_beside_it(
    folder: Path, lengths: list[int], seed: int, horizon: int, decode_block: int | None
) -> None:
    rows = [walk((length,), seed + i) for i, length in enumerate(lengths)]
    for i, row in enumerate(rows):
        if i % 3 == 1 and len(row) > 12:
            row[2:10] = np.nan
    model = load(folder, decode_block=decode_block)
    together = quantiles(model.predict(rows, horizon=horizon))
    for row, found in zip(rows, together, strict=True):
        alone = quantiles(model.predict(row[None], horizon=horizon))[0]
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("max_tokens", [1, 40, 200])
def test_a_forecast_does_not_depend_on_the_size_of_batches(folder: Path, max_tokens: int) -> None:
    rows = [walk((length,), length) for length in range(1, 60)]
    expected = [quantiles(load(folder).predict(rows, horizon=h)) for h in (1, 3 * PATCH)]
    model = load(folder)
    model.batches.max_tokens = max_tokens
    for horizon, whole in zip((1, 3 * PATCH), expected, strict=True):
        np.testing.assert_array_equal(quantiles(model.predict(rows, horizon=horizon)), whole)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 49), st.booleans())
def test_what_comes_later_changes_nothing_before(
    model: Toto2Model, seed: int, variates: int, day: int, missing: bool
) -> None:
    values = walk((variates, 50), seed)
    other = values.copy()
    other[:, day:] = np.nan if missing else 1e6 * walk((variates, 50 - day), seed + 1)
    before = quantiles(model.predict_each(values, 1))[:day]
    np.testing.assert_array_equal(quantiles(model.predict_each(other, 1))[:day], before)


def test_days_share_passes(folder: Path) -> None:
    rows: list[int] = []
    model = load(folder)
    launch = model._launch

    def counted(batch: Any, steps: int) -> Any:
        rows.extend(len(row.ends) for row in batch.rows)
        return launch(batch, steps)

    model._launch = counted  # type: ignore[method-assign]
    values = walk((100,))
    model.predict_each(values, 41)
    assert len(rows) == PATCH
    rows.clear()
    values[60] = np.nan  # in the last patch of so many days
    model.predict_each(values, 41)
    assert len(rows) == 2 * PATCH


def test_values_beyond_float32_become_the_patchs_largest(tmp_path: Path) -> None:
    weights = toto2_weights(TOTO2, 1)
    bias = weights["output_head.param_projection.proj.linear2.bias"].reshape(PATCH, 9)
    bias[1:, 8] += 150 * 4 * TOTO2["d_model"]
    folder = write_checkpoint(tmp_path, TOTO2, weights, 1)
    context = walk((1, 1, 20))
    model = load(folder)
    whole = quantiles(model.predict(context, horizon=PATCH))
    assert (np.isfinite(whole)).all()
    assert (np.abs(whole[..., 8]) < 1e30).all()  # that of the first step, which float32 can hold
    for horizon in (1, 2, 3):
        part = quantiles(model.predict(context, horizon=horizon))
        np.testing.assert_allclose(part, whole[:, :, :horizon], rtol=1e-5)
    bias[:1, 8] += 150 * 4 * TOTO2["d_model"]
    model = load(write_checkpoint(tmp_path / "all", TOTO2, weights, 1))
    assert quantiles(model.predict(context)).max() == np.finfo(np.float32).max


def test_bfloat16_is_near(folder: Path) -> None:
    context = walk((20, 1, 60))
    exact = quantiles(load(folder).predict(context, horizon=PATCH))
    rough = quantiles(load(folder, dtype="bfloat16").predict(context, horizon=PATCH))
    unit = np.hypot(context.std(axis=-1)[..., None, None], exact - exact.mean(-1, keepdims=True))
    error = np.abs(rough - exact) / unit
    assert 0 < error.mean() < 0.01
    assert error.max() < 0.1


def test_bfloat16_is_the_same_in_any_company(folder: Path) -> None:
    model = load(folder, dtype="bfloat16")
    values = walk((70,))
    each = quantiles(model.predict_each(values, 30))
    for i, day in enumerate(range(30, 71)):
        np.testing.assert_array_equal(each[i], quantiles(model.predict(values[None, :day]))[0])


def test_float16_is_refused_on_a_cpu(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="bfloat16"):
        load(folder, dtype="float16")


def test_a_sharded_checkpoint_is_the_same(folder: Path, tmp_path: Path) -> None:
    sharded = load(write_toto2(tmp_path, 0, shards=3))
    context = walk((2, 1, 30))
    expected = quantiles(load(folder).predict(context))
    np.testing.assert_array_equal(quantiles(sharded.predict(context)), expected)


def test_options_are_part_of_the_fingerprint(folder: Path) -> None:
    different: list[dict[str, Any]] = [
        {},
        {"context_length": 100},
        {"has_missing_values": False},
        {"decode_block": PATCH},
        {"decode_block": 2 * PATCH},
        {"fallback_observations": 8},
        {"cap": 1e4},
        {"variates": "joint"},
        {"dtype": "bfloat16"},
    ]
    assert len({load(folder, **options).fingerprint for options in different}) == len(different)


@pytest.mark.parametrize(
    "options",
    [
        {"decode_block": PATCH + 1},
        {"decode_block": 0},
        {"decode_block": 4.0},
        {"fallback_observations": -1},
        {"fallback_observations": 1.5},
        {"cap": -1.0},
        {"cap": float("nan")},
        {"cap": float("inf")},
        {"cap": "1e4"},
        {"has_missing_values": "no"},
        {"context_length": 0},
    ],
)
def test_options_out_of_range_are_refused(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        load(folder, **options)


def test_unknown_options_are_named(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="decode_block"):
        load(folder, decode_blok=PATCH)


@pytest.mark.parametrize(
    "changed",
    [
        {"num_output_patches": 2},
        {"pre_norm": False},
        {"attn_bias": False},
        {"mlp_bias": True},
        {"qk_norm": True},
        {"norm_include_weight": True},
        {"per_dim_scale": False},
        {"use_xpos": False},
        {"dropout_p": 0.1},
        {"layer_group_size": 2},
        {"num_groups": 2},
        {"qk_dim": 6},
        {"norm_eps": 0.0},
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    folder = write_checkpoint(tmp_path, TOTO2 | changed, toto2_weights(TOTO2, 0), 1)
    with pytest.raises(CheckpointError, match="not known"):
        load(folder)


def test_a_key_that_lacks_is_named(tmp_path: Path) -> None:
    config = {key: value for key, value in TOTO2.items() if key != "qk_norm"}
    folder = write_checkpoint(tmp_path, config, toto2_weights(TOTO2, 0), 1)
    with pytest.raises(CheckpointError, match="qk_norm"):
        load(folder)


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    weights = toto2_weights(TOTO2, 0)
    tau = weights.pop("transformer.layers.1.attn_tau")
    weights["transformer.layers.9.attn_tau"] = tau
    weights["patch_proj.linear1.bias"] = np.zeros(3, np.float32)
    model = load(write_checkpoint(tmp_path, TOTO2, weights, 1))
    with pytest.raises(CheckpointError) as caught:
        model.predict(walk((1, 10)))
    for part in ("layers.1.attn_tau", "layers.9.attn_tau", "patch_proj.linear1.bias"):
        assert part in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_toto2(tmp_path / "a", 0, shards=2)
    (tmp_path / "a" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointNotFoundError, match="00002-of-00002"):
        load(tmp_path / "a")
    write_toto2(tmp_path / "b", 0)
    (tmp_path / "b" / "config.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"config\.json"):
        load(tmp_path / "b")


def test_groups_are_as_if_by_themselves(model: Toto2Model) -> None:
    target = walk((2, 4, 6 * PATCH))
    groups = np.array([[0, 0, 1, 1]] * 2)
    found = model.forecast_grouped(target, 5, groups=groups).quantiles
    for part in (slice(0, 2), slice(2, 4)):
        alone = model.forecast_grouped(target[:, part], 5).quantiles
        np.testing.assert_allclose(found[:, part], alone, rtol=1e-5, atol=1e-5)


def test_known_values_of_another_group_change_nothing(model: Toto2Model) -> None:
    target, known = walk((1, 2, 5 * PATCH)), walk((1, 1, 5 * PATCH + 6), 9)
    apart = model.forecast_grouped(target, 6, known=known, known_groups=[[1]]).quantiles
    alone = model.forecast_grouped(target, 6).quantiles
    np.testing.assert_allclose(apart, alone, rtol=1e-5, atol=1e-5)
    beside = model.forecast_grouped(target, 6, known=known).quantiles
    assert np.abs(beside - alone).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": np.zeros((1, 1, 5))}, "whole patches"),
        ({"target": np.zeros((1, 8))}, "batch, variate, time"),
        ({"target": np.full((1, 1, 8), np.nan)}, "finite"),
        ({"target": np.zeros((1, 1, 8)), "mask": np.ones((1, 8))}, "shapes"),
        ({"target": np.zeros((1, 1, 8)), "groups": [[-1]]}, "at least 0"),
        ({"target": np.zeros((1, 1, 8)), "known": np.zeros((1, 1, 8))}, "known"),
    ],
)
def test_grouped_arguments_are_checked(
    model: Toto2Model, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        model.forecast_grouped(**arguments, horizon=2)
