"""The printed summary: 80 characters, chosen columns, nothing against the figures left out."""

from __future__ import annotations

import dataclasses

import pytest

import marketsim as ms


@pytest.fixture(scope="module")
def summary() -> ms.walkforward.Summary:
    return ms.walk_forward(ms.demo_bars(), "ewma", progress=False, store=False).summary()


def test_the_summary_fits_80_characters(summary: ms.walkforward.Summary) -> None:
    lines = str(summary).splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if line.startswith("strategy"))
    assert head.split() == [
        "strategy", "return", "annual", "Sharpe", "±se", "max", "dd", "trades", "hit", "equity",
    ]  # fmt: skip
    names = [line.split()[0] for line in lines[lines.index(head) + 2 :] if line]
    for name in summary.strategies.index:
        assert name in names


def test_long_names_and_large_figures_still_fit(summary: ms.walkforward.Summary) -> None:
    frame = summary.strategies.rename(index={"simple": "a_strategy_with_a_very_long_name" * 2})
    frame.loc["maxdiff", ["total_return", "annual_return", "trades"]] = (1e4, 1e5, 123_456)
    text = str(dataclasses.replace(summary, strategies=frame))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text and "+1000000.00%" in text


def test_ambiguous_bars_are_told_though_their_columns_are_not(
    summary: ms.walkforward.Summary,
) -> None:
    frame = summary.strategies.copy()
    frame["ambiguous_profit_share"] = 0.0
    assert "leave open" not in str(dataclasses.replace(summary, strategies=frame))
    frame.loc["maxdiff", ["ambiguous_profit_share", "optimistic_gap"]] = (0.25, 0.07)
    text = " ".join(str(dataclasses.replace(summary, strategies=frame)).split())
    assert "up to 25.0% of the absolute profit (maxdiff)" in text and "+7.00%" in text


def test_wide_and_chosen_columns(summary: ms.walkforward.Summary) -> None:
    wide = summary.text(wide=True)
    for head in ("in mkt", "opt-aware", "in-sample", "random walk", "CRPS/clim."):
        assert head in wide
    chosen = summary.text(["sortino", "total_return"]).splitlines()
    head = next(line for line in chosen if line.startswith("strategy"))
    assert head.split() == ["strategy", "sortino", "return"]
    every = [name for name in summary.strategies.columns if name != "kind"]
    assert summary.text(every)
    with pytest.raises(ms.UnknownNameError, match="unknown column 'nope'.*sortino"):
        summary.text(["nope"])
    with pytest.raises(ms.ArgumentError, match="exclude each other"):
        summary.text(["sortino"], wide=True)
    with pytest.raises(ms.ArgumentError, match="at least one column"):
        summary.text([])


def test_the_equity_is_that_of_the_run(summary: ms.walkforward.Summary) -> None:
    ends = [curve[-1] - 1.0 for curve in summary.equity]
    assert ends == pytest.approx(summary.strategies["total_return"].tolist())


def test_columns_are_chosen_by_their_heads_too(summary: ms.walkforward.Summary) -> None:
    by_name = summary.text(["total_return", "sharpe", "max_drawdown", "mean_return_bps"])
    assert summary.text(["return", "Sharpe", "max dd", "bp/bar"]) == by_name
    assert summary.text(["Return", "sharpe", "MAX DD", "BP/Bar"]) == by_name
    wide = summary.text(wide=True).splitlines()
    head = next(line for line in wide if line.startswith("strategy "))
    heads = [part.strip() for part in head.split("  ")[1:] if part.strip()]
    assert len(heads) == 17 and summary.text(heads)
