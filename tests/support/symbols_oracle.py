"""A slow, plain replay of many instruments in one account: `replay_oracle` for each of them.

Each moves its own orders; what it is lent, and in which order, is said here as docs/replay.md says
it. Sums are made anew at each step.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field

from replay_oracle import Oracle


@dataclass
class SymbolsOracle:
    legs: list[Oracle]  # each with its own bars
    days: list[list[int]]  # the day of each bar, for each leg
    count: int  # days
    cash: float
    maintenance: float = 0.0
    financing: float = 0.0
    borrow: float = 0.0
    market_cost: float = 0.0
    fee: float = 0.0
    same_close: bool = False

    equity: list[float] = field(default_factory=list)
    fills: list[tuple] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    ruined: bool = False
    paid: int = -1

    def run(self, script) -> SymbolsOracle:
        """script(leg, row, oracle) gives what is asked for after that bar."""
        self.marks = [0.0] * len(self.legs)
        for day in range(self.count):
            now = [(i, days.index(day)) for i, days in enumerate(self.days) if day in days]
            if not self.ruined:
                self.bar(day, now)
            if not self.ruined:
                self.decide(now, script)
            self.equity.append(self.worth())
        return self

    def worth(self) -> float:
        return self.cash + sum(self.values())

    def values(self) -> list[float]:
        return [leg.position * mark for leg, mark in zip(self.legs, self.marks, strict=True)]

    @contextmanager
    def lent(self, i: int):
        leg, values = self.legs[i], self.values()
        values[i] = 0.0
        leg.cash = self.cash
        leg.others, leg.others_gross = sum(values), sum(map(abs, values))
        leg.others_held = sum(x.position != 0 for j, x in enumerate(self.legs) if j != i)
        before = len(leg.fills)
        yield leg
        self.cash = leg.cash
        for fill in leg.fills[before:]:
            self.fills.append((i, *fill))
            self.marks[i] = fill[4]

    def bar(self, day, now) -> None:
        for i, t in now:
            with self.lent(i) as leg:
                volume = leg.bars[t][4]
                leg.room = leg.participation * volume if leg.participation else math.inf
                leg.events(t)
            if leg.position:
                self.marks[i] = leg.last
        self.pay(day, now)
        open_to_trade = [(i, t) for i, t in now if self.legs[i].has_orders_in(t)]
        self.part(now, open_to_trade, "open")
        for i, t in open_to_trade:
            with self.lent(i) as leg:
                leg.inside_part(t)
        self.part(now, open_to_trade, "close")
        for i, t in now:
            self.legs[i].expire(t)
            self.legs[i].see(t)
            self.marks[i] = self.legs[i].bars[t][3]
        self.margin(now)
        if self.worth() <= 0:
            self.ruined = True
            for i, leg in enumerate(self.legs):
                if leg.position:
                    seen = [t for t, d in enumerate(self.days[i]) if d <= day]
                    self.close(i, seen[-1])
                leg.live = []
            return
        for i, t in now:
            self.legs[i].ratchet(t)

    def pay(self, day, now) -> None:
        if not now and any(leg.position for leg in self.legs):
            return
        values = [abs(x) for x in self.values()]
        years = (day - self.paid) / 365.0 if self.paid >= 0 else 0.0
        due = self.financing * max(0.0, -self.cash) * years
        self.paid = day
        rows = dict(now)
        for i, leg in enumerate(self.legs):
            if leg.position == 0:
                continue
            self.cash -= due * values[i] / sum(values)
            if i in rows and leg.position < 0 and rows[i] > 0:
                t = rows[i]
                apart = self.days[i][t] - self.days[i][t - 1]
                self.cash -= self.borrow * -leg.position * leg.last * apart / 365.0

    def part(self, present, trading, where) -> None:
        """Those that make a position smaller first."""
        if not trading:
            return
        for i, t in present:
            self.marks[i] = self.legs[i].bars[t][0 if where == "open" else 3]
        self.plan(trading, where)
        smaller = []
        for i, _ in trading:
            with self.lent(i) as leg:
                smaller.append(leg.reduces(self.marks[i], where))
        for wanted in (True, False):
            for (i, t), first in zip(trading, smaller, strict=True):
                if first == wanted:
                    with self.lent(i) as leg:
                        leg.move(t, where)
        for leg in self.legs:
            leg.planned = math.nan

    def plan(self, trading, where) -> None:
        """Targets are fractions of the equity E that is left after the costs of all of them.

        E = worth - the sum of rate * |fraction * E - held| + fee, solved for E.
        """
        targets = [(i, leg.target(where)) for i, _ in trading for leg in [self.legs[i]]]
        targets = [(i, order) for i, order in targets if order is not None]
        if len(targets) < 2:
            return
        worth, values = self.worth(), self.values()
        left, divisor = worth, 1.0
        for i, order in targets:
            gap = order.left * worth - values[i]
            if gap:
                rate = math.copysign(self.market_cost, gap)
                left += rate * values[i] - self.fee
                divisor += rate * order.left
        for i, _ in targets:
            self.legs[i].planned = left / divisor

    def margin(self, now) -> None:
        while True:
            values = self.values()
            if not any(values) or not 0 < self.worth() < self.maintenance * sum(map(abs, values)):
                return
            can = [(i, t) for i, t in now if values[i]]
            if not can:
                return
            self.close(*max(can, key=lambda x: (abs(values[x[0]]), -x[0])))

    def close(self, i, t) -> None:
        with self.lent(i) as leg:
            leg.book(t, 0, -leg.position, self.marks[i], self.market_cost, "liquidation", "close")
            leg.live = [x for x in leg.live if not x.ask.reduce_only]

    def decide(self, now, script) -> None:
        for i, t in now:
            with self.lent(i) as leg:
                for ask in script(i, t, leg):
                    leg.ask(t, ask)
        if not self.same_close:
            return
        markets = [(i, t) for i, t in now if any(x.ask.kind == "market" for x in self.legs[i].live)]
        self.part(now, markets, "seen close")
        self.ruined = self.worth() <= 0
