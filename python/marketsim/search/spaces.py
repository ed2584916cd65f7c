"""What a parameter may be: a range of numbers, or some values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from marketsim.arguments import as_finite, as_flag
from marketsim.errors import ArgumentError


@dataclass(frozen=True)
class Float:
    """A real parameter from low to high.

    Attributes:
        low, high: bounds, both included.
        log: search evenly over its logarithm; both bounds are above 0 then.
        step: distance of the values from low on; not with log.

    Raises:
        ArgumentError: bounds that are not finite or not in order, a logarithm of 0 or less, a step
            that is not above 0, both.

    Example:
        >>> Float(0.01, 1.0, log=True)
        Float(low=0.01, high=1.0, log=True, step=None)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_range(self, self.step)


@dataclass(frozen=True)
class Int:
    """A whole-number parameter from low to high.

    Attributes:
        low, high: bounds, both included.
        log: search evenly over its logarithm; both bounds are above 0 then.
        step: distance of the values from low on; 1 with log.

    Raises:
        ArgumentError: as `Float`, or bounds that are not whole.

    Example:
        >>> Int(2, 200, step=2).step
        2
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for value in (self.low, self.high, self.step):
            if type(value) is not int:
                raise ArgumentError(f"{self!r}: expected whole numbers, got {value!r}")
        _check_range(self, None if self.step == 1 else self.step)


@dataclass(frozen=True)
class Choice:
    """A parameter with a list of values: numbers, text, booleans or None.

    Attributes:
        values: at least one, each once.

    Raises:
        ArgumentError: no value, one twice (1, 1.0 and True are equal), or of another type.

    Example:
        >>> Choice(["sma", "ema"]).values
        ('sma', 'ema')
    """

    values: tuple[Any, ...]

    def __init__(self, values: Sequence[Any]) -> None:
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise ArgumentError(f"Choice takes a list of values: got {values!r:.80}")
        object.__setattr__(self, "values", tuple(values))
        if not self.values:
            raise ArgumentError("Choice needs at least one value")
        for value in self.values:
            if not (value is None or isinstance(value, (bool, int, float, str))):
                raise ArgumentError(
                    f"Choice takes numbers, text, booleans and None: got {value!r:.80}"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise ArgumentError(f"Choice takes finite numbers: got {value!r}")
        if len(set(self.values)) < len(self.values):  # True is 1, and samplers cannot tell
            raise ArgumentError(f"Choice has a value twice, or equal ones: {self.values!r}")


Dimension: TypeAlias = Float | Int | Choice


def as_space(space: Mapping[str, Any]) -> dict[str, Dimension]:
    """A space with every parameter as a dimension; sequences of values become `Choice`.

    Raises:
        ArgumentError: an empty space, or a parameter that is neither a dimension nor values.

    Example:
        >>> as_space({"kind": ["a", "b"]})
        {'kind': Choice(values=('a', 'b'))}
    """
    if not isinstance(space, Mapping):
        raise ArgumentError(
            f"a space is a range or some values for each parameter by name: got {space!r:.80}"
        )
    if not space:
        raise ArgumentError("the space is empty: give each parameter a range or some values")
    found: dict[str, Dimension] = {}
    for name, dimension in space.items():
        if not isinstance(name, str):
            raise ArgumentError(f"a parameter's name must be text: got {name!r}")
        if isinstance(dimension, (Float, Int, Choice)):
            found[name] = dimension
        elif isinstance(dimension, Sequence) and not isinstance(dimension, (str, bytes)):
            found[name] = Choice(dimension)
        else:
            raise ArgumentError(
                f"parameter {name!r} must be Float, Int, Choice or a list of values: "
                f"got {dimension!r}"
            )
    return found


def values_of(name: str, dimension: Dimension) -> list[Any]:
    """All values of a dimension that has a countable number of them.

    Raises:
        ArgumentError: a range of numbers without a step, or a logarithmic one.

    Example:
        >>> values_of("window", Int(2, 9, step=3))
        [2, 5, 8]
    """
    if isinstance(dimension, Choice):
        return list(dimension.values)
    if dimension.log or dimension.step is None:
        raise ArgumentError(
            f"a grid needs a list of values or a step for {name!r}: got {dimension!r}"
        )
    count = math.floor((dimension.high - dimension.low) / dimension.step + 1e-9) + 1
    return [dimension.low + i * dimension.step for i in range(count)]


def random_set(space: Mapping[str, Dimension], rng: np.random.Generator) -> dict[str, Any]:
    """A set of the space, each value as likely as any other (of its logarithm where `log`).

    Example:
        >>> random_set({"n": Int(2, 8, step=3)}, np.random.default_rng(0))["n"] in (2, 5, 8)
        True
    """
    return {name: _random_value(dimension, rng) for name, dimension in space.items()}


def _random_value(dimension: Dimension, rng: np.random.Generator) -> Any:
    if isinstance(dimension, Choice):
        return dimension.values[int(rng.integers(len(dimension.values)))]
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.log:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
        return round(value) if isinstance(dimension, Int) else min(max(value, low), high)
    if step is not None:
        return low + int(rng.integers(math.floor((high - low) / step + 1e-9) + 1)) * step
    return float(rng.uniform(low, high))


def _check_range(of: Float | Int, step: float | None) -> None:
    as_flag(f"log of {of!r:.80}", of.log)
    ends = [as_finite(f"{of!r:.80}: expected finite bounds; one", n) for n in (of.low, of.high)]
    if not ends[0] <= ends[1]:
        raise ArgumentError(f"{of!r}: expected finite bounds with low <= high")
    if of.log and of.low <= 0:
        raise ArgumentError(f"{of!r}: a logarithm needs bounds above 0")
    if step is not None and not as_finite(f"step of {of!r:.80}", step) > 0:
        raise ArgumentError(f"{of!r}: step must be above 0")
    if of.log and step is not None:
        raise ArgumentError(f"{of!r}: log and step exclude each other")
