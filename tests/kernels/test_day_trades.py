"""Day trades: the kernels against their definitions, one day after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marketsim import _core

PRECISIONS = (np.float32, np.float64)
KINDS = ("random", "ticks", "missing", "infinite", "zero", "huge")
NAMES = ("close_pred", "high_pred", "low_pred", "close", "high", "low")


def values(kind: str, shape: tuple[int, int], rng: np.random.Generator, dtype: Any) -> Any:
    made = rng.normal(0.0, 0.02, shape)
    some = rng.random(shape) < 0.2
    match kind:
        case "ticks":  # limits that are just reached
            made = np.round(made, 2)
        case "missing":
            made[some] = np.nan
        case "infinite":
            made = np.where(some, rng.choice([np.inf, -np.inf], shape), made)
        case "zero":
            made = rng.choice([0.0, -0.0], shape)
        case "huge":
            made *= 1e37
    return made.astype(dtype)


def take_profit_reference(row: dict[str, Any], fee: float) -> tuple[Any, Any, Any]:
    """Returns of one row, and its high_pred and close as they are afterwards."""
    real = row["close"].dtype.type
    returns, high_pred, close = (row[name].copy() for name in ("close", "high_pred", "close"))
    for day in range(len(returns)):
        is_long = row["close_pred"][day] > 0
        changed = day > 0 and is_long != (row["close_pred"][day - 1] > 0)
        paid = real(fee) if day == 0 else real(fee + fee) if changed else real(0.0)
        touched = is_long and row["high"][day] >= row["high_pred"][day]
        if is_long:
            gain = row["high_pred"][day] if touched else row["close"][day]
        else:
            out = row["low"][day] <= row["low_pred"][day]
            gain = real(0.0) - (row["low_pred"][day] if out else row["close"][day])
        returns[day] = gain - paid
        if is_long:
            (high_pred if touched else close)[day] = returns[day]
    return returns, high_pred, close


def high_low_reference(row: dict[str, Any], fee: float, long_only: bool) -> Any:
    real = row["close"].dtype.type
    returns, before = np.zeros_like(row["close"]), 0
    for day, forecast in enumerate(row["close_pred"]):
        side = 1 if forecast > 0 else -1 if forecast < 0 and not long_only else 0
        close = row["close"][day]
        if side > 0:
            touched = row["low"][day] <= row["low_pred"][day]
            gain = close - (row["low_pred"][day] if touched else close)
        else:
            touched = row["high"][day] >= row["high_pred"][day]
            gain = (row["high_pred"][day] if touched else close) - close
        paid = 0.0 if side == before else fee if before == 0 else fee + fee
        returns[day] = gain - real(paid) if side else 0.0
        before = side
    return returns


def shutdown_reference(forecasts: Any, returns: Any, long_only: bool) -> list[float]:
    held: list[float] = []
    for day, forecast in enumerate(forecasts):
        sign = float(forecast > 0) - float(forecast < 0)
        if day == 0:
            held.append(1.0)
            continue
        came = returns[day - 1] if day <= len(returns) else np.nan
        before = forecasts[day - 1]
        was_right = (before > 0 and came > 0) or (before < 0 and came < 0)
        held.append(sign if held[-1] == 0.0 or was_right else 0.0)
    return [max(signal, 0.0) for signal in held] if long_only else held


def rows_of(kind: str, shape: tuple[int, int], dtype: Any, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: values(kind, shape, rng, dtype) for name in NAMES}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 6), (3, 0), (1, 1), (5, 6), (2, 33)])
def test_returns(kind: str, dtype: Any, shape: tuple[int, int]) -> None:
    for seed in range(4):
        rows = rows_of(kind, shape, dtype, seed)
        made = _core.take_profit_returns(*rows.values(), 0.0005)
        plain, longs = (
            _core.high_low_returns(*rows.values(), 0.0005, only) for only in (False, True)
        )
        for part in (*made, plain, longs):
            assert part.dtype == dtype
            assert part.shape == shape
        with np.errstate(all="ignore"):
            for i in range(shape[0]):
                row = {name: value[i] for name, value in rows.items()}
                expected = take_profit_reference(row, 0.0005)
                for part, of_row in zip(made, expected, strict=True):
                    np.testing.assert_array_equal(part[i], of_row)
                np.testing.assert_array_equal(plain[i], high_low_reference(row, 0.0005, False))
                np.testing.assert_array_equal(longs[i], high_low_reference(row, 0.0005, True))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [0, 1, 6, 7, 12])
def test_shutdown(kind: str, dtype: Any, known: int) -> None:
    rng = np.random.default_rng(known)
    forecasts = values(kind, (40, 7), rng, dtype)
    returns = values(kind, (40, known), rng, np.float64)
    for long_only in (False, True):
        made = _core.shutdown_signals(forecasts, returns, long_only)
        expected = [
            shutdown_reference(*row, long_only) for row in zip(forecasts, returns, strict=True)
        ]
        np.testing.assert_array_equal(made, expected)


def test_what_is_handed_over_stays() -> None:
    rows = rows_of("ticks", (2, 6), np.float32, 1)
    before = {name: value.copy() for name, value in rows.items()}
    _core.take_profit_returns(*rows.values(), 0.0005)
    for name, value in rows.items():
        np.testing.assert_array_equal(value, before[name])


def test_wrong_arguments() -> None:
    rows = list(rows_of("ticks", (2, 6), np.float32, 1).values())
    with pytest.raises(ValueError, match="shapes differ: close_pred has .2, 6., low has .2, 5."):
        _core.take_profit_returns(*rows[:5], rows[5][:, :5].copy(), 0.0)
    with pytest.raises(ValueError, match=r"close_pred must be \[row, day\]"):
        _core.high_low_returns(*[row[0] for row in rows], 0.0, False)
    with pytest.raises(TypeError):  # one precision for all
        _core.take_profit_returns(*rows[:5], rows[5].astype(np.float64), 0.0)
    with pytest.raises(ValueError, match="equally many rows: got shapes"):
        _core.shutdown_signals(rows[0], np.zeros((3, 6)), False)
