"""Parts of a session: how volatile the bar at the same place of earlier sessions was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_FIRST = 128  # bars before a period is looked for first; then again whenever they have doubled
_SHORTEST, _LONGEST = 4, 2000  # bars of a period
_PERIODS = 8  # that a period must have been repeated
_REPEATED = 20  # last periods that the mean is taken over
_CLIP = 3.0  # standard deviations
# How much the autocorrelation at a period exceeds that halfway between periods, at least, and in
# standard errors of white noise.
_LEAST_CONTRAST, _ERRORS = 0.05, 5.0
_AS_GOOD = 0.85  # a shorter period is taken if its contrast is this share of the best


def seasonal_part(logs: Array, mean: Array) -> Array:
    """Return the mean deviation [T] of log variances at the place of the bar after each.

    The period is that at which the deviations repeat (24 for hourly bars around the clock). It is
    looked for in the first 128, 256, 512, ... bars, and used from there on. The value is 0 before a
    period is found. Each follows from the bars up to its own alone.

    Args:
        logs: [T], log variances.
        mean: [T], their trailing mean, NaN where there is none.
    """
    made = np.zeros(logs.size)
    deviations = np.where(np.isnan(mean), 0.0, logs - mean)
    first = _FIRST
    while first <= logs.size:
        period = period_of(deviations[:first])
        if period:
            stop = min(2 * first - 1, logs.size)
            made[first - 1 : stop] = _mean_at(deviations[:stop], period, first)
        first *= 2
    return made


def period_of(deviations: Array) -> int:
    """Return after how many bars deviations [T] repeat; 0 if they do not.

    Volatility clusters, so neighbours are alike. A period is a lag at which bars are more alike
    than they are half a period before and after it, three times over.
    """
    count = deviations.size
    lags = np.arange(_SHORTEST, min(count // _PERIODS, _LONGEST) + 1)
    centred = deviations - deviations.mean()
    spread = float(centred.std())
    if lags.size == 0 or spread == 0.0:
        return 0
    alike = _autocorrelation(np.clip(centred, -_CLIP * spread, _CLIP * spread))
    peaks = np.stack([alike[lags], alike[2 * lags], alike[3 * lags]])
    half = lags // 2
    valleys = np.stack([alike[half], alike[lags + half], alike[2 * lags + half]])
    contrast = peaks.mean(axis=0) - valleys.mean(axis=0)
    contrast[peaks.min(axis=0) < count**-0.5] = 0.0
    best = float(contrast.max())
    if best < max(_LEAST_CONTRAST, _ERRORS * (2.0 / (3.0 * count)) ** 0.5):
        return 0
    at = int(np.argmax(contrast >= _AS_GOOD * best))
    while at + 1 < contrast.size and contrast[at + 1] > contrast[at]:
        at += 1
    return int(lags[at])


def _autocorrelation(values: Array) -> Array:
    """Return the autocorrelations at all lags."""
    count = values.size
    spectrum = np.fft.rfft(values, 1 << (2 * count - 1).bit_length())
    sums = np.fft.irfft(spectrum * np.conj(spectrum))[:count]
    means = sums / np.arange(count, 0, -1)
    return np.asarray(means / means[0])


def _mean_at(deviations: Array, period: int, first: int) -> Array:
    """Average the last deviations at the place of the bar after t, for t from `first` on."""
    count = deviations.size
    padded = np.concatenate([deviations, np.zeros(-count % period)]).reshape(-1, period)
    total = np.cumsum(padded, axis=0).reshape(-1)
    last = np.arange(first, count + 1) - period
    before = last - _REPEATED * period
    found = total[last] - np.where(before >= 0, total[np.maximum(before, 0)], 0.0)
    return np.asarray(found / np.minimum(last // period + 1, _REPEATED))
