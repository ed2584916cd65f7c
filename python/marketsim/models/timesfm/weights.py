"""Convert weights of official TimesFM 2.5 checkpoints to the network's names and factors.

The factors of a norm before a linear map are folded into the map. Those of the norms of queries and
keys and of the dimensions' scale only meet in the product of a query and a key, so they become one
factor a dimension. All of this is in float64 and rounded once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marketsim.models.neural.checkpoint import Checkpoint, check_names
from marketsim.models.timesfm.config import OUTPUTS, TimesFmConfig
from marketsim.models.timesfm.network import TimesFmNetwork

# One over log 2, with as many digits as the original has of it.
_PER_LOG_2 = 1.442695041


def load_network(checkpoint: Checkpoint, config: TimesFmConfig) -> TimesFmNetwork:
    """Load the network with a checkpoint's weights, in float32.

    Raises:
        CheckpointError: names that are missing or unknown, shapes that differ, or values that are
            not finite.
    """
    tensors = checkpoint.tensors()
    check_names(tensors, config.tensors(), checkpoint.name)
    state = _residual(tensors, "tokenizer", "embed")
    for name, ours in (("point", "head"), ("quantiles", "spread_head")):
        state |= _residual(tensors, f"output_projection_{name}", ours, readout=True)
    for i in range(config.layers):
        found = _layer(tensors, f"stacked_xf.{i}", config.key_size)
        state |= {f"layers.{i}.{name}": tensor for name, tensor in found.items()}
    with torch.device("meta"):
        network = TimesFmNetwork(config)
    network.load_state_dict(state, assign=True)
    return network


def _residual(
    tensors: dict[str, Tensor], theirs: str, ours: str, *, readout: bool = False
) -> dict[str, Tensor]:
    """Of output(silu(hidden(x))) + residual(x); a readout leaves the mean out of its outputs."""

    def weight(part: str) -> Tensor:
        return tensors[f"{theirs}.{part}_layer.weight"].double()

    up, down, skip = weight("hidden"), weight("output"), weight("residual")
    if readout:
        down, skip = (
            part.view(-1, OUTPUTS, part.shape[1])[:, 1:].flatten(0, 1) for part in (down, skip)
        )
        inner, outer = up.new_zeros(len(up)), down.new_zeros(len(down))
    else:
        inner = tensors[f"{theirs}.hidden_layer.bias"].double()
        outer = sum(
            (tensors[f"{theirs}.{part}_layer.bias"].double() for part in ("output", "residual")),
            start=down.new_zeros(len(down)),
        )
    state = {"up.weight": up, "up.bias": inner, "down.weight": down, "down.bias": outer}
    state["skip.weight"] = skip
    return {f"{ours}.{name}": tensor.float().contiguous() for name, tensor in state.items()}


def _layer(tensors: dict[str, Tensor], layer: str, key_size: int) -> dict[str, Tensor]:
    def get(name: str) -> Tensor:
        return tensors[f"{layer}.{name}"].double()

    by_dimension = torch.nn.functional.softplus(get("attn.per_dim_scale.per_dim_scale"))
    by_dimension *= get("attn.query_ln.scale") * get("attn.key_ln.scale")
    state = {
        "qkv.weight": get("attn.qkv_proj.weight") * get("pre_attn_ln.scale"),
        "by_dimension": by_dimension * (_PER_LOG_2 / math.sqrt(key_size)),
        "out.weight": get("attn.out.weight"),
        "after_attention": get("post_attn_ln.scale"),
        "up.weight": get("ff0.weight") * get("pre_ff_ln.scale"),
        "down.weight": get("ff1.weight"),
        "after_mlp": get("post_ff_ln.scale"),
    }
    return {name: tensor.float() for name, tensor in state.items()}
