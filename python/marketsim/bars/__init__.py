"""OHLCV bars: read them from files and frames, with every defect named, and describe them."""

from marketsim.bars.bars import Bars
from marketsim.bars.calendar import asset_class, periods_per_year
from marketsim.bars.defect import Defect
from marketsim.bars.demo import demo_bars
from marketsim.bars.exchange import CalendarFit, compare_calendar
from marketsim.bars.folder import BarsFolder, read_folder, read_many
from marketsim.bars.gaps import Gap
from marketsim.bars.market import Market
from marketsim.bars.read import read_bars
from marketsim.bars.repair import REPAIRS
from marketsim.bars.returns import TARGETS, bar_returns, close_moves, simple_moves
from marketsim.bars.symbol import check_symbol

read_bars_folder = read_folder
"""The same, beside `read_bars`."""

__all__ = [
    "REPAIRS",
    "TARGETS",
    "Bars",
    "BarsFolder",
    "CalendarFit",
    "Defect",
    "Gap",
    "Market",
    "asset_class",
    "bar_returns",
    "check_symbol",
    "close_moves",
    "compare_calendar",
    "demo_bars",
    "periods_per_year",
    "read_bars",
    "read_bars_folder",
    "read_folder",
    "read_many",
    "simple_moves",
]
