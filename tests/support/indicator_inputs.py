"""Bars for tests of indicators: random walks, flat stretches, ties, jumps and missing numbers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from golden import golden_folder, why_missing

Array = npt.NDArray[np.float64]


class Series(NamedTuple):
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    session: Array

    def of(self, names: tuple[str, ...]) -> list[Array]:
        other = {"values": self.close, "x": self.close, "y": self.volume}
        return [other[name] if name in other else getattr(self, name) for name in names]


def series(kind: str, rows: int, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    if kind == "flat":
        close = np.full(rows, 7.25)
        return Series(close, close, close, close, np.zeros(rows), np.zeros(rows))
    steps = rng.normal(0, 0.01, rows)
    if kind == "ties":
        steps = rng.integers(-1, 2, rows) * 0.01
    if kind == "jumps":
        steps[rng.random(rows) < 0.05] *= 100
    if kind == "stretches":
        steps[(np.arange(rows) // 30) % 2 == 0] = 0.0
    close = 100.0 * np.exp(np.cumsum(steps))
    if kind == "ties":
        close = np.round(close)
    open_ = np.concatenate([close[:1], close[:-1]])
    wide = 0.0 if kind == "stretches" else rng.uniform(0, 1, rows)
    high, low = np.maximum(open_, close) + wide, np.minimum(open_, close) - wide / 2
    volume = rng.integers(0, 1000, rows).astype(float)
    result = Series(open_, high, low, close, volume, np.floor(np.arange(rows) / 17))
    if kind == "missing":
        for column in result[:5]:
            column[rng.random(rows) < 0.02] = np.nan
    return result


KINDS = ("walk", "flat", "ties", "jumps", "stretches", "missing")


def same_bits(x: npt.ArrayLike, y: npt.ArrayLike) -> bool:
    """Equal numbers, and NaN in the same places; the signs of zeros and NaN do not count."""
    return np.array_equal(np.asarray(x, float), np.asarray(y, float), equal_nan=True)


def golden(name: str) -> Path:
    """A file of recorded values, or a skip that says where it was looked for."""
    path = golden_folder("genesis") / name
    if not path.is_file():
        pytest.skip(why_missing(path))
    return path
