"""Scores of daily returns: the kernel against its definition in NumPy, equal to the last bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from marketsim import _core

Array = npt.NDArray[np.float64]
# Around what NumPy adds one by one, in eight partial sums, and by halves.
DAYS = [*range(1, 20), 63, 64, 65, 127, 128, 129, 130, 136, 255, 256, 257, 500, 1031]
KINDS = ("random", "ticks", "missing", "infinite", "constant", "huge", "tiny", "zero", "minus_zero")
MIXED_FEE = 0.523


def sums_reference(returns: Array, periods: float) -> Array:
    """Total, mean, annual mean, Sharpe ratio and mean size of one row [day]."""
    with np.errstate(all="ignore"):
        total = np.add.reduce(returns)
        mean = total / len(returns)
        deviation = np.sqrt(np.add.reduce((returns - mean) ** 2) / len(returns))
        defined = np.isfinite(deviation) and deviation != 0.0
        sharpe = mean / deviation * np.sqrt(max(periods, 1)) if defined else 0.0
        return np.array([total, *profile(returns, periods), sharpe, size(returns)])


def signals_reference(
    signals: Array, returns: Array, fee: float, spread: float, periods: float
) -> tuple[Array, Array]:
    """The same of signals held over returns, and the returns after costs [day]."""
    with np.errstate(all="ignore"):
        mixed = (signals > 0).any() and (signals < 0).any() and (signals == 0).any()
        rate = (fee * MIXED_FEE if mixed else fee) + abs((1 - spread) / 2)
        changes = np.abs(np.concatenate((signals[:1], signals[1:] - signals[:-1])))
        net = signals * returns - changes * rate
        known = ~np.isnan(net)
        growth = np.multiply.accumulate(np.where(known, 1 + net, 1.0))[-1]
        number = np.float64(np.count_nonzero(known))
        mean = np.add.reduce(np.where(known, net, 0.0)) / number
        squares = np.add.reduce(np.where(known, (net - mean) ** 2, 0.0))
        deviation = np.sqrt(squares / (number - 1 if number > 1 else np.nan))
        undefined = np.isnan(deviation) or deviation == 0.0
        sharpe = 0.0 if undefined else mean / deviation * np.sqrt(periods)
        total = growth - 1 if known[-1] else np.nan
        return np.array([total, *profile(net, periods), sharpe, size(net)]), net


def profile(returns: Array, periods: float) -> tuple[float, float]:
    """The mean of the returns that are finite, and that times the periods."""
    if periods <= 0:
        return 0.0, 0.0
    finite = returns[np.isfinite(returns)]
    mean = float(np.add.reduce(finite) / max(len(finite), 1))
    return mean, mean * periods


def size(returns: Array) -> float:
    return float(np.add.reduce(np.abs(returns)) / len(returns))


def values(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    made = rng.normal(0.0, 0.02, shape)
    some = rng.random(shape) < 0.2
    match kind:
        case "ticks":
            return np.round(made, 2)
        case "missing":
            return np.where(some, np.nan, made)
        case "infinite":
            return np.where(some, rng.choice([np.inf, -np.inf, np.nan], shape), made)
        case "constant":
            return np.full(shape, 0.01)
        case "huge":
            return made * 1e200
        case "tiny":
            return made * 1e-310
        case "zero":
            return np.zeros(shape)
        case "minus_zero":
            return np.full(shape, -0.0)
        case _:
            return made


def same_bits(made: Array, expected: Array) -> None:
    """Equal, and zeros of one sign; which of the many NaNs does not matter."""
    np.testing.assert_array_equal(made, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(made[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("periods", [252, 0, -1, 1, 365.25])
def test_sums(kind: str, periods: float) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    for days in DAYS:
        returns = values(kind, (2, 3, days), rng)
        made = _core.score_sums(returns, periods)
        assert made.shape == (5, 2, 3)
        for i in np.ndindex(2, 3):
            same_bits(made[:, *i], sums_reference(returns[i], periods))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fee", "spread"), [(0.0005, 1.0009), (0.0, 1.0), (0.4, 0.5), (1e-9, 9.0)])
def test_signals(kind: str, fee: float, spread: float) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    for days in DAYS:
        returns = values(kind, (3, days), rng)
        signals = rng.choice([-1.0, 0.0, 1.0, 0.5], (4, 3, days))
        signals[1] = 1.0
        signals[2, rng.random((3, days)) < 0.1] = np.nan
        made, net = _core.score_signals(signals, returns, fee, spread, 252)
        assert made.shape == (5, 4, 3)
        for i in np.ndindex(4, 3):
            expected, net_expected = signals_reference(signals[i], returns[i[1]], fee, spread, 252)
            same_bits(net[i], net_expected)
            same_bits(made[:, *i], expected)


def test_no_row() -> None:
    assert _core.score_sums(np.zeros((0, 6)), 252).shape == (5, 0)
    made, net = _core.score_signals(np.zeros((2, 0, 6)), np.zeros((0, 6)), 0.0, 1.0, 252)
    assert made.shape == (5, 2, 0)
    assert net.shape == (2, 0, 6)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"returns must be \[..., day\] with at least one day"):
        _core.score_sums(np.zeros((3, 0)), 252)
    with pytest.raises(ValueError, match="at least one day"):
        _core.score_sums(np.array(1.0), 252)
    for signals, returns in (((2, 6), (2, 6)), ((1, 2, 6), (2, 5)), ((1, 2, 6), (3, 6))):
        with pytest.raises(ValueError, match=r"signals must be \[strategy, row, day\]"):
            _core.score_signals(np.zeros(signals), np.zeros(returns), 0.0, 1.0, 252)
    with pytest.raises(TypeError):
        _core.score_sums(np.zeros((1, 6), dtype=np.float32), 252)
