"""Objects in memory to a table: frames of pandas, polars and pyarrow, lists of candles."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from marketsim.bars.headers import LABELS, header_rows, level_names
from marketsim.bars.layouts import fold
from marketsim.bars.nested import table_of
from marketsim.bars.text import RawTable, arrow_text, name_fields
from marketsim.bars.units import is_unit_row, with_units
from marketsim.errors import ArgumentError, MissingDependencyError


def table_of_object(source: Any) -> RawTable:
    """Take an object in memory.

    Raises:
        ArgumentError: it is neither a frame nor a list.
        MissingDependencyError: it is a frame of another library, and pyarrow is not installed.

    """
    if type(source).__name__ == "LazyFrame" and hasattr(source, "collect"):  # of polars
        source = source.collect()
    if isinstance(source, pd.DataFrame):
        return _with_names(source)
    if isinstance(source, list | tuple) and source and isinstance(source[0], list | tuple | dict):
        return table_of(source, type(source).__name__)
    if isinstance(source, dict) and source:
        plain = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in source.items()}
        return table_of(plain, "dict")
    streams = hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")
    if isinstance(source, pd.Series) or not streams:
        raise ArgumentError(
            f"got a {type(source).__name__}: expected a path (str or os.PathLike), a frame of "
            "pandas, polars or pyarrow, or candles as a list or a dict"
        )
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError(
            f"a {type(source).__module__.split('.')[0]} frame needs pyarrow, which is not "
            'installed: pip install ".[parquet]" in the checkout'
        ) from None
    try:
        table = pa.table(source)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ArgumentError(
            f"a {type(source).__name__} is no table ({str(error)[:100]}): expected named columns"
        ) from None
    return RawTable(frame_of_arrow(table))


def _with_names(frame: pd.DataFrame) -> RawTable:
    """Name the columns of a frame as those of the same file are named.

    Without a header, their order tells; rows of labels on top, as yfinance writes them, are names.
    """
    names = frame.columns
    if len(frame) == 0 or len(names) < 5 or isinstance(names, pd.MultiIndex):
        return RawTable(frame)
    if all(isinstance(name, int | np.integer) for name in names):
        head = [[str(cell) for cell in row] for row in frame.iloc[:40].itertuples(index=False)]
        chosen = name_fields(head)
        if chosen is None:
            return RawTable(frame)
        named = frame.set_axis(pd.Index(chosen.fields, dtype=object), axis=1)
        return RawTable(named, [chosen.evidence], chosen.layout)
    first = frame.iloc[0, 0]
    if isinstance(frame.iloc[0, 1], str) and (
        isinstance(first, str) or bool(frame.iloc[:1, 0].isna().all())
    ):
        units = ["" if pd.isna(cell) else str(cell) for cell in frame.iloc[0]]
        if is_unit_row(units, list(map(str, names))):
            called, _ = with_units(list(map(str, names)), units)
            below = frame.iloc[1:].infer_objects().set_axis(called, axis=1)
            return RawTable(below, [f"left out the row of units on top: {', '.join(units)!r}"])
    if isinstance(first, str) and fold(first) not in LABELS:
        return RawTable(frame)
    rows = [
        ["" if pd.isna(cell) else str(cell) for cell in row]
        for row in frame.iloc[:3].itertuples(index=False)
    ]
    # pandas writes Close.1 for a name that is there twice, and Unnamed: 0 for none.
    texts = [re.sub(r"\.\d+$|^Unnamed: \d+$", "", str(name)) for name in names]
    levels, label, count = header_rows(texts, rows)
    if not count:
        return RawTable(frame)
    below = frame.iloc[count:].infer_objects()
    if not levels:
        return RawTable(below.set_axis([label, *names[1:]], axis=1))
    below.columns = pd.MultiIndex.from_tuples(level_names([texts, *levels], label))
    return RawTable(below, [f"read {1 + len(levels)} header lines"])


def frame_of_arrow(table: Any, *, destroy: bool = False) -> pd.DataFrame:
    """An Arrow table as a frame; strings stay in Arrow's memory.

    With `destroy`, each column of the table is freed as soon as it is converted.
    """
    import pyarrow as pa

    strings = [pa.string(), pa.large_string()]
    if hasattr(pa, "string_view"):  # since pyarrow 16
        strings.append(pa.string_view())
    dtype = arrow_text()

    def as_pandas(kind: Any) -> Any:
        return dtype if kind in strings else None

    frame: pd.DataFrame = table.to_pandas(
        types_mapper=as_pandas, split_blocks=True, self_destruct=destroy
    )
    return frame
