"""Convert weights of official Toto 1.0 checkpoints to the network's names and layouts."""

from __future__ import annotations

import torch
from torch import Tensor

from marketsim.models.neural.blocks import pad_tile, pair_order
from marketsim.models.neural.checkpoint import Checkpoint, check_names
from marketsim.models.toto1.config import Toto1Config
from marketsim.models.toto1.network import Toto1Network

_HEADS = ("df", "loc_proj", "scale_proj", "mixture_weights")


def load_network(checkpoint: Checkpoint, config: Toto1Config) -> Toto1Network:
    """Load the network with a checkpoint's weights, in float32.

    Raises:
        CheckpointError: names that are missing or unknown, or shapes that differ.
    """
    # Rotary factors are computed, wherever a checkpoint may hold them.
    tensors = checkpoint.tensors(lambda name: not name.endswith("rotary_emb.freqs"))
    fused = any(".mlp.0.w12." in name for name in tensors)
    check_names(tensors, config.tensors(fused), checkpoint.name)
    with torch.device("meta"):
        network = Toto1Network(config)
    state: dict[str, Tensor] = {}
    for i in range(len(config.across)):
        state.update(_layer(tensors, i, config, fused))
    for ours, theirs in (("embed", "patch_embed.projection"), ("unembed", "unembed")):
        for kind in ("weight", "bias"):
            state[f"{ours}.{kind}"] = tensors[f"model.{theirs}.{kind}"]
    for kind in ("weight", "bias"):
        parts = [tensors[f"model.output_distribution.{head}.{kind}"] for head in _HEADS]
        state[f"head.{kind}"] = pad_tile(torch.cat(parts), 0)
    state = {name: tensor.float().contiguous() for name, tensor in state.items()}
    network.load_state_dict(state, assign=True)
    return network


def _layer(
    tensors: dict[str, Tensor], index: int, config: Toto1Config, fused: bool
) -> dict[str, Tensor]:
    theirs, ours = f"model.transformer.layers.{index}", f"layers.{index}"
    names = {
        "out": "attention.wO",
        "gate_value": "mlp.0.w12" if fused else "mlp.0",
        "down": "mlp.0.w3" if fused else "mlp.2",
    }
    state: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        for name, original in names.items():
            state[f"{ours}.{name}.{kind}"] = tensors[f"{theirs}.{original}.{kind}"]
        packed = tensors[f"{theirs}.attention.wQKV.{kind}"]
        state[f"{ours}.qkv.{kind}"] = _by_head(packed, config)
    # What a norm multiplies by is part of the weights that follow it.
    for n, name in ((1, "qkv"), (2, "gate_value")):
        weight = state[f"{ours}.{name}.weight"].double()
        state[f"{ours}.{name}.weight"] = weight * tensors[f"{theirs}.norm{n}.scale"].double()
    return state


def _by_head(packed: Tensor, config: Toto1Config) -> Tensor:
    """Reorder (q k v, dimension, head) to (q k v, head, dimension).

    The dimensions of queries and keys come in the order that `rotate` expects; their products do
    not depend on it.
    """
    rest = packed.shape[1:]
    parts = packed.reshape(3, config.head_size, config.heads, *rest).transpose(1, 2).clone()
    parts[:2] = parts[:2][:, :, pair_order(config.head_size)]
    return parts.reshape(3 * config.width, *rest)
