"""What the float32 values of a stored record mean, and the distributions that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models import (
    Distribution,
    Model,
    QuantileDistribution,
    SampleDistribution,
    StudentTMixture,
)
from marketsim.models.mixture import weight_sums
from marketsim.models.protocol import no_returns
from marketsim.models.traits import ModelTraits, traits_of

if TYPE_CHECKING:
    import torch

Records = npt.NDArray[np.float32]
Float = TypeVar("Float", np.float32, np.float64)
Stored: TypeAlias = QuantileDistribution | SampleDistribution | StudentTMixture
MAX_WIDTH = 1 << 16  # values a record, see csrc/kernels/store/format.hpp
MIXTURE_FIELDS = ("df", "loc", "scale", "weight")  # of each component, in the order of a record
# Weights further from a sum of 1 than float32 leaves them are normalised before they are stored.
WEIGHT_NOISE = 1e-6
_CLOSE = ";float32;close"
_TARGETS_TEXT = {
    "close": "moves against the close before",
    "own": "each column's own returns",
}


@dataclass(frozen=True)
class Schema:
    """The fields of a record of one forecast; its text is part of every record's key.

    Build it by `Schema.for_model`, `Schema.quantiles`, `Schema.of_samples` or
    `Schema.student_t_mixture`.

    Attributes:
        levels: levels of the quantiles stored after mean and standard deviation; else empty.
        samples: how many samples are stored; 0 where none are.
        components: of how many Student-t distributions the parameters are stored: all degrees of
            freedom, then all locations, all scales, all weights; 0 where none are.
        targets: what the forecasts are of: "own" for each column's own one-bar returns, "close" for
            log moves against the close before.

    Example:
        >>> Schema.quantiles((0.1, 0.5, 0.9)).text
        'quantiles(0.1,0.5,0.9)+mean+std;float32'
    """

    levels: tuple[float, ...] = ()
    samples: int = 0
    components: int = 0
    targets: str = "own"

    @classmethod
    def for_model(cls, model: Model, targets: str = "own") -> Schema:
        """What the forecasts of a model are stored as, by its traits.

        Mixtures of as many `components`, or as many samples as it `draws`, where it states one of
        them; else the quantiles at its `levels`.

        Args:
            model: whose.
            targets: what is forecast: "own" or "close", see `marketsim.models.ModelTraits`.

        Raises:
            ArgumentError: more than a record can hold, a kind of targets that the model does not
                forecast, or a model that forecasts bars as a whole.
        """
        traits = traits_of(model)
        if traits.bars:
            raise no_returns(model.name)
        if targets not in traits.targets:
            raise ArgumentError(
                f"{model.name} forecasts {_TARGETS_TEXT[traits.targets[0]]} (trait targets): use "
                f"targets={traits.targets[0]!r}, got targets={targets!r}"
            )
        if traits.components:
            made = cls.student_t_mixture(traits.components)
        elif traits.draws:
            made = cls.of_samples(traits.draws)
        else:
            made = cls.quantiles(traits.levels)
        return made if targets == "own" else _of_targets(made, targets)

    @classmethod
    def quantiles(cls, levels: tuple[float, ...]) -> Schema:
        """Mean, standard deviation, and the quantiles at these levels."""
        return _of_quantiles(tuple(levels))

    @classmethod
    def of_samples(cls, count: int) -> Schema:
        """That many draws, at most 65,536.

        Raises:
            ArgumentError: another number of them.
        """
        if not 1 <= count <= MAX_WIDTH:
            raise ArgumentError(f"samples must be 1 to {MAX_WIDTH:,} a record: got {count:,}")
        return cls(samples=count)

    @classmethod
    def student_t_mixture(cls, components: int) -> Schema:
        """The parameters of that many Student-t distributions and their weights, at most 16,384.

        Raises:
            ArgumentError: another number of them.
        """
        most = MAX_WIDTH // len(MIXTURE_FIELDS)
        if not 1 <= components <= most:
            raise ArgumentError(f"components must be 1 to {most:,} a record: got {components:,}")
        return cls(components=components)

    @staticmethod
    def parse(text: str) -> Schema:
        """The schema of that text.

        Raises:
            ArgumentError: the text is that of no schema.
        """
        return _parse(text)

    @cached_property
    def text(self) -> str:
        """Stable text of the fields, part of every key."""
        end = ";float32" if self.targets == "own" else f";float32;{self.targets}"
        if self.samples:
            return f"samples({self.samples}){end}"
        if self.components:
            return f"student_t_mixture({self.components}){end}"
        return f"quantiles({','.join(repr(level) for level in self.levels)})+mean+std{end}"

    @property
    def width(self) -> int:
        """How many values a record has."""
        return self.samples or len(MIXTURE_FIELDS) * self.components or 2 + len(self.levels)

    def encode(self, distribution: Distribution, step: int = 1) -> Records:
        """Records [..., width] of the forecasts of one step of shape [..., horizon].

        What `decode` makes of records is encoded as the same records.

        Raises:
            ArgumentError: samples or mixtures are to be stored, and these are none of that many.
        """
        if self.samples:
            if not isinstance(distribution, SampleDistribution):
                raise ArgumentError("only a SampleDistribution can be stored as samples")
            drawn = np.moveaxis(distribution.samples[..., step - 1], 0, -1)
            return np.ascontiguousarray(drawn, dtype=np.float32)
        if self.components:
            return _mixture_records(self.components, distribution, step)
        quantiles = distribution.quantile(self.levels)[..., step - 1, :]
        part = slice(step - 1, step)
        parts = [distribution.mean[..., part], distribution.std[..., part], quantiles]
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def decode(self, records: Records) -> Stored:
        """The distribution of shape [...] that records [..., width] stand for.

        Raises:
            ArgumentError: the numbers are those of no distribution.
        """
        values = np.array(records, dtype=np.float64)
        values.setflags(write=False)  # decoded distributions are shared
        if self.samples:
            return SampleDistribution(np.moveaxis(values, -1, 0))
        if self.components:
            return StudentTMixture(*mixture_parts(values))
        return QuantileDistribution(
            self.levels, values[..., 2:], mean=values[..., 0], std=values[..., 1]
        )


def check_made(name: str, traits: ModelTraits, made: Distribution, shape: tuple[int, ...]) -> None:
    """Raise ArgumentError, naming the trait, unless forecasts are what a model's traits say.

    Args:
        name: the model's.
        traits: what it states.
        made: what it returned.
        shape: what that must be: [bar, horizon], or [bar, target, horizon] of a joint model.
    """
    kinds = {"samples": SampleDistribution, "student_t_mixture": StudentTMixture}
    trait = {"samples": "draws", "student_t_mixture": "components"}.get(traits.output, "levels")
    kind = kinds.get(traits.output)
    if kind is not None and not isinstance(made, kind):
        raise ArgumentError(
            f"{name} returned a {type(made).__name__} where its trait {trait} "
            f"({getattr(traits, trait)}) announces a {kind.__name__}: return that, or state 0"
        )
    number = 0
    if isinstance(made, SampleDistribution):
        got, number = made.samples.shape[1:], len(made.samples)
    elif isinstance(made, StudentTMixture):
        got, number = made.df.shape[:-1], made.df.shape[-1]
    else:
        got = np.shape(made.mean)
    if trait != "levels" and number != getattr(traits, trait):
        raise ArgumentError(
            f"{name} returned {number} {trait} a forecast; its trait {trait} says "
            f"{getattr(traits, trait)}"
        )
    if isinstance(made, QuantileDistribution) and not set(traits.levels) <= set(made.levels):
        raise ArgumentError(
            f"{name} returned quantiles at {made.levels}; its trait levels says {traits.levels}"
        )
    if got != shape:
        inside = len(got) == len(shape) and got[1:-1] == shape[1:-1]
        wrong = "horizons" if inside else "joint"
        if wrong == "horizons" and got[-1] == shape[-1]:
            raise ArgumentError(
                f"{name} returned {got[0]} forecasts where {shape[0]} were expected: predict_each "
                "must return one for each t in start .. T"
            )
        raise ArgumentError(
            f"{name} returned forecasts of shape {got}, expected {shape}: its trait {wrong} "
            f"({getattr(traits, wrong)}) says otherwise"
        )


def mixture_parts(records: npt.NDArray[Float]) -> tuple[npt.NDArray[Float], ...]:
    """(df, loc, scale, weight) [..., component] of records [..., 4 * component]; views."""
    components = records.shape[-1] // len(MIXTURE_FIELDS)
    parts = records.reshape(*records.shape[:-1], len(MIXTURE_FIELDS), components)
    return tuple(parts[..., i, :] for i in range(len(MIXTURE_FIELDS)))


def mixture_fields(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """`mixture_parts` of a tensor."""
    return tuple(values.unflatten(-1, (len(MIXTURE_FIELDS), -1)).unbind(-2))


def _mixture_records(components: int, distribution: Distribution, step: int) -> Records:
    """Parameters rounded to float32, but not out of their range.

    Rounding leaves the sum of the weights within 6e-8 of itself, so a sum is put right at most
    once, and records do not change by being read and written again.
    """
    if not isinstance(distribution, StudentTMixture) or distribution.df.shape[-1] != components:
        raise ArgumentError(f"only a StudentTMixture of {components} can be stored as such")
    mixture = distribution
    total = weight_sums(mixture.weights)
    total[np.abs(total - 1.0) <= WEIGHT_NOISE] = 1.0
    limits = np.finfo(np.float32)
    with np.errstate(over="ignore"):  # a location beyond float32 is found not to be finite
        df = np.clip(mixture.df, None, limits.max).astype(np.float32)
        # Above 1 there is a mean, above 2 a standard deviation: that stays so.
        for least in (1.0, 2.0):
            lost = (mixture.df > least) & (df <= least)
            df[lost] = np.nextafter(np.float32(least), limits.max)
        scale = np.clip(mixture.scale, limits.tiny, limits.max).astype(np.float32)
        weights = mixture.weights / total[..., None]
        parts = [df, mixture.loc.astype(np.float32), scale, weights.astype(np.float32)]
    return np.concatenate([part[..., step - 1, :] for part in parts], axis=-1)


@lru_cache(maxsize=64)
def _of_quantiles(levels: tuple[float, ...]) -> Schema:
    return Schema(levels=tuple(float(level) for level in levels))


@lru_cache(maxsize=64)
def _of_targets(schema: Schema, targets: str) -> Schema:
    return replace(schema, targets=targets)


@lru_cache(maxsize=64)
def _parse(text: str) -> Schema:
    if text.endswith(_CLOSE):
        return _of_targets(_parse(text.removesuffix(_CLOSE) + ";float32"), "close")
    number = r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?"
    if found := re.fullmatch(rf"quantiles\(({number}(?:,{number})*)\)\+mean\+std;float32", text):
        return Schema.quantiles(tuple(float(level) for level in found[1].split(",")))
    if found := re.fullmatch(r"samples\(([1-9][0-9]{0,8})\);float32", text):
        return Schema.of_samples(int(found[1]))
    if found := re.fullmatch(r"student_t_mixture\(([1-9][0-9]{0,8})\);float32", text):
        return Schema.student_t_mixture(int(found[1]))
    raise ArgumentError(
        f"unknown record schema {text!r}: expected quantiles(...)+mean+std;float32, "
        "samples(n);float32 or student_t_mixture(k);float32, with ;close after it for moves "
        "against the close before"
    )
