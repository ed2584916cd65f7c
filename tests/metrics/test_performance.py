from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from performance_reference import reference_figures

from marketsim import _core
from marketsim.kernels import performance as kernels
from marketsim.metrics import (
    account_returns,
    least_bars,
    performance,
    rolling_sharpe,
    windowed_performance,
)
from marketsim.metrics.performance import ANNUALISED

RNG = np.random.default_rng(0)

# Returns that meet: gains, losses, nothing, a ruin, and equal values.
MOVES = st.sampled_from([-2.0, -1.0, -0.5, -0.1, -0.02, 0.0, 0.0, 0.01, 0.01, 0.25, 1.0])


@given(
    st.lists(
        st.tuples(MOVES, st.booleans(), st.sampled_from([0.0, 0.01])), min_size=1, max_size=40
    ),
    st.booleans(),
    st.sampled_from([0.05, 0.3, 0.99]),
)
def test_the_kernel_equals_the_reference(
    days: list[tuple[float, bool, float]], has_rate: bool, tail: float
) -> None:
    net, active, rate = (list(column) for column in zip(*days, strict=True))
    free = rate if has_rate else None
    raw = kernels.row_performance(
        np.array([net]), np.array([active]), tail, None if free is None else np.array(free)
    )[0]
    got = dict(zip(kernels.FIGURES[:-3], raw[:-3], strict=True))  # without positions
    expected = reference_figures(net, active, free, tail)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)
    window = kernels.window_performance(
        np.array([[9.0, *net]]),
        np.array([[True, *active]]),
        np.array([1]),
        len(net),
        None if free is None else np.array([0.5, *free]),
    )
    np.testing.assert_array_equal(window[0, 0], raw[: len(kernels.WINDOW_FIGURES)])


def test_long_random_rows_equal_the_reference() -> None:
    net = RNG.standard_t(4, (3, 2500)) * 0.01
    active = RNG.random(net.shape) < 0.7
    rate = RNG.random(2500) * 1e-4
    raw = kernels.row_performance(net, active, 0.05, rate)
    for row in range(2):
        expected = reference_figures(
            net[row, :500].tolist(), active[row, :500].tolist(), rate[:500].tolist(), 0.05
        )
        short = kernels.row_performance(
            net[:, :500].copy(), active[:, :500].copy(), 0.05, rate[:500]
        )
        got = dict(zip(kernels.FIGURES[:-3], short[row, :-3], strict=True))
        assert got == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert raw[:, kernels.FIGURES.index("value_at_risk")] == pytest.approx(
        np.quantile(net, 0.05, axis=1), rel=1e-14
    )


def test_batch_and_threads_do_not_change_a_bit() -> None:
    net = RNG.normal(0.0, 0.02, (50, 700))
    active = np.ones(net.shape, dtype=bool)
    rate, market = np.full(700, 1e-4), RNG.normal(0, 0.01, 700)
    calls = (
        lambda n, a: kernels.row_performance(n, a, 0.05, rate),
        lambda n, a: kernels.benchmark_performance(n, market, rate),
        lambda n, a: kernels.rolling_sharpe(n, 63, rate),
        lambda n, a: kernels.window_performance(n, a, np.arange(0, 600, 7), 60).swapaxes(0, 1),
    )
    for call in calls:
        whole = call(net, active)
        _core.set_thread_limit(1)
        try:
            np.testing.assert_array_equal(whole, call(net, active))
        finally:
            _core.set_thread_limit(0)
        np.testing.assert_array_equal(whole[7:9], call(net[7:9].copy(), active[7:9].copy()))


def test_figures_by_hand() -> None:
    got = performance([0.5, -0.2, 0.0, 0.25, -0.5], periods_per_year=252)
    assert got.total_return == pytest.approx(-0.25)
    assert got.mean_return == pytest.approx(0.01)
    # equity 1.5, 1.2, 1.2, 1.5, 0.75: half is lost on the last bar; three bars to recover before.
    assert (got.max_drawdown, got.peak_bar, got.trough_bar) == (0.5, 3.0, 4.0)
    assert got.longest_drawdown == 3.0
    assert math.isnan(got.recovery)
    assert (got.best, got.best_bar, got.worst, got.worst_bar) == (0.5, 0.0, -0.5, 4.0)
    assert got.profit_factor == pytest.approx(0.75 / 0.7)
    assert got.average_win == pytest.approx(0.375)
    assert got.average_loss == pytest.approx(-0.35)
    assert got.hit_rate == pytest.approx(0.4)
    early = performance([-0.5, 1.0, 0.1], periods_per_year=252)
    assert (early.peak_bar, early.trough_bar, early.recovery) == (-1.0, 0.0, 1.0)


def test_annualised_figures_are_those_of_their_formulas() -> None:
    net = RNG.normal(0.001, 0.01, 250)
    market = RNG.normal(0.0005, 0.01, 250)
    got = performance(net, periods_per_year=252, benchmark=market, risk_free=0.03)
    free = 1.03 ** (1 / 252) - 1
    excess = net - free
    drag = math.sqrt(np.mean(np.minimum(excess, 0) ** 2))
    cov = np.cov(excess, market - free)
    apart = net - market
    expected = {
        "annual_return": np.prod(1 + net) ** (252 / 250) - 1,
        "volatility": net.std(ddof=1) * 252**0.5,
        "sharpe": excess.mean() / excess.std(ddof=1) * 252**0.5,
        "sortino": excess.mean() / drag * 252**0.5,
        "calmar": (np.prod(1 + net) ** (252 / 250) - 1) / got.max_drawdown,
        "beta": cov[0, 1] / cov[1, 1],
        "alpha": (excess.mean() - cov[0, 1] / cov[1, 1] * (market - free).mean()) * 252,
        "correlation": np.corrcoef(net, market)[0, 1],
        "tracking_error": apart.std(ddof=1) * 252**0.5,
        "information_ratio": apart.mean() / apart.std(ddof=1) * 252**0.5,
    }
    assert {name: getattr(got, name) for name in expected} == pytest.approx(expected, rel=1e-10)
    per_bar = performance(net, periods_per_year=252, risk_free=np.full(250, free))
    assert per_bar.sharpe == pytest.approx(got.sharpe, rel=1e-12)


def test_a_benchmark_against_itself() -> None:
    market = RNG.normal(0.0005, 0.01, 250)
    got = performance(market, periods_per_year=252, benchmark=market)
    assert (got.beta, got.correlation) == pytest.approx((1.0, 1.0), rel=1e-14)
    assert got.alpha == pytest.approx(0.0, abs=1e-15)
    assert got.tracking_error == 0.0
    assert math.isnan(got.information_ratio)
    flat = performance(market, periods_per_year=252, benchmark=np.full(250, 0.001))
    assert math.isnan(flat.beta) and math.isnan(flat.alpha)


def test_ruin_ends_the_strategy() -> None:
    net = np.r_[-1.0, np.tile([0.02, 0.03], 100)]
    account = np.r_[-1.0, np.zeros(200)]
    got = performance(net, periods_per_year=252)
    assert got.sharpe == pytest.approx(account.mean() / account.std(ddof=1) * 252**0.5, rel=1e-12)
    assert (got.total_return, got.annual_return, got.max_drawdown) == (-1.0, -1.0, 1.0)
    assert (got.hit_rate, got.active_days, got.ruin_bar) == (0.0, 1.0, 0.0)
    assert (got.exposure, got.longest_drawdown) == (1.0, 1.0)
    beyond = performance(np.r_[0.5, -7.0, 0.3, 0.3], periods_per_year=252)
    capped = performance(np.r_[0.5, -1.0, 0.0, 0.0], periods_per_year=252)
    assert beyond == pytest.approx(capped, nan_ok=True)
    returns, bars = account_returns(np.array([[0.5, -7.0, 0.3], [0.1, 0.1, -0.99]]))
    assert returns.tolist() == [[0.5, -1.0, 0.0], [0.1, 0.1, -0.99]]
    assert bars.tolist() == [1, -1]


def test_account_returns_leave_their_argument_alone() -> None:
    net = np.array([[0.1, -1.5, 0.2], [0.1, 0.2, 0.3]])
    before = net.copy()
    account_returns(net).returns[:] = 9.0
    account_returns(net[1:]).returns[:] = 9.0
    np.testing.assert_array_equal(net, before)


def test_short_spans_are_not_annualised() -> None:
    net = RNG.normal(0.001, 0.01, 20)
    enough, short = (
        performance(net[:n], periods_per_year=252, benchmark=net[:n] * 2) for n in (20, 19)
    )
    for name in ANNUALISED:
        if name not in ("turnover", "information_ratio"):
            assert math.isfinite(getattr(enough, name)), name
        assert math.isnan(getattr(short, name)), name
    assert short.reasons()["sharpe"] == "19 bars are too short a span to annualise"
    assert "sharpe" not in enough.reasons()
    assert math.isfinite(short.total_return) and math.isfinite(short.max_drawdown)
    windows = windowed_performance(
        net[None], np.ones((1, 20), bool), np.array([0, 13]), 7, periods_per_year=252
    )
    assert np.isnan(windows.sharpe).all() and np.isnan(windows.annual_return).all()
    assert np.isfinite(windows.total_return).all()


@pytest.mark.parametrize(
    ("periods", "sessions", "expected"),
    [
        (252, None, 20),
        (365, None, 20),
        (98280, None, 7800),
        (525600, 365, 28800),
        (52, None, 13),
        (12, None, 3),
        (4, None, 1),
        (1764, 252, 140),
    ],
)
def test_the_least_span_that_is_annualised(periods: float, sessions: float, expected: int) -> None:
    assert least_bars(periods, sessions) == expected


def test_figures_without_meaning_are_nan_and_say_why() -> None:
    constant = performance(np.full(50, 0.001), periods_per_year=252)
    assert math.isnan(constant.sharpe) and math.isnan(constant.skew)
    assert constant.volatility == pytest.approx(0.0, abs=1e-15)
    why = constant.reasons()
    assert why["sharpe"] == "the returns do not vary"
    assert why["sortino"] == "no return below the risk-free rate"
    assert why["profit_factor"] == "no bar with a loss"
    assert why["calmar"] == "the equity never fell below a peak"
    idle = performance(np.zeros(50), periods_per_year=252, position=np.zeros(50))
    assert (idle.total_return, idle.exposure, idle.max_leverage) == (0.0, 0.0, 0.0)
    assert idle.reasons()["hit_rate"] == "no bar in the market"
    single = performance([0.01], periods_per_year=252)
    assert math.isnan(single.volatility) and single.total_return == pytest.approx(0.01)
    assert single.reasons()["skew"] == "a single bar"
    named = {name for name, value in single._asdict().items() if math.isnan(value)}
    assert set(single.reasons()) == named


def test_exposure_leverage_and_turnover() -> None:
    position = np.array([0.0, 2.0, -1.0, 0.0] * 10)
    traded = np.array([0.0, 2.0, 3.0, 1.0] * 10)
    net = np.zeros(40)
    got = performance(net, periods_per_year=252, position=position, traded=traded)
    assert (got.exposure, got.active_days) == (0.5, 20.0)
    assert (got.mean_leverage, got.max_leverage) == (0.75, 2.0)
    assert got.turnover == pytest.approx(1.5 * 252)
    # After a ruin nothing is held or traded.
    net[1] = -1.0
    lost = performance(net, periods_per_year=252, position=position, traded=traded)
    assert (lost.mean_leverage, lost.turnover) == (1.0, pytest.approx(252.0))


def test_many_strategies_equal_one_by_one() -> None:
    net = RNG.normal(0.0, 0.02, (4, 100))
    position = RNG.choice([-1.0, 0.0, 1.0], (4, 100))
    market = RNG.normal(0.0, 0.01, 100)
    together = performance(net, periods_per_year=365, position=position, benchmark=market)
    for row in range(4):
        alone = performance(
            net[row], periods_per_year=365, position=position[row], benchmark=market
        )
        np.testing.assert_array_equal([value[row] for value in together], list(alone))
    assert together.reasons(3) == alone.reasons()


def test_annualisation_is_explicit() -> None:
    net = RNG.normal(0.001, 0.01, 100)
    daily, crypto = (performance(net, periods_per_year=p) for p in (252.0, 365.0))
    assert crypto.sharpe / daily.sharpe == pytest.approx(math.sqrt(365 / 252))
    assert 1 + daily.annual_return == pytest.approx((1 + daily.total_return) ** 2.52)


def test_sharpe_error_matches_the_spread_of_estimates() -> None:
    samples = np.random.default_rng(1).standard_t(6, (4000, 250)) * 0.01 + 0.002
    found = performance(samples, periods_per_year=1000)
    assert found.sharpe_error.mean() == pytest.approx(found.sharpe.std(), rel=0.06)


def test_rolling_sharpe_by_numpy() -> None:
    net = RNG.normal(0.0, 0.01, (2, 300))
    net[1, 100:200] = 0.002  # no variation in whole windows
    for window in (2, 21, 63, 299, 300):
        got = rolling_sharpe(net, window, periods_per_year=252)
        views = np.lib.stride_tricks.sliding_window_view(net, window, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = views.mean(axis=2) / views.std(axis=2, ddof=1) * 252**0.5
        constant = np.ptp(views, axis=2) == 0
        assert np.isnan(got[:, : window - 1]).all()
        np.testing.assert_array_equal(np.isnan(got[:, window - 1 :]), constant)
        np.testing.assert_allclose(got[:, window - 1 :][~constant], expected[~constant], rtol=1e-9)
    assert np.isnan(rolling_sharpe(net, 301, periods_per_year=252)).all()


def test_rolling_sharpe_is_exact_after_a_shock() -> None:
    net = RNG.normal(0.0, 1e-6, 400)
    net[100] = 50.0
    got = rolling_sharpe(net, 20, periods_per_year=1)
    calm = net[379:399]
    assert got[398] == pytest.approx(calm.mean() / calm.std(ddof=1), rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": []}, r"at least one bar: got shape \(0,\)"),
        ({"net": [0.1, np.nan]}, "must be finite: got nan at strategy 0, bar 1"),
        ({"net": ["a"]}, "must be numbers"),
        ({"net": [0.1], "periods_per_year": 0}, "periods_per_year must be above 0"),
        ({"net": [0.1], "periods_per_year": math.inf}, "above 0 and finite"),
        ({"net": [0.1], "risk_free": -1.0}, "yearly rate above -1"),
        ({"net": [0.1], "risk_free": [0.1, 0.2]}, r"\[bar\] with 1 finite returns"),
        ({"net": [0.1], "benchmark": [0.1, 0.2]}, r"\[bar\] with 1 returns"),
        ({"net": [0.1], "position": [1.0, 2.0]}, "position must have the shape"),
        ({"net": [0.1], "traded": [-1.0]}, "traded must not be negative"),
        ({"net": [0.1], "active": [1.0]}, "active must be booleans"),
        ({"net": [0.1], "sessions_per_year": 0, "periods_per_year": 5000}, "sessions_per_year"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        performance(**{"periods_per_year": 252, **arguments})


def test_bad_windows() -> None:
    net, active = np.zeros((1, 10)), np.ones((1, 10), dtype=bool)
    for starts, length in (([4], 7), ([-1], 2), ([0], 0)):
        with pytest.raises(ValueError, match=r"windows of|at least 1"):
            windowed_performance(net, active, np.array(starts), length, 252)
    for window in (1, 2.5, True):
        with pytest.raises(ValueError, match="at least 2 bars"):
            rolling_sharpe([0.1, 0.2], window, periods_per_year=252)


def test_windows_are_annualised_as_whole_spans() -> None:
    """Windows long enough to be annualised have the figures of their bars alone."""
    rng = np.random.default_rng(12)
    net, active = rng.normal(0.001, 0.01, (2, 90)), rng.random((2, 90)) < 0.7
    starts, length = np.array([0, 13, 50]), 40
    windows = windowed_performance(net, active, starts, length, 252)
    shared = [name for name in windows._fields if name != "std_return"]
    for i, start in enumerate(starts):
        part = slice(start, start + length)
        whole = performance(net[:, part], periods_per_year=252, active=active[:, part])
        for name in shared:
            np.testing.assert_array_equal(getattr(windows, name)[i], getattr(whole, name), name)
        assert np.isfinite(windows.volatility[i]).all()
