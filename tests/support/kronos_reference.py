"""Kronos as plainly as it can be written: float64, one path at a time, every window read anew.

Written from a description of the original; what `marketsim.models.kronos` does at speed is compared
with this. Nothing is cached, shared or folded into weights.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

CLOCK = ("minute", "hour", "weekday", "day", "month")


class _Folder:
    """Configuration and weights of a folder, and the layers that both networks are made of."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights = {
            name: weight.astype(np.float64)
            for name, weight in load_file(folder / "model.safetensors").items()
        }

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
        return x / size * self.weights[f"{name}.weight"]

    def layers(self, name: str, count: int, x: np.ndarray) -> np.ndarray:
        for i in range(count):
            layer = f"{name}.{i}"
            x = x + self.attention(f"{layer}.self_attn", self.norm(f"{layer}.norm1", x))
            u = self.norm(f"{layer}.norm2", x)
            gate = u @ self.weights[f"{layer}.ffn.w1.weight"].T
            value = u @ self.weights[f"{layer}.ffn.w3.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * value) @ self.weights[f"{layer}.ffn.w2.weight"].T
        return x

    def attention(self, name: str, x: np.ndarray) -> np.ndarray:
        """Causal, with positions from 0."""
        heads = self.config["n_heads"]
        size = x.shape[1] // heads
        queries, keys, values = (self.linear(f"{name}.{part}_proj", x) for part in "qkv")
        result = np.zeros_like(x)
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            for t in range(len(x)):
                query = turned(queries[t, part], t)
                seen = np.array([turned(keys[s, part], s) for s in range(t + 1)])
                result[t, part] = shares(seen @ query / math.sqrt(size)) @ values[: t + 1, part]
        return self.linear(f"{name}.out_proj", result)


class TokenizerReference(_Folder):
    """The tokenizer in a folder."""

    def codes(self, bars: np.ndarray) -> np.ndarray:
        """[time, bit] of scaled bars [time, column]."""
        x = self.layers("encoder", self.config["n_enc_layers"] - 1, self.linear("embed", bars))
        return self.linear("quant_embed", x)

    def encode(self, bars: np.ndarray) -> tuple[list[int], list[int]]:
        bits = self.codes(bars) > 0
        half = self.config["s1_bits"]
        return (
            [sum(2**j for j in range(half) if row[j]) for row in bits],
            [sum(2**j for j in range(self.config["s2_bits"]) if row[half + j]) for row in bits],
        )

    def decode(self, first: list[int], second: list[int]) -> np.ndarray:
        """Scaled bars [time, column]."""
        half = self.config["s1_bits"]
        rows = []
        for one, two in zip(first, second, strict=True):
            bits = [one >> j & 1 for j in range(half)] + [two >> j & 1 for j in range(half)]
            rows.append([(1.0 if bit else -1.0) / math.sqrt(2 * half) for bit in bits])
        x = self.linear("post_quant_embed", np.array(rows))
        return self.linear("head", self.layers("decoder", self.config["n_dec_layers"] - 1, x))


class KronosReference(_Folder):
    """The predictor in a folder."""

    def context(self, first: list[int], second: list[int], clock: np.ndarray) -> np.ndarray:
        """[time, width] of a window of tokens and the clock [time, 5] of its bars."""
        root = math.sqrt(self.config["d_model"])
        one = self.weights["embedding.emb_s1.weight"][first] * root
        two = self.weights["embedding.emb_s2.weight"][second] * root
        x = self.linear("embedding.fusion_proj", np.concatenate([one, two], axis=1))
        inner = "" if self.config["learn_te"] else ".emb"
        for place, name in enumerate(CLOCK):
            x = x + self.weights[f"time_emb.{name}_embed{inner}.weight"][clock[:, place]]
        return self.norm("norm", self.layers("transformer", self.config["n_layers"], x))

    def first_logits(self, context: np.ndarray) -> np.ndarray:
        return self.linear("head.proj_s1", context[-1])

    def second_logits(self, context: np.ndarray, first: int) -> np.ndarray:
        """Of the second half of the token after the context, given its first half."""
        name = "dep_layer.cross_attn"
        query = self.linear(f"{name}.q_proj", self.weights["embedding.emb_s1.weight"][first])
        keys, values = (self.linear(f"{name}.{part}_proj", context) for part in "kv")
        size = len(query) // 4
        found = [
            shares(keys[:, part] @ query[part] / math.sqrt(size)) @ values[:, part]
            for part in (slice(h * size, (h + 1) * size) for h in range(4))
        ]
        answer = self.linear(f"{name}.out_proj", np.concatenate(found))
        return self.linear("head.proj_s2", self.norm("dep_layer.norm", context[-1] + answer))


def scaled(values: np.ndarray, clip: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scaled values [time, column], means and units [column], of float32 values."""
    mean = values.astype(np.float64).mean(axis=0)
    unit = values.astype(np.float64).std(axis=0) + 1e-5
    return np.clip((values - mean) / unit, -clip, clip), mean, unit


def filtered(logits: np.ndarray, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """What may be drawn, and its probabilities."""
    logits = logits / temperature
    kept = np.ones(len(logits), dtype=bool)
    if top_k > 0:
        kept = logits >= np.sort(logits)[-min(top_k, len(logits))]
    elif top_p < 1:
        passed = 0.0
        for number in np.argsort(-logits, kind="stable"):
            kept[number] = passed <= top_p
            passed += shares(logits)[number]
        kept[logits.argmax()] = True
    return shares(np.where(kept, logits, -np.inf))


def turned(x: np.ndarray, position: int) -> np.ndarray:
    """A query or key whose pairs (j, j + half) are turned by angles of its position."""
    half = len(x) // 2
    angle = position * 10_000.0 ** (-np.arange(half) / half)
    a, b = x[:half], x[half:]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin])


def shares(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
