"""Text of the store's commands: sizes, ages, dates and names."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from marketsim.text import printable

_SIZES = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**i for i, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**i for i, letter in enumerate("kmgt", 1)},
}
_AGES = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LONGEST_NAME = 40


def parse_size(text: str) -> int:
    """Parse a size such as 500MB (millions), 2GiB (1024**3), 1.5TB or 1000 to bytes."""
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-zA-Z]*)\s*", text)
    if not found or found[2].lower() not in _SIZES:
        raise argparse.ArgumentTypeError(
            f"expected a size such as 500MB, 2GiB or 1000000: got {text!r}"
        )
    return int(float(found[1]) * _SIZES[found[2].lower()])


def parse_age(text: str) -> timedelta | datetime:
    """Parse an age such as 90d, 12h or 2w, or a date such as 2026-01-31 (UTC)."""
    if found := re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([hdw])\s*", text):
        return float(found[1]) * _AGES[found[2]]
    try:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected an age such as 12h, 90d or 2w, or a date such as 2026-01-31: got {text!r}"
        ) from None


def size_text(count: int) -> str:
    """Format a number of bytes: 999 B, 1.2 kB, 34.5 MB."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def name_text(text: str) -> str:
    """Escape and shorten a name from a file for a table column."""
    return printable(text, LONGEST_NAME)


def minutes_text(nanoseconds: int) -> str:
    """Format a time to the minute, in UTC."""
    from marketsim.forecasts.store.listing import date_text

    return date_text(nanoseconds // 60_000_000_000 * 60_000_000_000)


def iso_text(nanoseconds: int | None) -> str | None:
    """Format a time for JSON: ISO 8601, UTC; None if missing or invalid."""
    import numpy as np

    try:
        text = None if nanoseconds is None else str(np.datetime64(nanoseconds, "ns"))
    except (OverflowError, ValueError):  # the date of a file may be anything
        text = None
    return None if text is None else f"{text.removesuffix('.000000000')}Z"


def model_text(name: str, fingerprint: str) -> str:
    """Format a model: its name, if it has one, and the first digits of its fingerprint."""
    return f"{name_text(name)} {fingerprint[:8]}".lstrip()


def schema_text(schema: str) -> str:
    """Describe the fields of a record briefly."""
    if schema.startswith("quantiles("):
        return f"{schema.count(',') + 1} quantiles"
    if schema.startswith("student_t_mixture("):
        return printable(f"mixture of {schema[18:].partition(')')[0]}", 20)
    return printable(schema.removesuffix(";float32"), 20)


def plural(count: int, noun: str, many: str = "") -> str:
    """Format a count with its noun: 1 file, 2 files; 1 batch, 2 batches."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    print(json.dumps(value, indent=2, allow_nan=False))
