from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from backends import FEW_BACKENDS, Backend, on_backend
from fill_rules import RULES, fitting
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from price_rules import Bar, buy_then_sell, money, sell_then_buy
from problems import KINDS, NAMES, awkward_days, drawn_days, random_days

import marketsim as ms
from marketsim import _core
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels import rules
from marketsim.kernels.profit import fills
from marketsim.kernels.reference import profit_reference

f32 = np.float32
_TICK = 1 / 64  # a sum of ticks is exact in float32


@st.composite
def bars_and_orders(draw: st.DrawFn) -> tuple[list[Bar], list[tuple[float, float, float]]]:
    """Bars around a close before of 1, in ticks so coarse that prices meet, and orders
    (size, sell limit, buy limit)."""
    ticks = st.integers(-6, 6)
    bars, orders = [], []
    for _ in range(draw(st.integers(1, 12))):
        opened, closed = draw(ticks), draw(ticks)
        top = max(opened, closed) + draw(st.integers(0, 3))
        bottom = min(opened, closed) - draw(st.integers(0, 3))
        bars.append(Bar(*(1 + n * _TICK for n in (opened, top, bottom, closed))))
        size = draw(st.sampled_from([1.0, -1.0, 0.5, -2.0]))
        orders.append((size, 1 + draw(ticks) * _TICK, 1 + draw(ticks) * _TICK))
    return bars, orders


@given(
    drawn=bars_and_orders(),
    policy=st.sampled_from(rules.FILLS),
    costs=st.sampled_from([(0.0, 0.0, 0.0), (0.25, 0.5, 1.0), (-0.125, 0.25, 0.0)]),
)
def test_equals_the_contract_on_prices(drawn, policy: str, costs) -> None:
    """Kernels on returns against an independent transcription of the rules on prices."""
    bars, orders = drawn
    days = {
        name: np.array([getattr(bar, name) - 1 for bar in bars])
        for name in ("close", "high", "low", "open")
    }
    sizes, sells, buys = np.array(orders).T
    given_ = days | {"high_pred": sells - 1, "low_pred": buys - 1, "position": sizes}
    found = fills(**given_, fill=policy, costs=costs)
    for t, (bar, (size, sell, buy)) in enumerate(zip(bars, orders, strict=True)):
        is_long = size > 0
        fill = (buy_then_sell if is_long else sell_then_buy)(
            bar, *((buy, sell) if is_long else (sell, buy)), policy
        )
        gross, cost = money(fill, size, costs)
        entered, left = (
            (rules.LONG_ENTERED, rules.LONG_EXITED)
            if is_long
            else (rules.SHORT_ENTERED, rules.SHORT_EXITED)
        )
        flags = entered * (fill.entry is not None) | left * fill.at_limit
        flags |= rules.OPEN_FILLED * fill.at_open | rules.AMBIGUOUS * fill.unknown
        assert (found.gross[t], found.fee[t], found.flags[t]) == (gross, cost, flags)
        if fill.entry is not None:  # no fill lies outside the bar
            assert bar.low <= fill.entry <= bar.high
            if fill.at_open:
                assert bar.low <= fill.exit <= bar.high
    net = ms.profit(**given_, fill=policy, costs=costs)
    np.testing.assert_array_equal(net, found.gross - found.fee)


@given(drawn=bars_and_orders())
def test_policies_enclose_what_is_unknown(drawn) -> None:
    """Before costs, on each day and for each order, those that cross themselves included."""
    bars, orders = drawn
    sizes, sells, buys = np.array(orders).T
    days = {
        name: np.array([getattr(bar, name) - 1 for bar in bars])
        for name in ("close", "high", "low", "open")
    } | {"high_pred": sells - 1, "low_pred": buys - 1, "position": sizes}
    upper, lower = fills(**days, fill="optimistic"), fills(**days, fill="open_aware")
    assert (upper.gross >= lower.gross).all()
    certain = upper.flags & rules.AMBIGUOUS == 0
    np.testing.assert_array_equal(upper.gross[certain], lower.gross[certain])
    np.testing.assert_array_equal(upper.flags & rules.AMBIGUOUS, lower.flags & rules.AMBIGUOUS)


def one_day(
    backend: Backend, fill: str, position: float, *, open: float = 0.0, **day: float
) -> float:
    """Profit of a single day; levels high_pred and low_pred, no offsets."""
    values = {"close": 0.0, "high": 0.03, "low": -0.03, "high_pred": 0.02, "low_pred": -0.01} | day
    arrays = {name: [value] for name, value in values.items()}
    found = backend.profit(**arrays, position=[position], open=[open], fill=fill)
    return float(found[0])


# The written contract, by hand. Entry of a long at -1 %, exit at +2 %; a short the other way round.
@pytest.mark.parametrize(
    ("fill", "position", "day", "expected"),
    [
        ("optimistic", 1, {"close": 0.005}, 0.03),  # went through both: leaves at the limit
        ("open_aware", 1, {"close": 0.005}, 0.015),  # order unknown: leaves at the close
        ("open_aware", 1, {"close": 0.025}, 0.03),  # the close proves the exit
        ("open_aware", 1, {"close": 0.02}, 0.03),  # a close at the limit: the same price
        ("open_aware", 1, {"close": 0.005, "open": -0.02}, 0.04),  # entered at the open
        ("optimistic", 1, {"close": 0.005, "open": -0.02}, 0.04),
        ("close_only", 1, {"close": 0.005, "open": -0.02}, 0.025),
        ("open_aware", 1, {"close": 0.005, "open": -0.01}, 0.015),  # open at the limit: inside
        ("close_only", 1, {"close": 0.025}, 0.035),
        ("optimistic", 1, {"close": 0.005, "low": -0.01}, 0.0),  # touching the limit does not enter
        ("optimistic", 1, {"close": 0.005, "high": 0.02}, 0.015),  # nor does a touch leave
        ("optimistic", 1, {"close": 0.005, "high": 0.019}, 0.015),
        ("optimistic", -1, {"close": 0.005}, 0.03),
        ("open_aware", -1, {"close": 0.005}, 0.015),
        ("open_aware", -1, {"close": -0.02}, 0.03),
        ("open_aware", -1, {"close": 0.005, "open": 0.025}, 0.035),
        ("close_only", -1, {"close": -0.02}, 0.04),
        ("optimistic", -1, {"close": 0.005, "high": 0.02}, 0.0),
        ("optimistic", -1, {"close": 0.005, "low": -0.01}, 0.015),
        ("optimistic", 0, {"close": 0.005}, 0.0),
        ("optimistic", 25, {"close": 0.005}, 0.3),  # a position is cut to 10
        # A bar that lies beyond the buy limit as a whole fills it at the open, under every policy.
        *(
            (fill, 1, {"open": -0.05, "high": -0.03, "low": -0.06, "close": -0.04}, 0.01)
            for fill in rules.FILLS
        ),
        # Levels are laid as ordered: a buy limit above the close before, a sell limit below it.
        ("open_aware", 1, {"low_pred": 0.01, "close": 0.025}, 0.02),  # in at the open, 0
        ("open_aware", 1, {"low_pred": 0.01, "open": 0.02, "close": 0.025}, 0.01),
        ("open_aware", 1, {"high_pred": -0.02, "open": -0.015, "close": 0.0}, 0.0),  # out at once
        ("optimistic", 1, {"high_pred": -0.02, "close": 0.0}, -0.01),  # below its entry: worse
    ],
)  # fmt: skip
def test_written_contract(
    backend: Backend, fill: str, position: float, day: dict[str, float], expected: float
) -> None:
    assert one_day(backend, fill, position, **day) == pytest.approx(expected, abs=1e-8, rel=1e-6)


def test_every_fill_is_charged(backend: Backend) -> None:
    day = {"high": [0.03], "low": [-0.03], "high_pred": [0.02], "low_pred": [-0.01], "open": [0.0]}
    costs = (0.0001, 0.0003, 0.001)
    for close, position, gross, cost in (
        (0.025, 2.0, 0.06, 0.0008),  # in and out at limits
        (0.0, 2.0, 0.02, 0.0022),  # out at the close
        (-0.02, -0.5, 0.015, 0.0002),
        (0.0, 0.0, 0.0, 0.0),
    ):
        got = backend.profit(**day, close=[close], position=[position], costs=costs)
        assert got[0] == pytest.approx(gross - cost, abs=1e-8)
    both = backend.profit(**day, close=[0.0], position=[1.0], fee=0.001)
    assert both[0] == pytest.approx(0.01 - 0.002, abs=1e-8)  # fee: the same rate for every fill
    rebate = backend.profit(**day, close=[0.0], position=[1.0], fee=-0.001)
    assert rebate[0] == pytest.approx(0.01 + 0.002, abs=1e-8)


def test_legacy_fee_rules_by_hand(backend: Backend) -> None:
    days = {
        "close": [0.0],
        "high": [0.02],
        "low": [-0.03],
        "high_pred": [0.02],
        "low_pred": [-0.01],
        "open": None,
        "fill": "legacy",
    }
    # A long that leaves at exactly the high pays nothing under touched_both: H < high is false.
    per_entry = backend.profit(**days, position=[2.0], fee=0.001)
    touched = backend.profit(**days, position=[2.0], fee=0.001, fee_rule="touched_both")
    assert per_entry[0] == pytest.approx(0.06 - 0.002, abs=1e-8, rel=1e-6)
    assert touched[0] == pytest.approx(0.06, abs=1e-8, rel=1e-6)
    # legacy_close_only charges where either level was touched, entered or not.
    either = backend.profit(
        close=[0.0], high=[0.03], low=[-0.001], high_pred=[0.02], low_pred=[-0.01], position=[1.0],
        open=None, fee=0.001, fee_rule="touched_both", fill="legacy_close_only",
    )  # fmt: skip
    assert either[0] == pytest.approx(-0.001, abs=1e-9)


@pytest.mark.parametrize("count", [1, 7, 16, 33])
def test_equals_reference(backend: Backend, count: int) -> None:
    for number, rule in enumerate(RULES):
        kind = (number + count) % len(KINDS)
        rng = np.random.default_rng([count, number])
        days = fitting(awkward_days(rng, count, kind), rule)
        offsets = np.round(rng.normal(0.0, 0.01, (2, 6)), 3 if kind in (1, 2) else 9).astype(f32)
        got = backend.profit(**days, high_offset=offsets[0], low_offset=offsets[1], **rule)
        expected = [
            profit_reference(**days, high_offset=h, low_offset=low, **rule) for h, low in offsets.T
        ]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected, err_msg=str(rule))


@pytest.mark.parametrize("name", FEW_BACKENDS)
@given(
    days=drawn_days(),
    rule=st.sampled_from(RULES),
    offsets=st.lists(
        st.tuples(st.floats(-0.0625, 0.0625, width=32), st.sampled_from([0.0, 0.01, -0.01, 0.005])),
        min_size=1,
        max_size=5,
    ),
    isa_name=st.sampled_from(_core.supported_isas()),
)
def test_equals_reference_on_drawn_days(name, days, rule, offsets, isa_name) -> None:
    high, low = np.array(offsets, dtype=np.float32).T
    days = fitting(days, rule)
    with on_backend(isa_name if name == "cpu" else name) as backend:
        got = backend.profit(**days, high_offset=high, low_offset=low, **rule)
    expected = [
        profit_reference(**days, high_offset=h, low_offset=v, **rule)
        for h, v in zip(high, low, strict=True)
    ]
    np.testing.assert_array_equal(got, np.reshape(expected, got.shape))


def test_rounds_once_to_float32() -> None:
    # Each step of one long in exact arithmetic, rounded to float32 by hand.
    rng = np.random.default_rng(5)
    days = random_days(rng, 200)
    days["position"] = np.abs(rng.normal(1.0, 0.5, 200)).astype(np.float32)
    costs = (0.0002, 0.0005, 0.0007)
    h, low = np.float32(0.00123), np.float32(-0.00077)
    got = ms.profit(**days, high_offset=h, low_offset=low, costs=costs, fill="optimistic")

    def r32(value: Fraction) -> np.float32:
        return np.float32(float(value))  # float64 holds these sums and products of float32 exactly

    for t in range(200):
        c, a, b, p, q, s, o = (Fraction(float(days[name][t])) for name in NAMES)
        sell = Fraction(float(r32(p + Fraction(float(h)))))
        buy = Fraction(float(r32(q + Fraction(float(low)))))
        expected = np.float32(0.0)
        if buy > b:
            at_limit = sell < a
            price = max(sell, o) if buy > o else sell
            leave = price if at_limit else c
            gross = r32(s * Fraction(float(r32(leave - min(buy, o)))))
            rate = np.float32(0.0002 + (0.0005 if at_limit else 0.0007))
            cost = r32(Fraction(float(rate)) * s)
            expected = r32(Fraction(float(gross)) - Fraction(float(cost)))
        assert got[t] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_fills_sum_to_profit(kind: int) -> None:
    for rule in RULES:
        days = fitting(awkward_days(np.random.default_rng(kind), 300, kind), rule)
        found = fills(**days, **rule)
        np.testing.assert_array_equal(found.gross - found.fee, ms.profit(**days, **rule))


def test_scalar_and_batched_offsets_agree(backend: Backend) -> None:
    days = random_days(np.random.default_rng(1), 50)
    single = backend.profit(**days, high_offset=0.001, low_offset=-0.002)
    assert single.shape == (50,)
    batch = backend.profit(**days, high_offset=[0.0, 0.001], low_offset=-0.002)
    assert batch.shape == (2, 50)
    np.testing.assert_array_equal(batch[1], single)
    assert backend.profit(**days, high_offset=[], low_offset=[]).shape == (0, 50)
    empty = {name: value[:0] for name, value in days.items()}
    assert backend.profit(**empty).shape == (0,)


@pytest.mark.parametrize("positions", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_rows_with_offsets_and_fills_of_their_own(count: int, positions: int) -> None:
    rng = np.random.default_rng(count)
    rows = [random_days(rng, 6) for _ in range(count)]
    offsets = rng.normal(0.0, 0.01, (2, 3, count)).astype(np.float32)  # three pairs
    fills = rng.choice(rules.LEGACY_FILLS, (3, count))
    codes = np.array([rules.fill_code(fill, legacy=True) for fill in fills.ravel()], dtype=np.uint8)
    arrays = [
        np.array([row[name] for row in rows], dtype=np.float32).reshape(count, 6)
        for name in NAMES[:5]
    ]
    held = rng.choice([-1.0, 0.0, 0.5, 1.0, np.nan], (positions, count, 6)).astype(np.float32)
    charged = rules.fee_rule_code("touched_both"), 0.0005
    made = _core.profit_of_rows(*arrays, held, *offsets, codes.reshape(3, count), *charged)
    assert made.shape == (3, positions, count, 6)
    for pair, position, row in np.ndindex(3, positions, count):
        alone = profit_reference(
            *(rows[row][name] for name in NAMES[:5]),
            held[position, row],
            high_offset=float(offsets[0, pair, row]),
            low_offset=float(offsets[1, pair, row]),
            open=None,
            fee=0.0005,
            fee_rule="touched_both",
            fill=str(fills[pair, row]),
        )
        np.testing.assert_array_equal(made[pair, position, row], alone)


def test_rows_need_offsets_each() -> None:
    rows = np.zeros((3, 6), dtype=np.float32)
    held, five = rows[None], [rows] * 5
    each, two = np.zeros((1, 3), dtype=np.float32), np.zeros((1, 2), dtype=np.float32)
    fills = np.full((1, 3), 3, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"high_offset must be \[pair, row\], .* and 3 rows: got"):
        _core.profit_of_rows(*five, held, two, each, fills, 0, 0.0)
    with pytest.raises(ValueError, match=r"fill must be \[pair, row\]"):
        _core.profit_of_rows(*five, held, each, each, fills.repeat(2, 0), 0, 0.0)
    with pytest.raises(ValueError, match="fill: expected 0 to 5"):
        _core.profit_of_rows(*five, held, each, each, fills + np.uint8(4), 0, 0.0)
    with pytest.raises(ValueError, match="open= is needed"):
        _core.profit_of_rows(*five, held, each, each, fills - np.uint8(3), 0, 0.0)
    with pytest.raises(ValueError, match=r"close must be \[row, day\]: got shape \(6,\)"):
        _core.profit_of_rows(*[rows[0]] * 5, held, each, each, fills, 0, 0.0)
    with pytest.raises(ValueError, match="shapes differ: close has"):
        _core.profit_of_rows(rows, rows[:2], *[rows] * 3, held, each, each, fills, 0, 0.0)
    with pytest.raises(ValueError, match=r"position must be \[position, row, day\]"):
        _core.profit_of_rows(*five, rows, each, each, fills, 0, 0.0)
    with pytest.raises(ValueError, match="offsets must be finite"):
        _core.profit_of_rows(*five, held, each + np.nan, each, fills, 0, 0.0)


def test_takes_views_lists_and_float64() -> None:
    days = random_days(np.random.default_rng(2), 64)
    expected = ms.profit(**{name: value[::2].copy() for name, value in days.items()})
    np.testing.assert_array_equal(ms.profit(**{n: v[::2] for n, v in days.items()}), expected)
    as_lists = {name: value[::2].tolist() for name, value in days.items()}
    np.testing.assert_array_equal(ms.profit(**as_lists), expected)
    as_double = {name: value[::2].astype(np.float64) for name, value in days.items()}
    np.testing.assert_array_equal(ms.profit(**as_double), expected)


def test_same_bits_for_any_thread_count(threads: None) -> None:
    days = random_days(np.random.default_rng(3), 3000)
    offsets = np.random.default_rng(4).normal(0.0, 0.01, (2, 1501)).astype(np.float32)
    digests = set()
    for count in (1, 2, 5):
        _core.set_thread_limit(count)
        result = ms.profit(**days, high_offset=offsets[0], low_offset=offsets[1], fill="open_aware")
        digests.add(hashlib.sha256(result).hexdigest())
    assert len(digests) == 1


def test_errors_say_got_and_expected() -> None:
    days = random_days(np.random.default_rng(0), 5)
    with pytest.raises(ArgumentError, match=r"lengths differ: close has 5, low has 4"):
        ms.profit(**(days | {"low": days["low"][:4]}))
    with pytest.raises(ArgumentError, match=r"shapes differ: close has \(5,\), high has \(1, 5\)"):
        ms.profit(**(days | {"high": days["high"][None]}))
    with pytest.raises(ArgumentError, match=r"shapes differ: close has \(5, 1\), high has"):
        ms.profit(**(days | {"close": days["close"][:, None]}))
    with pytest.raises(ArgumentError, match=r"close must be 1-D.*\(5, 1, 1\)"):
        ms.profit(**(days | {"close": days["close"][:, None, None]}))
    with pytest.raises(ArgumentError, match="high_offset has 2, low_offset has 3"):
        ms.profit(**days, high_offset=[0, 0], low_offset=[0, 0, 0])
    with pytest.raises(ArgumentError, match="low_offset must be finite: element 1"):
        ms.profit(**days, low_offset=[0.0, np.nan])
    with pytest.raises(ArgumentError, match="1-D"):
        ms.profit(**days, low_offset=[[0.0]])
    with pytest.raises(UnknownNameError, match="optimistic, open_aware, close_only$"):
        ms.profit(**days, fill="best")
    with pytest.raises(UnknownNameError, match="per_entry, touched_both"):
        ms.profit(**days, fee_rule="flat")
    with pytest.raises(ArgumentError, match="belongs to the legacy formulas"):
        ms.profit(**days, fee_rule="per_entry")
    with pytest.raises(ArgumentError, match="legacy' takes no open=: give open=None"):
        ms.profit(**days, fill="legacy")
    with pytest.raises(ArgumentError, match="legacy' takes no costs="):
        ms.profit(**(days | {"open": None}), fill="legacy", costs=(0, 0, 0))


def test_the_old_name_of_open_aware_warns() -> None:
    days = random_days(np.random.default_rng(0), 50)
    with pytest.warns(FutureWarning, match='former name of "open_aware"'):
        found = ms.profit(**days, fill="pessimistic")
    assert_array_equal(found, ms.profit(**days))


@pytest.mark.parametrize("fill", rules.FILLS)
def test_without_opens_profit_is_the_bound_over_every_open(fill) -> None:
    rng = np.random.default_rng(5)
    word = "upper" if fill == "optimistic" else "lower"
    for kind in range(3):
        days = awkward_days(rng, 400, kind) | {"open": None}
        with pytest.warns(ms.MissingOpenWarning, match=word):
            bound = ms.profit(**days, fill=fill)
        shares = np.linspace(0.0, 1.0, 21, dtype=np.float32)[:, None]
        low, high = days["low"], days["high"]
        opens = np.clip(low + shares * (high - low), low, high)
        each = np.stack([ms.profit(**(days | {"open": o}), fill=fill) for o in opens])
        extreme = each.max(axis=0) if fill == "optimistic" else each.min(axis=0)
        assert_allclose(bound, extreme, atol=4e-9, rtol=0)  # opens are rounded as well


@pytest.mark.parametrize("costs", [(), (0.0, 0.0), 0.1, "abc", (0.0, np.nan, 0.0), (0, 0, np.inf)])
def test_costs_are_three_finite_rates(costs) -> None:
    days = random_days(np.random.default_rng(0), 5)
    with pytest.raises(ArgumentError, match="of costs must be a finite|costs must be \\(entry,"):
        ms.profit(**days, costs=costs)
    with pytest.raises(ArgumentError, match="give fee= or costs=, not both"):
        ms.profit(**days, fee=0.001, costs=(0, 0, 0))


def test_a_level_that_is_no_price_is_an_error(backend: Backend) -> None:
    days = random_days(np.random.default_rng(0), 40)
    days["low_pred"][7] = -0.98
    for name in ("profit", "profit_sums"):
        function = getattr(backend, name)
        function(**days, low_offset=-0.015)
        if backend.tensors:
            continue  # a tensor's values are not looked at
        with pytest.raises(ArgumentError, match=r"limit must be a price.*low_pred.*on day 7"):
            function(**days, low_offset=[0.0, -0.02])
        idle = days | {"position": np.where(np.arange(40) == 7, 0, days["position"])}
        function(**idle, low_offset=[0.0, -0.02])
    if not backend.tensors:
        with pytest.raises(ArgumentError, match=r"limit must be a price.*on day 7"):
            backend.best_offsets(**days)
    assert backend.best_offsets(**days, bounds=((-0.03, 0.03), (-0.01, 0.03))).profit > 0
    legacy = fitting(days, {"fill": "legacy"})
    backend.profit(**legacy, low_offset=[0.0, -0.02], fill="legacy")  # clamped, as it always was
