from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.metrics import align_benchmark, period_returns

RNG = np.random.default_rng(3)


def test_months_and_years_by_pandas() -> None:
    index = pd.bdate_range("2019-11-05", periods=600, tz="America/New_York")
    net = RNG.normal(0.0, 0.02, (2, 600))
    for period, rule in (("month", "MS"), ("year", "YS")):
        got = period_returns(net, index, period)
        frame = pd.DataFrame(net.T, index=index.tz_localize(None))
        expected = (1 + frame).resample(rule).prod() - 1
        np.testing.assert_allclose(got.returns, expected.to_numpy().T, rtol=1e-12)
        np.testing.assert_array_equal(got.periods, expected.index.to_numpy("datetime64[D]"))
        np.testing.assert_array_equal(got.bars, frame[0].resample(rule).count())
    total = np.prod(1 + period_returns(net, index).returns, axis=1)
    np.testing.assert_allclose(total, np.prod(1 + net, axis=1), rtol=1e-12)


def test_the_clock_of_the_bars_decides_the_month() -> None:
    times = pd.DatetimeIndex(["2024-01-31 20:00", "2024-02-01 20:00"], tz="America/New_York")
    got = period_returns([0.1, 0.2], times)  # in UTC both lie in February
    assert got.bars.tolist() == [1, 1]


def test_a_ruined_account_has_no_later_months() -> None:
    days = np.array(["2024-01-30", "2024-02-28", "2024-03-28"], dtype="datetime64[D]")
    assert period_returns([0.5, -3.0, 9.0], days).returns.tolist() == [[0.5, -1.0, 0.0]]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-02", "2024-01-01"], "ascend"),
        (["2024-01-02", "NaT"], "missing"),
        (["2024-01-02"], "one for each of the 2 bars"),
    ],
)
def test_times_that_cannot_be(times: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        period_returns([0.1, 0.2], np.array(times, dtype="datetime64[D]"))
    with pytest.raises(ValueError, match="month"):
        period_returns([0.1], np.array(["2024-01-02"], dtype="datetime64[D]"), "week")
    with pytest.raises(ValueError, match="datetime64"):
        period_returns([0.1], [1.0])


def test_a_benchmark_is_aligned_by_day() -> None:
    index = pd.date_range("2024-01-01", periods=5, tz="UTC")
    market = pd.Series(np.arange(7) / 100, index=pd.date_range("2023-12-31", periods=7))
    np.testing.assert_array_equal(align_benchmark(market, index), np.arange(1, 6) / 100)
    hours = pd.date_range("2024-01-01", periods=5, freq="h", tz="UTC")
    same = pd.Series(np.arange(5) / 100, index=hours.tz_convert("Asia/Tokyo"))
    np.testing.assert_array_equal(align_benchmark(same, hours), np.arange(5) / 100)


def test_a_benchmark_that_does_not_fit_is_refused() -> None:
    index = pd.date_range("2024-01-01", periods=5)
    values = np.zeros(5)
    with pytest.raises(ValueError, match="does not overlap with the bars: it covers 2020-01-01"):
        align_benchmark(pd.Series(values, index=pd.date_range("2020-01-01", periods=5)), index)
    with pytest.raises(ValueError, match=r"no return for 2 of 5 bars, first 2024-01-04"):
        align_benchmark(pd.Series(values[:3], index=index[:3]), index)
    with pytest.raises(ValueError, match="one return for each date: got 2024-01-01 .* twice"):
        align_benchmark(pd.Series(values, index=[*index[:4], index[0]]), index)
    with pytest.raises(ValueError, match="finite"):
        align_benchmark(pd.Series(np.full(5, np.nan), index=index), index)
    with pytest.raises(ValueError, match="DatetimeIndex"):
        align_benchmark(pd.Series(values), index)
