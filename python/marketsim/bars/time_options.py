"""What a caller or a layout states of timestamps."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from marketsim.bars.digits import DAYS, EXCEL, UNITS
from marketsim.bars.eras import ERAS
from marketsim.errors import ArgumentError


@dataclass(frozen=True)
class TimeOptions:
    """What the caller states of the timestamps.

    Attributes:
        zone: of the values that name none.
        dayfirst: the order of day and month; None if the column must prove it.
        date_format: a strptime format, a Unix unit ("s", "ms", "us", "ns"), "excel", or an era
            ("roc", "buddhist").
        usual: the documented order of day and month, where no row proves another.

    """

    zone: dt.tzinfo
    dayfirst: bool | None = None
    date_format: str | None = None
    usual: bool | None = None


def check_date_format(date_format: object) -> str | None:
    """Return the format.

    Raises:
        ArgumentError: it is neither a Unix unit, "excel", an era, nor a strptime format.

    """
    if date_format is None or date_format in (*UNITS, *ERAS, EXCEL, DAYS):
        return date_format if date_format is None else str(date_format)
    known = isinstance(date_format, str) and re.search(r"%[djxcsDmbBY]", date_format)
    if not known:
        raise ArgumentError(
            f"date_format got {date_format!r}: expected a format such as '%d/%m/%Y %H:%M', a Unix "
            'unit ("s", "ms", "us", "ns", "days"), "excel" for spreadsheet days, or an era ("roc", '
            '"buddhist", "easylanguage")'
        )
    return str(date_format)
