"""Small Kronos checkpoints and bars for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from checkpoints import write_kronos, write_kronos_tokenizer

import marketsim as ms
from marketsim.models.kronos.model import Kronos

# Sizes of predictor and tokenizer. Heads of several sizes, one encoder layer less, fixed clocks.
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "odd": (
        {"d_model": 40, "n_heads": 2, "n_layers": 3, "s1_bits": 4, "s2_bits": 4, "learn_te": False},
        {"d_model": 12, "n_heads": 3, "n_enc_layers": 1, "n_dec_layers": 2}
        | {"s1_bits": 4, "s2_bits": 4},
    ),
}


def write_pair(folder: Path, size: str = "plain", seed: int = 0) -> Path:
    """Write a predictor and its tokenizer into folders of these names."""
    predictor, tokenizer = SIZES[size]
    write_kronos(folder / "predictor", seed, **predictor)
    write_kronos_tokenizer(folder / "tokenizer", seed + 1, **tokenizer)
    return folder


def load_pair(folder: Path, **options: Any) -> Kronos:
    options = {"tokenizer": folder / "tokenizer", "max_context": 24} | options
    model: Any = ms.load_model(folder / "predictor", **options)
    assert isinstance(model, Kronos)
    return model


def bars(size: int, seed: int = 0, start: str = "2024-02-27 21:00") -> pd.DataFrame:
    """A frame of hourly bars, with volumes and amounts."""
    draw = np.random.default_rng(seed)
    close = 50.0 * np.exp(draw.normal(0, 0.02, size).cumsum())
    open_ = close * np.exp(draw.normal(0, 0.01, size))
    spread = np.abs(draw.normal(0, 0.01, (2, size)))
    high, low = np.maximum(open_, close) * (1 + spread[0]), np.minimum(open_, close) - spread[1]
    volume = draw.lognormal(8, 1, size)
    columns = [open_, high, low, close, volume, volume * close]
    return pd.DataFrame(
        dict(zip(("open", "high", "low", "close", "volume", "amount"), columns, strict=True)),
        index=pd.date_range(start, periods=size, freq="h"),
    )


def coming(frame: pd.DataFrame, horizon: int) -> pd.DatetimeIndex:
    """The hours after a frame's."""
    last = frame.index[-1]
    return pd.date_range(last, periods=horizon + 1, freq="h")[1:]


def forecast(model: Kronos, frames: list[pd.DataFrame], horizon: int, **options: Any) -> Any:
    after = [coming(frame, horizon) for frame in frames]
    return model.predict_bars(frames, None, after, horizon=horizon, **options)
