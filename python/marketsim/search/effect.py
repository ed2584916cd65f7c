"""Parameters that change nothing: misspelt, or never used."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from marketsim.errors import ArgumentError
from marketsim.search.spaces import Choice, Dimension, Int

# Parameters to everything that is known of them: scores and figures.
Probe = Callable[[dict[str, Any]], tuple[float, ...] | None]


def check_names(objective: Callable[..., Any], names: Iterable[str]) -> None:
    """Refuse parameters that an objective does not take, before anything is computed.

    Raises:
        ArgumentError: which, and what it takes.

    Example:
        >>> check_names(lambda fast, slow: 0.0, ["fast", "slow"])
    """
    try:
        parameters = inspect.signature(objective).parameters
    except (TypeError, ValueError):  # a compiled function does not say
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    unknown = [name for name in names if name not in parameters]
    if unknown:
        raise ArgumentError(
            f"the objective takes no parameter {', '.join(map(repr, unknown))}: expected "
            f"{', '.join(name for name in parameters if name != 'report')}"
        )


def without_effect(
    space: Mapping[str, Dimension], bases: Sequence[dict[str, Any]], probe: Probe
) -> list[str]:
    """The parameters that change nothing at any of some parameter sets.

    Each is set to up to three other values while the rest stays; the first change ends it, so that
    most parameters cost one evaluation.

    Args:
        space: what the parameters may be.
        bases: parameter sets that are known to work, the best first.
        probe: evaluates a set; None where it failed, which is a change too.

    Example:
        >>> from marketsim.search import Float
        >>> space = {"x": Float(0, 1), "typo": Float(0, 1)}
        >>> without_effect(space, [{"x": 0.2, "typo": 0.3}], lambda p: (p["x"] ** 2,))
        ['typo']
    """
    found = []
    for name, dimension in space.items():
        others = [_others(dimension, base[name]) for base in bases]
        if any(others) and not any(
            _changes(probe, base, name, values) for base, values in zip(bases, others, strict=True)
        ):
            found.append(name)
    return found


def _changes(probe: Probe, base: dict[str, Any], name: str, values: list[Any]) -> bool:
    before = probe(base)
    return any(not _same(before, probe({**base, name: value})) for value in values)


def _same(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    if one is None or other is None or len(one) != len(other):
        return False
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))


def _others(dimension: Dimension, value: Any) -> list[Any]:
    """Up to three other values, the farthest first."""
    if isinstance(dimension, Choice):
        return [other for other in dimension.values if other is not value and other != value][:3]
    low, high = dimension.low, dimension.high
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    if step := dimension.step:
        high = low + math.floor((high - low) / step + 1e-9) * step
        middle = low + round((middle - low) / step) * step
    if isinstance(dimension, Int):
        middle = round(middle)
    ends = sorted({low, high}, key=lambda end: -abs(end - value))
    return [other for other in dict.fromkeys([*ends, middle]) if other != value]
