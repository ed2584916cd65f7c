"""Orders on many symbols in one account: against a plain account in Python, and what must hold."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import Ask, Oracle
from replay_scripts import (
    OF_ACCOUNT,
    bars_of,
    finer_bars,
    markets,
    price_rows,
    replayed,
    scripts,
    write,
)
from symbols_oracle import SymbolsOracle

import marketsim as ms
from marketsim.errors import ArgumentError, OrderError, StrategyError
from marketsim.replay import Account, orders, plans, replay, replay_portfolio, replay_symbols
from marketsim.replay.rules import sma_cross

START = pd.Timestamp("2024-01-01", tz="UTC")


@st.composite
def universes(draw, least=1):
    """Some symbols: the bars of each, on days of its own, its orders, and what else is known."""
    found = []
    for _ in range(draw(st.integers(least, 3))):
        rows, script, extra = draw(scripts())
        extra.pop("finer", None)
        missing = draw(st.lists(st.integers(0, 14), max_size=4, unique=True))
        days = [day for day in range(16) if day not in missing][: len(rows)]
        found.append((rows, script, extra, days))
    return found


@st.composite
def rebalances(draw):
    """Two or three symbols that move to fractions of the equity, so that they need its cash."""
    fractions = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0])
    count = draw(st.integers(3, 8))
    extra = draw(markets([()] * count))
    found = []
    for _ in range(draw(st.integers(2, 3))):
        rows = draw(price_rows(count, count))
        chosen = [draw(fractions) for _ in rows]
        script = [[] if x is None else [Ask("market", x, size="target_equity")] for x in chosen]
        found.append((rows, script, {k: extra[k] for k in OF_ACCOUNT if k in extra}, range(count)))
    return found


def bars_on(rows, days) -> ms.Bars:
    frame = bars_of(rows).frame
    frame.index = pd.DatetimeIndex([START + pd.Timedelta(days=day) for day in days])
    return ms.Bars(frame, "T")


def plan_of(rows, script, extra, days):
    def on_bar(state, bar, features, requests):
        for ask in script[bar.index]:
            write(requests, ask)

    options = {k: v for k, v in extra.items() if k not in OF_ACCOUNT}
    if "trail" in options:
        options["trailing_distance"] = options.pop("trail")
    if "finer" in options:
        options["intraday"] = finer_bars(options.pop("finer"))
    return plans.strategy(bars_on(rows, days), on_bar, jit=False, **options)


def together(universe, account, **limits):
    made = {f"S{i}": plan_of(*each) for i, each in enumerate(universe)}
    return replay_symbols(made, account=account, **limits)


def account_of(universe, **rules) -> Account:
    """The rules that the first symbol's draw gives the account."""
    extra = universe[0][2]
    found = {k: v for k, v in extra.items() if k in OF_ACCOUNT}
    return Account(**{"cash": 600.0, "periods_per_year": 252.0} | found | rules)


@pytest.mark.parametrize("fill", ["next_open", "same_close"])
@settings(max_examples=100)
@given(
    universe=st.one_of(universes(), rebalances()),
    cost=st.sampled_from([0.0, 10.0, -2.0]),
    fee=st.sampled_from([0.0, 1.5]),
    leverage=st.sampled_from([1.0, 3.0]),
    most=st.sampled_from([None, 1, 2]),
    weight=st.sampled_from([None, 0.5]),
)
def test_one_account_does_what_a_plain_one_does(
    fill, universe, cost, fee, leverage, most, weight
) -> None:
    account = account_of(
        universe, fee_bps=cost, slippage_bps=5.0, fee_per_fill=fee, leverage=leverage, fill=fill
    )
    found = together(universe, account, max_positions=most, max_weight=weight)
    legs = [
        Oracle(
            rows,
            limit_cost=cost * 1e-4,
            market_cost=(cost + 5.0) * 1e-4,
            leverage=leverage,
            has_volume=any(row[4] for row in rows) or account.participation > 0.0,
            lot=account.lot,
            participation=account.participation,
            fee=fee,
            most_positions=most or 0,
            most_weight=weight or 0.0,
            **{k: v for k, v in extra.items() if k in ("split", "dividend", "trail")},
        )
        for rows, _, extra, _ in universe
    ]
    days = sorted({day for *_, own in universe for day in own})
    oracle = SymbolsOracle(
        legs, [own for *_, own in universe], days[-1] + 1, 600.0, account.maintenance,
        account.financing, account.borrow, (cost + 5.0) * 1e-4, fee, fill == "same_close",
    )  # fmt: skip
    oracle.run(lambda i, t, _: universe[i][1][t])
    np.testing.assert_allclose(
        found.equity, [oracle.equity[day] for day in days], rtol=1e-11, atol=1e-8
    )
    for i, leg in enumerate(legs):
        got = found.fills[found.fills["symbol"] == f"S{i}"]
        assert got["ticket"].tolist() == [f[1] for f in leg.fills]
        assert got["place"].tolist() == [f[5] for f in leg.fills]
        np.testing.assert_allclose(got["quantity"], [f[3] for f in leg.fills], rtol=1e-10)
        np.testing.assert_array_equal(got["price"], [f[4] for f in leg.fills])
    check_account(found, universe)


def check_account(found, universe) -> None:
    """Cash and positions are the equity; the profits of all trades are its change."""
    equity = found.equity.to_numpy()
    split = any(extra.get("split") for _, _, extra, _ in universe)
    closes = pd.DataFrame({s: b.frame["close"] for s, b in found.bars.items()}, found.equity.index)
    worth = found.position.to_numpy() * closes.ffill().fillna(0.0).to_numpy()
    np.testing.assert_allclose(found.cash + worth.sum(axis=1), equity, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(np.abs(worth).sum(axis=1), found.gross, rtol=1e-9, atol=1e-7)
    total = equity[-1] - found.account.cash
    np.testing.assert_allclose(found.by_symbol["profit"].sum(), total, rtol=1e-9, atol=1e-6)
    if not split:
        bought = found.fills.groupby("symbol")["quantity"].sum()
        held = found.position.iloc[-1]
        for symbol, quantity in bought.items():
            np.testing.assert_allclose(quantity, held[symbol], atol=1e-9)


@pytest.mark.parametrize("fill", ["next_open", "same_close"])
@settings(max_examples=60)
@given(case=scripts(), leverage=st.sampled_from([1.0, 3.0]), fee=st.sampled_from([0.0, 1.5]))
def test_one_symbol_alone_is_a_replay_to_the_bit(fill, case, leverage, fee) -> None:
    rows, script, extra = case
    account = Account(
        cash=300.0, fee_bps=3.0, leverage=leverage, fill=fill, fee_per_fill=fee,
        periods_per_year=252.0,
    )  # fmt: skip
    whole = replace(account, **{k: extra.get(k, 0.0) for k in OF_ACCOUNT})
    alone = replayed(rows, script, account, extra)
    found = together([(rows, script, extra, list(range(len(rows))))], whole)
    np.testing.assert_array_equal(found.equity, alone.equity)
    np.testing.assert_array_equal(found.position["S0"], alone.position)
    for name in ("fills", "orders", "trades"):
        got = getattr(found, name).drop(columns="symbol")
        pd.testing.assert_frame_equal(got, sort(getattr(alone, name), name))
    assert str(found.metrics) == str(alone.metrics)


def sort(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    by = {"fills": "time", "orders": "submitted", "trades": "entry_time"}[name]
    return frame.sort_values(by, kind="stable", ignore_index=True)


@settings(max_examples=60)
@given(universe=universes(least=2), cut=st.integers(1, 15))
def test_the_first_bars_are_a_prefix(universe, cut) -> None:
    account = account_of(universe, leverage=2.0, fee_bps=3.0)
    part = []
    for rows, script, extra, days in universe:
        keep = sum(day < cut for day in days)
        volumes = [any(row[4] for row in some) for some in (rows[:keep], rows)]
        if not keep or volumes[0] != volumes[1]:
            return
        cropped = {k: v[:keep] if isinstance(v, list) else v for k, v in extra.items()}
        part.append((rows[:keep], script[:keep], cropped, days[:keep]))
    first, whole = together(part, account), together(universe, account)
    np.testing.assert_array_equal(whole.equity.iloc[: len(first.equity)], first.equity)
    expected = whole.fills[whole.fills["time"] <= first.equity.index[-1]]
    pd.testing.assert_frame_equal(first.fills, expected.reset_index(drop=True))


@pytest.fixture(scope="module")
def three() -> dict[str, ms.Bars]:
    rng = np.random.default_rng(5)
    found = {}
    for symbol in "ABC":
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 300)))
        opened = close * np.exp(rng.normal(0.0, 0.005, 300))
        high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
        frame = pd.DataFrame(
            {"open": opened, "high": high, "low": low, "close": close, "volume": 1e6},
            pd.date_range(START, periods=300),
        )
        found[symbol] = ms.Bars(frame, symbol)
    return found


def test_targets_to_weights_are_those_of_the_weights_alone(three) -> None:
    """Fully invested, daily, without a cost that is left over or an order that is refused."""
    count = 300
    rng = np.random.default_rng(1)
    weights = rng.dirichlet([1.0, 1.0, 1.0], count)
    for cost, tolerance in ((0.0, 1e-12), (10.0, 1e-5)):
        account = Account(fee_bps=cost)
        made = {s: plans.targets(b, weights[:, i]) for i, (s, b) in enumerate(three.items())}
        found = replay_symbols(made, account=account)
        frames = [
            pd.DataFrame({s: getattr(b, name) for s, b in three.items()}, found.equity.index)
            for name in ("close", "open")
        ]
        table = pd.DataFrame(weights, found.equity.index, list(three))
        other = replay_portfolio(frames[0], table, open=frames[1], cost_bps=cost)
        assert found.metrics["refused"] == 0
        np.testing.assert_allclose(found.equity, other.equity, rtol=tolerance)
        assert found.cash.iloc[1:].abs().max() < 1e-6  # nothing is left over, nothing is borrowed


def test_limits_refuse_and_say_so(three) -> None:
    made = {
        s: plans.signals(b, np.ones(300, bool), np.zeros(300, bool), size=0.3)
        for s, b in three.items()
    }
    found = replay_symbols(made, max_positions=2)
    held = found.position.iloc[-1]
    assert (held[["A", "B"]] > 0).all() and held["C"] == 0.0
    refused = found.orders[found.orders["status"] == "refused: limit on positions"]
    assert set(refused["symbol"]) == {"C"}
    assert "orders were refused" in found.summary()
    found = replay_symbols(made, max_weight=0.2)
    assert found.metrics["fills"] == 0 and found.metrics["refused"] > 0
    assert replay_symbols(made, max_weight=0.31).metrics["trades"] == 3


def test_what_is_sold_pays_for_what_is_bought(three) -> None:
    """B buys with all of the equity at the open at which A is sold, whichever comes first."""
    first = np.zeros(300, bool)
    first[0] = True
    later = np.roll(first, 10)
    for order in ("AB", "BA"):
        made = {
            "A": plans.signals(three["A"], first, later),
            "B": plans.signals(three["B"], later, ~later & ~later),
        }
        found = replay_symbols({s: made[s] for s in order})
        assert found.metrics["refused"] == 0
        assert found.trades["symbol"].tolist() == ["A", "B"]


def test_the_largest_position_is_closed_first() -> None:
    """A short of 60 and a long of 30 lose until the equity is below 40 % of what is held."""

    def flat(price: float, last: float) -> ms.Bars:
        rows = [(price, price, price, price, 1.0)] * 2 + [(last, last, last, last, 1.0)] * 2
        return bars_on(rows, range(4))

    enter = np.array([True, False, False, False])
    none = np.zeros(4, bool)
    made = {
        "long": plans.signals(flat(10.0, 9.0), enter, none, size=30, size_unit="cash"),
        "short": plans.signals(
            flat(10.0, 15.0), enter, none, direction="short", size=60, size_unit="cash"
        ),
    }
    found = replay_symbols(made, account=Account(cash=60.0, leverage=2.0, maintenance=0.4))
    # 60 - 3 - 30 = 27 of equity, for 27 + 90 held: the short goes, and 27 >= 0.4 * 27 is left.
    assert found.trades.set_index("symbol")["exit"].to_dict() == {
        "long": "open", "short": "liquidation",
    }  # fmt: skip
    assert found.equity.iloc[-1] == pytest.approx(27.0)


def test_ruin_closes_everything_and_ends_the_replay() -> None:
    rows = [(10.0, 10.0, 10.0, 10.0, 1.0)] * 2 + [(30.0, 30.0, 30.0, 30.0, 1.0)] * 3
    enter, none = np.array([True, False, False, True, False]), np.zeros(5, bool)
    made = {
        "calm": plans.signals(bars_on([rows[0]] * 5, range(5)), enter, none, size=0.5),
        "short": plans.signals(bars_on(rows, range(5)), enter, none, direction="short", size=1.0),
    }
    found = replay_symbols(made, account=Account(cash=100.0, leverage=2.0))
    assert found.metrics["ruined_bar"] == 2
    assert (found.position.iloc[2:] == 0.0).all().all()
    assert found.equity.iloc[2] < 0.0 and found.equity.iloc[2:].nunique() == 1
    assert "Ruined on" in found.summary()


def test_four_ways_are_one_in_an_account(three) -> None:
    account = Account(fee_bps=5.0)

    def on_bar(state, bar, features, requests):
        if state.position == 0.0 and features.enter:
            entry = orders.buy(requests, 0.3, orders.EQUITY)
            orders.exit_stop(requests, entry, 0.95)
        elif state.position > 0.0 and features.leave:
            orders.close_position(requests)

    made = {}
    for symbol, bars in three.items():
        enter, leave = sma_cross(bars, fast=5, slow=15)
        made[symbol] = {
            "arrays": plans.signals(bars, enter, leave, size=0.3, stop_loss=0.05),
            "Numba": plans.strategy(bars, on_bar, {"enter": enter * 1.0, "leave": leave * 1.0}),
            "Python": plans.strategy(
                bars, on_bar, {"enter": enter * 1.0, "leave": leave * 1.0}, jit=False
            ),
        }
    results = {
        way: replay_symbols({s: of[way] for s, of in made.items()}, account=account)
        for way in ("arrays", "Numba", "Python")
    }
    mixed = {s: made[s][way] for s, way in zip("ABC", results, strict=True)}
    results["mixed"] = replay_symbols(mixed, account=account)
    first = results.pop("arrays")
    assert first.metrics["trades"] > 10
    for other in results.values():
        np.testing.assert_array_equal(other.equity, first.equity)
        pd.testing.assert_frame_equal(other.trades, first.trades)


def by_hand(bars, enter, leave, size, stop, goal):
    """The plan of signals, asked for after every bar: no bar is passed over."""

    def on_bar(state, bar, features, requests):
        if state.position > 0.0 and leave[bar.index]:
            orders.close_position(requests)
        elif state.position == 0.0 and enter[bar.index]:
            entry = orders.buy(requests, size, orders.EQUITY)
            orders.exit_stop(requests, entry, 1.0 - stop)
            orders.exit_limit(requests, entry, 1.0 + goal)

    return plans.strategy(bars, on_bar, jit=False)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 4),
    missing=st.booleans(),
    size=st.sampled_from([0.3, 0.9, 1.5]),
    maintenance=st.sampled_from([0.0, 0.6]),
    fill=st.sampled_from(["next_open", "same_close"]),
    most=st.sampled_from([None, 1]),
)
def test_bars_in_which_nothing_is_met_change_no_bit(
    seed, count, missing, size, maintenance, fill, most
) -> None:
    """Signals pass over the bars between their orders; the same by hand looks at each of them."""
    rng = np.random.default_rng(seed)
    account = Account(cash=1000.0, fee_bps=3.0, leverage=3.0, maintenance=maintenance, fill=fill)
    signals, asked = {}, {}
    for i in range(count):
        close = 100.0 * np.exp(np.cumsum(rng.normal(-0.002, 0.04, 110)))
        opened = close * np.exp(rng.normal(0.0, 0.01, 110))
        high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
        rows = np.column_stack([opened, high, low, close, np.ones(110)])
        days = np.flatnonzero(rng.random(110) < (0.9 if missing else 1.0))
        if missing and i == 0:
            days = days[days < 70]  # ends before the others
        bars = bars_on(rows[days].tolist(), days.tolist())
        enter, leave = rng.random((2, len(days))) < 0.06
        signals[f"S{i}"] = plans.signals(
            bars, enter, leave, size=size, stop_loss=0.1, take_profit=0.15
        )
        asked[f"S{i}"] = by_hand(bars, enter, leave, size, 0.1, 0.15)
    found = replay_symbols(signals, account=account, max_positions=most)
    other = replay_symbols(asked, account=account, max_positions=most)
    for name in ("equity", "cash", "gross"):
        pd.testing.assert_series_equal(getattr(found, name), getattr(other, name), check_exact=True)
    pd.testing.assert_frame_equal(found.position, other.position, check_exact=True)
    pd.testing.assert_frame_equal(found.fills, other.fills, check_exact=True)
    pd.testing.assert_frame_equal(found.trades, other.trades, check_exact=True)
    assert str(found.metrics) == str(other.metrics)


def test_financing_of_a_position_that_is_the_rest_of_a_rounding_is_a_number() -> None:
    """A sum that fills move may become 0 beside a position of 1e-17 units."""
    calm = [(90.0, 90.0, 90.0, 90.0, 0.0)] * 4
    moved = [(90.0, 104.0, 90.0, 104.0, 1.0), *[(90.0, 90.0, 90.0, 90.0, v) for v in (0, 1, 0)]]
    account = Account(
        cash=600.0, slippage_bps=5.0, fill="same_close", borrow=3.65, financing=7.3,
        periods_per_year=252.0,
    )  # fmt: skip
    nan = np.nan
    made = {
        "A": plans.targets(bars_on(calm, range(4)), [nan, 0.25, 0.0, nan]),
        "B": plans.targets(bars_on(moved, range(4)), [0.5, nan, 0.0, nan]),
    }
    assert np.isfinite(replay_symbols(made, account=account).equity).all()


def test_a_result_pickles(three) -> None:
    made = {s: plans.signals(b, *sma_cross(b), size=0.3) for s, b in three.items()}
    found = replay_symbols(made)
    for other in (
        pickle.loads(pickle.dumps(found)),  # noqa: S301
        replay_symbols(pickle.loads(pickle.dumps(made))),  # noqa: S301
    ):
        for name in ("equity", "cash", "gross", "returns"):
            pd.testing.assert_series_equal(getattr(other, name), getattr(found, name))
        for name in ("position", "trades", "fills", "orders", "by_symbol"):
            pd.testing.assert_frame_equal(getattr(other, name), getattr(found, name))
        assert other.metrics == found.metrics
        assert other.performance.sharpe == found.performance.sharpe
        assert other.to_dict() == found.to_dict()
    assert found.performance.total_return == pytest.approx(found.metrics["total_return"])


def test_errors_name_the_symbol_and_the_bar(three) -> None:
    def raises(state, bar, features, requests):
        if bar.index == 7:
            raise ValueError("no")

    def asks(state, bar, features, requests):
        if bar.index == 3:
            orders.buy(requests, -1.0)

    quiet = plans.targets(three["A"], np.zeros(300))
    for jit in (True, False):
        with pytest.raises(StrategyError, match=r"ValueError after bar 7 \(2024-01-08.*of B: no"):
            replay_symbols({"A": quiet, "B": plans.strategy(three["B"], raises, jit=jit)})
        with pytest.raises(OrderError, match=r"order 1 after bar 3 \(2024-01-04.*of B is no order"):
            replay_symbols({"A": quiet, "B": plans.strategy(three["B"], asks, jit=jit)})
    with pytest.raises(ArgumentError, match="at least one symbol"):
        replay_symbols({})
    with pytest.raises(ArgumentError, match="Plans by symbol"):
        replay_symbols({"A": three["A"]})
    hours = three["B"].frame.set_axis(pd.date_range(START, periods=300, freq="h"))
    hourly = plans.targets(ms.Bars(hours, "B"), np.zeros(300))
    with pytest.raises(ArgumentError, match="bars of one length: got 3,600 s of B and 86,400 s"):
        replay_symbols({"A": quiet, "B": hourly})
    zone = ms.Bars(three["B"].frame.tz_convert("Asia/Tokyo"), "B")
    with pytest.raises(ArgumentError, match="one time zone: got Asia/Tokyo, UTC"):
        replay_symbols({"A": quiet, "B": plans.targets(zone, np.zeros(300))})
    with pytest.raises(ArgumentError, match="max_weight"):
        replay_symbols({"A": quiet}, max_weight=0.0)
    with pytest.raises(ArgumentError, match="max_positions"):
        replay_symbols({"A": quiet}, max_positions=0)
    with pytest.raises(ArgumentError, match="one number a bar"):
        plans.targets(three["A"], np.zeros(2))
    assert replay(three["A"], np.ones(300, bool), np.zeros(300, bool)).metrics["trades"] == 1
