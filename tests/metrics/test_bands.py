from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.metrics import bands_frame, bootstrap_bands
from marketsim.metrics.bands import band_samples
from marketsim.replay import plans, replay, replay_symbols
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


def test_summary_and_page_show_bands_with_seed_and_block_length(tmp_path: Path) -> None:
    bars = random_bars(300, seed=4)
    found = replay(bars, *sma_cross(bars, 5, 20))
    frame = found.bands()
    of = frame.loc["sharpe"]
    cell = f"{of.value:.2f} ({of.low:.2f} to {of.high:.2f})"
    shown = found.summary(bands=True)
    page = found.report(tmp_path / "replay.html").read_text()
    for text in (shown, page):
        assert cell in text
        assert "1,000 samples of the bars, seed 0, blocks of" in text
    assert "bootstrap" not in found.summary()
    assert found.to_dict(bands=True)["bands"]["figures"]["sharpe"] == [of.low, of.high]
    json.dumps(found.to_dict(bands=True), allow_nan=False)
    plan = plans.signals(bars, *sma_cross(bars, 5, 20))
    both = replay_symbols({"a": plan, "b": plan})
    assert "seed 0" in both.summary(bands=True) and "bootstrap" not in both.summary()


def test_walk_forward_summary_shows_bands_within_80_columns() -> None:
    run = ms.walk_forward(random_bars(300, seed=4), simulations=60, store=False, progress=False)
    summary = run.summary(bands=True)
    bands = run.bands()
    assert list(bands.index.unique("strategy")) == list(summary.strategies.index)
    low, high = bands.loc[("buy_and_hold", "sharpe"), ["low", "high"]]
    assert f"{low:.2f} to {high:.2f}" in str(summary)
    assert f"seed 0, blocks of {min(bands.attrs['block_length'].values()):.1f}" in (
        str(summary).replace("\n", " ")
    )
    assert max(map(len, str(summary).splitlines())) <= 80
    assert f"({low:.2f} to {high:.2f})" in summary.text(wide=True)
    assert run.summary().bands is None and "bootstrap" not in str(run.summary())
    hit = bands.loc[("buy_and_hold", "hit_rate")]
    assert hit.low <= hit.value <= hit.high
    assert hit.value == summary.strategies.loc["buy_and_hold", "hit_rate"]
    json.dumps(run.to_dict(bands=True), allow_nan=False)


def test_annual_bands_count_the_gaps_that_annual_returns_count() -> None:
    bars = random_bars(300, seed=4)
    frame = bars.frame.copy()
    late = frame.index[200:] + pd.Timedelta(days=200)
    frame.index = frame.index[:200].append(late)
    run = ms.walk_forward(frame, simulations="all", store=False, progress=False)
    table, bands = run.summary().strategies, run.bands()
    for name in table.index:
        of = bands.loc[(name, "annual_return")]
        assert of.value == pytest.approx(table.loc[name, "annual_return"], abs=1e-12)
        assert of.low <= of.value <= of.high or bands.loc[(name, "total_return"), "value"] == 0.0


@pytest.mark.parametrize("bars", [1, 2, 3, 12])
def test_short_replays_have_a_summary_with_bands(bars: int) -> None:
    whole = random_bars(12, seed=1)
    part = ms.Bars(whole.frame.iloc[:bars], "short")
    found = replay(part, np.ones(bars, bool), np.zeros(bars, bool))
    assert "bands" in found.summary(bands=True)
    json.dumps(found.to_dict(bands=True), allow_nan=False)


def test_fewer_samples_of_long_series() -> None:
    assert [band_samples(n) for n in (0, 100, 10_000, 50_000, 10_000_000)] == [
        1_000, 1_000, 1_000, 200, 100,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "nets", [{}, {"a": np.ones(3), "b": np.ones(4)}, {"a": np.ones((2, 3))}, {"a": 1.0}]
)
def test_returns_of_other_shapes(nets) -> None:
    with pytest.raises(ms.ArgumentError, match="of the same bars: got shapes"):
        bands_frame(nets, periods_per_year=252)
