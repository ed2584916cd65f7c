from __future__ import annotations

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.metrics import bands_frame, bootstrap_bands
from marketsim.replay import replay
from marketsim.replay.rules import sma_cross


def test_a_frame_of_every_headline_figure() -> None:
    rng = np.random.default_rng(0)
    nets = {"a": rng.normal(0.001, 0.01, 400), "b": rng.normal(0.0, 0.02, 400)}
    frame = bands_frame(nets, periods_per_year=252, repetitions=200, seed=3)
    assert len(frame) == 2 * 5 and (frame.low < frame.high).all()
    bands = bootstrap_bands(nets["b"], periods_per_year=252, repetitions=200, seed=3)
    for figure in ("sharpe", "total_return", "max_drawdown"):
        assert frame.loc[("b", figure), "low"] == bands.low[figure]
        assert frame.loc[("b", figure), "high"] == bands.high[figure]
    net = nets["a"]
    assert frame.loc[("a", "sharpe"), "value"] == pytest.approx(
        net.mean() / net.std(ddof=1) * 252**0.5
    )


def test_results_have_bands() -> None:
    bars = random_bars(300, seed=4)
    found = replay(bars, *sma_cross(bars, 5, 20))
    frame = found.bands(repetitions=100)
    assert frame.loc["total_return", "value"] == pytest.approx(found.metrics["total_return"])
    assert frame.loc["sharpe", "value"] == pytest.approx(found.metrics["sharpe"])
    run = ms.walk_forward(bars, simulations=60, store=False, progress=False)
    both = run.bands(repetitions=100)
    table = run.summary().strategies
    for name in table.index:
        assert both.loc[(name, "total_return"), "value"] == pytest.approx(
            table.loc[name, "total_return"], abs=1e-12
        )
