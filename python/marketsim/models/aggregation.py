"""Names of point forecasts, the statistics of a predictive distribution.

mean, median, p10, p90, p<n>           the mean and quantiles (p25 is the 25 % quantile)
trimmed_mean_<f>                       the mean without the lowest and the highest f
lower_trimmed_mean_<f>                 the mean of the lowest 1 - f
upper_trimmed_mean_<f>                 the mean without the lowest f
quantile_<f>                           the f quantile
mean_minus_std_<k>, mean_plus_std_<k>  the mean and k standard deviations
mean_quantile_mix_<q>_<w>              w * mean + (1 - w) * the q quantile
quantile_plus_std_<q>_<k>              the q quantile and k standard deviations

Fractions above 1 are percent: trimmed_mean_10 drops a tenth on each side. The weight w is at most
1. Case does not matter.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

from marketsim.errors import UnknownNameError

_NUMBER = r"(\d+(?:\.\d+)?)"
# One entry a form: pattern, and which of its numbers are fractions.
_FORMS: dict[str, tuple[str, tuple[bool, ...]]] = {
    "mean": (r"mean", ()),
    "median": (r"median", ()),
    "trimmed_mean": (rf"trimmed_mean_{_NUMBER}", (True,)),
    "lower_trimmed_mean": (rf"lower_trimmed_mean_{_NUMBER}", (True,)),
    "upper_trimmed_mean": (rf"upper_trimmed_mean_{_NUMBER}", (True,)),
    "quantile_plus_std": (rf"quantile_plus_std_{_NUMBER}_{_NUMBER}", (True, False)),
    "quantile": (rf"quantile_{_NUMBER}", (True,)),
    "p": (rf"p{_NUMBER}", (True,)),
    "mean_minus_std": (rf"mean_minus_std_{_NUMBER}", (False,)),
    "mean_plus_std": (rf"mean_plus_std_{_NUMBER}", (False,)),
    "mean_quantile_mix": (rf"mean_quantile_mix_{_NUMBER}_{_NUMBER}", (True, False)),
}
AGGREGATES = (
    "mean",
    "median",
    "p<n>",
    "trimmed_mean_<f>",
    "lower_trimmed_mean_<f>",
    "upper_trimmed_mean_<f>",
    "quantile_<f>",
    "mean_minus_std_<k>",
    "mean_plus_std_<k>",
    "mean_quantile_mix_<q>_<w>",
    "quantile_plus_std_<q>_<k>",
)


class Aggregate(NamedTuple):
    """Parsed name of a point forecast; percentages are converted to fractions."""

    form: str
    numbers: tuple[float, ...]


def parse_aggregate(spec: str) -> Aggregate:
    """Parse the name of an aggregate; an empty one means "mean".

    Raises:
        UnknownNameError: a name of no form above, or a number beyond what its form admits.
    """
    if not isinstance(spec, str):
        raise UnknownNameError("aggregate", spec, AGGREGATES)
    return _parsed(spec)


@lru_cache(maxsize=256)
def _parsed(spec: str) -> Aggregate:
    text = spec.strip().lower() or "mean"
    for form, (pattern, are_fractions) in _FORMS.items():
        match = re.fullmatch(pattern, text)
        if match is None:
            continue
        numbers = tuple(
            _fraction(float(number), always_percent=form == "p") if is_fraction else float(number)
            for number, is_fraction in zip(match.groups(), are_fractions, strict=True)
        )
        if all(map(math.isfinite, numbers)) and _in_range(form, numbers):
            return Aggregate(form, numbers)
        break
    raise UnknownNameError("aggregate", spec, AGGREGATES)


def _fraction(value: float, always_percent: bool) -> float:
    return value / 100.0 if value > 1.0 or always_percent else value


def _in_range(form: str, numbers: tuple[float, ...]) -> bool:
    if form == "trimmed_mean":
        return numbers[0] < 0.5
    if form in ("lower_trimmed_mean", "upper_trimmed_mean"):
        return numbers[0] < 1.0
    if form in ("quantile", "p", "quantile_plus_std"):
        return 0.0 < numbers[0] < 1.0
    if form == "mean_quantile_mix":
        return 0.0 < numbers[0] < 1.0 and numbers[1] <= 1.0
    return True
