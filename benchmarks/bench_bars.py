"""Reading bars, validation included, beside pandas without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import marketsim as ms

FILES, DAYS, MINUTES = 500, 2_500, 5_000_000


def _frame(count: int, frequency: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, count)))
    open_ = close * np.exp(rng.normal(0, 1e-4, count))
    times = pd.date_range("2012-01-02", periods=count, freq=frequency, tz="UTC")
    return pd.DataFrame(
        {
            "timestamp": times,
            "open": open_,
            "high": np.maximum(open_, close) * 1.0001,
            "low": np.minimum(open_, close) * 0.9999,
            "close": close,
            "volume": rng.integers(1, 10**6, count).astype(float),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("csv")
    frame = _frame(DAYS, "B")
    prices = ["open", "high", "low", "close"]
    frame[prices] = frame[prices].round(4)
    frame["timestamp"] = frame["timestamp"].dt.strftime("%Y-%m-%d")
    text = frame.to_csv(index=False)
    for number in range(FILES):
        (path / f"S{number:03}.csv").write_text(text)
    return path


@pytest.mark.benchmark(group="500 files of 2,500 days")
def bench_read_folder(benchmark, folder: Path) -> None:
    def read() -> int:
        return sum(len(bars) for bars in ms.read_folder(folder).values())

    assert benchmark.pedantic(read, rounds=3, warmup_rounds=1) == FILES * DAYS


@pytest.mark.benchmark(group="500 files of 2,500 days")
def bench_pandas_read_csv(benchmark, folder: Path) -> None:
    paths = sorted(folder.iterdir())

    def read() -> int:
        return sum(len(pd.read_csv(path, engine="pyarrow")) for path in paths)

    assert benchmark.pedantic(read, rounds=3, warmup_rounds=1) == FILES * DAYS


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("parquet") / "A.parquet"
    _frame(MINUTES, "min").to_parquet(path, index=False)
    return path


@pytest.mark.benchmark(group="5 million minutes of Parquet")
def bench_read_parquet(benchmark, parquet: Path) -> None:
    bars = benchmark.pedantic(ms.read_bars, (parquet,), rounds=3, warmup_rounds=1)
    assert (len(bars), bars.market.frequency) == (MINUTES, "1 minute")


@pytest.mark.benchmark(group="5 million minutes of Parquet")
def bench_pandas_read_parquet(benchmark, parquet: Path) -> None:
    frame = benchmark.pedantic(pd.read_parquet, (parquet,), rounds=3, warmup_rounds=1)
    assert len(frame) == MINUTES
