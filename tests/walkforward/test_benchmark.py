"""A benchmark and a risk-free rate beside a run."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import marketsim as ms
from marketsim.errors import ArgumentError


@pytest.fixture(scope="module")
def bars() -> ms.Bars:
    return ms.demo_bars()


def run(bars: ms.Bars, **options) -> ms.WalkForwardResult:
    rules = {"strategies": ["simple", "maxdiff"], "store": False, "progress": False} | options
    return ms.walk_forward(bars, **rules)


def closes(bars: ms.Bars) -> pd.Series:
    return bars.frame["close"].pct_change().dropna().tz_localize(None)


def test_figures_against_a_benchmark_follow_their_definitions(bars) -> None:
    rng = np.random.default_rng(3)
    series = closes(bars) * 0.5 + rng.normal(0, 0.003, len(bars) - 1)
    series.name = "mix"
    result = run(bars, benchmark=series, risk_free=0.04)
    market = series.reindex(result.returns.index).to_numpy()
    assert_allclose(result.returns["mix"], market)
    summary = result.summary().strategies
    free = 1.04 ** (1 / 252) - 1
    for name in ("simple", "maxdiff", "buy_and_hold"):
        net = result.returns[name].to_numpy()
        excess, theirs = net - free, market - free
        beta = np.cov(excess, theirs)[0, 1] / theirs.var(ddof=1)
        row = summary.loc[name]
        assert_allclose(row["beta"], beta)
        assert_allclose(row["alpha"], (excess.mean() - beta * theirs.mean()) * 252)
        active = net - market
        assert_allclose(row["tracking_error"], active.std(ddof=1) * 252**0.5)
        assert_allclose(row["information_ratio"], active.mean() / active.std(ddof=1) * 252**0.5)
        assert_allclose(row["correlation"], np.corrcoef(excess, theirs)[0, 1])
        assert_allclose(row["sharpe"], excess.mean() / excess.std(ddof=1) * 252**0.5)
        assert_allclose(
            row["sortino"], excess.mean() / np.sqrt((np.minimum(excess, 0) ** 2).mean()) * 252**0.5
        )
    assert result.figures["beta"][0] == summary.loc["simple", "beta"]


def test_the_table_json_and_report_show_it(bars, tmp_path) -> None:
    result = run(bars, benchmark=closes(bars).rename("SPX"), risk_free=0.04)
    assert "against SPX" in str(result.summary())
    assert "risk-free 0.04 a year" in " ".join(str(result.summary()).split())
    assert "against SPX" in result.summary()._repr_html_()
    told = json.loads(json.dumps(result.to_dict()))
    assert (told["settings"]["benchmark"], told["settings"]["risk_free"]) == ("SPX", 0.04)
    assert told["strategies"][0]["beta"] is not None
    assert "Against SPX" in result.report(tmp_path / "x.html").read_text()
    assert "SPX" in result.equity
    plain = run(bars)
    assert plain.summary().strategies["beta"].isna().all()
    assert "against" not in str(plain.summary())


def test_bars_of_another_symbol_are_a_benchmark(bars) -> None:
    found = run(bars, benchmark=bars).returns
    assert_allclose(found[bars.symbol], closes(bars).reindex(found.index))
    # Opened at another hour, in another zone: by day.
    frame = bars.frame.copy()
    frame.index = (frame.index.tz_localize(None) + pd.Timedelta("9h30min")).tz_localize(
        "Europe/Paris"
    )
    other = ms.Bars(frame, "OTHER")
    assert_allclose(run(bars, benchmark=other).returns["OTHER"], found[bars.symbol])


def test_a_benchmark_named_as_a_strategy_keeps_its_own_column(bars) -> None:
    returns = run(bars, benchmark=closes(bars).rename("simple")).returns
    assert {"simple", "benchmark"} <= set(returns.columns)
    assert returns.columns.is_unique


def test_prepared_runs_take_both(bars) -> None:
    prepared = ms.prepare(bars, store=False, progress=False)
    result = prepared.evaluate("simple", benchmark=closes(bars), risk_free=0.02)
    whole = run(bars, strategies="simple", benchmark=closes(bars), risk_free=0.02)
    assert result.summary() == whole.summary()


def test_what_does_not_fit_is_an_error_before_any_forecast(bars) -> None:
    series = closes(bars)
    early = series[: len(series) // 2]
    with pytest.raises(ArgumentError, match="does not overlap with the bars: it covers"):
        run(bars, benchmark=early)
    with pytest.raises(ArgumentError, match=r"no return for 3 of \d+ bars, first"):
        run(bars, benchmark=series.drop(series.index[-20:-17]))
    with pytest.raises(ArgumentError, match="must be a pandas Series of returns, Bars, or a file"):
        run(bars, benchmark=[0.1, 0.2])
    with pytest.raises(ArgumentError, match="0.04 for 4 %, in"):
        run(bars, risk_free=4)
    for wrong in ("x", np.nan):
        with pytest.raises(ArgumentError, match="risk_free must be a"):
            run(bars, risk_free=wrong)
