"""What `worker.py` asks of the original TimesFM 2.5 (timesfm)."""

from __future__ import annotations

import dataclasses
import time as clock
from typing import Any

import numpy as np
import timesfm
import torch
from timesfm.timesfm_2p5 import timesfm_2p5_base, timesfm_2p5_torch

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]


def _definition(sizes: dict[str, int]) -> Any:
    """The original's definition with other sizes."""
    official = timesfm_2p5_base.TimesFM_2p5_200M_Definition()
    width, inner = sizes["width"], sizes["inner"]

    def block(known: Any, into: int, out: int) -> Any:
        return dataclasses.replace(known, input_dims=into, hidden_dims=inner, output_dims=out)

    layer = dataclasses.replace(
        official.stacked_transformers.transformer,
        model_dims=width,
        hidden_dims=sizes["hidden"],
        num_heads=sizes["heads"],
    )
    point, spread = official.output_projection_point, official.output_projection_quantiles
    return dataclasses.replace(
        official,
        input_patch_len=sizes["patch"],
        output_patch_len=sizes["reach"],
        output_quantile_len=sizes["spread_reach"],
        tokenizer=block(official.tokenizer, 2 * sizes["patch"], width),
        stacked_transformers=dataclasses.replace(
            official.stacked_transformers, num_layers=sizes["layers"], transformer=layer
        ),
        output_projection_point=block(point, width, 10 * sizes["reach"]),
        output_projection_quantiles=block(spread, width, 10 * sizes["spread_reach"]),
    )


def _model(facts: Facts) -> Any:
    """The original with the weights in `folder`, which it loads strictly by name."""
    definition = _definition(facts["sizes"])
    timesfm_2p5_torch.TimesFM_2p5_200M_torch_module.config = definition
    model = timesfm.TimesFM_2p5_200M_torch(torch_compile=False)
    model.load_checkpoint(facts["folder"])
    return model


def _compile(model: Any, length: int, horizon: int, run: dict[str, Any], size: int = 1) -> None:
    patch, reach = model.model.p, model.model.o
    model.compile(
        timesfm.ForecastConfig(
            max_context=-(-length // patch) * patch,
            max_horizon=-(-horizon // reach) * reach,
            per_core_batch_size=size,
            use_continuous_quantile_head=run.get("continuous_quantiles", False),
            force_flip_invariance=run.get("flip_invariance", True),
            infer_is_positive=False,
            fix_quantile_crossing=True,
        )
    )


def forecast(facts: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Deciles `<case>/<key>` [series, step, level] of `cases` [{name, runs: [{key, horizon}]}].

    A run may also state `flip_invariance` and `continuous_quantiles`.
    """
    model = _model(facts)
    results: Arrays = {}
    for case in facts["cases"]:
        name = case["name"]
        for run in case["runs"]:
            contexts = list(arrays[f"{name}/target"])
            _compile(model, len(contexts[0]), run["horizon"], run)
            _, made = model.forecast(run["horizon"], contexts)
            results[f"{name}/{run['key']}"] = made[..., 1:]
    return {}, results


def time(facts: Facts, _: Arrays) -> tuple[Facts, Arrays]:
    """Seconds of `repeats` calls for `contexts` series of `length` steps in one batch.

    The first call is not counted.
    """
    model = _model(facts)
    random = np.random.default_rng(0)
    rows = random.normal(0, 0.01, (facts["contexts"], facts["length"])).astype(np.float32)
    _compile(model, facts["length"], facts["horizon"], facts, facts["contexts"])
    seconds = np.empty(facts["repeats"])
    for index in range(-1, facts["repeats"]):
        start = clock.perf_counter()
        with torch.inference_mode():
            model.forecast(facts["horizon"], list(rows))
        if index >= 0:
            seconds[index] = clock.perf_counter() - start
    return {}, {"seconds": seconds}
