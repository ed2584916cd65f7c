"""Configuration of a Toto 1.0 checkpoint, and the weights that it requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from marketsim.errors import CheckpointError
from marketsim.models.neural.checkpoint import layer_count
from marketsim.models.neural.cost import NetworkSizes

_HEADS = ("df", "loc_proj", "scale_proj", "mixture_weights")
_MOST_EXPONENT = 300  # beyond, its power of ten is no number


def is_toto1(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of Toto 1.0."""
    return "spacewise_every_n_layers" in config and "patch_size" in config


@dataclass(frozen=True)
class Toto1Config:
    """Sizes of a Toto 1.0 network.

    Attributes:
        width: values that stand for a patch (embed_dim).
        hidden: width of the MLPs (mlp_hidden_dim).
        heads: attention heads a layer.
        across: for each layer, whether it looks across variates instead of along time.
        patch: steps a patch.
        components: Student-t distributions that a forecast is mixed of.
        clamp_exponent: a patch's scale lies within 10 to this power of the context's, both ways;
            None where it is not bounded.
    """

    width: int
    hidden: int
    heads: int
    across: tuple[bool, ...]
    patch: int
    components: int
    clamp_exponent: float | None

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Toto1Config:
        """Read the sizes from a config.json.

        Raises:
            CheckpointError: a key is missing, or says something that this code does not do.
        """
        try:
            kwargs = config["output_distribution_kwargs"]
            # Where a key lacks, the original's default.
            stabilised = bool(config.get("stabilize_with_global", True))
            exponent = float(config.get("scale_factor_exponent", 10.0))
            result = cls(
                width=int(config["embed_dim"]),
                hidden=int(config["mlp_hidden_dim"]),
                heads=int(config["num_heads"]),
                across=_layers(config),
                patch=int(config["patch_size"]),
                components=int(kwargs["k_components"]),
                clamp_exponent=exponent if stabilised else None,
            )
            _check_known(config, result, where)
        except KeyError as error:
            raise CheckpointError(f"config.json of {where} lacks {error}") from None
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"config.json of {where} cannot be understood: {error}") from None
        return result

    @property
    def head_size(self) -> int:
        """Dimensions of an attention head."""
        return self.width // self.heads

    def tensors(self, fused: bool) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the weights, for either naming of the MLPs."""
        e, f, p = self.width, self.hidden, self.patch
        shapes: dict[str, tuple[int, ...]] = {}

        def linear(name: str, out: int, into: int) -> None:
            shapes[f"model.{name}.weight"] = (out, into)
            shapes[f"model.{name}.bias"] = (out,)

        linear("patch_embed.projection", e, p)
        for i in range(len(self.across)):
            layer = f"transformer.layers.{i}"
            shapes[f"model.{layer}.norm1.scale"] = shapes[f"model.{layer}.norm2.scale"] = (e,)
            linear(f"{layer}.attention.wQKV", 3 * e, e)
            linear(f"{layer}.attention.wO", e, e)
            linear(f"{layer}.mlp.{'0.w12' if fused else '0'}", 2 * f, e)
            linear(f"{layer}.mlp.{'0.w3' if fused else '2'}", e, f)
        linear("unembed", e * p, e)
        for head in _HEADS:
            linear(f"output_distribution.{head}", self.components, e)
        return shapes


def _layers(config: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return for each layer whether it attends across variates.

    In each block of `spacewise_every_n_layers` one does: the first one, or the last; none at -1.
    """
    layers = layer_count(config, "num_layers")
    every = int(config["spacewise_every_n_layers"])
    if every == -1:
        return (False,) * layers
    if every < 1 or layers % every != 0:
        raise ValueError(f"spacewise_every_n_layers {every} does not divide num_layers {layers}")
    place = 0 if config.get("spacewise_first", True) else every - 1
    return tuple(i % every == place for i in range(layers))


def _check_known(config: Mapping[str, Any], sizes: Toto1Config, where: str) -> None:
    problems = []
    outputs = config["output_distribution_classes"]
    if len(outputs) != 1 or "MixtureOfStudentTsOutput" not in str(outputs[0]):
        problems.append(f"output_distribution_classes {outputs} (a mixture of Student-t is known)")
    if "CausalPatchStdMeanScaler" not in str(config["scaler_cls"]):
        problems.append(f"scaler_cls {config['scaler_cls']!r} (CausalPatchStdMeanScaler is known)")
    if int(config["stride"]) != sizes.patch:
        problems.append(f"stride {config['stride']} (must be the patch size, {sizes.patch})")
    if sizes.clamp_exponent is not None and not 0.0 <= sizes.clamp_exponent <= _MOST_EXPONENT:
        problems.append(f"scale_factor_exponent {sizes.clamp_exponent} (0 to {_MOST_EXPONENT})")
    counts = (sizes.hidden, sizes.heads, sizes.patch, sizes.components, len(sizes.across))
    if min(sizes.width, *counts) < 1:
        problems.append("sizes below 1")
    elif sizes.width % (2 * sizes.heads) != 0:
        problems.append(f"embed_dim {sizes.width} with {sizes.heads} heads (an even head size)")
    for key in ("target_variate_label", "exogenous_variate_label"):
        if config.get(key) is not None:
            problems.append(f"{key} (fused labels of fine-tuned variants)")
    if problems:
        raise CheckpointError(
            f"config.json of {where} asks for what is not known: " + "; ".join(problems)
        )


def network_sizes(config: Toto1Config) -> NetworkSizes:
    """Return the sizes of a configuration."""
    e = config.width
    shapes = config.tensors(fused=True)
    layers = [prod(shape) for name, shape in shapes.items() if ".layers." in name]
    return NetworkSizes(
        width=e,
        hidden=config.hidden,
        keys=e,
        values=e,
        across=config.across,
        inputs=config.patch,
        embed=config.patch * e,
        head=lambda steps: steps * (e * e + 4 * config.components * e),
        weights=sum(map(prod, shapes.values())),
        layer_weights=sum(layers),
    )
