"""Configuration of a chronos-forecasting checkpoint: inputs and outputs of its pipelines."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketsim.errors import CheckpointError

_JOINT = "Chronos2Pipeline"


def is_chronos_quantiles(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a Chronos model with quantiles: Bolt, or 2."""
    return "quantiles" in _own_part(config)


def is_chronos_samples(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a Chronos model that samples tokens."""
    return "tokenizer_class" in _own_part(config)


@dataclass(frozen=True)
class ChronosConfig:
    """Sizes and limits of a Chronos model.

    Attributes:
        context_length: how many last values it sees.
        patch: values a token; 1 where each has one of its own.
        aligned: whether values missing at the start of a context change nothing if they are whole
            patches.
        levels: the quantile levels that it states, in its order; empty where it draws samples.
        joint: whether it can forecast several variates together.
        sampling: num_samples, temperature, top_k and top_p of a model that draws samples.
        bytes_per_token: memory that a patch takes on its way through the network, about.
    """

    context_length: int
    patch: int
    aligned: bool
    levels: tuple[float, ...]
    joint: bool
    sampling: Mapping[str, float]
    bytes_per_token: int

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> ChronosConfig:
        """Read a config.json.

        Raises:
            CheckpointError: a key is missing or holds what cannot be.
        """
        own = _own_part(config)
        try:
            levels = tuple(float(level) for level in own.get("quantiles", ()))
            patch = int(own["input_patch_size"]) if levels else 1
            length = int(own["context_length"])
            keys = () if levels else ("num_samples", "temperature", "top_k", "top_p")
            width, heads = int(config["d_model"]), int(config["num_heads"])
            result = cls(
                context_length=length,
                patch=patch,
                aligned=not levels or int(own["input_patch_stride"]) == patch,
                levels=levels,
                joint=config.get("chronos_pipeline_class") == _JOINT,
                sampling={key: own[key] for key in keys},
                bytes_per_token=4
                * (10 * width + 4 * int(config["d_ff"]) + heads * -(-length // max(1, patch))),
            )
        except KeyError as error:
            raise CheckpointError(f"config.json of {where} lacks {error}") from None
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"config.json of {where} cannot be understood: {error}") from None
        if min(length, patch, width, heads) < 1:
            raise CheckpointError(f"config.json of {where} holds sizes below 1")
        ordered = sorted(levels)
        if levels and not (
            len(levels) > 1
            and ordered[0] > 0.0
            and ordered[-1] < 1.0
            and all(a < b for a, b in itertools.pairwise(ordered))
        ):
            raise CheckpointError(
                f"quantiles of {where} must be at least two different levels in (0, 1): "
                f"got {', '.join(map(str, levels))}"
            )
        return result


def _own_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    own = config.get("chronos_config")
    return own if isinstance(own, Mapping) else {}
