"""Parameters that change nothing: misspelt, or never used."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from marketsim.errors import ArgumentError, NoEffectError
from marketsim.search.spaces import Choice, Dimension, Int, random_set

# Random sets at which a parameter that seems to have no effect is changed: one that matters in a
# fiftieth of the space matters at one of them in 95 of 100 searches, 1 - 0.98^150.
RANDOM_SETS, LEAST_SHARE = 150, 0.02
MOST_TRIED = 50
# Parameters to everything that is known of them: scores and figures.
Probe = Callable[[dict[str, Any]], tuple[float, ...] | None]


def check_names(objective: Callable[..., Any], names: Iterable[str]) -> None:
    """Refuse parameters that an objective does not take, before anything is computed.

    Raises:
        ArgumentError: which, and what it takes.

    Example:
        >>> check_names(lambda fast, slow: 0.0, ["fast", "slow"])
    """
    names = list(names)
    if "report" in names:
        raise ArgumentError(
            "a parameter cannot be named 'report', which is how an objective reports to a pruner: "
            "give it another name"
        )
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
    space: Mapping[str, Dimension],
    tried: Sequence[dict[str, Any]],
    probe: Probe,
    excludes: Callable[[Mapping[str, Any]], Any] = lambda params: "",
) -> list[str]:
    """The parameters that change nothing, as far as some sets can say.

    Each is changed at the three best sets, to up to three other values; the first change that
    matters ends it, so that most parameters cost one evaluation. Those without effect there are
    changed at up to 50 of the sets that were tried, from the best to the worst, and at 150 random
    ones of the whole space: one that matters in a fiftieth of the space (2 %) passes for one
    without effect in fewer than one of 20 searches.

    Args:
        space: what the parameters may be.
        tried: parameter sets that are known to work, the best first.
        probe: evaluates a set; None where it failed, which is a change too.
        excludes: whether a set does not meet the conditions of the space.

    Example:
        >>> from marketsim.search import Float
        >>> space = {"x": Float(0, 1), "typo": Float(0, 1)}
        >>> without_effect(space, [{"x": 0.2, "typo": 0.3}], lambda p: (p["x"] ** 2,))
        ['typo']
    """
    if not tried:
        return []
    suspects = [
        name
        for name, dimension in space.items()
        if any(_others(dimension, one[name]) for one in tried)
        and not any(_changes(probe, one, name, _others(dimension, one[name])) for one in tried[:3])
    ]
    if not suspects:
        return []
    rng = np.random.default_rng(0)
    proposed = (random_set(space, rng) for _ in range(20 * RANDOM_SETS))
    drawn = itertools.islice((one for one in proposed if not excludes(one)), RANDOM_SETS)
    count = min(MOST_TRIED, len(tried))
    spread = [tried[at] for at in np.linspace(0, len(tried) - 1, count, dtype=int)]
    bases = [*(one for one in spread if not excludes(one)), *drawn]
    return [name for name in suspects if not _matters(probe, bases, name, space[name])]


def no_effect(names: Sequence[str], result: Any) -> NoEffectError:
    """The error of parameters without effect, with what was found."""
    return NoEffectError(
        f"{', '.join(map(repr, names))} changed neither score nor figure of any set, neither of "
        f"the best nor of {RANDOM_SETS} random ones: check the name and its use, or leave it out; "
        f"if it matters in less than {LEAST_SHARE:.0%} of the space, narrow the ranges to where it "
        'does, or state without_effect="keep", which returns the search all the same',
        result,
    )


def _matters(
    probe: Probe, bases: Sequence[dict[str, Any]], name: str, dimension: Dimension
) -> bool:
    """Whether one other value at some of the sets, each time another one, changes something."""
    for at, base in enumerate(bases):
        others = _others(dimension, base[name])
        if others and _changes(probe, base, name, [others[at % len(others)]]):
            return True
    return False


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
