"""The words that say how a bar is traded, and their codes in the compiled kernels.

A long buys at the limit L and sells at the limit H, a short sells at H and buys back at L. An order
fills at its limit or better, at a price that traded, and only where the price went through the
limit: a touch fills nothing. A bar that opens beyond a limit fills it at the open. The open comes
first in a bar and the close last; what they prove is used under every fill policy:

    A long enters iff L > low, at min(L, open). Where open < L it entered at the open, and all else
    happened after it: it leaves iff high > H, at max(H, open). Otherwise the entry lies inside the
    bar, and policies differ. What does not leave at a limit leaves at the close. Shorts mirrored.

optimistic
    Entry first, then exit: a long that entered inside the bar leaves at H iff high > H. The upper
    bound of what the bar allows.
open_aware
    It leaves at H iff close > H: only the close proves that H came after the entry. The lower
    bound, and the default.
close_only
    Every position closes at the close.

The formulas of older programs, for `marketsim.legacy` alone: no open, levels clamped to
H = clamp(H, 0, 10) and L = clamp(L, -1, 0), exits at a touch, fills outside the bar.

legacy
    Leaves at H wherever the bar reached it.
legacy_close_only
    Leaves at the close.
legacy_proven
    Leaves at H where the close proves it.

They charge one fee f for a position s, by a fee rule:

per_entry
    f * |s| on each day that enters.
touched_both
    f * |s| on each day with H < high and L > low (`legacy_close_only`: or). A position that leaves
    at exactly the day's high or low pays nothing.
"""

from __future__ import annotations

import math
import warnings
from typing import Literal, NamedTuple, TypeAlias

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, UnknownNameError

Fill: TypeAlias = Literal["optimistic", "open_aware", "close_only"]
FeeRule: TypeAlias = Literal["per_entry", "touched_both"]
# Rates of an entry at a limit, an exit at a limit and an exit at the close.
FillCosts: TypeAlias = tuple[float, float, float]

FILLS: tuple[Fill, ...] = ("optimistic", "open_aware", "close_only")
LEGACY_FILLS = ("legacy", "legacy_close_only", "legacy_proven")
FEE_RULES: tuple[FeeRule, ...] = ("per_entry", "touched_both")

_LARGEST = 3.4028234663852886e38  # of float32

# Bits of the fill flags of a day.
LONG_ENTERED = 1
LONG_EXITED = 2
SHORT_ENTERED = 4
SHORT_EXITED = 8
OPEN_FILLED = 16
AMBIGUOUS = 32
STOPPED = 64  # left at a stop, by the walk-forward run; no kernel sets it


class RuleCodes(NamedTuple):
    """Rules as the compiled kernels take them.

    Attributes:
        fill, fee_rule: codes.
        limit_cost, close_cost: what entry and exit cost together, as a fraction of the position,
            for an exit at a limit and for one at the close; legacy formulas charge the latter once.
    """

    fill: int
    fee_rule: int
    limit_cost: float
    close_cost: float


def rule_codes(
    fill: str, fee_rule: str | None, fee: float, costs: FillCosts | None, *, has_open: bool
) -> RuleCodes:
    """The rules of a call, checked.

    Raises:
        ArgumentError: rates that are not finite, `fee` beside `costs`, a contract's policy without
            open or with a fee rule, a legacy formula with open or costs.
        UnknownNameError: an unknown fill policy or fee rule.
    """
    if str(fill) in LEGACY_FILLS:  # an array is neither equal nor unequal to a name
        if costs is not None or has_open:
            given = "open=" if has_open else "costs="
            raise ArgumentError(f"fill={fill!r} knows no {given}: give open=None, and one fee=")
        rate = check_fee(fee)
        rule = "per_entry" if fee_rule is None else fee_rule
        return RuleCodes(fill_code(fill, legacy=True), fee_rule_code(rule), rate, rate)
    code = fill_code(current_name(fill))
    if fee_rule is not None:
        fee_rule_code(fee_rule)
        raise ArgumentError(
            f"fee_rule={fee_rule!r} belongs to the legacy formulas: under fill={fill!r} every fill "
            "is charged; give fee= or costs=(entry, limit_exit, close_exit)"
        )
    if not has_open:
        raise ArgumentError(
            f"fill={fill!r} needs open=, the open against the previous close: a bar that opens "
            "beyond a limit fills it at the open"
        )
    entry, limit_exit, close_exit = fill_costs(fee, costs)
    return RuleCodes(code, 0, entry + limit_exit, entry + close_exit)


def fill_costs(fee: float, costs: FillCosts | None) -> FillCosts:
    """The rates of the three kinds of fill; raises ArgumentError where one is no finite number."""
    if costs is None:
        return (check_fee(fee),) * 3
    if fee != 0.0:
        raise ArgumentError(f"give fee= or costs=, not both: got fee={fee!r} and costs={costs!r}")
    names = ("entry", "limit_exit", "close_exit")
    try:
        given = tuple(costs)
    except TypeError:
        given = ()
    if len(given) != len(names) or isinstance(costs, str):
        raise ArgumentError(
            "costs must be (entry, limit_exit, close_exit), three fractions of the value traded: "
            f"got {costs!r}"
        )
    entry, limit_exit, close_exit = (
        _rate(f"{name} of costs", rate) for name, rate in zip(names, given, strict=True)
    )
    return entry, limit_exit, close_exit


def fill_code(fill: str, *, legacy: bool = False) -> int:
    """Code of a fill policy.

    Raises:
        UnknownNameError: another name, with the list of policies; one of `LEGACY_FILLS` unless
            `legacy` is set.
    """
    known: tuple[str, ...] = (*FILLS, *LEGACY_FILLS) if legacy else FILLS
    try:
        return known.index(fill)
    except ValueError:
        pass
    hint, name = "", str(fill)
    if name in LEGACY_FILLS:
        hint = (
            "; that is a formula of the old functions, which knows no open and fills at prices "
            "that never traded; it serves marketsim.legacy alone"
        )
    raise UnknownNameError("fill policy", fill, known, hint) from None


def current_name(fill: str) -> str:
    """The name of a fill policy; the old one of open_aware gives it with a FutureWarning."""
    if str(fill) != "pessimistic":
        return fill
    warnings.warn(
        'fill="pessimistic" is the old name of "open_aware", whose rule it gets: write the latter',
        FutureWarning,
        stacklevel=4,
    )
    return "open_aware"


def fee_rule_code(fee_rule: str) -> int:
    """Code of a fee rule; raises UnknownNameError with the list of rules."""
    try:
        return FEE_RULES.index(fee_rule)
    except ValueError:
        raise UnknownNameError("fee rule", fee_rule, FEE_RULES) from None


def check_fee(fee: float) -> float:
    """`fee` as a float if it is a finite rate, or a rebate; raises ArgumentError otherwise."""
    return _rate("fee", fee)


def _rate(name: str, rate: float) -> float:
    expected = "a finite fraction of the value traded, such as 0.0005 for 5 basis points"
    value = as_number(name, rate, expected)
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ArgumentError(f"{name} must be {expected}: got {rate!r}")
    return value


def check_device(device: str) -> None:
    """Raise unless kernels can run there; "cpu" and "auto" always can.

    Raises:
        UnknownNameError: no device of that name.
        CudaUnavailableError: a GPU that cannot be had.
    """
    if device != "cpu":
        from marketsim.kernels.cuda.place import find_place

        find_place(device, {}, work=-1)
