"""What volumes say of a layout, and which of two is read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pandas as pd

from marketsim.bars.layouts import Layout, find_layout, fold
from marketsim.bars.text import RawTable


def traded_layout(raw: RawTable) -> tuple[Layout | None, list[str]]:
    """The layout of lines without a header, by their volumes too, and the notes of the table.

    HistData's volumes are all 0, those of platforms that write the same lines are not.
    """
    layout = raw.layout
    if layout is None or not layout.traded or "volume" not in raw.frame.columns:
        return layout, raw.notes
    volumes = pd.to_numeric(raw.frame["volume"], errors="coerce")
    if (volumes == 0).all():
        return layout, raw.notes
    other = find_layout(layout.traded)
    said = f"read as {layout.title}", f"read as {other.title}"
    return other, [note.replace(*said) for note in raw.notes]


_TICKS = ("tickvol", "tickvolume")
_TRADED = ("vol", "volume", "realvolume", "realvol")


def two_volumes(names: Sequence[Hashable], roles: Sequence[str]) -> list[str]:
    """Which of MetaTrader's two volumes is read, and how to read the other."""
    ticks = [i for i, name in enumerate(names) if fold(name) in _TICKS]
    traded = [i for i, name in enumerate(names) if fold(name) in _TRADED]
    if not ticks or not traded or "volume" not in roles:
        return []
    chosen, other = ticks[0], traded[0]
    kinds = {chosen: "a count of changes of the price", other: "what was traded, where known"}
    if roles[chosen] != "volume":
        chosen, other = other, chosen
    return [
        f"volume is {str(names[chosen])!r}, {kinds[chosen]}; "
        f'columns={{"volume": "{names[other]}"}} reads the other, {kinds[other]}'
    ]


_SIDES = (("up", "down"), ("upvol", "downvol"), ("upvolume", "downvolume"),
          ("upticks", "downticks"))  # fmt: skip


def add_volumes(
    columns: dict[str, pd.Series], names: Sequence[Hashable], parts: Sequence[pd.Series]
) -> list[str]:
    """Add the sum of TradeStation's volumes of upticks and downticks, and say so."""
    folded = [fold(name) for name in names]
    for up, down in _SIDES:
        if folded.count(up) == folded.count(down) == 1:
            place = folded.index(up), folded.index(down)
            sides = [pd.to_numeric(parts[i], errors="coerce") for i in place]
            columns["volume"] = sides[0].astype("float64") + sides[1].astype("float64")
            return [f"volume is the sum of {str(names[place[0]])!r} and {str(names[place[1]])!r}"]
    return []
