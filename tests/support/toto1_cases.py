"""Small Toto 1.0 checkpoints and contexts for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import TOTO1, Weights, toto1_weights, write_checkpoint

import marketsim as ms
from marketsim.models import StudentTMixture
from marketsim.models.toto1.model import Toto1Model

PATCH = TOTO1["patch_size"]
# Nothing is a power of two, layers across variates are many and come first, no clamp.
ODD = {
    "embed_dim": 30,
    "mlp_hidden_dim": 34,
    "num_heads": 3,
    "num_layers": 4,
    "output_distribution_kwargs": {"k_components": 2},
    "patch_size": 6,
    "spacewise_every_n_layers": 2,
    "spacewise_first": True,
    "stabilize_with_global": False,
    "stride": 6,
}
SIZES: dict[str, dict[str, Any]] = {
    "plain": {},
    "odd": ODD,
    "time only": {"spacewise_every_n_layers": -1, "num_heads": 1},
    "variates only": {"spacewise_every_n_layers": 1, "num_layers": 2},
    "mixed": {"spacewise_every_n_layers": 2, "num_layers": 6, "num_heads": 6},
    "narrow clamp": {"scale_factor_exponent": 0.3},
}


def write_size(folder: Path, size: str, seed: int = 5) -> Path:
    """Write the checkpoint of one of SIZES."""
    config = TOTO1 | SIZES[size]
    return write_checkpoint(folder, config, sharp_weights(config, seed), 1)


def sharp_weights(config: dict[str, Any], seed: int) -> Weights:
    """Random weights whose attention prefers some patches clearly: their places must count."""
    weights = toto1_weights(config, seed)
    return {name: w * np.float32(1.5 if ".wQKV." in name else 1) for name, w in weights.items()}


def load(folder: Path, **options: Any) -> Toto1Model:
    model = ms.load_model(folder, **options)
    assert isinstance(model, Toto1Model)
    return model


def parameters(distribution: Any) -> np.ndarray:
    """All there is of mixtures, [..., horizon, 4 * component]."""
    assert isinstance(distribution, StudentTMixture)
    d = distribution
    return np.concatenate([d.df, d.loc, d.scale, d.weights], axis=-1)


def walk(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).cumsum(axis=-1)


def contexts() -> dict[str, np.ndarray]:
    """Contexts [variate, time] by name."""
    gaps = walk((1, 31), 1)
    gaps[0, [0, 3, 4, 11, 29, 30]] = np.nan
    dead = walk((3, 40), 2)
    dead[0, :13] = dead[1, 14:23] = dead[2, 38:] = np.nan
    return {
        "one value": walk((1, 1)) + 1,
        "below a patch": walk((1, 3)),
        "whole patches": walk((1, 36)),
        "part of a patch": walk((1, 29)),
        "two variates": walk((2, 7)),
        "four variates": walk((4, 26)),
        "gaps": gaps,
        "hidden patches": dead,
        "constant": np.full((1, 20), 5.0),
        "zero": np.zeros((2, 20)),
        "returns": 0.01 * np.diff(walk((1, 40), 3)),
        "huge": 1e30 * walk((1, 25), 4),
        "tiny": 1e-20 * walk((1, 25), 5),
        "high level": 1e5 + 0.1 * walk((1, 25), 6),
        "jump": np.concatenate([walk((1, 20), 7), 1e6 + walk((1, 5), 8)], axis=1),
        "jump beyond the clamp": np.concatenate([walk((2, 20), 9), 1e12 + walk((2, 5))], axis=1),
    }
