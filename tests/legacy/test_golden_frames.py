"""`backtest_forecasts` against the transcription: columns, dtypes, order of rows, every value."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import pandas as pd  # noqa: E402
from legacy_forecasts import Forecaster  # noqa: E402
from legacy_golden import CRYPTO, Old, check_backtest, check_simulation  # noqa: E402
from legacy_market import AWKWARD, daily, real  # noqa: E402
from legacy_transcription import Setting  # noqa: E402


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    return Old(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("name", "rows", "family"),
    [
        ("MSTR_1d", slice(-400, None), "noise"),
        ("HIMS_1d", slice(0, 75), "ticks"),
        ("WPM_1d", slice(-120, None), "exact"),
        ("GOOG_1d", slice(None), "constant"),
        ("AAPL_1d_adj", slice(0, 120), "few_missing"),
    ],
)
def test_stocks(old: Old, name: str, rows: slice, family: str) -> None:
    data = real(name, rows)
    setting = Setting(Forecaster(data, family), symbol=name.split("_")[0], spread=1.0009)
    frame = check_backtest(old, data, 7, setting)
    assert list(frame["date"]) == list(data.index[-2:-9:-1])  # the newest first, without the last


@pytest.mark.parametrize(
    ("name", "symbol", "rows", "family"),
    [
        ("BTCUSD_1d", "BTCUSD", slice(-300, None), "noise"),
        ("BTCUSD_1d", "BTCUSD", slice(0, 45), "inverted"),
        ("SUIUSDT_1d", "ETHUSD", slice(-200, None), "near"),
    ],
)
def test_crypto(old: Old, name: str, symbol: str, rows: slice, family: str) -> None:
    data = real(name, rows)
    options = CRYPTO | {"symbol": symbol, "spread": 1.0031}
    frame = check_backtest(old, data, 6, Setting(Forecaster(data, family), **options))
    assert (frame["maxdiffalwayson_sell_contribution"] == 0).all()


@pytest.mark.parametrize("case", ["missing_volume", "old_nans", "zero_low", "constant", "jumps"])
def test_awkward_data(old: Old, case: str) -> None:
    data = AWKWARD[case]()
    frame = check_backtest(old, data, 5, Setting(Forecaster(data, "noise")))
    assert frame["dollar_vol_20d"].eq(0.0).all() == (case == "missing_volume")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_simulations(old: Old, count: int) -> None:
    """Below four, the profit of the next day is the mean without a forecast."""
    data = daily(50, 51)
    frame = check_backtest(old, data, count, Setting(Forecaster(data, "noise")))
    assert len(frame) == count
    for name in ("simple", "maxdiff"):
        mean = frame[f"{name}{'_strategy' * (name == 'simple')}_avg_daily_return"].mean()
        forecast = frame[f"{name}_forecasted_pnl"].iloc[0]
        assert (forecast == mean) == (count < 4 or mean < 0)


def test_no_data(old: Old) -> None:
    frame = old.backtest(pd.DataFrame(), 5, Setting(Forecaster(daily(20), "noise")))
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty
    assert list(frame.columns) == []


def test_short_data_give_fewer_rows(old: Old) -> None:
    """Rows that the old code could answer are there and right, and no more than the data have."""
    data = daily(12, 52)
    setting = Setting(Forecaster(data, "noise"))
    frame = old.backtest(data, 70, setting)
    assert 3 <= len(frame) < 12
    assert list(frame["date"]) == list(data.index[-2 : -2 - len(frame) : -1])
    old.patch.setattr(old.module, "SPREAD", setting.spread)
    for row in range(3):
        alone = old.simulate(data.iloc[: -(row + 1)], setting)
        assert alone["maxdiff_return"] == frame["maxdiff_return"][row]


def test_what_is_asked_of_the_model(old: Old) -> None:
    """Every context once, in the old form; then the daily returns of the strategies."""
    data = daily(50, 53)
    forecaster = Forecaster(data, "noise")
    frame = check_backtest(old, data, 8, Setting(forecaster, symbol="MSTR"))
    targets = [call for call in forecaster.calls if call[1]["symbol"] == "MSTR"]
    profits = [call for call in forecaster.calls if call[1]["symbol"] != "MSTR"]
    contexts = [context for context, _ in targets]
    assert len(contexts) == len(set(contexts)) == 4 * (8 + 6)
    for _, asked in targets:
        assert (asked["prediction_length"], asked["num_samples"]) == (1, 3072)
        assert asked["samples_per_batch"] == 384
    for context, asked in profits:
        name = asked["symbol"].removeprefix("MSTR_").removesuffix("_pnl_forecast")
        sent = torch.frombuffer(bytearray(context), dtype=torch.float32)
        assert torch.equal(sent, torch.tensor(frame[name].to_numpy(), dtype=torch.float32))
        assert (asked["num_samples"], asked["samples_per_batch"]) == (512, 64)


class Kronos:
    """Stands in for the wrapper: fixed percent moves and prices of seven days."""

    def predict_series(
        self, data: pd.DataFrame, *, columns: list[str], pred_len: int, **asked: Any
    ) -> dict[str, Any]:
        assert asked["timestamp_col"] == "timestamp"
        assert {"timestamp", *columns} <= set(data.columns)
        percent, prices = self.forecast(columns[0], data, pred_len)
        return {columns[0]: SimpleNamespace(percent=percent, absolute=prices)}

    def forecast(
        self, key: str, data: pd.DataFrame, count: int = 7
    ) -> tuple[list[float], list[float]]:
        last = float(data[key].iloc[-1])
        percent = [0.01 * ((last * (day + 3)) % 1.0 - 0.4) for day in range(count)]
        return percent, [last * (1.0 + move) for move in percent]


def test_kronos_as_second_opinion(old: Old) -> None:
    kronos = Kronos()
    old.patch.setattr(old.module, "load_kronos_wrapper", lambda params: kronos)
    data = daily(60, 54)
    setting = Setting(Forecaster(data, "noise"), kronos=kronos.forecast)
    result = check_simulation(old, data, setting)
    assert result["close_prediction_source"] == "toto"
    assert result["kronos_expected_move_pct"] != 0.0


def test_kronos_forced(old: Old) -> None:
    kronos = Kronos()
    old.patch.setattr(old.module, "load_kronos_wrapper", lambda params: kronos)
    old.patch.setenv("MARKETSIM_FORCE_KRONOS", "1")
    data = daily(60, 55)
    forecaster = Forecaster(data, "noise")
    setting = Setting(forecaster, kronos=kronos.forecast, kronos_first=True)
    result = check_simulation(old, data, setting)
    assert result["close_prediction_source"] == "kronos"
    assert result["toto_expected_move_pct"] == 0.0
    assert forecaster.calls == []
