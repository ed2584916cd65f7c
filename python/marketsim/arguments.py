"""Argument checks shared by all layers: return the value or raise ArgumentError."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, MarketsimError

Number = TypeVar("Number", np.float32, np.float64)

# Above any number of bars; beyond it arithmetic on rows could overflow.
_MOST = 1_000_000_000


def as_number(name: str, value: object, expected: str = "a number") -> float:
    """Convert to float; raise ArgumentError for text, bools and other non-numbers."""
    try:
        # Refuse text: it may contain a unit or a separator.
        if not isinstance(value, (str, bytes, bool, np.bool_)):
            return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"{name} must be {expected}: got {value!r}")


def as_numbers(name: str, values: object, dtype: type[Number]) -> npt.NDArray[Number]:
    """Convert to a float array; raise ArgumentError for anything but numbers."""
    try:
        return np.asarray(values, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(
            f"{name} must be numbers, in rows of one length: got {type(values).__name__} "
            f"that cannot be read as such ({error})"
        ) from None


def require_finite(name: str, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return `values` unchanged; raise ArgumentError if one is not finite."""
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        value = values.reshape(-1)[wrong[0]]
        raise ArgumentError(f"{name} must be finite: element {wrong[0]} is {value}")
    return values


def as_flag(name: str, value: object) -> bool:
    """Convert to bool; raise ArgumentError for anything but True and False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{name} must be True or False: got {value!r}")
    return bool(value)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number and not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def as_argument_error(error: ValueError) -> MarketsimError:
    """Convert an error of a compiled kernel to ArgumentError; keep our own errors."""
    return error if isinstance(error, MarketsimError) else ArgumentError(str(error))


def check_seed(seed: object) -> int:
    """Convert to int; raise ArgumentError unless a whole number from 0 to 2**63 - 1."""
    if not is_whole(seed) or not 0 <= seed < 1 << 63:  # type: ignore[operator]
        raise ArgumentError(f"seed must be a whole number from 0 to 2**63 - 1: got {seed!r}")
    return int(seed)  # type: ignore[call-overload, no-any-return]


def check_whole(name: str, value: object, least: int) -> int:
    """Convert to int; raise ArgumentError unless a whole number from `least` on."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ArgumentError(f"{name} must be a whole number of at least {least}: got {value!r}")
    if value > _MOST:  # type: ignore[operator]
        raise ArgumentError(f"{name} must be at most {_MOST:,}: got {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]
