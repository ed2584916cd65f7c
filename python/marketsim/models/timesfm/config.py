"""Sizes of a TimesFM 2.5 network, read from the shapes of its weights.

The config.json of the published checkpoint states no sizes: the original has them in its code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from marketsim.errors import CheckpointError
from marketsim.models.neural.checkpoint import MOST_LAYERS
from marketsim.models.neural.cost import NetworkSizes

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# A step's outputs: the mean, then the nine quantiles.
OUTPUTS = 1 + len(LEVELS)
# Added to a mean square before its root is taken, in the original's code.
NORM_EPS = 1e-6
_FIRST = "stacked_xf.0.attn.qkv_proj.weight"
_POINT, _SPREAD = "output_projection_point", "output_projection_quantiles"


def is_timesfm(names: Iterable[str]) -> bool:
    """Whether these are the names of the weights of TimesFM 2.5."""
    return {_FIRST, f"{_SPREAD}.hidden_layer.weight"} <= set(names)


@dataclass(frozen=True)
class TimesFmConfig:
    """Sizes of a TimesFM 2.5 network.

    Attributes:
        width: values that stand for a patch.
        hidden: width of the MLPs.
        heads: attention heads a layer.
        layers: how many.
        patch: steps a patch.
        reach: steps that the forecast after a patch covers.
        spread_reach: steps that the second head covers, which states distances of the quantiles
            from the median.
        embed_hidden, point_hidden, spread_hidden: hidden widths of the three ends.
    """

    width: int
    hidden: int
    heads: int
    layers: int
    patch: int
    reach: int
    spread_reach: int
    embed_hidden: int
    point_hidden: int
    spread_hidden: int

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], where: str) -> TimesFmConfig:
        """Read the sizes from the shapes of the weights, by name.

        Raises:
            CheckpointError: a weight is missing, or its shape is none that this code knows.
        """
        layers = sum(name.endswith(".attn.qkv_proj.weight") for name in shapes)
        try:
            embed_hidden, into = shapes["tokenizer.hidden_layer.weight"]
            (key_size,) = shapes["stacked_xf.0.attn.per_dim_scale.per_dim_scale"]
            hidden, width = shapes["stacked_xf.0.ff0.weight"]
            point, point_hidden = shapes[f"{_POINT}.output_layer.weight"]
            spread, spread_hidden = shapes[f"{_SPREAD}.output_layer.weight"]
        except KeyError as error:
            raise CheckpointError(f"the weights of {where} lack {error}") from None
        except ValueError:
            raise CheckpointError(
                f"the weights of {where} are no matrices and rows of factors where TimesFM 2.5 "
                "has them"
            ) from None
        sizes = (embed_hidden, into, key_size, hidden, width, point, point_hidden, spread)
        problems = []
        if min(*sizes, spread_hidden) < 1:
            problems.append("sizes below 1")
        elif width % key_size or key_size % 2:
            problems.append(f"heads of {key_size} of {width} (an even divisor)")
        if into % 2:
            problems.append(f"{into} numbers a patch (values and flags)")
        if point % OUTPUTS or spread % OUTPUTS:
            problems.append(f"{point} and {spread} outputs (multiples of {OUTPUTS})")
        elif (point // OUTPUTS) % max(1, into // 2):
            problems.append(f"{point // OUTPUTS} steps ahead (whole patches of {into // 2})")
        if layers > MOST_LAYERS:
            problems.append(f"{layers:,} layers (at most {MOST_LAYERS:,})")
        if problems:
            listed = "; ".join(problems)
            raise CheckpointError(f"the weights of {where} have sizes that are not known: {listed}")
        return cls(
            width=width,
            hidden=hidden,
            heads=width // key_size,
            layers=layers,
            patch=into // 2,
            reach=point // OUTPUTS,
            spread_reach=spread // OUTPUTS,
            embed_hidden=embed_hidden,
            point_hidden=point_hidden,
            spread_hidden=spread_hidden,
        )

    @property
    def key_size(self) -> int:
        """Dimensions of a head."""
        return self.width // self.heads

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the weights."""
        d, h = self.width, self.hidden
        shapes: dict[str, tuple[int, ...]] = {}

        def residual(name: str, into: int, inner: int, out: int) -> None:
            for part, shape in (
                ("hidden_layer", (inner, into)),
                ("output_layer", (out, inner)),
                ("residual_layer", (out, into)),
            ):
                shapes[f"{name}.{part}.weight"] = shape

        residual("tokenizer", 2 * self.patch, self.embed_hidden, d)
        for part, out in (("hidden", self.embed_hidden), ("output", d), ("residual", d)):
            shapes[f"tokenizer.{part}_layer.bias"] = (out,)
        for i in range(self.layers):
            layer = f"stacked_xf.{i}"
            for norm in ("pre_attn_ln", "post_attn_ln", "pre_ff_ln", "post_ff_ln"):
                shapes[f"{layer}.{norm}.scale"] = (d,)
            for part in ("query_ln.scale", "key_ln.scale", "per_dim_scale.per_dim_scale"):
                shapes[f"{layer}.attn.{part}"] = (self.key_size,)
            shapes[f"{layer}.attn.qkv_proj.weight"] = (3 * d, d)
            shapes[f"{layer}.attn.out.weight"] = (d, d)
            shapes[f"{layer}.ff0.weight"] = (h, d)
            shapes[f"{layer}.ff1.weight"] = (d, h)
        residual(_POINT, d, self.point_hidden, self.reach * OUTPUTS)
        residual(_SPREAD, d, self.spread_hidden, self.spread_reach * OUTPUTS)
        return shapes


def network_sizes(config: TimesFmConfig, *, spread: bool) -> NetworkSizes:
    """Return the sizes of a configuration; `spread` if the second head is asked, too."""
    d = config.width
    shapes = config.tensors()
    layers = [prod(shape) for name, shape in shapes.items() if name.startswith("stacked_xf.")]
    heads = [config.point_hidden, *([config.spread_hidden] if spread else [])]

    def head(steps: int) -> int:
        return sum(inner * d + (inner + d) * steps * len(LEVELS) for inner in heads)

    return NetworkSizes(
        width=d,
        hidden=config.hidden,
        keys=d,
        values=d,
        across=(False,) * config.layers,
        inputs=2 * config.patch,
        embed=config.embed_hidden * (2 * config.patch + d) + 2 * config.patch * d,
        head=head,
        weights=sum(map(prod, shapes.values())),
        layer_weights=sum(layers),
        matrices=2,
    )
