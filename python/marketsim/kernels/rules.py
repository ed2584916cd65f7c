"""The words that say how a bar is traded, and their codes in the compiled kernels.

Fill policies: what a bar that touches both the entry and the exit limit is taken to mean. A long
buys at L and sells at H, a short sells at H and buys back at L.

optimistic
    Entry first, then exit: the exit limit counts wherever the bar reached it.
pessimistic
    The order is unknown, so the exit limit counts only where the close proves it: a long that
    entered at L below a close at or above H passed H on the way. Elsewhere the position closes at
    the close. A day's profit is never above that under `optimistic`.
open_aware
    A limit that is already better than the open (long: L >= open, short: H <= open) fills at the
    open, and all else happens after it, so the exit limit counts wherever the bar reached it. A
    day that does not enter at the open is read as under `pessimistic`.
close_only
    Every position closes at the close.

Fee rules, for a fee rate f and a position s:

per_entry
    f * |s| on each day that enters.
touched_both
    f * |s| on each day with H < high and L > low (`close_only`: or). For parity with an older
    program only: a position that leaves at exactly the day's high or low pays nothing.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, UnknownNameError

Fill: TypeAlias = Literal["optimistic", "pessimistic", "open_aware", "close_only"]
FeeRule: TypeAlias = Literal["per_entry", "touched_both"]

FILLS: tuple[Fill, ...] = ("optimistic", "pessimistic", "open_aware", "close_only")
FEE_RULES: tuple[FeeRule, ...] = ("per_entry", "touched_both")

# Bits of the fill flags of a day.
LONG_ENTERED = 1
LONG_EXITED = 2
SHORT_ENTERED = 4
SHORT_EXITED = 8
OPEN_FILLED = 16
AMBIGUOUS = 32
STOPPED = 64  # left at a stop, by the walk-forward run; no kernel sets it


def fill_code(fill: str) -> int:
    """Code of a fill policy; raises UnknownNameError with the list of policies."""
    try:
        return FILLS.index(fill)
    except ValueError:  # an array is neither equal nor unequal to a name
        raise UnknownNameError("fill policy", fill, FILLS) from None


def fee_rule_code(fee_rule: str) -> int:
    """Code of a fee rule; raises UnknownNameError with the list of rules."""
    try:
        return FEE_RULES.index(fee_rule)
    except ValueError:
        raise UnknownNameError("fee rule", fee_rule, FEE_RULES) from None


def check_fee(fee: float) -> float:
    """`fee` as a float if it is a rate in [0, 0.5); raises ArgumentError otherwise."""
    expected = "a fraction of the traded value in [0, 0.5)"
    value = as_number("fee", fee, f"{expected}, such as 0.0005 for 5 basis points")
    if not 0.0 <= value < 0.5:
        raise ArgumentError(f"fee must be {expected}: got {fee!r}; 5 basis points are 0.0005")
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


def require_open(fill: str, at_open: object) -> None:
    """Raise ArgumentError where a policy needs the open and there is none."""
    if fill == "open_aware" and at_open is None:
        raise ArgumentError('fill="open_aware" needs open=, the open against the previous close')
