"""Pipelines that look like those of chronos-forecasting, and checkpoints for the real ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]
# Chronos-2 goes on, beyond the steps that it forecasts at once, from those at 0.1, 0.2 .. 0.9.
LEVELS_2 = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
SIZES: dict[str, Any] = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}


def bolt_config(**own: Any) -> dict[str, Any]:
    part = {
        "context_length": 44,  # no whole number of patches
        "prediction_length": 6,
        "input_patch_size": 8,
        "input_patch_stride": 8,
        "quantiles": LEVELS,
        "use_reg_token": True,
    }
    return {**SIZES, "chronos_pipeline_class": "ChronosBoltPipeline", "chronos_config": part | own}


def sample_config(**own: Any) -> dict[str, Any]:
    part = {
        "tokenizer_class": "MeanScaleUniformBins",
        "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
        "context_length": 40,
        "prediction_length": 4,
        "n_tokens": 64,
        "n_special_tokens": 2,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_eos_token": True,
        "model_type": "seq2seq",
        "num_samples": 12,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    }
    return {**SIZES, "chronos_config": part | own}


class _Config:
    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def to_dict(self) -> dict[str, Any]:
        return dict(self.content)


class _Network(torch.nn.Linear):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(2, 2)
        with torch.no_grad():
            self.weight.fill_(0.5)
            self.bias.fill_(0.25)
        self.config = _Config(config)
        self.eval()


class QuantilePipeline:
    """States quantiles that follow from each context alone, and notes the shapes it is handed."""

    forecast_type = SimpleNamespace(value="quantiles")

    def __init__(self, **own: Any) -> None:
        config = bolt_config(**own)
        self.inner_model = _Network(config)
        self.model_context_length = config["chronos_config"]["context_length"]
        self.levels = config["chronos_config"]["quantiles"]
        self.handed: list[tuple[int, ...]] = []

    def predict(self, contexts: torch.Tensor, prediction_length: int) -> torch.Tensor:
        assert contexts.dtype == torch.float32
        assert contexts.shape[-1] <= self.model_context_length
        self.handed.append(tuple(contexts.shape))
        return torch.stack([self.forecast(row, prediction_length) for row in contexts])

    def forecast(self, context: torch.Tensor, steps: int) -> torch.Tensor:
        known = context[~context.isnan()]
        centre, spread = known.double().mean(), known.double().abs().max()
        level = torch.tensor(self.levels, dtype=torch.float64)[:, None]
        step = torch.arange(1, steps + 1, dtype=torch.float64)
        return (centre + (level - 0.5) * spread * step + known[-1] * level.cos()).float()


class JointPipeline(QuantilePipeline):
    """As Chronos-2: sees all variates of a context, and gives a list."""

    def predict(self, contexts: torch.Tensor, prediction_length: int) -> list[torch.Tensor]:
        self.handed.append(tuple(contexts.shape))
        return [
            torch.stack([self.forecast(row, prediction_length) for row in variates])
            + variates[:, -1].sum()
            for variates in contexts
        ]


JointPipeline.__name__ = "Chronos2Pipeline"


class SamplePipeline:
    """Draws paths from torch's own generator around the last value."""

    forecast_type = SimpleNamespace(value="samples")

    def __init__(self, **own: Any) -> None:
        config = sample_config(**own)
        self.inner_model = _Network(config)
        self.model_context_length = config["chronos_config"]["context_length"]
        self.handed: list[tuple[int, ...]] = []

    def predict(
        self,
        contexts: torch.Tensor,
        prediction_length: int,
        num_samples: int,
        temperature: float,
        top_k: int,
        top_p: float,
    ) -> torch.Tensor:
        self.handed.append(tuple(contexts.shape))
        noise = torch.randn(len(contexts), num_samples, prediction_length) * temperature
        return contexts[:, -1, None, None] + 0.01 * noise


def write_real(kind: str, folder: Path, seed: int = 0) -> Path:
    """A tiny checkpoint of random weights: "bolt", "samples" or "2"; the package writes it."""
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config, T5ForConditionalGeneration

    t5 = {"num_decoder_layers": 2, "decoder_start_token_id": 0, "pad_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "bolt":
            network = ChronosBoltModelForForecasting(T5Config(**bolt_config(), **t5))
        elif kind == "samples":
            network = T5ForConditionalGeneration(T5Config(**sample_config(), **t5, vocab_size=64))
        else:
            config = bolt_config(quantiles=LEVELS_2, use_arcsinh=True)
            own = config["chronos_config"] | {"output_patch_size": 8, "max_output_patches": 2}
            del own["prediction_length"]
            config |= {"chronos_pipeline_class": "Chronos2Pipeline", "chronos_config": own}
            network = Chronos2Model(Chronos2CoreConfig(**config, initializer_factor=0.2))
        network.save_pretrained(folder)
    return folder


def walk(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns of one per cent."""
    return np.random.default_rng(seed).normal(0.0, 0.01, shape)
