"""All defects of a table in one pass; each row is reported at its root cause.

A price that is not a finite positive number says nothing about the order of the prices, so no
comparison with it is made; the others of its row are. Where high < low, no open or close can lie
between.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from marketsim.bars.columns import ADJUSTED_CLOSE, COLUMNS, PRICES, SPLIT, listed
from marketsim.bars.defect import Defect, counted
from marketsim.bars.lengths import find_change
from marketsim.bars.numbers import Marks, read_number
from marketsim.bars.splits import may_split, unit_changes
from marketsim.bars.table import FloatArray, Table, quoted
from marketsim.bars.validate_times import drop_fix, out_of_order, row_defect, time_defects
from marketsim.bars.zones import NAT, BoolArray


def find_defects(table: Table, min_bars: int, splits: str | None) -> list[Defect]:
    """Find every kind of defect of a table, as read or as repaired.

    Args:
        table: the rows.
        min_bars: fewer rows than this are a defect.
        splits: "adjust" or "ignore" where splits in the prices are no defect.

    """
    adjustment = _adjustment(table)
    found = [
        _missing_columns(table),
        *time_defects(table),
        *_bad_numbers(table),
        _negative_volume(table),
        _high_below_low(table),
        _outside_range(table),
        adjustment,
        None if adjustment or table.adjusted else _unadjusted_split(table, splits),
        _too_short(table, min_bars),
    ]
    return [defect for defect in found if defect is not None]


_LOOKED_AT = 20  # cells
_LOST_MARK = 90.0  # ratio of the prices of one row
_CHUNK = 1 << 16  # rows that stay in the processor's cache


def is_clean(table: Table, min_bars: int) -> bool:
    """Whether a table can have no defect at all, and needs no repair, by a few passes over it.

    False says nothing: `find_defects` then says what is wrong, if anything is.
    """
    values = table.values
    if len(table) < max(min_bars, 1) or table.unclear or table.running or table.marks.decimal == "":
        return False
    if not all(name in values for name in COLUMNS) or SPLIT in values or ADJUSTED_CLOSE in values:
        return False
    if (
        table.adjusted
        or table.faults.any()
        or table.strays.any()
        or any(table.text[name].any() for name in COLUMNS)
    ):
        return False
    times, jumps = table.times, False
    for start in range(0, len(table), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = times[start : start + _CHUNK + 1]
        if not (part[1:] > part[:-1]).all():
            return False
        open_, high, low, close, volume = (values[name][rows] for name in COLUMNS)
        top = np.maximum(open_, close)  # NaN stays NaN, and compares false
        bottom = np.minimum(open_, close)
        fine = (low > 0) & (low <= bottom) & (top <= high) & (high < np.inf)
        if not (fine & (volume >= 0) & (volume < np.inf)).all():
            return False
        after = values["open"][start + 1 : start + _CHUNK + 1]
        jumps = jumps or may_split(values["close"][start : start + len(after)], after)
    if find_change(times) is not None:
        return False
    return not jumps or not (table.split_factors() != 1.0).any()


def invalid_prices(table: Table) -> BoolArray:
    """Rows with a price that is present but no finite positive number, [row]."""
    result = np.zeros(len(table), np.bool_)
    for name in table.price_names:
        result |= np.isnan(usable(table, name))
    return result


def usable(table: Table, name: str) -> FloatArray:
    """A price column with NaN, which compares false, for all but finite positive numbers, [row].

    All NaN where the column is missing.
    """
    values = table.values.get(name)
    if values is None:
        return np.full(len(table), np.nan)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def invalid_volume(table: Table) -> BoolArray:
    """Rows with a volume that is present but no finite number of at least 0, [row]."""
    volume = table.values.get("volume")
    if volume is None:
        return np.zeros(len(table), np.bool_)
    return ~(np.isfinite(volume) & (volume >= 0))


def _cells_defect(
    table: Table, kind: str, broken: Mapping[str, BoolArray], rule: str, fix: str
) -> Defect | None:
    """Describe cells that are wrong by themselves; a row counts once."""
    anywhere = np.zeros(len(table), np.bool_)
    for mask in broken.values():
        anywhere |= mask

    def show(row: int) -> str:
        return ", ".join(table.show_cell(name, row) for name in broken if broken[name][row])

    return row_defect(table, kind, anywhere, rule, fix, show)


def _drop(table: Table, broken: Mapping[str, BoolArray]) -> str:
    """Offer to drop the rows of masks, where most rows stay."""
    anywhere = np.logical_or.reduce([*broken.values(), np.zeros(len(table), np.bool_)])
    return drop_fix(table, anywhere, "correct the data")


def is_unknown(volume: FloatArray) -> bool:
    """Whether all volumes are -1, as Interactive Brokers writes where it knows none."""
    return len(volume) > 0 and bool((volume == -1).all())


def _missing_columns(table: Table) -> Defect | None:
    missing = [name for name in COLUMNS if name not in table.values]
    if table.adjusted and ADJUSTED_CLOSE not in table.values:
        missing.append(ADJUSTED_CLOSE)
    # Several tickers give no columns at all, and are reported as such.
    if not missing or any(d.kind == "several_tickers" for d in table.selection.defects):
        return None
    fix = f'columns={{"{missing[0]}": ...}} names a column of the source that holds it'
    if "volume" in missing and table.maybe_volume:
        other = table.maybe_volume
        fix = (
            f'columns={{"volume": "{other}"}} reads {other!r} as the volume; if it is none, '
            f'columns={{"{other}": "ignored"}} leaves it out'
        )
    elif "volume" in missing:
        fix += '; repair="zero_volume" sets a missing volume to 0'
    if ADJUSTED_CLOSE in missing:
        fix += f"; without {ADJUSTED_CLOSE}, leave adjusted=True away"
    message = (
        f"columns open, high, low, close and volume are needed"
        f"{f', and with adjusted=True {ADJUSTED_CLOSE}' if ADJUSTED_CLOSE in missing else ''}: "
        f"missing {', '.join(missing)}; found {listed(table.selection.found)}"
    )
    return Defect("missing_column", len(missing), message, fix)


def _bad_numbers(table: Table) -> list[Defect | None]:
    values, names = table.values, table.used_names
    text = {name: table.text[name] for name in names}
    nan = {name: np.isnan(values[name]) & ~text[name] for name in names}
    infinite = {name: np.isinf(values[name]) for name in names}
    # Minus infinity is infinite first.
    low = {name: (values[name] <= 0) & ~infinite[name] for name in table.price_names}
    nan_fix = _drop(table, nan)
    if "volume" in names and nan["volume"].any():
        nan_fix = f'repair="zero_volume" sets a missing volume to 0; {nan_fix}'
    unclear = _unclear_marks(table)
    if unclear is not None:
        return [unclear]
    rule, number_fix = "values must be numbers", _drop(table, text)
    other = _other_mark(table, text)
    if other:
        rule = f"values must have one decimal mark, and {other} has another than the rest"
        number_fix = "write all numbers with one decimal mark"
        if table.marks.why == "as stated":
            number_fix = "leave decimal= away, or write all numbers with the mark that it states"
    return [
        _cells_defect(table, "not_a_number", text, rule, number_fix),
        _cells_defect(table, "nan", nan, "values must not be missing (NaN)", nan_fix),
        _cells_defect(table, "infinite", infinite, "values must be finite", _drop(table, infinite)),
        _cells_defect(table, "nonpositive_price", low, "prices must be > 0", _drop(table, low)),
    ]


def _other_mark(table: Table, text: Mapping[str, BoolArray]) -> str:
    """A cell that is a number under the other decimal mark; "" if there is none."""
    other = Marks("." if table.marks.decimal == "," else ",")
    for name, mask in text.items():
        for row in np.flatnonzero(mask)[:_LOOKED_AT].tolist():
            cell = table.selection.columns[name].iloc[int(table.rows[row])]
            if isinstance(cell, str) and read_number(cell, other) is not None:
                return quoted(cell)
    return ""


def _unclear_marks(table: Table) -> Defect | None:
    """Commas and points that may be decimal marks or separate thousands."""
    marks = table.marks
    if marks.decimal == "":
        mark = "comma" if "," in marks.unclear else "point"
        return Defect(
            "unclear_numbers", len(table),
            f"numbers must be clear: the {mark} of {marks.unclear!r} may be a decimal mark or "
            "separate thousands, and no cell proves which",
            'decimal="," or decimal="." states it',
        )  # fmt: skip
    return None


def _negative_volume(table: Table) -> Defect | None:
    volume = table.values.get("volume")
    if volume is None:
        return None
    broken = {"volume": (volume < 0) & np.isfinite(volume)}
    rule, fix = "volume must be >= 0", _drop(table, broken)
    if is_unknown(volume):
        rule += ", and -1 in all rows says that it is not known"
        fix = 'repair="zero_volume" sets it to 0'
    return _cells_defect(table, "negative_volume", broken, rule, fix)


def _high_below_low(table: Table) -> Defect | None:
    if table.marks.decimal == "":  # the cause
        return None
    broken = usable(table, "high") < usable(table, "low")
    fix = _misread(table, broken) or 'repair="widen_range", or correct the data'
    if 2 * int(broken.sum()) > len(table):
        fix = 'the columns may be swapped; columns={"high": ..., "low": ...} says which is which'
    return row_defect(
        table,
        "high_below_low",
        broken,
        "high must be >= low",
        fix,
        lambda row: f"{table.show_cell('high', row)}, {table.show_cell('low', row)}",
    )


def _outside_range(table: Table) -> Defect | None:
    if table.marks.decimal == "":  # the cause
        return None
    low, high = usable(table, "low"), usable(table, "high")
    outside = np.zeros(len(table), np.bool_)
    for name in ("open", "close"):
        price = usable(table, name)
        outside |= (price < low) | (price > high)
    shown = [name for name in ("open", "high", "low", "close") if name in table.values]
    broken = outside & ~(high < low)
    return row_defect(
        table,
        "outside_range",
        broken,
        "open and close must lie between low and high",
        _misread(table, broken) or 'repair="widen_range", or correct the data',
        lambda row: ", ".join(table.show_cell(name, row) for name in shown),
    )


def _misread(table: Table, broken: BoolArray) -> str:
    """What to do where the prices of a row are so far apart that a mark was lost; else ""."""
    if not broken.any() or not all(name in table.values for name in PRICES):
        return ""
    prices = np.stack([usable(table, name)[broken] for name in PRICES])
    with np.errstate(invalid="ignore"):
        apart = prices.max(axis=0) / prices.min(axis=0)
    if not (apart > _LOST_MARK).any():
        return ""
    return (
        "correct the data: prices of one row are apart by a factor that a decimal mark or a "
        "separator of thousands makes, so that the range of the row is not what is wrong; where "
        'the text has such marks, decimal="." or "," states which is the decimal mark'
    )


def _adjustment(table: Table) -> Defect | None:
    """Without the caller's choice, an adjusted close that differs is a question, not data."""
    adjusted, close = table.values.get(ADJUSTED_CLOSE), table.values.get("close")
    if table.adjusted is not None or adjusted is None or close is None:
        return None
    return row_defect(
        table,
        "adjustment",
        np.isfinite(close) & (adjusted != close),
        "adj close must equal close, or adjusted= must say which one counts",
        "adjusted=True scales open, high, low and close by adj close / close; "
        "adjusted=False ignores adj close",
        lambda row: f"{table.show_cell('close', row)}, {table.show_cell(ADJUSTED_CLOSE, row)}",
    )


def _unadjusted_split(table: Table, choice: str | None) -> Defect | None:
    """Splits that the file names or that the prices show, and that are not taken out of them."""
    if (
        choice is not None
        or table.marks.decimal == ""
        or (table.times == NAT).any()
        or len(table) == 0
    ):
        return None
    if invalid_prices(table).any() or invalid_volume(table).any() or out_of_order(table).any():
        return None
    factors = table.split_factors()
    if not (factors != 1.0).any():
        return None
    units = unit_changes(factors, table.values["volume"])
    if units.any():
        return _unit_change(table, factors, units)
    named = SPLIT in table.values and (table.values[SPLIT] == factors)[factors != 1.0].any()
    why = "the column of splits names it" if named else "the price falls or rises by the factor"
    return row_defect(
        table,
        "unadjusted_split",
        factors != 1.0,
        f"prices must be adjusted for splits, and {why} overnight",
        'splits="adjust" divides the prices before it, splits="ignore" keeps them',
        lambda row: (
            f"{factors[row]:g}:1, close {table.values['close'][row - 1]:g} to open "
            f"{table.values['open'][row]:g}"
        ),
    )


def _unit_change(table: Table, factors: FloatArray, units: BoolArray) -> Defect | None:
    """Prices that go on in another unit, as pence turn into pounds."""
    return row_defect(
        table,
        "unit_change",
        units,
        "prices must be in one unit, and they go on by a factor that turns pence into pounds, or "
        "a thousand into one, while the volume does not follow as in a split",
        'splits="adjust" divides the prices before it and keeps the volume, splits="ignore" keeps '
        "both",
        lambda row: (
            f"factor {factors[row]:g}, close {table.values['close'][row - 1]:g} to open "
            f"{table.values['open'][row]:g}"
        ),
    )


def _too_short(table: Table, min_bars: int) -> Defect | None:
    if len(table) >= min_bars:
        return None
    got = "there are no rows" if len(table) == 0 else f"got {counted(len(table))}"
    return Defect(
        "too_short",
        len(table),
        f"expected at least {counted(min_bars)}: {got}",
        "give more rows",
    )
