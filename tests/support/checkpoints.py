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
KRONOS: dict[str, Any] = {
    "attn_dropout_p": 0.0,
    "d_model": 24,
    "ff_dim": 36,
    "ffn_dropout_p": 0.2,
    "learn_te": True,
    "n_heads": 3,
    "n_layers": 2,
    "resid_dropout_p": 0.2,
    "s1_bits": 5,
    "s2_bits": 5,
    "token_dropout_p": 0.0,
}
KRONOS_TOKENIZER: dict[str, Any] = {
    "attn_dropout_p": 0.0,
    "beta": 0.05,
    "d_in": 6,
    "d_model": 20,
    "ff_dim": 28,
    "ffn_dropout_p": 0.0,
    "gamma": 1.1,
    "gamma0": 1.0,
    "group_size": 5,
    "n_dec_layers": 3,
    "n_enc_layers": 2,
    "n_heads": 2,
    "resid_dropout_p": 0.0,
    "s1_bits": 5,
    "s2_bits": 5,
    "zeta": 0.05,
}


# No config.json says these: they are those of the weights' shapes.
TIMESFM: dict[str, int] = {
    "width": 24,
    "hidden": 20,
    "heads": 3,
    "layers": 3,
    "patch": 4,
    "reach": 12,
    "spread_reach": 40,
    "inner": 28,
}
TIMESFM_CONFIG: dict[str, Any] = {"torch_compile": True}


def write_timesfm(folder: Path, seed: int, *, shards: int = 1, **sizes: int) -> Path:
    """Write a TimesFM 2.5 checkpoint; `sizes` are those of `TIMESFM`."""
    return write_checkpoint(folder, TIMESFM_CONFIG, timesfm_weights(seed, **sizes), shards)


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


def write_kronos(folder: Path, seed: int, **sizes: Any) -> Path:
    """Write a Kronos predictor; `sizes` are keys of its config.json."""
    config = KRONOS | sizes
    return write_checkpoint(folder, config, kronos_weights(config, seed), 1)


def write_kronos_tokenizer(folder: Path, seed: int, **sizes: Any) -> Path:
    """Write a tokenizer of Kronos; see `write_kronos`."""
    config = KRONOS_TOKENIZER | sizes
    return write_checkpoint(folder, config, kronos_tokenizer_weights(config, seed), 1)


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


def timesfm_weights(seed: int, **sizes: int) -> Weights:
    """Weights at which a mistake would show; quantiles are far enough apart that few cross."""
    draw = np.random.default_rng(seed)
    given = TIMESFM | sizes
    d, p, inner = given["width"], given["patch"], given["inner"]
    weights: Weights = {}

    def linear(name: str, out: int, into: int) -> None:
        weights[f"{name}.weight"] = draw.normal(0, into**-0.5, (out, into))

    def residual(name: str, into: int, out: int) -> None:
        linear(f"{name}.hidden_layer", inner, into)
        linear(f"{name}.output_layer", out, inner)
        linear(f"{name}.residual_layer", out, into)

    residual("tokenizer", 2 * p, d)
    for part, out in (("hidden", inner), ("output", d), ("residual", d)):
        weights[f"tokenizer.{part}_layer.bias"] = draw.normal(0, 0.5, out)
    for i in range(given["layers"]):
        layer = f"stacked_xf.{i}"
        for norm in ("pre_attn_ln", "post_attn_ln", "pre_ff_ln", "post_ff_ln"):
            weights[f"{layer}.{norm}.scale"] = draw.uniform(0.5, 1.5, d)
        for norm in ("query_ln", "key_ln"):
            weights[f"{layer}.attn.{norm}.scale"] = draw.uniform(0.7, 1.3, d // given["heads"])
        scale = draw.normal(0, 0.7, d // given["heads"])
        weights[f"{layer}.attn.per_dim_scale.per_dim_scale"] = scale
        linear(f"{layer}.attn.qkv_proj", 3 * d, d)
        linear(f"{layer}.attn.out", d, d)
        linear(f"{layer}.ff0", given["hidden"], d)
        linear(f"{layer}.ff1", d, given["hidden"])
    spread = [0.0, *(NormalDist().inv_cdf((i + 1) / 10) for i in range(9))]
    for name, steps in (("point", "reach"), ("quantiles", "spread_reach")):
        head = f"output_projection_{name}"
        residual(head, d, 10 * given[steps])
        # Without a bias only the size of a token can hold the quantiles apart.
        apart = np.tile(spread, given[steps])[:, None] * draw.uniform(0, 0.1, d)
        weights[f"{head}.residual_layer.weight"] += apart
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


def kronos_weights(config: dict[str, Any], seed: int) -> Weights:
    draw = np.random.default_rng(seed)
    d = config["d_model"]
    weights: Weights = {}
    for i in range(config["n_layers"]):
        _kronos_layer(weights, f"transformer.{i}", config, draw)
    for half in ("s1", "s2"):
        count = 2 ** config[f"{half}_bits"]
        weights[f"embedding.emb_{half}.weight"] = draw.normal(0, d**-0.5, (count, d))
        _linear(weights, f"head.proj_{half}", count, d, draw, size=2.0)
    _linear(weights, "embedding.fusion_proj", d, 2 * d, draw)
    inner = "" if config["learn_te"] else ".emb"
    numbers = {"minute": 60, "hour": 24, "weekday": 7, "day": 32, "month": 13}
    for name, count in numbers.items():
        weights[f"time_emb.{name}_embed{inner}.weight"] = draw.normal(0, 0.5, (count, d))
    _kronos_attention(weights, "dep_layer.cross_attn", d, 4, draw)
    for norm in ("norm", "dep_layer.norm"):
        weights[f"{norm}.weight"] = draw.uniform(0.7, 1.3, d)
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}


def kronos_tokenizer_weights(config: dict[str, Any], seed: int) -> Weights:
    draw = np.random.default_rng(seed)
    d, bits = config["d_model"], config["s1_bits"] + config["s2_bits"]
    weights: Weights = {}
    for part, layers in (("encoder", "n_enc_layers"), ("decoder", "n_dec_layers")):
        for i in range(config[layers] - 1):
            _kronos_layer(weights, f"{part}.{i}", config, draw)
    _linear(weights, "embed", d, config["d_in"], draw)
    _linear(weights, "quant_embed", bits, d, draw)
    _linear(weights, "post_quant_embed", d, bits, draw, size=bits**0.5)
    _linear(weights, "post_quant_embed_pre", d, config["s1_bits"], draw)
    _linear(weights, "head", config["d_in"], d, draw)
    weights["tokenizer.bsq.basis"] = np.zeros(bits)
    weights["tokenizer.bsq.group_basis"] = np.zeros(config["group_size"])
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}


def _kronos_layer(
    weights: Weights, name: str, config: dict[str, Any], draw: np.random.Generator
) -> None:
    d, f = config["d_model"], config["ff_dim"]
    for norm in ("norm1", "norm2"):
        weights[f"{name}.{norm}.weight"] = draw.uniform(0.7, 1.3, d)
    _kronos_attention(weights, f"{name}.self_attn", d, config["n_heads"], draw)
    for part, shape in (("w1", (f, d)), ("w3", (f, d)), ("w2", (d, f))):
        weights[f"{name}.ffn.{part}.weight"] = draw.normal(0, shape[1] ** -0.5, shape)


def _kronos_attention(
    weights: Weights, name: str, width: int, heads: int, draw: np.random.Generator
) -> None:
    for part in ("q", "k", "v", "out"):
        _linear(weights, f"{name}.{part}_proj", width, width, draw)
    # What the original keeps there can be computed, and is not read.
    weights[f"{name}.rotary.inv_freq"] = np.zeros(width // heads // 2)


def _linear(
    weights: Weights,
    name: str,
    out: int,
    into: int,
    draw: np.random.Generator,
    *,
    size: float = 1.0,
) -> None:
    weights[f"{name}.weight"] = draw.normal(0, size * into**-0.5, (out, into))
    weights[f"{name}.bias"] = draw.normal(0, 0.2, out)
