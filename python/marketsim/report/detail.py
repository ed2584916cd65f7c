"""How much a page shows: less, step by step, until it is small enough."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT_BYTES = 1_000_000


@dataclass(frozen=True)
class Detail:
    """Bounds on what is drawn and written.

    Attributes:
        buckets: stretches of a curve, two points each.
        curves: equity curves.
        hover: days that the pointer can read on curves.
        candles: candles, the last ones.
        fan_days: days of a forecast fan, the last ones.
        cells: rows and columns of the heatmap.
        rows: rows a table.
        text: characters of a cell, a note or a name.
    """

    buckets: int
    curves: int
    hover: int
    candles: int
    fan_days: int
    cells: int
    rows: int
    text: int


# The first is what a full-width page can show; the last is for the sake of the limit only.
LEVELS = (
    Detail(
        buckets=700, curves=24, hover=700, candles=180, fan_days=120, cells=41, rows=400, text=2_000
    ),
    Detail(
        buckets=400, curves=16, hover=350, candles=180, fan_days=90, cells=31, rows=200, text=1_000
    ),
    Detail(
        buckets=200, curves=12, hover=150, candles=120, fan_days=60, cells=21, rows=60, text=300
    ),
)
