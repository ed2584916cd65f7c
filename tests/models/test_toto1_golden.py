"""Toto 1.0 gives what the original gave, for every case that was kept of it.

The cases live outside the repository; without them the comparisons with the readable reference in
test_toto1.py remain.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import golden_folder, why_missing
from toto1_cases import load, parameters

from marketsim.models import StudentTMixture
from marketsim.models.toto1.scaler import patch_scales, scaled_patches

FOLDER = golden_folder("toto1")

pytest.importorskip("torch")
if not FOLDER.is_dir():
    pytest.skip(why_missing(FOLDER), allow_module_level=True)

MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
INPUTS = np.load(FOLDER / "inputs.npz")
OUTPUTS = np.load(FOLDER / "outputs.npz")
PATCH = MANIFEST["patch_size"]
CASES = {c["name"]: c["args"] for c in MANIFEST["cases"] if "horizons" in c["args"]}
NAMES = sorted({key.split("/")[1] for key in OUTPUTS.files})
RUNS = [
    pytest.param(name, horizon, cache, id=f"{name}-h{horizon}-{cache}")
    for name, args in CASES.items()
    for horizon in args["horizons"]
    for cache in ("kv", "nokv")
]


def test_every_kept_array_has_a_test() -> None:
    scalers = {"scaler_scaled", "scaler_loc_patch", "scaler_scale_patch"}
    mixtures = {"df", "comp_loc", "comp_scale", "logits", "mean_next_patch", "mean_all_patches"}
    quantiles = {"quantiles_next_patch_f64", "samples_h1", "sample_mean", "exact_quantiles_f64"}
    runs = {f"gen_mean_h{h}_{cache}" for h in (1, 8, 11, 26) for cache in ("kv", "nokv")}
    assert set(NAMES) == scalers | mixtures | quantiles | runs
    assert len(CASES) == len(MANIFEST["cases"]) - 1


def given(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(series, mask, groups) of a case, [batch, variate, time] and [variate]."""
    ids = INPUTS[f"{name}/id_mask"]
    assert (ids == ids[:1, :, :1]).all()
    return INPUTS[f"{name}/series"], INPUTS[f"{name}/padding_mask"], ids[0, :, 0]


def forecast(name: str, horizon: int, *, folder: Path = FOLDER, **options: Any) -> StudentTMixture:
    """Forecasts of a case; variates of another group are series of their own."""
    series, mask, groups = given(name)
    model = load(folder, **options)
    made: np.ndarray | None = None
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        part = parameters(model.predict(series[:, mine], horizon=horizon, mask=mask[:, mine]))
        made = np.empty((*series.shape[:2], *part.shape[2:])) if made is None else made
        made[:, mine] = part
    assert made is not None
    return StudentTMixture(*np.split(made, 4, axis=-1))


def last(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale [batch, variate, 1] that the next patch is forecast in."""
    return (
        OUTPUTS[f"{name}/scaler_loc_patch"][..., -1:].astype(np.float64),
        OUTPUTS[f"{name}/scaler_scale_patch"][..., -1:].astype(np.float64),
    )


def reach(name: str) -> float:
    return max(1.0, float(np.abs(OUTPUTS[f"{name}/scaler_scaled"]).max()))


@pytest.mark.parametrize(("name", "horizon", "cache"), RUNS)
def test_means_equal_the_original(name: str, horizon: int, cache: str) -> None:
    found = forecast(name, horizon, decoding="cached" if cache == "kv" else "exact").mean
    expected = OUTPUTS[f"{name}/gen_mean_h{horizon}_{cache}"].astype(np.float64)
    unit = last(name)[1]
    # Beyond a patch, what float32 resolves of a level is passed on.
    level = np.spacing(np.abs(given(name)[0]).max())
    rounding = 4 * np.spacing(np.abs(expected).astype(np.float32)) + (horizon > PATCH) * 32 * level
    assert (np.abs(found - expected) <= 5e-5 * unit * reach(name) + rounding).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weights", ["model", "model_unfused_names"])
def test_mixtures_equal_the_original(tmp_path: Path, name: str, weights: str) -> None:
    shutil.copy(FOLDER / "config.json", tmp_path)
    shutil.copy(FOLDER / f"{weights}.safetensors", tmp_path / "model.safetensors")
    found = forecast(name, PATCH, folder=tmp_path)
    loc, scale = (part[..., None] for part in last(name))
    logits = OUTPUTS[f"{name}/logits"].astype(np.float64)
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    slack = 5e-5 * reach(name)
    for ours, theirs in (
        (found.df, OUTPUTS[f"{name}/df"]),
        ((found.loc - loc) / scale, OUTPUTS[f"{name}/comp_loc"]),
        (found.scale / scale, OUTPUTS[f"{name}/comp_scale"]),
        (found.weights, share / share.sum(axis=-1, keepdims=True)),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=slack)
    expected = OUTPUTS[f"{name}/mean_next_patch"].astype(np.float64)
    bound = slack * scale[..., 0] + 4 * np.spacing(np.abs(expected).astype(np.float32))
    assert (np.abs(found.mean - expected) <= bound).all()


@pytest.mark.parametrize("name", [n for n in CASES if f"{n}/mean_all_patches" in OUTPUTS])
def test_all_patches_equal_the_original_from_one_pass(name: str) -> None:
    """Its forward pass gives at each patch what `predict_each` gives on that day."""
    series, mask, _ = given(name)
    expected = OUTPUTS[f"{name}/mean_all_patches"].astype(np.float64)
    expected = np.moveaxis(expected.reshape(*expected.shape[:2], -1, PATCH), 2, 1)
    unit = np.moveaxis(OUTPUTS[f"{name}/scaler_scale_patch"], 2, 1)[..., None]
    first = series.shape[-1] % PATCH or PATCH
    model = load(FOLDER)
    for batch, one in enumerate(series):
        if mask.all():
            made = model.predict_each(one, first, horizon=PATCH).mean[::PATCH]
        else:  # at least one value must be observed
            first = (int(mask[batch].argmax()) // PATCH + 1) * PATCH
            made = np.concatenate(
                [
                    model.predict(one[None, :, :end], horizon=PATCH, mask=mask[:, :, :end]).mean
                    for end in range(first, one.shape[-1] + 1, PATCH)
                ]
            )
        theirs = expected[batch, -len(made) :]
        assert len(made) == -(-(one.shape[-1] - first) // PATCH) + 1
        bound = 5e-5 * reach(name) * unit[batch, -len(made) :]
        assert (np.abs(made - theirs) <= bound + 4 * np.spacing(np.abs(theirs))).all()


@pytest.mark.parametrize("name", CASES)
def test_scales_equal_the_original(name: str) -> None:
    series, mask, _ = given(name)
    before = ((0, 0), (0, 0), (-series.shape[-1] % PATCH, 0))
    values, observed = np.pad(series, before), np.pad(mask, before)
    location, scale = patch_scales(values, observed, PATCH, 10.0)
    np.testing.assert_allclose(location, OUTPUTS[f"{name}/scaler_loc_patch"], rtol=1e-6)
    np.testing.assert_allclose(scale, OUTPUTS[f"{name}/scaler_scale_patch"], rtol=1e-6)
    found = scaled_patches(values, location, scale, PATCH).reshape(values.shape)
    level = np.spacing(np.abs(values).max()) / scale.min()
    np.testing.assert_allclose(
        found, OUTPUTS[f"{name}/scaler_scaled"], rtol=1e-6, atol=1e-6 + level
    )


@pytest.mark.parametrize("name", [n for n, args in CASES.items() if args["quantile_levels"]])
def test_quantiles_equal_those_of_the_originals_mixture(name: str) -> None:
    found = forecast(name, PATCH).quantile(CASES[name]["quantile_levels"])
    expected = OUTPUTS[f"{name}/quantiles_next_patch_f64"]
    unit = last(name)[1][..., None]
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= 5e-5 * reach(name) * unit).all()


def test_samples_of_the_original_are_draws_of_the_forecast() -> None:
    args = next(c["args"] for c in MANIFEST["cases"] if c["name"] == "samples_h1")
    found = load(FOLDER).predict(INPUTS["samples_h1/series"])
    samples = np.sort(OUTPUTS["samples_h1/samples_h1"].reshape(-1)).astype(np.float64)
    assert len(samples) == args["num_samples"]
    exact = OUTPUTS["samples_h1/exact_quantiles_f64"].reshape(-1)
    levels = np.array(args["quantile_levels"])
    np.testing.assert_allclose(found.quantile(levels).reshape(-1), exact, rtol=0, atol=1e-4)
    # Kolmogorov and Smirnov's distance: 1.63 / sqrt(n) is exceeded once in a hundred times.
    tall = StudentTMixture(*(part[0, 0].repeat(len(samples), 0) for part in mixture_parts(found)))
    steps = np.arange(len(samples) + 1) / len(samples)
    probability = tall.cdf(samples)
    distance = max((probability - steps[:-1]).max(), (steps[1:] - probability).max())
    assert distance < 1.63 / np.sqrt(len(samples))
    error = float(found.std[0, 0, 0]) / np.sqrt(len(samples))
    assert abs(OUTPUTS["samples_h1/sample_mean"].item() - found.mean.item()) < 4 * error


def mixture_parts(found: Any) -> list[np.ndarray]:
    assert isinstance(found, StudentTMixture)
    return [found.df, found.loc, found.scale, found.weights]
