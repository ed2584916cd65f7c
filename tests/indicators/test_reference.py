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
    m = max(n, 2)
    pairs: dict[str, tuple[Any, Any]] = {
        "sma": (ind.sma(c, n), ref.sma(c, n)),
        "wma": (ind.wma(c, n), ref.wma(c, n)),
        "ema": (ind.ema(c, n), ref.ema(c, n)),
        "ema first": (ind.ema(c, n, seed="first"), ref.ema(c, n, "first")),
        "true range": (ind.true_range(h, l, c), ref.true_range(h, l, c)),
        "atr": (ind.atr(h, l, c, n), ref.atr(h, l, c, n)),
        "atr first": (ind.atr(h, l, c, n, seed="first"), ref.atr(h, l, c, n, "first")),
        "rsi": (ind.rsi(c, n), ref.rsi(c, n)),
        "adx": (tuple(ind.adx(h, l, c, m)), ref.adx(h, l, c, m)),
        "bollinger": (tuple(ind.bollinger(c, n, 1.5))[:4], ref.bollinger(c, n, 1.5)),
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
    for name, (ours, theirs) in pairs.items():
        assert same_bits(ours, theirs), name


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


def test_numba_form_equals_batch() -> None:
    from marketsim.indicators import jit

    for kind in KINDS:
        _, h, l, c, _, _ = series(kind, 80, 7)  # noqa: E741
        for mean, seed in ((True, "mean"), (False, "first")):
            state = jit.ema_state(5, mean)
            assert same_bits([jit.ema_update(state, x) for x in c], ind.ema(c, 5, seed=seed))
            state = jit.atr_state(5, mean)
            got = [jit.atr_update(state, *row) for row in zip(h, l, c, strict=True)]
            assert same_bits(got, ind.atr(h, l, c, 5, seed=seed))
        for name in ("sma", "rolling_max", "rolling_min"):
            state, update = jit.window_state(4), getattr(jit, f"{name}_update")
            assert same_bits([update(state, x) for x in c], getattr(ind, name)(c, 4)), name
        state = jit.window_state(6)
        got = np.array([jit.bollinger_update(state, x, 2.0) for x in c]).T
        assert same_bits(got, ind.bollinger(c, 6)[:3])
        state = jit.rsi_state(5)
        assert same_bits([jit.rsi_update(state, x) for x in c], ind.rsi(c, 5))
        state = jit.macd_state(3, 6, 4)
        got = np.array([jit.macd_update(state, x) for x in c]).T
        assert same_bits(got, ind.macd(c, 3, 6, 4, seed="first"))
        state = jit.adx_state(5)
        got = np.array([jit.adx_update(state, *row) for row in zip(h, l, c, strict=True)]).T
        assert same_bits(got, ind.adx(h, l, c, 5)), kind
