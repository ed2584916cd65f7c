"""Layouts of files that providers export: small declarative presets, chosen by evidence."""

from marketsim.bars.layouts.choose import Choice, choose_headed, choose_headless
from marketsim.bars.layouts.layout import ROLES, Layout, fold
from marketsim.bars.layouts.names import GENERIC
from marketsim.bars.layouts.vendors import LAYOUTS, find_layout

__all__ = [
    "GENERIC",
    "LAYOUTS",
    "ROLES",
    "Choice",
    "Layout",
    "choose_headed",
    "choose_headless",
    "find_layout",
    "fold",
]
