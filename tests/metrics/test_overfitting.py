from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bootstrap_reference import drawn_bars
from scipy import stats

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.metrics import (
    benjamini_hochberg,
    model_confidence_set,
    probability_of_backtest_overfitting,
    superior_predictive_ability,
)

RNG = np.random.default_rng(21)


def plain_splits(returns: np.ndarray, blocks: int, statistic: str) -> list[tuple[float, ...]]:
    """(chosen, in sample, out of sample, logit) of every split, from the bars of each half."""
    bars = returns.shape[1]
    parts = [np.arange(b * bars // blocks, (b + 1) * bars // blocks) for b in range(blocks)]

    def value(half: tuple[int, ...]) -> np.ndarray:
        rows = returns[:, np.concatenate([parts[b] for b in half])]
        if statistic == "mean":
            return rows.mean(axis=1)
        spread = rows.std(axis=1, ddof=1)
        return np.where(spread > 1e-15, rows.mean(axis=1) / np.where(spread > 0, spread, 1), 0.0)

    found = []
    for inside in itertools.combinations(range(blocks), blocks // 2):
        outside = tuple(b for b in range(blocks) if b not in inside)
        a, b = value(inside), value(outside)
        best = int(a.argmax())
        share = stats.rankdata(np.round(b, 12))[best] / (len(returns) + 1)
        found.append((best, a[best], b[best], math.log(share / (1 - share))))
    return sorted(found)


@pytest.mark.parametrize("statistic", ["sharpe", "mean"])
@pytest.mark.parametrize(("blocks", "bars"), [(2, 7), (4, 41), (8, 160), (10, 203)])
def test_cross_validation_is_every_split(blocks: int, bars: int, statistic: str) -> None:
    returns = RNG.normal(0, 0.01, (7, bars)) + RNG.normal(0, 0.002, (7, 1))
    returns[3] = returns[2]  # equals share a rank
    returns[4] = 0.0
    got = probability_of_backtest_overfitting(returns, blocks=blocks, statistic=statistic)
    rows = sorted(zip(got.chosen, got.in_sample, got.out_of_sample, got.logits, strict=True))
    np.testing.assert_allclose(rows, plain_splits(returns, blocks, statistic), atol=1e-10)
    assert got.probability == np.mean([row[3] <= 1e-12 for row in rows])
    assert got.probability_of_loss == np.mean([row[2] < 0 for row in rows])
    if len(set(got.in_sample)) > 2:
        fit = stats.linregress(got.in_sample, got.out_of_sample)
        assert (got.slope, got.intercept, got.r_squared) == pytest.approx(
            (fit.slope, fit.intercept, fit.rvalue**2), rel=1e-9
        )


def test_a_constant_half_is_no_infinite_sharpe_ratio() -> None:
    returns = RNG.normal(0, 0.01, (3, 80))
    returns[0, :40] = 1e-4  # never varies in the first half
    got = probability_of_backtest_overfitting(returns, blocks=2)
    assert np.abs(got.in_sample).max() < 5


def test_threads_do_not_change_a_bit() -> None:
    returns = RNG.normal(0, 0.01, (30, 640))
    whole = probability_of_backtest_overfitting(returns)
    drawn = superior_predictive_ability(returns, repetitions=300)
    _core.set_thread_limit(1)
    try:
        alone = probability_of_backtest_overfitting(returns)
        assert drawn == superior_predictive_ability(returns, repetitions=300)
    finally:
        _core.set_thread_limit(0)
    np.testing.assert_array_equal(whole.logits, alone.logits)
    np.testing.assert_array_equal(whole.out_of_sample, alone.out_of_sample)


def test_skill_and_its_absence() -> None:
    noise = [
        probability_of_backtest_overfitting(RNG.normal(0, 0.01, (30, 400)), blocks=8).probability
        for _ in range(60)
    ]
    # Symmetric by construction: in the mean half of the selections end in the lower half.
    assert np.mean(noise) == pytest.approx(0.5, abs=3 * np.std(noise) / math.sqrt(60))
    skilled = RNG.normal(0, 0.01, (30, 1000))
    skilled[7] += 0.003
    got = probability_of_backtest_overfitting(skilled, blocks=8)
    assert got.probability < 0.02 and (got.chosen == 7).mean() > 0.95


def test_bad_arguments_of_cross_validation() -> None:
    returns = np.zeros((3, 40))
    for arguments, message in (
        ({"blocks": 3}, "even"),
        ({"blocks": 26}, "from 2 to 24"),
        ({"blocks": 22}, "two bars a block"),
        ({"blocks": 2.5}, "blocks must be a whole number"),
        ({"statistic": "sortino"}, "'sharpe' or 'mean'"),
    ):
        with pytest.raises(ValueError, match=message):
            probability_of_backtest_overfitting(returns, **arguments)
    with pytest.raises(ValueError, match="two strategies"):
        probability_of_backtest_overfitting(returns[0])
    with pytest.raises(ValueError, match="finite"):
        probability_of_backtest_overfitting(np.full((2, 40), np.nan))


@pytest.mark.parametrize("length", [1.0, 2.5, 9.0, 50.0])
def test_resampling_is_the_plain_loop(length: float) -> None:
    drawn = _core.bootstrap_bars(60, length, 5, 4)
    for repetition, row in enumerate(drawn):
        np.testing.assert_array_equal(row, drawn_bars(60, length, 5, repetition))


def test_blocks_have_their_mean_length() -> None:
    drawn = _core.bootstrap_bars(1000, 12.5, 3, 200)
    begins = (np.diff(drawn, axis=1) % 1000 != 1).mean()
    assert begins == pytest.approx(1 / 12.5, rel=0.02)
    counts = np.bincount(drawn.reshape(-1), minlength=1000)
    assert stats.chisquare(counts[::50] / 12.5).pvalue > 1e-4  # every bar is as likely


def plain_score(row: np.ndarray) -> float:
    """Mean over its standard error as a normal value, by the formulas of long_run, in loops."""
    bars = len(row)
    x = row - row.mean()
    slope = sum(x[t] * x[t - 1] for t in range(1, bars)) / sum(v * v for v in x)
    slope += (1 + 3 * slope) / bars
    left = np.array([x[t] - slope * x[t - 1] for t in range(1, bars)])
    left -= left.mean()

    def covariance(lag: int) -> float:
        return sum(left[t] * left[t - lag] for t in range(lag, bars - 1)) / (bars - 1)

    limit = 2 * math.sqrt(math.log10(bars) / bars) * covariance(0)
    last = math.ceil(math.sqrt(bars - 1)) + 5
    quiet = next(
        lag for lag in range(last) if all(abs(covariance(lag + i)) < limit for i in range(1, 6))
    )
    lags = 2 * quiet
    weights = [min(1.0, 2 * (1 - lag / lags)) for lag in range(1, lags + 1)]
    total = covariance(0) * bars / (bars - 2)
    total += 2 * sum(w * covariance(lag) for lag, w in enumerate(weights, 1))
    total /= 1 - 2 * sum(weights) / bars
    freedom = bars / (1 + 2 * sum(w * w for w in weights) + 2 * (1 + slope) / (1 - slope))
    value = row.mean() * (1 - slope) / math.sqrt(total / bars)
    return float(stats.norm.isf(stats.t.sf(value, freedom))) if value > 0 else value


@pytest.mark.parametrize("gain", [0.0, -0.003])  # with the loss every strategy is worse
def test_superiority_is_archs_definition(gain: float) -> None:
    from arch.bootstrap import SPA

    rng = np.random.default_rng(21)
    returns = (
        rng.normal(gain, 0.01, (9, 150))
        + np.array([0.001, 0, 0, -0.004, 0, 0, 0, 0, 0.0005])[:, None]
    )
    market = rng.normal(0.0, 0.01, 150)
    assert ((returns - market).mean(axis=1).max() < 0.0) == (gain < 0.0)
    length = 5
    for studentize in (False, True):
        got = superior_predictive_ability(
            returns, market, block_length=length, repetitions=400, seed=8, studentize=studentize
        )
        # The same samples through the formulas of arch, whose variance is asymptotic.
        test = SPA(-market, -returns.T, block_size=length, reps=2, seed=1)
        test.compute()
        deviation = np.sqrt(test._loss_diff_var)
        better = returns - market
        mean = better.mean(axis=1)
        np.testing.assert_allclose(better.T, test._loss_diff)
        scale = math.sqrt(150) / deviation if studentize else np.ones(9)
        centres = [
            np.maximum(mean, 0.0),
            np.where(test._valid_columns, mean, 0.0),
            mean,
        ]
        bars = [drawn_bars(150, length, 8, r) for r in range(400)]
        means = np.array([better[:, at].mean(axis=1) for at in bars])
        least = 0.0 if studentize else -np.inf  # Hansen's own statistic is at least 0, arch's not
        values = np.array([plain_score(row) for row in better]) if studentize else mean
        statistic = max(values.max(), least)
        drawn = [np.maximum(((means - c) * scale).max(axis=1), least) for c in centres]
        # Nothing beats the market: ours is 1, where arch's is what resampling happens to give.
        expected = [(one > statistic).mean() if statistic > 0.0 else 1.0 for one in drawn]
        assert (got.lower, got.consistent, got.upper) == pytest.approx(expected)
        assert got.best == values.argmax()
        assert got.statistic == pytest.approx(statistic)


def test_superiority_is_near_archs_own_samples() -> None:
    from arch.bootstrap import SPA, RealityCheck

    returns = RNG.normal(0.0, 0.01, (6, 250)) + np.linspace(-0.002, 0.001, 6)[:, None]
    losses = -returns.T
    for kind in (SPA, RealityCheck):
        test = kind(np.zeros(250), losses, block_size=8, reps=2000, seed=3)
        test.compute()
        got = superior_predictive_ability(returns, block_length=8, repetitions=20_000)
        mine = np.array([got.lower, got.consistent, got.upper])
        error = np.sqrt(mine * (1 - mine) / 2000) + 1e-3
        assert (np.abs(mine - test.pvalues.to_numpy()) < 4 * error).all()


def rejects(count: int, runs: int, rate: float = 0.05) -> bool:
    """Whether so many rejections are within binomial error (1 in 1,000) of a rate."""
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, rate)
    return bool(low <= count <= high)


@pytest.mark.parametrize(
    ("dependence", "length"), [(0.0, None), (0.3, None), (-0.3, None), (0.6, None), (0.3, 1.0)]
)
def test_superiority_without_skill_rejects_as_often_as_stated(
    dependence: float, length: float | None
) -> None:
    """Hansen's own standard error rejected 11 % of the time at 0.3, 20 % at 0.6."""
    runs, rng, rejected = 300, np.random.default_rng(7), 0
    for run in range(runs):
        returns = rng.normal(0, 0.01, (20, 300))
        for bar in range(1, 300):
            returns[:, bar] += dependence * returns[:, bar - 1]
        returns *= np.linspace(0.5, 2, 20)[:, None]
        p = superior_predictive_ability(
            returns[:, 50:], repetitions=300, seed=run, studentize=True, block_length=length
        )
        assert p.lower <= p.consistent <= p.upper
        rejected += p.consistent < 0.05
    assert rejects(rejected, runs), rejected / runs


def test_superiority_of_independent_bars_rejects_as_often_as_stated() -> None:
    runs, rng, rejected = 600, np.random.default_rng(8), 0
    for run in range(runs):
        returns = rng.normal(0, 0.01, (10, 200)) * np.linspace(0.5, 2, 10)[:, None]
        p = superior_predictive_ability(returns, block_length=1.0, repetitions=300, seed=run)
        rejected += p.consistent < 0.05
    assert rejects(rejected, runs), rejected / runs


@pytest.mark.parametrize("studentize", [True, False])
def test_skill_is_found(studentize: bool) -> None:
    skilled = np.random.default_rng(9).normal(0, 0.01, (10, 500))
    skilled[4] += 0.002
    found = superior_predictive_ability(skilled, repetitions=1000, studentize=studentize)
    assert found.best == 4
    assert found.consistent < 0.01


def test_a_constant_gain_is_no_luck() -> None:
    returns = np.zeros((2, 100))
    returns[1] = 0.001
    found = superior_predictive_ability(returns, repetitions=50, studentize=True)
    assert (found.best, found.consistent) == (1, 0.0)


def test_bad_arguments_of_superiority() -> None:
    returns = np.zeros((3, 40))
    for arguments, message in (
        ({"benchmark": [0.1]}, r"\[bar\] with 40"),
        ({"benchmark": np.full(40, np.nan)}, "finite"),
        ({"block_length": 0.5}, r"1 \.\. 40"),
        ({"block_length": 41}, r"1 \.\. 40"),
        ({"repetitions": 0}, "whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            superior_predictive_ability(returns, **arguments)
    flat = superior_predictive_ability(returns, repetitions=20, studentize=True)
    assert (flat.statistic, flat.consistent) == (0.0, 1.0)


@pytest.mark.parametrize("studentize", [True, False])
@pytest.mark.parametrize("losses", [[0.0, -0.002, -0.003], [0.0, 0.0, 0.0], [-0.001, -0.002]])
def test_nothing_speaks_for_strategies_that_do_not_beat_the_benchmark(
    losses: list[float], studentize: bool
) -> None:
    """One that never trades beside others that lose had p about 0."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.01, (len(losses), 500))
    noise -= noise.mean(axis=1, keepdims=True)
    means = np.array(losses)[:, None]
    returns = np.where(means == 0.0, 0.0, noise + means)
    found = superior_predictive_ability(returns, repetitions=200, studentize=studentize)
    assert found.statistic <= 0.0
    assert (found.lower, found.consistent, found.upper) == (1.0, 1.0, 1.0)


def test_benjamini_hochberg_is_scipys() -> None:
    for size in (1, 4, 30):
        p = RNG.random(size) ** 2
        got = benjamini_hochberg(p, rate=0.1)
        adjusted = stats.false_discovery_control(p)
        np.testing.assert_allclose(got.adjusted, adjusted)
        np.testing.assert_array_equal(got.rejected, adjusted <= 0.1)
    gaps = benjamini_hochberg([0.01, np.nan, 0.9])
    np.testing.assert_allclose(gaps.adjusted, [0.02, np.nan, 0.9])
    assert gaps.rejected.tolist() == [True, False, False]
    assert len(benjamini_hochberg([]).adjusted) == 0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        benjamini_hochberg([1.5])
    with pytest.raises(ValueError, match="rate"):
        benjamini_hochberg([0.5], rate=0.0)


def test_false_discoveries_are_as_rare_as_stated() -> None:
    shares = []
    for _ in range(400):
        z = np.r_[RNG.normal(3, 1, 20), RNG.normal(0, 1, 80)]
        rejected = benjamini_hochberg(stats.norm.sf(z), rate=0.2).rejected
        shares.append(rejected[20:].sum() / max(rejected.sum(), 1))
    assert np.mean(shares) <= 0.2 * 0.8 + 3 * np.std(shares) / 20


def test_model_confidence_set_keeps_the_best() -> None:
    losses = np.abs(RNG.normal(0, 1, (4, 400)))
    losses[2] += 0.5
    got = model_confidence_set(losses, repetitions=300)
    assert not got.included[2] and got.included.sum() >= 1
    assert got.p_values[2] < 0.05 and got.p_values.max() == 1.0
    with pytest.raises(ValueError, match="two strategies"):
        model_confidence_set(losses[:1])


def test_equal_losses_share_their_place_in_the_confidence_set() -> None:
    """`arch` divides by the variance of their difference."""
    rng = np.random.default_rng(4)
    one, other = np.abs(rng.normal(0, 1, (2, 300)))
    plain = model_confidence_set([one, other], repetitions=200)
    got = model_confidence_set([one, other, one, one + 0.5], repetitions=200)
    assert got.p_values.tolist() == [*plain.p_values, plain.p_values[0], 0.0]
    assert got.included.tolist() == [*plain.included, plain.included[0], False]
    same = model_confidence_set([one, one, one + 1.0], repetitions=200)
    assert same.included.tolist() == [True, True, False]
    assert same.p_values.tolist() == [1.0, 1.0, 0.0]


def test_a_missing_arch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ImportError, match=r"\.\[stats\]"):
        model_confidence_set(np.zeros((2, 50)))


def test_strategies_that_are_equal_are_all_in_the_confidence_set() -> None:
    losses = np.tile(np.random.default_rng(0).normal(size=100), (3, 1))
    for rows in (losses, np.ones((3, 100))):
        found = model_confidence_set(rows)
        assert found.included.all() and (found.p_values == 1.0).all()


@pytest.mark.parametrize("seed", [-1, 1.5, True, "a", 1 << 63])
def test_seeds_that_are_none(seed: object) -> None:
    from marketsim.metrics import bootstrap_bands, degrade_fills, shuffle_trades

    for call in (
        lambda: superior_predictive_ability(np.ones((2, 40)), seed=seed, repetitions=10),
        lambda: bootstrap_bands(RNG.normal(0, 0.01, 60), periods_per_year=252, seed=seed),
        lambda: shuffle_trades([0.1, -0.1], seed=seed),
        lambda: degrade_fills([0.1, -0.1], seed=seed),
    ):
        with pytest.raises(ArgumentError, match="seed must be a whole number"):
            call()


def test_blocks_that_are_none() -> None:
    for blocks in ("8", 8.0, 0):
        with pytest.raises(ArgumentError, match="blocks must be a whole number"):
            probability_of_backtest_overfitting(np.ones((3, 100)), blocks=blocks)
