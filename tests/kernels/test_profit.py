from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from backends import FEW_BACKENDS, Backend, on_backend
from hypothesis import given
from hypothesis import strategies as st
from problems import KINDS, NAMES, awkward_days, drawn_days, random_days

import marketsim as ms
from marketsim import _core
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels import rules
from marketsim.kernels.profit import fills
from marketsim.kernels.reference import profit_reference

RULES = [
    (fill, fee_rule, fee)
    for fill in rules.FILLS
    for fee_rule, fee in (("per_entry", 0.0), ("per_entry", 0.0005), ("touched_both", 0.003))
]


def one_day(
    backend: Backend,
    fill: str,
    position: float,
    *,
    open: float = 0.0,
    fee: float = 0.0,
    **day: float,
) -> float:
    """Profit of a single day; levels high_pred and low_pred, no offsets."""
    values = {"close": 0.0, "high": 0.03, "low": -0.03, "high_pred": 0.02, "low_pred": -0.01} | day
    arrays = {name: [value] for name, value in values.items()}
    found = backend.profit(**arrays, position=[position], open=[open], fill=fill, fee=fee)
    return float(found[0])


# The written contract, by hand. Entry of a long at -1 %, exit at +2 %; a short the other way round.
@pytest.mark.parametrize(
    ("fill", "position", "day", "expected"),
    [
        ("optimistic", 1, {"close": 0.005}, 0.03),  # touched both: leaves at the limit
        ("pessimistic", 1, {"close": 0.005}, 0.015),  # order unknown: leaves at the close
        ("pessimistic", 1, {"close": 0.025}, 0.03),  # the close proves the exit
        ("open_aware", 1, {"close": 0.005, "open": 0.0}, 0.015),
        ("open_aware", 1, {"close": 0.005, "open": -0.02}, 0.04),  # entered at the open
        ("open_aware", 1, {"close": 0.005, "open": -0.01}, 0.03),  # open exactly at the limit
        ("close_only", 1, {"close": 0.025}, 0.035),
        ("optimistic", 1, {"close": 0.005, "low": -0.01}, 0.0),  # touching the limit does not enter
        ("optimistic", 1, {"close": 0.005, "high": 0.02}, 0.03),  # touching the exit does leave
        ("optimistic", 1, {"close": 0.005, "high": 0.019}, 0.015),
        ("optimistic", -1, {"close": 0.005}, 0.03),
        ("pessimistic", -1, {"close": 0.005}, 0.015),
        ("pessimistic", -1, {"close": -0.02}, 0.03),
        ("open_aware", -1, {"close": 0.005, "open": 0.025}, 0.035),
        ("close_only", -1, {"close": -0.02}, 0.04),
        ("optimistic", -1, {"close": 0.005, "high": 0.02}, 0.0),
        ("optimistic", -1, {"close": 0.005, "low": -0.01}, 0.03),
        ("optimistic", 0, {"close": 0.005}, 0.0),
        ("optimistic", 25, {"close": 0.005}, 0.3),  # a position is cut to 10
        ("optimistic", 1, {"high_pred": -0.5, "close": -0.02}, 0.01),  # H is not below 0
        ("optimistic", 1, {"low_pred": 0.5, "low": -0.03}, 0.02),  # L is not above 0
    ],
)
def test_written_contract(
    backend: Backend, fill: str, position: float, day: dict[str, float], expected: float
) -> None:
    assert one_day(backend, fill, position, **day) == pytest.approx(expected, abs=1e-8, rel=1e-6)


def test_fee_rules_by_hand(backend: Backend) -> None:
    days = {
        "close": [0.0],
        "high": [0.02],
        "low": [-0.03],
        "high_pred": [0.02],
        "low_pred": [-0.01],
    }
    # A long that leaves at exactly the high pays nothing under touched_both: H < high is false.
    per_entry = backend.profit(**days, position=[2.0], fee=0.001)
    touched = backend.profit(**days, position=[2.0], fee=0.001, fee_rule="touched_both")
    assert per_entry[0] == pytest.approx(0.06 - 0.002, abs=1e-8, rel=1e-6)
    assert touched[0] == pytest.approx(0.06, abs=1e-8, rel=1e-6)
    # close_only charges where either level was touched, entered or not.
    either = backend.profit(
        close=[0.0], high=[0.03], low=[-0.001], high_pred=[0.02], low_pred=[-0.01], position=[1.0],
        fee=0.001, fee_rule="touched_both", fill="close_only",
    )  # fmt: skip
    assert either[0] == pytest.approx(-0.001, abs=1e-9)


@pytest.mark.parametrize(("fill", "fee_rule", "fee"), RULES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 7, 16, 33])
def test_equals_reference(
    backend: Backend, fill: str, fee_rule: str, fee: float, kind: int, count: int
) -> None:
    rng = np.random.default_rng([count, kind])
    days = awkward_days(rng, count, kind)
    offsets = np.round(rng.normal(0.0, 0.01, (2, 6)), 3 if kind in (1, 2) else 9).astype(np.float32)
    options = {"fee": fee, "fee_rule": fee_rule, "fill": fill}
    got = backend.profit(**days, high_offset=offsets[0], low_offset=offsets[1], **options)
    expected = [
        profit_reference(**days, high_offset=h, low_offset=low, **options) for h, low in offsets.T
    ]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


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
    fill, fee_rule, fee = rule
    high, low = np.array(offsets, dtype=np.float32).T
    options = {"fill": fill, "fee_rule": fee_rule, "fee": fee}
    with on_backend(isa_name if name == "cpu" else name) as backend:
        got = backend.profit(**days, high_offset=high, low_offset=low, **options)
    expected = [
        profit_reference(**days, high_offset=h, low_offset=v, **options)
        for h, v in zip(high, low, strict=True)
    ]
    np.testing.assert_array_equal(got, np.reshape(expected, got.shape))


@given(days=drawn_days(max_days=20))
def test_pessimistic_is_never_above_optimistic(days) -> None:
    pessimistic = ms.profit(**days, fill="pessimistic")
    optimistic = ms.profit(**days, fill="optimistic")
    enclosed = (days["low"] <= days["close"]) & (days["close"] <= days["high"])
    below = ~(pessimistic > optimistic)  # a NaN from inf - inf compares as not above
    assert below[enclosed].all()


def test_rounds_once_to_float32() -> None:
    # Each step of one long in exact arithmetic, rounded to float32 by hand.
    rng = np.random.default_rng(5)
    days = random_days(rng, 200)
    days["position"] = np.abs(rng.normal(1.0, 0.5, 200)).astype(np.float32)
    h, low = np.float32(0.00123), np.float32(-0.00077)
    got = ms.profit(**days, high_offset=h, low_offset=low, fee=0.0007)

    def r32(value: Fraction) -> np.float32:
        return np.float32(float(value))  # float64 holds these sums and products of float32 exactly

    for t in range(200):
        c, a, b, p, q, s = (Fraction(float(days[name][t])) for name in NAMES[:6])
        sell = min(max(float(r32(p + Fraction(float(h)))), 0.0), 10.0)
        buy = min(max(float(r32(q + Fraction(float(low)))), -1.0), 0.0)
        expected = np.float32(0.0)
        if buy > b:
            leave = Fraction(sell) if sell <= a else c
            gross = r32(s * Fraction(float(r32(leave - Fraction(buy)))))
            fee = r32(Fraction(float(np.float32(0.0007))) * s)
            expected = r32(Fraction(float(gross)) - Fraction(float(fee)))
        assert got[t] == expected


@pytest.mark.parametrize(("fill", "fee_rule", "fee"), RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_fills_sum_to_profit(fill: str, fee_rule: str, fee: float, kind: int) -> None:
    days = awkward_days(np.random.default_rng(kind), 300, kind)
    options = {"fee": fee, "fee_rule": fee_rule, "fill": fill}
    found = fills(**days, **options)
    np.testing.assert_array_equal(found.gross - found.fee, ms.profit(**days, **options))


def test_fill_flags_by_hand() -> None:
    def flags(fill: str, position: float, **day: float) -> int:
        values = {"close": 0.0, "high": 0.03, "low": -0.03, "high_pred": 0.02, "low_pred": -0.01}
        arrays = {name: [value] for name, value in (values | day).items() if name != "open"}
        return int(
            fills(**arrays, position=[position], open=[day.get("open", 0.0)], fill=fill).flags[0]
        )

    long_in, long_out = rules.LONG_ENTERED, rules.LONG_EXITED
    short_in, short_out = rules.SHORT_ENTERED, rules.SHORT_EXITED
    doubt, at_open = rules.AMBIGUOUS, rules.OPEN_FILLED
    assert flags("optimistic", 1) == long_in | long_out | doubt
    assert flags("optimistic", 1, open=-0.02) == long_in | long_out  # the open settles the order
    assert flags("pessimistic", 1) == long_in | doubt
    assert flags("pessimistic", 1, close=0.025) == long_in | long_out
    assert flags("open_aware", 1) == long_in | doubt
    assert flags("open_aware", 1, open=-0.02) == long_in | long_out | at_open
    assert flags("close_only", 1) == long_in
    assert flags("optimistic", 1, low=-0.005) == 0
    assert flags("optimistic", -1) == short_in | short_out | doubt
    assert flags("open_aware", -1, open=0.025) == short_in | short_out | at_open
    assert flags("pessimistic", -1, high=0.02) == 0
    assert flags("optimistic", 0) == 0
    assert flags("optimistic", np.nan) == 0


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
    fills = rng.choice(["optimistic", "pessimistic", "close_only"], (3, count))
    codes = np.array([rules.fill_code(fill) for fill in fills.ravel()], dtype=np.uint8)
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
            fee=0.0005,
            fee_rule="touched_both",
            fill=str(fills[pair, row]),
        )
        np.testing.assert_array_equal(made[pair, position, row], alone)


def test_rows_need_offsets_each() -> None:
    rows = np.zeros((3, 6), dtype=np.float32)
    held, five = rows[None], [rows] * 5
    each, two = np.zeros((1, 3), dtype=np.float32), np.zeros((1, 2), dtype=np.float32)
    fills = np.zeros((1, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"high_offset must be \[pair, row\], .* and 3 rows: got"):
        _core.profit_of_rows(*five, held, two, each, fills, 0, 0.0)
    with pytest.raises(ValueError, match=r"fill must be \[pair, row\]"):
        _core.profit_of_rows(*five, held, each, each, fills.repeat(2, 0), 0, 0.0)
    with pytest.raises(ValueError, match="fill: expected 0, 1, 2 or 3"):
        _core.profit_of_rows(*five, held, each, each, fills + np.uint8(4), 0, 0.0)
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
    with pytest.raises(UnknownNameError, match="optimistic, pessimistic, open_aware, close_only"):
        ms.profit(**days, fill="best")
    with pytest.raises(UnknownNameError, match="per_entry, touched_both"):
        ms.profit(**days, fee_rule="flat")
    with pytest.raises(ArgumentError, match="5 basis points are 0.0005"):
        ms.profit(**days, fee=5)
    with pytest.raises(ArgumentError, match="fee"):
        ms.profit(**days, fee=-0.1)
    with pytest.raises(ArgumentError, match="needs open="):
        ms.profit(**{n: v for n, v in days.items() if n != "open"}, fill="open_aware")
