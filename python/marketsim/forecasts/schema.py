"""What the float32 values of a stored record mean, and the distributions that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models import Distribution, QuantileDistribution, SampleDistribution

Records = npt.NDArray[np.float32]
MAX_WIDTH = 1 << 16  # values a record, see csrc/kernels/store_format.hpp


@dataclass(frozen=True)
class Schema:
    """The fields of a record of one forecast; its text is part of every record's key.

    Build it by `Schema.quantiles` or `Schema.samples`.

    Attributes:
        levels: levels of the quantiles stored after mean and standard deviation; empty for samples.
        samples: how many samples are stored; 0 for quantiles.

    Example:
        >>> Schema.quantiles((0.1, 0.5, 0.9)).text
        'quantiles(0.1,0.5,0.9)+mean+std;float32'
    """

    levels: tuple[float, ...]
    samples: int

    @classmethod
    def quantiles(cls, levels: tuple[float, ...]) -> Schema:
        """Mean, standard deviation, and the quantiles at these levels."""
        return cls(tuple(float(level) for level in levels), 0)

    @classmethod
    def of_samples(cls, count: int) -> Schema:
        """That many draws, at most 65,536.

        Raises:
            ArgumentError: another number of them.
        """
        if not 1 <= count <= MAX_WIDTH:
            raise ArgumentError(f"samples must be 1 to {MAX_WIDTH:,} a record: got {count:,}")
        return cls((), count)

    @staticmethod
    def parse(text: str) -> Schema:
        """The schema of that text.

        Raises:
            ArgumentError: the text is that of no schema.
        """
        return _parse(text)

    @property
    def text(self) -> str:
        """What the fields are, in words that never change."""
        if self.samples:
            return f"samples({self.samples});float32"
        return f"quantiles({','.join(repr(level) for level in self.levels)})+mean+std;float32"

    @property
    def width(self) -> int:
        """How many values a record has."""
        return self.samples or 2 + len(self.levels)

    def encode(self, distribution: Distribution) -> Records:
        """Records [row, width] of one-step forecasts of shape [row, 1]."""
        if self.samples:
            if not isinstance(distribution, SampleDistribution):
                raise ArgumentError("only a SampleDistribution can be stored as samples")
            return np.ascontiguousarray(distribution.samples[..., 0].T, dtype=np.float32)
        quantiles = distribution.quantile(self.levels)[..., 0, :]
        parts = [distribution.mean[..., :1], distribution.std[..., :1], quantiles]
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def decode(self, records: Records) -> QuantileDistribution | SampleDistribution:
        """The distribution of shape [...] that records [..., width] stand for."""
        values = np.array(records, dtype=np.float64)
        values.setflags(write=False)  # it is shared by all who ask for it
        if self.samples:
            return SampleDistribution(np.moveaxis(values, -1, 0))
        return QuantileDistribution(
            self.levels, values[..., 2:], mean=values[..., 0], std=values[..., 1]
        )


@lru_cache(maxsize=64)
def _parse(text: str) -> Schema:
    number = r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?"
    if found := re.fullmatch(rf"quantiles\(({number}(?:,{number})*)\)\+mean\+std;float32", text):
        return Schema.quantiles(tuple(float(level) for level in found[1].split(",")))
    if found := re.fullmatch(r"samples\(([1-9][0-9]{0,8})\);float32", text):
        return Schema.of_samples(int(found[1]))
    raise ArgumentError(
        f"unknown record schema {text!r}: expected quantiles(...)+mean+std;float32 or "
        "samples(n);float32"
    )
