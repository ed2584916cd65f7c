"""The Kronos wrapper on small checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("marketsim.models.kronos")

from kronos_cases import bars, load_pair, write_pair

from marketsim.errors import UnknownNameError
from marketsim.legacy.stock.kronos_wrapper import KronosForecastingWrapper, KronosForecastResult
from marketsim.legacy.stock.pipelines import load_kronos_wrapper, release_model_resources

ASK: dict[str, Any] = {"timestamp_col": "timestamp", "columns": ["Close", "high"], "pred_len": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("kronos"))


@pytest.fixture
def wrapper(folder: Path) -> KronosForecastingWrapper:
    return KronosForecastingWrapper(
        model_name=str(folder / "predictor"),
        tokenizer_name=str(folder / "tokenizer"),
        device="cpu",
        max_context=24,
        sample_count=4,
        temperature=0.6,
        top_k=5,
    )


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    made = bars(rows, seed)
    return made.rename(columns=str.title).assign(timestamp=made.index)


def test_it_is_what_the_model_forecasts(wrapper: KronosForecastingWrapper, folder: Path) -> None:
    data = frame(40)
    found = wrapper.predict_series(data=data, **ASK)
    future = pd.date_range(data.index[-1], periods=4, freq="h")[1:]
    direct = load_pair(folder).predict_bars(
        [data], [data.index], [future], horizon=3, samples=4, temperature=0.6, top_k=5, top_p=0.9
    )
    assert list(found) == ["Close", "high"]
    for name, column in (("Close", 3), ("high", 1)):
        one = found[name]
        assert isinstance(one, KronosForecastResult) and one.absolute.dtype == np.float64
        np.testing.assert_array_equal(one.absolute, direct.mean[0, :, column])
        before = np.float64(np.float32(data[name.title()].iloc[-1]))
        steps = np.diff(np.concatenate([[before], one.absolute]))
        np.testing.assert_allclose(
            one.percent, steps / np.concatenate([[before], one.absolute[:-1]])
        )
        assert list(one.timestamps) == list(future)


def test_a_forecast_does_not_depend_on_the_others(wrapper: KronosForecastingWrapper) -> None:
    frames = [frame(30, 1), frame(40, 2), frame(12, 3)]
    together = wrapper.predict_series_batch(data_frames=frames, **ASK)
    wrapper.unload()  # and it can be made again
    for one, batch in zip(frames, together, strict=True):
        alone = wrapper.predict_series(data=one, **ASK)
        np.testing.assert_array_equal(alone["Close"].absolute, batch["Close"].absolute)


def test_each_call_may_say_otherwise(wrapper: KronosForecastingWrapper) -> None:
    data = frame(30)
    usual = wrapper.predict_series(data=data, **ASK)["Close"].absolute
    for change in ({"temperature": 1.0}, {"top_k": 1}, {"sample_count": 3}, {"lookback": 20}):
        other = wrapper.predict_series(data=data, **ASK, **change)["Close"].absolute
        assert not np.array_equal(other, usual), change
    same = wrapper.predict_series(data=data, **ASK, temperature=0.6, verbose=True)["Close"]
    np.testing.assert_array_equal(same.absolute, usual)
    with pytest.raises(UnknownNameError, match="column that Kronos forecasts"):
        wrapper.predict_series(data=data, **(ASK | {"columns": ["vwap"]}))


@pytest.fixture
def resident(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Parameters, with the small checkpoint as Kronos."""
    monkeypatch.setenv("KRONOS_MODEL_ID", str(folder / "predictor"))
    monkeypatch.setenv("KRONOS_TOKENIZER_ID", str(folder / "tokenizer"))
    names = ("temperature", "top_p", "top_k", "sample_count", "max_context", "clip")
    yield dict(zip(names, (0.6, 0.9, 5, 2, 24, 5.0), strict=True))
    release_model_resources(force=True)


def test_loaded_once_a_set_of_parameters(resident: dict[str, Any]) -> None:
    first = load_kronos_wrapper(resident)
    assert load_kronos_wrapper(dict(resident)) is first
    assert load_kronos_wrapper(resident | {"top_k": 6}) is not first
    assert first.predict_series(data=frame(30), **ASK)["Close"].absolute.shape == (3,)
    release_model_resources(force=True)
    assert load_kronos_wrapper(resident) is not first
