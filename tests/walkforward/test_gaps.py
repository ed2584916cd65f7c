"""An embargo of a window and more leaves days that belong to no simulation: nothing sees them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market import changed_from, random_bars, random_frame

import marketsim as ms
from marketsim.walkforward.inputs import forecast_plans
from marketsim.walkforward.reporting import report_data
from marketsim.walkforward.windows import plan_windows

RUN = {"simulations": 5, "window": 7, "embargo": 30, "progress": False, "store": False}


@pytest.fixture(scope="module")
def result() -> ms.WalkForwardResult:
    return ms.walk_forward(random_bars(300, seed=1), **RUN)


@given(
    simulations=st.integers(1, 12),
    window=st.integers(1, 9),
    embargo=st.integers(0, 20),
    offset_window=st.integers(0, 12),
    purge=st.integers(0, 3),
)
def test_days_are_the_union_of_the_windows(simulations, window, embargo, offset_window, purge):
    options = {"window": window, "embargo": embargo, "purge": purge}
    windows = plan_windows(400, simulations=simulations, offset_window=offset_window, **options)
    of_windows = [set(range(start, start + window)) for start in windows.starts]
    assert windows.days.tolist() == sorted(set().union(*of_windows))
    for before, after in zip(windows.stretches, windows.stretches[1:], strict=False):
        assert before.stop < after.first
    fitted_on = offset_window + purge if offset_window else 0
    needed = {day - back for day in windows.days.tolist() for back in range(fitted_on + 1)}
    plans = forecast_plans(windows)
    planned = [day for plan in plans for day in range(plan.first, plan.stop)]
    assert planned == sorted(needed)
    assert sum(plan.simulations for plan in plans) == simulations
    assert (windows.first_fit_day, windows.stop_day) == (plans[0].first, plans[-1].stop)


def test_only_days_of_a_simulation_are_measured(result: ms.WalkForwardResult) -> None:
    index = result.bars.frame.index
    expected = [day for start in result.windows.starts for day in range(start, start + 7)]
    assert list(result.dates) == list(index[expected])
    assert len(result.dates) == 35
    assert len(result.days) == 35 * 9
    assert len(result.forecasts) == 35 * 4
    assert str(result.summary()).startswith(
        f"TEST  {index[expected[0]]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}, 35 of 300 bars evaluated"
    )
    assert result.to_dict()["settings"]["evaluated_days"] == 35
    strategies = result.summary().strategies
    for name in ("simple", "maxdiff", "unprofit_shutdown"):
        part = result.days[result.days.strategy == name]
        of_simulations = result.simulations[result.simulations.strategy == name]
        assert strategies.loc[name, "total_return"] == pytest.approx(np.prod(1 + part.net) - 1)
        assert strategies.loc[name, "total_return"] == pytest.approx(
            np.prod(1 + of_simulations.total_return) - 1
        )
        assert strategies.loc[name, "trades"] == of_simulations.trades.sum()


def test_only_the_forecasts_that_are_needed_are_made(result: ms.WalkForwardResult) -> None:
    store = ms.MemoryStore()
    run = ms.walk_forward(
        random_bars(300, seed=1), **(RUN | {"strategies": ["simple"], "store": store})
    )
    assert store.misses == len(store) == 35 * 4
    assert [(plan.days, plan.simulations) for plan in run.plans] == [(7, 1)] * 5
    pd.testing.assert_frame_equal(run.forecasts, result.forecasts, check_exact=True)


def test_each_stretch_is_a_run_of_its_own(result: ms.WalkForwardResult) -> None:
    """What is carried from day to day starts anew; nothing of the days between is known."""
    for i, as_of in enumerate(result.windows.as_of):
        single = ms.walk_forward(
            result.bars.frame.iloc[: as_of + 1], **(RUN | {"simulations": 1})
        ).days
        mine = result.days[result.days.date.isin(result.dates[7 * i : 7 * i + 7])]
        pd.testing.assert_frame_equal(
            mine.reset_index(drop=True), single, check_exact=True, check_categorical=False
        )


def test_frames_and_report_agree(result: ms.WalkForwardResult, tmp_path) -> None:
    bars = result.bars.frame
    for target in ("open", "high", "low", "close"):
        part = result.forecasts[result.forecasts.target == target].set_index("date")
        expected = np.log(bars[target] / bars.close.shift()).loc[part.index]
        np.testing.assert_allclose(part.actual, expected, atol=1e-14)
    simple = result.days[result.days.strategy == "simple"].set_index("date")
    expected = simple.position * bars.close.pct_change().loc[simple.index]
    np.testing.assert_allclose(simple.gross, expected, atol=1e-14)
    data = report_data(result)
    assert "35 bars of 1 day" in data.subtitle
    assert len(data.dates) == len(data.equity["simple"]) == 35
    assert data.candles is not None
    np.testing.assert_array_equal(data.candles.close, bars.close.loc[result.dates])
    for fan in data.fans:
        np.testing.assert_array_equal(fan.actual, bars[fan.target].loc[result.dates])
    assert data.heatmap is not None
    last = result.days[result.days.strategy == data.heatmap.strategy].iloc[-1]
    assert data.heatmap.best == pytest.approx(
        (last.high_offset, last.low_offset, last.in_sample * 60)
    )
    assert data.heatmap.profit.max() <= data.heatmap.best[2] + 1e-9
    assert result.report(tmp_path / "page.html").exists()


def test_skipped_days_have_no_say() -> None:
    """Data of days between the windows change only what is decided after them."""
    frame = random_frame(300, 3)
    run = RUN | {"strategies": ["simple", "unprofit_shutdown", "entry_takeprofit"]}
    whole = ms.walk_forward(frame, **run)
    cut = int(whole.windows.stretches[-1].first) - 10  # in the last gap
    changed = ms.walk_forward(changed_from(frame, cut), **run)
    before = whole.days.date < frame.index[cut].tz_localize("UTC")
    assert before.sum() == 28 * 3
    pd.testing.assert_frame_equal(whole.days[before], changed.days[before], check_exact=True)
    assert not whole.days.equals(changed.days)


def test_windows_that_touch_are_one_path() -> None:
    bars = random_bars(300, seed=1)
    touching = ms.walk_forward(bars, **(RUN | {"embargo": 6}))
    overlapping = ms.walk_forward(bars, **(RUN | {"embargo": 0, "simulations": 29}))
    assert len(touching.windows.stretches) == 1
    pd.testing.assert_frame_equal(touching.days, overlapping.days, check_exact=True)
