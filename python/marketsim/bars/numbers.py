"""Numbers written as text: decimal comma, thousands separators, currency signs, suffixes.

A file has one decimal mark, decided from all its cells together: a cell with both marks, with one
mark twice, or with other than three digits after it proves which. Where nothing proves it, as in
``1,002`` alone, the file is unclear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_SIGNS = "$€£¥₹₩"
_BLANKS = " \u00a0\u202f\u2009'’_"
_SUFFIX = {
    "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "bn": 1e9, "tsd": 1e3, "tys": 1e3, "mio": 1e6,
    "mln": 1e6, "mrd": 1e9, "mld": 1e9, "lakh": 1e5, "lac": 1e5, "l": 1e5, "cr": 1e7,
    "crore": 1e7, "тыс": 1e3, "млн": 1e6,
    "млрд": 1e9, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "천": 1e3, "만": 1e4,
    "억": 1e8,
}  # fmt: skip
_CURRENCY = (
    rf"(?:[{_SIGNS}]|(?:HK|US|NT|R|C|A|S)\$|EUR|USD|GBP|CHF|JPY|CNY|HKD|KRW|INR|PLN|SEK|NOK|DKK|CZK"
    r"|HUF|TRY|BRL|MXN|CAD|AUD|ZAR|RUB|zł|kr|Kč)"
)
_SUFFIXES = "|".join(sorted(_SUFFIX, key=len, reverse=True))
_CLEAN = re.compile(
    rf"(?P<sign>[+-]?){_CURRENCY}?\s*(?P<digits>\d(?:[\d.,{_BLANKS}]*[\d.,])?|[.,]\d+)\s*"
    rf"(?P<exponent>e[+-]?\d+)?(?:(?P<suffix>{_SUFFIXES})\.?)?"
    rf"\s*(?:{_CURRENCY}|(?:Stk|Stück|shs|股|株|주)\.?)?",
    re.IGNORECASE,
)
GAPS = frozenset(("", "#N/A", "N/A", "NA", "NULL", "null", "NaN", "nan", "None", "n/a", "<NA>",
                  "NaT", "-", "--", "\u2013", "\u2014"))  # fmt: skip
"""How text says that a value is missing."""

_MAY_GROUP = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})?")
_GROUPS = re.compile(rf"\d{{1,3}}(?:[{_BLANKS}]\d{{3}})+(?:[.,]\d*)?")


@dataclass(frozen=True)
class Marks:
    """The decimal mark of a file.

    Attributes:
        decimal: "." or ","; "" where no cell with a comma proves it.
        why: a cell that proves it.
        unclear: a cell that could be either; "" if there is none or something proves it.

    """

    decimal: str = "."
    why: str = ""
    unclear: str = ""


def find_marks(columns: Iterable[Iterable[object]], stated: str | None = None) -> Marks:
    """Decide the decimal mark from all the cells that are text."""
    proof = {".": "", ",": ""}
    unclear = ""
    for cells in columns:
        for cell in cells:
            if not isinstance(cell, str):
                if isinstance(cell, float) and cell % 1 > 0:
                    proof["."] = proof["."] or repr(cell)
                continue
            match = _CLEAN.fullmatch(cell.strip())
            if match is None:
                continue
            digits = match["digits"]
            if "," not in digits:
                # A point proves a decimal point unless it may separate thousands.
                if digits.count(".") == 1 and not re.fullmatch(r"\d{1,3}\.\d{3}", digits):
                    proof["."] = proof["."] or cell
                elif digits.count(".") > 1:
                    proof[","] = proof[","] or cell
                continue
            if "." in digits:
                last = "." if digits.rfind(".") > digits.rfind(",") else ","
                proof[last] = proof[last] or cell
            elif digits.count(",") > 1:
                proof["."] = proof["."] or cell
            elif not re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
                proof[","] = proof[","] or cell
            else:
                unclear = unclear or cell
    if stated is not None:
        return Marks(stated, "as stated")
    if proof["."]:  # cells with a decimal comma are no numbers then, and are reported
        return Marks(".", proof["."])
    if proof[","]:
        return Marks(",", proof[","])
    return Marks("" if unclear else ".", unclear=unclear)


def undecided_point(prices: Sequence[pd.Series], others: Sequence[pd.Series]) -> str:
    """A price such as 1.010 that may be a thousand, as 995 beside it or a volume of 1.204 may; "".

    Any cell with other than three digits after its point, or with 0 before it, proves a decimal
    point, and so does a price such as 1010 without a separator.

    Args:
        prices: columns of prices; where they are no text, nothing is left to decide.
        others: columns that can prove a decimal point as well.

    """
    columns = [*prices, *others]
    if not prices or any(not pd.api.types.is_string_dtype(c.dtype) or not len(c) for c in columns):
        return ""
    firsts = (column.iloc[0] for column in prices)  # one by one: as a rule the first says no
    if not all(isinstance(cell, str) and _MAY_GROUP.fullmatch(cell.strip()) for cell in firsts):
        return ""  # quick, as most files end here
    points, whole = "", False
    for column in prices:
        cells = column.dropna().str.strip()
        dotted = cells.str.contains(".", regex=False).to_numpy(np.bool_)
        if not cells.str.fullmatch(_MAY_GROUP.pattern).all():
            return ""
        whole = whole or not dotted.all()
        points = points or (cells.iloc[int(np.argmax(dotted))] if dotted.any() else "")
    if not points:
        return ""
    grouped = whole
    for column in others:
        cells = column.dropna().str.strip()
        if not cells.str.fullmatch(r"[+-]?\d+|[+-]?[1-9]\d{0,2}\.\d{3}").all():
            return ""
        if not whole and cells.str.fullmatch(r"[+-]?\d{4,}").any():
            return ""  # who separates thousands does so in volumes
        grouped = grouped or bool(cells.str.contains(".", regex=False).any())
    return str(points) if grouped else ""


def like_number(cell: str) -> bool:
    """Whether text can be a number, with a suffix or a currency too."""
    return _CLEAN.fullmatch(cell.strip()) is not None


def read_number(cell: str, marks: Marks) -> float | None:
    """One cell of text as a number; None if it is none under these marks."""
    text = cell.strip()
    if marks.decimal == "." and re.fullmatch(
        r"[+-]?[\d.]+(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan)", text, re.I
    ):
        try:
            return float(text)
        except ValueError:
            return None
    match = _CLEAN.fullmatch(text)
    if match is None or (marks.decimal == "" and "," in match["digits"]):
        return None
    digits = match["digits"]
    if any(blank in digits for blank in _BLANKS):
        if not _GROUPS.fullmatch(digits):
            return None
        digits = re.sub(f"[{_BLANKS}]", "", digits)
    thousands = "," if marks.decimal in (".", "") else "."
    whole, _, fraction = digits.partition(marks.decimal or ".")
    mark = re.escape(thousands)
    # India writes 12,34,567: groups of two before the last of three.
    grouped = rf"\d*|\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}"
    if thousands in fraction or not re.fullmatch(grouped, whole):
        return None
    plain = whole.replace(thousands, "") + ("." + fraction if fraction else "")
    try:
        value = float(match["sign"] + plain + (match["exponent"] or ""))
    except ValueError:
        return None
    return value * _SUFFIX.get((match["suffix"] or "").casefold(), 1.0)


def to_numbers(column: pd.Series, marks: Marks | None = None) -> tuple[FloatArray, BoolArray]:
    """Convert a column to float64 [row], with a mask of the cells that are not numbers.

    Missing cells become NaN and are not in the mask. Text is read as Python's float() reads it,
    which rounds correctly, so a number next to a bad cell keeps its last bit.

    Args:
        column: of any dtype.
        marks: how text is written; None leaves all text but plain numbers in the mask.

    """
    kinds = pd.api.types
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column, dtype = column.astype(object), np.dtype(object)
    clean = np.zeros(len(column), np.bool_)
    if kinds.is_float_dtype(dtype) or kinds.is_integer_dtype(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), clean
    plain = marks is None or marks.decimal != ","  # else 1.000 is a thousand
    if plain and getattr(dtype, "storage", "") == "pyarrow":
        quick = _arrow_numbers(column)
        if quick is not None:
            return quick, clean
    missing = np.asarray(column.isna(), dtype=np.bool_)
    if not (kinds.is_object_dtype(dtype) or kinds.is_string_dtype(dtype)):
        return np.full(len(column), np.nan), ~missing  # booleans, dates, durations, complex
    cells = column.to_numpy(dtype=object, na_value=np.nan)
    kind = kinds.infer_dtype(cells, skipna=True)
    if kind in ("empty", "integer", "floating") or (plain and kind == "string"):
        try:
            return cells.astype(np.float64), clean
        except (ValueError, TypeError, OverflowError):
            pass  # some cell is not a number: find out which
    numbers = [
        np.nan if gap else _number(cell, marks) for cell, gap in zip(cells, missing, strict=True)
    ]
    text = np.array([number is None for number in numbers], np.bool_)
    return np.array([np.nan if n is None else n for n in numbers], np.float64), text


def _arrow_numbers(column: pd.Series) -> FloatArray | None:
    """Plain numbers of an Arrow column of text; None if some cell is something else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        cast = pc.cast(pa.array(column.array), pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(cast.to_numpy(zero_copy_only=False), np.float64)


def _number(cell: object, marks: Marks | None) -> float | None:
    if isinstance(cell, bool | np.bool_ | complex | np.complexfloating):
        return None
    if isinstance(cell, str) and cell.strip() in GAPS:
        return float("nan")
    if isinstance(cell, str) and marks is not None:
        return read_number(cell, marks)
    try:
        return float(cell)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return None
