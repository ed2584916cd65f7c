"""Small valid data, files of it, and a reader that returns what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import Defect, read_bars
from marketsim.errors import BarsError

MakeFrame = Callable[..., pd.DataFrame]


def _make_frame(count: int = 10, seed: int = 0, times: Any = None) -> pd.DataFrame:
    """Valid bars: a column "timestamp" of text (or `times`), then five float64 columns."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    open_ = close * np.exp(rng.normal(0, 0.005, count))
    frame = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * (1 + rng.uniform(0, 0.01, count)),
            "low": np.minimum(open_, close) * (1 - rng.uniform(0, 0.01, count)),
            "close": close,
            "volume": rng.uniform(0, 1e6, count),
        }
    )
    if times is None:
        times = pd.date_range("2020-01-06", periods=count).strftime("%Y-%m-%d")
    frame.insert(0, "timestamp", times)
    return frame


@pytest.fixture(scope="session")
def make_frame() -> MakeFrame:
    return _make_frame


@pytest.fixture
def frame() -> pd.DataFrame:
    """Ten valid daily bars from Monday 2020-01-06; row i is on January 6 + i."""
    return _make_frame()


@pytest.fixture(scope="session")
def find() -> Callable[..., dict[str, Defect]]:
    """Read what must have defects, and return them by kind."""

    def find(source: Any, **options: Any) -> dict[str, Defect]:
        with pytest.raises(BarsError) as caught:
            read_bars(source, **options)
        defects = {defect.kind: defect for defect in caught.value.defects}
        assert len(defects) == len(caught.value.defects), "each kind is reported once"
        for defect in defects.values():
            assert defect.message in str(caught.value)
            assert defect.fix in str(caught.value)
            assert defect.rows == () or len(defect.rows) == defect.count
        return defects

    return find


@pytest.fixture
def write(tmp_path: Path, frame: pd.DataFrame) -> Callable[..., Path]:
    """Write a file into tmp_path; the ten valid bars as CSV by default."""

    def write(name: str, content: str | bytes | None = None) -> Path:
        text = frame.to_csv(index=False) if content is None else content
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write
