"""`run_single_simulation` against the transcription: every column, real data and awkward data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from legacy_forecasts import FAMILIES, Forecaster, as_missing  # noqa: E402
from legacy_golden import CRYPTO, Old, check_simulation  # noqa: E402
from legacy_market import AWKWARD, daily, real  # noqa: E402
from legacy_transcription import Setting  # noqa: E402

# Which rows of which file: the newest, and rows that are unlike others.
REAL = {
    "AAPL newest": ("AAPL_1d_adj", slice(-900, None)),
    "AAPL flat days of the eighties": ("AAPL_1d_adj", slice(0, 160)),
    "AAPL whole": ("AAPL_1d_adj", slice(None)),
    "AAPL minus 52 percent": ("AAPL_1d_adj", slice(4800, 5006)),
    "GOOG": ("GOOG_1d", slice(None)),
    "MSTR": ("MSTR_1d", slice(-500, None)),
    "WPM": ("WPM_1d", slice(-500, None)),
    "RIVN first days": ("RIVN_1d", slice(0, 30)),
    "HIMS without volume": ("HIMS_1d", slice(0, 70)),
    "SSE five minutes": ("SSE600977_5m", slice(-300, None)),
    "EURUSD hours": ("EURUSD_1h", slice(-300, None)),
    "EURUSD minutes without volume": ("EURUSD_1m_201703", slice(-300, None)),
}
REAL_CRYPTO = {
    "BTCUSD": ("BTCUSD_1d", slice(None)),
    "BTCUSD thin first days": ("BTCUSD_1d", slice(0, 40)),
    "BTCUSD hours": ("BTCUSD_1h", slice(5000, 5400)),
    "SUIUSDT": ("SUIUSDT_1d", slice(None)),
}


def in_turn(cases: Iterable[str], number: int) -> list[tuple[str, str]]:
    """Each case with noise and some of the other families, which take turns."""
    others = itertools.cycle([family for family in FAMILIES if family != "noise"])
    return [
        (case, family) for case in cases for family in ("noise", *itertools.islice(others, number))
    ]


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    return Old(monkeypatch, tmp_path)


@pytest.mark.parametrize(("case", "family"), in_turn(REAL, 2))
def test_stocks(old: Old, case: str, family: str) -> None:
    data = real(*REAL[case])
    check_simulation(old, data.iloc[:-1], Setting(Forecaster(data, family)))


@pytest.mark.parametrize(("case", "family"), in_turn(REAL_CRYPTO, 2))
def test_crypto(old: Old, case: str, family: str) -> None:
    data = real(*REAL_CRYPTO[case])
    check_simulation(old, data.iloc[:-1], Setting(Forecaster(data, family), **CRYPTO))


@pytest.mark.parametrize(("case", "family"), in_turn(AWKWARD, 1))
def test_awkward_data(old: Old, case: str, family: str) -> None:
    data = AWKWARD[case]()
    setting = Setting(Forecaster(data, family))
    check_simulation(old, data.iloc[:-1], setting)
    check_simulation(old, data, replace(setting, **CRYPTO))


@pytest.mark.parametrize("count", [9, 10, 11, 14, 15, 16, 21])
def test_short_data(old: Old, count: int) -> None:
    """From the fewest rows that have seven forecasts of a known day."""
    data = daily(count, 31)
    result = check_simulation(old, data, Setting(Forecaster(data, "noise")))
    assert (result["atr_pct_14"] > 0) == (count >= 15)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8])
def test_fewer_rows_than_the_days_need(old: Old, count: int) -> None:
    """The old code failed, or let arrays of two lengths meet; now it is as many days as there are.

    Of n rows, n - 2 have a return with another before it. So the answer is that of this horizon.
    """
    data = daily(count + 1, 33)
    setting = Setting(Forecaster(data, "noise"), horizon=max(count - 2, 1))
    result = check_simulation(old, data.iloc[:count], setting)
    assert len(result["maxdiffprofit_profit_values"]) == max(count - 3, 0)


def test_fewer_whole_rows_than_the_days_need(old: Old) -> None:
    """Rows that miss a price count for no other price: here eight moves are known, then four."""
    data = daily(40, 43)
    data.loc[data.index[:-10], "Open"] = np.nan
    setting = Setting(Forecaster(data, "noise"), horizon=7)
    check_simulation(old, data.iloc[:-1], setting)
    data.loc[data.index[:-6], "Open"] = np.nan
    setting = Setting(Forecaster(data, "noise"), horizon=3)
    check_simulation(old, data.iloc[:-1], setting)


@pytest.mark.parametrize("horizon", [1, 2, 3, 5, 12])
def test_horizons(old: Old, horizon: int) -> None:
    """Validation days other than seven: windows and forecasts go with them."""
    old.patch.setenv("MARKETSIM_MAX_HORIZON", str(horizon))
    data = daily(80, 34)
    setting = Setting(Forecaster(data, "noise"), horizon=horizon)
    result = check_simulation(old, data, setting)
    check_simulation(old, data, replace(setting, **CRYPTO))
    assert len(result["maxdiffprofit_profit_values"]) == horizon - 1
    assert len(result["last_preds"]["close_ci_band"]) == horizon


@pytest.mark.parametrize("keys", [["Close"], ["High"], ["Low"], ["Open"], ["High", "Low"]])
def test_missing_last_forecast(old: Old, keys: list[str]) -> None:
    """The seventh forecast takes part in no strategy: what is made of it alone is missing."""
    data = daily(60, 35)
    forecaster = as_missing(Forecaster(data, "noise"), [58], keys)
    result = check_simulation(old, data, Setting(forecaster))
    assert all(
        (result[f"predicted_{key.lower()}"] != result[f"predicted_{key.lower()}"])
        for key in keys
        if key != "Open"
    )


def test_missing_close_and_open_forecasts(old: Old) -> None:
    """The entry and exit strategies do not read them; a missing close is no rise."""
    data = daily(60, 36)
    for keys in (["Close"], ["Open"]):
        for lengths in ([52], [54, 55], range(52, 59)):
            forecaster = as_missing(Forecaster(data, "noise"), lengths, keys)
            check_simulation(old, data, Setting(forecaster))


@pytest.mark.parametrize("keys", [["High"], ["Low"], ["High", "Low"]])
@pytest.mark.parametrize("lengths", [[52], [54, 57], range(52, 59)])
def test_days_without_forecasts_of_high_or_low(
    old: Old, keys: list[str], lengths: list[int]
) -> None:
    """The old code failed on them; here such a day does not trade, and the others do."""
    data = daily(60, 44)
    forecaster = as_missing(Forecaster(data, "noise"), lengths, keys)
    check_simulation(old, data, Setting(forecaster))
    check_simulation(old, data, Setting(forecaster, **CRYPTO))


@pytest.mark.parametrize("spread", [1.0, 1.05, 0.999, 1.0001])
def test_spreads(old: Old, spread: float) -> None:
    """The argument is reported; what a change of position costs is the module's SPREAD."""
    data = daily(60, 37)
    setting = Setting(Forecaster(data, "noise"), spread=spread, module_spread=2.0 - spread)
    result = check_simulation(old, data, setting)
    assert result["spread_bps_estimate"] == abs(spread - 1.0) * 1e4


@pytest.mark.parametrize("fee", [0.0, 0.0000278, 0.008, 0.05])
def test_fees(old: Old, fee: float) -> None:
    data = daily(60, 38)
    for crypto in (False, True):
        check_simulation(old, data, Setting(Forecaster(data, "noise"), fee=fee, crypto=crypto))


def test_fees_of_later_versions(old: Old) -> None:
    """Charged on each entry; what run_single_simulation is given stays the rate."""
    from marketsim.legacy.stock import loss_utils

    data = daily(60, 42)
    setting = Setting(Forecaster(data, "noise"), fee=0.002, per_entry=True)
    loss_utils.use_fees("later")
    try:
        one = check_simulation(old, data, setting)
        check_simulation(old, data, replace(setting, crypto=True))
    finally:
        loss_utils.use_fees("snapshot")
    other = check_simulation(old, data, replace(setting, per_entry=False))
    assert one["maxdiffalwayson_return"] < other["maxdiffalwayson_return"]


def test_fee_of_entry_takeprofit_stays_in_the_days_it_was_taken_from(old: Old) -> None:
    """The old code took it off a view: the high-low strategy and last_preds show it."""
    data = daily(60, 39)
    forecaster = Forecaster(data, "constant")  # closes forecast to rise: long every day
    result = check_simulation(old, data, Setting(forecaster, fee=0.01))
    preds = result["last_preds"]
    actual = data["Close"].pct_change().iloc[-7:-1].to_numpy()
    off = actual - preds["close_actual_movement_values"].numpy()
    off += 0.012 - preds["high_predictions"].numpy()
    assert off[0] == pytest.approx(0.01, abs=1e-7)
    assert off[1:] == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("spec", ["trimmed_mean_25", "trimmed_mean_0.4", "mean"])
def test_aggregates(old: Old, spec: str) -> None:
    old.patch.setenv("TOTO_AGGREGATION_SPEC", spec)
    data = daily(60, 40)
    trim = {"trimmed_mean_25": 0.25, "trimmed_mean_0.4": 0.4, "mean": 0.0}[spec]
    check_simulation(old, data, Setting(Forecaster(data, "noise"), trim=trim))


def test_data_are_left_as_they_were(old: Old) -> None:
    data = daily(60, 41)
    before = data.copy(deep=True)
    check_simulation(old, data, Setting(Forecaster(data, "noise")))
    assert data.equals(before)
