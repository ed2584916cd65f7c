"""What is wrong with the data: one Defect for each kind, all of them in one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marketsim.errors import BarsError


@dataclass(frozen=True)
class Defect:
    """One kind of defect, with all the places where it was found.

    Attributes:
        kind: a stable name, such as ``"high_below_low"``.
        count: how many rows have it (how many columns, where the defect is one of columns).
        message: what was expected and what was got, with the first three rows.
        fix: what to do about it: a `repair=` name, another argument, or an edit of the data.
        rows: positions of those rows in the data as given, counted from 0; empty for a defect
            of columns.

    """

    kind: str
    count: int
    message: str
    fix: str
    rows: tuple[int, ...] = ()


def counted(count: int, noun: str = "row") -> str:
    """Write a count and its noun: ``1 row``, ``2,500 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def raise_defects(
    where: str, row_count: int, defects: Sequence[Defect], understood: Sequence[str] = ()
) -> None:
    """Raise one BarsError that lists all `defects`; do nothing if there are none.

    Args:
        where: the file, or "DataFrame".
        row_count: rows in the data as given.
        defects: in the order in which they are to be read.
        understood: how the source was read.

    Raises:
        BarsError: there is a defect.

    """
    if not defects:
        return
    lines = [f"{where}: {counted(len(defects), 'kind')} of defect in {counted(row_count)}"]
    for defect in defects:
        lines += [f"  - {defect.message}", f"    fix: {defect.fix}"]
    raise BarsError("\n".join(lines), defects, understood)
