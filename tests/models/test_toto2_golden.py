"""Toto 2.0 gives what the original gave, for every case that was kept of it.

The cases live outside the repository; without them the comparisons with the readable reference in
test_toto2.py remain.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden import golden_folder, why_missing

import marketsim as ms
from marketsim.models.toto2.model import Toto2Model

FOLDER = golden_folder("toto2")

pytest.importorskip("torch")
if not FOLDER.is_dir():
    pytest.skip(why_missing(FOLDER), allow_module_level=True)

MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
INPUTS = np.load(FOLDER / "inputs.npz")
OUTPUTS = np.load(FOLDER / "outputs.npz")
RUNS = [
    pytest.param(case["name"], run, id=f"{case['name']}-{run['key']}")
    for case in MANIFEST["cases"]
    for run in case["args"].get("runs", ())
]
# Runs that the public call repeats: the network below is the same.
FIRST = {
    case["name"]: case["args"]["runs"][0] for case in MANIFEST["cases"] if "runs" in case["args"]
}
CASES = [case["name"] for case in MANIFEST["cases"] if f"{case['name']}/fwd_loc_patch" in OUTPUTS]
LEVELS = [round(0.1 * i, 1) for i in range(1, 10)]


def load(run: dict[str, Any]) -> Toto2Model:
    model = ms.load_model(
        FOLDER,
        has_missing_values=run["has_missing_values"],
        decode_block=run["decode_block_size"],
        fallback_observations=run.get("scaler_fallback_min_obs", 0),
        cap=run.get("quantile_real_cap_k", 0.0),
    )
    assert isinstance(model, Toto2Model)
    return model


def arrays(name: str) -> dict[str, np.ndarray]:
    return {key.split("/")[1]: INPUTS[key] for key in INPUTS.files if key.split("/")[0] == name}


def last_units(given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale [batch, variate] at the end of the contexts, the last patch observed."""
    patch = MANIFEST["patch_size"]
    x, observed = given["target"].astype(np.float64), given["target_mask"].copy()
    observed[..., -patch:] = True
    mean = np.nanmean(np.where(observed, x, np.nan), axis=-1)
    std = np.nanstd(np.where(observed, x, np.nan), axis=-1, ddof=1)
    return mean, np.maximum(std, 1e-6)


def assert_quantiles_near(found: np.ndarray, expected: np.ndarray, given: Any) -> float:
    """Compare [batch, variate, horizon, level]; the head's rounding grows with the sinh."""
    location, scale = (part[..., None, None] for part in last_units(given))
    # scale * cosh(q), where the value is loc + scale * sinh(q)
    unit = np.hypot(scale, expected - location)
    bound = 5e-5 * unit + 4 * np.spacing(np.abs(expected).astype(np.float32))
    excess = np.abs(found - expected) / bound
    assert excess.max() <= 1.0
    return float(excess.max())


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_forecasts_equal_the_original(name: str, run: dict[str, Any], record_property: Any) -> None:
    given = arrays(name)
    model = load(run)
    found = model.forecast_grouped(
        given["target"],
        run["horizon"],
        mask=given["target_mask"],
        groups=given["series_ids"],
        known=given.get("known_dynamic"),
        known_mask=given.get("known_dynamic_mask"),
        known_groups=given.get("known_dynamic_series_ids"),
    )
    expected = np.moveaxis(OUTPUTS[f"{name}/{run['key']}"].astype(np.float64), 0, -1)
    record_property("excess", assert_quantiles_near(found.quantiles, expected, given))
    single = (given["series_ids"] == given["series_ids"][:, :1]).all()
    if run is FIRST[name] and single and "known_dynamic" not in given:
        public = model.predict(given["target"], horizon=run["horizon"], mask=given["target_mask"])
        assert_quantiles_near(np.asarray(public.quantile(LEVELS)), expected, given)


@pytest.mark.parametrize("name", CASES)
def test_scales_equal_the_original(name: str) -> None:
    from marketsim.models.toto2.scaler import network_patches, patch_units

    patch = MANIFEST["patch_size"]
    given = arrays(name)
    units = patch_units(given["target"], given["target_mask"], patch, 0, 0.0)
    for ours, theirs in ((units.location, "fwd_loc_patch"), (units.scale, "fwd_scale_patch")):
        np.testing.assert_allclose(ours, OUTPUTS[f"{name}/{theirs}"], rtol=1e-6, atol=1e-12)
    made = network_patches(given["target"], given["target_mask"], units, patch)[..., :patch]
    flat = made.reshape(given["target"].shape)
    np.testing.assert_allclose(flat, OUTPUTS[f"{name}/scaled_asinh"], rtol=2e-5, atol=2e-6)
