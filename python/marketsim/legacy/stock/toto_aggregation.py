"""Point forecasts from samples, by the names of `marketsim.models.aggregation`.

The statistics are those of the old code to the last digit, and names are understood as it did:
numbers in any notation (1e-1, .5, negative factors), weights cut to [0, 1], and of samples also the
0 and 1 quantiles. Only `quantile_plus_std_q_k` differs: it
is the q quantile and k standard deviations, as its name says. The old code took it for a `quantile`
of the last number, k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.legacy.stock.assignments import watch_callee
from marketsim.models.aggregation import Aggregate, parse_aggregate

__all__ = [
    "aggregate_quantile_plus_std",
    "aggregate_with_spec",
    "setup_toto_aggregation_imports",
]

Array = npt.NDArray[np.float64]


def aggregate_with_spec(samples: Any, method: str) -> Array:
    """One number for each step of a forecast.

    Args:
        samples: [sample, horizon], or [sample]; an array, a tensor on any device, or nested lists.
            Axes of one element are dropped; of two axes the longer one holds the samples.
        method: for example "trimmed_mean_10"; empty means "mean".

    Returns:
        float64 [horizon].

    Raises:
        UnknownNameError: no aggregate of that name.
        ArgumentError: no samples, or more than two axes.

    Example:
        >>> aggregate_with_spec([[1.0], [2.0], [9.0]], "median").tolist()
        [2.0]
    """
    return aggregate_columns(_matrix(samples), method)


def aggregate_columns(matrix: Array, method: str, ordered: Array | None = None) -> Array:
    """`aggregate_with_spec` of samples that are float64 [sample, column] for certain.

    Columns that lie one after the other in memory give, to the last bit, what each gives alone.
    Who has them in ascending order already says so by `ordered`.
    """
    form, numbers = _extreme(method) or parse_aggregate(native_spec(method or ""))
    n = len(matrix)
    if ordered is None:
        ordered = np.sort(matrix, axis=0) if "trimmed" in form else matrix
    match form:
        case "mean":
            return _mean(matrix)
        case "median":
            return np.asarray(np.median(matrix, axis=0))
        case "trimmed_mean":
            cut = int(n * numbers[0])
            return _mean(ordered[cut : n - cut])
        case "lower_trimmed_mean":
            return _mean(ordered[: max(1, int(n * (1.0 - numbers[0])))])
        case "upper_trimmed_mean":
            return _mean(ordered[min(n - 1, int(n * numbers[0])) :])
        case "mean_minus_std":
            return _mean(matrix) - numbers[0] * _std(matrix)
        case "mean_plus_std":
            return _mean(matrix) + numbers[0] * _std(matrix)
        case "mean_quantile_mix":
            weight = numbers[1]
            return weight * _mean(matrix) + (1.0 - weight) * _quantile(matrix, numbers[0])
        case "quantile_plus_std":
            return _quantile(matrix, numbers[0]) + numbers[1] * _std(matrix)
        case _:  # quantile, p
            return _quantile(matrix, numbers[0])


# Names with numbers: how many.
_NUMBERED = {
    "trimmed_mean": 1,
    "lower_trimmed_mean": 1,
    "upper_trimmed_mean": 1,
    "quantile": 1,
    "mean_minus_std": 1,
    "mean_plus_std": 1,
    "mean_quantile_mix": 2,
    "quantile_plus_std": 2,
}
_OPPOSITE = {"mean_minus_std": "mean_plus_std", "mean_plus_std": "mean_minus_std"}


def native_spec(spec: str) -> str:
    """An aggregate's name in the notation of `marketsim.models.aggregation`.

    What is no name of the old code is returned as it is, for that module to refuse.

    Example:
        >>> native_spec("Trimmed_Mean_1e-1"), native_spec("mean_quantile_mix_0.5_2")
        ('trimmed_mean_0.1', 'mean_quantile_mix_0.5_1')
        >>> native_spec("mean_minus_std_-0.5")
        'mean_plus_std_0.5'
    """
    found = _parts(spec)
    if found is None:
        return spec
    form, numbers = found
    if form == "mean_quantile_mix":
        numbers[1] = min(max(numbers[1], 0.0), 1.0)
    if form in _OPPOSITE and numbers[0] < 0.0:
        form, numbers = _OPPOSITE[form], [-numbers[0]]
    return "_".join([form, *(np.format_float_positional(n, trim="-") for n in numbers)])


def _parts(spec: str) -> tuple[str, list[float]] | None:
    """A name's form and numbers; None where it has none."""
    tokens = spec.strip().lower().split("_")
    for count in (2, 1):
        form = "_".join(tokens[:-count])
        if _NUMBERED.get(form) == count:
            try:
                return form, [float(token) for token in tokens[-count:]]
            except ValueError:
                return None
    return None


# Forms that the lowest or highest sample is in, and at which shares.
_ENDS = {
    "quantile": (0.0, 1.0),
    "lower_trimmed_mean": (1.0,),
    "upper_trimmed_mean": (1.0,),
    "mean_quantile_mix": (0.0, 1.0),
    "quantile_plus_std": (0.0, 1.0),
}


def _extreme(spec: str) -> Aggregate | None:
    """The lowest and the highest sample, which an exact distribution does not have."""
    found = _parts(spec or "")
    if found is None:
        return None
    form, numbers = found
    share = numbers[0] / 100.0 if numbers[0] > 1.0 else numbers[0]
    if share not in _ENDS.get(form, ()) or not np.isfinite(numbers).all():
        return None
    if form == "mean_quantile_mix":
        return Aggregate(form, (share, min(max(numbers[1], 0.0), 1.0)))
    return Aggregate(form, (share, *numbers[1:]))


def aggregate_quantile_plus_std(samples: Any, quantile: float, std_scale: float) -> Array:
    """A quantile and so many standard deviations, float64 [horizon].

    Args:
        samples: as for `aggregate_with_spec`.
        quantile: in [0, 1], or in percent above 1.
        std_scale: how many population standard deviations are added.

    Raises:
        ArgumentError: no samples, more than two axes, or a quantile out of its range.
    """
    level = float(quantile) / 100.0 if quantile > 1.0 else float(quantile)
    if not 0.0 <= level <= 1.0:
        raise ArgumentError(f"quantile must lie in [0, 1], or be a percentage: got {quantile!r}")
    matrix = _matrix(samples)
    return _quantile(matrix, level) + float(std_scale) * _std(matrix)


def setup_toto_aggregation_imports(**_: Any) -> None:
    """Nothing: the old module was handed its libraries by this."""


def _matrix(samples: Any) -> Array:
    """Float64 [sample, horizon]."""
    if hasattr(samples, "detach"):  # a tensor
        samples = samples.detach().double().cpu().numpy()
    array = np.squeeze(np.asarray(samples, dtype=np.float64))
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim > 2 or array.size == 0:
        raise ArgumentError(
            f"samples must be [sample, horizon] with at least one sample: got {np.shape(samples)}"
        )
    if array.ndim == 1:
        return array.reshape(-1, 1)
    return np.ascontiguousarray(array.T) if array.shape[0] < array.shape[1] else array


def _mean(matrix: Array) -> Array:
    return np.asarray(matrix.mean(axis=0, dtype=np.float64))


def _std(matrix: Array) -> Array:
    return np.asarray(matrix.std(axis=0, dtype=np.float64))


def _quantile(matrix: Array, level: float) -> Array:
    return np.asarray(np.quantile(matrix, level, axis=0))


watch_callee(__name__, kept=["aggregate_with_spec"])
