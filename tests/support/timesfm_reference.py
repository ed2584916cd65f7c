"""TimesFM 2.5 as plainly as it can be written: float64, one context at a time, no sharing.

Written from a description of the original; `marketsim.models.timesfm` is compared with this.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

EPS = 1e-6


class TimesFmReference:
    """The model in a folder."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.weights: dict[str, np.ndarray] = {}
        for file in folder.glob("*.safetensors"):
            self.weights |= {n: w.astype(np.float64) for n, w in load_file(file).items()}
        self.patch = self.weights["tokenizer.hidden_layer.weight"].shape[1] // 2
        self.layers = sum(name.endswith("qkv_proj.weight") for name in self.weights)
        scale = self.weights["stacked_xf.0.attn.per_dim_scale.per_dim_scale"]
        self.size = len(scale)

    def forecast(
        self, context: np.ndarray, horizon: int, *, flip: bool = True, continuous: bool = False
    ) -> np.ndarray:
        """Quantiles [horizon, level] after a context [time]."""
        values = interpolated(context)
        found, spread = self.decoded(values, horizon)
        if flip:
            other, other_spread = self.decoded(-values, horizon)
            found = (found - other[:, ::-1]) / 2
            spread = (spread - other_spread[:, ::-1]) / 2
        if continuous:
            wide = spread[:horizon]
            found = wide - wide[:, 4:5] + found[:, 4:5]
        for level in (3, 2, 1, 0):
            found[:, level] = np.minimum(found[:, level], found[:, level + 1])
        for level in (5, 6, 7, 8):
            found[:, level] = np.maximum(found[:, level], found[:, level - 1])
        return found

    def decoded(self, values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles of both heads, [step, level], medians read back."""
        made: list[np.ndarray] = []
        spread = np.empty(0)
        while sum(map(len, made)) < horizon:
            point, wide = self.one_pass(values)
            if not made:
                spread = wide
            made.append(point)
            values = np.concatenate([values, point[:, 4].astype(np.float32)])
        return np.concatenate(made)[:horizon], spread

    def one_pass(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = self.patch
        missing = -len(values) % p
        patches = (len(values) + missing) // p
        tokens = np.zeros((patches, len(self.weights["tokenizer.output_layer.bias"])))
        mean = scale = 0.0
        for n in range(patches):
            end = (n + 1) * p - missing
            past = values[:end].astype(np.float64)
            mean, scale = past.mean(), past.std()
            shown = np.zeros((2, p))
            filled = missing if n == 0 else 0
            inside = values[max(0, end - p) : end]
            shown[0, filled:] = (inside - mean) / (scale if scale >= EPS else 1.0)
            shown[1, :filled] = 1.0
            tokens[n] = self.residual("tokenizer", shown.reshape(-1))
        for i in range(self.layers):
            tokens = self.layer(f"stacked_xf.{i}", tokens)
        point, wide = (
            self.residual(f"output_projection_{name}", tokens[-1]).reshape(-1, 10)[:, 1:]
            for name in ("point", "quantiles")
        )
        return point * scale + mean, wide * scale + mean

    def layer(self, name: str, x: np.ndarray) -> np.ndarray:
        mixed = self.linear(f"{name}.attn.qkv_proj", self.norm(f"{name}.pre_attn_ln", x))
        q, k, v = np.moveaxis(mixed.reshape(len(x), 3, -1, self.size), 1, 0)
        scale = self.weights[f"{name}.attn.per_dim_scale.per_dim_scale"]
        by_dimension = np.log1p(np.exp(scale)) / math.log(2) / math.sqrt(self.size)
        result = np.zeros_like(v)
        for h in range(v.shape[1]):
            queries = [
                self.norm(f"{name}.attn.query_ln", turned(q[n, h], n)) * by_dimension
                for n in range(len(x))
            ]
            keys = [self.norm(f"{name}.attn.key_ln", turned(k[n, h], n)) for n in range(len(x))]
            for n in range(len(x)):
                weights = np.array([queries[n] @ keys[m] for m in range(n + 1)])
                share = np.exp(weights - weights.max())
                result[n, h] = share / share.sum() @ v[: n + 1, h]
        out = self.linear(f"{name}.attn.out", result.reshape(len(x), -1))
        x = x + self.norm(f"{name}.post_attn_ln", out)
        inner = silu(self.linear(f"{name}.ff0", self.norm(f"{name}.pre_ff_ln", x)))
        return x + self.norm(f"{name}.post_ff_ln", self.linear(f"{name}.ff1", inner))

    def residual(self, name: str, x: np.ndarray) -> np.ndarray:
        inner = silu(self.linear(f"{name}.hidden_layer", x))
        return self.linear(f"{name}.output_layer", inner) + self.linear(f"{name}.residual_layer", x)

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        bias = self.weights.get(f"{name}.bias", np.zeros(1))
        return np.asarray(x @ self.weights[f"{name}.weight"].T + bias)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS)
        return np.asarray(x / size * self.weights[f"{name}.scale"])


def interpolated(context: np.ndarray) -> np.ndarray:
    """Float32 values from the first one known on; missing ones on the line between neighbours."""
    values = context.astype(np.float32)[np.flatnonzero(~np.isnan(context))[0] :]
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known]).astype(np.float32)


def silu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / (1 + np.exp(-x)))


def turned(x: np.ndarray, position: int) -> np.ndarray:
    """Pairs (j, j + half) turned by the position."""
    half = len(x) // 2
    angles = position * 10_000.0 ** (-np.arange(half) / half)
    a, b = x[:half], x[half:]
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)]
    )
