"""What must hold of the old functions whatever the data, as whoever calls them sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from legacy_forecasts import Forecaster  # noqa: E402
from legacy_golden import CRYPTO, Old, assert_same, same  # noqa: E402
from legacy_market import daily, real  # noqa: E402
from legacy_transcription import Setting  # noqa: E402

# Columns that a whole backtest adds: one value for all its rows.
OF_ALL_ROWS = ("walk_forward_", "_forecasted_pnl")


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    return Old(monkeypatch, tmp_path)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a row, without what is about all rows."""
    own = [name for name in frame if not any(part in name for part in OF_ALL_ROWS)]
    rows: list[dict[str, Any]] = frame[own].to_dict("records")
    return rows


@pytest.mark.parametrize("name", ["MSTR_1d", "BTCUSD_1d"])
def test_a_row_is_the_simulation_alone(old: Old, name: str) -> None:
    """In whatever order simulations run: each depends on its own data only."""
    data = real(name, slice(-150, None))
    options = CRYPTO if name.startswith("BTC") else {"symbol": "MSTR"}
    setting = Setting(Forecaster(data, "noise"), spread=1.002, **options)
    rows = rows_of(old.backtest(data, 12, setting))
    alone = replace(setting, module_spread=1.002)
    for number in np.random.default_rng(0).permutation(12):
        result = old.simulate(data.iloc[: -(number + 1)].copy(), alone)
        assert_same(rows[number], result, f"row {number}: ")


def test_fewer_simulations_are_the_first_rows_of_more(old: Old) -> None:
    data = daily(90, 71)
    setting = Setting(Forecaster(data, "noise"))
    many, few = (rows_of(old.backtest(data, count, setting)) for count in (15, 6))
    assert len(many) == 15
    for one, other in zip(few, many, strict=False):
        assert_same(one, other)


@pytest.mark.parametrize("from_row", [-1, -3, -6, -11])
def test_what_comes_later_changes_nothing(old: Old, from_row: int) -> None:
    """Everything from a row on replaced: rows that end before it stay to the last digit."""
    data = daily(90, 72)
    changed = data.copy()
    rng = np.random.default_rng(1)
    shape = changed.iloc[from_row:].shape
    changed.iloc[from_row:] *= np.exp(rng.normal(0.5, 0.3, shape))
    one = rows_of(old.backtest(data, 12, Setting(Forecaster(data, "noise"))))
    # A forecast of a day whose return changed is another one, but no row before sees that day.
    other = rows_of(old.backtest(changed, 12, Setting(Forecaster(changed, "noise"))))
    compared = 0
    for before, after in zip(one, other, strict=True):
        assert before["date"] == after["date"]
        if before["date"] < data.index[from_row]:
            assert_same(after, before)
            compared += 1
        else:
            assert before["close"] != after["close"]
    assert compared == 12 - (-from_row - 1)


def test_rows_cut_off_the_end_shift_the_rows(old: Old) -> None:
    """Tomorrow's run has today's rows below its new one."""
    data = daily(90, 73)
    forecaster = Forecaster(data, "noise")
    today = rows_of(old.backtest(data.iloc[:-1], 6, Setting(forecaster)))
    tomorrow = rows_of(old.backtest(data, 7, Setting(forecaster)))
    for one, other in zip(today, tomorrow[1:], strict=True):
        assert_same(one, other)


def test_twice_is_the_same(old: Old) -> None:
    data = daily(80, 74)
    setting = Setting(Forecaster(data, "noise"))
    for one, other in zip(
        *(old.backtest(data, 5, setting).to_dict("records") for _ in range(2)), strict=True
    ):
        assert_same(one, other)


def test_rows_do_not_share_what_can_be_changed(old: Old) -> None:
    """Whoever edits last_preds or a list of one row leaves the others alone."""
    data = daily(80, 75)
    setting = Setting(Forecaster(data, "noise"))
    frame, untouched = (old.backtest(data, 4, setting) for _ in range(2))
    first = frame["last_preds"][0]
    for value in first.values():
        if isinstance(value, torch.Tensor):
            value.fill_(7)
        elif isinstance(value, list):
            value.clear()
    frame["maxdiffprofit_profit_values"][0].append(1.0)
    for one, other in zip(rows_of(frame)[1:], rows_of(untouched)[1:], strict=True):
        assert_same(one, other)
    again = old.backtest(data, 4, setting)
    for one, other in zip(rows_of(again), rows_of(untouched), strict=True):
        assert_same(one, other)


def test_prices_in_another_unit(old: Old) -> None:
    """Prices times a power of two: returns are the same to the last digit, prices scale."""
    data = daily(80, 76)
    scaled = data.copy()
    scaled[["Open", "High", "Low", "Close"]] *= 64.0
    setting = Setting(Forecaster(data, "noise"))
    one, other = (old.simulate(of.iloc[:-1], setting) for of in (data, scaled))
    prices = {"close", "dollar_vol_20d"} | {f"predicted_{n}" for n in ("close", "high", "low")}
    prices |= {
        f"{n}_{p}_price" for n in ("maxdiffprofit", "maxdiffalwayson") for p in ("high", "low")
    }
    for name, value in one.items():
        if name != "last_preds":
            times = 64.0 if name in prices else 1.0
            assert same(other[name], value * times if name in prices else value, 1e-12), name


def test_dates_and_other_columns_do_not_matter(old: Old) -> None:
    data = daily(80, 77)
    setting = Setting(Forecaster(data, "noise"))
    other = data.assign(Note="x", Vwap=np.nan)[["Vwap", "Low", "Note", "Open", "Close", "High"]]
    other.index = pd.date_range("1990-01-01", periods=len(data), tz="America/New_York")
    one, two = (old.simulate(of.iloc[:-1], setting) for of in (data, other))
    assert two["date"] == other.index[-2]
    for result in (one, two):
        del result["date"], result["dollar_vol_20d"]
        result["last_preds"].pop("dollar_vol_20d", None)
    assert_same(two, one)


def test_crypto_never_sells_short(old: Old) -> None:
    data = daily(80, 78)
    for family in ("noise", "ticks", "inverted"):
        setting = Setting(Forecaster(data, family), **CRYPTO)
        result = old.simulate(data.iloc[:-1], setting)
        preds = result["last_preds"]
        assert preds["maxdiff_trades_negative"] == 0
        assert preds["maxdiffalwayson_filled_sell_trades"] == 0
        assert result["maxdiffalwayson_sell_contribution"] == 0.0


def test_fast_simulate_stops_at_35(old: Old) -> None:
    data = daily(80, 79)
    setting = Setting(Forecaster(data, "constant"))
    old.patch.setenv("MARKETSIM_FAST_SIMULATE", "1")
    assert len(old.backtest(data, 70, setting)) == 35
    assert len(old.backtest(data, 5, setting)) == 5
    old.patch.setenv("MARKETSIM_FAST_SIMULATE", "0")
    assert len(old.backtest(data, 40, setting)) == 40


def test_the_spread_is_put_back(old: Old) -> None:
    """The module's SPREAD is the fetched one while a backtest runs, whatever happens in it."""
    data = daily(60, 80)
    setting = Setting(Forecaster(data, "noise"), spread=1.03)
    before = old.module.SPREAD
    old.backtest(data, 3, setting)
    assert before == old.module.SPREAD

    def fails(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    broken = Forecaster(data, "noise")
    broken.cached_predict = fails  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        old.backtest(data, 3, replace(setting, forecast=broken))
    assert before == old.module.SPREAD


def test_trading_costs_only_cost(old: Old) -> None:
    """A higher fee never helps what is reported on the same fills without offsets."""
    data = daily(80, 81)
    setting = Setting(Forecaster(data, "noise"))
    cheap, dear = (
        old.simulate(data.iloc[:-1], replace(setting, fee=fee)) for fee in (0.0005, 0.004)
    )
    for name in ("simple_strategy", "all_signals_strategy", "buy_hold", "entry_takeprofit"):
        assert dear[f"{name}_return"] <= cheap[f"{name}_return"]
    for name in ("maxdiffprofit_optimized_return", "maxdiffalwayson_optimized_return"):
        assert dear["last_preds"][name] <= cheap["last_preds"][name]


def test_fitted_offsets_are_never_worse_than_none(old: Old) -> None:
    for seed in range(5):
        data = daily(60, 90 + seed)
        for family in ("noise", "ticks", "wild"):
            result = old.simulate(data.iloc[:-1], Setting(Forecaster(data, family)))
            preds = result["last_preds"]
            for name in ("maxdiffprofit", "maxdiffalwayson"):
                fitted = preds[f"{name}_optimized_return"]
                assert fitted >= preds[f"{name}_baseline_return"] - 1e-7


def test_a_model_that_fails_is_not_hidden(old: Old) -> None:
    """Forecasts that cannot be made are no forecasts of 0: the error, or its text, comes out."""
    data = daily(60, 95)

    def fails(*args: Any, **options: Any) -> Any:
        raise RuntimeError("the model file is torn")

    broken = Forecaster(data, "noise")
    broken.cached_predict = fails  # type: ignore[method-assign]
    with pytest.raises(Exception, match="the model file is torn"):
        old.simulate(data, Setting(broken))
