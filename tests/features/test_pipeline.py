"""One declaration, three forms: the same bits at every bar."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from indicator_inputs import KINDS, Series, golden, same_bits, series
from windowed_features import fifteen

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.features import Pipeline, column, indicator, where


def bars_of(data: Series, rows: slice = slice(None)) -> dict[str, Any]:
    return {name: getattr(data, name)[rows] for name in data._fields[:5]}


def mixed() -> dict[str, Any]:
    close, volume = column("close"), column("volume")
    ema = indicator("ema", close, window=7)
    return {
        "trend": (close / ema - 1).clip(-0.05, 0.05),
        "of_a_feature": indicator("zscore", close - ema, window=9),
        "late": indicator("rsi", window=5).lag(3).fill(50),
        "band": indicator("bollinger", output="upper", window=6)
        - indicator("bollinger", output="lower", window=6),
        "busy": where(volume > indicator("sma", volume, window=4), 1.0, -volume.log()),
        "spread": (column("high") - column("low")).sqrt().maximum(0.1).mean(3),
        "exponent": (-abs(close - close.lag(1))).exp(),
    }


def declared() -> dict[str, Pipeline]:
    return {
        "mixed": Pipeline(mixed(), asof="current"),
        "mixed previous": Pipeline(mixed(), asof="previous"),
        "windowed": Pipeline(fifteen(30), asof="current"),
        "windowed previous": Pipeline(fifteen(23), asof="previous"),
        "whole history": Pipeline(fifteen(None), asof="current"),
    }


@pytest.mark.parametrize("name", list(declared()))
def test_all_at_and_stream_are_equal_at_every_bar(name: str) -> None:
    pipeline = declared()[name]
    for kind in KINDS:
        bars = bars_of(series(kind, 110, 11))
        table = pipeline.all(bars).values
        live = pipeline.stream()
        for t in range(110):
            row = live.update({k: v[t] for k, v in bars.items()})
            assert same_bits(row, table[t]), (kind, t)
            assert same_bits(pipeline.at(bars, t), table[t]), (kind, t)
            if t == 57:
                live = pickle.loads(pickle.dumps(live.copy()))  # noqa: S301 - our own


@pytest.mark.parametrize("name", list(declared()))
def test_no_feature_sees_rows_after_its_as_of_row(name: str) -> None:
    pipeline = declared()[name]
    data = series("walk", 120, 12)
    table = pipeline.all(bars_of(data)).values
    last = 70 if pipeline.asof == "current" else 71
    changed = {k: np.where(np.arange(120) > 70, v * 2 + 1, v) for k, v in bars_of(data).items()}
    after = pipeline.all(changed).values
    assert same_bits(after[: last + 1], table[: last + 1])
    assert not same_bits(after[last + 1], table[last + 1])
    assert same_bits(pipeline.all(bars_of(data, slice(71))).values, table[:71])


def test_recorded_features_of_all_rows_before() -> None:
    exact = [0, 1, 2, 3, 4, 5, 6, 7, 11]  # no exponential enters
    for name in ("BTCUSD_1h_2018-06-01_3000", "BTCUSD_1d_2014-12-01_1770"):
        with np.load(golden("inputs.npz")) as inputs:
            bars = {k: inputs[f"{name}/{k}"] for k in ("open", "high", "low", "close", "volume")}
        with np.load(golden("indicators.npz")) as recorded:
            rows = recorded[f"{name}/asof_rows"]
            expected = recorded[f"{name}/asof_features"]
        got = Pipeline(fifteen(None), asof="current").all(bars).values[rows]
        assert same_bits(got[:, exact], expected[:, exact])
        assert np.allclose(got, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("run", "name", "slope"),
    [
        ("d_1h_default", "BTCUSD_1h_2018-06-01_3000", (20, 5)),
        ("d_1D_champion", "BTCUSD_1d_2014-12-01_1770", (20, 5)),
    ],
)
def test_recorded_features_of_a_live_window(run: str, name: str, slope: tuple[int, int]) -> None:
    with np.load(golden("inputs.npz")) as inputs:
        bars = {k: inputs[f"{name}/{k}"] for k in ("open", "high", "low", "close", "volume")}
    table = Pipeline(fifteen(199, slope), asof="previous").all(bars)
    exponential = {"fib_prox_score", "fib0618_prox_atr", "fib05_prox_atr"}
    with np.load(golden(f"runs/{run}.npz")) as recorded:
        for feature in table.names:
            expected = recorded[f"f_{feature}"]
            seen = ~np.isnan(expected)
            assert seen.sum() > 1000
            got, want = table[feature][seen], expected[seen]
            if feature in exponential or "_x_" in feature:
                assert np.allclose(got, want, rtol=1e-15, atol=0), feature
            else:
                assert same_bits(got, want), feature


def test_history_is_what_one_row_follows_from() -> None:
    close = column("close")
    assert Pipeline({"a": close}, asof="current").history == 1
    assert Pipeline({"a": close.lag(4)}, asof="previous").history == 6
    assert Pipeline({"a": indicator("sma", close, window=5).lag(2)}, asof="current").history == 7
    assert Pipeline({"a": indicator("rsi", lookback=50)}, asof="current").history == 50
    assert Pipeline({"a": indicator("rsi")}, asof="current").history is None


def test_a_declaration_is_a_fingerprint() -> None:
    close = column("close")

    def of(value: Any, asof: str = "current", name: str = "a") -> str:
        return Pipeline({name: value}, asof=asof).fingerprint

    base = of(indicator("ema", close, window=5))
    assert base == of(indicator("ema", close, window=5))
    others = [
        of(indicator("ema", close, window=6)),
        of(indicator("ema", close, window=5, seed="first")),
        of(indicator("ema", close, window=5, lookback=50)),
        of(indicator("ema", close, window=5), "previous"),
        of(indicator("ema", close, window=5), name="b"),
        of(indicator("ema", column("open"), window=5)),
        of(indicator("ema", close, window=5) * 1.0),
    ]
    assert len({base, *others}) == 8


def test_extra_columns_and_tables() -> None:
    data = series("walk", 30)
    pipeline = Pipeline({"a": column("close") - column("news")}, asof="current")
    table = pipeline.all(bars_of(data), {"news": np.ones(30)})
    assert same_bits(table["a"], data.close - 1)
    assert np.shares_memory(table[5:9].values, table.values)
    assert list(table.frame().columns) == ["a"]
    with pytest.raises(ArgumentError, match="column 'news' is missing"):
        pipeline.all(bars_of(data))
    with pytest.raises(UnknownNameError, match="unknown feature 'b'"):
        _ = table["b"]


def test_wrong_declarations_say_what_is_wrong() -> None:
    close = column("close")
    for make, message in (
        (lambda: indicator("macd"), "macd: output must be one of macd, signal, histogram"),
        (lambda: indicator("sma", window=3), "sma needs its inputs"),
        (lambda: indicator("rsi", windw=3), "rsi: unknown parameter 'windw'"),
        (lambda: indicator("rsi", lag=3), "lag goes with lookback"),
        (lambda: indicator("rsi", lookback=3, lag=3), "lookback must be above lag"),
        (lambda: indicator("rsi", window=[3, 4]), "one number a parameter"),
        (lambda: close.lag(-1), "lag: expected a whole number"),
        (lambda: close + "1", "expected a feature's value or a number"),
        (lambda: Pipeline({}, asof="current"), "at least one"),
        (lambda: Pipeline({"a": 1.0}, asof="current"), "feature 'a': expected a value"),
        (lambda: Pipeline({"a": close}, asof="now"), "unknown asof 'now'"),
        (lambda: Pipeline({"a": close}, asof="current").at({"close": [1.0]}, 1), "row: expected"),
    ):
        with (
            pytest.raises(ArgumentError, match=message)
            if "unknown asof" not in message
            else (pytest.raises(UnknownNameError, match=message))
        ):
            make()  # type: ignore[no-untyped-call]
