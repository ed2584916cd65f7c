"""The network that encodes a bar as a token of two halves, and decodes tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from marketsim.models.kronos.config import COLUMNS, TokenizerConfig
from marketsim.models.kronos.stack import Past, Stack
from marketsim.models.neural.blocks import TILE, pad_tile
from marketsim.models.neural.products import Linear


class Tokens(NamedTuple):
    """Numbers of the first and of the second halves of tokens, int64 [..., position]."""

    first: Tensor
    second: Tensor

    def at(self, *index: object) -> Tokens:
        """The tokens at these positions."""
        return Tokens(self.first[index], self.second[index])  # type: ignore[index]


class TokenizerNetwork(nn.Module):
    """Scaled bars in, tokens out, and back; all of it in float32, since signs decide.

    Both ways are causal: what comes later changes neither a token nor a bar before it. The maps
    whose inputs or outputs are few are filled up to whole tiles with zeros: products of few
    columns depend on where a row lies.

    Attributes:
        bars_of_first, bars_of_second: what the decoder starts from for each half of a token, whose
            sum it takes: the original's map of a token's bits, applied beforehand.
    """

    bars_of_first: Tensor
    bars_of_second: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        d, columns = config.encoder.width, len(COLUMNS)
        self.embed = Linear(columns + -columns % TILE, d)
        self.encoder = Stack(config.encoder)
        self.code = Linear(d, 2 * config.bits + -2 * config.bits % TILE)
        for name in ("bars_of_first", "bars_of_second"):
            self.register_buffer(name, torch.empty(1 << config.bits, d))
        self.decoder = Stack(config.decoder)
        self.head = Linear(d, columns + -columns % TILE)

    def codes(self, bars: Tensor) -> Tensor:
        """Numbers [row, position, bit] whose signs are the bits of the tokens.

        Args:
            bars: float32 [row, position, column], scaled; the positions are whole tiles.
        """
        hidden = self.embed(pad_tile(bars, 2))
        self.encoder.read(hidden)
        codes: Tensor = self.code(hidden)
        return codes[..., : 2 * self.config.bits]

    def encode(self, bars: Tensor) -> Tokens:
        """Tokens [row, position] of bars, see `codes`; each half's lowest bit comes first."""
        bits = (self.codes(bars) > 0).long().unflatten(-1, (2, self.config.bits))
        halves = (bits << torch.arange(self.config.bits, device=bars.device)).sum(dim=-1)
        return Tokens(*halves.unbind(-1))

    def decode(self, before: Tokens, lengths: Tensor, after: Tokens) -> Tensor:
        """Scaled bars float32 [row, branch, token, column] of the tokens that branches end with.

        Args:
            before: [row, position], what branches share; the positions are whole tiles.
            lengths: int64 [row], how many of them are real; 0 for none.
            after: [row, branch, token].
        """
        past = Past.of(lengths, before.first.shape[1])
        self.decoder.read(self._started(before), past, whole=False)
        hidden = self.decoder.extend(self._started(after), past)
        flat = pad_tile(hidden.flatten(0, 2), 0)
        bars: Tensor = self.head(flat)
        shape = after.first.shape
        return bars[: shape.numel(), : len(COLUMNS)].view(*shape, len(COLUMNS))

    def _started(self, tokens: Tokens) -> Tensor:
        return self.bars_of_first[tokens.first] + self.bars_of_second[tokens.second]
