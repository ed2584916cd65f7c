"""Sample paths of a batch: read each series once, then extend its paths bar by bar.

Kronos sees the last `max_context` tokens. While there are no more, what was read stays as it is,
and a step costs one token a path. From then on the oldest token leaves at each step, which changes
all that was made of the others: the tokens that paths share are read anew, once for all of them,
and each path adds those that it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from marketsim.models.kronos.predictor import KronosNetwork, Reading
from marketsim.models.kronos.sampling import Sampling, drawn, path_numbers, probabilities
from marketsim.models.kronos.series import BarSeries, Values
from marketsim.models.kronos.stack import room
from marketsim.models.kronos.tokenizer import TokenizerNetwork, Tokens
from marketsim.models.neural.stages import network_stage

ToDevice = Callable[[npt.NDArray[Any]], Tensor]


@dataclass(frozen=True)
class Networks:
    """A predictor with its tokenizer, and how many tokens it sees."""

    tokenizer: TokenizerNetwork
    predictor: KronosNetwork
    max_context: int

    def slides(self, length: int, horizon: int) -> bool:
        """Whether a series of that length has more tokens than are seen before the last step."""
        return min(length, self.max_context) + horizon - 1 > self.max_context


class Generation:
    """The paths of a few series of a kind, see `kind_of`.

    Args:
        networks: what makes them.
        series: the series.
        scaled: their values, float32 [time, column].
        horizon: how many bars, at most `max_context`.
        sampling: how tokens are drawn, and how many paths.
        to_device: brings an array to the networks' device.

    Attributes:
        made: the tokens drawn so far, [series, sample, step].
    """

    def __init__(
        self,
        networks: Networks,
        series: Sequence[BarSeries],
        scaled: Sequence[Values],
        horizon: int,
        sampling: Sampling,
        to_device: ToDevice,
    ) -> None:
        self._networks, self._sampling, self._horizon = networks, sampling, horizon
        sizes = [len(values) for values in scaled]
        width = room(max(sizes))
        bars = np.zeros((len(series), width, scaled[0].shape[1]), dtype=np.float32)
        clock = np.zeros((len(series), width, series[0].clock.shape[1]), dtype=np.int64)
        for i, (size, values) in enumerate(zip(sizes, scaled, strict=True)):
            bars[i, :size], clock[i, :size] = values, series[i].clock[:size]
        coming = np.stack([one.clock[len(one.values) :] for one in series])
        keys = np.stack([one.key(sampling.seed) for one in series])
        self._uniform = to_device(path_numbers(keys, sampling.samples, horizon))
        self._bars, self._clock = to_device(bars), to_device(clock)
        self._coming = to_device(coming)
        self._sizes = to_device(np.array(sizes, dtype=np.int64))
        self._longest = max(sizes)
        made = torch.zeros((2, *self._uniform.shape[:3]), dtype=torch.int64)
        self.made = Tokens(*made.to(self._uniform.device).unbind(0))

    def paths(self) -> Tensor:
        """Scaled bars, float32 [series, sample, step, column]."""
        with network_stage("encode", self._bars):
            self._context = self._networks.tokenizer.encode(self._bars)
            reading: Reading | None = None
            for step in range(self._horizon):
                reading = self._read(step, reading)
                self._draw(step, reading)
        with network_stage("head", self._bars):
            before, _, kept = self._last(self._networks.max_context - self._horizon)
            return self._networks.tokenizer.decode(before, kept, self.made)

    def _read(self, step: int, reading: Reading | None) -> Reading:
        """Hidden state for a step's token, from the state of the step before."""
        most, network = self._networks.max_context, self._networks.predictor
        start = step - 1
        if reading is None or self._longest + step > most:
            reading = network.read(*self._last(most - step))
            start = 0
        if step:
            new = Tokens(*(half[:, :, start:step] for half in self.made))
            network.extend(reading, new, self._coming[:, start:step])
        return reading

    def _draw(self, step: int, reading: Reading) -> None:
        """Draw the token of a step for each path, its second half given the first."""
        network, uniform = self._networks.predictor, self._uniform[:, :, step]
        first = drawn(probabilities(network.first_logits(reading), self._sampling), uniform[..., 0])
        logits = network.second_logits(reading, first)
        second = drawn(probabilities(logits, self._sampling), uniform[..., 1])
        self.made.first[:, :, step] = first
        self.made.second[:, :, step] = second

    def _last(self, most: int) -> tuple[Tokens, Tensor, Tensor]:
        """Up to `most` last tokens of each context, their clocks, and how many; then fillings."""
        kept = self._sizes.clamp(max=most)
        places = torch.arange(room(min(self._longest, most)), device=kept.device)
        at = (self._sizes - kept)[:, None] + places
        at.clamp_(max=self._bars.shape[1] - 1)
        tokens = Tokens(*(half.gather(1, at) for half in self._context))
        clock = self._clock.gather(1, at[..., None].expand(-1, -1, self._clock.shape[2]))
        return tokens, clock, kept


def kind_of(networks: Networks, length: int, horizon: int) -> tuple[int, int]:
    """Key of the series that can share a batch.

    Series of one kind take as many positions, and either all keep what was read or none does: so
    what is computed of one does not depend on the others.
    """
    slides = networks.slides(length, horizon)
    return room(length), min(length, networks.max_context) if slides else 0
