"""Levels of detail of a page, reduced step by step until the page is small enough."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT_BYTES = 1_000_000


@dataclass(frozen=True)
class Detail:
    """Limits on the content of a page.

    Attributes:
        buckets: buckets of a curve, two points each.
        curves: number of equity curves.
        points: number of points of an interactive figure; each is a bar if there are no more.
        trades: number of last trades of each strategy.
        candles: number of last candles.
        fan_days: number of last bars of a forecast fan.
        cells: rows and columns of the heatmap.
        rows: rows per table.
        text: characters of a cell, a note or a name.
    """

    buckets: int
    curves: int
    points: int
    trades: int
    candles: int
    fan_days: int
    cells: int
    rows: int
    text: int


# The first fills a full-width page; the last exists for the size limit only.
LEVELS = (
    Detail(
        buckets=250, curves=24, points=6_000, trades=1_000, candles=180, fan_days=120, cells=41,
        rows=400, text=2_000,
    ),
    Detail(
        buckets=150, curves=24, points=6_000, trades=300, candles=120, fan_days=90, cells=31,
        rows=400, text=2_000,
    ),
    Detail(
        buckets=150, curves=16, points=3_000, trades=300, candles=180, fan_days=90, cells=31,
        rows=200, text=1_000,
    ),
    Detail(
        buckets=150, curves=12, points=1_000, trades=100, candles=120, fan_days=60, cells=21,
        rows=60, text=300,
    ),
)  # fmt: skip
