"""Convert weights of official Toto 2.0 checkpoints to the network's names and factors.

The original divides the result of a linear map by the root of its number of inputs (unit scaling),
multiplies queries by a factor a dimension, and adds a branch b to the stream h as
(tau b + h) / sqrt(1 + tau^2). All of this is linear and is folded into the weights, in float64.
With h = c g, where c is the product of all 1 / sqrt(1 + tau^2) so far, the last becomes
g + (tau / c) b, and the norm of h with eps that of g with eps / c^2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marketsim.models.neural.checkpoint import Checkpoint, check_names
from marketsim.models.toto2.config import Toto2Config
from marketsim.models.toto2.network import Toto2Layer, Toto2Network, key_order

# What silu is multiplied by in the two residual MLPs, and nowhere else.
_SILU_FACTOR = math.exp(0.8 * math.log(math.sqrt(2 / (1 - 1 / math.pi))) + 0.2 * math.log(2))


def load_network(checkpoint: Checkpoint, config: Toto2Config) -> Toto2Network:
    """Load the network with a checkpoint's weights, in float32.

    Raises:
        CheckpointError: names that are missing or unknown, or shapes that differ.
    """
    tensors = checkpoint.tensors()
    check_names(tensors, config.tensors(), checkpoint.name)
    with torch.device("meta"):
        network = Toto2Network(config)
    state = _residual_mlp(tensors, "patch_proj", "embed", readout=False)
    shrunk = 1.0
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, Toto2Layer)
        theirs = f"transformer.layers.{i}"
        attention_tau = float(tensors[f"{theirs}.attn_tau"])
        mlp_tau = float(tensors[f"{theirs}.mlp_tau"])
        found = _attention(tensors, theirs, config, attention_tau / shrunk)
        layer.attention_eps = config.norm_eps / shrunk**2
        shrunk /= math.hypot(1.0, attention_tau)
        found |= _gated_mlp(tensors, theirs, config, mlp_tau / shrunk)
        layer.mlp_eps = config.norm_eps / shrunk**2
        shrunk /= math.hypot(1.0, mlp_tau)
        state |= {f"layers.{i}.{name}": tensor for name, tensor in found.items()}
    network.output_eps = config.norm_eps / shrunk**2
    state |= _residual_mlp(tensors, "output_head.param_projection.proj", "head", readout=True)
    network.load_state_dict(state, assign=True)
    return network


def _residual_mlp(
    tensors: dict[str, Tensor], theirs: str, ours: str, *, readout: bool
) -> dict[str, Tensor]:
    """Of (linear2(silu(linear1(x))) + skip(x)) / sqrt(2).

    A readout's last maps divide by their number of inputs instead of its root.
    """
    power = 1.0 if readout else 0.5
    wide, into = (tensors[f"{theirs}.{name}.weight"].shape[1] for name in ("linear2", "skip_proj"))
    down, skip = math.sqrt(0.5) / wide**power, math.sqrt(0.5) / into**power

    def scaled(name: str, kind: str, factor: float) -> Tensor:
        return tensors[f"{theirs}.{name}.{kind}"].double() * factor

    bias = scaled("linear2", "bias", down) + scaled("skip_proj", "bias", skip)
    return {
        f"{ours}.up.weight": scaled("linear1", "weight", into**-0.5).float(),
        f"{ours}.up.bias": scaled("linear1", "bias", into**-0.5).float(),
        f"{ours}.down.weight": scaled("linear2", "weight", down * _SILU_FACTOR).float(),
        f"{ours}.down.bias": bias.float(),
        f"{ours}.skip.weight": scaled("skip_proj", "weight", skip).float(),
    }


def _attention(
    tensors: dict[str, Tensor], layer: str, config: Toto2Config, branch: float
) -> dict[str, Tensor]:
    softened = torch.nn.functional.softplus(tensors[f"{layer}.attn._pds.per_dim_scale"].double())
    # Products of queries and keys are divided by the number of dimensions, not by its root.
    by_dimension = softened / (math.log(2) * config.key_size)
    shared = config.heads // config.key_heads
    sizes = [
        config.heads * config.key_size,
        config.key_heads * config.key_size,
        config.key_heads * config.value_size,
    ]
    order = key_order(config)
    state: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        packed = tensors[f"{layer}.attn.in_proj.{kind}"].double() / math.sqrt(config.width)
        query, key, value = (
            part.reshape(-1, size, *part.shape[1:])
            for part, size in zip(
                torch.split(packed, sizes),
                (config.key_size, config.key_size, config.value_size),
                strict=True,
            )
        )
        query = query * by_dimension.view(-1, *(1,) * (query.ndim - 2))
        # Heads that share keys and values get copies of them.
        key, value = (part.repeat_interleave(shared, dim=0) for part in (key, value))
        parts = (query[:, order], key[:, order], value)
        state[f"qkv.{kind}"] = torch.cat([part.flatten(0, 1) for part in parts]).float()
        result = tensors[f"{layer}.attn.out_proj.{kind}"].double()
        factor = branch / math.sqrt(config.heads * config.value_size)
        state[f"out.{kind}"] = (result * factor).float()
    return state


def _gated_mlp(
    tensors: dict[str, Tensor], layer: str, config: Toto2Config, branch: float
) -> dict[str, Tensor]:
    up = tensors[f"{layer}.ffn.fc1.weight"].double() / math.sqrt(config.width)
    down = tensors[f"{layer}.ffn.fc2.weight"].double() * (branch / math.sqrt(config.hidden))
    return {"gate_value.weight": up.float(), "down.weight": down.float()}
