"""The network that forecasts the next token from those before: its first half, then its second."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from marketsim.models.kronos.config import CLOCK, CROSS_HEADS, KronosConfig
from marketsim.models.kronos.stack import NORM_EPS, Past, Stack, attend_branches, by_head
from marketsim.models.kronos.tokenizer import Tokens
from marketsim.models.neural.blocks import pad_tile, unit_size
from marketsim.models.neural.products import Linear


@dataclass
class Reading:
    """What has been read, and what it led to.

    Attributes:
        past: of the layers.
        cross: of the attention by which a token's first half asks for its second.
        context: float32 [row, branch, width], what the last token led to.
    """

    past: Past
    cross: Past
    context: Tensor


class KronosNetwork(nn.Module):
    """Tokens in, logits of the next one out.

    Logits, norms and the residual stream are float32; the products of the layers and of the
    attention between a token's halves have the precision of their weights.

    Attributes:
        first_half, second_half: what the layers start from for each half of a token, whose sum
            they take: the original's embeddings, scaled and fused beforehand.
        cross_queries: queries of the first halves to the context, mapped beforehand.
        clock: vectors of minutes, hours, weekdays, days and months, one below the other.
    """

    first_half: Tensor
    second_half: Tensor
    cross_queries: Tensor
    clock: Tensor

    def __init__(self, config: KronosConfig) -> None:
        super().__init__()
        self.config = config
        d = config.stack.width
        first, second = 1 << config.first_bits, 1 << config.second_bits
        self.register_buffer("first_half", torch.empty(first, d))
        self.register_buffer("second_half", torch.empty(second, d))
        self.register_buffer("cross_queries", torch.empty(first, d))
        self.register_buffer("clock", torch.empty(sum(CLOCK.values()), d))
        self.stack = Stack(config.stack)
        self.norm = nn.Parameter(torch.empty(d))
        self.first_head = Linear(d, first)
        self.answers = Linear(d, 2 * d)  # keys and values of the context
        self.answered = Linear(d, d)
        self.second_head = Linear(d, second)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Convert the weights whose products need not be float32."""
        for part in (self.stack, self.answers, self.answered):
            part.to(dtype)

    def read(self, tokens: Tokens, clock: Tensor, lengths: Tensor) -> Reading:
        """Read rows of tokens; their context has one branch.

        Args:
            tokens: [row, position]; the positions are whole tiles.
            clock: int64 [row, position, 5], what is read off the timestamps.
            lengths: int64 [row], how many positions are real, at least 1.
        """
        past = Past.of(lengths, tokens.first.shape[1])
        hidden = self.stack.read(self._embedded(tokens, clock), past)
        context = self._normal(hidden)
        cross = Past(past.lengths, past.unseen)
        keys, values = self._kept(context.flatten(0, 1), context.shape[:2])
        cross.shared.append((by_head(keys), by_head(values)))
        last = context[torch.arange(len(context), device=context.device), lengths - 1]
        return Reading(past, cross, last[:, None])

    def extend(self, reading: Reading, tokens: Tokens, clock: Tensor) -> None:
        """Read what branches add, tokens [row, branch, token], clock [row, token, 5]."""
        embedded = self._embedded(tokens, clock[:, None])
        context = self._normal(self.stack.extend(embedded, reading.past))
        flat = pad_tile(context.flatten(0, 2), 0)
        reading.cross.add(0, *self._kept(flat, context.shape[:3]))
        reading.context = context[:, :, -1]

    def first_logits(self, reading: Reading) -> Tensor:
        """Of the next token's first half, float32 [row, branch, number]."""
        context = reading.context
        logits: Tensor = self.first_head(pad_tile(context.flatten(0, 1), 0))
        return logits[: context.shape[:2].numel()].view(*context.shape[:2], -1)

    def second_logits(self, reading: Reading, first: Tensor) -> Tensor:
        """Of its second half, given the first ones chosen, int64 [row, branch]; as `first_logits`.

        A first half looks at all of the context. With it alone there is no position code.
        """
        heads = self.cross_queries.shape[1] // CROSS_HEADS
        query = self.cross_queries[first].unflatten(-1, (1, CROSS_HEADS, heads))
        cross = reading.cross
        own = cross.own[0] if cross.own else None
        attended = attend_branches(query, cross.shared[0], cross.unseen, own)
        flat = pad_tile(attended.flatten(3).flatten(0, 2), 0)
        answer = self.answered(flat.to(self.answered.weight.dtype))[: first.numel()]
        together = reading.context + answer.view(*first.shape, -1)
        normal = pad_tile(unit_size(together, NORM_EPS).flatten(0, 1), 0)
        logits: Tensor = self.second_head(normal)
        return logits[: first.numel()].view(*first.shape, -1)

    def _embedded(self, tokens: Tokens, clock: Tensor) -> Tensor:
        starts = torch.tensor([0, *CLOCK.values()][:-1], device=clock.device).cumsum(0)
        times = self.clock[clock + starts].sum(dim=-2)
        return self.first_half[tokens.first] + self.second_half[tokens.second] + times

    def _normal(self, hidden: Tensor) -> Tensor:
        return unit_size(hidden, NORM_EPS) * self.norm

    def _kept(self, context: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Keys and values [*shape, head, dimension] of tokens [token, width], whole tiles."""
        mixed = self.answers(context.to(self.answers.weight.dtype))[: shape.numel()].float()
        keys, values = mixed.view(*shape, 2, CROSS_HEADS, -1).unbind(-3)
        return keys, values
