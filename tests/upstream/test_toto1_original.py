"""Our Toto 1.0 equals the original, on random weights of small, odd and official sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from upstream_cases import VARIATES, assert_near, days, leading_gap, series
from upstream_worker import TOTO1_BASE, Ask

import marketsim as ms

pytestmark = pytest.mark.upstream

SMALL = TOTO1_BASE | {
    "embed_dim": 32,
    "mlp_hidden_dim": 64,
    "num_heads": 4,
    "num_layers": 3,
    "output_distribution_kwargs": {"k_components": 5},
    "patch_size": 8,
    "spacewise_every_n_layers": 3,
    "stride": 8,
}
# Nothing is a power of two, variate layers are many and come first, no global clamp.
ODD = SMALL | {
    "embed_dim": 42,
    "mlp_hidden_dim": 50,
    "num_heads": 3,
    "num_layers": 4,
    "output_distribution_kwargs": {"k_components": 3},
    "patch_size": 6,
    "spacewise_every_n_layers": 2,
    "spacewise_first": True,
    "stabilize_with_global": False,
    "stride": 6,
}
TIME_ONLY = SMALL | {"spacewise_every_n_layers": -1}
CONFIGS = {
    "small": (SMALL, "fused"),
    "small, plain names": (SMALL, "plain"),
    "odd": (ODD, "fused"),
    "time only": (TIME_ONLY, "fused"),
    "official": (TOTO1_BASE, "fused"),
}


def shapes(patch: int, size: str) -> dict[str, tuple[int, ...]]:
    """Shapes of contexts by name: lengths that are and are not whole patches, several variates."""
    if size == "official":
        return {"200 steps": (2, 1, 200), "130 steps": (1, 1, 130), "4 variates": (1, 4, 320)}
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
    """Masks by name: leading values that are not real, per variate and beyond a whole patch."""
    return {
        "gap": leading_gap((2, 1, 5 * patch + 2), [patch + 3]),
        "gaps": leading_gap((1, 3, 5 * patch), [0, 3, 2 * patch]),
    }


class Case:
    """One size's checkpoint, its contexts, and what the original answers to them."""

    def __init__(self, size: str, folder: Path, ask: Ask) -> None:
        config, spelling = CONFIGS[size]
        self.folder, self.patch = folder, config["patch_size"]
        self.horizons = (1, self.patch, 2 * self.patch + 3)
        ask("toto1-make", folder=folder, config=config, seed=11, spelling=spelling)
        self.contexts = {
            name: series(shape, seed)
            for seed, (name, shape) in enumerate(shapes(self.patch, size).items())
        }
        self.masks = masks(self.patch)
        for seed, (name, mask) in enumerate(self.masks.items()):
            self.contexts[name] = series(mask.shape, 100 + seed)
        asked = [{"name": name, "horizons": self.horizons} for name in self.contexts]
        arrays = {f"{name}/series": values for name, values in self.contexts.items()}
        arrays |= {f"{name}/padding_mask": mask for name, mask in self.masks.items()}
        self.days = days(self.patch)
        for name, row in self.days.items():
            asked.append({"name": name, "horizons": [1]})
            arrays[f"{name}/series"] = row
        self.theirs = ask("toto1-forecast", folder=folder, cases=asked, arrays=arrays)

    def of(self, name: str, key: str) -> Any:
        """The original's array of a context."""
        return self.theirs[f"{name}/{key}"]


@pytest.fixture(
    scope="module",
    params=[pytest.param(s, marks=pytest.mark.slow if s == "official" else ()) for s in CONFIGS],
)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Ask
) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("toto1"), upstream)


@pytest.mark.parametrize("cache", [False, True], ids=["no cache", "cache"])
def test_means_equal_the_original(case: Case, cache: bool) -> None:
    model = ms.load_model(case.folder, decoding="cached" if cache else "exact")
    for name, contexts in case.contexts.items():
        for horizon in case.horizons:
            found = model.predict(contexts, horizon=horizon, mask=case.masks.get(name))
            theirs = case.of(name, f"mean_h{horizon}_{'kv' if cache else 'nokv'}")
            unit = case.of(name, "patch_scale")[..., None]
            assert_near(found.mean, theirs, unit, f"{name}, {horizon} ahead")


def test_quantiles_are_those_of_the_originals_mixture(case: Case) -> None:
    model = ms.load_model(case.folder)
    levels = np.array([0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999])
    for name, contexts in case.contexts.items():
        found = model.predict(contexts, horizon=case.patch, mask=case.masks.get(name))
        loc, scale = (case.of(name, f"patch_{part}")[..., None, None] for part in ("loc", "scale"))
        ours = (np.asarray(found.quantile(levels), np.float64) - loc) / scale
        # What float32 resolves of a level far from 0, in units of scale.
        resolved = 1e-4 + 4 * np.spacing(np.abs(loc).astype(np.float32)) / scale
        slack = resolved * np.maximum(1, np.abs(ours))
        below, above = (mixture_cdf(case, name, ours + side * slack) for side in (-1, 1))
        assert (below <= levels).all() and (levels <= above).all(), name


def mixture_cdf(case: Case, name: str, points: np.ndarray) -> np.ndarray:
    """The original's distribution function, in scaled units: [batch, variate, step, level]."""
    df, loc, scale, logits = (
        case.of(name, key).astype(np.float64)[..., None, :]
        for key in ("df", "loc", "scale", "logits")
    )
    parts = stats.t.cdf((points[..., None] - loc) / scale, df)
    return (special.softmax(logits, axis=-1) * parts).sum(axis=-1)


def test_std_is_that_of_the_originals_mixture(case: Case) -> None:
    model = ms.load_model(case.folder)
    for name, contexts in case.contexts.items():
        found = model.predict(contexts, horizon=case.patch, mask=case.masks.get(name))
        df, loc, scale, logits = (
            case.of(name, key).astype(np.float64) for key in ("df", "loc", "scale", "logits")
        )
        weights = special.softmax(logits, axis=-1)
        mean = (weights * loc).sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore"):
            spread = scale**2 * df / (df - 2)
        variance = (weights * (spread + (loc - mean) ** 2)).sum(axis=-1)
        theirs = np.sqrt(variance) * case.of(name, "patch_scale")[..., None]
        # Below, float32 rounds 2 + softplus so coarsely, down to 2 itself, that the variance of
        # the original's own parameters has few digits or none.
        clear = (df - 2 > 1e-3).all(axis=-1)
        np.testing.assert_allclose(found.std[clear], theirs[clear], rtol=1e-3, err_msg=name)


def test_a_list_of_contexts_equals_each_alone(case: Case) -> None:
    model = ms.load_model(case.folder)
    names = [name for name, values in case.contexts.items() if values.shape[1] == 1]
    names = [name for name in names if name not in case.masks]
    rows = [row for name in names for row in case.contexts[name][:, 0]]
    found = model.predict(rows, horizon=case.patch)
    theirs = np.concatenate([case.of(name, f"mean_h{case.patch}_nokv")[:, 0] for name in names])
    unit = np.concatenate([case.of(name, "patch_scale")[:, 0] for name in names])[:, None]
    assert_near(found.mean, theirs, unit, "a list")


@pytest.mark.parametrize("variates", VARIATES)
def test_each_day_equals_the_original_on_the_days_before(case: Case, variates: int) -> None:
    names = [name for name in case.days if name.startswith(f"{variates} variates")]
    longest, start = case.days[names[-1]][0], case.days[names[0]].shape[-1]
    model = ms.load_model(case.folder)
    found = model.predict_each(longest[0] if variates == 1 else longest, start)
    means = np.asarray(found.mean).reshape(len(names), variates, 1)
    theirs = np.concatenate([case.of(name, "mean_h1_nokv") for name in names])
    unit = np.concatenate([case.of(name, "patch_scale") for name in names])[..., None]
    assert_near(means, theirs, unit, "days")
