"""Random bars and orders for replays, under hypothesis, and a replay of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
from hypothesis import strategies as st
from replay_oracle import Ask

import marketsim as ms
from marketsim.replay import replay_strategy
from marketsim.replay.records import OrderKind, SizeUnit

KINDS = {kind.name.lower(): int(kind) for kind in OrderKind}
SIZES = {
    "units": SizeUnit.UNITS,
    "equity": SizeUnit.EQUITY,
    "target_units": SizeUnit.TARGET_UNITS,
    "target_equity": SizeUnit.TARGET_EQUITY,
}


def bars_of(rows: list[tuple[float, float, float, float, float]]) -> ms.Bars:
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"])
    frame.index = pd.date_range("2024-01-01", periods=len(rows), tz="UTC")
    return ms.Bars(frame.astype(float), "T")


@st.composite
def price_rows(draw, least=1, most=12):
    """Prices on a coarse grid, so that ties, touches, gaps and zero ranges are common."""
    count = draw(st.integers(least, most))
    rows = []
    for _ in range(count):
        a, b, c, d = (draw(st.integers(90, 110)) for _ in range(4))
        low, high = min(a, b, c, d), max(a, b, c, d)
        volume = draw(st.sampled_from([0.0, 1.0, 5.0, 5.0, 5.0]))
        rows.append((float(a), float(high), float(low), float(b), volume))
    return rows


@st.composite
def asked(draw, close: float, by_series: bool):
    """An order that the engine accepts after a bar with this close."""
    kind = draw(st.sampled_from(list(KINDS)))
    quantity = draw(st.sampled_from([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]))
    buys = quantity > 0
    grid = st.integers(88, 112).map(float)
    ask = Ask(kind, quantity, bars=draw(st.sampled_from([0, 0, 1, 2])))
    if kind in ("limit", "stop_limit"):
        ask.limit = draw(grid)
    if kind in ("stop", "stop_limit"):
        ask.stop = close + draw(st.integers(1, 8)) * (1.0 if buys else -1.0)
    if kind == "trailing_stop":
        if by_series and draw(st.booleans()):
            pass
        elif draw(st.booleans()):
            ask.trail = float(draw(st.integers(1, 8)))
        else:
            ask.fraction = draw(st.sampled_from([0.01, 0.03125]))
    if kind == "market":
        ask.size = draw(st.sampled_from(list(SIZES)))
        if ask.size == "equity":
            ask.quantity = math.copysign(draw(st.sampled_from([0.25, 0.5, 1.0])), quantity)
        if ask.size == "target_equity":
            ask.quantity = draw(st.sampled_from([-0.5, 0.0, 0.5, 1.0]))
        ask.at_close = draw(st.booleans())
    elif kind == "limit":
        ask.at_close = draw(st.sampled_from([False, False, True]))
    ask.group = draw(st.sampled_from([0, 0, 0, 1, 2]))
    ask.reduce_only = draw(st.sampled_from([False, False, True]))
    return ask


@st.composite
def changes(draw, close: float, asked_before: list[Ask]):
    """A cancellation, or a change of an order that was asked for: one that it allows."""
    ticket = draw(st.integers(1, len(asked_before)))
    old = asked_before[ticket - 1]
    action = draw(st.sampled_from(["cancel", "amend", "amend"]))
    change = Ask(old.kind, math.nan, action=action, ticket=ticket)
    if action == "cancel" or old.parent:
        change.action = "cancel"
        return change
    if old.size == "units" and draw(st.booleans()):
        change.quantity = math.copysign(draw(st.sampled_from([1.0, 2.0, 4.0])), old.quantity)
    if old.kind in ("limit", "stop_limit"):
        change.limit = draw(st.integers(88, 112).map(float))
    if old.kind in ("stop", "trailing_stop") and draw(st.booleans()):
        change.stop = close + math.copysign(draw(st.integers(1, 8)), old.quantity)
    if old.kind == "trailing_stop" and draw(st.booleans()):
        change.fraction = 0.0625
    return change


@st.composite
def markets(draw, rows):
    """What else an oracle and the engine are told of the same bars."""
    count = len(rows)
    found = {
        "lot": draw(st.sampled_from([0.0, 0.0, 0.75])),
        "maintenance": draw(st.sampled_from([0.0, 0.0, 0.4])),
        "participation": draw(st.sampled_from([0.0, 0.0, 0.25, 0.5])),
    }
    if draw(st.booleans()):
        found["trail"] = [draw(st.sampled_from([math.nan, 1.0, 2.0, 5.0])) for _ in rows]
    if draw(st.booleans()):
        found["split"] = [draw(st.sampled_from([1.0, 1.0, 1.0, 0.5])) for _ in rows]
        found["dividend"] = [draw(st.sampled_from([0.0, 0.0, 1.5])) for _ in rows]
        found["borrow"], found["financing"] = 3.65, 7.3
    if draw(st.booleans()) and count > 1:
        found["finer"] = [draw(finer_rows(row)) if row else [] for row in rows]
        if max(map(len, found["finer"])) < 2:
            del found["finer"]
    return found


@st.composite
def finer_rows(draw, row):
    """No, one or some finer bars inside a bar."""
    _, high, low, _, _ = row
    inner = st.integers(int(low), int(high)).map(float)
    found = []
    for _ in range(draw(st.integers(0, 3))):
        prices = [draw(inner) for _ in range(4)]
        found.append((prices[0], max(prices), min(prices), prices[1], 1.0))
    return found


@st.composite
def scripts(draw):
    """Bars, what else is known, and after each bar the orders asked for, brackets and changes."""
    rows = draw(price_rows())
    extra = draw(markets(rows))
    script, tickets, everything = [], 0, []
    for row in rows:
        asks = []
        if everything and draw(st.sampled_from([False, False, True])):
            asks.append(draw(changes(row[3], everything)))
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
            ask = draw(asked(row[3], "trail" in extra))
            asks.append(ask)
            everything.append(ask)
            tickets += 1
            if ask.size in ("units", "equity") and not ask.reduce_only and draw(st.booleans()):
                entry, side = tickets, math.copysign(1.0, ask.quantity)
                group = entry + 1000 if draw(st.booleans()) else 0
                for kind in draw(st.sampled_from([("stop",), ("limit", "stop"), ("limit",)])):
                    away = draw(st.sampled_from([0.01, 0.02, 0.05]))
                    factor = 1.0 + side * (away if kind == "limit" else -away)
                    child = Ask(
                        kind, -side * draw(st.sampled_from([1.0, 1e9])), group=group, parent=entry,
                        reduce_only=True, relative=True,
                    )  # fmt: skip
                    setattr(child, kind, factor)
                    asks.append(child)
                    everything.append(child)
                    tickets += 1
        script.append(asks)
    return rows, script, extra


ACTIONS = {"submit": 0, "cancel": 1, "amend": 3}


def write(orders, ask: Ask) -> None:
    count = int(orders[0]["action"]) + 1
    orders[0]["action"] = count
    orders[count] = (
        ACTIONS[ask.action], ask.ticket, KINDS[ask.kind], int(SIZES[ask.size]), ask.quantity,
        ask.limit, ask.stop, ask.trail, ask.fraction, ask.bars, ask.group, ask.parent,
        ask.reduce_only, ask.at_close, ask.relative,
    )  # fmt: skip


OF_ACCOUNT = ("lot", "maintenance", "participation", "borrow", "financing")


def replayed(rows, script, account, extra=None):
    def on_bar(state, bar, features, orders):
        for ask in script[bar.index]:
            write(orders, ask)

    options = dict(extra or {})
    account = replace(account, periods_per_year=252)  # nothing is judged of a few bars
    if "lot" in options:
        account = replace(account, **{k: options.pop(k, 0.0) for k in OF_ACCOUNT})
    if "finer" in options:
        options["intraday"] = finer_bars(options.pop("finer"))
    if "trail" in options:
        options["trailing_distance"] = options.pop("trail")
    return replay_strategy(bars_of(rows), on_bar, account=account, jit=False, **options)


def finer_bars(finer) -> ms.Bars:
    hours = [(day, hour, row) for day, rows in enumerate(finer) for hour, row in enumerate(rows)]
    start = pd.Timestamp("2024-01-01", tz="UTC")
    frame = pd.DataFrame(
        [row for *_, row in hours], columns=["open", "high", "low", "close", "volume"]
    )
    frame.index = pd.DatetimeIndex(
        [start + pd.Timedelta(days=day, hours=hour) for day, hour, _ in hours]
    )
    return ms.Bars(frame.astype(float), "T")
