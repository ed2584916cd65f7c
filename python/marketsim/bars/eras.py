"""Years that another calendar counts, and why cells are no dates that a format reads."""

from __future__ import annotations

import re

import pandas as pd

ERAS = {"roc": "years from 1911", "buddhist": "years 543 ahead", "easylanguage": "years from 1900"}
"""What `date_format=` takes for such years; years as the rest of the world counts them stay."""

_ROC = re.compile(
    r"^(?:民國|民国)? ?(\d{2,3})"
    r"(?:(?=([/.-])\d{1,2}\2\d{1,2}(?:\D|$)|年)|(?=(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\D|$)))"
)
_SURE_ROC = re.compile(
    r"^(?:(?:民國|民国) ?\d{1,3}年|1\d\d(?:[/.-]\d{1,2}[/.-]\d{1,2}(?:\D|$)|年))"
)
_BUDDHIST = re.compile(
    r"(?<![\d:])(?<!\d[ T_,;])(24[4-9]\d|25\d\d|26[0-4]\d)(?=[/年. -]|\d{4}(?:\D|$)|$)"
)
_IRAN = re.compile(r"(?<!\d)1[34]\d\d[/.-]\d{1,2}[/.-]\d{1,2}(?!\d)")
_JAPAN = {"令和": 2018, "平成": 1988, "昭和": 1925, "R": 2018, "H": 1988, "S": 1925}
_SURE_JAPAN = re.compile(
    r"^(令和|平成|昭和|[RHS](?=\d)) ?(\d{1,2}|元)(?=[/.-]\d{1,2}[/.-]\d{1,2}|年)"
)
_READS = 'date_format="{}" reads such years beside plain ones'
_KNOWN = (
    (re.compile(r"^1\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"),
     "may count years from 1911 (Taiwan) or 1900 (TradeStation's EasyLanguage); "
     f"{_READS.format('roc')}, \"easylanguage\" those from 1900"),
    (_SURE_ROC, f"counts years from 1911 (Taiwan); {_READS.format('roc')}"),
    (_BUDDHIST, f"counts years 543 ahead (Thailand); {_READS.format('buddhist')}"),
    (_SURE_JAPAN, "counts years of an emperor, as other dates do not; write all dates alike"),
    (re.compile(r"\d ?(?:[APap][Mm] ?)?(?:CST|IST|BST|AST)$"), "ends in a zone that several places "
     "call so (CST is Chicago's and Shanghai's); remove the name, and timezone= states the clock"),
    (_IRAN, "is of a calendar that is not read, such as Iran's; write Gregorian dates"),
    (re.compile(r"^#{3,}$"), "is what a spreadsheet writes where a column is too narrow for its "
     "dates; widen the column, and export again"),
    (re.compile(r"^\d{1,2}:\d{2}(?::\d{2})?(?: ?[AP]M)?$", re.IGNORECASE), "is a time without a "
     'date; columns={"date": ..., "time": ...} names the columns of both'),
    (re.compile(r"^[A-Za-z]{3}-\d{2}$"), "has a month and one number, a year or a day; "
     'date_format="%b-%y" reads a year'),
    (re.compile(r"^(?:\d{1,2}[- ][A-Za-z]{3,9}|\d{1,2}[/.]\d{1,2}\.?)$"),
     "has no year; export the dates with their year"),
    (re.compile(r"^(?:19|20|21)\d\d-[0-3]\d\d$"), "may be a year and a day of the year; "
     'date_format="%Y-%j" reads it'),
    (re.compile(r"^(?:19|20|21)\d\d[0-3]\d\d$"), "may be a year and a day of the year; "
     'date_format="%Y%j" reads it'),
    (re.compile(r"^(?:19|20|21)\d\d$"), 'may be a year; date_format="%Y" reads it'),
)  # fmt: skip
_LOOKED_AT = 400


def plain_years(texts: pd.Series) -> tuple[pd.Series, str]:
    """Cells with years as the rest of the world counts them, where all cells show an era.

    Args:
        texts: [row] of str.

    Returns:
        The cells, the same object where they show none; and words for a note, "" for none.

    """
    first = texts.iloc[0] if len(texts) else ""
    if _SURE_ROC.match(first) and texts.str.match(_SURE_ROC).all():
        return texts.map(_from_roc), "years counted from 1911"
    if _SURE_JAPAN.match(first) and texts.str.match(_SURE_JAPAN).all():
        return texts.map(_from_japan), "years of Japan's eras"
    return texts, ""


def stated_years(texts: pd.Series, era: str) -> pd.Series:
    """Cells with years as the rest of the world counts them, under a stated era of `ERAS`."""
    if era == "roc":
        return texts.map(_from_roc)
    if era == "easylanguage":
        return texts.str.replace(
            r"^(\d{2,3})(\d{4})$", lambda match: f"{int(match[1]) + 1900}{match[2]}", regex=True
        )
    return texts.str.replace(_BUDDHIST, lambda match: str(int(match[1]) - 543), regex=True)


def why_unread(texts: pd.Series) -> str:
    """Why cells that no format fits cannot be read, and what to do; "" where nothing is known.

    Args:
        texts: [row] of str, which were not read.

    """
    cells = texts.iloc[:_LOOKED_AT].tolist()
    for pattern, words in _KNOWN:
        found = next((cell for cell in cells if pattern.search(cell)), None)
        if found is not None:
            return f"{found!r} {words}"
    return ""


def _from_roc(cell: str) -> str:
    match = _ROC.match(cell)
    return cell if match is None else f"{int(match[1]) + 1911}{cell[match.end() :]}"


def _from_japan(cell: str) -> str:
    match = _SURE_JAPAN.match(cell)
    if match is None:
        return cell
    year = 1 if match[2] == "元" else int(match[2])
    return f"{_JAPAN[match[1]] + year}{cell[match.end() :]}"
