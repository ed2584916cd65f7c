from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.kernels.loops import METRICS, shutdown_positions, window_metrics, window_sums
from marketsim.metrics import performance

RNG = np.random.default_rng(0)


def cases() -> dict[str, np.ndarray]:
    return {
        "random": RNG.normal(0.001, 0.01, (3, 60)),
        "constant": np.full((2, 60), 0.001),
        "zero": np.zeros((2, 60)),
        "ruin": np.where(np.arange(60) == 30, -1.5, 0.01) * np.ones((2, 1)),
        "tiny": RNG.normal(0.0, 1e-12, (2, 60)),
        "huge": RNG.normal(0.0, 1e3, (2, 60)),
    }


@pytest.mark.parametrize("name", list(cases()))
@pytest.mark.parametrize("length", [1, 2, 7, 60])
def test_compiled_loops_equal_python(name: str, length: int) -> None:
    net = cases()[name]
    active = RNG.random(net.shape) < 0.7
    starts = np.arange(0, 60 - length + 1, 3)
    compiled = window_metrics(net, active, starts, length)
    with np.errstate(all="ignore"):
        plain = window_metrics.py_func(net, active, starts, length)
    np.testing.assert_allclose(compiled, plain, rtol=1e-13)
    fields = np.stack([net, np.where(active, net, np.nan)])
    np.testing.assert_array_equal(
        window_sums(fields, starts, length), window_sums.py_func(fields, starts, length)
    )


def test_metrics_by_pandas() -> None:
    net = RNG.normal(0.001, 0.02, (1, 250))
    active = np.ones(net.shape, dtype=bool)
    got = dict(zip(METRICS, window_metrics(net, active, np.array([0]), 250)[0, 0], strict=True))
    series = pd.Series(net[0])
    equity = (1 + series).cumprod()
    peak = np.maximum.accumulate(np.append(1.0, equity))[1:]
    sharpe = series.mean() / series.std()
    n = len(series)
    skew = ((series - series.mean()) ** 3).mean() / series.std(ddof=0) ** 3
    kurtosis = ((series - series.mean()) ** 4).mean() / series.std(ddof=0) ** 4
    expected = {
        "total_return": equity.iloc[-1] - 1,
        "mean_return": series.mean(),
        "std_return": series.std(),
        "sharpe": sharpe,
        "sharpe_error": np.sqrt(
            (1 + sharpe**2 / 2 - skew * sharpe + (kurtosis - 3) / 4 * sharpe**2) / n
        ),
        "max_drawdown": (1 - equity / peak).max(),
        "hit_rate": (series > 0).mean(),
        "active_days": 250,
    }
    assert got == pytest.approx(expected, rel=1e-10)


def test_sharpe_error_matches_the_spread_of_estimates() -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_t(6, (4000, 250)) * 0.01 + 0.002
    found = window_metrics(samples, np.ones(samples.shape, bool), np.array([0]), 250)[0]
    assert found[:, 4].mean() == pytest.approx(found[:, 3].std(), rel=0.06)


def test_meaningless_figures_are_nan() -> None:
    one = window_metrics(np.array([[0.01]]), np.array([[False]]), np.array([0]), 1)[0, 0]
    named = dict(zip(METRICS, one, strict=True))
    assert named["total_return"] == pytest.approx(0.01)
    assert all(np.isnan(named[k]) for k in ("std_return", "sharpe", "sharpe_error", "hit_rate"))
    constant = performance(np.full(50, 0.001), periods_per_year=252)
    assert np.isnan(constant.sharpe)
    assert constant.volatility == pytest.approx(0.0, abs=1e-15)


def test_a_lost_capital_stays_lost() -> None:
    lost = performance([0.1, -1.2, 0.5, 0.5], periods_per_year=252)
    assert lost.total_return == -1.0
    assert lost.max_drawdown == 1.0
    assert lost.annual_return == -1.0


def test_annualisation_is_explicit() -> None:
    net = RNG.normal(0.001, 0.01, 100)
    daily, hourly = (performance(net, periods_per_year=p) for p in (252.0, 8760.0))
    assert hourly.sharpe / daily.sharpe == pytest.approx(np.sqrt(8760 / 252))
    assert 1 + daily.annual_return == pytest.approx((1 + daily.total_return) ** 2.52)
    with pytest.raises(ValueError, match="periods_per_year"):
        performance(net, periods_per_year=0)
    with pytest.raises(ValueError, match="finite"):
        performance([0.1, np.nan], periods_per_year=252)
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        performance([], periods_per_year=252)


def test_shutdown_positions_by_hand() -> None:
    #            day:     0     1     2      3     4     5
    forecast = np.array([-0.1, -0.1, 0.1, 0.1, -0.1, 0.1])
    # Return of the day before: long on day 0 was right, short on day 1 wrong, day 2 idle, ...
    last = np.array([9.0, 0.02, 0.02, -0.5, 0.01, -0.03])
    #  day 0 long; day 1 follows (-1); day 2 pauses; day 3 opens (+1); day 4 right, follows (-1);
    #  day 5: the short of day 4 met -0.03, right, follows (+1)
    np.testing.assert_array_equal(shutdown_positions(forecast, last, False), [1, -1, 0, 1, -1, 1])
    np.testing.assert_array_equal(
        shutdown_positions.py_func(forecast, last, True), shutdown_positions(forecast, last, True)
    )
    assert shutdown_positions(forecast, last, True).min() == 0.0


def test_without_a_folder_to_write_to_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from marketsim.kernels import loops

    def refusing(*, cache: bool = False, **options: object):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(**options)

    numba_njit = numba.njit
    monkeypatch.setattr(numba, "njit", refusing)
    doubled = loops._compiled(lambda x: 2.0 * x)
    assert doubled(3.0) == 6.0
