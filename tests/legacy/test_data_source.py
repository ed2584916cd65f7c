"""Where prices and spreads come from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from legacy_market import daily

from marketsim.errors import (
    ArgumentError,
    BarsError,
    InvalidNameError,
    UnknownNameError,
    UnknownSymbolError,
)
from marketsim.legacy.stock import backtest_test3_inline as old
from marketsim.legacy.stock import data_source
from marketsim.legacy.stock.data_source import (
    download_daily_stock_data,
    fetch_spread,
    set_data_source,
    set_spread_source,
)

DATA = daily(60, 5)


@pytest.fixture(autouse=True)
def no_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    monkeypatch.chdir(tmp_path)
    set_data_source(None)
    set_spread_source(None)
    yield
    set_data_source(None)
    set_spread_source(None)


def provide(symbol: str) -> pd.DataFrame:
    return DATA if symbol == "AAPL" else DATA.iloc[:0]


def test_without_a_source_it_says_what_to_do() -> None:
    with pytest.raises(ArgumentError, match=r"no source of prices is set: call .*set_data_source"):
        old.backtest_forecasts("AAPL", 3)
    with pytest.raises(ArgumentError, match="at least one symbol"):
        download_daily_stock_data("2024")


def test_a_function() -> None:
    set_data_source(provide)
    set_spread_source(1.001)
    assert len(old.backtest_forecasts("AAPL", 3)) == 3
    empty = old.backtest_forecasts("MSFT", 3)
    assert isinstance(empty, pd.DataFrame)
    assert empty.empty
    assert download_daily_stock_data("x", symbols=["MSFT", "AAPL"]) is DATA
    set_data_source(lambda symbol: [1.0])  # type: ignore[arg-type, return-value]
    with pytest.raises(ArgumentError, match="must return a DataFrame for AAPL: got list"):
        old.backtest_forecasts("AAPL", 3)


@pytest.mark.parametrize("case", [str.capitalize, str.lower, str.upper])
def test_a_folder_keeps_the_names_of_its_files(tmp_path: Path, case) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    DATA.rename(columns=case).to_csv(folder / "AAPL.csv", index_label="Date")
    set_data_source(folder)
    read = download_daily_stock_data(symbols=["AAPL"])
    assert set(read.columns) == {case(name) for name in DATA.columns}
    np.testing.assert_array_equal(read[case("Close")], DATA["Close"])
    assert read.index[-1].date() == DATA.index[-1].date()
    frame = old.backtest_forecasts("AAPL", 2)
    set_data_source(provide)
    expected = old.backtest_forecasts("AAPL", 2)
    pd.testing.assert_series_equal(frame["maxdiff_return"], expected["maxdiff_return"])
    set_data_source(folder)
    with pytest.raises(UnknownSymbolError, match="holds AAPL"):
        old.backtest_forecasts("MSFT", 2)
    with pytest.raises(InvalidNameError):
        old.backtest_forecasts("../AAPL", 2)
    broken = DATA.assign(High=DATA["Low"] / 2)
    broken.to_csv(folder / "BAD.csv", index_label="Date")
    with pytest.raises(BarsError, match=r"BAD.csv"):
        old.backtest_forecasts("BAD", 2)


def test_an_installed_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("paper", f"{__name__}:provide", data_source.PROVIDERS)
    monkeypatch.setattr(data_source, "entry_points", lambda group: [point])
    set_data_source("paper")
    assert len(old.backtest_forecasts("AAPL", 2)) == 2
    with pytest.raises(UnknownNameError, match=r"'live'.*paper"):
        set_data_source("live")
    with pytest.raises(ArgumentError, match="source must be a folder"):
        set_data_source(5)  # type: ignore[arg-type]


def test_spreads() -> None:
    set_spread_source({"AAPL": 1.002})
    assert fetch_spread("AAPL") == 1.002
    assert fetch_spread("MSFT") == 1.05
    set_spread_source(lambda symbol: 1.003)
    assert fetch_spread("AAPL") == 1.003
    set_spread_source(lambda symbol: 0.9)
    with pytest.raises(ArgumentError, match="spread must be ask / bid"):
        fetch_spread("AAPL")
    with pytest.raises(ArgumentError, match="spread must be ask / bid"):
        set_spread_source("wide")  # type: ignore[arg-type]
