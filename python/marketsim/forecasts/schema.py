"""Schemas of stored records: encode distributions as float32 values and decode them."""

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
MAX_WIDTH = 1 << 16  # values per record, see csrc/kernels/store/format.hpp
MIXTURE_FIELDS = ("df", "loc", "scale", "weight")  # field groups of a mixture record, in order
# Weights further from a sum of 1 than float32 leaves them are normalised before they are stored.
WEIGHT_NOISE = 1e-6
_CLOSE = ";float32;close"
_TARGETS_TEXT = {
    "close": "moves against the previous close",
    "own": "each column's own returns",
}


@dataclass(frozen=True)
class Schema:
    """Fields of the record of one forecast; the schema's text is part of every record's key.

    Build it by `Schema.for_model`, `Schema.quantiles`, `Schema.of_samples` or
    `Schema.student_t_mixture`.

    Attributes:
        levels: levels of the quantiles stored after mean and standard deviation; else empty.
        samples: number of stored samples; else 0.
        components: number of stored Student-t components: all degrees of freedom, then all
            locations, all scales, all weights; else 0.
        targets: kind of forecast: "own" for each column's own one-bar returns, "close" for log
            moves against the previous close.

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
        """Return the schema of a model's forecasts, by its traits.

        A mixture if the traits state `components`, samples if they state `draws`, else quantiles at
        their `levels`.

        Args:
            model: the model.
            targets: kind of forecast: "own" or "close", see `marketsim.models.ModelTraits`.

        Raises:
            ArgumentError: more values than a record can hold, a kind of targets that the model does
                not forecast, or a model that forecasts whole bars.
        """
        traits = traits_of(model)
        if traits.bars and not (traits.joint and traits.timestamps and traits.draws):
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
        """Return the schema of mean, standard deviation, and quantiles at these levels."""
        return _of_quantiles(tuple(levels))

    @classmethod
    def of_samples(cls, count: int) -> Schema:
        """Return the schema of `count` samples, at most 65,536.

        Raises:
            ArgumentError: a number out of range.
        """
        if not 1 <= count <= MAX_WIDTH:
            raise ArgumentError(f"samples must be 1 to {MAX_WIDTH:,} a record: got {count:,}")
        return cls(samples=count)

    @classmethod
    def student_t_mixture(cls, components: int) -> Schema:
        """Return the schema of a Student-t mixture's parameters, at most 16,384 components.

        Raises:
            ArgumentError: a number out of range.
        """
        most = MAX_WIDTH // len(MIXTURE_FIELDS)
        if not 1 <= components <= most:
            raise ArgumentError(f"components must be 1 to {most:,} a record: got {components:,}")
        return cls(components=components)

    @staticmethod
    def parse(text: str) -> Schema:
        """Parse the text of a schema.

        Raises:
            ArgumentError: an unknown schema.
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
        """Number of values in a record."""
        return self.samples or len(MIXTURE_FIELDS) * self.components or 2 + len(self.levels)

    def encode(self, distribution: Distribution, step: int = 1) -> Records:
        """Encode one step of forecasts [..., horizon] as records [..., width].

        Encoding a decoded distribution gives the same records.

        Raises:
            ArgumentError: the schema stores samples or mixtures, and the distribution has another
                kind or number of them.
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
        """Decode records [..., width] to a distribution of shape [...].

        Raises:
            ArgumentError: values that are not a valid distribution.
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
    """Raise ArgumentError, naming the trait, if forecasts contradict a model's traits.

    Args:
        name: name of the model.
        traits: traits of the model.
        made: forecasts of the model.
        shape: expected shape: [bar, horizon], or [bar, target, horizon] of a joint model.
    """
    kinds = {"samples": SampleDistribution, "student_t_mixture": StudentTMixture}
    trait = {"samples": "draws", "student_t_mixture": "components"}.get(traits.output, "levels")
    kind = kinds.get(traits.output)
    if kind is not None and not isinstance(made, kind):
        raise ArgumentError(
            f"{name} returned a {type(made).__name__}, but its trait {trait} "
            f"({getattr(traits, trait)}) requires a {kind.__name__}: return one, or state 0"
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
            f"{name} returned {number} {trait} per forecast, but its trait {trait} states "
            f"{getattr(traits, trait)}"
        )
    if isinstance(made, QuantileDistribution) and not set(traits.levels) <= set(made.levels):
        raise ArgumentError(
            f"{name} returned quantiles at {made.levels}, but its trait levels states "
            f"{traits.levels}"
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
            f"{name} returned forecasts of shape {got}, but its trait {wrong} "
            f"({getattr(traits, wrong)}) requires shape {shape}"
        )


def mixture_parts(records: npt.NDArray[Float]) -> tuple[npt.NDArray[Float], ...]:
    """Split records [..., 4 * component] into (df, loc, scale, weight) [..., component]; views."""
    components = records.shape[-1] // len(MIXTURE_FIELDS)
    parts = records.reshape(*records.shape[:-1], len(MIXTURE_FIELDS), components)
    return tuple(parts[..., i, :] for i in range(len(MIXTURE_FIELDS)))


def mixture_fields(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Split a tensor of records as `mixture_parts` does."""
    return tuple(values.unflatten(-1, (len(MIXTURE_FIELDS), -1)).unbind(-2))


def _mixture_records(components: int, distribution: Distribution, step: int) -> Records:
    """Round parameters to float32 without leaving their valid range.

    Rounding keeps the sum of the weights within 6e-8, below `WEIGHT_NOISE`: weights are normalised
    at most once, and records do not change when read and written again.
    """
    if not isinstance(distribution, StudentTMixture) or distribution.df.shape[-1] != components:
        raise ArgumentError(
            f"only a StudentTMixture of {components} components can be stored as this schema"
        )
    mixture = distribution
    total = weight_sums(mixture.weights)
    total[np.abs(total - 1.0) <= WEIGHT_NOISE] = 1.0
    limits = np.finfo(np.float32)
    with np.errstate(over="ignore"):  # a location beyond float32 fails the check for finite values
        df = np.clip(mixture.df, None, limits.max).astype(np.float32)
        # df > 1 has a mean, df > 2 a standard deviation: rounding must not lose them.
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
        "samples(n);float32 or student_t_mixture(k);float32, with ;close appended for moves "
        "against the previous close"
    )
