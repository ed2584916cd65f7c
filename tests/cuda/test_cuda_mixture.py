"""The GPU's kernel of Student-t mixtures, run on the host: equal to the CPU's to the last bit."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from cuda_emulation import HERE, address, native

from marketsim import _core

NORMAL = NormalDist()
# More than one launch takes.
LEVELS = (1e-12, 1e-6, *np.linspace(0.05, 0.95, 19).tolist(), 1 - 1e-6)
KINDS = ("usual", "heavy", "far apart", "tiny and huge", "some without weight", "alike")


def with_normal(level: float) -> tuple[float, float]:
    return level, NORMAL.inv_cdf(level) if 0.0 < level < 1.0 else 0.0


def mixtures(rng: np.random.Generator, kind: str, rows: int, components: int) -> list[np.ndarray]:
    shape = (rows, components)
    df, loc = 1 + rng.exponential(4.0, shape), rng.normal(0.0, 1.0, shape)
    scale = 10.0 ** rng.uniform(-2, 0, shape)
    weight = rng.dirichlet(np.ones(components), rows)
    if kind == "heavy":
        df = 1 + 10.0 ** rng.uniform(-12, 25, shape)
    elif kind == "far apart":
        loc *= 10.0 ** rng.uniform(-100, 100, shape)
    elif kind == "tiny and huge":
        scale = 10.0 ** rng.uniform(-250, 250, shape)
    elif kind == "some without weight":
        weight[rng.random(shape) < 0.5] = 0.0
        weight[:, components // 2] += 0.1
    elif kind == "alike":
        df, loc, scale = (np.repeat(part[:, :1], components, axis=1) for part in (df, loc, scale))
    return [np.ascontiguousarray(part) for part in (df, loc, scale, weight)]


def quantiles(parts: list[np.ndarray], levels: tuple[float, ...]) -> np.ndarray:
    out = np.full((len(parts[0]), len(levels)), 7.0)
    native.mixture_quantiles(
        *map(address, parts), *parts[0].shape, [with_normal(p) for p in levels], address(out),
        **HERE,
    )  # fmt: skip
    return out


def means(parts: list[np.ndarray], low: float, high: float) -> np.ndarray:
    out = np.full(len(parts[0]), 7.0)
    native.mixture_means_between(
        *map(address, parts), *parts[0].shape, with_normal(low), with_normal(high), address(out),
        **HERE,
    )  # fmt: skip
    return out


def assert_same_bits(got: np.ndarray, expected: np.ndarray) -> None:
    same = got.view(np.int64) == expected.view(np.int64)
    assert (same | (np.isnan(got) & np.isnan(expected))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equals_cpu(kind: str, order: int) -> None:
    rng = np.random.default_rng([KINDS.index(kind), 5])
    for components in (1, 2, 6, 8, 9, 17):
        parts = mixtures(rng, kind, 3, components)
        expected = _core.mixture_quantiles(*parts, [with_normal(p) for p in LEVELS])
        assert_same_bits(quantiles(parts, LEVELS), expected)
        for low, high in ((0.1, 0.9), (0.0, 0.7), (0.3, 1.0), (0.0, 1.0)):
            cpu = _core.mixture_means_between(*parts, with_normal(low), with_normal(high))
            assert_same_bits(means(parts, low, high), cpu)


def test_rows_are_alone() -> None:
    rng = np.random.default_rng(8)
    parts = mixtures(rng, "usual", 5, 6)
    whole = quantiles(parts, LEVELS)
    for i in range(5):
        assert_same_bits(quantiles([p[i : i + 1].copy() for p in parts], LEVELS), whole[i : i + 1])


@pytest.mark.parametrize("part", range(4))
def test_nan_gives_nan(part: int) -> None:
    rng = np.random.default_rng(9)
    parts = mixtures(rng, "usual", 3, 6)
    expected = quantiles(parts, LEVELS)
    parts[part][1, 4] = np.nan
    found = quantiles(parts, LEVELS)
    assert np.isnan(found[1]).all()
    assert np.isnan(means(parts, 0.1, 0.9)[1])
    assert_same_bits(found[[0, 2]], expected[[0, 2]])


def test_nothing_to_do() -> None:
    parts = mixtures(np.random.default_rng(0), "usual", 0, 6)
    assert quantiles(parts, LEVELS).shape == (0, len(LEVELS))
    assert means(parts, 0.1, 0.9).shape == (0,)
    assert quantiles(mixtures(np.random.default_rng(0), "usual", 2, 6), ()).shape == (2, 0)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.1, np.nan])
def test_bad_levels(level: float) -> None:
    parts = mixtures(np.random.default_rng(0), "usual", 1, 6)
    with pytest.raises(ValueError, match="levels"):
        native.mixture_quantiles(*map(address, parts), 1, 6, [(level, 0.0)], 0, **HERE)
    with pytest.raises(ValueError, match="low, high"):
        native.mixture_means_between(*map(address, parts), 1, 6, (0.5, 0.0), (0.5, 0.0), 0, **HERE)
