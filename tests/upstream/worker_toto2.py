"""What `worker.py` asks of the original Toto 2.0 (toto-2)."""

from __future__ import annotations

import dataclasses
import json
import math
import time as clock
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from toto2 import Toto2Model
from toto2.configuration import Toto2ModelConfig

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]


def make(facts: Facts, _: Arrays) -> tuple[Facts, Arrays]:
    """Write a checkpoint of random weights in the published form: `folder`, `config`, `seed`."""
    torch.manual_seed(facts["seed"])
    folder = Path(facts["folder"])
    model = Toto2Model(Toto2ModelConfig(**facts["config"]))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            _vary(name, tensor, len(model.output_head.knots))
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    written = json.dumps(dataclasses.asdict(model.config), indent=2, sort_keys=True)
    (folder / "config.json").write_text(written)
    save_file(state, folder / "model.safetensors")
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": count, "tensors": sorted(state)}, {}


def _vary(name: str, tensor: torch.Tensor, knots: int) -> None:
    """Turn the module's own start into weights at which a mistake would show.

    Biases and the scales per dimension start at constants that hide whether they are used, the
    mixing weights at values that a formula gives as well, and the readout, which divides by the
    whole fan-in, at quantiles that are all but equal.
    """
    if name.endswith("_tau"):
        tensor.mul_(torch.empty_like(tensor).uniform_(0.9, 1.1))
    elif name.endswith("per_dim_scale"):
        tensor.normal_(0, 0.7)
    elif name.endswith(".bias"):
        tensor.normal_(0, 0.5)
    if "output_head" in name and ("linear2" in name or "skip_proj" in name):
        if tensor.ndim == 2:
            tensor.mul_(0.7 * math.sqrt(tensor.shape[1]))
        else:
            # Spread as a distribution's quantiles are, so that only some of them cross.
            levels = [NormalDist().inv_cdf((i + 1) / (knots + 1)) for i in range(knots)]
            tensor.mul_(10).add_(50 * torch.tensor(levels).repeat(len(tensor) // knots))


def _model(facts: Facts) -> Toto2Model:
    return Toto2Model.from_pretrained(facts["folder"], map_location="cpu")


def _inputs(arrays: Arrays, case: str, patch: int) -> dict[str, torch.Tensor]:
    """A case's inputs; a context that is no multiple of the patch gets unobserved zeros before."""
    target = torch.from_numpy(arrays[f"{case}target"])
    mask = torch.from_numpy(arrays.get(f"{case}target_mask", np.ones(target.shape, bool)))
    groups = arrays.get(f"{case}series_ids", np.zeros(target.shape[:2], np.int64))
    before = -target.shape[-1] % patch
    inputs = {
        "target": torch.nn.functional.pad(target, (before, 0)),
        "target_mask": torch.nn.functional.pad(mask, (before, 0)),
        "series_ids": torch.from_numpy(groups),
    }
    for key in ("known_dynamic", "known_dynamic_mask", "known_dynamic_series_ids"):
        if f"{case}{key}" in arrays:
            inputs[key] = torch.from_numpy(arrays[f"{case}{key}"])
    return inputs


def forecast(facts: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Quantile forecasts of `cases` [{name, runs: [{key, horizon, ...}]}].

    What else stands in a run is handed on to the original's `forecast`. Per case: `<key>`
    [level, batch, variate, horizon] for each run, and `loc` and `scale` [batch, variate] at the
    end of the context.
    """
    model = _model(facts)
    patch = model.config.patch_size
    results: Arrays = {}
    for case in facts["cases"]:
        name = case["name"]
        for run in case["runs"]:
            options = {key: value for key, value in run.items() if key not in ("key", "horizon")}
            inputs = _inputs(arrays, f"{name}/", patch)
            answer = model.forecast(inputs, run["horizon"], **options)
            results[f"{name}/{run['key']}"] = answer.numpy()
        ahead = math.ceil(run["horizon"] / patch)
        end = _end_of_context(model, inputs, ahead)
        results |= {f"{name}/{key}": value for key, value in end.items()}
    return {}, results


def _end_of_context(model: Toto2Model, inputs: dict[str, torch.Tensor], ahead: int) -> Arrays:
    # Asked of the original, which takes the last patch as observed whatever the caller says.
    target, mask, _, count = model._prepare_forecast_inputs(inputs, ahead)
    last = inputs["target"].shape[-1] - 1
    _, loc, scale = model.scaler(target, mask)
    return {"loc": loc[:, :count, last].numpy(), "scale": scale[:, :count, last].numpy()}


def time(facts: Facts, _: Arrays) -> tuple[Facts, Arrays]:
    """Seconds of `repeats` calls of `forecast` for `contexts` series of `length` steps.

    The first call is not counted.
    """
    model = _model(facts)
    random = np.random.default_rng(0)
    target = random.normal(0, 0.01, (facts["contexts"], 1, facts["length"])).astype(np.float32)
    inputs = _inputs({"target": target}, "", model.config.patch_size)
    seconds = np.empty(facts["repeats"])
    for index in range(-1, facts["repeats"]):
        start = clock.perf_counter()
        model.forecast(inputs, facts["horizon"])
        if index >= 0:
            seconds[index] = clock.perf_counter() - start
    return {}, {"seconds": seconds}
