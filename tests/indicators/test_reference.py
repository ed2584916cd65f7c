"""Compiled indicators and their Numba form against readable references, on adversarial bars."""

from __future__ import annotations

from typing import Any

import indicator_reference as ref
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_inputs import KINDS, same_bits, series

from marketsim import indicators as ind

pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")

price = st.one_of(
    st.sampled_from([1.0, 1.0, 2.0, 100.0, 1e-8, 1e12]), st.floats(0.01, 1e6, allow_subnormal=False)
)
rows = st.lists(st.tuples(price, price, price, price), min_size=1, max_size=40)


def columns(drawn: list[tuple[float, ...]]) -> tuple[list[float], ...]:
    ordered = [sorted(row[:3]) for row in drawn]
    return (
        [row[2] for row in ordered],
        [row[0] for row in ordered],
        [row[1] for row in ordered],
        [row[3] for row in drawn],
    )


@settings(max_examples=150, deadline=None)
@given(rows, st.integers(1, 12))
def test_equal_to_the_references(drawn: list[tuple[float, ...]], n: int) -> None:
    h, l, c, v = columns(drawn)  # noqa: E741
    o, sessions = [row[0] for row in drawn], [float(t // 4) for t in range(len(drawn))]
    m = max(n, 2)
    pairs: dict[str, tuple[Any, Any]] = {
        "sma": (ind.sma(c, n), ref.sma(c, n)),
        "wma": (ind.wma(c, n), ref.wma(c, n)),
        "ema": (ind.ema(c, n), ref.ema(c, n)),
        "ema first": (ind.ema(c, n, seed="first"), ref.ema(c, n, "first")),
        "true range": (ind.true_range(h, l, c), ref.true_range(h, l, c)),
        "atr": (ind.atr(h, l, c, n), ref.atr(h, l, c, n)),
        "atr first": (ind.atr(h, l, c, n, seed="first"), ref.atr(h, l, c, n, "first")),
        "wilder": (ind.wilder(c, n), ref.wilder(c, n)),
        "wilder first": (ind.wilder(c, n, seed="first"), ref.wilder(c, n, "first")),
        "bollinger": (tuple(ind.bollinger(c, n, 1.5))[:4], ref.bollinger(c, n, 1.5)),
        "bollinger shares": (tuple(ind.bollinger(c, n, 1.5))[4:], ref.bollinger_shares(c, n, 1.5)),
        "zscore": (ind.zscore(c, m, 1), ref.zscore(c, m, 1.0)),
        "correlation": (ind.correlation(c, v, m), ref.correlation(c, v, m)),
        "donchian": (tuple(ind.donchian(h, l, n)), ref.donchian(h, l, n)),
        "vwap": (ind.vwap(h, l, c, v, sessions), ref.vwap(h, l, c, v, sessions)),
        "close_volatility": (ind.close_volatility(c, m), ref.close_volatility(c, m)),
        "parkinson": (ind.parkinson_volatility(h, l, n), ref.parkinson_volatility(h, l, n)),
        "garman_klass": (
            ind.garman_klass_volatility(o, h, l, c, n),
            ref.garman_klass_volatility(o, h, l, c, n),
        ),
        "yang_zhang": (
            ind.yang_zhang_volatility(o, h, l, c, m),
            ref.yang_zhang_volatility(o, h, l, c, m),
        ),
        "std": (ind.rolling_std(c, m, 1), ref.rolling(c, m, lambda w: ref.deviation(w, 1.0))),
        "max": (ind.rolling_max(c, n), ref.rolling(c, n, max)),
        "min": (ind.rolling_min(c, n), ref.rolling(c, n, min)),
        "quantile": (ind.rolling_quantile(c, n, 0.3), ref.quantile(c, n, 0.3)),
        "obv": (ind.obv(c, v), ref.obv(c, v)),
        "stochastic": (
            ind.stochastic(h, l, c, n, 2).k[n + 2 :],
            ref.stochastic(h, l, c, n, 2)[n + 2 :],
        ),
    }
    for convention in ("wilder", "talib", "neutral"):
        ours = ind.rsi(c, n, convention=convention)
        pairs[f"rsi {convention}"] = (ours, ref.rsi(c, n, convention))
    for convention in ("wilder", "first_bar"):
        ours = tuple(ind.adx(h, l, c, m, convention=convention))
        pairs[f"adx {convention}"] = (ours, ref.adx(h, l, c, m, convention))
    for seed in ("mean", "first"):
        ours = tuple(ind.macd(c, n, n + 3, 2, seed=seed))
        pairs[f"macd {seed}"] = (ours, ref.macd(c, n, n + 3, 2, seed))
        ours = tuple(ind.keltner(h, l, c, n, m, 1.5, seed=seed))
        pairs[f"keltner {seed}"] = (ours, ref.keltner(h, l, c, n, m, 1.5, seed))
        ratio = ind.volatility_ratio(h, l, c, n, m + 2, seed=seed)
        pairs[f"ratio {seed}"] = (ratio, ref.volatility_ratio(h, l, c, n, m + 2, seed))
    for name, (found, expected) in pairs.items():
        assert same_bits(found, expected), name


def test_realised_volatility_by_its_formulas() -> None:
    data, n = series("walk", 60), 10
    o, h, l, c = (np.log(x) for x in data[:4])  # noqa: E741
    part, night = slice(50, 60), o[50:60] - c[49:59]
    body = (c - o)[part]
    inside = ((h - o) * (h - c) + (l - o) * (l - c))[part].mean()
    k = 0.34 / (1.34 + 11 / 9)
    expected = {
        "close_volatility": np.diff(c)[-n:].std(ddof=1),
        "parkinson_volatility": np.sqrt(((h - l)[part] ** 2).mean() / (4 * np.log(2))),
        "garman_klass_volatility": np.sqrt(
            (0.5 * (h - l)[part] ** 2 - (2 * np.log(2) - 1) * body**2).mean()
        ),
        "yang_zhang_volatility": np.sqrt(
            night.var(ddof=1) + k * body.var(ddof=1) + (1 - k) * inside
        ),
    }
    for name, value in expected.items():
        inputs = {"close_volatility": (data.close,), "parkinson_volatility": (data.high, data.low)}
        got = getattr(ind, name)(*inputs.get(name, data[:4]), n)
        assert got[-1] == pytest.approx(value, rel=1e-10), name


def test_vwap_starts_anew_with_each_session() -> None:
    data = series("walk", 50)
    got = ind.vwap(*data[1:5], data.session)
    for t in range(50):
        part = slice(int(np.flatnonzero(data.session == data.session[t])[0]), t + 1)
        typical = (data.high + data.low + data.close)[part] / 3
        expected = (typical * data.volume[part]).sum() / data.volume[part].sum()
        assert got[t] == pytest.approx(expected, rel=1e-12)
    stamps = np.datetime64("2024-01-01T12", "h") + np.arange(50)
    days = (np.arange(50) + 12) // 24
    assert same_bits(ind.vwap(*data[1:5], stamps), ind.vwap(*data[1:5], days))


def test_means_divide_to_the_last_bit() -> None:
    # Each window holds one number and zeros, so that its mean is that number over the count.
    rng = np.random.default_rng(11)
    for n in (2, 3, 5, 7, 11, 20, 37, 49, 61, 97, 200, 1023):
        bits = rng.integers(0, 2**63, 4096, dtype=np.int64)
        middle = rng.integers(2**61, 2**61 + 2**60, 4096, dtype=np.int64)  # exponents around 1
        for numbers in (bits.view(np.float64), middle.view(np.float64)):
            values = np.zeros(4096 * n)
            values[::n] = np.where(np.isnan(numbers), 1.0, numbers)
            got = ind.sma(values, n)[n - 1 :]
            assert same_bits(got[: 4095 * n].reshape(-1, n)[:, 0], values[:-n:n] / n), n
    assert same_bits(ind.rolling_std(values[:99], 5, 0.5), [  # a count that is not whole
        np.nan if t < 4 else ref.deviation(values[t - 4 : t + 1].tolist(), 0.5) for t in range(99)
    ])  # fmt: skip


@pytest.mark.parametrize("price", [0.1, 1.1, 65536.3, 1e-5, 3e300])
def test_equal_prices_have_no_deviation(price: float) -> None:
    from marketsim.indicators import jit

    walk = series("walk", 60).close
    for n in (2, 3, 7, 10, 20, 37):
        full, still = slice(n - 1, 60), np.full(60, price)
        bands = ind.bollinger(still, n)
        assert (ind.rolling_std(still, n)[full] == 0.0).all()
        assert (bands.upper == bands.lower)[full].all() and (bands.position[full] == 0.5).all()
        assert np.isnan(ind.zscore(still, n)).all()
        assert np.isnan(ind.correlation(still, walk, n)).all()
        assert np.isnan(ind.correlation(walk, still, n)).all()
        live, state, pair = ind.stream.zscore(n), jit.window_state(n), jit.pair_state(n)
        for x, y in zip(still.tolist(), walk.tolist(), strict=True):
            assert np.isnan(live.update(x)) and np.isnan(jit.zscore_update(state, x, 0.0))
            assert np.isnan(jit.correlation_update(pair, x, y))
    # A window in which only one price moved has one.
    moved = np.full(64, price)
    moved[40] = np.nextafter(price, np.inf)
    assert (ind.rolling_std(moved, 8)[40:48] > 0.0).all()


def numba_forms(data: Any) -> dict[str, tuple[Any, Any, tuple[Any, ...], Any]]:
    """State, update, its columns and parameters, and the batch form's values, by name."""
    from marketsim.indicators import jit

    o, h, l, c, v, s = data  # noqa: E741
    bar, window, pair = (h, l, c), jit.window_state(4), jit.pair_state(5)
    lines = ind.macd(c, 3, 6, 4, seed="first")
    parkinson = ind.parkinson_volatility(h, l, 4)
    found: dict[str, Any] = {
        "macd": (jit.macd_state(3, 6, 4), jit.macd_update, (c,), lines),
        "macd mean": (jit.macd_state(3, 6, 4, True), jit.macd_update, (c,), ind.macd(c, 3, 6, 4)),
        "stochastic": (
            jit.stochastic_state(5, 3, 2), jit.stochastic_update, bar, ind.stochastic(*bar, 5, 3, 2)
        ),
        "donchian": (jit.pair_state(5), jit.donchian_update, (h, l), ind.donchian(h, l, 5)),
        "correlation": (pair, jit.correlation_update, (c, v), ind.correlation(c, v, 5)),
        "obv": (jit.obv_state(), jit.obv_update, (c, v), ind.obv(c, v)),
        "vwap": (jit.vwap_state(), jit.vwap_update, (*bar, v, s), ind.vwap(*bar, v, s)),
        "close_volatility": (
            jit.close_volatility_state(5), jit.close_volatility_update, (c,),
            ind.close_volatility(c, 5),
        ),
        "parkinson": (
            window.copy(), jit.parkinson_volatility_update, (h, l), parkinson
        ),
        "garman_klass": (
            window.copy(), jit.garman_klass_volatility_update, (o, *bar),
            ind.garman_klass_volatility(o, *bar, 4),
        ),
        "yang_zhang": (
            jit.yang_zhang_volatility_state(5), jit.yang_zhang_volatility_update, (o, *bar),
            ind.yang_zhang_volatility(o, *bar, 5),
        ),
    }  # fmt: skip
    for depth, settings_ in ((2, {}), (1, {"most": 2, "reach": 9, "spacing": 1, "step": 0.1})):
        found[f"swings {depth}"] = (
            jit.swings_state(depth, **settings_), jit.swings_update, bar,
            ind.swings(*bar, depth=depth, **settings_),
        )  # fmt: skip
    for name in ("sma", "wma", "rolling_max", "rolling_min"):
        update = getattr(jit, f"{name}_update")
        found[name] = (window.copy(), update, (c,), getattr(ind, name)(c, 4))
    for name in ("rolling_std", "zscore"):
        update = getattr(jit, f"{name}_update")
        found[name] = (window.copy(), lambda s, x, u=update: u(s, x, 1.0), (c,),
                       getattr(ind, name)(c, 4, 1))  # fmt: skip
    found["quantile"] = (
        window.copy(), lambda s, x: jit.rolling_quantile_update(s, x, 0.3), (c,),
        ind.rolling_quantile(c, 4, 0.3),
    )  # fmt: skip
    found["bollinger"] = (
        window.copy(), lambda s, x: jit.bollinger_update(s, x, 2.0), (c,), ind.bollinger(c, 4)[:3]
    )  # fmt: skip
    for mean, seed in ((True, "mean"), (False, "first")):
        found[f"ema {seed}"] = (
            jit.ema_state(5, mean),
            jit.ema_update,
            (c,),
            ind.ema(c, 5, seed=seed),
        )
        found[f"wilder {seed}"] = (
            jit.wilder_state(5, mean), jit.wilder_update, (c,), ind.wilder(c, 5, seed=seed)
        )  # fmt: skip
        found[f"atr {seed}"] = (
            jit.atr_state(5, mean), jit.atr_update, bar, ind.atr(*bar, 5, seed=seed)
        )  # fmt: skip
        found[f"keltner {seed}"] = (
            jit.keltner_state(5, 4, mean), lambda s, *x: jit.keltner_update(s, *x, 1.5), bar,
            ind.keltner(*bar, 5, 4, 1.5, seed=seed),
        )  # fmt: skip
        found[f"ratio {seed}"] = (
            jit.volatility_ratio_state(3, 6, mean), jit.volatility_ratio_update, bar,
            ind.volatility_ratio(*bar, 3, 6, seed=seed),
        )  # fmt: skip
    for first, needs in (("nan", True), ("range", False)):
        found[f"true_range {first}"] = (
            jit.true_range_state(needs), jit.true_range_update, bar,
            ind.true_range(*bar, first=first),
        )  # fmt: skip
    for code, convention in ((1, "wilder"), (2, "talib"), (3, "neutral")):
        found[f"rsi {convention}"] = (
            jit.rsi_state(5, code), jit.rsi_update, (c,), ind.rsi(c, 5, convention=convention)
        )  # fmt: skip
    for first_bar, convention in ((False, "wilder"), (True, "first_bar")):
        state, expected = jit.adx_state(5, first_bar), ind.adx(*bar, 5, convention=convention)
        found[f"adx {convention}"] = (state, jit.adx_update, bar, expected)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_numba_form_equals_batch(kind: str) -> None:
    for name, (state, update, columns_of, expected) in numba_forms(series(kind, 80, 7)).items():
        got = np.array([update(state, *row) for row in zip(*columns_of, strict=True)]).T
        assert same_bits(got, np.asarray(expected)), name
    from marketsim.indicators import jit
    from marketsim.indicators.specs import SPECS

    forms = {name.removesuffix("_update") for name in jit.__all__ if name.endswith("_update")}
    assert forms == set(SPECS)
