"""Draw tokens: the truncated distribution, and the uniform number of each draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number, is_whole
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from torch import Tensor

# Draws that a token takes, one for each half; those that Philox makes at a time are four.
_HALVES = 2
_AT_ONCE = 4


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, as in the original.

    Attributes:
        temperature: what logits are divided by.
        top_k: draw from that many most likely ones, ties included, and let `top_p` be; 0 for no
            such limit. 1 is greedy: no draw is left to chance, ties aside.
        top_p: draw from the most likely ones, up to the first with which they have more than this
            share.
        samples: how many paths of each series.
        seed: from which, with a series' content, its draws follow.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    samples: int = 1
    seed: int = 0

    def check(self) -> Sampling:
        """The settings as plain numbers, checked.

        Raises:
            ArgumentError: one of them is out of its range.
        """
        temperature = as_number("temperature", self.temperature, "a number above 0")
        if not 0.0 < temperature < np.inf:
            raise ArgumentError(f"temperature must be a number above 0: got {temperature!r}")
        top_p = as_number("top_p", self.top_p, "a number in 0 .. 1")
        if not 0.0 <= top_p <= 1.0:
            raise ArgumentError(f"top_p must be a number in 0 .. 1: got {top_p!r}")
        for name, least in (("top_k", 0), ("samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise ArgumentError(
                    f"{name} must be a whole number of at least {least}: got {value!r}"
                )
        return Sampling(temperature, int(self.top_k), top_p, int(self.samples), int(self.seed))


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities of tokens after truncation, float32 [..., number], from raw logits."""
    logits = logits / sampling.temperature
    if sampling.top_k > 0:
        kept = min(sampling.top_k, logits.shape[-1])
        least = logits.topk(kept, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -np.inf)
    elif sampling.top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        passed = ordered.softmax(dim=-1).cumsum(dim=-1) > sampling.top_p
        # The first with which the share is passed is still drawn.
        dropped = passed.roll(1, dims=-1)
        dropped[..., 0] = False
        logits = logits.masked_fill(dropped.scatter(-1, order, dropped), -np.inf)
    return logits.softmax(dim=-1)


def drawn(shares: Tensor, uniform: Tensor) -> Tensor:
    """Tokens int64 [row, branch] drawn by uniform numbers in [0, 1).

    Args:
        shares: [row, branch, number], or [row, 1, number] where branches do not differ yet.
        uniform: float64 [row, branch].
    """
    import torch

    edges = shares.double().cumsum(dim=-1)
    total = edges[..., -1]
    # Below the last edge, whatever rounding does: so no number without a share is drawn.
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    if shares.shape[1] == uniform.shape[1]:
        return torch.searchsorted(edges, target.unsqueeze(-1), right=True).squeeze(-1)
    return torch.searchsorted(edges.squeeze(1), target, right=True)


def path_numbers(
    seeds: npt.NDArray[np.uint64], samples: int, horizon: int
) -> npt.NDArray[np.float64]:
    """Uniform numbers [series, sample, step, half] in [0, 1) for the paths of some series.

    A number follows from the series' seed, two words, the number of its path and its step: it
    depends neither on how many paths and steps there are nor on other series.
    """
    made = np.empty((len(seeds), samples, horizon, _HALVES))
    for i, key in enumerate(seeds):
        for step in range(horizon):
            counter = np.array([0, 0, 0, step], dtype=np.uint64)
            stream = np.random.Generator(np.random.Philox(key=key, counter=counter))
            made[i, :, step] = stream.random((samples, _AT_ONCE))[:, :_HALVES]
    return made
