"""What the old backtest does that one would not expect: one switch each.

The functions of `marketsim.legacy` reproduce all of it by default. MARKETSIM_LEGACY_QUIRKS=fixed
turns all switches off; `using` sets single ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module

from marketsim.legacy.stock.settings import setting

# What the old program traded; others of its crypto symbols were only recognised elsewhere.
crypto_symbols = ["BNBUSD", "BTCUSD", "ETHUSD", "PAXGUSD", "UNIUSD"]


def symbols_of_program(default: Collection[str]) -> Collection[str]:
    """`crypto_symbols` of the program's own `src.fixtures`, as it is now; else the default."""
    try:
        fixtures = import_module("src.fixtures")
    except ModuleNotFoundError as error:
        if error.name not in ("src", "src.fixtures"):
            raise
        return default
    found: Collection[str] = getattr(fixtures, "crypto_symbols", default)
    return found


@dataclass(frozen=True)
class Quirks:
    """Which quirks are reproduced; n is the number of rows that a simulation is handed.

    Attributes:
        late_returns: the signals made for the days n-7 .. n-2 are multiplied with the returns of
            the days n-6 .. n-1, and calibrated with them. Off: with those of their own days.
        stale_forecasts: the seven forecasts are of the days n-7 .. n-1, all of which have happened;
            the "predicted" prices are those of day n-1. Off: of the days n-6 .. n, the last of
            which is the next one; returns are then of the forecasts' days in any case.
        newest_row_dropped: the newest simulation does not see the newest row. Off: it does.
        kronos_of_other_days: Kronos forecasts the seven days after the data and is judged by the
            last ones in them. Off: it forecasts the days that it is judged by.
        fitted_in_sample: the entry and exit strategies report their return at no offsets plus 0.3
            times that at offsets fitted on the same days. Off: the former alone.
        previous_bar_levels: moves of high and low against their own previous values are taken for
            moves against the previous close by adding the previous day's distances. Off: they are
            converted exactly.
        favourable_order: a day that reaches both limits is taken to have done so in the order that
            pays. Off: the exit counts only where the close proves it.
        fees_kept_in_forecasts: the entry-and-take-profit strategy subtracts its fees from the
            forecasts and returns that it was handed, and the high-low strategy then computes with
            these. Off: neither changes what it is handed.
        pnl_newest_first: the daily returns from which the next one is forecast run from the newest
            simulation to the oldest, and a negative mean is reported in place of a forecast. Off:
            they run forward in time, and are always forecast.
        wide_fallback_spread: a symbol whose spread nobody knows has one of 5 percent. Off: 0.087
            percent.
    """

    late_returns: bool = True
    stale_forecasts: bool = True
    newest_row_dropped: bool = True
    kronos_of_other_days: bool = True
    fitted_in_sample: bool = True
    previous_bar_levels: bool = True
    favourable_order: bool = True
    fees_kept_in_forecasts: bool = True
    pnl_newest_first: bool = True
    wide_fallback_spread: bool = True


LEGACY = Quirks()
FIXED = Quirks(**dict.fromkeys(Quirks.__dataclass_fields__, False))

_override: ContextVar[Quirks | None] = ContextVar("marketsim.legacy.stock.quirks", default=None)


def active_quirks() -> Quirks:
    """Those that `using` sets, else those of MARKETSIM_LEGACY_QUIRKS."""
    chosen = _override.get()
    if chosen is not None:
        return chosen
    return LEGACY if setting("quirks") == "legacy" else FIXED


@contextmanager
def using(quirks: Quirks) -> Iterator[None]:
    """Reproduce these quirks within the block.

    Example:
        >>> from dataclasses import replace
        >>> with using(replace(LEGACY, late_returns=False)):
        ...     active_quirks().late_returns
        False
    """
    token = _override.set(quirks)
    try:
        yield
    finally:
        _override.reset(token)
