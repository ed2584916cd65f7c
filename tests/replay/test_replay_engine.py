"""The compiled engine against a plain one in Python, and what holds for every replay."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from replay_oracle import Ask, Oracle
from replay_scripts import replayed, scripts

from marketsim.replay import Account


@pytest.mark.parametrize("policy", ["open_aware", "optimistic"])
@pytest.mark.parametrize("fill", ["next_open", "same_close"])
@settings(max_examples=80)
@given(
    case=scripts(),
    cost=st.sampled_from([0.0, 10.0, -2.0]),
    leverage=st.sampled_from([1, 3]),
    fee=st.sampled_from([0.0, 1.5]),
)
def test_the_engine_does_what_the_plain_one_does(policy, fill, case, cost, leverage, fee) -> None:
    rows, script, extra = case
    cash = 300.0  # few units: margin is refused at times, and a short can be ruined
    account = Account(
        cash=cash, fee_bps=cost, slippage_bps=5.0, leverage=leverage, policy=policy, fill=fill,
        fee_per_fill=fee,
    )  # fmt: skip
    found = replayed(rows, script, account, extra)
    oracle = Oracle(
        rows, cash, cost * 1e-4, (cost + 5.0) * 1e-4, leverage, policy, fill == "same_close",
        has_volume=any(row[4] for row in rows) or extra["participation"] > 0.0, fee=fee, **extra,
    )  # fmt: skip
    oracle.run(lambda t, _: script[t])
    got = [
        (bar, ticket, place)
        for bar, ticket, place in zip(
            found.bars.frame.index.get_indexer(found.fills["time"]),
            found.fills["ticket"],
            found.fills["place"],
            strict=True,
        )
    ]
    assert got == [(f[0], f[1], f[5]) for f in oracle.fills]
    np.testing.assert_allclose(found.fills["quantity"], [f[3] for f in oracle.fills], rtol=1e-12)
    np.testing.assert_array_equal(found.fills["price"], [f[4] for f in oracle.fills])
    np.testing.assert_allclose(found.equity, oracle.equity, rtol=1e-12, atol=1e-9)
    assert found.metrics["ambiguous_bars"] == oracle.doubtful
    if not extra.get("split"):
        check_invariants(found, rows)


def check_invariants(found, rows) -> None:
    equity, position = found.equity.to_numpy(), found.position.to_numpy()
    fills, trades = found.fills, found.trades
    bars = found.bars
    at = bars.frame.index.get_indexer(fills["time"])
    # Cash and the value held are the equity, at every bar.
    paid = np.zeros(len(rows))
    np.add.at(paid, at, fills["quantity"] * fills["price"] + fills["cost"])
    cash = found.settings["cash"] - np.cumsum(paid)
    np.testing.assert_allclose(cash + position * bars.close, equity, rtol=1e-9, atol=1e-9)
    # No fill lies outside its bar, precedes its order, or comes through a bar without volume.
    price = fills["price"].to_numpy()
    assert ((price >= bars.low[at]) & (price <= bars.high[at])).all()
    ordered = fills["ticket"].to_numpy() > 0
    asked_at = bars.frame.index.get_indexer(found.orders["submitted"])
    asked_at = asked_at[fills["ticket"].to_numpy()[ordered] - 1]
    late = 0 if found.settings["fill"] == "same_close" else 1
    assert (at[ordered] >= asked_at + late).all()
    if bars.volume.any():
        assert (bars.volume[at[ordered]] > 0).all()
    # The profits of the trades are the change of the equity.
    total = equity[-1] - found.settings["cash"]
    np.testing.assert_allclose(trades["profit"].sum(), total, rtol=1e-9, atol=1e-7)
    assert (trades["worst"] <= trades["best"] + 1e-9).all()


@settings(max_examples=50)
@given(case=scripts(), cut=st.integers(1, 11))
def test_a_replay_of_the_first_bars_is_a_prefix(case, cut) -> None:
    rows, script, extra = case
    cut = min(cut, len(rows))
    # Whether volumes are known is judged by all bars: a file without any fills in all of them.
    assume(any(row[4] for row in rows[:cut]) or not any(row[4] for row in rows))
    account = Account(cash=300.0, fee_bps=3.0, leverage=2.0)
    first = {k: v[:cut] if isinstance(v, list) else v for k, v in extra.items()}
    if cut < 2 or max(map(len, first.get("finer", [[]]))) < 2:
        extra.pop("finer", None)
        first.pop("finer", None)
    whole = replayed(rows, script, account, extra)
    part = replayed(rows[:cut], script, account, first)
    np.testing.assert_array_equal(whole.equity.to_numpy()[:cut], part.equity)
    got, expected = part.fills, whole.fills[: len(part.fills)]
    pd.testing.assert_frame_equal(got, expected)


@settings(max_examples=50)
@given(case=scripts(), power=st.sampled_from([-3, 4]))
def test_the_unit_of_money_does_not_matter(case, power) -> None:
    rows, script, extra = case
    scale = 2.0**power
    account = Account(cash=300.0, fee_bps=3.0, leverage=2.0)
    plain = replayed(rows, script, account, extra)

    def scaled_bars(some):
        return [(*(x * scale for x in row[:4]), row[4]) for row in some]

    for name in ("trail", "dividend"):
        if name in extra:
            extra[name] = [x * scale for x in extra[name]]
    if "finer" in extra:
        extra["finer"] = [scaled_bars(inner) for inner in extra["finer"]]

    def scaled(ask: Ask) -> Ask:
        factor = 1.0 if ask.relative else scale
        values = {n: getattr(ask, n) * factor for n in ("limit", "stop")}
        return Ask(**{**vars(ask), **values, "trail": ask.trail * scale})

    other = replayed(
        scaled_bars(rows),
        [[scaled(ask) for ask in asks] for asks in script],
        Account(cash=300.0 * scale, fee_bps=3.0, leverage=2.0),
        extra,
    )
    np.testing.assert_array_equal(other.equity, plain.equity.to_numpy() * scale)


@settings(max_examples=50)
@given(case=scripts())
def test_a_short_on_mirrored_prices_earns_what_the_long_earns(case) -> None:
    rows, script, _ = case
    account = Account(cash=1e6, leverage=100.0)  # no costs, and no order is refused

    def mirrored(ask: Ask) -> Ask | None:
        by_price = ask.kind != "trailing_stop" or not math.isnan(ask.trail)
        if ask.action != "submit" or ask.size != "units" or ask.relative or not by_price:
            return None
        return Ask(
            **{**vars(ask), "quantity": -ask.quantity, "limit": 200 - ask.limit,
               "stop": 200 - ask.stop}
        )  # fmt: skip

    # A bracket's levels are factors of a price and have no mirror image: entries go alone.
    keep = [[ask for ask in asks if not ask.parent and mirrored(ask)] for asks in script]
    turned = [(200 - o, 200 - low, 200 - h, 200 - c, v) for o, h, low, c, v in rows]
    plain = replayed(rows, keep, account)
    other = replayed(turned, [[mirrored(ask) for ask in asks] for asks in keep], account)
    np.testing.assert_array_equal(other.equity, plain.equity)
    np.testing.assert_array_equal(other.position, -plain.position.to_numpy())
