"""Runs marketsim.legacy with fixed forecasts, and compares it with the transcription.

Everything is compared to the last digit: dtypes, shapes and Python types too. Only what is in
ROUNDED may differ by rounding, for the reason given there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from legacy_forecasts import Forecaster
from legacy_frames import backtest
from legacy_transcription import CRYPTO_FEE, UNDEFINED, Reported, Setting, simulate

# Relative differences that are allowed. The old code took these two from running sums of pandas
# over the whole history, whose last digits depend on rows that no longer count.
ROUNDED = {"atr_pct_14": 1e-12, "dollar_vol_20d": 1e-12}
# NumPy 1 interpolates quantiles of float32 in float64, NumPy 2 and ours in float32.
BANDS = 1e-5 if np.lib.NumpyVersion(np.__version__) < "2.0.0" else 0.0
ROUNDED["close_ci_band"] = BANDS

CRYPTO = {"crypto": True, "fee": CRYPTO_FEE, "symbol": "BTCUSD"}


class Old:
    """The module with the old name, as a user of it would set it up for a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        from marketsim.legacy.stock import backtest_test3_inline

        self.module: ModuleType = backtest_test3_inline
        self.patch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HYPERPARAM_ROOT", str(folder / "hyperparams"))
        monkeypatch.setattr(self.module, "load_kronos_wrapper", no_kronos)

    def use(self, setting: Setting) -> None:
        """The setting's fixed forecasts, if it has some; else what the module forecasts with."""
        if isinstance(setting.forecast, Forecaster):
            self.patch.setattr(self.module, "cached_predict", setting.forecast.cached_predict)

    def simulate(self, data: pd.DataFrame, setting: Setting) -> dict[str, Any]:
        """`run_single_simulation` with the forecasts of the setting."""
        self.use(setting)
        self.patch.setattr(self.module, "SPREAD", setting.module_spread)
        result: dict[str, Any] = self.module.run_single_simulation(
            data, setting.symbol, setting.fee, setting.crypto, 0, setting.spread
        )
        return result

    def backtest(self, data: pd.DataFrame, simulations: int, setting: Setting) -> pd.DataFrame:
        """`backtest_forecasts` on this data, with the forecasts and the spread of the setting."""
        self.use(setting)

        def download(*args: Any, symbols: list[str], **options: Any) -> pd.DataFrame:
            assert list(symbols) == [setting.symbol]
            return data.copy()

        self.patch.setattr(self.module, "download_daily_stock_data", download)
        self.patch.setattr(self.module, "fetch_spread", lambda symbol: setting.spread)
        frame: pd.DataFrame = self.module.backtest_forecasts(setting.symbol, simulations)
        return frame


def no_kronos(params: dict[str, Any]) -> Any:
    raise RuntimeError("this test has no Kronos model")


def check_simulation(old: Old, data: pd.DataFrame, setting: Setting) -> dict[str, Any]:
    """The result, once all its columns and all of last_preds are what the old code gave."""
    got = old.simulate(data, setting)
    expected = simulate(data, setting, Reported.of(got))
    assert list(got) == list(expected)
    assert_same(got, expected)
    return got


def check_backtest(
    old: Old, data: pd.DataFrame, simulations: int, setting: Setting
) -> pd.DataFrame:
    """The frame, once it is what the old code gave: columns, order, dtypes, rows and attributes."""
    got = old.backtest(data, simulations, setting)
    rows = got.to_dict("records")
    asked = replace(setting, module_spread=setting.spread)
    expected = backtest(data, len(rows), asked, [Reported.of(row) for row in rows])
    assert list(got.columns) == list(expected.columns)
    pd.testing.assert_index_equal(got.index, pd.RangeIndex(len(rows)), exact=True)
    assert got.attrs == {}
    for name, dtype in expected.dtypes.items():
        undefined = any(value is UNDEFINED for value in expected[name])
        assert got[name].dtype == (np.float64 if undefined else dtype), name
    for number, (one, other) in enumerate(zip(rows, expected.to_dict("records"), strict=True)):
        assert_same(one, other, f"row {number}: ")
    return got


def assert_same(got: Mapping[str, Any], expected: Mapping[str, Any], where: str = "") -> None:
    """Names every value that differs, not the first alone."""
    assert set(got) == set(expected), f"{where}{set(got) ^ set(expected)} on one side only"
    found = [
        f"{where}{name}: got {got[name]!r}, expected {value!r}"
        for name, value in expected.items()
        if not isinstance(value, dict) and not same(got[name], value, ROUNDED.get(name, 0.0))
    ]
    assert not found, "\n".join(found)
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(got[name], value, f"{where}{name}: ")


def same(got: Any, expected: Any, rounding: float = 0.0) -> bool:
    """Whether two values are the same in type and in every digit (missing equals missing)."""
    if expected is UNDEFINED:
        return isinstance(got, float)
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor) or got.dtype != expected.dtype:
            return False
        if not rounding:
            return np.array_equal(got.numpy(), expected.numpy(), equal_nan=True)
        return np.allclose(got.numpy(), expected.numpy(), rtol=rounding, atol=0.0, equal_nan=True)
    if isinstance(expected, list):
        return isinstance(got, list) and same_days(got, expected)
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return bool(got == expected)
    if isinstance(expected, int):
        return isinstance(got, (int, np.integer)) and got == expected
    if not isinstance(got, float):
        return False
    both_missing = got != got and expected != expected
    return both_missing or got == expected or abs(got - expected) <= rounding * abs(expected)


def same_days(got: list[Any], expected: list[Any]) -> bool:
    return len(got) == len(expected) and all(map(same, got, expected))
