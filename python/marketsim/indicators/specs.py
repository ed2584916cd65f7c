"""What each indicator takes and gives: the one table behind batch, stream and feature forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError, UnknownNameError

FIRST, MEAN, TALIB, NEUTRAL = 0, 1, 2, 3
SEEDS = {"first": FIRST, "mean": MEAN}
Numbers = Mapping[str, npt.NDArray[np.float64]]


def _window(p: Numbers, option: int) -> npt.NDArray[np.float64]:
    return p["window"]


def _seeded(p: Numbers, option: int) -> npt.NDArray[np.float64]:
    return p["window"] if option == MEAN else np.ones_like(p["window"])


@dataclass(frozen=True)
class Spec:
    """One indicator.

    Attributes:
        name: of the function, and of the compiled kind.
        inputs: names of the arrays, in order; names of columns of bars where they are such.
        outputs: names of the results.
        numbers: numeric parameters and their defaults, in the kernel's order.
        windows: those of them that count rows.
        choice: name of the parameter that names a convention, "" where there is one convention.
        options: the conventions and their numbers.
        default: the convention meant where none is named.
        rows: rows needed for a first value, given the parameters.
        least: the smallest window.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("value",)
    numbers: Mapping[str, float | None] = field(default_factory=lambda: {"window": None})
    windows: tuple[str, ...] = ("window",)
    choice: str = ""
    options: Mapping[str, int] = field(default_factory=dict)
    default: str = ""
    rows: Callable[[Numbers, int], npt.NDArray[np.float64]] = _window
    least: int = 1


HLC = ("high", "low", "close")
OHLC = ("open", "high", "low", "close")
_SEED = {"choice": "seed", "options": SEEDS, "default": "mean"}


def _one(p: Numbers, option: int) -> npt.NDArray[np.float64]:
    return np.ones(1)


def _after(rows: int) -> Callable[[Numbers, int], npt.NDArray[np.float64]]:
    return lambda p, option: p["window"] + rows


_ALL = (
    Spec("sma", ("values",)),
    Spec("wma", ("values",)),
    Spec("ema", ("values",), rows=_seeded, **_SEED),  # type: ignore[arg-type]
    Spec("wilder", ("values",), rows=_seeded, **_SEED),  # type: ignore[arg-type]
    Spec("rolling_std", ("values",), numbers={"window": None, "ddof": 0.0}),
    Spec("zscore", ("values",), numbers={"window": None, "ddof": 0.0}),
    Spec("rolling_min", ("values",)),
    Spec("rolling_max", ("values",)),
    Spec("rolling_quantile", ("values",), numbers={"window": None, "level": 0.5}),
    Spec("correlation", ("x", "y"), least=2),
    Spec(
        "true_range",
        HLC,
        numbers={},
        windows=(),
        choice="first",
        options={"range": FIRST, "nan": MEAN},
        default="range",
        rows=_one,
    ),
    Spec(
        "atr",
        HLC,
        numbers={"window": 14.0},
        rows=lambda p, option: p["window"] + 1 if option == MEAN else np.ones(1),
        **_SEED,  # type: ignore[arg-type]
    ),
    Spec(
        "rsi",
        ("close",),
        numbers={"window": 14.0},
        choice="convention",
        options={"wilder": MEAN, "talib": TALIB, "neutral": NEUTRAL},
        default="wilder",
        rows=lambda p, option: np.ones(1) if option == NEUTRAL else p["window"] + 1,
    ),
    Spec(
        "adx",
        HLC,
        ("adx", "plus_di", "minus_di"),
        numbers={"window": 14.0},
        choice="convention",
        options={"wilder": MEAN, "first_bar": FIRST},
        default="wilder",
        rows=lambda p, option: np.ones(1) if option == FIRST else 2 * p["window"],
        least=2,
    ),
    Spec(
        "bollinger",
        ("close",),
        ("middle", "upper", "lower", "deviation", "width", "position"),
        numbers={"window": 20.0, "multiple": 2.0, "power": 0.0},
    ),
    Spec(
        "macd",
        ("close",),
        ("macd", "signal", "histogram"),
        numbers={"fast": 12.0, "slow": 26.0, "signal": 9.0},
        windows=("fast", "slow", "signal"),
        rows=lambda p, option: p["slow"] + p["signal"] - 1 if option == MEAN else np.ones(1),
        **_SEED,  # type: ignore[arg-type]
    ),
    Spec(
        "stochastic",
        HLC,
        ("k", "d"),
        numbers={"window": 14.0, "slow": 3.0, "signal": 3.0},
        windows=("window", "slow", "signal"),
        rows=lambda p, option: p["window"] + p["slow"] + p["signal"] - 2,
    ),
    Spec("donchian", ("high", "low"), ("upper", "lower", "middle"), numbers={"window": 20.0}),
    Spec(
        "keltner",
        HLC,
        ("middle", "upper", "lower"),
        numbers={"window": 20.0, "atr_window": 10.0, "multiple": 2.0},
        windows=("window", "atr_window"),
        rows=lambda p, option: (
            np.maximum(p["window"], p["atr_window"] + 1) if option == MEAN else np.ones(1)
        ),
        **_SEED,  # type: ignore[arg-type]
    ),
    Spec(
        "volatility_ratio",
        HLC,
        numbers={"short": 14.0, "long": 50.0},
        windows=("short", "long"),
        rows=lambda p, option: (
            np.maximum(p["short"], p["long"]) + 1 if option == MEAN else np.ones(1)
        ),
        **_SEED,  # type: ignore[arg-type]
    ),
    Spec("obv", ("close", "volume"), numbers={}, windows=(), rows=_one),
    Spec("vwap", (*HLC, "volume", "session"), numbers={}, windows=(), rows=_one),
    Spec(
        "swings",
        HLC,
        ("high", "high_row", "high_known_at", "highs", "low", "low_row", "low_known_at", "lows"),
        numbers={
            "depth": 6.0,
            "most": 8.0,
            "reach": 250.0,
            "spacing": 10.0,
            "threshold": 1.1,
            "least": 0.45,
            "step": 0.2,
        },
        windows=("depth", "most", "reach", "spacing"),
        rows=_one,
    ),
    Spec("close_volatility", ("close",), numbers={"window": 20.0}, rows=_after(1), least=2),
    Spec("parkinson_volatility", ("high", "low"), numbers={"window": 20.0}),
    Spec("garman_klass_volatility", OHLC, numbers={"window": 20.0}),
    Spec("yang_zhang_volatility", OHLC, numbers={"window": 20.0}, rows=_after(1), least=2),
)
SPECS: Mapping[str, Spec] = {spec.name: spec for spec in _ALL}


@dataclass(frozen=True)
class Call:
    """An indicator with its parameters, ready for the compiled kernels.

    Attributes:
        spec: the indicator.
        parameters: float64 [set, number].
        shape: that of the parameter sets; () where every parameter is one number.
        option: number of the convention.
        longest: the largest window.
        rows: the most rows that any set needs for a first value.
        native: the compiled form.
    """

    spec: Spec
    parameters: npt.NDArray[np.float64]
    shape: tuple[int, ...]
    option: int
    longest: int
    rows: int
    native: _core.IndicatorCall


def power_of(root: str) -> float:
    """Code of how the kernel derives the Bollinger deviation from the variance."""
    if root not in ("sqrt", "power"):
        raise UnknownNameError("bollinger root", root, ("sqrt", "power"))
    return float(root == "power")


def spec_of(name: str) -> Spec:
    """The indicator of that name."""
    if name not in SPECS:
        raise UnknownNameError("indicator", name, SPECS)
    return SPECS[name]


def prepare(name: str, choice: str = "", /, **given: Any) -> Call:
    """Check parameters and give them the form of the kernels."""
    for value in given.values():
        if type(value) is not int and type(value) is not float:
            return _prepare(name, choice, given)
    return _prepared(name, choice, tuple(given.items()))


@lru_cache(maxsize=1024)
def _prepared(name: str, choice: str, given: tuple[tuple[str, float], ...]) -> Call:
    """The same for numbers: they come again and again."""
    call = _prepare(name, choice, dict(given))
    call.parameters.setflags(write=False)
    return call


def _prepare(name: str, choice: str, given: Mapping[str, Any]) -> Call:
    spec = spec_of(name)
    choice = choice or spec.default
    if spec.choice and choice not in spec.options:
        raise UnknownNameError(f"{name} {spec.choice}", choice, spec.options)
    unknown = [key for key in given if key not in spec.numbers]
    if unknown:
        known = ", ".join(spec.numbers) or "none"
        raise ArgumentError(f"{name}: unknown parameter {unknown[0]!r}: expected {known}")
    numbers: dict[str, npt.NDArray[np.float64]] = {}
    for key, default in spec.numbers.items():
        value = given.get(key, default)
        if value is None:
            raise ArgumentError(f"{name}: {key} is missing: give the number of rows")
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" and array.size:
            raise ArgumentError(
                f"{name}: {key} must be a number or an array of them: got {value!r}"
            )
        numbers[key] = array.astype(np.float64)
    shapes = {value.shape for value in numbers.values()} - {()}
    try:
        shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    except ValueError:
        given_shapes = {key: value.shape for key, value in numbers.items() if value.shape}
        raise ArgumentError(
            f"{name}: parameters must have shapes that go together: got {given_shapes}"
        ) from None
    for key in spec.windows:
        _check_window(name, key, numbers[key], spec.least if key == "window" else 1)
    _check_numbers(name, numbers)
    option = spec.options.get(choice, FIRST)
    parameters = np.empty((math.prod(shape), len(numbers)))
    for i, value in enumerate(numbers.values()):
        same = value if value.shape in ((), shape) else np.broadcast_to(value, shape)
        parameters[:, i] = same.reshape(-1)
    longest = max((int(numbers[key].max()) for key in spec.windows), default=1)
    rows = int(spec.rows(numbers, option).max())
    native = _core.IndicatorCall(name, parameters, list(shape), option, longest)
    return Call(spec, parameters, shape, option, longest, rows, native)


def _check_window(name: str, key: str, value: npt.NDArray[np.float64], least: int) -> None:
    if value.size == 0:
        raise ArgumentError(f"{name}: {key} is empty: expected at least one number of rows")
    whole = (value >= least) & (value == np.floor(value)) & (value < 2**31)
    if not whole.all():
        bad = value[~whole].flat[0]
        raise ArgumentError(
            f"{name}: {key} must be whole numbers of rows of at least {least} and below 2**31: "
            f"got {bad:.15g}"
        )


def _check_numbers(name: str, numbers: Numbers) -> None:
    for key, value in numbers.items():
        if not np.isfinite(value).all():
            raise ArgumentError(f"{name}: {key} must be finite: got {value}")
    if (
        "ddof" in numbers
        and not ((numbers["ddof"] >= 0) & (numbers["ddof"] < numbers["window"])).all()
    ):
        raise ArgumentError(f"{name}: ddof must be at least 0 and below the window")
    if "level" in numbers and not ((numbers["level"] >= 0) & (numbers["level"] <= 1)).all():
        raise ArgumentError(f"{name}: level must lie in 0 .. 1: got {numbers['level']}")
    if "step" in numbers:
        steps, fall = numbers["step"], numbers["threshold"] - numbers["least"]
        if ((steps < 0) | ((steps > 0) & (steps * 999 < fall))).any():
            raise ArgumentError(
                f"{name}: step must be 0, or reach `least` within 999 rounds: got {steps}"
            )
    if "slow" in numbers and "fast" in numbers and not (numbers["fast"] < numbers["slow"]).all():
        raise ArgumentError(f"{name}: fast must be below slow")
