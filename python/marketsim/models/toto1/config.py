"""The configuration of a Toto 1.0 checkpoint, and the weights that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketsim.errors import CheckpointError

_HEADS = ("df", "loc_proj", "scale_proj", "mixture_weights")


def is_toto1(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of Toto 1.0."""
    return "spacewise_every_n_layers" in config and "patch_size" in config


@dataclass(frozen=True)
class Toto1Config:
    """The sizes of a Toto 1.0 network.

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
        """The sizes in a config.json.

        Raises:
            CheckpointError: a key is missing, or says something that this code does not do.
        """
        try:
            layers, every = int(config["num_layers"]), int(config["spacewise_every_n_layers"])
            first = bool(config.get("spacewise_first", False))
            kwargs = config["output_distribution_kwargs"]
            stabilised = bool(config["stabilize_with_global"])
            result = cls(
                width=int(config["embed_dim"]),
                hidden=int(config["mlp_hidden_dim"]),
                heads=int(config["num_heads"]),
                across=tuple(_is_across(i, every, first) for i in range(layers)),
                patch=int(config["patch_size"]),
                components=int(kwargs["k_components"]),
                clamp_exponent=float(config["scale_factor_exponent"]) if stabilised else None,
            )
            _check_known(config, result, where)
        except KeyError as error:
            raise CheckpointError(f"config.json of {where} lacks {error}") from None
        except (TypeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"config.json of {where} cannot be understood: {error}") from None
        return result

    @property
    def head_size(self) -> int:
        """Dimensions of an attention head."""
        return self.width // self.heads

    def tensors(self, fused: bool) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights, in one of the two spellings of the MLPs."""
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


def _is_across(layer: int, every: int, first: bool) -> bool:
    """In each block of `every` layers one looks across variates: the last one, or the first."""
    if every == -1:
        return False
    return layer % every == (0 if first else every - 1)


def _check_known(config: Mapping[str, Any], sizes: Toto1Config, where: str) -> None:
    problems = []
    outputs = config["output_distribution_classes"]
    if len(outputs) != 1 or "MixtureOfStudentTsOutput" not in str(outputs[0]):
        problems.append(f"output_distribution_classes {outputs} (a mixture of Student-t is known)")
    if "CausalPatchStdMeanScaler" not in str(config["scaler_cls"]):
        problems.append(f"scaler_cls {config['scaler_cls']!r} (CausalPatchStdMeanScaler is known)")
    if int(config["stride"]) != sizes.patch:
        problems.append(f"stride {config['stride']} (must be the patch size, {sizes.patch})")
    if min(sizes.width, sizes.hidden, sizes.heads, sizes.patch, sizes.components) < 1:
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
