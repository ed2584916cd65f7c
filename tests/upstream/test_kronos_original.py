"""Kronos gives what the original code gives, where $MARKETSIM_KRONOS_UPSTREAM is a checkout of it.

The checkout is https://github.com/shiyu-coder/Kronos; its code also needs einops and tqdm. Both
read the same random weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

import torch
from kronos_cases import bars, coming, load_pair, write_pair

UPSTREAM = os.environ.get("MARKETSIM_KRONOS_UPSTREAM", "")
if not (Path(UPSTREAM) / "model" / "kronos.py").is_file() or not UPSTREAM:
    pytest.skip(
        "MARKETSIM_KRONOS_UPSTREAM names no checkout of the original code", allow_module_level=True
    )
for package in ("einops", "tqdm", "huggingface_hub"):
    pytest.importorskip(package)

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # of the original
HORIZON = 4
CONTEXT = 24
COLUMNS = ["open", "high", "low", "close", "volume", "amount"]


@pytest.fixture(scope="module")
def original() -> Iterator[Any]:
    """The original's module; its folder is on the path as its own programs have it."""
    sys.path.insert(0, UPSTREAM)
    try:
        yield import_module("model.kronos")
    finally:
        sys.path.remove(UPSTREAM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("kronos"), "plain", 3)


def predictor(original: Any, folder: Path) -> Any:
    tokenizer = original.KronosTokenizer.from_pretrained(str(folder / "tokenizer")).eval()
    model = original.Kronos.from_pretrained(str(folder / "predictor")).eval()
    for module in (*tokenizer.modules(), *model.modules()):
        if type(module).__name__ == "RotaryPositionalEmbedding":  # the folders hold no table
            size = 2 * len(module.inv_freq)
            module.inv_freq = 1.0 / 10_000 ** (torch.arange(0, size, 2).float() / size)
    return original.KronosPredictor(model, tokenizer, device="cpu", max_context=CONTEXT)


def theirs(original: Any, folder: Path, frame: pd.DataFrame, **options: Any) -> np.ndarray:
    after = coming(frame, HORIZON)
    made = predictor(original, folder).predict(
        frame, pd.Series(frame.index), pd.Series(after), HORIZON, verbose=False, **options
    )
    return np.asarray(made[COLUMNS].to_numpy(np.float64))


@pytest.mark.parametrize("length", [8, 20, 24, 40])
def test_greedy_candles(original: Any, folder: Path, length: int) -> None:
    """Beyond `max_context` the window moves on."""
    frame = bars(length, length)
    expected = theirs(original, folder, frame, T=1.0, top_k=1, top_p=1.0, sample_count=1)
    made = load_pair(folder, max_context=CONTEXT).predict_bars(
        [frame], None, [coming(frame, HORIZON)], horizon=HORIZON, top_k=1, top_p=1.0, samples=1
    )
    spread = frame[COLUMNS].to_numpy().std(axis=0)  # both forecast in units of it
    assert (np.abs(made.paths[0, 0] - expected) < 1e-4 * spread).all()


def test_the_means_of_many_candles(original: Any, folder: Path) -> None:
    """The original draws from torch's generator, so only distributions can be compared."""
    frame, count = bars(20, 1), 400
    torch.manual_seed(1)
    options = {"T": 1.0, "top_k": 0, "top_p": 0.9, "sample_count": count}
    expected = theirs(original, folder, frame, **options)
    made = load_pair(folder, max_context=CONTEXT).predict_bars(
        [frame], None, [coming(frame, HORIZON)], horizon=HORIZON, top_p=0.9, samples=count, seed=2
    )
    paths = np.asarray(made.paths[0], np.float64)  # [sample, step, column]
    error = paths.std(axis=0) * np.sqrt(2.0 / count)
    assert (np.abs(paths.mean(axis=0) - expected) < 4.5 * error + 1e-6).all()
