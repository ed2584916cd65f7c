"""Bars to try things with: the S&P 500, from the files of the arch package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from marketsim.bars.bars import Bars
from marketsim.bars.read import read_bars
from marketsim.errors import BarsFileNotFoundError, MissingDependencyError


def demo_bars() -> Bars:
    """Read the daily bars of the S&P 500 index from 1999 to 2018.

    Returns:
        Bars with the symbol "SP500", dates at midnight UTC, prices in index points.

    Raises:
        MissingDependencyError: the arch package, which carries the data, is not installed.
        BarsFileNotFoundError: it is installed without this data set.

    Example:
        >>> demo_bars()
        Bars('SP500', 5,031 bars of 1 day, 1999-01-04 to 2018-12-31)

    """
    # Only located: importing arch takes seconds, and its code is not needed.
    spec = importlib.util.find_spec("arch")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "the demo data are part of the arch package, which is not installed: "
            'pip install "marketsim[demo]"'
        )
    file = Path(next(iter(spec.submodule_search_locations)), "data", "sp500", "sp500.csv.gz")
    if not file.is_file():
        raise BarsFileNotFoundError(
            f"the demo data {file} do not exist: expected them in the arch package; "
            'pip install --force-reinstall "arch>=7.0"'
        )
    return read_bars(file, symbol="SP500")
