"""GARCH(1, 1) with Student-t residuals, estimated by the package arch."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from importlib.metadata import version as version_of
from typing import Any, NamedTuple

import numpy as np

from marketsim import _core
from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.statistical.base import Array, StatisticalModel, checked_window

_FIRST = 100  # values before the first estimate; until then the quantiles of the past


class GarchModel(StatisticalModel):
    """GARCH(1, 1) with a constant mean and Student-t residuals.

    The parameters are estimated again every `refit` values, on the last `window` of them, by the
    package arch; in between the variance follows the recursion. Until there are 100 values a
    forecast is the quantiles of the past. All later steps have the distribution of the next one.

    References: Bollerslev, A conditionally heteroskedastic time series model for speculative prices
    and rates of return, Review of Economics and Statistics 69 (1987).

    Args:
        window: how many last values the parameters are estimated on, at least 100.
        refit: values from one estimate to the next.

    Raises:
        ArgumentError: a value out of range. On use: missing values.
        MissingDependencyError: arch is not installed.
    """

    name = "garch"
    version = 1

    def __init__(self, *, window: int = 1000, refit: int = 40) -> None:
        super().__init__()
        self._window = checked_window(window)
        if self._window < _FIRST:
            raise ArgumentError(f"window must be at least {_FIRST}: got {window!r}")
        if not is_whole(refit) or not 1 <= refit <= 1_000_000:
            raise ArgumentError(f"refit must be a whole number in 1 .. 1,000,000: got {refit!r}")
        self._refit = int(refit)
        _arch()

    @property
    def context_length(self) -> None:
        """None: the schedule of estimation starts at the first value."""
        return

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {"window": self._window, "refit": self._refit, "levels": self.levels}

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identity: everything that a forecast depends on besides its context."""
        libraries = {name: version_of(name) for name in ("arch", "numpy", "scipy")}
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=None,
            levels=self.levels,
            configuration=self.options(),
            libraries=libraries,
        )

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        if np.isnan(series).any():
            raise ArgumentError(f"{self.name} needs every value of a series: some are missing")
        count = series.size
        shape = (count - start + 1, len(self.levels))
        mean, std, quantiles = np.empty(shape[0]), np.empty(shape[0]), np.empty(shape)
        early = max(min(_FIRST, count + 1) - start, 0)
        if early:
            past = np.ascontiguousarray(series[None, : start + early - 1])
            quantiles[:early] = _core.rolling_quantiles(past, start, count, self._levels)[0]
            for i in range(early):
                mean[i], std[i] = series[: start + i].mean(), series[: start + i].std()
        for at in range(_FIRST, count + 1, self._refit):
            stop = min(at + self._refit, count + 1)
            if stop <= start:
                continue
            self._run(series, at, (max(at, start), stop), start, (mean, std, quantiles))
        return mean, std, quantiles

    def _run(
        self, series: Array, at: int, ends: tuple[int, int], start: int, out: tuple[Array, ...]
    ) -> None:
        """Forecast at the ends, with parameters estimated on the values before `at`."""
        fitted = _estimated(series[max(0, at - self._window) : at])
        variance, last = fitted.variance, series[at - 1]
        mean, std, quantiles = out
        for end in range(at, ends[1]):
            if end > at:
                last = series[end - 1]
            off = float(last) - fitted.mean
            variance = fitted.constant + fitted.shock * off * off + fitted.memory * variance
            if end >= ends[0]:
                i, size = end - start, math.sqrt(max(variance, 0.0))
                mean[i], std[i] = fitted.mean, size
                quantiles[i] = fitted.mean + size * self._residual(fitted.df)

    def _residual(self, df: float) -> Array:
        """Compute quantiles of the residual, of unit variance."""
        from scipy import stats

        return np.asarray(stats.t.ppf(self._levels, df) * math.sqrt((df - 2.0) / df))

    def _spread(self, step: int) -> float:
        return 1.0


class _Fitted(NamedTuple):
    mean: float
    constant: float
    shock: float
    memory: float
    df: float
    variance: float  # of the last value


def _estimated(values: Array) -> _Fitted:
    """Estimate the parameters of the values, in their units."""
    unit = float(values.std())
    if not unit > 0.0:  # nothing moves: no variance
        return _Fitted(float(values[-1]), 0.0, 0.0, 0.0, 30.0, 0.0)
    scaled = (values - values.mean()) / unit
    model = _arch().arch_model(scaled, vol="GARCH", p=1, q=1, dist="t", rescale=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the optimiser: its parameters are checked below
        found = model.fit(disp="off", show_warning=False)
    names = ("mu", "omega", "alpha[1]", "beta[1]", "nu")
    mu, omega, alpha, beta, df = (float(found.params[name]) for name in names)
    last = float(found.conditional_volatility[-1]) ** 2
    if not np.isfinite([mu, omega, alpha, beta, df, last]).all() or df <= 2.0:
        raise ArgumentError(
            f"garch has no estimate on {values.size} values (mu={mu}, omega={omega}, "
            f"alpha={alpha}, beta={beta}, nu={df}): use another window, or another model"
        )
    square = unit * unit
    return _Fitted(mu * unit + float(values.mean()), omega * square, alpha, beta, df, last * square)


def _arch() -> Any:
    try:
        import arch
    except ImportError as error:
        raise MissingDependencyError(
            "garch is estimated by arch, not installed: pip install '.[stats]' in the checkout"
        ) from error
    return arch
