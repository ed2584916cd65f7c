"""Toto 1.0 as plainly as it can be written: float64, one context at a time, loops, no sharing.

Written from a description of the original; what `marketsim.models.toto1` does at speed is compared
with this. Positions are centred as in the original, projections keep their packing, and nothing is
folded into weights.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Mixtures(NamedTuple):
    """Parameters [variate, step, component] in units of the patch that each was made from.

    Attributes:
        df, loc, scale, logits: of the scaled values.
        centre, unit: [variate, step], which make them real: value * unit + centre.
        reach: the largest scaled value that the network was given.
    """

    df: np.ndarray
    loc: np.ndarray
    scale: np.ndarray
    logits: np.ndarray
    centre: np.ndarray
    unit: np.ndarray
    reach: float

    @property
    def weights(self) -> np.ndarray:
        share = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return share / share.sum(axis=-1, keepdims=True)

    @property
    def mean(self) -> np.ndarray:
        """Expected values [variate, step] in units of the series."""
        return (self.weights * self.loc).sum(axis=-1) * self.unit + self.centre


class Toto1Reference:
    """The model in a folder."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights: dict[str, np.ndarray] = {}
        for file in folder.glob("model*.safetensors"):
            self.weights |= {n: w.astype(np.float64) for n, w in load_file(file).items()}
        self.patch: int = self.config["patch_size"]

    def forecast(
        self,
        context: np.ndarray,
        horizon: int,
        *,
        mask: np.ndarray | None = None,
        cached: bool = False,
        groups: np.ndarray | None = None,
    ) -> Mixtures:
        """Mixtures of the `horizon` steps after a context [variate, time].

        Each patch is forecast from the means of those before it. `cached` is what the original's
        cache makes of that; variates see those of their own group (int [variate]).
        """
        p = self.patch
        size = context.shape[1]
        observed = ~np.isnan(context) if mask is None else mask & ~np.isnan(context)
        before = ((0, 0), (-size % p, 0))
        values, observed = np.pad(last_known(context), before), np.pad(observed, before)
        first = values.shape[1] // p
        groups = np.zeros(len(context), int) if groups is None else groups
        parts: list[Mixtures] = []
        while len(parts) * p < horizon:
            location, scale = self.scales(values, observed, first * p)
            made = self.last_patch(values, location, scale, first if cached else None, groups)
            parts.append(made)
            means = np.where(np.abs(made.mean) < np.finfo(np.float32).max / 2, made.mean, 0.0)
            values = np.concatenate([values, means.astype(np.float32)], axis=1)
            observed = np.concatenate([observed, np.ones_like(means, bool)], axis=1)
        return joined(parts, horizon)

    def scales(
        self, values: np.ndarray, observed: np.ndarray, context: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Location and scale [variate, patch number] from all that is observed so far."""
        p = self.patch
        shape = (len(values), values.shape[1] // p)
        location, scale = np.zeros(shape), np.zeros(shape)
        for v in range(shape[0]):
            seen = values[v, :context][observed[v, :context]].astype(np.float64)
            whole = math.sqrt((seen.var() if len(seen) else 0.0) + 0.1)
            for n in range(shape[1]):
                until = slice(0, (n + 1) * p)
                x = values[v, until][observed[v, until]].astype(np.float64)
                mean = x.mean() if len(x) else 0.0
                variance = ((x - mean) ** 2).sum() / max(len(x) - 1, 1)
                size = math.sqrt(variance + 0.1)
                if self.config["stabilize_with_global"]:
                    reach = 10.0 ** self.config["scale_factor_exponent"]
                    least = max(float(np.float32(0.1)), whole / reach)
                    size = min(max(size, least), whole * reach)
                location[v, n], scale[v, n] = np.float32(mean), np.float32(size)
        return location, scale

    def last_patch(
        self,
        values: np.ndarray,
        location: np.ndarray,
        scale: np.ndarray,
        cached: int | None,
        groups: np.ndarray,
    ) -> Mixtures:
        """Mixtures [variate, patch] of what follows; `cached` patches were read in one go."""
        p = self.patch
        variates, patches = location.shape
        cut = values.reshape(variates, patches, p).astype(np.float64)
        scaled = (cut - location[..., None]) / scale[..., None]
        hidden = self.linear("patch_embed.projection", scaled)
        numbers = np.arange(patches)
        centres = np.full(patches, (patches - 1) // 2)
        if cached is not None:
            centres = np.where(numbers < cached, (cached - 1) // 2, numbers // 2)
        for i in range(self.config["num_layers"]):
            name = f"transformer.layers.{i}"
            normal = self.norm(f"{name}.norm1", hidden)
            if self.is_across(i):
                hidden = hidden + self.across(f"{name}.attention", normal, groups)
            else:
                hidden = hidden + self.along(f"{name}.attention", normal, centres)
            hidden = hidden + self.mlp(name, self.norm(f"{name}.norm2", hidden))
        outputs = self.linear("unembed", hidden[:, -1]).reshape(variates, p, -1)
        eps = float(np.finfo(np.float32).eps)
        df, loc, size, logits = (
            self.linear(f"output_distribution.{part}", outputs)
            for part in ("df", "loc_proj", "scale_proj", "mixture_weights")
        )
        return Mixtures(
            2 + np.maximum(softplus(df), eps),
            loc,
            np.maximum(softplus(size), eps),
            logits,
            np.repeat(location[:, -1:], p, axis=1),
            np.repeat(scale[:, -1:], p, axis=1),
            float(np.abs(scaled).max()),
        )

    def is_across(self, layer: int) -> bool:
        every = self.config["spacewise_every_n_layers"]
        if every == -1:
            return False
        return layer % every == (0 if self.config["spacewise_first"] else every - 1)

    def heads(self, name: str, x: np.ndarray) -> list[np.ndarray]:
        """Queries, keys and values [..., head, dimension]: the head is packed fastest."""
        heads = self.config["num_heads"]
        mixed = self.linear(f"{name}.wQKV", x)
        parts = mixed.reshape(*x.shape[:-1], 3, x.shape[-1] // heads, heads)
        return [np.swapaxes(parts[..., i, :, :], -1, -2) for i in range(3)]

    def along(self, name: str, x: np.ndarray, centres: np.ndarray) -> np.ndarray:
        query, key, value = self.heads(name, x)
        variates, patches, heads, size = query.shape
        result = np.zeros_like(query)
        for v in range(variates):
            for h in range(heads):
                keys = [turned(key[v, m, h], m, centres[m], -1.0) for m in range(patches)]
                for n in range(patches):
                    mine = turned(query[v, n, h], n, centres[n], 1.0)
                    share = softmax([mine @ k / math.sqrt(size) for k in keys[: n + 1]])
                    result[v, n, h] = share @ value[v, : n + 1, h]
        return self.linear(f"{name}.wO", result.reshape(variates, patches, -1))

    def across(self, name: str, x: np.ndarray, groups: np.ndarray) -> np.ndarray:
        query, key, value = self.heads(name, x)
        variates, patches, heads, size = query.shape
        result = np.zeros_like(query)
        for v in range(variates):
            seen = np.flatnonzero(groups == groups[v])
            for n in range(patches):
                for h in range(heads):
                    share = softmax(key[seen, n, h] @ query[v, n, h] / math.sqrt(size))
                    result[v, n, h] = share @ value[seen, n, h]
        return self.linear(f"{name}.wO", result.reshape(variates, patches, -1))

    def mlp(self, name: str, x: np.ndarray) -> np.ndarray:
        fused = f"model.{name}.mlp.0.w12.weight" in self.weights
        into, out = ("mlp.0.w12", "mlp.0.w3") if fused else ("mlp.0", "mlp.2")
        gate, value = np.split(self.linear(f"{name}.{into}", x), 2, axis=-1)
        return self.linear(f"{name}.{out}", gate / (1 + np.exp(-gate)) * value)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)
        return x / size * self.weights[f"model.{name}.scale"]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"model.{name}.weight"].T + self.weights[f"model.{name}.bias"]


def joined(parts: list[Mixtures], horizon: int) -> Mixtures:
    """Mixtures of successive patches as those of one stretch."""
    fields = [np.concatenate([part[i] for part in parts], axis=1)[:, :horizon] for i in range(6)]
    return Mixtures(*fields, max(part.reach for part in parts))


def last_known(context: np.ndarray) -> np.ndarray:
    """Float32 values with NaN replaced by the last one before it, or 0."""
    result = np.array(context, dtype=np.float32)
    for row in result:
        last = np.float32(0.0)
        for t, value in enumerate(row):
            last = row[t] = last if np.isnan(value) else value
    return result


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0.0)


def softmax(x: Any) -> np.ndarray:
    share = np.exp(np.asarray(x) - np.max(x))
    return np.asarray(share / share.sum())


def turned(x: np.ndarray, position: int, centre: int, direction: float) -> np.ndarray:
    """A query (direction 1) or key (-1): neighbouring pairs turned, then scaled by halves."""
    size = len(x)
    result = np.empty(size)
    for j in range(size // 2):
        angle = position * 10_000 ** (-2 * j / size)
        a, b = x[2 * j], x[2 * j + 1]
        result[2 * j] = a * math.cos(angle) - b * math.sin(angle)
        result[2 * j + 1] = b * math.cos(angle) + a * math.sin(angle)
    power = direction * (position - centre) / 512
    for d in range(size):
        j = d % (size // 2)
        result[d] *= ((2 * j + 0.4 * size) / (1.4 * size)) ** power
    return result
