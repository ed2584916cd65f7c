"""A slow, plain replay in Python: the fill contract of docs/replay.md, one sentence after another.

It shares nothing with the compiled engine but the names of what an order can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

ALL = float("inf")


@dataclass
class Ask:
    """One order as a strategy asks for it."""

    kind: str  # market, limit, stop, stop_limit, trailing_stop
    quantity: float
    limit: float = math.nan
    stop: float = math.nan
    trail: float = math.nan
    fraction: float = math.nan
    size: str = "units"
    bars: int = 0
    group: int = 0
    parent: int = 0
    reduce_only: bool = False
    at_close: bool = False
    relative: bool = False
    action: str = "submit"  # cancel and amend name the order by its ticket
    ticket: int = 0


@dataclass
class Live:
    ask: Ask
    ticket: int
    asked: int
    left: float
    limit: float
    stop: float
    status: str
    started: int
    triggered: bool = False
    relative: bool = False
    trail: float = math.nan
    fraction: float = math.nan
    size: str = "units"


@dataclass
class Oracle:
    bars: list[tuple[float, float, float, float, float]]  # open, high, low, close, volume
    cash: float = 10_000.0
    limit_cost: float = 0.0
    market_cost: float = 0.0
    leverage: float = 1.0
    policy: str = "open_aware"
    same_close: bool = False
    has_volume: bool = True
    lot: float = 0.0
    borrow: float = 0.0
    financing: float = 0.0
    maintenance: float = 0.0
    participation: float = 0.0
    split: list[float] | None = None
    dividend: list[float] | None = None
    trail: list[float] | None = None  # distances known after each bar
    finer: list[list[tuple[float, float, float, float, float]]] | None = None

    live: list[Live] = field(default_factory=list)
    position: float = 0.0
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    tickets: int = 0
    ruined: bool = False
    value: float = 0.0
    doubtful: int = 0
    last: float = math.nan  # close before
    # Of an account that other instruments share (symbols_oracle): what they are worth, signed and
    # by size, and how many are held.
    others: float = 0.0
    others_gross: float = 0.0
    others_held: int = 0
    planned: float = math.nan  # the equity that targets are fractions of
    fee: float = 0.0  # cash a fill
    most_positions: int = 0
    most_weight: float = 0.0
    known: float = math.nan  # distance of the series

    def run(self, strategy) -> Oracle:
        self.value = self.cash
        for t, bar in enumerate(self.bars):
            if not self.ruined:
                self.bar(t, bar)
            if not self.ruined:
                for ask in strategy(t, self):
                    self.ask(t, ask)
                if self.same_close and self.trades(t):
                    self.seen_close_part(t)
                    self.value = self.cash + self.position * bar[3]
                    self.ruined = self.value <= 0
            self.equity.append(self.value)
        return self

    def ask(self, t: int, ask: Ask) -> None:
        if ask.action != "submit":
            for order in [x for x in self.live if x.ticket == ask.ticket]:
                if ask.action == "cancel":
                    self.drop(order)
                else:
                    self.amend(order, ask)
            return
        self.tickets += 1
        waits = ask.parent != 0
        live = Live(
            ask, self.tickets, t, ask.quantity, ask.limit, ask.stop,
            "waiting" if waits else "working", t, relative=ask.relative, trail=ask.trail,
            fraction=ask.fraction, size=ask.size,
        )  # fmt: skip
        self.live.append(live)
        if ask.kind == "trailing_stop" and not waits:
            self.first_level(live, self.bars[t][3])
            live.started = t - 1

    def amend(self, order: Live, ask: Ask) -> None:
        if not math.isnan(ask.quantity):
            order.left = ask.quantity
        if not math.isnan(ask.limit):
            order.limit = ask.limit
        if not math.isnan(ask.stop):
            order.stop = ask.stop
        if not (math.isnan(ask.trail) and math.isnan(ask.fraction)):
            order.trail, order.fraction = ask.trail, ask.fraction

    def away(self, order: Live, price: float) -> float:
        if not math.isnan(order.trail):
            return order.trail
        return self.known if math.isnan(order.fraction) else order.fraction * price

    def first_level(self, order: Live, price: float) -> None:
        if order.ask.kind == "trailing_stop" and math.isnan(order.stop):
            away = self.away(order, price)
            order.stop = price - away if order.left < 0 else price + away

    def events(self, t: int) -> None:
        if self.split and self.split[t] != 1.0:
            factor = self.split[t]
            self.position *= factor
            self.last /= factor
            self.known /= factor
            for order in self.live:
                if order.size in ("units", "target_units"):
                    order.left *= factor
                order.trail /= factor
                if not order.relative:
                    order.limit /= factor
                    order.stop /= factor
        if self.dividend:
            self.cash += self.position * self.dividend[t]

    def bar(self, t: int, bar) -> None:
        *_, c, volume = bar
        self.room = self.participation * volume if self.participation else ALL
        self.events(t)
        if self.position and t:
            due = self.financing * max(0.0, -self.cash)
            self.cash -= (due + self.borrow * max(0.0, -self.position) * self.last) / 365.0
        if self.has_orders_in(t):
            self.open_part(t)
            self.inside_part(t)
            self.close_part(t)
        self.expire(t)
        self.see(t)
        self.value = self.cash + self.position * c
        least = self.maintenance * abs(self.position) * c
        if self.position and (self.value <= 0 or self.value < least):
            self.book(t, 0, -self.position, c, self.market_cost, "liquidation", "close")
            self.value = self.cash
            self.live = [x for x in self.live if not x.ask.reduce_only]
        if self.value <= 0:
            self.ruined = True
            self.live = []
            return
        self.ratchet(t)

    def see(self, t: int) -> None:
        self.last = self.bars[t][3]
        self.known = self.trail[t] if self.trail else math.nan

    def expire(self, t: int) -> None:
        for order in list(self.live):
            if order in self.live and order.ask.bars and order.asked + order.ask.bars == t:
                self.drop(order)

    def ratchet(self, t: int) -> None:
        _, h, low, c, _ = self.bars[t]
        for order in self.live:
            if order.ask.kind == "trailing_stop" and order.status == "working":
                sells = order.left < 0
                best = c if order.started == t else (h if sells else low)
                away = self.away(order, best)
                if math.isnan(away):
                    continue
                level = best - away if sells else best + away
                if math.isnan(order.stop):
                    order.stop = level
                order.stop = max(order.stop, level) if sells else min(order.stop, level)

    def open_part(self, t):
        self.doubt = False
        self.marketable(t, self.bars[t][0], "open")

    def inside_part(self, t):
        o, h, low, c, _ = self.bars[t]
        if self.finer and self.finer[t]:
            for fo, fh, fl, fc, volume in self.finer[t]:
                if volume != 0:
                    self.marketable(t, fo, "inside")
                    self.inside(t, fo, fh, fl, fc)
        else:
            self.inside(t, o, h, low, c)

    def close_part(self, t):
        c = self.bars[t][3]
        for order in list(self.live):
            closing = order in self.live and order.status == "working" and order.ask.at_close
            if closing and self.beyond(order, c):
                self.fill(t, order, c, "close")
        self.doubtful += self.doubt

    def inside(self, t, o, h, low, c):
        price, certain_low, certain_high = o, low, h
        while True:
            reach = []
            for order in self.working():
                buys = order.left > 0
                as_limit = self.limits(order)
                level = order.limit if as_limit else order.stop
                rising = buys != as_limit
                if (level < price) if rising else (level > price):
                    continue

                def gets_there(lowest, highest, level=level, rising=rising, as_limit=as_limit):
                    if rising:
                        return highest > level if as_limit else highest >= level
                    return lowest < level if as_limit else lowest <= level

                if gets_there(low, h):
                    closing = self.position != 0 and buys == (self.position < 0)
                    sure = gets_there(certain_low, certain_high)
                    reach.append((order, level, rising, sure, closing, as_limit))
            if not reach:
                break

            def first(policy, reach=reach, price=price):
                loss_first = policy == "open_aware"
                now = [x for x in reach if x[4] and x[5] != loss_first]
                pool = now or [x for x in reach if x[3]]
                return min(pool, key=lambda x: abs(x[1] - price), default=None)

            goal = first(self.policy)
            other = first("optimistic" if self.policy == "open_aware" else "open_aware")
            self.doubt |= goal is not other
            if goal is None:
                break
            self.doubt |= any(x[2] != goal[2] and x[3] and goal[3] for x in reach)
            way = [x for x in reach if x[2] == goal[2]]
            # In the order in which they were asked for where two levels are equal; the goal first.
            nearest = min(way, key=lambda x: (abs(x[1] - price), x is not goal))
            order, level = nearest[0], nearest[1]
            if nearest[2]:
                certain_low = min(level, c)
                certain_high = certain_high if goal[3] else h
            else:
                certain_high = max(level, c)
                certain_low = certain_low if goal[3] else low
            price = level
            if order.ask.kind == "stop_limit" and not order.triggered:
                order.triggered = True
            elif not self.fill(t, order, price, "inside") and order in self.live:
                break  # no volume is left
            self.marketable(t, price, "inside")

    def seen_close_part(self, t):
        for order in list(self.live):
            if order in self.live and self.belongs(order, "seen close") and self.trades(t):
                self.fill(t, order, self.bars[t][3], "close")

    def trades(self, t) -> bool:
        return not (self.has_volume and self.bars[t][4] == 0)

    def has_orders_in(self, t) -> bool:
        return bool(self.live) and self.trades(t)

    def move(self, t, where):
        parts = {"open": self.open_part, "close": self.close_part}
        parts.get(where, self.seen_close_part)(t)

    def belongs(self, order: Live, where: str) -> bool:
        if order.status != "working":
            return False
        if where == "seen close":
            return order.ask.kind == "market" and not order.ask.at_close
        return order.ask.at_close == (where == "close")

    def reduces(self, price: float, where: str) -> bool:
        for order in self.live:
            if self.belongs(order, where) and self.beyond(order, price):
                return self.position != 0 and self.wanted(order, price, 0.0) * self.position < 0
        return False

    def target(self, where: str) -> Live | None:
        found = [x for x in self.live if x.size == "target_equity" and self.belongs(x, where)]
        return found[-1] if found else None

    def working(self):
        return [x for x in self.live if x.status == "working" and not x.ask.at_close]

    def limits(self, order: Live) -> bool:
        return order.ask.kind == "limit" or (order.ask.kind == "stop_limit" and order.triggered)

    def beyond(self, order: Live, price: float) -> bool:
        if order.ask.kind == "market":
            return True
        if self.limits(order):
            return price < order.limit if order.left > 0 else price > order.limit
        return price >= order.stop if order.left > 0 else price <= order.stop

    def marketable(self, t, price, place):
        again = True
        while again:
            again = False
            for order in list(self.live):
                if order not in self.live or order.status != "working" or order.ask.at_close:
                    continue
                if not self.beyond(order, price):
                    continue
                if order.ask.kind == "stop_limit" and not order.triggered:
                    order.triggered = again = True
                elif self.fill(t, order, price, place):
                    again = True

    def wanted(self, order: Live, price: float, rate: float) -> float:
        equity = self.cash + self.position * price + self.others
        size, quantity = order.size, order.left
        if size == "equity":
            spend = quantity * equity
            spend = math.copysign(max(abs(spend) - self.fee, 0.0), spend)
            quantity = spend / (price * (1 + rate))
        elif size == "target_units":
            quantity -= self.position
        elif size == "target_equity" and not math.isnan(self.planned):
            quantity = (quantity * self.planned - self.position * price) / price
        elif size == "target_equity":
            gap = quantity * equity - self.position * price
            less = gap - quantity * self.fee if self.fee else gap
            gap = less if less * gap > 0 else 0.0
            quantity = gap / (price * (1 + math.copysign(rate, gap) * quantity))
        if order.ask.reduce_only:
            if self.position * quantity >= 0:
                return 0.0
            quantity = math.copysign(min(abs(quantity), abs(self.position)), quantity)
        if self.lot and quantity != -self.position:
            lots = math.trunc(quantity / self.lot + math.copysign(1e-9, quantity))
            quantity = lots * self.lot
        return quantity

    def fill(self, t, order: Live, price, place) -> bool:
        rate = self.limit_cost if self.limits(order) else self.market_cost
        equity = self.cash + self.position * price + self.others
        quantity = wanted = self.wanted(order, price, rate)
        if abs(wanted) > self.room:
            room = math.floor(self.room / self.lot) * self.lot if self.lot else self.room
            quantity = math.copysign(room, wanted)
            if room == 0:
                return False
        if quantity == 0:
            self.drop(order)
            return False
        after = self.position + quantity
        if abs(after) > abs(self.position) or after * self.position < 0:
            left = equity - abs(quantity) * price * rate - self.fee
            worth = abs(after) * price
            if not worth + self.others_gross <= self.leverage * left * (1 + 1e-9):
                self.drop(order)
                return False
            one_more = self.position == 0 and 0 < self.most_positions <= self.others_held
            if one_more or (self.most_weight and worth > self.most_weight * left * (1 + 1e-9)):
                self.drop(order)
                return False
        self.book(t, order.ticket, quantity, price, rate, order.ask.kind, place)
        self.room -= abs(quantity)
        if quantity == wanted:
            self.live.remove(order)
        elif order.size == "units":
            order.left -= quantity
        elif order.size == "equity":
            order.left, order.size = wanted - quantity, "units"
        for other in list(self.live):
            if other not in self.live or other is order:
                continue
            if order.ask.group and other.ask.group == order.ask.group:
                self.drop(other)
            elif other.status == "waiting" and other.ask.parent == order.ticket:
                other.status, other.started = "working", t
                if other.relative:
                    other.limit *= price
                    other.stop *= price
                    other.relative = False
                self.first_level(other, price)
            elif self.position == 0 and other.ask.reduce_only and other.status == "working":
                self.drop(other)
        return True

    def drop(self, order: Live) -> None:
        if order not in self.live:
            return
        self.live.remove(order)
        for child in list(self.live):
            if child.status == "waiting" and child.ask.parent == order.ticket:
                self.drop(child)

    def book(self, t, ticket, quantity, price, rate, kind, place) -> None:
        self.cash -= quantity * price + abs(quantity) * price * rate + self.fee
        closes = self.position != 0 and (quantity > 0) != (self.position > 0)
        whole = closes and abs(quantity) >= abs(self.position)
        rest = quantity + self.position if whole else 0.0
        parts = [quantity - rest, rest] if whole and rest else [quantity]
        if whole:
            parts[0] = -self.position
            self.position = quantity + self.position if rest else 0.0
        else:
            self.position += quantity
        for part in parts:
            self.fills.append((t, ticket, kind, part, price, place))
