"""Every model keeps to the contract, and the suite finds those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import marketsim as ms
from marketsim import testing
from marketsim.models import EwmaModel, Model, PersistenceModel, QuantileDistribution

pytest.importorskip("torch")
from checkpoints import write_timesfm, write_toto1, write_toto2
from chronos_pipelines import JointPipeline, QuantilePipeline, SamplePipeline

LEVELS = (0.1, 0.5, 0.9)


def last_fifty(past: np.ndarray) -> np.ndarray:
    return np.quantile(past[-50:], LEVELS)


def drawn(past: np.ndarray) -> np.ndarray:
    return past[-5:]


def of_all(past: np.ndarray, horizon: int) -> np.ndarray:
    one = np.quantile(past[..., -30:], LEVELS, axis=-1).T
    return np.repeat(one[:, None], horizon, axis=1)


def chronos(pipeline: type, **options: Any) -> Callable[[Path], Model]:
    return lambda _: ms.models.chronos_from_pipeline(pipeline(), name="fake", **options)


KINDS: dict[str, Callable[[Path], Model]] = {
    "ewma": lambda _: EwmaModel(),
    "persistence": lambda _: PersistenceModel(window=20),
    "function": lambda _: ms.model_from(last_fifty, levels=LEVELS, rows=50),
    "function of draws": lambda _: ms.model_from(drawn, draws=5, rows=5),
    "joint function": lambda _: ms.model_from(of_all, levels=LEVELS, joint=True, horizons=9),
    "Toto 1.0": lambda folder: ms.load_model(folder / "toto1"),
    "Toto 1.0, joint": lambda folder: ms.load_model(folder / "toto1", variates="joint"),
    "Toto 2.0": lambda folder: ms.load_model(folder / "toto2", context_length=60),
    "Toto 2.0, joint": lambda folder: ms.load_model(folder / "toto2", variates="joint"),
    "TimesFM 2.5": lambda folder: ms.load_model(folder / "timesfm", context_length=60),
    "Chronos quantiles": chronos(QuantilePipeline),
    "Chronos joint": chronos(JointPipeline, variates="joint"),
    "Chronos samples": chronos(SamplePipeline, num_samples=5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("checkpoints")
    write_toto1(found / "toto1", 1, spread=3**-0.5)
    write_toto2(found / "toto2", 2)
    write_timesfm(found / "timesfm", 3)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(kind: str, folder: Path) -> None:
    tolerance = 1e-5 if kind.startswith("Chronos") else 0.0
    testing.check_model(lambda: KINDS[kind](folder), tolerance=tolerance)


class Broken(EwmaModel):
    """Does one thing wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    @property
    def context_length(self) -> Any:
        return 5 if self.fault == "rows" else None

    @property
    def identity(self) -> Any:
        return None if self.fault == "identity" else super().identity

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return "00ff"

    def predict(self, contexts: Any, **options: Any) -> QuantileDistribution:
        made = super().predict(contexts, **options)
        shift = 1e-6 * (len(made.quantiles) - 1) if self.fault == "batches" else 0.0
        return QuantileDistribution(self.levels, made.quantiles + shift, made.mean, made.std)

    def predict_each(self, series: Any, start: int, **options: Any) -> QuantileDistribution:
        made = super().predict_each(series, start, **options)
        quantiles = made.quantiles
        if self.fault == "look_ahead":
            quantiles = quantiles + 1e-9 * series[-1]
        if self.fault == "days":
            quantiles = quantiles + 1e-9 * len(quantiles)
        if self.fault == "shapes":
            quantiles = quantiles[:, None]
        if self.fault == "pickles" and getattr(self, "copied", False):
            quantiles = quantiles + 1.0
        return QuantileDistribution(self.levels, quantiles)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.copied = True


@pytest.mark.parametrize("check", testing.MODEL_CHECKS)
def test_the_suite_finds_each_fault(check: str) -> None:
    message = "trait joint" if check == "shapes" else "ewma: "
    with pytest.raises((testing.ModelContractError, ms.MarketsimError), match=message):
        testing.check_model(lambda: Broken(check), only=check)
