"""Mixtures of Student-t distributions, against SciPy, integration, many samples and themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

import marketsim as ms
from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.models import StudentTMixture

SPECS = (
    "mean", "median", "p10", "trimmed_mean_10", "lower_trimmed_mean_0.2", "upper_trimmed_mean_30",
    "quantile_0.35", "mean_minus_std_0.5", "mean_plus_std_2", "mean_quantile_mix_0.15_0.3",
    "quantile_plus_std_0.15_0.18", "trimmed_mean_0",
)  # fmt: skip
LEVELS = (1e-12, 1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12)


class Reference:
    """One mixture, to be read: sums over SciPy's Student-t distributions."""

    def __init__(self, df, loc, scale, weights) -> None:
        kept = np.array(weights) > 0.0
        df, self.loc, self.scale = (np.array(part)[kept] for part in (df, loc, scale))
        self.parts = stats.t(df=df, loc=self.loc, scale=self.scale)
        self.weights = np.array(weights)[kept] / np.sum(weights)

    def cdf(self, x: float) -> float:
        return float(self.weights @ self.parts.cdf(x))

    def sf(self, x: float) -> float:
        return float(self.weights @ self.parts.sf(x))

    def density(self, x: float) -> float:
        return float(self.weights @ self.parts.pdf(x))

    def quantile(self, level: float) -> float:
        """Between the least and the greatest of the components' own quantiles."""
        ends = self.parts.ppf(level)
        low, high = float((ends - self.scale).min()), float((ends + self.scale).max())
        if level > 0.5:
            return optimize.brentq(lambda x: (1 - level) - self.sf(x), low, high, xtol=1e-300)
        return optimize.brentq(lambda x: self.cdf(x) - level, low, high, xtol=1e-300)

    def mean_between(self, low: float, high: float) -> float:
        """By numerical integration of x F'(x) between the quantiles, in pieces."""
        ends = [self.quantile(low) if low else -np.inf, self.quantile(high) if high < 1 else np.inf]
        inner = [self.quantile(p) for p in LEVELS]
        for steps in (-100.0, -3.0, 0.0, 3.0, 100.0):
            inner += list(self.loc + steps * self.scale)
        marks = [ends[0], *sorted({x for x in inner if ends[0] < x < ends[1]}), ends[1]]
        total = 0.0
        for a, b in itertools.pairwise(marks):
            part = integrate.quad(lambda x: x * self.density(x), a, b, epsabs=1e-12, limit=400)
            total += part[0]
        return total / (high - low)


def random_parts(seed: int, rows: int, components: int) -> tuple[np.ndarray, ...]:
    """(df, loc, scale, weights) [row, 1, component] of the kind that a model gives for returns."""
    rng = np.random.default_rng(seed)
    shape = (rows, 1, components)
    df = 2.0 + rng.gamma(2.0, 3.0, shape)
    weights = rng.dirichlet(np.full(components, 0.5), (rows, 1))
    return df, rng.normal(0, 0.01, shape), np.exp(rng.normal(-4.5, 0.7, shape)), weights


def plain(df, loc, scale, weights) -> StudentTMixture:
    return StudentTMixture([df], [loc], [scale], [weights])


ADVERSARIAL = {
    "one": ([5.0], [0.3], [2.0], [1.0]),
    "heavy": ([1.05], [0.0], [1.0], [1.0]),
    "normal": ([1e12, 1e15], [0.0, 1.0], [1.0, 2.0], [0.5, 0.5]),
    "far apart": ([3.0, 8.0], [-1e3, 1e3], [1e-2, 1e-2], [0.4, 0.6]),
    "far apart, thin tails": ([1e8, 1e8], [-1.0, 1.0], [1e-3, 1e-3], [0.25, 0.75]),
    "needle": ([4.0, 4.0], [0.0, 0.5], [1.0, 1e-7], [0.7, 0.3]),
    "tiny": ([3.0, 5.0], [1e-200, 2e-200], [1e-203, 1e-201], [0.5, 0.5]),
    "large": ([3.0, 5.0], [1e100, 2e100], [1e98, 1e99], [0.5, 0.5]),
    "one without weight": ([3.0, 5.0], [0.0, 1e9], [1.0, 1e-9], [1.0, 0.0]),
    "many scales": ([2.5] * 6, [0.0] * 6, [10.0**-i for i in range(6)], [0.1] * 4 + [0.3] * 2),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_quantiles_of_hard_cases(name: str) -> None:
    parts = ADVERSARIAL[name]
    reference, mixture = Reference(*parts), plain(*parts)
    found = mixture.quantile(LEVELS)[0]
    assert (np.diff(found) > 0).all()
    for level, x in zip(LEVELS, found, strict=True):
        expected = reference.quantile(level)
        # Where hardly any probability lies a quantile is as uncertain as the levels are.
        slack = 2e-16 / reference.density(expected) if reference.density(expected) else np.inf
        tolerance = 1e-8 * min(parts[2]) + 1e-12 * abs(expected) + min(slack, max(parts[2]))
        assert abs(x - expected) <= tolerance, level


@pytest.mark.parametrize("seed", range(6))
def test_random_mixtures_are_scipys(seed: int) -> None:
    parts = random_parts(seed, 5, 24)
    mixture = StudentTMixture(*parts)
    quantiles = mixture.quantile(LEVELS)
    for row in range(5):
        reference = Reference(*(part[row, 0] for part in parts))
        expected = [reference.quantile(level) for level in LEVELS]
        np.testing.assert_allclose(quantiles[row, 0], expected, rtol=1e-9, atol=1e-12)
        weights, own = parts[3][row, 0], reference.parts
        mean = weights @ own.mean()
        variance = weights @ (own.var() + (own.mean() - mean) ** 2)
        assert mixture.mean[row, 0] == pytest.approx(mean, rel=1e-12)
        assert mixture.std[row, 0] == pytest.approx(np.sqrt(variance), rel=1e-12)


@given(
    df=st.floats(1.001, 1e9) | st.floats(1.001, 30.0),
    t=st.floats(-30.0, 30.0) | st.floats(-3.0, 3.0),
)
def test_distribution_function_is_scipys(df: float, t: float) -> None:
    got = plain([df], [0.0], [1.0], [1.0]).cdf(t)[0]
    # SciPy's own error, of about 1e-14 relative for most, grows with df.
    assert got == pytest.approx(stats.t.cdf(t, df), rel=2e-12 + 1e-15 * min(df, 1e5), abs=1e-300)
    assert 0.0 <= got <= 1.0


def test_distribution_function_by_many_digits() -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(5)
    with mpmath.workdps(40):
        for _ in range(400):
            df, t = 1.0 + 10 ** rng.uniform(-3, 7), -(10 ** rng.uniform(-3, 1.5))
            x = mpmath.mpf(df) / (mpmath.mpf(df) + mpmath.mpf(t) ** 2)
            exact = mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, x, regularized=True) / 2
            if exact > 1e-290:
                got = plain([df], [0.0], [1.0], [1.0]).cdf(t)[0]
                assert got == pytest.approx(float(exact), rel=1e-12)


def mixtures(draw) -> tuple[list[float], ...]:
    count = draw(st.integers(1, 5))

    def numbers(elements) -> list[float]:
        return draw(st.lists(elements, min_size=count, max_size=count))

    df = numbers(st.floats(1.01, 50.0) | st.floats(1.01, 1e12))
    scale = numbers(st.floats(-12.0, 3.0).map(lambda power: 10.0**power))
    raw = np.array(numbers(st.floats(1e-6, 1.0)))
    return df, numbers(st.floats(-10.0, 10.0)), scale, list(raw / raw.sum())


@given(
    parts=st.composite(mixtures)(),
    levels=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=6).map(sorted),
)
def test_quantiles_invert_the_distribution_function(parts, levels) -> None:
    mixture = plain(*parts)
    quantiles = mixture.quantile(levels)[0]
    scale = min(parts[2])
    assert (np.diff(quantiles) >= -1e-8 * scale).all()
    for level, x in zip(levels, quantiles, strict=True):
        # The level is passed within 1e-8 of the finest scale from x, or a few of x's last digits.
        off = 1e-8 * scale + 4 * np.spacing(abs(x))
        assert mixture.cdf(x - off)[0] <= level + 1e-15
        assert mixture.cdf(x + off)[0] >= level - 1e-15


SHARES = [(0.1, 0.1), (0.25, 0.4), (0.0, 0.2), (0.3, 0.0), (0.999, 0.0)]
CASES = [(n, s) for n in ("one", "normal", "needle", "many scales", "random") for s in SHARES]


# A tail like x^-2.05 is too heavy to be integrated to its end.
@pytest.mark.parametrize(("name", "share"), [*CASES, ("heavy", SHARES[0]), ("heavy", SHARES[1])])
def test_trimmed_means_by_integration(name: str, share: tuple[float, float]) -> None:
    parts = ADVERSARIAL.get(name) or tuple(p[0, 0] for p in random_parts(3, 1, 24))
    got = plain(*parts)._trimmed_mean(*share)[0]
    expected = Reference(*parts).mean_between(share[0], 1.0 - share[1])
    assert got == pytest.approx(expected, rel=2e-6, abs=1e-9 * max(parts[2]))


def test_aggregates_are_the_limit_of_many_samples() -> None:
    mixture = StudentTMixture(*random_parts(11, 3, 24))
    samples = ms.models.SampleDistribution(mixture.sample(400_000, seed=3))
    for spec in SPECS:
        off = np.abs(mixture.aggregate(spec) - samples.aggregate(spec)) / mixture.std
        # Standard deviations of heavy tails converge slowly.
        assert (off < (0.05 if "std" in spec else 0.01)).all(), spec
        np.testing.assert_array_equal(mixture.aggregate(spec.upper()), mixture.aggregate(spec))


def test_draws_follow_the_distribution_the_seed_and_the_place() -> None:
    parts = random_parts(2, 6, 3)
    mixture = StudentTMixture(*parts)
    draws = mixture.sample(20_000, seed=7)
    assert draws.shape == (20_000, 6, 1)
    for row in range(6):
        reference = Reference(*(part[row, 0] for part in parts))
        shares = [(draws[:, row, 0] <= reference.quantile(p)).mean() for p in LEVELS[2:-2]]
        np.testing.assert_allclose(shares, LEVELS[2:-2], atol=0.015)
    np.testing.assert_array_equal(draws, mixture.sample(20_000, seed=7))
    np.testing.assert_array_equal(draws[:50], mixture.sample(50, seed=7))
    fewer = StudentTMixture(*(part[:2] for part in parts))
    np.testing.assert_array_equal(draws[:, :2], fewer.sample(20_000, seed=7))
    assert (mixture.sample(50, seed=8) != draws[:50]).all()
    same = StudentTMixture(*(np.repeat(part[:1], 2, axis=0) for part in parts)).sample(9, seed=1)
    assert (same[:, 0] != same[:, 1]).all()  # another place, other draws
    with pytest.raises(ArgumentError, match="at least 1"):
        mixture.sample(0, seed=1)


def test_draws_never_take_a_component_without_weight() -> None:
    mixture = plain([5.0, 5.0, 5.0], [9.0, 0.0, 9.0], [1e-3] * 3, [0.0, 1.0, 0.0])
    assert (np.abs(mixture.sample(5_000, seed=0)) < 1.0).all()


@pytest.mark.parametrize("threads_used", [1, 3])
def test_what_stands_beside_changes_nothing(threads: None, threads_used: int) -> None:
    parts = [part.copy() for part in random_parts(5, 600, 24)]
    parts[2][10] *= 1e-9  # a hard one among them
    parts[1][11] *= 1e12
    whole = StudentTMixture(*parts)
    _core.set_thread_limit(threads_used)
    together = {spec: whole.aggregate(spec) for spec in SPECS}
    quantiles, cdf = whole.quantile(LEVELS), whole.cdf(whole.mean)
    _core.set_thread_limit(1)
    for row in (0, 9, 10, 11, 12, 599):
        alone = StudentTMixture(*(part[row : row + 1] for part in parts))
        for spec in SPECS:
            np.testing.assert_array_equal(together[spec][row], alone.aggregate(spec)[0])
        np.testing.assert_array_equal(cdf[row], alone.cdf(alone.mean)[0])
        for i, level in enumerate(LEVELS):  # nor what else is asked
            np.testing.assert_array_equal(quantiles[row, :, i], alone.quantile(level)[0, :, 0])


def everything(parts: tuple[np.ndarray, ...]) -> bytes:
    mixture = StudentTMixture(*parts)
    found = [mixture.quantile(LEVELS), mixture.cdf(mixture.mean), *map(mixture.aggregate, SPECS)]
    return b"".join(values.tobytes() for values in found)


def test_every_instruction_set_gives_the_same_bits(isa: str) -> None:
    batches = [random_parts(9, 300, components) for components in (1, 3, 8, 24)]
    hard = [tuple(np.array(part)[None, None] for part in parts) for parts in ADVERSARIAL.values()]
    found = [everything(parts) for parts in (*batches, *hard)]
    _core.set_isa("baseline")
    assert found == [everything(parts) for parts in (*batches, *hard)]


def test_shapes() -> None:
    parts = [part.reshape(2, 3, 4) for part in random_parts(0, 6, 4)]
    mixture = StudentTMixture(*parts)
    assert isinstance(mixture, ms.Distribution)
    assert mixture.mean.shape == mixture.std.shape == mixture.cdf(0.0).shape == (2, 3)
    assert mixture.quantile([0.1, 0.2]).shape == (2, 3, 2)
    assert mixture.sample(7, seed=0).shape == (7, 2, 3)
    flat = StudentTMixture(*(part.reshape(6, 4) for part in parts))
    np.testing.assert_array_equal(mixture.aggregate("median").reshape(-1), flat.aggregate("median"))
    view = StudentTMixture(*(part[:, ::2] for part in parts))
    np.testing.assert_array_equal(view.quantile(0.3)[..., 0], mixture.quantile(0.3)[:, ::2, 0])
    none = StudentTMixture(*(part[:0] for part in parts))
    assert none.quantile([0.5]).shape == (0, 3, 1)
    assert none.mean.shape == none.aggregate("trimmed_mean_10").shape == (0, 3)


def test_weights_count_relative_to_their_sum() -> None:
    df, loc, scale, weights = random_parts(0, 1, 8)
    exact, off = (StudentTMixture(df, loc, scale, weights * f) for f in (1.0, 1.00005))
    np.testing.assert_array_equal(off.weights, weights * 1.00005)
    for spec in SPECS:
        np.testing.assert_allclose(off.aggregate(spec), exact.aggregate(spec), rtol=1e-9)
    assert 1.0 - 1e-15 < off.cdf(1e9)[0, 0] <= 1.0


def test_infinite_standard_deviations() -> None:
    mixture = StudentTMixture([[2.0, 9.0], [2.0, 9.0]], np.zeros((2, 2)), np.ones((2, 2)),
                              [[0.5, 0.5], [0.0, 1.0]])  # fmt: skip
    assert mixture.std[0] == np.inf
    assert mixture.std[1] == pytest.approx(np.sqrt(9 / 7))
    np.testing.assert_array_equal(mixture.mean, 0.0)
    assert np.isfinite(mixture.aggregate("trimmed_mean_10")).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loc": [[0.0]]}, r"loc must have the shape of df, \(1, 2\): got \(1, 1\)"),
        ({"df": [5.0, 5.0]}, r"\[..., horizon, component\]: got \(2,\)"),
        ({"df": np.empty((1, 0))}, r"\[..., horizon, component\]: got \(1, 0\)"),
        ({"df": [[5.0, 1.0]]}, "df must be above 1: .* no mean; got 1.0"),
        ({"df": [[5.0, np.inf]]}, "df must be finite"),
        ({"scale": [[1.0, 0.0]]}, "scale must be positive: got 0.0"),
        ({"scale": [[1.0, -2.0]]}, "scale must be positive: got -2.0"),
        ({"weights": [[1.5, -0.5]]}, "weights must not be negative: got -0.5"),
        ({"weights": [[0.5, 0.4]]}, r"weights must sum to 1 .* got 0.9 at \(0,\)"),
        ({"weights": [[0.0, 0.0]]}, "weights must sum to 1"),
        ({"loc": [[np.nan, 0.0]]}, "loc must be finite"),
        ({"weights": [[np.nan, 0.5]]}, "weights must be finite"),
        ({"loc": [["a", "b"]]}, "loc must be numbers"),
    ],
)
def test_what_is_no_mixture(changed: dict, message: str) -> None:
    parts = {"df": [[5.0, 5.0]], "loc": [[0.0, 0.0]], "scale": [[1.0, 1.0]]}
    with pytest.raises(ArgumentError, match=message):
        StudentTMixture(**({**parts, "weights": [[0.5, 0.5]]} | changed))


def test_levels_and_values_out_of_range() -> None:
    mixture = plain([5.0], [0.0], [1.0], [1.0])
    for levels in ([0.0], [1.0], [np.nan], [[0.5]]):
        with pytest.raises(ArgumentError, match="levels must"):
            mixture.quantile(levels)
    with pytest.raises(ArgumentError, match="must not be NaN"):
        mixture.cdf(np.nan)
    with pytest.raises(ArgumentError, match=r"have shape \(1,\): got \(2,\)"):
        mixture.cdf([0.0, 1.0])
    np.testing.assert_array_equal(mixture.cdf([np.inf]), [1.0])
    np.testing.assert_array_equal(mixture.cdf(-np.inf), [0.0])


def test_the_kernels_check_their_arguments() -> None:
    one, two = np.ones((1, 1)), np.ones((1, 2))
    with pytest.raises(ValueError, match="shapes differ: df has"):
        _core.mixture_quantiles(one * 3, two, one, one, [(0.5, 0.0)])
    with pytest.raises(ValueError, match=r"levels: expected numbers in \(0, 1\)"):
        _core.mixture_quantiles(one * 3, one, one, one, [(1.0, 0.0)])
    with pytest.raises(ValueError, match="low < high"):
        _core.mixture_means_between(one * 3, one, one, one, (0.5, 0.0), (0.5, 0.0))
    with pytest.raises(ValueError, match="one value a row"):
        _core.mixture_cdf(one * 3, one, one, one, np.zeros(2))
    with pytest.raises(ValueError, match=r"expected shape \[row, component\]"):
        _core.mixture_cdf(np.ones(1), one, one, one, np.zeros(1))


def test_levels_in_the_far_tails() -> None:
    for df in (1.01, 2.0, 5.0, 30.0):
        mixture = plain([df], [0.0], [1.0], [1.0])
        levels = [1e-100, 1e-50, 1e-20]
        for level, x in zip(levels, mixture.quantile(levels)[0], strict=True):
            assert mixture.cdf(x)[0] == pytest.approx(level, rel=1e-9)


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-290, 1e290, 1e307])
def test_values_at_the_ends_of_what_a_double_holds(scale: float) -> None:
    # 1, 2 and 4 times a number less than the least normal one are exact, too.
    unit = plain([3.0, 4.0], [0.0, 1.0], [1.0, 2.0], [0.5, 0.5])
    mixture = plain([3.0, 4.0], [0.0, scale], [scale, 2 * scale], [0.5, 0.5])
    for level in (0.1, 0.5, 0.9):
        expected = unit.quantile(level)[0, 0] * scale
        assert mixture.quantile(level)[0, 0] == pytest.approx(expected, rel=1e-7, abs=1e-323)
    apart = plain([3.0, 4.0], [-1.7e308, 1.7e308], [1.0, 1e300], [0.5, 0.5]).quantile(LEVELS)[0]
    assert np.isfinite(apart).all()
    assert (np.diff(apart) >= 0).all()
