"""Daily data for the old functions: the real files where they are at hand, and awkward frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market import random_frame

DATA = Path(__file__).parents[3] / "shared" / "data"
COLUMNS = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
_read: dict[str, pd.DataFrame] = {}


def real(name: str, rows: slice = slice(None)) -> pd.DataFrame:
    """Rows of a real file as the old download returned them; skips the test where there is none."""
    if name not in _read:
        path = DATA / f"{name}.csv"
        if not path.is_file():
            pytest.skip(f"the real data are not beside the checkout: no {path.name}")
        frame = pd.read_csv(path, index_col="timestamp", parse_dates=True)
        _read[name] = frame.rename(columns=COLUMNS)[list(COLUMNS.values())].astype(float)
    return _read[name].iloc[rows].copy()


def daily(count: int, seed: int = 0) -> pd.DataFrame:
    """A random walk with the old column names."""
    return random_frame(count, seed).rename(columns=COLUMNS)


def _missing_volume() -> pd.DataFrame:
    return daily(60, 1).drop(columns="Volume")


def _volume_of_nans() -> pd.DataFrame:
    return daily(60, 2).assign(Volume=np.nan)


def _some_volume() -> pd.DataFrame:
    data = daily(60, 3)
    data.loc[data.index[-9:-3], "Volume"] = np.nan
    return data


def _old_zero() -> pd.DataFrame:
    """A price of zero in the middle of the history."""
    data = daily(60, 4)
    data.iloc[25] = 0.0
    return data


def _recent_zero_open() -> pd.DataFrame:
    data = daily(60, 5)
    data.loc[data.index[-3], "Open"] = 0.0
    return data


def _zero_low() -> pd.DataFrame:
    data = daily(60, 6)
    data.loc[data.index[[-2, -5, -8]], "Low"] = 0.0
    return data


def _zero_close() -> pd.DataFrame:
    """A close of zero two rows before the seven days: where distances divide by it."""
    data = daily(60, 7)
    data.loc[data.index[-8], "Close"] = 0.0
    return data


def _recent_zero_close() -> pd.DataFrame:
    """A close of zero among the seven days: returns of -1 and of infinity."""
    data = daily(60, 22)
    data.loc[data.index[-4], "Close"] = 0.0
    return data


def _old_nans() -> pd.DataFrame:
    """Rows without any price, and rows without one, in the history."""
    data = daily(60, 8)
    data.iloc[[10, 30, 31]] = np.nan
    data.loc[data.index[20], "Open"] = np.nan
    data.loc[data.index[40], "High"] = np.nan
    return data


def _first_row_nan() -> pd.DataFrame:
    data = daily(60, 9)
    data.iloc[0] = np.nan
    return data


def _recent_nan_row() -> pd.DataFrame:
    """A holiday without prices among the seven days."""
    data = daily(60, 10)
    data.iloc[-4] = np.nan
    return data


def _recent_nan_high() -> pd.DataFrame:
    data = daily(60, 11)
    data.loc[data.index[-3], "High"] = np.nan
    data.loc[data.index[-7], "Low"] = np.nan
    return data


def _last_open_nan() -> pd.DataFrame:
    data = daily(60, 12)
    data.loc[data.index[-1], "Open"] = np.nan
    return data


def _constant() -> pd.DataFrame:
    data = daily(60, 13)
    data[["Open", "High", "Low", "Close"]] = 25.0
    return data


def _constant_at_last() -> pd.DataFrame:
    data = daily(60, 14)
    data.iloc[-20:, :4] = data["Close"].iloc[-21]
    return data


def _falling_to_pennies() -> pd.DataFrame:
    data = daily(60, 15)
    return data * np.geomspace(1.0, 1e-6, 60)[:, None]


def _huge() -> pd.DataFrame:
    return daily(60, 16) * 1e9


def _contradicting() -> pd.DataFrame:
    """Bars whose high is below their low, and whose close is beyond both."""
    data = daily(60, 17)
    rng = np.random.default_rng(17)
    return data * np.exp(rng.normal(0.0, 0.02, data.shape))


def _jumps() -> pd.DataFrame:
    """A day at fifty times the price of those around it: returns beyond the clamps."""
    data = daily(60, 18)
    data.iloc[-5, :4] *= 50.0
    return data


def _whole_numbers() -> pd.DataFrame:
    return daily(60, 19).round(0).astype(np.int64)


def _extra_columns() -> pd.DataFrame:
    return daily(60, 20).assign(Symbol="TEST", Vwap=np.nan, Timestamp="2020-01-01")


def _numbered_rows() -> pd.DataFrame:
    return daily(60, 21).reset_index(drop=True)


AWKWARD = {
    make.__name__.removeprefix("_"): make
    for make in (
        _missing_volume,
        _volume_of_nans,
        _some_volume,
        _old_zero,
        _recent_zero_open,
        _zero_low,
        _zero_close,
        _recent_zero_close,
        _old_nans,
        _first_row_nan,
        _recent_nan_row,
        _recent_nan_high,
        _last_open_nan,
        _constant,
        _constant_at_last,
        _falling_to_pennies,
        _huge,
        _contradicting,
        _jumps,
        _whole_numbers,
        _extra_columns,
        _numbered_rows,
    )
}
