"""What the bars show of their market: asset class, trading week, bars a session and a year."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from marketsim.bars.clock import DAY, Clock, Rows, spacing_of
from marketsim.bars.exchange import CalendarFacts, calendar_facts, known_session
from marketsim.errors import NotEnoughBarsError

AssetClass = Literal["equity", "crypto", "forex"]
SESSIONS = {"equity": 252.0, "crypto": 365.0, "forex": 260.0}
"""Sessions a year by asset class: exchange days, all days, the weekdays without two holidays."""

_WEEKS = 365.25 / 7
_HOW = 'state it with calendar="XNYS", "24/7" or "24/5", or asset_class= and periods_per_year='
_COINS = "BTC|XBT|ETH|SOL|XRP|DOGE|ADA|LTC|BNB|DOT|AVAX|LINK|TRX|SUI|BCH|XLM|UNI|MATIC|SHIB|XMR"
_CRYPTO = re.compile(rf"(?:{_COINS})[-_]?(?:USD[TC]?|EUR|GBP|JPY|PERP)|[A-Z0-9]+[-_]?USD[TC]")
_CURRENCIES = "AUD|BRL|CAD|CHF|CNH|CNY|CZK|DKK|EUR|GBP|HKD|HUF|INR|JPY|KRW|MXN|NOK|NZD|PLN|"
_CURRENCIES += "RUB|SEK|SGD|THB|TRY|USD|XAG|XAU|ZAR"
_FOREX = re.compile(rf"(?:{_CURRENCIES})[-_]?(?:{_CURRENCIES})(?:=X|\.FX)?")

_WEEKDAYS = (
    "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays",
)  # fmt: skip


@dataclass(frozen=True)
class Market:
    """Facts of the market of some bars, and how they are known.

    Attributes:
        asset_class: "equity" (an exchange's sessions), "crypto" (all days), "forex" (24/5).
        assumed: True where the bars do not show the asset class.
        why: the evidence, or why there is none.
        calendar: the name that the caller gave; None if the bars were judged.
        frequency: of the bars, in words: "1 minute", "1 day", "1 month".
        bars_per_session: the median over full sessions; 1 for daily bars; None for slower ones.
        sessions_per_year: of the market.
        periods_per_year: bars a year, to annualise with.
        periods_assumed: True where too few sessions were there to count their bars.
        periods_why: how `periods_per_year` was found.

    """

    asset_class: AssetClass
    assumed: bool
    why: str
    calendar: str | None
    frequency: str
    bars_per_session: float | None
    sessions_per_year: float
    periods_per_year: float
    periods_assumed: bool
    periods_why: str

    @property
    def how_to_state(self) -> str:
        """What to pass instead of an assumption; empty where nothing is assumed."""
        return _HOW if self.assumed or self.periods_assumed else ""

    def sentence(self) -> str:
        """One line for a table's head: class and periods, what is assumed, how to state it.

        Example:
            >>> from marketsim.bars import demo_bars
            >>> demo_bars().market.sentence()
            'equity, 252 periods a year (daily bars, 252 sessions)'

        """
        why = f" (assumed: {self.why})" if self.assumed else ""
        yearly = self.periods_per_year
        shown = f"{yearly:,.0f}" if yearly >= 1e4 else f"{yearly:,.6g}"
        periods = f"{shown} periods a year"
        assumed = "assumed, " if self.periods_assumed else ""
        text = f"{self.asset_class}{why}, {periods} ({assumed}{self.periods_why})"
        return f"{text}; {self.how_to_state}" if self.how_to_state else text

    def to_dict(self) -> dict[str, Any]:
        """All facts as values that JSON knows."""
        return asdict(self) | {"how_to_state": self.how_to_state}


@dataclass(frozen=True)
class _Class:
    name: AssetClass
    assumed: bool
    why: str


def judge_market(bars: Rows) -> Market:
    """Judge the market of bars; exactly the facts of `calendar` where the caller named one.

    Raises:
        NotEnoughBarsError: there are fewer than two bars, so there is no step.

    """
    if len(bars) < 2:
        raise NotEnoughBarsError(
            f"the market of {bars.symbol} got {len(bars)} bar: expected at least 2, to measure "
            "their step"
        )
    clock = Clock.of(bars)
    if bars.calendar is not None:
        return _stated(bars, clock, calendar_facts(bars.calendar, clock))
    judged = _judge_class(bars, clock)
    if clock.step > 1.05 * DAY or clock.months:
        return _slow(judged, clock)
    if clock.step >= 0.95 * DAY:
        sessions = SESSIONS[judged.name] + _extra_days(judged, clock)
        return Market(
            judged.name, judged.assumed, judged.why, None, "1 day", 1.0, sessions, sessions, False,
            f"daily bars, {sessions:.4g} sessions",
        )  # fmt: skip
    return _intraday(judged, bars, clock)


def _stated(bars: Rows, clock: Clock, facts: CalendarFacts) -> Market:
    """The market that a calendar describes, which the caller named."""
    why = f"calendar {facts.name}"
    kind: AssetClass = facts.asset_class
    if clock.step > 1.05 * DAY or clock.months:
        slow = _slow(_Class(kind, False, why), clock)
        return Market(**{**asdict(slow), "calendar": facts.name})
    per_session = 1.0 if clock.step >= 0.95 * DAY else facts.bars_per_session(clock.step)
    yearly = per_session * facts.sessions_per_year
    said = f"{per_session:g} x {facts.sessions_per_year:.6g} sessions of {facts.name}"
    return Market(
        kind, False, why, facts.name, spacing_of(clock), per_session, facts.sessions_per_year,
        yearly, False, said,
    )  # fmt: skip


def _slow(judged: _Class, clock: Clock) -> Market:
    """Bars longer than a day have their own periods."""
    frequency = spacing_of(clock)
    yearly = 12.0 / clock.months if clock.months else 365.25 * DAY / clock.step
    return Market(
        judged.name, judged.assumed, judged.why, None, frequency, None, SESSIONS[judged.name],
        yearly, False, f"bars of {frequency}",
    )  # fmt: skip


def _intraday(judged: _Class, bars: Rows, clock: Clock) -> Market:
    """Bars a session times sessions a year; around the clock where no session ends."""
    frequency = spacing_of(clock)
    if judged.name == "crypto":
        per_session = DAY / clock.step  # a year of 365.25 days, as nothing ever closes
        return Market(
            "crypto", judged.assumed, judged.why, None, frequency, per_session, 365.25,
            per_session * 365.25, judged.assumed, f"{per_session:,.7g} bars a day, 365.25 days",
        )  # fmt: skip
    counts = clock.session_counts()
    known = known_session(clock) if len(counts) < 3 else None
    if known is not None:
        per_session, how = known
    elif len(counts) >= 3:
        per_session = float(np.median(counts[1:-1]))  # the first and the last may be cut
        how = f"median of {len(counts) - 2:,} full sessions"
    else:
        per_session = float(counts.max())
        how = f"{len(counts)} session{'s' if len(counts) > 1 else ''} in the data"
    sessions = SESSIONS[judged.name]
    if judged.name == "equity":
        sessions += _extra_days(judged, clock)
    return Market(
        judged.name, judged.assumed, judged.why, None, frequency, per_session, sessions,
        per_session * sessions, len(counts) < 3,
        f"{per_session:g} bars a session ({how}), {sessions:.4g} sessions",
    )  # fmt: skip


def _extra_days(judged: _Class, clock: Clock) -> float:
    """Sessions a year on Saturdays and Sundays, by their share of a weekday's bars.

    A share, not a threshold: one more Saturday moves the result by its weight only.
    """
    if judged.name == "crypto" or clock.span < 14 * DAY:
        return 0.0
    by_day = clock.weekday_counts()
    usual = float(by_day[:4].mean())  # Fridays may be short, as Sundays are
    if usual == 0.0 or by_day[5] + by_day[6] == 0:
        return 0.0
    extra = float(by_day[4:].sum()) / usual - 1.0
    return _WEEKS * min(2.0, max(0.0, extra))


def _judge_class(bars: Rows, clock: Clock) -> _Class:
    """The asset class from the trading week; from the symbol where there is no week to see."""
    if clock.months or clock.step > 1.05 * DAY:
        return _assume(bars.symbol, f"bars of {spacing_of(clock)} do not show the trading week")
    open_weekends, closed_weekends = clock.weekends()
    total = open_weekends + closed_weekends
    if open_weekends > closed_weekends:
        days = clock.weekday_counts()
        if clock.span >= 14 * DAY and days.min() * 4 < days.max():
            rest = _WEEKDAYS[int(days.argmin())]
            return _Class("equity", False, f"traded on weekends, closed on {rest}")
        why = f"traded on {open_weekends:,} of {total:,} weekends"
        return _Class("crypto", total < 2, why if total >= 2 else f"{why}, too few to tell")
    if total == 0 and clock.on_saturday():
        return _Class("crypto", True, "a bar on a Saturday, and less than two weekends")
    if closed_weekends == open_weekends:
        unbroken = clock.step < 0.95 * DAY and known_session(clock) is None and clock.unbroken()
        reason = f"{total} weekend{'' if total == 1 else 's'} in the data, too few to tell"
        guess = _assume(bars.symbol, reason)
        if unbroken and guess.why == reason:  # not even the symbol says anything
            return _Class("crypto", True, f"one span without a break; {reason}")
        return guess
    if clock.round_the_clock():
        return _Class("forex", total < 2, f"day and night, closed on {closed_weekends:,} weekends")
    if clock.step >= 0.95 * DAY and clock.sunday_to_friday():
        return _Class("forex", total < 2, "bars from Sunday to Friday, none on Saturdays")
    week = f"closed on {closed_weekends:,} of {total:,} weekends"
    if clock.step >= 0.95 * DAY and _FOREX.fullmatch(bars.symbol.upper()):
        return _Class("forex", True, f"{week}, and the symbol {bars.symbol} names two currencies")
    return _Class("equity", total < 2, week if total >= 2 else f"{week}, too few to tell")


def _assume(symbol: str, reason: str) -> _Class:
    """A class that the bars do not show: by the symbol if it names one, else "equity"."""
    name = symbol.upper()
    if _FOREX.fullmatch(name):
        return _Class("forex", True, f"the symbol {symbol} names two currencies; {reason}")
    if _CRYPTO.fullmatch(name):
        return _Class("crypto", True, f"the symbol {symbol} names a crypto pair; {reason}")
    return _Class("equity", True, reason)
