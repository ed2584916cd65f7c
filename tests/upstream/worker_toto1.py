"""What `worker.py` asks of the original Toto 1.0 (toto-ts)."""

from __future__ import annotations

import json
import math
import time as clock
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from toto.data.util.dataset import MaskedTimeseries, pad_array, pad_id_mask
from toto.inference.forecaster import TotoForecaster
from toto.model.toto import Toto

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]

# The published file was written where xFormers is, which fuses the two linears of a gate.
FUSED = {"mlp.0.weight": "mlp.0.w12.weight", "mlp.0.bias": "mlp.0.w12.bias"} | {
    "mlp.2.weight": "mlp.0.w3.weight",
    "mlp.2.bias": "mlp.0.w3.bias",
}


def make(facts: Facts, _: Arrays) -> tuple[Facts, Arrays]:
    """Write a checkpoint of random weights in the published form: `folder`, `config`, `seed`.

    `spelling` is "fused" (as published) or "plain" (as written where there is no xFormers).
    """
    torch.manual_seed(facts["seed"])
    config, folder = facts["config"], Path(facts["folder"])
    model = Toto(**config | {"use_memory_efficient_attention": False})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            _vary(name, parameter)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if facts["spelling"] == "fused":
        state = {_fused(name): tensor for name, tensor in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": count, "tensors": sorted(state)}, {}


def _fused(name: str) -> str:
    for plain, fused in FUSED.items():
        if name.endswith(plain):
            return name.removesuffix(plain) + fused
    return name


def _vary(name: str, parameter: torch.Tensor) -> None:
    """Turn the module's own start into weights at which a mistake would show.

    Norms start at one, where leaving them out changes nothing; and the signal fades on its way
    through layers that start at a variance of 1/(3 fan-in), until the mixture hardly depends on
    the input.
    """
    if name.endswith(".scale"):
        parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 1.5))
    elif name.endswith(".weight") and "unembed" not in name and "loc_proj" not in name:
        parameter.mul_(math.sqrt(3))


def _forecaster(facts: Facts) -> TotoForecaster:
    return TotoForecaster(Toto.load_from_checkpoint(facts["folder"], map_location="cpu").model)


def _series(arrays: Arrays, case: str = "") -> MaskedTimeseries:
    """A case's series [batch, variate, time] with its masks; absent masks: all real, one group."""
    values = torch.from_numpy(arrays[f"{case}series"])
    mask = arrays.get(f"{case}padding_mask", np.ones(values.shape, bool))
    ids = arrays.get(f"{case}id_mask", np.zeros(values.shape, np.int32))
    return MaskedTimeseries(
        series=values,
        padding_mask=torch.from_numpy(mask),
        id_mask=torch.from_numpy(ids),
        timestamp_seconds=torch.zeros(values.shape, dtype=torch.int),
        time_interval_seconds=torch.full(values.shape[:-1], 86_400, dtype=torch.int),
    )


@torch.no_grad()
def forecast(facts: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Mean forecasts of `cases` [{name, horizons}] and the mixture of the next patch.

    Per case: `mean_h<h>_kv` and `mean_h<h>_nokv` [batch, variate, h] for each horizon; `df`,
    `loc`, `scale`, `logits` [batch, variate, patch, component] in scaled units; `patch_loc` and
    `patch_scale` [batch, variate], which make them real.
    """
    forecaster = _forecaster(facts)
    results: Arrays = {}
    for case in facts["cases"]:
        name = case["name"]
        series = _series(arrays, f"{name}/")
        for horizon in case["horizons"]:
            for cache, label in ((True, "kv"), (False, "nokv")):
                answer = forecaster.forecast(series, horizon, use_kv_cache=cache)
                results[f"{name}/mean_h{horizon}_{label}"] = answer.mean.numpy()
        results |= {f"{name}/{key}": value for key, value in _mixture(forecaster, series).items()}
    return {}, results


def _mixture(forecaster: TotoForecaster, series: MaskedTimeseries) -> Arrays:
    """The parameters at the last patch, which is that of the next steps."""
    model = forecaster.model
    patch = model.patch_embed.patch_size
    values = pad_array(series.series, patch)
    states, patch_loc, patch_scale = model.backbone(
        values,
        pad_array(series.padding_mask, patch),
        pad_id_mask(series.id_mask, patch),
        scaling_prefix_length=values.shape[-1],
    )
    head = model.output_distribution
    parts = head(states).component_distribution
    # Taken where they are made: the distribution keeps probabilities only.
    logits = head.mixture_weights(states)
    mixture = {"df": parts.df, "loc": parts.loc, "scale": parts.scale, "logits": logits}
    return {key: value[:, :, -patch:].numpy() for key, value in mixture.items()} | {
        "patch_loc": patch_loc[..., -1].numpy(),
        "patch_scale": patch_scale[..., -1].numpy(),
    }


@torch.no_grad()
def time(facts: Facts, _: Arrays) -> tuple[Facts, Arrays]:
    """Seconds of single calls as the old loop makes them, `repeats` at each of `lengths`.

    One context, one step ahead, `num_samples` paths in batches of `samples_per_batch`, the
    original's default for its cache. The first call at each length is not counted.
    """
    forecaster = _forecaster(facts)
    random = np.random.default_rng(0)
    seconds = np.empty((len(facts["lengths"]), facts["repeats"]))
    for row, length in enumerate(facts["lengths"]):
        returns = random.normal(0, 0.01, (1, length)).astype(np.float32)
        series = _series({"series": returns})
        for column in range(-1, facts["repeats"]):
            start = clock.perf_counter()
            forecaster.forecast(
                series,
                prediction_length=1,
                num_samples=facts["num_samples"],
                samples_per_batch=facts["samples_per_batch"],
            )
            if column >= 0:
                seconds[row, column] = clock.perf_counter() - start
    return {}, {"seconds": seconds}
