"""Configuration of a Toto 2.0 checkpoint, and the weights that it requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from marketsim.errors import CheckpointError
from marketsim.models.neural.checkpoint import layer_count
from marketsim.models.neural.cost import NetworkSizes

# What a forecast consists of; the original calls them knots.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

# What all published checkpoints say alike. Anything else is another network than the one here.
_KNOWN: Mapping[str, Any] = {
    "num_output_patches": 1,
    "pre_norm": True,
    "attn_bias": True,
    "mlp_bias": False,
    "qk_norm": False,
    "norm_include_weight": False,
    "per_dim_scale": True,
    "use_xpos": True,
}


def is_toto2(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of Toto 2.0."""
    return "layer_group_size" in config and "patch_size" in config


@dataclass(frozen=True)
class Toto2Config:
    """Sizes of a Toto 2.0 network.

    Attributes:
        width: values that stand for a patch (d_model).
        hidden: width of the gated MLPs (d_ff).
        heads: attention heads a layer.
        key_heads: how many of them have keys and values of their own (num_groups); neighbouring
            heads share them.
        key_size: dimensions of a head's queries and keys (qk_dim); half of them carry the position.
        value_size: dimensions of a head's values (v_dim).
        across: for each layer, whether it looks across variates instead of along time.
        patch: steps a patch.
        norm_eps: added to the mean square that a token is divided by.
    """

    width: int
    hidden: int
    heads: int
    key_heads: int
    key_size: int
    value_size: int
    across: tuple[bool, ...]
    patch: int
    norm_eps: float

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Toto2Config:
        """Read the sizes from a config.json.

        Raises:
            CheckpointError: a key is missing, or says something that this code does not do.
        """
        try:
            width, heads = int(config["d_model"]), int(config["num_heads"])
            layers, group = layer_count(config, "num_layers"), int(config["layer_group_size"])
            across = int(config["num_variate_layers_per_group"])
            first = bool(config["variate_layer_first"])
            key_size = int(config.get("qk_dim") or width // heads)
            result = cls(
                width=width,
                hidden=int(config.get("d_ff") or (int(8 * width / 3) + 7) // 8 * 8),
                heads=heads,
                key_heads=int(config.get("num_groups") or heads),
                key_size=key_size,
                value_size=int(config.get("v_dim") or key_size),
                across=tuple(_is_across(i % group, group, across, first) for i in range(layers)),
                patch=int(config["patch_size"]),
                norm_eps=float(config["norm_eps"]),
            )
            _check_known(config, result, where)
        except KeyError as error:
            raise CheckpointError(f"config.json of {where} lacks {error}") from None
        except (TypeError, ValueError, ZeroDivisionError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"config.json of {where} cannot be understood: {error}") from None
        return result

    @property
    def turned(self) -> int:
        """Number of a head's first dimensions that are rotated."""
        return self.key_size // 2

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the weights."""
        d, p = self.width, self.patch
        queries, keys = self.heads * self.key_size, self.key_heads * self.key_size
        shapes: dict[str, tuple[int, ...]] = {}

        def linear(name: str, out: int, into: int) -> None:
            shapes[f"{name}.weight"] = (out, into)
            shapes[f"{name}.bias"] = (out,)

        def residual_mlp(name: str, into: int, out: int) -> None:
            linear(f"{name}.linear1", 4 * d, into)
            linear(f"{name}.linear2", out, 4 * d)
            linear(f"{name}.skip_proj", out, into)

        residual_mlp("patch_proj", 2 * p, d)
        for i in range(len(self.across)):
            layer = f"transformer.layers.{i}"
            shapes[f"{layer}.attn_tau"] = shapes[f"{layer}.mlp_tau"] = ()
            values = self.key_heads * self.value_size
            linear(f"{layer}.attn.in_proj", queries + keys + values, d)
            linear(f"{layer}.attn.out_proj", d, self.heads * self.value_size)
            shapes[f"{layer}.attn._pds.per_dim_scale"] = (self.key_size,)
            shapes[f"{layer}.ffn.fc1.weight"] = (2 * self.hidden, d)
            shapes[f"{layer}.ffn.fc2.weight"] = (d, self.hidden)
        residual_mlp("output_head.param_projection.proj", d, len(LEVELS) * p)
        return shapes


def _is_across(place: int, group: int, across: int, first: bool) -> bool:
    """Whether a layer attends across variates: the last or first ones of each group do."""
    return place < across if first else place >= group - across


def _check_known(config: Mapping[str, Any], sizes: Toto2Config, where: str) -> None:
    problems = [
        f"{key} {config[key]!r} ({known!r} is known)"
        for key, known in _KNOWN.items()
        if config[key] != known
    ]
    if float(config.get("dropout_p") or 0.0) != 0.0:
        problems.append(f"dropout_p {config['dropout_p']!r} (0.0 is known)")
    numbers = (sizes.width, sizes.hidden, sizes.heads, sizes.key_heads, sizes.key_size)
    if min(*numbers, sizes.value_size, sizes.patch, len(sizes.across)) < 1:
        problems.append("sizes below 1")
    else:
        if len(sizes.across) % int(config["layer_group_size"]) != 0:
            problems.append(
                f"{len(sizes.across)} layers in groups of {config['layer_group_size']} (whole ones)"
            )
        if sizes.heads % sizes.key_heads != 0:
            problems.append(f"{sizes.heads} heads in {sizes.key_heads} groups (of equal size)")
        if sizes.key_size % 4 != 0:
            problems.append(f"qk_dim {sizes.key_size} (a multiple of 4)")
    if not sizes.norm_eps > 0.0:
        problems.append(f"norm_eps {sizes.norm_eps!r} (above 0)")
    if problems:
        listed = "; ".join(problems)
        raise CheckpointError(f"config.json of {where} asks for what is not known: {listed}")


def network_sizes(config: Toto2Config) -> NetworkSizes:
    """Return the sizes of a configuration."""
    d = config.width
    shapes = config.tensors()
    layers = [prod(shape) for name, shape in shapes.items() if ".layers." in name]
    return NetworkSizes(
        width=d,
        hidden=config.hidden,
        keys=config.heads * config.key_size,
        values=config.heads * config.value_size,
        across=config.across,
        inputs=2 * config.patch,
        embed=_residual_mlp(2 * config.patch, d, d),
        head=lambda steps: _residual_mlp(d, d, steps * len(LEVELS)),
        weights=sum(map(prod, shapes.values())),
        layer_weights=sum(layers),
    )


def _residual_mlp(into: int, width: int, out: int) -> int:
    """Return weights of an MLP four times as wide as the tokens, and of its linear skip."""
    return 4 * width * (into + out) + into * out
