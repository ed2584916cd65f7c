"""Fill policies and fee rules, and their codes in the compiled kernels.

A long buys at the limit L and sells at the limit H, a short sells at H and buys back at L. An order
fills at its limit or better, at a price that traded, and only if the price goes through the limit:
a touch fills nothing. A bar that opens beyond a limit fills it at the open. Every fill policy uses
that the open comes first in a bar and the close last:

    A long enters iff L > low, at min(L, open). If open < L it enters at the open, before the rest
    of the bar: it exits iff high > H, at max(H, open). Otherwise it enters inside the bar, and
    policies differ. A position that does not exit at a limit exits at the close. Shorts mirrored.

optimistic
    Entry before exit: a long that enters inside the bar exits at H iff high > H. The upper bound of
    the profit that the bar allows.
open_aware
    It exits at H iff close > H: only the close proves that H came after the entry. The lower
    bound, and the default.
close_only
    Every position exits at the close.

Legacy formulas, for `marketsim.legacy` only: no open, levels clamped to H = clamp(H, 0, 10) and
L = clamp(L, -1, 0), exits at a touch, fills outside the bar.

legacy
    Exits at H if the bar reaches it.
legacy_close_only
    Exits at the close.
legacy_proven
    Exits at H if the close proves it.

They charge one fee f for a position s, by a fee rule:

per_entry
    f * |s| on each bar with an entry.
touched_both
    f * |s| on each bar with H < high and L > low (`legacy_close_only`: or). A position that exits
    at exactly the bar's high or low pays nothing.
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

# Bits of the fill flags of a bar.
LONG_ENTERED = 1
LONG_EXITED = 2
SHORT_ENTERED = 4
SHORT_EXITED = 8
OPEN_FILLED = 16
AMBIGUOUS = 32
STOPPED = 64  # exited at a stop; set by the walk-forward run, by no kernel


class RuleCodes(NamedTuple):
    """Rules in the layout of the compiled kernels.

    Attributes:
        fill, fee_rule: codes.
        limit_cost, close_cost: cost of entry plus exit as a fraction of the position, for an exit
            at a limit and at the close; legacy formulas charge the latter once.
    """

    fill: int
    fee_rule: int
    limit_cost: float
    close_cost: float


def rule_codes(
    fill: str, fee_rule: str | None, fee: float, costs: FillCosts | None, *, has_open: bool
) -> RuleCodes:
    """Check the rules of a call and return their codes.

    Raises:
        ArgumentError: rates that are not finite, both `fee` and `costs`, a fill policy without open
            or with a fee rule, a legacy formula with open or costs.
        UnknownNameError: an unknown fill policy or fee rule.
    """
    if str(fill) in LEGACY_FILLS:  # str: comparing an array to a name is ambiguous
        if costs is not None or has_open:
            given = "open=" if has_open else "costs="
            raise ArgumentError(f"fill={fill!r} takes no {given}: give open=None and a single fee=")
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
    """Return the rates of the three kinds of fill; raise ArgumentError unless finite."""
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
    """Return the code of a fill policy.

    Raises:
        UnknownNameError: an unknown name, or one of `LEGACY_FILLS` unless `legacy` is set; lists
            the policies.
    """
    known: tuple[str, ...] = (*FILLS, *LEGACY_FILLS) if legacy else FILLS
    try:
        return known.index(fill)
    except ValueError:
        pass
    hint, name = "", str(fill)
    if name in LEGACY_FILLS:
        hint = (
            "; that is a legacy formula, which ignores the open and fills at prices that never "
            "traded; it is available in marketsim.legacy only"
        )
    raise UnknownNameError("fill policy", fill, known, hint) from None


def current_name(fill: str) -> str:
    """Return the current name of a fill policy; warn for the former name of open_aware."""
    if str(fill) != "pessimistic":
        return fill
    warnings.warn(
        'fill="pessimistic" is the former name of "open_aware" and uses its rule: write '
        '"open_aware"',
        FutureWarning,
        stacklevel=4,
    )
    return "open_aware"


def fee_rule_code(fee_rule: str) -> int:
    """Return the code of a fee rule; raise UnknownNameError with the list of rules."""
    try:
        return FEE_RULES.index(fee_rule)
    except ValueError:
        raise UnknownNameError("fee rule", fee_rule, FEE_RULES) from None


def check_fee(fee: float) -> float:
    """Return `fee` as a float; raise ArgumentError unless it is a finite rate or rebate."""
    return _rate("fee", fee)


def _rate(name: str, rate: float) -> float:
    expected = "a finite fraction of the value traded, such as 0.0005 for 5 basis points"
    value = as_number(name, rate, expected)
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ArgumentError(f"{name} must be {expected}: got {rate!r}")
    return value


def check_device(device: str) -> None:
    """Raise unless kernels can run on a device; "cpu" and "auto" are always valid.

    Raises:
        UnknownNameError: an unknown device.
        CudaUnavailableError: the GPU is not available.
    """
    if device != "cpu":
        from marketsim.kernels.cuda.place import find_place

        find_place(device, {}, work=-1)
