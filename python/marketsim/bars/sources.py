"""Objects in memory to a table: frames of pandas, polars and pyarrow, lists of candles."""

from __future__ import annotations

from typing import Any

import pandas as pd

from marketsim.bars.nested import table_of
from marketsim.bars.text import RawTable, arrow_text
from marketsim.errors import ArgumentError, MissingDependencyError


def table_of_object(source: Any) -> RawTable:
    """Take an object in memory.

    Raises:
        ArgumentError: it is neither a frame nor a list.
        MissingDependencyError: it is a frame of another library, and pyarrow is not installed.

    """
    if isinstance(source, pd.DataFrame):
        return RawTable(source)
    if isinstance(source, list | tuple) and source and isinstance(source[0], list | tuple | dict):
        return table_of(source, type(source).__name__)
    if isinstance(source, pd.Series) or not hasattr(source, "__arrow_c_stream__"):
        raise ArgumentError(
            f"got a {type(source).__name__}: expected a path (str or os.PathLike), a frame of "
            "pandas, polars or pyarrow, or a list of candles"
        )
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError(
            f"a {type(source).__module__.split('.')[0]} frame needs pyarrow, which is not "
            'installed: pip install "marketsim[parquet]"'
        ) from None
    table = pa.table(source)
    return RawTable(frame_of_arrow(table))


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
