"""The configurations of a Kronos predictor and its tokenizer, and the weights they require."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from marketsim.errors import CheckpointError
from marketsim.models.neural.checkpoint import layer_count

COLUMNS = ("open", "high", "low", "close", "volume", "amount")
# What is read off a timestamp, and how many values it has.
CLOCK = {"minute": 60, "hour": 24, "weekday": 7, "day": 32, "month": 13}
# Of the attention from a token's first half to its second, whatever the layers have.
CROSS_HEADS = 4
_MOST_BITS = 16

Shapes = dict[str, tuple[int, ...]]


class Pairing(NamedTuple):
    """What a published predictor was trained with.

    Attributes:
        tokenizer: the hub id of its tokenizer.
        max_context: how many tokens it sees at most.
    """

    tokenizer: str
    max_context: int


# By width and number of layers: mini, small, base.
_PAIRINGS: Mapping[tuple[int, int], Pairing] = {
    (256, 4): Pairing("NeoQuasar/Kronos-Tokenizer-2k", 2048),
    (512, 8): Pairing("NeoQuasar/Kronos-Tokenizer-base", 512),
    (832, 12): Pairing("NeoQuasar/Kronos-Tokenizer-base", 512),
}


def is_kronos(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of a Kronos predictor, or of a tokenizer."""
    return "s1_bits" in config and "s2_bits" in config


@dataclass(frozen=True)
class StackConfig:
    """The sizes of a stack of transformer layers.

    Attributes:
        width: values that stand for a token (d_model).
        hidden: width of the gated MLPs (ff_dim).
        heads: attention heads a layer.
        layers: how many.
    """

    width: int
    hidden: int
    heads: int
    layers: int

    @property
    def head_size(self) -> int:
        """Dimensions of a head."""
        return self.width // self.heads

    def tensors(self, name: str) -> Shapes:
        """Names and shapes of the weights of layers called `name`.0, `name`.1 ..."""
        d, f = self.width, self.hidden
        shapes: Shapes = {}
        for i in range(self.layers):
            layer = f"{name}.{i}"
            shapes[f"{layer}.norm1.weight"] = shapes[f"{layer}.norm2.weight"] = (d,)
            shapes |= attention_tensors(f"{layer}.self_attn", d)
            shapes[f"{layer}.ffn.w1.weight"] = shapes[f"{layer}.ffn.w3.weight"] = (f, d)
            shapes[f"{layer}.ffn.w2.weight"] = (d, f)
        return shapes

    def problems(self) -> list[str]:
        """Contradictions in the configuration."""
        if min(self.width, self.hidden, self.heads) < 1 or self.layers < 0:
            return ["sizes below 1"]
        if self.width % (2 * self.heads) != 0:
            return [f"d_model {self.width} in {self.heads} heads (of an equal, even size)"]
        return []


@dataclass(frozen=True)
class KronosConfig:
    """The sizes of a predictor.

    Attributes:
        stack: its layers.
        first_bits, second_bits: bits of a token's two halves (s1_bits, s2_bits).
        learned_clock: whether the vectors of minutes, hours ... were trained; they are fixed
            sinusoids otherwise, under other names.
    """

    stack: StackConfig
    first_bits: int
    second_bits: int
    learned_clock: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> KronosConfig:
        """Read the sizes from a config.json.

        Raises:
            CheckpointError: a key is missing, or says something that this code does not do.
        """
        if "n_enc_layers" in config:
            raise CheckpointError(
                f"{where} is a tokenizer of Kronos: load the predictor that goes with it, and name "
                f"this one as its tokenizer="
            )
        with _Reading(where):
            result = cls(
                stack=_stack(config, layer_count(config, "n_layers")),
                first_bits=int(config["s1_bits"]),
                second_bits=int(config["s2_bits"]),
                learned_clock=bool(config["learn_te"]),
            )
        problems = result.stack.problems() + _bit_problems(result.first_bits, result.second_bits)
        if not problems and result.stack.width % (2 * CROSS_HEADS) != 0:
            problems = [f"d_model {result.stack.width} (a multiple of {2 * CROSS_HEADS})"]
        if result.stack.layers < 1:
            problems.append(f"n_layers {result.stack.layers} (at least 1)")
        _refuse(problems, where)
        return result

    @property
    def pairing(self) -> Pairing | None:
        """Training settings of a published predictor of these sizes; None for others."""
        return _PAIRINGS.get((self.stack.width, self.stack.layers))

    def tensors(self) -> Shapes:
        """Return names and shapes of the weights."""
        d = self.stack.width
        words = {"s1": 1 << self.first_bits, "s2": 1 << self.second_bits}
        shapes = self.stack.tensors("transformer")
        for half, count in words.items():
            shapes[f"embedding.emb_{half}.weight"] = (count, d)
            shapes |= linear_tensors(f"head.proj_{half}", count, d)
        shapes |= linear_tensors("embedding.fusion_proj", d, 2 * d)
        for name, count in self.clock().items():
            shapes[name] = (count, d)
        shapes |= attention_tensors("dep_layer.cross_attn", d)
        shapes["norm.weight"] = shapes["dep_layer.norm.weight"] = (d,)
        return shapes

    def clock(self) -> dict[str, int]:
        """Names of the vectors of minutes, hours, weekdays, days and months, and their numbers."""
        inner = "" if self.learned_clock else ".emb"
        return {f"time_emb.{name}_embed{inner}.weight": count for name, count in CLOCK.items()}


@dataclass(frozen=True)
class TokenizerConfig:
    """The sizes of a tokenizer.

    Attributes:
        encoder, decoder: its layers; the original builds one less than its configuration says.
        bits: of each half of a token.
    """

    encoder: StackConfig
    decoder: StackConfig
    bits: int

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> TokenizerConfig:
        """Read the sizes from a config.json.

        Raises:
            CheckpointError: a key is missing, or says something that this code does not do.
        """
        if not is_kronos(config) or "learn_te" in config:
            raise CheckpointError(
                f"{where}, named as tokenizer=, is no tokenizer of Kronos: its config.json must "
                f"have s1_bits, s2_bits, n_enc_layers and n_dec_layers"
            )
        with _Reading(where):
            first, second = int(config["s1_bits"]), int(config["s2_bits"])
            result = cls(
                encoder=_stack(config, layer_count(config, "n_enc_layers") - 1),
                decoder=_stack(config, layer_count(config, "n_dec_layers") - 1),
                bits=first,
            )
            columns = int(config["d_in"])
        problems = result.encoder.problems() + _bit_problems(first, second)
        if result.decoder.layers < 0:
            problems.append("n_dec_layers below 1")
        if first != second:
            problems.append(f"s1_bits {first} and s2_bits {second} (equal ones)")
        if columns != len(COLUMNS):
            problems.append(f"d_in {columns} ({len(COLUMNS)}: {', '.join(COLUMNS)})")
        _refuse(problems, where)
        return result

    def tensors(self) -> Shapes:
        """Names and shapes of the weights that are used."""
        d = self.encoder.width
        shapes = self.encoder.tensors("encoder") | self.decoder.tensors("decoder")
        shapes |= linear_tensors("embed", d, len(COLUMNS))
        shapes |= linear_tensors("quant_embed", 2 * self.bits, d)
        shapes |= linear_tensors("post_quant_embed", d, 2 * self.bits)
        shapes |= linear_tensors("head", len(COLUMNS), d)
        return shapes


def linear_tensors(name: str, out: int, into: int) -> Shapes:
    """Of a linear map with a bias."""
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def attention_tensors(name: str, width: int) -> Shapes:
    """Of an attention with four maps of its own."""
    shapes: Shapes = {}
    for part in ("q", "k", "v", "out"):
        shapes |= linear_tensors(f"{name}.{part}_proj", width, width)
    return shapes


def _stack(config: Mapping[str, Any], layers: int) -> StackConfig:
    return StackConfig(
        width=int(config["d_model"]),
        hidden=int(config["ff_dim"]),
        heads=int(config["n_heads"]),
        layers=layers,
    )


def _bit_problems(first: int, second: int) -> list[str]:
    return [
        f"{name} {bits} (1 .. {_MOST_BITS})"
        for name, bits in (("s1_bits", first), ("s2_bits", second))
        if not 1 <= bits <= _MOST_BITS
    ]


class _Reading:
    """Errors of a config.json that lacks keys or holds something else, said in words."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise CheckpointError(f"config.json of {self._where} lacks {error}") from None
        if isinstance(error, (TypeError, ValueError)):
            raise CheckpointError(
                f"config.json of {self._where} cannot be understood: {error}"
            ) from None


def _refuse(problems: list[str], where: str) -> None:
    if problems:
        listed = "; ".join(problems)
        raise CheckpointError(f"config.json of {where} asks for what is not known: {listed}")
