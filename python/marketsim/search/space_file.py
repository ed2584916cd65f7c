"""A space in a YAML or JSON file: data alone, nothing in it is ever run."""

from __future__ import annotations

import importlib
import json
import math
import operator
import os
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.arguments import check_path
from marketsim.errors import (
    ArgumentError,
    BarsFileNotFoundError,
    FileFormatError,
    MarketsimError,
    MissingDependencyError,
    StrategyError,
)
from marketsim.processes import Pruned
from marketsim.search.grid_result import Sets
from marketsim.search.identity import filed_as
from marketsim.search.spaces import Dimension, Float, Int, as_space

MOST_BYTES = 1 << 20
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "!=": operator.ne,
}  # fmt: skip
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|<|>)\s*([-+\w.]+)\s*")


class Condition(NamedTuple):
    """A comparison of a parameter with another one or with a number."""

    left: str
    sign: str
    right: str | float

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    def holds(self, values: Any) -> Any:
        """Whether it holds of values by name, numbers or arrays [set]."""
        right = values[self.right] if isinstance(self.right, str) else self.right
        try:
            return _COMPARE[self.sign](values[self.left], right)
        except TypeError:
            raise ArgumentError(
                f"where {self} compares values that are no numbers, such as None or text: leave "
                "these out of the space, or leave the condition out"
            ) from None


class SpaceFile(NamedTuple):
    """Contents of a space file.

    Attributes:
        space: dimensions by name.
        conditions: sets that meet them all are tried.
    """

    space: dict[str, Dimension]
    conditions: tuple[Condition, ...]

    def where(self, sets: Sets) -> npt.NDArray[np.bool_]:
        """Booleans [set]: which sets meet all conditions."""
        count = len(next(iter(sets.values())))
        kept = np.ones(count, dtype=np.bool_)
        for condition in self.conditions:
            kept &= np.asarray(condition.holds(sets), dtype=np.bool_)
        return kept


def read_space(path: str | os.PathLike[str]) -> SpaceFile:
    """Read a space from a YAML file, or from a file that ends in .json.

    Each parameter is a list of values, or a range: `{int: [5, 50], step: 5}`,
    `{float: [0.001, 0.1], log: true}`. Under `where` may stand comparisons, such as "fast < slow".

    Raises:
        BarsFileNotFoundError: no such file.
        FileFormatError: neither YAML nor JSON, names twice, aliases, or more than 1 MiB.
        ArgumentError: an empty or contradictory space; says which parameter.
        MissingDependencyError: YAML without PyYAML (the extra `search`).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "space.json")
        ...     _ = path.write_text('{"fast": {"int": [5, 50], "step": 5}, "slow": [60, 90]}')
        ...     read_space(path).space
        {'fast': Int(low=5, high=50, log=False, step=5), 'slow': Choice(values=(60, 90))}
    """
    path = check_path("path", path)
    if not path.is_file():
        raise BarsFileNotFoundError(f"there is no file {path}")
    if path.stat().st_size > MOST_BYTES:
        raise FileFormatError(
            f"{path} has {path.stat().st_size:,} bytes: a space has at most 1 MiB"
        )
    try:
        text = path.read_text(encoding="utf-8")
        found = _from_json(text) if path.suffix.lower() == ".json" else _from_yaml(text)
    except ValueError as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise FileFormatError(
            f"{path} must map names of parameters to values: got {type(found).__name__}"
        )
    conditions = found.pop("where", [])
    space = as_space({str(name): _dimension(str(name), value) for name, value in found.items()})
    texts = [conditions] if isinstance(conditions, str) else conditions
    if not isinstance(texts, list):
        raise ArgumentError(f'where must be a list such as ["fast < slow"]: got {conditions!r}')
    return SpaceFile(space, tuple(_condition(text, space) for text in texts))


def _dimension(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kinds = [kind for kind in ("int", "float") if kind in value]
    unknown = set(value) - {"int", "float", "log", "step"}
    bounds = value[kinds[0]] if len(kinds) == 1 else None
    if len(kinds) != 1 or unknown or not isinstance(bounds, list) or len(bounds) != 2:
        raise ArgumentError(
            f"parameter {name!r} must be a list of values, {{int: [low, high]}} or "
            f"{{float: [low, high]}}, with log or step besides: got {value!r}"
        )
    numbers = [*bounds, *([value["step"]] if "step" in value else [])]
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in numbers):
        raise ArgumentError(
            f"parameter {name!r} must have numbers as bounds and step: got {value!r}"
        )
    more = {key: value[key] for key in ("log", "step") if key in value}
    try:
        return (Int if kinds == ["int"] else Float)(*bounds, **more)
    except ArgumentError as error:
        raise ArgumentError(f"parameter {name!r}: {error}") from error


def _condition(text: Any, space: dict[str, Dimension]) -> Condition:
    match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ArgumentError(
            f'a condition compares two parameters, or one with a number, such as "fast < slow": '
            f"got {text!r}"
        )
    left, sign, right = match.groups()
    other: str | float = right
    if right not in space:
        with suppress(ValueError):
            other = float(right)
    if isinstance(other, float) and not math.isfinite(other):
        raise ArgumentError(f"condition {text!r}: expected a finite number, got {right}")
    for name in (left, other):
        if isinstance(name, str) and name not in space:
            raise ArgumentError(
                f"condition {text!r}: {name!r} is no parameter; expected {', '.join(space)}"
            )
    return Condition(left, sign, other)


def _from_json(text: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} stands there twice")
        return dict(items)

    return json.loads(text, object_pairs_hook=pairs)


def _from_yaml(text: str) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingDependencyError(
            "YAML needs PyYAML: pip install '.[search]' in the checkout, or write JSON"
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Plain data without aliases, each name once."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases (*name) are not used in a space")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            names = [key.value for key, _ in node.value]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"{twice!r} stands there twice")
            found: dict[Hashable, Any] = super().construct_mapping(node, deep)
            return found

    loader = Loader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    finally:
        loader.dispose()


class Restricted:
    """An objective that ends trials which do not meet the conditions of a space, before they run.

    For samplers, which propose any set; `one` and `filed` are those of the objective.

    Example:
        >>> from marketsim.search import Pruned
        >>> restricted = Restricted(lambda a, b: a + b, (Condition("a", "<", "b"),))
        >>> restricted.one(a=1, b=2)
        3
    """

    def __init__(self, objective: Any, conditions: tuple[Condition, ...]) -> None:
        self._objective, self._conditions = objective, conditions
        self._function: Callable[..., Any] = getattr(objective, "one", objective)

    @property
    def filed(self) -> dict[str, str]:
        """What a trial's score depends on besides its parameters: as of the objective."""
        return filed_as(self._objective, None, None)

    @property
    def keep_net(self) -> bool:
        """Whether net returns are given too: as the objective does."""
        return bool(getattr(self._objective, "keep_net", False))

    @keep_net.setter
    def keep_net(self, keep: bool) -> None:
        self._objective.keep_net = keep

    @property
    def conditions(self) -> str:
        """Conditions as text."""
        return ", ".join(map(str, self._conditions))

    def excludes(self, params: Mapping[str, Any]) -> str:
        """The condition that a set does not meet; empty where it meets all."""
        return next((str(one) for one in self._conditions if not one.holds(params)), "")

    def one(self, **params: Any) -> Any:
        """What the objective returns.

        Raises:
            Pruned: a condition does not hold.
            StrategyError: the strategy raised something; says with which parameters.
        """
        if condition := self.excludes(params):
            raise Pruned(f"{condition} does not hold")
        try:
            return self._function(**params)
        except (MarketsimError, Pruned):
            raise
        except Exception as error:
            raise StrategyError(failure(error, params)) from error


def failure(error: Exception, params: Mapping[str, Any]) -> str:
    """What a strategy raised, and with which parameters."""
    named = " ".join(f"{name}={value}" for name, value in params.items())
    return f"the strategy raised {type(error).__name__} with {named}: {error}"
