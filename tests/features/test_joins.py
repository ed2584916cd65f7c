"""Columns from elsewhere: each used only once it was known."""

from __future__ import annotations

import numpy as np
import pytest
from indicator_inputs import same_bits, series

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.features import (
    FeatureTable,
    JoinStream,
    Pipeline,
    across,
    column,
    cross_section,
    forecast_columns,
    indicator,
    join,
)

DAYS = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype("datetime64[ns]")
HOURS = np.arange("2024-01-01T00", "2024-03-04T00", dtype="datetime64[h]").astype("datetime64[ns]")


def daily() -> FeatureTable:
    close = series("walk", len(DAYS), 1).close
    table = Pipeline({"ema": indicator("ema", column("close"), window=3)}, asof="current")
    return FeatureTable(table.all({"close": close}).values, ("ema",), DAYS)


@pytest.mark.parametrize("stale", [None, "30h"])
def test_a_higher_bar_is_used_only_after_its_close(stale: str | None) -> None:
    table = daily()
    limits = {"table_bar": "1D", "bar": "1h", "prefix": "daily.", "stale": stale}
    column_ = join(table, HOURS, **limits)["daily.ema"]
    live = JoinStream(("ema",), **limits)
    handed = 0
    for t, stamp in enumerate(HOURS):
        while handed < len(DAYS) and DAYS[handed] <= stamp:  # even where it comes too early
            live.higher(DAYS[handed], table.values[handed])
            handed += 1
        closes = stamp + np.timedelta64(1, "h")
        closed = np.flatnonzero(DAYS + np.timedelta64(1, "D") <= closes)
        expected = np.nan
        if len(closed):
            age = closes - (DAYS[closed[-1]] + np.timedelta64(1, "D"))
            if stale is None or age <= np.timedelta64(30, "h"):
                expected = table.values[closed[-1], 0]
        assert same_bits(column_[t], expected)
        assert same_bits(live.at(stamp)["daily.ema"], expected)
    assert np.isnan(column_[:23]).all()
    assert np.isnan(column_[-1]) == (stale is not None)


def test_joined_features_run_in_all_forms() -> None:
    data = series("walk", len(HOURS), 2)
    pipeline = Pipeline({"gap": column("close") / column("daily.ema") - 1}, asof="current")
    extra = join(daily(), HOURS, table_bar="1D", bar="1h", prefix="daily.")
    table = pipeline.all({"close": data.close}, extra).values
    live = pipeline.stream()
    for t in range(len(HOURS)):
        row = {"close": data.close[t], "daily.ema": extra["daily.ema"][t]}
        assert same_bits(live.update(row), table[t])


def test_a_later_higher_bar_changes_nothing_before_its_close() -> None:
    table = daily()
    cut = FeatureTable(table.values[:20], table.names, table.timestamps[:20])
    limits = {"table_bar": "1D", "bar": "1h", "prefix": ""}
    before = HOURS + np.timedelta64(1, "h") < DAYS[20] + np.timedelta64(1, "D")
    whole, part = join(table, HOURS, **limits)["ema"], join(cut, HOURS, **limits)["ema"]
    assert same_bits(whole[before], part[before])
    with pytest.raises(ArgumentError, match="timestamps must ascend"):
        join(table, HOURS[::-1], **limits)


def test_forecasts_of_the_store_are_features() -> None:
    bars = ms.demo_bars()
    bars = ms.Bars(bars.frame.iloc[:90], symbol="DEMO")
    model, store = ms.load_model("ewma"), ms.MemoryStore()
    from marketsim.forecasts.plan import ForecastPlan
    from marketsim.forecasts.run import run_plan

    plan = ForecastPlan.of_rows(len(bars), 11, None)
    cube = run_plan(bars, model, plan, store=store, progress=False)
    columns = forecast_columns(cube, len(bars), target="high", levels=(0.9, 0.25))
    names = ["mean", "q0.25", "q0.9", "band"]
    assert list(columns) == [f"forecast.high.{name}" for name in names]
    assert all(np.isnan(c[:11]).all() and np.isfinite(c[11:]).all() for c in columns.values())
    high, low = columns["forecast.high.q0.9"], columns["forecast.high.q0.25"]
    assert same_bits(columns["forecast.high.band"], high - low)
    # Made from the rows before: what comes later does not change them.
    part = ms.Bars(bars.frame.iloc[:60], symbol="DEMO")
    again = run_plan(part, model, ForecastPlan.of_rows(60, 11, None), store=None, progress=False)
    assert same_bits(
        forecast_columns(again, 60, target="high", levels=(0.9,))["forecast.high.q0.9"], high[:60]
    )
    pipeline = Pipeline({"p": column("forecast.high.mean") * 100}, asof="current")
    assert same_bits(pipeline.all(bars, columns)["p"], columns["forecast.high.mean"] * 100)
    with pytest.raises(UnknownNameError, match="unknown target 'mid'"):
        forecast_columns(cube, 90, target="mid")
    with pytest.raises(ArgumentError, match="levels"):
        forecast_columns(cube, 90, levels=())


@pytest.mark.parametrize("how", ["rank", "demean", "zscore"])
def test_cross_sections_are_equal_row_by_row(how: str) -> None:
    rng = np.random.default_rng(3)
    for symbols in (1, 2, 7, 300):
        values = np.round(rng.normal(size=(40, symbols)), 1)
        values[rng.random(values.shape) < 0.3] = np.nan
        whole = across(values, how)
        for t in range(40):
            assert same_bits(across(values[t], how), whole[t])
            row, there = values[t], ~np.isnan(values[t])
            assert np.array_equal(np.isnan(whole[t]), ~there) or how == "zscore"
            if how == "rank" and there.sum() > 1:
                for i in np.flatnonzero(there):
                    others = row[there]
                    rank = (others < row[i]).sum() + ((others == row[i]).sum() - 1) / 2
                    assert whole[t, i] == rank / (there.sum() - 1)
            if how == "demean" and there.any():
                assert np.allclose(whole[t, there], row[there] - row[there].mean(), atol=1e-12)


def test_cross_section_joins_symbols_by_time() -> None:
    stamps = DAYS[:4]
    tables = {
        "A": FeatureTable(np.array([[1.0], [5.0], [3.0], [4.0]]), ("up",), stamps),
        "B": FeatureTable(np.array([[2.0], [4.0]]), ("up",), stamps[[1, 3]]),
    }
    section = cross_section(tables, "up")
    assert same_bits(section.values, [[0.5, np.nan], [1.0, 0.0], [0.5, np.nan], [0.5, 0.5]])
    assert section.of("B", stamps[[1, 3]]).tolist() == [0.0, 0.5]
    with pytest.raises(UnknownNameError, match="unknown symbol 'C'"):
        section.of("C", stamps)
    with pytest.raises(UnknownNameError, match="unknown cross-section 'mid'"):
        across(np.ones(3), "mid")
