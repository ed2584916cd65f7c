"""What one layout is: which columns mean what, in which clock and units, and how it is known."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ROLES = (
    "timestamp", "date", "time", "open", "high", "low", "close", "volume", "adj close", "symbol",
    "split", "ignored",
)  # fmt: skip
"""What a column can be; `columns=` takes these names. An ignored column is left out."""


CURRENCY_SIGN = re.compile(r"\s*[(\[](?:US|HK|NT|[ACS])?[$€£¥₹₩₽₺元円원][)\]]\s*$")
"""Sign of a currency at the end of a name, as in Open ($)."""


def fold(name: object) -> str:
    """Reduce a column's name to lower case without blanks, underscores, dots and brackets.

    The sign of a currency at its end is left out.

    Example:
        >>> fold(" Open_Time"), fold("<TICKVOL>"), fold("1. open"), fold("Close*")
        ('opentime', 'tickvol', 'open', 'close')

    """
    missing = name is None or name != name  # NaN is the name of an empty header in some sources
    return "" if missing else _fold_text(str(name))


ZONE_IN_NAME = re.compile(
    r"\s*[(\[](?P<zone>[A-Z][A-Za-z]+/[A-Za-z_/]+|[ECMP]T|E[SD]T|P[SD]T|JST|KST|HKT|MSK"
    r"|(?:UTC|GMT) ?[+-]\d{1,2}(?::00)?)[)\]]\s*$"
)
"""The zone at the end of a column's name, as in "Time (America/New_York)"."""


@functools.lru_cache(maxsize=4096)
def _fold_text(text: str) -> str:
    text = re.sub(r"^\s*\d+[a-z]?\.\s+", "", text)  # Alpha Vantage numbers its names
    text = ZONE_IN_NAME.sub("", text)
    text = re.sub(r"^\s*\$FORMAT\s+", "", text)  # AmiBroker's first line
    text = CURRENCY_SIGN.sub("", text)
    return re.sub(r"[\s_.<>*\ufeff]+", "", text).casefold()


@dataclass(frozen=True)
class Layout:
    """A documented layout.

    Attributes:
        name: what `layout=` takes.
        title: as in "read as MetaTrader 5 export".
        columns: folded column name to role.
        signature: sets of folded names; a header that holds all of one set has this layout.
        fields: names of the columns of files without a header, in order.
        pattern: what each field of the first line must match, where there is no header.
        scale: the prices are whole numbers, this many to the unit.
        timezone: the documented clock of times without a zone.
        midnight: the zone at whose midnight daily bars are stamped, given as instants.
        dayfirst: the documented order of day and month; None where the column must prove it.
        note: what a reader should know, such as a clock that is not documented.
        always_open: it is of markets that are open on every day, whose dates are those of UTC.
        traded: name of the layout of the same lines whose volumes are not all 0; "" for none.
        source: where it is documented.

    """

    name: str
    title: str
    columns: Mapping[str, str] = field(default_factory=dict)
    signature: tuple[frozenset[str], ...] = ()
    fields: tuple[str, ...] = ()
    pattern: tuple[str, ...] = ()
    scale: int = 1
    timezone: str | None = None
    midnight: str | None = None
    dayfirst: bool | None = None
    note: str = ""
    always_open: bool = False
    traded: str = ""
    source: str = ""
