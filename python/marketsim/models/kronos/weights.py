"""Weights of Kronos from the names of official checkpoints into the networks'.

A norm's factors are folded into the map that follows it, and what depends on a token alone is
computed once for each token there is: all in float64, rounded once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketsim.models.kronos.config import COLUMNS, KronosConfig, Shapes, TokenizerConfig
from marketsim.models.kronos.predictor import KronosNetwork
from marketsim.models.kronos.tokenizer import TokenizerNetwork
from marketsim.models.neural.blocks import TILE
from marketsim.models.neural.checkpoint import Checkpoint, check_names

Weights = dict[str, Tensor]


def load_tokenizer(checkpoint: Checkpoint, config: TokenizerConfig) -> TokenizerNetwork:
    """The tokenizer with a checkpoint's weights.

    Raises:
        CheckpointError: names that are missing or unknown, or shapes that differ.
    """
    weights = _read(checkpoint, config.tensors())
    state = _layers(weights, "encoder", config.encoder.layers)
    state |= _layers(weights, "decoder", config.decoder.layers)
    state |= _linear(weights, "code", "quant_embed") | _linear(weights, "head", "head")
    state |= _linear(weights, "embed", "embed")
    missing = -len(COLUMNS) % TILE
    state["embed.weight"] = torch.nn.functional.pad(state["embed.weight"], (0, missing))
    for name in ("code", "head"):
        few = -len(state[f"{name}.bias"]) % TILE
        state[f"{name}.weight"] = torch.nn.functional.pad(state[f"{name}.weight"], (0, 0, 0, few))
        state[f"{name}.bias"] = torch.nn.functional.pad(state[f"{name}.bias"], (0, few))
    numbers = torch.arange(1 << config.bits)[:, None]
    signs = 2.0 * (numbers >> torch.arange(config.bits) & 1).double() - 1.0
    spread = weights["post_quant_embed.weight"].double() / (2 * config.bits) ** 0.5
    first, second = (signs @ part.T for part in spread.split(config.bits, dim=1))
    state["bars_of_first"] = first + weights["post_quant_embed.bias"].double()
    state["bars_of_second"] = second
    with torch.device("meta"):
        network = TokenizerNetwork(config)
    network.load_state_dict(_rounded(state), assign=True)
    return network


def load_predictor(checkpoint: Checkpoint, config: KronosConfig) -> KronosNetwork:
    """The predictor with a checkpoint's weights, in float32.

    Raises:
        CheckpointError: names that are missing or unknown, or shapes that differ.
    """
    weights = _read(checkpoint, config.tensors())
    width, cross = config.stack.width, "dep_layer.cross_attn"
    state = _layers(weights, "transformer", config.stack.layers, ours="stack.layers")
    halves = [weights[f"embedding.emb_{half}.weight"].double() for half in ("s1", "s2")]
    fusion = weights["embedding.fusion_proj.weight"].double().split(width, dim=1)
    first, second = (width**0.5 * half @ part.T for half, part in zip(halves, fusion, strict=True))
    state["first_half"] = first + weights["embedding.fusion_proj.bias"].double()
    state["second_half"] = second
    state["clock"] = torch.cat([weights[name].double() for name in config.clock()])
    query = _linear(weights, "q", f"{cross}.q_proj")
    state["cross_queries"] = halves[0] @ query["q.weight"].T + query["q.bias"]
    for kind in ("weight", "bias"):
        parts = [weights[f"{cross}.{part}_proj.{kind}"].double() for part in ("k", "v")]
        state[f"answers.{kind}"] = torch.cat(parts)
    state |= _linear(weights, "answered", f"{cross}.out_proj")
    state |= _linear(weights, "first_head", "head.proj_s1")
    state |= _linear(weights, "second_head", "head.proj_s2")
    state["second_head.weight"] *= weights["dep_layer.norm.weight"].double()
    state["norm"] = weights["norm.weight"].double()
    with torch.device("meta"):
        network = KronosNetwork(config)
    network.load_state_dict(_rounded(state), assign=True)
    return network


def _read(checkpoint: Checkpoint, wanted: Shapes) -> Weights:
    """The weights that inference needs."""
    found = checkpoint.tensors(lambda name: not _is_unused(name))
    check_names(found, wanted, checkpoint.name)
    return found


def _is_unused(name: str) -> bool:
    """Tables that are computed here, and what only training has a use for."""
    return name.endswith("rotary.inv_freq") or name.startswith(
        ("tokenizer.bsq.", "post_quant_embed_pre.")
    )


def _layers(weights: Weights, theirs: str, layers: int, ours: str | None = None) -> Weights:
    state: Weights = {}
    for i in range(layers):
        old, new = f"{theirs}.{i}", f"{ours or f'{theirs}.layers'}.{i}"
        attention, mlp = (weights[f"{old}.{name}.weight"].double() for name in ("norm1", "norm2"))
        maps = [_linear(weights, part, f"{old}.self_attn.{part}_proj") for part in ("q", "k", "v")]
        together = {
            kind: torch.cat([one[f"{part}.{kind}"] for part, one in zip("qkv", maps, strict=True)])
            for kind in ("weight", "bias")
        }
        state[f"{new}.qkv.weight"] = together["weight"] * attention
        state[f"{new}.qkv.bias"] = together["bias"]
        state |= _linear(weights, f"{new}.out", f"{old}.self_attn.out_proj")
        gated = [weights[f"{old}.ffn.{name}.weight"].double() for name in ("w1", "w3")]
        state[f"{new}.gate_value.weight"] = torch.cat(gated) * mlp
        state[f"{new}.down.weight"] = weights[f"{old}.ffn.w2.weight"].double()
    return state


def _linear(weights: Weights, ours: str, theirs: str) -> Weights:
    return {f"{ours}.{kind}": weights[f"{theirs}.{kind}"].double() for kind in ("weight", "bias")}


def _rounded(state: Weights) -> Weights:
    return {name: tensor.float() for name, tensor in state.items()}
