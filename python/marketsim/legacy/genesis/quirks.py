"""Where the old system's numbers follow from its defects, and which of them can be switched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from marketsim.errors import UnknownNameError

_CHOICES: dict[str, tuple[Any, ...]] = {
    "variant": ("D", "E"),
    "htf": ("original", "causal"),
    "exit_atr": ("last", "bar"),
    "exit_settings": (None, "unread", "exit"),
    "reasons": ("previous", "entry"),
}


@dataclass(frozen=True)
class GenesisQuirks:
    """Which commit's rules are meant, and which defects are reproduced.

    Attributes:
        variant: "D" (6748be17, timestamps repaired) or "E" (e9bfc21c).
        htf: daily levels; "original" knows the swings of the whole file and uses a day's bar from
            its own midnight on, "causal" uses swings once confirmed and days once over.
        exit_atr: average range of the exits; "last": that of the last 14 rows of the data at every
            bar, "bar": that of the 14 rows up to the bar.
        exit_settings: "unread": stop, target and confidence of the exits are 2 %, 2 x 5 %, 0.45
            whatever is configured (D), "exit": taken from the section `exit` (E); None: as the
            variant does.
        reasons: a trade's entry_reasons; "previous": of the bar before, "entry": of its own.
        count_config_files: `summarize_run` counts trial_NNN_config.json as trials.
        strict: refuse settings that nothing reads, in trials and in files of settings.

    Example:
        >>> GenesisQuirks(variant="E").reads_exit
        True

    """

    variant: str = "D"
    htf: str = "original"
    exit_atr: str = "last"
    exit_settings: str | None = None
    reasons: str = "previous"
    count_config_files: bool = False
    strict: bool = True

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UnknownNameError(name, str(value), [str(x) for x in choices])

    @property
    def reads_exit(self) -> bool:
        """Whether the section `exit` has an effect."""
        return (self.exit_settings or ("exit" if self.variant == "E" else "unread")) == "exit"

    @property
    def causal(self) -> bool:
        """Whether no number follows from a later row."""
        return self.htf == "causal" and self.exit_atr == "bar"

    def lines(self) -> list[str]:
        """One line for each defect that a run with these settings reproduces."""
        switched = [
            (
                self.htf == "original",
                "htf: daily swings come from the whole file, before they are confirmed, and a "
                'day\'s levels hold from its own midnight on: later rows are used; htf="causal"',
            ),
            (
                self.exit_atr == "last",
                "exit_atr: the exits use the average range of the last 14 rows of the data at "
                'every bar: later rows are used; exit_atr="bar"',
            ),
            (
                not self.reads_exit,
                "exit_settings: stop_loss_pct, take_profit_pct and exit_conf_threshold are .02, "
                '.05 and .45 whatever is configured; exit_settings="exit"',
            ),
            (
                self.reasons == "previous",
                'reasons: entry_reasons are those of the bar before the entry; reasons="entry"',
            ),
        ]
        return [line for active, line in switched if active] + list(_ALWAYS)


_ALWAYS = (
    "trail: the trailing stop starts at the close, not at an average; no exit on a structure break",
    "lock: a long between the levels .618 and .5 gets a stop above the price",
    "regime exits: a change of regime never closes a position",
    "unread: max_hold_bars, regime_aware_exits and trailing_stop_* have no effect",
    "hysteresis: 0 steps mean 2; hysteresis and cooldown count candidates, not bars",
    "pnl: the last trade of a position counts its partial profits again; no trade counts costs",
    "equity: the closing fill after the last bar has no equity row",
    "metrics: no losses count as 1, Sharpe is per trade, a losing first trade is no drawdown",
    "score: a drawdown of 0 counts as .0001",
    "swings: swing_update_strategy never updates a position's levels",
)
_current = [GenesisQuirks()]


def current_quirks() -> GenesisQuirks:
    """The settings that hold where none are named."""
    return _current[0]


def use_quirks(quirks: GenesisQuirks | None = None, **changes: Any) -> GenesisQuirks:
    """Let these settings hold from here on; returns them."""
    _current[0] = replace(quirks or current_quirks(), **changes)
    return _current[0]


@contextmanager
def quirks_of(quirks: GenesisQuirks) -> Iterator[None]:
    """Let these settings hold within a block."""
    before = _current[0]
    _current[0] = quirks
    try:
        yield
    finally:
        _current[0] = before
