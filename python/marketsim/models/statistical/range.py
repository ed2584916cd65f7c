"""One range-based scale for a whole bar, and the shape of past bars around it."""

from __future__ import annotations

import math
import os
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError
from marketsim.models.contexts import check_horizon, check_values, read_contexts, read_series
from marketsim.models.distribution import QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity, stored_as
from marketsim.models.protocol import Contexts, Model
from marketsim.models.shown import ShownModel
from marketsim.models.statistical.base import LEVELS, Array, checked_window
from marketsim.models.statistical.seasons import seasonal_part
from marketsim.models.traits import TARGET_COLUMNS, ModelTraits, traits_of

_PRICES = len(TARGET_COLUMNS)
_LAGS = (1, 5, 22)
_FIRST = 60  # bars before the regression is fitted first; until then the mean variance is used
_SHORT = 21  # bars before anything is scaled; until then past bars are taken as they are
_REFIT = 20  # bars from one fit to the next
_RIDGE = 1e-9
_LEAST_SHARE = 1e-4  # a bar without a range counts as this share of the mean variance


class RangeModel(ShownModel):
    """Bars of the past, scaled by a forecast of the next bar's range.

    The variance of a bar is that of its overnight gap plus Garman-Klass's of its session. Its log
    follows from its means over the last 1, 5 and 22 bars, and from the part of the session that the
    bar is in where bars repeat with a period, by a regression that is fitted again every 20 bars on
    the last `fit` of them (HAR). The moves of open, high, low and close against the close before,
    each divided by the scale that was forecast for its bar, are taken together from the last
    `window` bars and multiplied by the scale of the next one. So a draw is a whole bar, with
    low <= open, close <= high, and so are the quantiles of the four in order. All later steps have
    the distribution of the next one.

    It forecasts moves against the close before (`targets="close"`), and all four targets together.

    References: Garman and Klass, On the estimation of security price volatilities from historical
    data, Journal of Business 53 (1980); Corsi, A simple approximate long-memory model of realized
    volatility, Journal of Financial Econometrics 7 (2009).

    Args:
        window: how many last bars give the shape.
        fit: how many last bars the regression is fitted on.
        scale: a model that forecasts the log variance in the regression's place, from its past
            alone; its median is used. `load_model("range", scale="ewma")` takes its name or folder.

    Raises:
        ArgumentError: a value out of range, or a scale model that forecasts bars, needs their
            dates, or draws from seeds.
    """

    name = "range"
    # Part of the fingerprint: raise it with every change that may change a forecast.
    version = 3
    context_length = None
    levels = LEVELS

    def __init__(self, *, window: int = 250, fit: int = 750, scale: Model | None = None) -> None:
        self._window = checked_window(window)
        if not is_whole(fit) or not _FIRST <= fit <= 1_000_000:
            raise ArgumentError(f"fit must be a whole number in {_FIRST} .. 1,000,000: got {fit!r}")
        self._fit = int(fit)
        self._scale = None if scale is None else _checked_scale(scale)
        if scale is not None:
            self.name = f"range of {scale.name}"

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(LEVELS, columns=TARGET_COLUMNS, joint=True, targets=("close",))

    @property
    def identity(self) -> ModelIdentity | None:
        """Everything that a forecast depends on; None if the scale model does not state it."""
        configuration: dict[str, Any] = {"window": self._window, "fit": self._fit}
        if self._scale is not None:
            configuration["scale"] = stored_as(self._scale)
            if configuration["scale"] is None:
                return None
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=None,
            levels=self.levels,
            configuration=configuration,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`; without one, a digest of this object only."""
        return self.identity.fingerprint if self.identity else os.urandom(32).hex()

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` bars after each context; see `Model.predict`.

        Args:
            contexts: [batch, 4, time], log moves of open, high, low and close against the close
                before; complete, so `mask` may exclude nothing.
            horizon: how many steps.
            mask: see there.

        Raises:
            ArgumentError: another shape, or values that are missing or not finite.

        Example:
            >>> moves = [[0.0, 0.01], [0.02, 0.03], [-0.02, -0.01], [0.01, 0.0]]
            >>> RangeModel().predict([moves]).quantile([0.5])[0, :, 0, 0].round(3).tolist()
            [0.005, 0.025, -0.015, 0.005]
        """
        rows, masks, shape = read_contexts(contexts, mask)
        if len(shape) != 2 or shape[1] != _PRICES:
            raise ArgumentError(
                f"{self.name} forecasts whole bars: contexts must be [batch, 4, time], the moves "
                f"of open, high, low and close; got a batch of shape {shape}"
            )
        if masks is not None and not all(one.all() for one in masks):
            raise ArgumentError(f"{self.name} needs every move of a bar: mask excludes some")
        bars = [np.stack(rows[at : at + _PRICES]) for at in range(0, len(rows), _PRICES)]
        made = [self._quantiles(_checked(one), one.shape[1])[0] for one in bars]
        return self._over_horizon(np.array(made).reshape(len(bars), _PRICES, -1), horizon)

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[:, :t] for all t in start .. T; see `Model.predict_each`."""
        array = read_series(series, start)
        if array.ndim != 2 or len(array) != _PRICES:
            raise ArgumentError(
                f"{self.name} forecasts whole bars: series must be [4, time], the moves of open, "
                f"high, low and close; got shape {array.shape}"
            )
        return self._over_horizon(self._quantiles(_checked(array), start), horizon)

    def _over_horizon(self, quantiles: Array, horizon: int) -> QuantileDistribution:
        steps = check_horizon(horizon)
        if steps == 1:
            return QuantileDistribution(LEVELS, quantiles[..., None, :])
        return QuantileDistribution(LEVELS, np.repeat(quantiles[..., None, :], steps, axis=-2))

    def _quantiles(self, moves: Array, start: int) -> Array:
        """Quantiles [t, target, level] of the bars after the first t, for t in start .. T."""
        count = moves.shape[1]
        levels = np.asarray(LEVELS)
        scale = self._scales(moves, start)
        made = np.empty((count - start + 1, _PRICES, len(LEVELS)))
        short = min(_SHORT, count + 1)  # forecasts from fewer bars: of the moves as they were
        if start < short:
            raw = _core.rolling_quantiles(
                np.ascontiguousarray(moves[:, : short - 1]), start, self._window, levels
            )
            made[: short - start] = raw.swapaxes(0, 1)
        first = max(start, short)
        if first <= count:
            # The first bars have no scale that was forecast; they are no part of the shape.
            scaled = np.ascontiguousarray(moves[:, 1:] / scale[1:-1])
            shape = _core.rolling_quantiles(scaled, first - 1, self._window, levels)
            np.multiply(shape.swapaxes(0, 1), scale[first:, None, None], out=made[first - start :])
        return made

    def _scales(self, moves: Array, start: int) -> Array:
        """`range_scales`, or the scale model's, as far as forecasts from `start` on need them."""
        if self._scale is None:
            return range_scales(moves, self._fit)
        logs, found = _log_variances(moves), _mean_scales(moves)
        begin = max(_FIRST, start - self._window)
        if begin > logs.size:
            return found
        median = np.asarray(self._scale.predict_each(logs, begin).quantile([0.5]))[:, 0, 0]
        found[begin:] = _scales_within(median.astype(np.float64), logs, begin)
        return found


def _checked(moves: Array) -> Array:
    for row in moves:
        check_values(row, 0)
        if np.isnan(row).any():
            raise ArgumentError("range needs every move of a bar: some are missing (NaN)")
    return np.ascontiguousarray(moves)


def range_scales(moves: Array, fit: int) -> Array:
    """Forecast standard deviation of the bar after the first t, [T + 1]; that for t = 0 is NaN.

    Every value follows from moves[:, :t] alone, by sums that are carried from bar to bar.

    Args:
        moves: [4, T], log moves of open, high, low and close against the close before.
        fit: how many last bars the regression is fitted on.
    """
    logs, found = _log_variances(moves), _mean_scales(moves)
    count = logs.size
    if count < _FIRST:
        return np.asarray(found)
    lagged = _lagged_means(logs)
    lagged = np.column_stack([lagged, seasonal_part(logs, lagged[:, -1])])
    ends = _fit_ends(count)
    beta = _fits(logs, lagged, ends, fit)
    rows = np.arange(_FIRST, count + 1)
    chosen = beta[np.searchsorted(ends, rows, side="right") - 1]
    x = lagged[rows - 1]
    guess = chosen[:, 0] + 0.0
    for i in range(lagged.shape[1]):
        guess = guess + chosen[:, i + 1] * x[:, i]
    found[_FIRST:] = _scales_within(guess, logs, _FIRST)
    return np.asarray(found)


def _mean_scales(moves: Array) -> Array:
    """Root of the mean variance of the first t bars, [T + 1]; that for t = 0 is NaN."""
    count = moves.shape[1]
    mean = np.full(count + 1, np.nan)
    mean[1:] = np.cumsum(_variances(moves)) / np.arange(1, count + 1)
    return np.asarray(np.sqrt(np.maximum(mean, 1e-18)))


def _scales_within(guess: Array, logs: Array, first: int) -> list[float]:
    """Scales of log variances forecast for t = first .. T, none beyond what has been seen."""
    rows = np.arange(first, logs.size + 1)
    low = np.minimum.accumulate(logs)[rows - 1]
    high = np.maximum.accumulate(logs)[rows - 1]
    held = np.minimum(np.maximum(guess, low), high)
    return [math.exp(0.5 * value) for value in held.tolist()]


def _checked_scale(model: Model) -> Model:
    traits = traits_of(model)
    reason = (
        "forecasts whole bars" if traits.joint or traits.bars
        else "sees when bars were" if traits.timestamps
        else "draws samples from seeds" if traits.seeded else ""
    )  # fmt: skip
    if reason:
        raise ArgumentError(
            f"{model.name} {reason}: scale takes a model that forecasts a series from its own past"
        )
    return model


def _variances(moves: Array) -> Array:
    """Variance of each bar: of the gap before it, and Garman and Klass's of its session."""
    opened, high, low, close = moves
    reach, body = high - low, close - opened
    session = 0.5 * reach * reach - (2.0 * math.log(2.0) - 1.0) * body * body
    return np.asarray(opened * opened + np.maximum(session, 0.0))


def _log_variances(moves: Array) -> Array:
    """Logs of the variances; a bar without a range counts as a small part of the mean so far."""
    values = _variances(moves)
    mean = np.cumsum(values) / np.arange(1, values.size + 1)
    least = np.maximum(_LEAST_SHARE * mean, 1e-18)
    # Python's log is the same on every processor; NumPy's depends on its vector units.
    return np.array([math.log(value) for value in np.maximum(values, least).tolist()])


def _lagged_means(logs: Array) -> Array:
    """Means [row, lag] of the last 1, 5 and 22 logs up to each row; NaN where there are fewer."""
    total = np.concatenate(([0.0], np.cumsum(logs)))
    found = np.full((logs.size, len(_LAGS)), np.nan)
    for i, lag in enumerate(_LAGS):
        found[lag - 1 :, i] = (total[lag:] - total[:-lag]) / lag
    return found


def _fit_ends(count: int) -> npt.NDArray[np.int64]:
    """After how many bars the regression is fitted: 60, then every 20."""
    return np.arange(_FIRST, count + 1, _REFIT)


def _fits(logs: Array, known: Array, ends: npt.NDArray[np.int64], fit: int) -> Array:
    """Fit coefficients [end, 1 + column] of each log by what was known before it, over `fit` bars.

    Normal equations from running sums of products around the first log, which keeps them exact
    enough: elementwise operations alone, the same bits on every processor and for any length.

    Args:
        logs: [T].
        known: [T, column], the means of `_LAGS`, then the part of the session of the next bar.
        ends: after how many bars to fit.
        fit: see there.
    """
    first = _LAGS[-1]  # the first bar with all means before it
    means = 1 + len(_LAGS)
    centre = logs[first - 1]
    y = logs[first:] - centre
    x = np.column_stack([np.ones(y.size), known[first - 1 : -1]])
    x[:, 1:means] -= centre
    width = x.shape[1]
    # Fits begin and end at whole blocks of rows, from the first end on.
    block = math.gcd(_REFIT, fit)
    stop = ends - first
    begin = np.maximum(0, stop - fit)
    sums = _block_sums(x, y, int(stop[0]) % block, block)
    place = np.concatenate([begin, stop]) - int(stop[0]) % block
    place = np.where(place < 0, 0, place // block + 1)
    beta = _solved(
        (sums[place[stop.size :]] - sums[place[: stop.size]]).reshape(-1, width, width + 1)
    )
    # Back from differences to `centre`: y = b0 + sum b_i x_i + centre (1 - sum b_i).
    slopes = beta[:, 1].copy()
    for i in range(2, means):
        slopes = slopes + beta[:, i]
    beta[:, 0] = beta[:, 0] + centre * (1.0 - slopes)
    return beta


def _block_sums(x: Array, y: Array, head: int, block: int) -> Array:
    """Sum the products of columns [block end, product] up to each block's end; those of none first.

    The first block has `head` rows, the others `block`; what is left at the end has no sum.
    """
    columns = [*x.T, y]
    blocks = (y.size - head) // block
    sums = []
    for i in range(x.shape[1]):
        for other in columns:
            product = columns[i] * other
            later = product[head : head + blocks * block].reshape(blocks, block)
            total = later[:, 0]
            for k in range(1, block):
                total = total + later[:, k]
            sums.append(np.cumsum(np.concatenate(([product[:head].sum()], total))))
    return np.concatenate([np.zeros((1, len(sums))), np.stack(sums, axis=1)])


def _solved(systems: Array) -> Array:
    """Solutions [n, k] of symmetric positive systems [n, k, k + 1], with a little ridge."""
    a = systems.copy()
    size = a.shape[1]
    for i in range(size):
        a[:, i, i] = a[:, i, i] * (1.0 + _RIDGE) + 1e-12
    for i in range(size):
        a[:, i, i:] = a[:, i, i:] / a[:, i, i : i + 1].copy()
        for j in range(size):
            if j != i:
                a[:, j, i:] = a[:, j, i:] - a[:, j, i : i + 1].copy() * a[:, i, i:]
    return np.array(a[:, :, size])
