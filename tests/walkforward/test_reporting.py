from __future__ import annotations

import warnings

import numpy as np
import pytest
from market import random_bars, random_frame

import marketsim as ms
from marketsim.models import EwmaModel
from marketsim.walkforward.reporting import report_data


@pytest.fixture(scope="module")
def result() -> ms.WalkForwardResult:
    return ms.walk_forward(random_bars(400, seed=2), simulations=60, progress=False)


def test_heatmap_is_the_fit_of_the_last_day(result: ms.WalkForwardResult) -> None:
    heatmap = report_data(result).heatmap
    assert heatmap is not None
    last = result.days[result.days.strategy == heatmap.strategy].iloc[-1]
    assert heatmap.best == pytest.approx((last.high_offset, last.low_offset, last.in_sample * 60))
    assert heatmap.profit.max() <= heatmap.best[2] + 1e-9
    assert heatmap.profit.max() > heatmap.best[2] - 0.05
    index = result.bars.frame.index
    assert heatmap.span == f"{index[-61]:%Y-%m-%d} to {index[-2]:%Y-%m-%d}"


@pytest.mark.parametrize("strategy", ["entry_takeprofit", "high_low", "maxdiff_always_on"])
def test_fills_lie_within_their_bars(strategy: str) -> None:
    """Under open_aware; the other policies fill at the limit wherever the day opened."""
    result = ms.walk_forward(
        random_bars(400, seed=2), strategies=[strategy], simulations=90, progress=False
    )
    candles = report_data(result).candles
    assert candles is not None
    assert sum(len(marker.day) for marker in candles.markers) > 10
    for marker in candles.markers:
        if strategy == "entry_takeprofit" and marker.kind.endswith("entry"):
            continue  # at the close of the day before
        assert (marker.price <= candles.high[marker.day] * (1 + 1e-6)).all()
        assert (marker.price >= candles.low[marker.day] * (1 - 1e-6)).all()


def test_curves_fans_and_tables(result: ms.WalkForwardResult) -> None:
    data = report_data(result)
    assert list(data.equity)[-3:] == ["buy_and_hold", "persistence", "random_walk"]
    net = result.days[result.days.strategy == "simple"].net
    np.testing.assert_allclose(data.equity["simple"], (1 + net).cumprod())
    assert [fan.target for fan in data.fans] == ["close", "high", "low", "open"]
    for fan in data.fans:
        assert (np.diff(fan.quantiles, axis=1) >= 0).all()
        prices = result.bars.frame[fan.target].to_numpy()[-len(fan.dates) :]
        np.testing.assert_array_equal(fan.actual, prices)
    assert len(data.tables[0].rows) == 11
    assert data.provenance["data_sha256"] == result.bars.fingerprint


def test_page_is_whole_small_and_the_same_each_time(result, tmp_path) -> None:
    path = result.report(tmp_path / "page.html")
    first = path.read_bytes()
    assert 50_000 < len(first) < 1_000_000
    assert result.report(path).read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_page_of_all_days_stays_small(tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        everything = ms.walk_forward(random_bars(5000), simulations=5000, progress=False)
    assert everything.report(tmp_path / "page.html").stat().st_size < 1_000_000


def test_without_limits_there_is_no_heatmap(tmp_path) -> None:
    run = ms.walk_forward(random_bars(200), strategies=["simple"], simulations=5, progress=False)
    data = report_data(run)
    assert data.heatmap is None
    assert data.candles is not None
    assert data.candles.strategy == "simple"
    assert run.report(tmp_path / "page.html").exists()


def test_what_comes_from_outside_is_escaped(tmp_path) -> None:
    class Hostile(EwmaModel):
        name = "<script>alert(1)</script>"

    frame = random_frame(200)
    frame.iloc[3, 0] = np.nan
    bars = ms.read_bars(frame, symbol="A^B.C=D", repair="drop_invalid")
    run = ms.walk_forward(bars, Hostile(), simulations=5, progress=False)
    text = run.report(tmp_path / "page.html").read_text()
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "with invalid prices" in text
