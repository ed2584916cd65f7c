"""Bootstrap bands of the headline figures, as a frame and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError
from marketsim.metrics.bootstrap import bootstrap_bands
from marketsim.metrics.performance import performance

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FIGURES = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown")
_SAMPLED_BARS = 10_000_000  # of all strategies and samples: some 0.2 s


def band_samples(bars: int, strategies: int = 1) -> int:
    """Return how many bootstrap samples to draw: 1,000, and of long series fewer, at least 100."""
    return max(100, min(1_000, _SAMPLED_BARS // max(bars * strategies, 1)))


def bands_frame(
    nets: Mapping[str, Floats],
    *,
    periods_per_year: float,
    sessions_per_year: float | None = None,
    active: Mapping[str, Flags] | None = None,
    years: float | None = None,
    confidence: float = 0.9,
    repetitions: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per strategy and figure, with its lower and upper stationary-bootstrap band.

    `.attrs` of the frame holds what they rest on: confidence, repetitions, seed, and block_length,
    the mean length in bars by strategy, which is chosen by Politis and White.

    Args:
        nets: net returns [bar] by strategy, of the same bars.
        periods_per_year, sessions_per_year, confidence, seed: as for `bootstrap_bands`.
        active: bars in the market [bar] by strategy, for a row of the hit rate; None: none.
        years: the time that passed, for annual returns; None: bars / periods_per_year.
        repetitions: bootstrap samples; None: `band_samples`.

    Raises:
        ArgumentError: no strategy, or returns of different bars; else as `bootstrap_bands`.

    Example:
        >>> net = np.random.default_rng(0).normal(0.001, 0.01, 500)
        >>> frame = bands_frame({"mine": net}, periods_per_year=252)
        >>> sharpe = frame.loc[("mine", "sharpe")]
        >>> bool(sharpe.low < sharpe.value < sharpe.high)
        True
    """
    names = list(nets)
    lengths = {np.shape(nets[name]) for name in names}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        shapes = ", ".join(map(str, sorted(lengths))) or "none"
        raise ArgumentError(f"nets must be returns [bar] of the same bars: got shapes {shapes}")
    rows = np.stack([np.asarray(nets[name], dtype=np.float64) for name in names])
    flags = None if active is None else np.stack([active[name] for name in names])
    repetitions = band_samples(rows.shape[1], len(rows)) if repetitions is None else repetitions
    year: dict[str, Any] = {
        "periods_per_year": periods_per_year, "sessions_per_year": sessions_per_year
    }  # fmt: skip
    found = performance(rows, active=flags, **year)
    bands = bootstrap_bands(
        rows, active=flags, confidence=confidence, repetitions=repetitions, seed=seed, **year
    )
    ends = {
        "value": {f: np.atleast_1d(getattr(found, f)) for f in (*FIGURES, "hit_rate")},
        "low": bands.low,
        "high": bands.high,
    }
    if years is not None:  # a total return more is an annual return more
        for of in ends.values():
            annual = (1.0 + of["total_return"]) ** (1.0 / years) - 1.0
            of["annual_return"] = np.where(np.isnan(of["annual_return"]), np.nan, annual)
    figures = FIGURES if active is None else (*FIGURES, "hit_rate")
    index = pd.MultiIndex.from_product([names, figures], names=["strategy", "figure"])
    frame = pd.DataFrame(
        {end: [of[f][i] for i in range(len(names)) for f in figures] for end, of in ends.items()},
        index,
    )
    frame.attrs = {
        "confidence": confidence,
        "repetitions": repetitions,
        "seed": seed,
        "block_length": dict(zip(names, bands.block_length.tolist(), strict=True)),
    }
    return frame


def bands_cells(
    frame: pd.DataFrame, figures: Mapping[str, str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table of `bands_frame`: a row per strategy, a column per figure.

    Args:
        frame: of `bands_frame`, or its rows of one strategy.
        figures: headings by figure, for a narrow table of the bands alone, percent without its
            sign; None: all figures, each with its value and the band in brackets.
    """
    if frame.index.nlevels == 1:
        frame = pd.concat({"replay": frame}, names=["strategy", "figure"])
    shown = list(frame.index.unique("figure")) if figures is None else list(figures)
    rows = []
    for name in frame.index.unique("strategy"):
        of = frame.loc[name]
        narrow = figures is not None
        rows.append([str(name), *(_cell(of.loc[figure], str(figure), narrow) for figure in shown)])
    heads = [f.replace("_", " ") for f in shown] if figures is None else list(figures.values())
    return ["strategy", *heads], rows


def bands_note(frame: pd.DataFrame) -> str:
    """Return what the bands rest on, in words: confidence, samples, seed and mean block length.

    Example:
        >>> net = np.random.default_rng(0).normal(0.001, 0.01, 500)
        >>> print(bands_note(bands_frame({"mine": net}, periods_per_year=252)))
        ...     # doctest: +NORMALIZE_WHITESPACE
        90 % bands of a stationary bootstrap: 1,000 samples of the bars, seed 0, blocks of 1.0 bars
        on average
    """
    a = frame.attrs
    lengths = sorted(f"{length:.1f}" for length in a["block_length"].values())
    lengths.sort(key=float)
    length = lengths[0] if lengths[0] == lengths[-1] else f"{lengths[0]} to {lengths[-1]}"
    return (
        f"{100 * a['confidence']:g} % bands of a stationary bootstrap: {a['repetitions']:,} "
        f"samples of the bars, seed {a['seed']}, blocks of {length} bars on average"
    )


def bands_lines(frame: pd.DataFrame | None) -> list[str]:
    """Return the bands of one strategy as lines of text: what they rest on, then each figure.

    None stands for a result with too few bars to have any.
    """
    if frame is None:
        return ["bands          too few bars"]
    [head, [row]] = bands_cells(frame)
    note = bands_note(frame)
    return [note, *(f"  {name:<14} {cell}" for name, cell in zip(head[1:], row[1:], strict=True))]


def bands_dict(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the bands as values that JSON can represent; NaN becomes None.

    "figures" holds (lower, upper) by figure, or by strategy and figure where the frame is of
    several; beside it stand the attributes of the frame.
    """

    def ends(of: pd.DataFrame) -> dict[str, list[float | None]]:
        rows = zip(of.index, of["low"].tolist(), of["high"].tolist(), strict=True)
        return {
            str(name): [end if np.isfinite(end) else None for end in pair] for name, *pair in rows
        }

    several = frame.index.nlevels > 1
    names = frame.index.unique("strategy") if several else ()
    found = {str(name): ends(frame.loc[name]) for name in names} if several else ends(frame)
    return {**{str(name): value for name, value in frame.attrs.items()}, "figures": found}


def _cell(of: pd.Series[float], figure: str, narrow: bool) -> str:
    value, low, high = (float(of[name]) for name in ("value", "low", "high"))
    if not np.isfinite([value, low, high]).all():
        return "\u2013"
    if figure == "sharpe":
        band = f"{low:.2f} to {high:.2f}"
        return band if narrow else f"{value:.2f} ({band})"
    if narrow:
        return f"{round(100 * low) + 0.0:,.0f} to {round(100 * high) + 0.0:,.0f}"
    return f"{value:,.1%} ({low:,.1%} to {high:,.1%})"
