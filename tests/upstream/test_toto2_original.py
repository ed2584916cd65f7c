"""Our Toto 2.0 equals the original, on random weights of small, odd and official sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upstream_cases import QUANTILES, VARIATES, assert_near, days, leading_gap, series
from upstream_worker import TOTO2_4M, TOTO2_22M, Ask, toto2_config

import marketsim as ms

pytestmark = pytest.mark.upstream

SMALL = toto2_config(
    d_model=48, d_ff=128, num_heads=3, num_layers=4, layer_group_size=4, patch_size=8
) | {"qk_dim": 16, "v_dim": 16}
# Heads share keys, values have a width of their own, two groups whose variate layers come first.
ODD = toto2_config(
    d_model=60, d_ff=100, num_heads=4, num_layers=4, layer_group_size=2, patch_size=6
) | {
    "heads_per_group": 2,
    "norm_eps": 5e-4,
    "num_groups": 2,
    "qk_dim": 12,
    "v_dim": 20,
    "variate_layer_first": True,
}
CONFIGS = {"small": SMALL, "odd": ODD, "4m": TOTO2_4M, "22m": TOTO2_22M}


def shapes(patch: int, size: str) -> dict[str, tuple[int, ...]]:
    """Shapes of contexts by name: lengths that are and are not whole patches, several variates."""
    if size == "22m":
        return {"200 steps": (2, 1, 200), "4 variates": (1, 4, 320)}
    return {
        "one step": (1, 1, 1),
        "below a patch": (2, 1, patch - 3),
        "one patch": (1, 1, patch),
        "whole patches": (3, 1, 5 * patch),
        "part of a patch": (5, 1, 6 * patch + 1),
        "many": (2, 1, 21 * patch - 1),
        "4 variates": (2, 4, 5 * patch + 3),
        "3 whole": (1, 3, 4 * patch),
    }


def masks(patch: int) -> dict[str, np.ndarray]:
    """Masks by name: values not observed at the start, here and there, whole patches, the end."""
    whole, lengths = leading_gap((2, 1, 6 * patch), [0]), (1, 3, 6 * patch)
    whole[:, :, 2 * patch : 3 * patch] = False
    end = leading_gap((1, 1, 5 * patch), [0])
    end[..., -3:] = False
    scattered = np.random.default_rng(3).random(lengths) < 0.8
    return {
        "gaps": leading_gap(lengths, [0, 3, 2 * patch]),
        "a patch missing": whole,
        "the end missing": end,
        "scattered": scattered,
    }


def runs(patch: int) -> list[dict[str, Any]]:
    """What the original is asked of each context: horizons at once, the last in blocks too."""
    far = 2 * patch + 3
    found = [{"key": f"q_h{horizon}", "horizon": horizon} for horizon in (1, patch, far)]
    return [*found, {"key": "q_blocks", "horizon": far, "decode_block_size": patch}]


class Case:
    """One size's checkpoint, its contexts, and what the original answers to them."""

    def __init__(self, size: str, folder: Path, ask: Ask) -> None:
        config = CONFIGS[size]
        self.folder, self.patch = folder, config["patch_size"]
        ask("toto2-make", folder=folder, config=config, seed=12)
        self.contexts = {
            name: series(shape, seed)
            for seed, (name, shape) in enumerate(shapes(self.patch, size).items())
        }
        self.masks = masks(self.patch)
        for seed, (name, mask) in enumerate(self.masks.items()):
            self.contexts[name] = series(mask.shape, 100 + seed)
        asked = [{"name": name, "runs": runs(self.patch)} for name in self.contexts]
        arrays = {f"{name}/target": values for name, values in self.contexts.items()}
        arrays |= {f"{name}/target_mask": mask for name, mask in self.masks.items()}
        self.days = days(self.patch)
        for name, row in self.days.items():
            asked.append({"name": name, "runs": [{"key": "q", "horizon": 1}]})
            arrays[f"{name}/target"] = row
        self.theirs = ask("toto2-forecast", folder=folder, cases=asked, arrays=arrays)

    def check(self, name: str, found: Any, key: str) -> None:
        """The forecast of a context equals the original's."""
        assert_quantiles_near(found, self.theirs, name, key)


def assert_quantiles_near(found: Any, theirs: dict[str, Any], name: str, key: str) -> None:
    """Quantiles are near in the unit that the head's rounding has after the sinh."""
    values = np.moveaxis(theirs[f"{name}/{key}"], 0, -1)
    loc, scale = (theirs[f"{name}/{part}"][..., None, None] for part in ("loc", "scale"))
    unit = np.hypot(scale, values - loc)  # scale * cosh(q), where value = loc + scale * sinh(q)
    ours = np.asarray(found.quantile(QUANTILES)).reshape(values.shape)
    assert_near(ours, values, unit, f"{name}, {key}")


@pytest.fixture(
    scope="module",
    params=[pytest.param(s, marks=pytest.mark.slow if s == "22m" else ()) for s in CONFIGS],
)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Ask
) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("toto2"), upstream)


def test_quantiles_equal_the_original(case: Case) -> None:
    model = ms.load_model(case.folder)
    for name, contexts in case.contexts.items():
        for run in runs(case.patch)[:-1]:
            found = model.predict(contexts, horizon=run["horizon"], mask=case.masks.get(name))
            assert np.shape(found.mean) == (*contexts.shape[:2], run["horizon"])
            case.check(name, found, run["key"])


def test_decoding_in_blocks_equals_the_original(case: Case) -> None:
    model = ms.load_model(case.folder, decode_block=case.patch)
    for name, contexts in case.contexts.items():
        horizon = 2 * case.patch + 3
        found = model.predict(contexts, horizon=horizon, mask=case.masks.get(name))
        case.check(name, found, "q_blocks")


def test_a_list_of_contexts_equals_each_alone(case: Case) -> None:
    model = ms.load_model(case.folder)
    names = [name for name, values in case.contexts.items() if values.shape[1] == 1]
    names = [name for name in names if name not in case.masks]
    rows = [row for name in names for row in case.contexts[name][:, 0]]
    found = model.predict(rows, horizon=case.patch)
    joined = {
        f"all/{key}": np.concatenate([case.theirs[f"{n}/{key}"] for n in names], axis=axis)
        for key, axis in ((f"q_h{case.patch}", 1), ("loc", 0), ("scale", 0))
    }
    assert_quantiles_near(found, joined, "all", f"q_h{case.patch}")


@pytest.mark.parametrize("variates", VARIATES)
def test_each_day_equals_the_original_on_the_days_before(case: Case, variates: int) -> None:
    names = [name for name in case.days if name.startswith(f"{variates} variates")]
    longest, start = case.days[names[-1]][0], case.days[names[0]].shape[-1]
    model = ms.load_model(case.folder)
    found = model.predict_each(longest[0] if variates == 1 else longest, start)
    joined = {
        f"days/{key}": np.concatenate([case.theirs[f"{n}/{key}"] for n in names], axis=axis)
        for key, axis in (("q", 1), ("loc", 0), ("scale", 0))
    }
    assert_quantiles_near(found, joined, "days", "q")
