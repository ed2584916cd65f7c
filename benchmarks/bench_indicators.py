"""Indicators and features; rivals TA-Lib and talipp in the same groups, where they are installed.

Each benchmark checks the answer, then times it. Group names say what is counted.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernel_counts
from marketsim import indicators as ind
from marketsim.features import FeatureStore, Pipeline

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from indicator_inputs import series
from windowed_features import fifteen

talib = pytest.importorskip("talib", reason="the rival TA-Lib is not installed: marketsim[peers]")

MANY = np.arange(5, 37)
Call = Callable[..., Any]


def one_window() -> dict[str, tuple[Call, Call]]:
    return {
        "ema": (lambda d: ind.ema(d.close, 20), lambda d: talib.EMA(d.close, 20)),
        "rsi": (
            lambda d: ind.rsi(d.close, 14, convention="talib"),
            lambda d: talib.RSI(d.close, 14),
        ),
        "atr": (lambda d: ind.atr(*d[1:4], 14), lambda d: talib.ATR(*d[1:4], 14)),
        "adx": (lambda d: ind.adx(*d[1:4], 14).adx, lambda d: talib.ADX(*d[1:4], 14)),
        "bollinger": (
            lambda d: ind.bollinger(d.close, 20)[:3],
            lambda d: np.array(talib.BBANDS(d.close, 20, 2.0, 2.0))[[1, 0, 2]],
        ),
    }


def many_windows() -> dict[str, tuple[Call, Call]]:
    return {
        "ema": (
            lambda d: ind.ema(d.close, MANY),
            lambda d: [talib.EMA(d.close, int(n)) for n in MANY],
        ),
        "rsi": (
            lambda d: ind.rsi(d.close, MANY, convention="talib"),
            lambda d: [talib.RSI(d.close, int(n)) for n in MANY],
        ),
        "atr": (
            lambda d: ind.atr(*d[1:4], MANY),
            lambda d: [talib.ATR(*d[1:4], int(n)) for n in MANY],
        ),
        "adx": (
            lambda d: ind.adx(*d[1:4], MANY).adx,
            lambda d: [talib.ADX(*d[1:4], int(n)) for n in MANY],
        ),
        "bollinger": (
            lambda d: ind.bollinger(d.close, MANY).upper,
            lambda d: [talib.BBANDS(d.close, int(n), 2.0, 2.0)[0] for n in MANY],
        ),
    }


@pytest.mark.parametrize("rows", [10_000, 1_000_000])
@pytest.mark.parametrize("who", ["marketsim", "talib"])
@pytest.mark.parametrize("name", list(one_window()))
def bench_one_window(benchmark: Any, name: str, who: str, rows: int) -> None:
    benchmark.group = f"{name}, one window, {rows} bars"
    data = series("walk", rows)
    ours, theirs = one_window()[name]
    np.testing.assert_allclose(np.asarray(ours(data)), np.asarray(theirs(data)), 1e-6, 1e-6)
    benchmark(ours if who == "marketsim" else theirs, data)


@pytest.mark.parametrize("who", ["marketsim", "talib"])
@pytest.mark.parametrize("name", list(many_windows()))
def bench_32_windows(benchmark: Any, name: str, who: str) -> None:
    benchmark.group = f"{name}, 32 windows, 10000 bars"
    data = series("walk", 10_000)
    ours, theirs = many_windows()[name]
    np.testing.assert_allclose(np.asarray(ours(data)), np.asarray(theirs(data)), 1e-6, 1e-6)
    benchmark(ours if who == "marketsim" else theirs, data)


@pytest.mark.parametrize("who", ["marketsim", "talipp"])
@pytest.mark.parametrize("name", ["ema", "rsi", "atr"])
def bench_stream(benchmark: Any, name: str, who: str) -> None:
    benchmark.group = f"{name}, bar by bar from Python, 1000 bars"
    data = series("walk", 1000)
    if who == "talipp":
        rival = pytest.importorskip("talipp.indicators", reason="marketsim[peers] has talipp")
        ohlcv = pytest.importorskip("talipp.ohlcv").OHLCV
        bars = [ohlcv(*row) for row in zip(*(c.tolist() for c in data[:5]), strict=True)]
        values = bars if name == "atr" else data.close.tolist()

        def run() -> Any:
            live = getattr(rival, name.upper())(14)
            for x in values:
                live.add(x)
            return live[-1]
    else:
        rows = list(
            zip(*(c.tolist() for c in (data[1:4] if name == "atr" else data[3:4])), strict=True)
        )

        def run() -> Any:
            live = getattr(ind.stream, name)(14)
            update = live.update
            for row in rows:
                value = update(*row)
            return value

        batch = ind.atr(*data[1:4], 14) if name == "atr" else getattr(ind, name)(data.close, 14)
        assert run() == batch[-1]
    benchmark(run)


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Streams in C++, linked with the kernels of the build."""
    kernels = kernel_counts.library()
    if kernels is None:
        pytest.skip("csrc is not built here: pip install -e . first")
    library = tmp_path_factory.mktemp("native") / "indicator_streams.so"
    source = Path(__file__).parent / "native" / "indicator_streams.cpp"
    options = ["-std=c++20", "-O2", "-shared", "-fPIC", "-pthread"]
    include = f"-I{kernel_counts.ROOT / 'csrc'}"
    subprocess.run(["c++", *options, include, source, kernels, "-o", library], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.stream_last.restype = ctypes.c_double
    loaded.stream_last.argtypes = [
        ctypes.c_char_p, ctypes.c_double, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
    ]  # fmt: skip
    return loaded


@pytest.mark.parametrize("name", ["ema", "rsi", "atr", "adx", "sma", "bollinger"])
@pytest.mark.benchmark(group="bar by bar from C++")
def bench_stream_in_cpp(measure: Call, native: ctypes.CDLL, name: str) -> None:
    data = series("walk", 100_000)
    columns = data[1:4] if name in ("atr", "adx") else data[3:4]
    seed = int(name in ("atr", "adx"))  # what Python takes: the mean of the first bars
    rows = np.ascontiguousarray(np.stack(columns, axis=1))
    found = measure(
        lambda: native.stream_last(name.encode(), 14.0, seed, rows.ctypes.data, len(rows)),
        items=len(rows),
        unit="a bar",
    )
    batch = np.asarray(getattr(ind, name)(*columns, 14))
    assert found == batch.reshape(-1, len(rows))[0, -1]


def bench_windowed_features(benchmark: Any) -> None:
    benchmark.group = "15 windowed features (200 rows), 3000 bars"
    data = series("walk", 3000)
    bars = {name: getattr(data, name) for name in ("open", "high", "low", "close", "volume")}
    pipeline = Pipeline(fifteen(199), asof="previous")
    table = benchmark(pipeline.all, bars)
    assert np.array_equal(table.values[-1], pipeline.at(bars, 2999))


def bench_windowed_features_stream(benchmark: Any) -> None:
    benchmark.group = "15 windowed features (200 rows), one bar"
    data = series("walk", 3000)
    bars = {name: getattr(data, name) for name in ("open", "high", "low", "close", "volume")}
    pipeline = Pipeline(fifteen(199), asof="previous")
    live = pipeline.stream()
    rows = np.ascontiguousarray(np.stack([bars[name] for name in pipeline.inputs]).T)
    for row in rows[:-1]:
        live.update(row)
    assert np.array_equal(live.copy().update(rows[-1]), pipeline.at(bars, 2999))
    benchmark(live.update, rows[-1])


def bench_append_to_stored_features(benchmark: Any, tmp_path: Path) -> None:
    benchmark.group = "append one bar to 100000 stored bars"
    data = series("walk", 100_000)
    bars = {name: getattr(data, name) for name in ("open", "high", "low", "close", "volume")}
    pipeline = Pipeline(fifteen(199), asof="previous")
    stored = FeatureStore(tmp_path).open(pipeline, bars)
    row = [float(bars[name][-1]) for name in pipeline.inputs]
    stamp = 100_000

    def append() -> Any:
        nonlocal stamp
        stamp += 1
        return stored.append(np.datetime64(stamp, "ns"), row)

    append()
    benchmark(append)
    assert np.array_equal(
        stored.table().values[:100_000], pipeline.all(bars).values, equal_nan=True
    )


def bench_warm_store(benchmark: Any, tmp_path: Path) -> None:
    benchmark.group = "stored features of 10000 bars, found again"
    data = series("walk", 10_000)
    bars = {name: getattr(data, name) for name in ("open", "high", "low", "close", "volume")}
    pipeline = Pipeline(fifteen(199), asof="previous")
    FeatureStore(tmp_path).table(pipeline, bars)
    table = benchmark(lambda: FeatureStore(tmp_path, mode="r").table(pipeline, bars))
    assert np.array_equal(table.values, pipeline.all(bars).values, equal_nan=True)
