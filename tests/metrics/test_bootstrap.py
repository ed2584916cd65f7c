from __future__ import annotations

import math

import numpy as np
import pytest
from bootstrap_reference import drawn_bars

from marketsim.metrics import (
    bootstrap_bands,
    degrade_fills,
    delayed_returns,
    optimal_block_length,
    performance,
    shuffle_trades,
)

RNG = np.random.default_rng(31)


def test_block_lengths_are_archs() -> None:
    from arch.bootstrap import optimal_block_length as archs

    for size in (20, 60, 500, 2500):
        noise = RNG.normal(size=size + 30)
        for weights in ([1.0], [1.0, 0.8, 0.5], np.ones(25)):
            series = np.convolve(noise, weights, "valid")[:size]
            expected = max(archs(series)["stationary"].iloc[0], 1.0)
            assert optimal_block_length(series) == pytest.approx(expected, rel=1e-9), size
    both = optimal_block_length(RNG.normal(size=(3, 200)))
    assert both.shape == (3,)
    assert optimal_block_length(np.full(100, 0.1)) == 1.0
    assert optimal_block_length([0.1, 0.2]) == 1.0


def test_bands_are_percentiles_of_the_figures_of_resampled_returns() -> None:
    net = RNG.normal(0.001, 0.01, (2, 90))
    active = RNG.random((2, 90)) < 0.7
    got = bootstrap_bands(
        net, periods_per_year=252, active=active, block_length=4.0, repetitions=60, seed=9
    )
    for row in range(2):
        samples = [drawn_bars(90, 4.0, 9, r) for r in range(60)]
        figures = [
            performance(net[row, at], periods_per_year=252, active=active[row, at])
            for at in samples
        ]
        for name in (
            "sharpe",
            "total_return",
            "annual_return",
            "volatility",
            "max_drawdown",
            "hit_rate",
        ):
            values = [float(getattr(figure, name)) for figure in figures]
            expected = np.quantile(values, [0.05, 0.95])
            assert (got.low[name][row], got.high[name][row]) == pytest.approx(expected, rel=1e-10)


def test_bands_hold_the_truth_as_often_as_stated() -> None:
    truth = 0.1 * math.sqrt(252)
    held = 0
    for seed in range(300):
        net = np.random.default_rng(seed).normal(0.001, 0.01, 250)
        bands = bootstrap_bands(net, periods_per_year=252, repetitions=300, seed=seed)
        held += bands.low["sharpe"] <= truth <= bands.high["sharpe"]
    # Percentile intervals of 250 bars hold a little less than they say.
    assert held / 300 == pytest.approx(0.9, abs=2.5 * math.sqrt(0.9 * 0.1 / 300) + 0.02)


def test_trends_widen_the_bands() -> None:
    noise = RNG.normal(0, 0.01, 1030)
    trending = np.convolve(noise, np.ones(10) / math.sqrt(10), "valid")[:1000]
    wide = bootstrap_bands(trending, periods_per_year=252)
    narrow = bootstrap_bands(trending, periods_per_year=252, block_length=1.0)
    span = [b.high["sharpe"] - b.low["sharpe"] for b in (wide, narrow)]
    assert span[0] > 1.8 * span[1]


def test_what_bands_cannot_say() -> None:
    short = bootstrap_bands(RNG.normal(0, 0.01, 10), periods_per_year=252)
    assert math.isnan(short.low["sharpe"]) and not math.isnan(short.low["total_return"])
    flat = bootstrap_bands(np.zeros(50), periods_per_year=252)
    assert math.isnan(flat.high["sharpe"]) and flat.high["max_drawdown"] == 0.0
    for arguments, message in (
        ({"confidence": 1.0}, "confidence"),
        ({"block_length": 0}, "block_length"),
        ({"repetitions": 0}, "repetitions"),
    ):
        with pytest.raises(ValueError, match=message):
            bootstrap_bands(np.zeros(50), periods_per_year=252, **arguments)


def test_orders_of_trades() -> None:
    net = np.array([0.2, -0.1, 0.05, -0.3])
    got = shuffle_trades(net, repetitions=400, seed=1)
    np.testing.assert_allclose(got.total_return, np.prod(1 + net) - 1, rtol=1e-12)
    assert got.actual_max_drawdown == pytest.approx(1 - 0.9 * 1.05 * 0.7)
    # All 24 orders are drawn; the largest drawdown is both losses one after the other.
    assert got.max_drawdown.max() == pytest.approx(1 - 0.9 * 0.7)
    assert got.max_drawdown.min() == pytest.approx(0.3)
    ruin = shuffle_trades([0.5, -1.2, 0.5], repetitions=20)
    assert (ruin.total_return == -1.0).all()


def test_missed_and_worse_fills() -> None:
    net = np.full(2000, 0.001)
    got = degrade_fills(net, size=2.0, missed=0.25, worse=0.0001, repetitions=200, seed=2)
    mean = np.log1p(got.total_return).mean() / 2000
    assert mean == pytest.approx(0.75 * (0.001 - 2 * 2 * 0.0001), rel=0.01)
    same = degrade_fills(net, repetitions=5)
    np.testing.assert_allclose(same.total_return, same.actual_total_return)
    for arguments in ({"missed": 1.0}, {"worse": -0.1}, {"size": np.nan}):
        with pytest.raises(ValueError, match=r"must be a (finite )?number"):
            degrade_fills(net, **arguments)
    for bad in ([], [[0.1]], [np.inf]):
        with pytest.raises(ValueError, match="net returns of trades"):
            shuffle_trades(bad)
    with pytest.raises(ValueError, match="repetitions"):
        shuffle_trades(net, repetitions=0)


def test_late_positions() -> None:
    position, market = np.array([1.0, -1.0, 0.0, 2.0]), np.array([0.1, 0.2, -0.3, 0.4])
    got = delayed_returns(position, market, delays=(0, 2), cost=0.01)
    np.testing.assert_allclose(got[0], position * market - 0.01 * np.array([1, 2, 1, 2]))
    np.testing.assert_allclose(got[1], [0, 0, -0.3 - 0.01, -0.4 - 0.02])
    for delays in ((-1,), (4,), ()):
        with pytest.raises(ValueError, match=r"0 \.\. 3"):
            delayed_returns(position, market, delays=delays)
    with pytest.raises(ValueError, match="one length"):
        delayed_returns(position, market[:3])
