"""Bootstrap bands of the headline figures, as a frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.metrics.bootstrap import bootstrap_bands
from marketsim.metrics.performance import performance

Floats = npt.NDArray[np.float64]

FIGURES = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown")


def bands_frame(
    nets: Mapping[str, Floats],
    *,
    periods_per_year: float,
    confidence: float = 0.9,
    repetitions: int = 1_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per strategy and figure, with its lower and upper stationary-bootstrap band.

    Args:
        nets: net returns [bar] by strategy, of the same bars.
        periods_per_year, confidence, repetitions, seed: as for `bootstrap_bands`, which chooses the
            blocks' length by Politis and White.

    Example:
        >>> net = np.random.default_rng(0).normal(0.001, 0.01, 500)
        >>> frame = bands_frame({"mine": net}, periods_per_year=252)
        >>> sharpe = frame.loc[("mine", "sharpe")]
        >>> bool(sharpe.low < sharpe.value < sharpe.high)
        True
    """
    names = list(nets)
    rows = np.stack([np.asarray(nets[name], dtype=np.float64) for name in names])
    found = performance(rows, periods_per_year=periods_per_year)
    bands = bootstrap_bands(
        rows,
        periods_per_year=periods_per_year,
        confidence=confidence,
        repetitions=repetitions,
        seed=seed,
    )
    index = pd.MultiIndex.from_product([names, FIGURES], names=["strategy", "figure"])
    values = {
        "value": [np.atleast_1d(getattr(found, f))[i] for i in range(len(names)) for f in FIGURES],
        "low": [bands.low[f][i] for i in range(len(names)) for f in FIGURES],
        "high": [bands.high[f][i] for i in range(len(names)) for f in FIGURES],
    }
    return pd.DataFrame(values, index)
