"""Toto 1.0 on random weights equals a readable reference, whatever the sizes and the contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import TOTO1, toto1_weights, write_checkpoint

pytest.importorskip("torch")

from toto1_cases import PATCH, SIZES, contexts, load, parameters, sharp_weights, walk, write_size
from toto1_reference import Mixtures, Toto1Reference

from marketsim.errors import ArgumentError, CheckpointError, UnknownNameError
from marketsim.models import StudentTMixture


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {size: write_size(tmp_path_factory.mktemp("toto1"), size) for size in SIZES}


def assert_near(
    found: StudentTMixture, expected: Mixtures, context: np.ndarray, patch: int
) -> None:
    """Within 5e-5 of what the network was given, and what float32 resolves of the level.

    Beyond a patch, where the network is given what it got wrong before, within four times that.
    """
    reach = max(1.0, expected.reach) * (1 if expected.mean.shape[-1] <= patch else 4)
    # Values that are appended are rounded to float32, and what is added to a level, too.
    level = np.spacing(np.nanmax(np.abs(context)).astype(np.float32))
    rounding = 8 * level / expected.unit.min()
    slack = 5e-5 * reach + rounding
    unit, centre = expected.unit[..., None], expected.centre[..., None]
    for name, ours, theirs in (
        ("mean", (found.mean - expected.centre) / expected.unit, None),
        ("df", found.df, expected.df),
        ("loc", (found.loc - centre) / unit, expected.loc),
        ("scale", found.scale / unit, expected.scale),
        ("weights", found.weights, expected.weights),
    ):
        target = (expected.mean - expected.centre) / expected.unit if theirs is None else theirs
        assert ours.shape == target.shape, name
        worst = np.abs(ours - target).max()
        allowed = slack * max(1.0, np.abs(target).max() / reach)
        assert worst <= allowed, f"{name} is off by {worst:.3g} where {allowed:.3g} is allowed"


# The cache is the same code for all sizes.
@pytest.mark.parametrize(
    ("size", "decoding"),
    [*((size, "exact") for size in SIZES), ("plain", "cached"), ("mixed", "cached")],
)
@pytest.mark.parametrize("name", contexts())
def test_forecasts_equal_the_reference(
    folders: dict[str, Path], size: str, name: str, decoding: str
) -> None:
    context = contexts()[name]
    model = load(folders[size], decoding=decoding)
    far = 2 * model.patch + 1
    whole = Toto1Reference(folders[size]).forecast(context, far, cached=decoding == "cached")
    for horizon in (1, far):
        found = model.predict(context[None], horizon=horizon)
        assert isinstance(found, StudentTMixture)
        made = parameters(found)[0]
        assert made.shape == (len(context), horizon, 4 * model.components)
        mine = StudentTMixture(*np.split(made, 4, axis=-1))
        part = Mixtures(*(field[:, :horizon] for field in whole[:-1]), whole.reach)
        assert_near(mine, part, context, model.patch)


def test_the_cache_changes_what_is_decoded(folders: dict[str, Path]) -> None:
    context = walk((1, 1, 8 * PATCH))
    exact, cached = (
        parameters(load(folders["plain"], decoding=kind).predict(context, horizon=3 * PATCH))
        for kind in ("exact", "cached")
    )
    near, far = exact[:, :, :PATCH], exact[:, :, PATCH:]
    np.testing.assert_allclose(cached[:, :, :PATCH], near, rtol=1e-4, atol=1e-4)
    assert np.abs(cached[:, :, PATCH:] - far).max() > 1e-3


@pytest.mark.parametrize("junk", [0.0, -7.5, 1e4])
def test_a_mask_leaves_values_out_of_the_scale_alone(folders: dict[str, Path], junk: float) -> None:
    context, mask = walk((2, 22)), np.ones((2, 22), dtype=bool)
    mask[0, :3] = mask[0, [9, 10, 21]] = mask[1, 4:9] = False
    context[~mask] = junk
    found = load(folders["mixed"]).predict(context[None], mask=mask[None], horizon=PATCH + 2)
    expected = Toto1Reference(folders["mixed"]).forecast(context, PATCH + 2, mask=mask)
    mine = StudentTMixture(*np.split(parameters(found)[0], 4, axis=-1))
    assert_near(mine, expected, context, PATCH)
    unmasked = load(folders["mixed"]).predict(context[None], horizon=PATCH + 2)
    assert np.abs(parameters(unmasked) - parameters(found)).max() > 1e-3


def test_only_the_last_values_count_where_a_context_is_longer(folders: dict[str, Path]) -> None:
    rows = [walk((size,), size) for size in (5, 13, 14, 40)]
    short = load(folders["plain"], context_length=13).predict(rows)
    cut = load(folders["plain"], context_length=None).predict([row[-13:] for row in rows])
    np.testing.assert_array_equal(parameters(short), parameters(cut))


def plain_names(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The spelling of checkpoints that were written where nothing is fused."""
    return {
        name.replace("mlp.0.w12", "mlp.0").replace("mlp.0.w3", "mlp.2"): array
        for name, array in weights.items()
    }


def test_all_spellings_are_one_model(folders: dict[str, Path], tmp_path: Path) -> None:
    weights = sharp_weights(TOTO1, 5)
    freqs = {
        "model.transformer.rotary_emb.freqs": np.zeros(4, np.float32),
        "model.transformer.layers.0.attention.rotary_emb.freqs": np.ones(4, np.float32),
    }
    optional = ("dropout", "use_memory_efficient_attention")
    small = {key: value for key, value in TOTO1.items() if key not in optional}
    variants = {
        "plain": write_checkpoint(tmp_path / "a", TOTO1, plain_names(weights), 1),
        "freqs": write_checkpoint(tmp_path / "b", TOTO1, weights | freqs, 1),
        "sharded": write_checkpoint(tmp_path / "c", TOTO1, weights, 3),
        "few keys": write_checkpoint(tmp_path / "d", small, weights, 1),
        "more keys": write_checkpoint(tmp_path / "e", TOTO1 | {"new": 1}, weights, 1),
    }
    context = walk((3, 2, 26))
    expected = parameters(load(folders["plain"]).predict(context, horizon=PATCH + 1))
    for name, folder in variants.items():
        found = parameters(load(folder).predict(context, horizon=PATCH + 1))
        np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("width", [float, np.float16])
def test_weights_of_another_width_are_read_as_float32(tmp_path: Path, width: Any) -> None:
    rounded = {name: w.astype(np.float16) for name, w in toto1_weights(TOTO1, 5).items()}
    given = {name: w.astype(width) for name, w in rounded.items()}
    exact = {name: w.astype(np.float32) for name, w in rounded.items()}
    context = walk((1, 1, 26))
    found = load(write_checkpoint(tmp_path / "a", TOTO1, given, 1)).predict(context)
    expected = load(write_checkpoint(tmp_path / "b", TOTO1, exact, 1)).predict(context)
    np.testing.assert_array_equal(parameters(found), parameters(expected))


def test_what_lacks_in_a_config_is_as_in_the_original(tmp_path: Path) -> None:
    """Its defaults: a layer across variates comes first, and the clamp has exponent 10."""
    keys = ("spacewise_first", "stabilize_with_global", "scale_factor_exponent")
    config = {key: value for key, value in TOTO1.items() if key not in keys}
    model = load(write_checkpoint(tmp_path, config, toto1_weights(TOTO1, 5), 1))
    assert model.config.across == (True, False, False)
    assert model.config.clamp_exponent == 10.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"output_distribution_classes": ["<class 'model.distribution.StudentTOutput'>"]}, "mixt"),
        ({"output_distribution_classes": []}, "mixture"),
        ({"scaler_cls": "<class 'model.scaler.StdMeanScaler'>"}, "scaler_cls"),
        ({"stride": 2}, "stride"),
        ({"num_heads": 5}, "5 heads"),
        ({"num_heads": 0}, "below 1"),
        ({"num_layers": 0}, "below 1"),
        ({"num_layers": 4}, "does not divide"),
        ({"spacewise_every_n_layers": 0}, "does not divide"),
        ({"spacewise_every_n_layers": -2}, "does not divide"),
        ({"output_distribution_kwargs": {"k_components": 0}}, "below 1"),
        ({"output_distribution_kwargs": {}}, "k_components"),
        ({"output_distribution_kwargs": None}, "understood"),
        ({"embed_dim": "wide"}, "understood"),
        ({"scale_factor_exponent": 400}, "scale_factor_exponent"),
        ({"scale_factor_exponent": -1.0}, "scale_factor_exponent"),
        ({"target_variate_label": "target"}, "target_variate_label"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    folder = write_checkpoint(tmp_path, TOTO1 | changed, toto1_weights(TOTO1, 0), 1)
    with pytest.raises(CheckpointError, match=words) as caught:
        load(folder)
    assert tmp_path.name in str(caught.value)


@pytest.mark.parametrize("key", ["embed_dim", "stride", "scaler_cls", "num_layers"])
def test_a_key_that_lacks_is_named(tmp_path: Path, key: str) -> None:
    config = {name: value for name, value in TOTO1.items() if name != key}
    folder = write_checkpoint(tmp_path, config, toto1_weights(TOTO1, 0), 1)
    with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
        load(folder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decoding": "fast"}, "exact, cached"),
        ({"variates": "all"}, "independent, joint"),
        ({"context": 5}, "context_length"),
    ],
)
def test_unknown_options_are_named(
    folders: dict[str, Path], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnknownNameError, match=words):
        load(folders["plain"], **options)


@pytest.mark.parametrize("length", [0, -1, 2.0, True, "long"])
def test_a_context_length_is_a_whole_number(folders: dict[str, Path], length: Any) -> None:
    with pytest.raises(ArgumentError, match="context_length"):
        load(folders["plain"], context_length=length)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ([[1.0, np.inf, 2.0]], "infinite"),
        ([[np.nan, np.nan]], "no observed"),
        ([[1.0, 1e39]], "float32"),
        ([[3e38, -3e38] * 6], "float32"),
    ],
)
def test_contexts_that_cannot_be_forecast_are_refused(
    folders: dict[str, Path], context: Any, words: str
) -> None:
    model = load(folders["plain"])
    with pytest.raises(ArgumentError, match=words):
        model.predict(context)
    with pytest.raises(ArgumentError, match=words):
        model.predict_each(context[0], len(context[0]))


@pytest.mark.parametrize("horizon", [1, PATCH, 3 * PATCH + 1])
def test_the_largest_values_are_forecast(folders: dict[str, Path], horizon: int) -> None:
    largest = 8.5e37
    for context in ([largest, -largest] * 6, [largest] * 12, [0.0] * 11 + [largest]):
        found = load(folders["plain"]).predict([context], horizon=horizon)
        assert np.isfinite(found.mean).all() and np.isfinite(found.quantile([0.1, 0.9])).all()


def test_bfloat16_is_near(folders: dict[str, Path]) -> None:
    context = walk((20, 1, 60))
    exact = load(folders["plain"]).predict(context, horizon=PATCH)
    rough = load(folders["plain"], dtype="bfloat16").predict(context, horizon=PATCH)
    error = np.abs(rough.mean - exact.mean) / exact.std
    assert 0 < error.mean() < 0.02
    assert error.max() < 0.5
