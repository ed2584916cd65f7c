"""Series to forecast, and how far from the original a forecast in float32 may be."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Floats = np.ndarray

# In units of scale. Two float32 evaluations of one random model differ by up to 7e-6.
TOLERANCE = 5e-5
VARIATES = (1, 3)  # of the series of which every day is forecast
QUANTILES = tuple(round(0.1 * knot, 1) for knot in range(1, 10))


def series(shape: tuple[int, ...], seed: int) -> Floats:
    """Series [batch, variate, time] of several kinds: returns, walks, waves, levels far from 0."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, shape)
    kinds = (
        0.01 * noise,
        np.cumsum(noise, axis=-1),
        np.sin(np.arange(shape[-1]) / 3) + 0.1 * noise,
        100 + noise,
        np.exp(noise),
    )
    values = np.empty(shape, np.float32)
    for index in np.ndindex(*shape[:-1]):
        values[index] = kinds[(seed + sum(index)) % len(kinds)][index]
    return values


def days(patch: int) -> dict[str, Floats]:
    """The contexts of successive days of one series [1, variate, time], shortest first, by name.

    From the first step on where patches are small; at official sizes across one whole patch's end.
    """
    start, end = (1, 4 * patch + 1) if patch < 32 else (2 * patch - 3, 2 * patch + 3)
    wholes = {variates: series((1, variates, end), 7) for variates in VARIATES}
    return {
        f"{variates} variates, {length} days": whole[..., :length]
        for variates, whole in wholes.items()
        for length in range(start, end + 1)
    }


def leading_gap(shape: tuple[int, ...], steps: Iterable[int]) -> np.ndarray:
    """A mask that is False on the first steps: as many as are given, by variate."""
    mask = np.ones(shape, bool)
    for variate, count in enumerate(steps):
        mask[:, variate, :count] = False
    return mask


def assert_near(ours: Floats, theirs: Floats, unit: Floats, what: str) -> None:
    """Equal up to the tolerance in `unit`, and to what float32 resolves of a value so large."""
    assert ours.shape == theirs.shape, f"{what}: {ours.shape}, and the original's {theirs.shape}"
    bound = TOLERANCE * unit + 4 * np.spacing(np.abs(theirs).astype(np.float32))
    error = np.abs(np.asarray(ours, np.float64) - theirs)
    worst = np.unravel_index(np.argmax(error / bound), error.shape)
    assert (error <= bound).all(), (
        f"{what}: {ours[worst]} where the original says {theirs[worst]}, at {worst}: "
        f"{error[worst] / bound[worst]:.3g} times the bound"
    )
