"""Toto 2.0 as plainly as it can be written: float64, one context at a time, loops, no sharing.

Written from a description of the original; what `marketsim.models.toto2` does at speed is compared
with this. Positions are centred as in the original, factors stand where they stand there, and
nothing is folded into weights.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = 9
SILU = math.exp(0.8 * math.log(math.sqrt(2 / (1 - 1 / math.pi))) + 0.2 * math.log(2))


class Toto2Reference:
    """The model in a folder."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights: dict[str, np.ndarray] = {}
        for file in folder.glob("*.safetensors"):
            self.weights |= {n: w.astype(np.float64) for n, w in load_file(file).items()}
        self.patch: int = self.config["patch_size"]

    def forecast(
        self,
        target: np.ndarray,
        horizon: int,
        *,
        mask: np.ndarray | None = None,
        has_missing_values: bool = True,
        fallback_observations: int = 0,
        cap: float = 0.0,
    ) -> np.ndarray:
        """Quantiles [variate, horizon, level] after target [variate, time], in one go."""
        p = self.patch
        variates, size = target.shape
        observed = ~np.isnan(target) if mask is None else mask & ~np.isnan(target)
        values = last_known(target)
        before, ahead = -size % p, -(-horizon // p)
        values = np.pad(values, ((0, 0), (before, ahead * p)))
        observed = np.pad(observed, ((0, 0), (before, ahead * p)))
        context = (size + before) // p
        observed[:, (context - 1) * p : context * p] = True

        location, scale = self.scales(values, observed, fallback_observations)
        tokens = np.zeros((variates, context + ahead, self.config["d_model"]))
        alive = np.ones((variates, context + ahead), dtype=bool)
        for v in range(variates):
            for n in range(context + ahead):
                part = slice(n * p, (n + 1) * p)
                scaled = (values[v, part] - location[v, n]) / scale[v, n]
                seen = observed[v, part]
                shown = np.concatenate([np.arcsinh(np.where(seen, scaled, 0.0)), ~seen])
                tokens[v, n] = self.residual_mlp("patch_proj", shown, readout=False)
                alive[v, n] = seen.any() or n >= context
        hidden = self.transformer(tokens, alive, has_missing_values)

        result = np.zeros((variates, ahead * p, LEVELS))
        for v in range(variates):
            known = values[v, : context * p][observed[v, : context * p]]
            reach = cap * scale[v, context - 1]
            for n in range(ahead):
                normal = self.norm(hidden[v, context - 1 + n])
                head = "output_head.param_projection.proj"
                q = self.residual_mlp(head, normal, readout=True).reshape(p, LEVELS)
                real = np.sinh(q) * scale[v, context + n] + location[v, context + n]
                if cap > 0:
                    real = np.clip(real, known.min() - reach, known.max() + reach)
                result[v, n * p : (n + 1) * p] = np.sort(real, axis=-1)
        return result[:, :horizon]

    def scales(
        self, values: np.ndarray, observed: np.ndarray, fallback: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Location and scale [variate, patch number] from all that is observed so far."""
        p = self.patch
        shape = (len(values), values.shape[1] // p)
        location, scale = np.zeros(shape), np.zeros(shape)
        for v in range(shape[0]):
            for n in range(shape[1]):
                until = slice(0, (n + 1) * p)
                x = values[v, until][observed[v, until]].astype(np.float64)
                if len(x) < fallback:
                    x = values[v][observed[v]].astype(np.float64)[:fallback]
                if len(x):
                    location[v, n] = np.float32(x.mean())
                    spread = math.sqrt(((x - x.mean()) ** 2).sum() / max(len(x) - 1, 1))
                    scale[v, n] = np.float32(max(spread, 1e-6))
                else:
                    scale[v, n] = np.float32(1e-6)
        return location, scale

    def transformer(self, tokens: np.ndarray, alive: np.ndarray, has_missing: bool) -> np.ndarray:
        hidden = tokens
        group = self.config["layer_group_size"]
        across = self.config["num_variate_layers_per_group"]
        for i in range(self.config["num_layers"]):
            name = f"transformer.layers.{i}"
            place = i % group
            is_across = place < across
            if not self.config["variate_layer_first"]:
                is_across = place >= group - across
            attended = self.attention(name, self.norm(hidden), alive, has_missing, is_across)
            hidden = residual(self.weights[f"{name}.attn_tau"], attended, hidden)
            gated = self.gated_mlp(name, self.norm(hidden))
            hidden = residual(self.weights[f"{name}.mlp_tau"], gated, hidden)
        return hidden

    def attention(
        self, name: str, x: np.ndarray, alive: np.ndarray, has_missing: bool, across: bool
    ) -> np.ndarray:
        variates, patches, _ = x.shape
        heads, groups = self.config["num_heads"], self.config["num_groups"]
        qk, v_size = self.config["qk_dim"], self.config["v_dim"]
        mixed = self.linear(f"{name}.attn.in_proj", x)
        queries = mixed[..., : heads * qk].reshape(variates, patches, heads, qk)
        keys = mixed[..., heads * qk : (heads + groups) * qk].reshape(variates, patches, groups, qk)
        values = mixed[..., (heads + groups) * qk :].reshape(variates, patches, groups, v_size)
        scale = self.weights[f"{name}.attn._pds.per_dim_scale"]
        queries = queries * (np.log1p(np.exp(scale)) / math.log(2))
        result = np.zeros((variates, patches, heads, v_size))
        for v in range(variates):
            for n in range(patches):
                for h in range(heads):
                    g = h // (heads // groups)
                    weights, found = [], []
                    if across:
                        others = [(w, n) for w in range(variates) if alive[w, n] == alive[v, n]]
                    else:
                        hide = has_missing and patches > 1
                        others = [
                            (v, m) for m in range(n + 1) if not hide or alive[v, m] == alive[v, n]
                        ]
                    for w, m in others:
                        query, key = queries[v, n, h], keys[w, m, g]
                        if not across:
                            query = turned(query, n, patches - 1, 1.0)
                            key = turned(key, m, patches - 1, -1.0)
                        weights.append(query @ key / qk)
                        found.append(values[w, m, g])
                    share = np.exp(np.array(weights) - max(weights))
                    result[v, n, h] = share / share.sum() @ np.array(found)
        return self.linear(f"{name}.attn.out_proj", result.reshape(variates, patches, -1))

    def gated_mlp(self, name: str, x: np.ndarray) -> np.ndarray:
        gate, value = np.split(self.linear(f"{name}.ffn.fc1", x), 2, axis=-1)
        return self.linear(f"{name}.ffn.fc2", gate * silu(value))

    def residual_mlp(self, name: str, x: np.ndarray, *, readout: bool) -> np.ndarray:
        power = 1.0 if readout else 0.5
        inner = SILU * silu(self.linear(f"{name}.linear1", x))
        outer = self.linear(f"{name}.linear2", inner, power)
        return (outer + self.linear(f"{name}.skip_proj", x, power)) / math.sqrt(2)

    def linear(self, name: str, x: np.ndarray, power: float = 0.5) -> np.ndarray:
        weight = self.weights[f"{name}.weight"]
        bias = self.weights.get(f"{name}.bias", np.zeros(len(weight)))
        return (x @ weight.T + bias) / weight.shape[1] ** power

    def norm(self, x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.config["norm_eps"])


def last_known(target: np.ndarray) -> np.ndarray:
    """Float32 values with NaN replaced by the last one before it, or 0."""
    result = np.array(target, dtype=np.float32)
    for row in result:
        last = np.float32(0.0)
        for t, value in enumerate(row):
            last = row[t] = last if np.isnan(value) else value
    return result


def residual(tau: np.ndarray, branch: np.ndarray, skip: np.ndarray) -> np.ndarray:
    return np.asarray((tau * branch + skip) / np.sqrt(1 + tau**2))


def silu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / (1 + np.exp(-x)))


def turned(x: np.ndarray, position: int, last: int, direction: float) -> np.ndarray:
    """A query (direction 1) or key (-1): neighbouring pairs of its first half turned and scaled."""
    result = x.copy()
    size = len(x) // 2
    power = direction * (position - (last + 1) // 2) / 256
    for j in range(size // 2):
        angle = position * 10_000 ** (-2 * j / size)
        factor = ((2 * j + 0.4 * size) / (1.4 * size)) ** power
        a, b = x[2 * j], x[2 * j + 1]
        result[2 * j] = factor * (a * math.cos(angle) - b * math.sin(angle))
        result[2 * j + 1] = factor * (b * math.cos(angle) + a * math.sin(angle))
    return result
