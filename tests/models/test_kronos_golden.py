"""Kronos gives what the original gave, for every case that was kept of it.

The cases live outside the repository; without them the comparisons with the readable reference in
test_kronos.py remain.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden import golden_folder, why_missing

import marketsim as ms

pytest.importorskip("torch")

import torch

from marketsim.models import ModelInputs
from marketsim.models.kronos.config import COLUMNS
from marketsim.models.kronos.generation import Generation
from marketsim.models.kronos.model import Kronos
from marketsim.models.kronos.sampling import Sampling, probabilities
from marketsim.models.kronos.series import read_series
from marketsim.models.kronos.stack import room
from marketsim.models.kronos.tokenizer import Tokens

FOLDER = golden_folder("kronos")
if not FOLDER.is_dir():
    pytest.skip(why_missing(FOLDER), allow_module_level=True)

MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
INPUTS = np.load(FOLDER / "inputs.npz")
OUTPUTS = np.load(FOLDER / "outputs.npz")
CASES = {case["name"]: case["args"] for case in MANIFEST["cases"]}
GREEDY = [name for name, args in CASES.items() if args.get("top_k") == 1]


@cache
def model() -> Kronos:
    found: Any = ms.load_model(
        FOLDER / "predictor", tokenizer=FOLDER / "tokenizer", max_context=MANIFEST["max_context"]
    )
    assert isinstance(found, Kronos)
    return found


def filled(array: np.ndarray) -> torch.Tensor:
    """[row, position, ...] filled up at its end to whole tiles."""
    missing = room(array.shape[1]) - array.shape[1]
    widths = [(0, 0), (0, missing), *[(0, 0)] * (array.ndim - 2)]
    return torch.from_numpy(np.pad(array, widths))


def times(name: str) -> list[pd.DatetimeIndex]:
    return [pd.DatetimeIndex(row) for row in np.atleast_2d(INPUTS[name])]


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("tok_")])
@torch.inference_mode()
def test_tokens_equal_the_original(name: str) -> None:
    x = INPUTS[f"{name}/x"]
    tokenizer, size = model().networks.tokenizer, x.shape[1]
    codes = tokenizer.codes(filled(x))[:, :size].numpy()
    np.testing.assert_allclose(codes, OUTPUTS[f"{name}/pre_quant"], atol=2e-5)
    tokens = tokenizer.encode(filled(x))
    first, second = (half[:, :size] for half in tokens)
    np.testing.assert_array_equal(first, OUTPUTS[f"{name}/s1_ids"])
    np.testing.assert_array_equal(second, OUTPUTS[f"{name}/s2_ids"])
    full = first + (second << tokenizer.config.bits)
    np.testing.assert_array_equal(full, OUTPUTS[f"{name}/full_ids"])
    for shared in (0, size // 2):  # how many are read at once, and how many after them
        parts = (first[:, None, shared:], second[:, None, shared:])
        lengths = torch.full((len(x),), shared)
        bars = tokenizer.decode(tokens, lengths, Tokens(*parts))[:, 0].numpy()
        expected = OUTPUTS[f"{name}/decoded"][:, shared:]
        np.testing.assert_allclose(bars, expected, atol=2e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("logits_")])
@torch.inference_mode()
def test_logits_equal_the_original(name: str) -> None:
    given = {key: INPUTS[f"{name}/{key}"] for key in ("s1_ids", "s2_ids", "stamp")}
    network, (rows, size) = model().networks.predictor, given["s1_ids"].shape
    tokens = Tokens(filled(given["s1_ids"]), filled(given["s2_ids"]))
    clock = filled(given["stamp"].astype(np.int64))
    for length in range(1, size + 1):
        reading = network.read(tokens, clock, torch.full((rows,), length))
        context = OUTPUTS[f"{name}/context"][:, length - 1]
        np.testing.assert_allclose(reading.context[:, 0], context, atol=5e-5)
        logits = network.first_logits(reading)[:, 0]
        np.testing.assert_allclose(logits, OUTPUTS[f"{name}/s1_logits"][:, length - 1], atol=1e-4)
    chosen = logits.argmax(dim=-1, keepdim=True)
    np.testing.assert_array_equal(chosen, OUTPUTS[f"{name}/s1_argmax_last"])
    second = network.second_logits(reading, chosen)[:, 0]
    expected = OUTPUTS[f"{name}/s2_logits_given_argmax_last"]
    np.testing.assert_allclose(second, expected, atol=1e-4)


@pytest.mark.parametrize("run", CASES["sampling_filter"]["runs"], ids=lambda run: run["key"])
def test_what_may_be_drawn_equals_the_original(run: dict[str, Any]) -> None:
    sampling = Sampling(run["T"], run["top_k"], run["top_p"])
    found = probabilities(torch.from_numpy(INPUTS["sampling_filter/logits"]), sampling).numpy()
    expected = OUTPUTS[f"sampling_filter/{run['key']}"]
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_forecasts_equal_the_original(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args, x = CASES[name], INPUTS[f"{name}/x_raw"]
    past, after = times(f"{name}/x_time_ns"), times(f"{name}/y_time_ns")
    sampling = {"top_k": 1, "top_p": args["top_p"], "samples": args["sample_count"]}
    dropped = args["columns_dropped_from_input"]
    frames = [pd.DataFrame(row.astype(np.float64), columns=COLUMNS) for row in x]
    horizon = args["pred_len"]
    fewer = [frame.drop(columns=dropped) for frame in frames]
    for one, row in zip(read_series(fewer, past, after, horizon, 5.0), x, strict=True):
        # What was kept is rounded, and the original's amounts are of what was not.
        np.testing.assert_allclose(one.values, row, rtol=3e-7)
    series = read_series(frames, past, after, horizon, model().clip)
    for i, one in enumerate(series):
        np.testing.assert_array_equal(one.values, x[i])
        np.testing.assert_array_equal([one.mean, one.deviation], OUTPUTS[f"{name}/mean_std"][i])
        np.testing.assert_array_equal(one.scaled, OUTPUTS[f"{name}/x_norm"][i])
        stamps = np.concatenate([OUTPUTS[f"{name}/{part}_stamp"][i] for part in "xy"])
        np.testing.assert_array_equal(one.clock, stamps)
    generations: list[Generation] = []
    paths = Generation.paths

    def noted(self: Generation) -> Any:
        generations.append(self)
        return paths(self)

    monkeypatch.setattr(Generation, "paths", noted)
    made = model().predict_bars(frames, past, after, horizon=horizon, **sampling)
    (generation,) = generations
    for half, key in zip(generation.made, ("s1", "s2"), strict=True):
        np.testing.assert_array_equal(half.flatten(0, 1), OUTPUTS[f"{name}/gen_{key}_ids"])
    assert made.paths.shape == (len(x), args["sample_count"], horizon, 6)
    unit = OUTPUTS[f"{name}/mean_std"][:, 1][:, None] + 1e-5
    expected = OUTPUTS[f"{name}/pred"]
    bound = 5e-5 * unit + 4 * np.spacing(np.abs(expected))
    assert (np.abs(made.mean - expected) <= bound).all()


def test_sampled_forecasts_agree_with_the_originals_in_the_mean() -> None:
    name = "pred_stochastic_mean256"
    made = model().predict_bars(
        INPUTS[f"{name}/x_raw"][None],
        times(f"{name}/x_time_ns"),
        times(f"{name}/y_time_ns"),
        horizon=3,
        samples=1024,
    )
    error = np.abs(made.mean[0] - OUTPUTS[f"{name}/pred_mean"])
    spread = made.paths[0].std(axis=0)
    assert (error <= 4.0 * spread * (1 / 256 + 1 / 1024) ** 0.5 + 1e-6).all()


@pytest.mark.parametrize("name", ["pred_no_amount", "pred_no_volume"])
def test_a_run_draws_the_original_greedy_candle(name: str) -> None:
    x, expected = INPUTS[f"{name}/x_raw"][0], OUTPUTS[f"{name}/pred"][0, 0].astype(np.float64)
    greedy: Any = ms.load_model(
        FOLDER / "predictor", tokenizer=FOLDER / "tokenizer", max_context=MANIFEST["max_context"],
        top_k=1, samples=1,
    )  # fmt: skip
    (stamps,) = times(f"{name}/x_time_ns")
    (after,) = times(f"{name}/y_time_ns")
    inputs = ModelInputs(
        "X", COLUMNS[:5], x[:, :5].T.astype(np.float64), stamps.as_unit("ns").asi8,
        np.append(stamps[1:].as_unit("ns").asi8, after[:2].as_unit("ns").asi8), True,
    )  # fmt: skip
    moves = greedy.predict_inputs(inputs, len(x)).samples[0, 0, :, 0]
    opened, high, low, close = expected[:4]
    candle = [opened, expected[:4].max(), expected[:4].min(), close]
    np.testing.assert_allclose(x[-1, 3] * np.exp(moves), candle, rtol=1e-5)
    assert candle[1] >= high and candle[2] <= low
