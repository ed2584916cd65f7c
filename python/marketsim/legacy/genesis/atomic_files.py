"""Files in the old layout, written as a whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

import numpy as np

from marketsim.atomic import replace_file
from marketsim.legacy.genesis.candles import Candles
from marketsim.legacy.genesis.indicators.averages import (
    bollinger_bands,
    calculate_adx,
    calculate_atr,
    calculate_ema,
    calculate_rsi,
)
from marketsim.legacy.genesis.indicators.fibonacci import FibonacciConfig, detect_swing_points


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Replace a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8"), sync=sync)


def write_json(path: Path, data: Any, *, sort_keys: bool = False, sync: bool = True) -> None:
    """Replace a file by JSON in the old form: two spaces, infinities as `Infinity`."""
    out: list[str] = []
    _write(data, "\n", sort_keys, out.append)
    write_text(path, "".join(out), sync=sync)


def _write(value: Any, start: str, sort: bool, out: Callable[[str], object]) -> None:
    """What `json.dumps(value, indent=2, default=plain)` gives, in a third of its time."""
    kind = type(value)
    if kind is str:
        out(encode_basestring_ascii(value))
    elif kind is float and value - value == 0.0:
        out(repr(value))
    elif kind is dict and value and all(type(key) is str for key in value):
        inner, mark = f"{start}  ", "{"
        for key, one in sorted(value.items()) if sort else value.items():
            out(f"{mark}{inner}{encode_basestring_ascii(key)}: ")
            _write(one, inner, sort, out)
            mark = ","
        out(f"{start}}}")
    elif kind is list and value:
        inner, mark = f"{start}  ", "["
        for one in value:
            out(f"{mark}{inner}")
            _write(one, inner, sort, out)
            mark = ","
        out(f"{start}]")
    elif kind is int:
        out(repr(value))
    else:
        text = json.dumps(value, indent=2, sort_keys=sort, default=plain)
        out(text.replace("\n", start))


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's; anything else as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def save_npz(path: Path, candles: Candles) -> None:
    """Whole-series indicators under the old names. Nothing reads them: the name says too little."""
    high, low, close = candles.high, candles.low, candles.close
    highs, lows, high_prices, low_prices = detect_swing_points(
        high, low, close, FibonacciConfig(atr_depth=3.0)
    )
    arrays = {
        "atr_14": calculate_atr(high, low, close, 14),
        "atr_50": calculate_atr(high, low, close, 50),
        "ema_20": calculate_ema(close, 20),
        "ema_50": calculate_ema(close, 50),
        "rsi_14": calculate_rsi(close),
        "bb_position_20_2": bollinger_bands(close.tolist())["position"],
        "adx_14": calculate_adx(high, low, close),
        "fib_high_px": high_prices,
        "fib_low_px": low_prices,
    }
    floats = {name: np.asarray(values, float) for name, values in arrays.items()}
    rows = {"fib_high_idx": np.asarray(highs, int), "fib_low_idx": np.asarray(lows, int)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **floats, **rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
