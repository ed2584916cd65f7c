"""The same values as TA-Lib, wherever it has the indicator."""

from __future__ import annotations

import numpy as np
import pytest
from indicator_inputs import Array, series

from marketsim import indicators as ind

talib = pytest.importorskip("talib", reason="TA-Lib is not installed: pip install TA-Lib")
pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")


def pairs(data: object, n: int) -> dict[str, tuple[object, object]]:
    _, h, l, c, v, _ = data  # type: ignore[misc]  # noqa: E741
    adx, bands, lines = ind.adx(h, l, c, n), ind.bollinger(c, n, 2.0), ind.macd(c, n, 2 * n, 5)
    slow = ind.stochastic(h, l, c, n, 3, 4)
    return {
        "sma": (ind.sma(c, n), talib.SMA(c, n)),
        "ema": (ind.ema(c, n), talib.EMA(c, n)),
        "wma": (ind.wma(c, n), talib.WMA(c, n)),
        "true_range": (ind.true_range(h, l, c, first="nan"), talib.TRANGE(h, l, c)),
        "atr": (ind.atr(h, l, c, n), talib.ATR(h, l, c, n)),
        "rsi": (ind.rsi(c, n, convention="talib"), talib.RSI(c, n)),
        "adx": (adx.adx, talib.ADX(h, l, c, n)),
        "plus_di": (adx.plus_di, talib.PLUS_DI(h, l, c, n)),
        "minus_di": (adx.minus_di, talib.MINUS_DI(h, l, c, n)),
        "bollinger": (bands[:3][::1], np.array(talib.BBANDS(c, n, 2.0, 2.0))[[1, 0, 2]]),
        "rolling_std": (ind.rolling_std(c, n), talib.STDDEV(c, n)),
        "macd": (tuple(lines), talib.MACD(c, n, 2 * n, 5)),
        "stochastic": (tuple(slow), talib.STOCH(h, l, c, n, 3, 0, 4, 0)),
        "rolling_min": (ind.rolling_min(c, n), talib.MIN(c, n)),
        "rolling_max": (ind.rolling_max(c, n), talib.MAX(c, n)),
        "correlation": (ind.correlation(c, v, n), talib.CORREL(c, v, n)),
        "obv": (ind.obv(c, v), talib.OBV(c, v)),
    }


def close_enough(name: str, ours: Array, theirs: Array, scale: float) -> bool:
    # Running sums lose digits of squares and products: sqrt of that in a deviation.
    loss = 1e-5 if name in ("rolling_std", "bollinger", "correlation") else 1e-9
    return np.allclose(ours, theirs, rtol=1e-9, atol=loss * scale, equal_nan=True)


@pytest.mark.parametrize("n", [2, 5, 14, 40])
def test_equal_to_talib(n: int) -> None:
    for kind, seed in (("walk", 1), ("walk", 2), ("ties", 3), ("jumps", 4)):
        data = series(kind, 400, seed)
        scale = float(np.nanmax(data.close)) if kind == "jumps" else 1.0
        for name, (ours, theirs) in pairs(data, n).items():
            x, y = np.asarray(ours), np.asarray(theirs)
            if name == "correlation":  # 0 there where a series does not move, NaN here
                x = np.where(np.isnan(x) & (np.arange(400) >= n - 1), 0.0, x)
            assert np.array_equal(np.isnan(x), np.isnan(y)), (name, kind, n)
            assert close_enough(name, x, y, scale), (name, kind, n, np.nanmax(np.abs(x - y)))


def test_flat_series_as_talib() -> None:
    data = series("flat", 60)
    _, h, l, c, _, _ = data  # noqa: E741
    assert np.array_equal(ind.rsi(c, 14, convention="talib"), talib.RSI(c, 14), equal_nan=True)
    assert (ind.rsi(c, 14)[14:] == 100.0).all()
    assert np.array_equal(ind.adx(h, l, c).adx, talib.ADX(h, l, c), equal_nan=True)
    assert np.array_equal(
        ind.stochastic(h, l, c).k, talib.STOCH(h, l, c, 14, 3, 0, 3, 0)[0], equal_nan=True
    )
