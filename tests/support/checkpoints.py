"""Checkpoints of random weights in the official form, small enough for tests."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]

TOTO2: dict[str, Any] = {
    "attn_bias": True,
    "d_ff": 40,
    "d_model": 24,
    "dropout_p": 0.0,
    "heads_per_group": 1,
    "layer_group_size": 3,
    "mlp_bias": False,
    "norm_eps": 1e-4,
    "norm_include_weight": False,
    "num_groups": 3,
    "num_heads": 3,
    "num_layers": 3,
    "num_output_patches": 1,
    "num_variate_layers_per_group": 1,
    "patch_size": 4,
    "per_dim_scale": True,
    "pre_norm": True,
    "qk_dim": 8,
    "qk_norm": False,
    "qk_norm_include_weight": False,
    "residual_attn_ratio": 5.136215466577748,
    "residual_mult": 0.75,
    "use_xpos": True,
    "v_dim": 8,
    "variate_layer_first": False,
}
TOTO1: dict[str, Any] = {
    "dropout": 0.1,
    "embed_dim": 24,
    "mlp_hidden_dim": 32,
    "num_heads": 3,
    "num_layers": 3,
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
    "output_distribution_kwargs": {"k_components": 3},
    "patch_size": 4,
    "scale_factor_exponent": 10.0,
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "spacewise_every_n_layers": 3,
    "spacewise_first": False,
    "stabilize_with_global": True,
    "stride": 4,
    "use_memory_efficient_attention": True,
}


def write_toto2(folder: Path, seed: int, *, shards: int = 1, **sizes: Any) -> Path:
    """Write a Toto 2.0 checkpoint; `sizes` are keys of its config.json."""
    config = TOTO2 | sizes
    return write_checkpoint(folder, config, toto2_weights(config, seed), shards)


def write_toto1(
    folder: Path, seed: int, *, shards: int = 1, spread: float = 1.0, **sizes: Any
) -> Path:
    """Write a Toto 1.0 checkpoint with the names of its official one; see `write_toto2`.

    A spread of 3**-0.5 is how torch starts linear layers.
    """
    config = TOTO1 | sizes
    return write_checkpoint(folder, config, toto1_weights(config, seed, spread), shards)


def write_checkpoint(folder: Path, config: dict[str, Any], weights: Weights, shards: int) -> Path:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return folder
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    index = {name: files[i % shards] for i, name in enumerate(sorted(weights))}
    for file in files:
        save_file({n: weights[n] for n, where in index.items() if where == file}, folder / file)
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)
    return folder


def toto2_weights(config: dict[str, Any], seed: int) -> Weights:
    """Weights at which a mistake would show: none is zero, and none follows from a formula."""
    draw = np.random.default_rng(seed)
    d, p, f = config["d_model"], config["patch_size"], config["d_ff"]
    heads, groups, qk, v = (config[k] for k in ("num_heads", "num_groups", "qk_dim", "v_dim"))
    weights: Weights = {}

    def linear(name: str, out: int, into: int, *, size: float = 1.0, bias: float = 0.5) -> None:
        weights[f"{name}.weight"] = draw.normal(0, size, (out, into))
        if bias:
            weights[f"{name}.bias"] = draw.normal(0, bias, out)

    linear("patch_proj.linear1", 4 * d, 2 * p)
    linear("patch_proj.linear2", d, 4 * d)
    linear("patch_proj.skip_proj", d, 2 * p)
    for i in range(config["num_layers"]):
        layer = f"transformer.layers.{i}"
        weights[f"{layer}.attn_tau"] = draw.uniform(0.3, 0.7, ())
        weights[f"{layer}.mlp_tau"] = draw.uniform(0.2, 0.5, ())
        linear(f"{layer}.attn.in_proj", heads * qk + groups * (qk + v), d)
        linear(f"{layer}.attn.out_proj", d, heads * v)
        weights[f"{layer}.attn._pds.per_dim_scale"] = draw.normal(0, 0.7, qk)
        linear(f"{layer}.ffn.fc1", 2 * f, d, bias=0.0)
        linear(f"{layer}.ffn.fc2", d, f, bias=0.0)
    head = "output_head.param_projection.proj"
    linear(f"{head}.linear1", 4 * d, d)
    # A readout divides by all its inputs. Its biases are a distribution's quantiles: few cross.
    linear(f"{head}.linear2", 9 * p, 4 * d, size=0.3 * (4 * d) ** 0.5)
    linear(f"{head}.skip_proj", 9 * p, d, size=0.3 * d**0.5)
    spread = [NormalDist().inv_cdf((i + 1) / 10) for i in range(9)]
    weights[f"{head}.linear2.bias"] += 4 * d * np.tile(spread, p)
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}


def toto1_weights(config: dict[str, Any], seed: int, spread: float = 1.0) -> Weights:
    draw = np.random.default_rng(seed)
    e, f, p = config["embed_dim"], config["mlp_hidden_dim"], config["patch_size"]
    components = config["output_distribution_kwargs"]["k_components"]
    weights: Weights = {}

    def linear(name: str, out: int, into: int) -> None:
        weights[f"model.{name}.weight"] = draw.normal(0, spread * into**-0.5, (out, into))
        weights[f"model.{name}.bias"] = draw.normal(0, 0.1, out)

    linear("patch_embed.projection", e, p)
    for i in range(config["num_layers"]):
        layer = f"transformer.layers.{i}"
        for norm in ("norm1", "norm2"):
            weights[f"model.{layer}.{norm}.scale"] = draw.uniform(0.7, 1.3, e)
        linear(f"{layer}.attention.wQKV", 3 * e, e)
        linear(f"{layer}.attention.wO", e, e)
        linear(f"{layer}.mlp.0.w12", 2 * f, e)
        linear(f"{layer}.mlp.0.w3", e, f)
    linear("unembed", e * p, e)
    for head in ("df", "loc_proj", "scale_proj", "mixture_weights"):
        linear(f"output_distribution.{head}", components, e)
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
