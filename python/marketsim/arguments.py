"""Argument checks shared by all layers: return the value or raise ArgumentError."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, MarketsimError

Number = TypeVar("Number", np.float32, np.float64)

# Above any number of bars; beyond it arithmetic on rows could overflow.
_MOST = 1_000_000_000


def as_number(name: str, value: object, expected: str = "a number") -> float:
    """Convert to float; raise ArgumentError for text, bools and other non-numbers."""
    if type(value) is float:
        return value
    try:
        # Refuse text: it may contain a unit or a separator. Arrays of one number are arrays.
        several = isinstance(value, np.ndarray) and value.ndim > 0
        if not several and not isinstance(value, (str, bytes, bool, np.bool_)):
            return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"{name} must be {expected}: got {value!r:.200}")


def as_finite(name: str, value: object) -> float:
    """Convert to float; raise ArgumentError for non-numbers, NaN and infinities."""
    number = as_number(name, value, "a finite number")
    if not math.isfinite(number):
        raise ArgumentError(f"{name} must be a finite number: got {value!r}")
    return number


def as_share(name: str, value: object, interval: str = "(0, 1)") -> float:
    """Convert to float; raise ArgumentError unless in an interval such as "(0, 1)" or "[0, 1)".

    Example:
        >>> as_share("confidence", 0.9)
        0.9
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    expected = f"a number in {interval}"
    number = as_number(name, value, expected)
    above = number >= low if interval[0] == "[" else number > low
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise ArgumentError(f"{name} must be {expected}: got {value!r}")
    return number


def check_one_of(name: str, value: object, words: Iterable[str]) -> str:
    """Return a word; raise ArgumentError unless it is one of `words`."""
    known = list(words)
    if isinstance(value, str) and value in known:
        return value
    listed = " or ".join(filter(None, [", ".join(map(repr, known[:-1])), repr(known[-1])]))
    raise ArgumentError(f"{name} must be {listed}: got {value!r:.200}")


def check_name(name: str, value: object) -> str:
    """Return text; raise ArgumentError for anything else."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be text: got {value!r:.200}")
    return value


def is_list(value: object) -> bool:
    """Whether a value is a list, a tuple, an array or the like, and no text."""
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


def check_several(name: str, values: object, of: str) -> None:
    """Raise ArgumentError unless a value can be iterated, and is no text; `of` says of what."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ArgumentError(f"{name} must be {of}: got {values!r:.80}")


def is_named(value: object) -> bool:
    """Whether a value maps names, text, to something."""
    if not isinstance(value, Mapping):
        return False
    return {*map(type, value)} <= {str} or all(isinstance(name, str) for name in value)


def check_function(name: str, value: object, example: str) -> None:
    """Raise ArgumentError unless a value can be called; `example` says what is expected."""
    if not callable(value):
        raise ArgumentError(f"{name} must be a function, such as {example}: got {value!r:.200}")


def check_path(name: str, value: object) -> Path:
    """Convert to a path; raise ArgumentError unless text or a path."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ArgumentError(f"{name} must be the path of a file: got {value!r:.200}")
    return Path(value)


def check_new_file(name: str, value: object) -> Path:
    """Convert to a path; raise ArgumentError unless a file can be written there."""
    path = check_path(name, value)
    if not path.parent.is_dir():
        raise ArgumentError(f"{name} {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise ArgumentError(f"{name} {path} is a folder: give the path of a file")
    return path


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
