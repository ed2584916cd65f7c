"""Registry of strategies by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.strategies.by_bar import ByBar
from marketsim.strategies.entry_exit import EntryTakeProfit, HighLow, MaxDiff, MaxDiffAlwaysOn
from marketsim.strategies.orders import BarStrategy, Strategy
from marketsim.strategies.signals import (
    AllSignals,
    BuyAndHold,
    ConfidenceGuard,
    Simple,
    UnprofitShutdown,
)

BASELINES = ("buy_and_hold", "persistence", "random_walk")
"""Names of the naive strategies that stand beside all others: no other strategy may have them."""

_BUILT_IN: tuple[Strategy, ...] = (
    Simple(),
    AllSignals(),
    BuyAndHold(),
    UnprofitShutdown(),
    ConfidenceGuard(),
    EntryTakeProfit(),
    HighLow(),
    MaxDiff(),
    MaxDiffAlwaysOn(),
)
_registered: dict[str, Strategy] = {strategy.name: strategy for strategy in _BUILT_IN}


def strategy_names() -> tuple[str, ...]:
    """Return the names of all available strategies, built-in ones first."""
    return tuple(_registered)


def register_strategy(strategy: Strategy | BarStrategy, *, replace: bool = False) -> None:
    """Register a strategy under its name.

    Args:
        strategy: the strategy.
        replace: replace a registered strategy of that name; built-in ones cannot be replaced.

    Raises:
        ArgumentError: not a `Strategy`, a name with other characters than a-z, 0-9 and _, a name
            that is taken or one of `BASELINES`, or targets that are not a collection of names.
        UnknownNameError: a target other than open, high, low and close.

    Example:
        >>> import numpy as np
        >>> import marketsim as ms
        >>> class Contrarian:
        ...     name, targets, fitted = "contrarian", ("close",), False
        ...     def decide(self, view):
        ...         return ms.Hold(np.where(view.last_return > 0, -1.0, 1.0))
        >>> ms.register_strategy(Contrarian())
    """
    checked = check_strategy(strategy)
    if checked.name in _registered and (not replace or _is_built_in(checked.name)):
        how = "choose another name" if _is_built_in(checked.name) else "pass replace=True"
        raise ArgumentError(f"a strategy named {checked.name!r} exists: {how}")
    _registered[checked.name] = checked


def unregister_strategy(name: str) -> None:
    """Remove a registered strategy.

    Raises:
        UnknownNameError: no strategy of that name.
        ArgumentError: the strategy is built in.
    """
    if name not in _registered:
        raise UnknownNameError("strategy", name, _registered)
    if _is_built_in(name):
        raise ArgumentError(f"strategy {name!r} is built in: only registered ones can be removed")
    del _registered[name]


def _is_built_in(name: str) -> bool:
    return any(strategy.name == name for strategy in _BUILT_IN)


def check_strategy(strategy: object) -> Strategy:
    """Return `strategy` if it is valid; raises as `register_strategy`.

    A strategy with `decide_bar` instead of `decide` is wrapped.
    """
    if (
        not isinstance(strategy, type)
        and not isinstance(strategy, Strategy)
        and isinstance(strategy, BarStrategy)
    ):
        strategy = ByBar(strategy)
    if isinstance(strategy, type) or not isinstance(strategy, Strategy):
        missing = [a for a in ("name", "targets", "fitted", "decide") if not hasattr(strategy, a)]
        what = f"it has no {', '.join(missing)}" if missing else "give an instance, not the class"
        raise ArgumentError(f"{strategy!r} is not a strategy: {what}")
    name: object = strategy.name
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]{1,64}", name):
        raise ArgumentError(
            f"a strategy's name must be 1 to 64 characters of a-z, 0-9 and _: got {name!r}"
        )
    if name in BASELINES and (name != BuyAndHold.name or type(strategy) is not BuyAndHold):
        raise ArgumentError(
            f"a strategy must not be named {name!r}: the names {', '.join(BASELINES)} belong to "
            "the baselines of every summary; choose another name"
        )
    if not callable(strategy.decide):
        raise ArgumentError(f"strategy {name!r}: decide must be a method: got {strategy.decide!r}")
    if not isinstance(strategy.fitted, bool):
        raise ArgumentError(
            f"strategy {name!r}: fitted must be True or False: got {strategy.fitted!r}"
        )
    _check_targets(name, strategy.targets)
    return strategy


def _check_targets(name: str, targets: object) -> None:
    if isinstance(targets, str) or not isinstance(targets, Collection):
        raise ArgumentError(
            f"strategy {name!r}: targets must be a tuple of names out of {', '.join(TARGETS)}, "
            f'such as ("close",): got {targets!r}'
        )
    for target in targets:
        if target not in TARGETS:
            raise UnknownNameError(f"target of strategy {name!r}", target, TARGETS)


def select_strategies(
    strategies: Iterable[str | Strategy | BarStrategy] | str | None,
) -> tuple[Strategy, ...]:
    """Select strategies by name or object; None selects all built-in ones.

    Raises:
        UnknownNameError: an unknown strategy or target.
        ArgumentError: an object that is not a strategy, an empty selection, or a repeated name.
    """
    if strategies is None:
        return _BUILT_IN
    if not isinstance(strategies, Iterable):
        raise ArgumentError(
            f"strategies must be a list of names and strategy objects, or None for all: "
            f"got {strategies!r}"
        )
    selected = []
    for item in [strategies] if isinstance(strategies, str) else strategies:
        if isinstance(item, str):
            if item not in _registered:
                raise UnknownNameError("strategy", item, _registered)
            selected.append(_registered[item])
        else:
            selected.append(check_strategy(item))
    names = [strategy.name for strategy in selected]
    if not names:
        raise ArgumentError("no strategy given: name at least one, or None for all")
    if len(set(names)) < len(names):
        raise ArgumentError(f"a strategy is named twice: {', '.join(names)}")
    return tuple(selected)
