"""Fixed forecasts for the old functions: samples that depend on the context and on nothing else.

A family is a function of what follows the context in the data ("truth"), of random numbers seeded
by the context's bytes, and of which target it is. So a forecast is the same in every simulation,
in any order and in any batch, and both the package and the transcription get the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from legacy_transcription import KEYS, targets

Samples = Callable[[float, np.random.Generator, str | None], np.ndarray]


def _noise(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Off by half a percent, and spread over a percent."""
    return truth + rng.normal(0.0, 0.005) + rng.normal(0.0, 0.01, 64)


def _near(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Off by less than a float32 has digits, on either side."""
    return truth + rng.choice([-1e-8, 0.0, 1e-8]) + rng.normal(0.0, 1e-9, 21)


def _exact(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    return np.full(16, truth)


def _ticks(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Halves of a percent: forecasts that are equal to each other, and often 0."""
    return np.full(10, np.round((truth + rng.normal(0.0, 0.004)) * 200) / 200)


def _constant(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    return np.full(32, {"Close": 0.004, "High": 0.012, "Low": -0.009}.get(str(key), 0.001))


def _zero(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    return np.zeros(8)


def _inverted(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Every other high far below the low: days that may not be traded."""
    away = {"High": -0.08, "Low": 0.08}.get(str(key), 0.0)
    return np.full(5, truth + away * rng.integers(0, 2))


def _wild(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Beyond the levels at which forecasts are clamped (-1 and 10), on either side."""
    return np.full(7, rng.choice([-20.0, -1.0, -0.97, 0.0, 9.99, 15.0]))


def _few_missing(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
    """Two of 40 samples are missing: sorted last, the trimmed mean drops them; the band cannot."""
    samples = truth + rng.normal(0.0, 0.01, 40)
    samples[rng.choice(40, 2, replace=False)] = np.nan
    return samples


FAMILIES: dict[str, Samples] = {
    "noise": _noise,
    "near": _near,
    "exact": _exact,
    "ticks": _ticks,
    "constant": _constant,
    "zero": _zero,
    "inverted": _inverted,
    "wild": _wild,
    "few_missing": _few_missing,
}

# What a forecast comes in: the old code took the first item's numpy(), or made an array of it.
CONTAINERS: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda samples: [samples],
    lambda samples: [samples.numpy()],
    lambda samples: samples[None],
    lambda samples: (samples.reshape(-1),),
)


class Forecaster:
    """Fixed forecasts over one frame, as a function of the context, and as `cached_predict`.

    A context that is no beginning of the frame's targets (rows that miss a price, or daily returns
    of a strategy) is followed by its own mean. `calls` are those through `cached_predict`.
    """

    def __init__(self, data: pd.DataFrame, family: str) -> None:
        self.family = FAMILIES[family]
        self.container = CONTAINERS[list(FAMILIES).index(family) % len(CONTAINERS)]
        with np.errstate(divide="ignore", invalid="ignore"):
            self.series = {key: targets(data, key).astype(np.float32) for key in KEYS}
        self.calls: list[tuple[bytes, dict[str, Any]]] = []

    def truth(self, context: np.ndarray) -> tuple[float, str | None]:
        """What follows the context, and of which target it is."""
        for key, series in self.series.items():
            size = len(context)
            if size < len(series) and np.array_equal(series[:size], context):
                return float(series[size]), key
        return float(context.astype(np.float64).mean()), None

    def __call__(self, context: torch.Tensor) -> np.ndarray:
        """Samples, float32: [sample]."""
        values = context.detach().cpu().numpy()
        truth, key = self.truth(values)
        if key is None:  # daily returns: the same to the last digits must mean the same forecast
            return np.float32(truth + np.linspace(-0.01, 0.02, 9))
        digest = hashlib.blake2b(values.tobytes(), digest_size=8, person=key.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "little"))
        return self.family(truth, rng, key).astype(np.float32)

    def cached_predict(
        self,
        context: torch.Tensor,
        prediction_length: int,
        num_samples: int,
        samples_per_batch: int,
        *,
        symbol: str | None = None,
    ) -> Any:
        """Stands in for the old function of that name; holds its caller to the old types."""
        assert isinstance(context, torch.Tensor)
        assert context.dtype == torch.float32
        assert context.ndim == 1
        asked = {
            "prediction_length": prediction_length,
            "num_samples": num_samples,
            "samples_per_batch": samples_per_batch,
            "symbol": symbol,
        }
        self.calls.append((context.numpy().tobytes(), asked))
        samples = torch.from_numpy(self(context))[:, None]  # [sample, horizon]
        return self.container(samples)


def as_missing(forecaster: Forecaster, lengths: Sequence[int], keys: Sequence[str]) -> Forecaster:
    """The same forecasts, but all samples missing for contexts of these lengths and targets."""
    known = forecaster.family

    def family(truth: float, rng: np.random.Generator, key: str | None) -> np.ndarray:
        samples = known(truth, rng, key)
        return np.full_like(samples, np.nan) if key in keys and current[0] in lengths else samples

    current = [0]
    of_context = forecaster.truth

    def truth(context: np.ndarray) -> tuple[float, str | None]:
        current[0] = len(context)
        return of_context(context)

    forecaster.family, forecaster.truth = family, truth  # type: ignore[method-assign]
    return forecaster
