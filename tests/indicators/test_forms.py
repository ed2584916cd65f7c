"""Batch, streaming and windowed forms, lanes and instruction sets: the same bits."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from indicator_inputs import KINDS, same_bits, series

from marketsim import _core, indicators
from marketsim.errors import ArgumentError, ShortSeriesWarning, UnknownNameError
from marketsim.indicators import stream
from marketsim.indicators.compute import compute
from marketsim.indicators.specs import SPECS, prepare

pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")

SMALL = {"window": 5, "fast": 3, "slow": 6, "signal": 4, "short": 3, "long": 9, "atr_window": 4}


def cases() -> list[tuple[str, str]]:
    return [(s.name, choice) for s in SPECS.values() for choice in (s.options or ("",))]


def parameters(name: str, **other: Any) -> dict[str, Any]:
    keys = SPECS[name].numbers
    return {k: v for k, v in (SMALL | other).items() if k in keys}


def run(name: str, choice: str, data: Any, **options: Any) -> np.ndarray:
    call = prepare(name, choice, **parameters(name))
    return np.array(compute(call, data.of(SPECS[name].inputs), **options))


@pytest.mark.parametrize(("name", "choice"), cases())
def test_stream_equals_batch(name: str, choice: str) -> None:
    for kind in KINDS:
        data = series(kind, 90, 1)
        call = prepare(name, choice, **parameters(name))
        one = stream.start(call)
        rows = zip(*data.of(SPECS[name].inputs), strict=True)
        values = np.array([one.update(*row) for row in rows]).T
        assert same_bits(values.reshape(-1, 90), run(name, choice, data)), kind


def test_parts_of_a_long_series_join_without_a_trace() -> None:
    # Long series are computed in parts that start early and must come to equal numbers; flat, tied
    # and missing rows keep them apart, and the part is run again.
    active = _core.isa()
    try:
        for kind in (*KINDS, "gap"):
            data = series("walk" if kind == "gap" else kind, 2500, 7)
            if kind == "gap":
                data.close[1900] = np.nan
            for name, choice in cases():
                call = prepare(name, choice, **parameters(name))
                if not _core.indicator_kinds()[name][2] or name == "swings":
                    continue
                one = stream.start(call)
                rows = zip(*(x.tolist() for x in data.of(SPECS[name].inputs)), strict=True)
                values = np.array([one.update(*row) for row in rows]).T.reshape(-1, 2500)
                for isa in _core.supported_isas():
                    _core.set_isa(isa)
                    assert same_bits(values, run(name, choice, data)), (kind, name, choice, isa)
    finally:
        _core.set_isa(active)


@pytest.mark.parametrize(("name", "choice"), cases())
def test_stream_is_copied_and_pickled_at_any_bar(name: str, choice: str) -> None:
    data = series("walk", 40, 2)
    rows = list(zip(*data.of(SPECS[name].inputs), strict=True))
    for at in (0, 3, 20):
        one = stream.start(prepare(name, choice, **parameters(name)))
        for row in rows[:at]:
            one.update(*row)
        moved = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own, in one process
        others = [copy.copy(one), copy.deepcopy(one), one.copy(), moved]
        after = [one.update(*row) for row in rows[at:]]
        for other in others:
            assert same_bits([other.update(*row) for row in rows[at:]], after)


@pytest.mark.parametrize(("name", "choice"), cases())
def test_windowed_equals_batch_of_each_window(name: str, choice: str) -> None:
    for kind, lookback in (("walk", 12), ("ties", 20), ("missing", 33), ("walk", 200)):
        data = series(kind, 75, 3)
        lags = [0, 2, 7]
        got = run(name, choice, data, lookback=lookback, lag=lags)  # [output, lag, row]
        for t in range(75):
            begin = max(0, t + 1 - lookback)
            part = type(data)(*(column[begin : t + 1] for column in data))
            whole = run(name, choice, part)
            if name == "swings":  # rows count from the first of the series
                whole[[1, 2, 5, 6]] += begin
            for k, lag in enumerate(lags):
                expected = (
                    whole[:, -1 - lag] if lag < t + 1 - begin else np.full(len(whole), np.nan)
                )
                assert same_bits(got[:, k, t], expected), (kind, lookback, t, lag)


@pytest.mark.parametrize(("name", "choice"), cases())
def test_every_value_uses_rows_up_to_its_own(name: str, choice: str) -> None:
    data = series("walk", 80, 4)
    whole = run(name, choice, data)
    changed = type(data)(*(np.where(np.arange(80) > 50, c * 3 + 1, c) for c in data))
    cut = type(data)(*(c[:51] for c in data))
    assert same_bits(run(name, choice, changed)[:, :51], whole[:, :51])
    assert same_bits(run(name, choice, cut), whole[:, :51])


@pytest.mark.parametrize(("name", "choice"), cases())
def test_many_windows_and_series_in_one_call(name: str, choice: str) -> None:
    spec = SPECS[name]
    sets = {k: np.arange(v, v + 21) if k != "fast" else v for k, v in parameters(name).items()}
    together = [series(k, 70, 5) for k in KINDS]
    arrays = [
        np.stack(column) for column in zip(*(d.of(spec.inputs) for d in together), strict=True)
    ]
    call = prepare(name, choice, **sets)
    got = np.array(compute(call, arrays))
    for i in range(21 if call.shape else 1):
        alone = {k: v[i] if k != "fast" else v for k, v in sets.items()}
        for j, data in enumerate(together):
            one = np.array(compute(prepare(name, choice, **alone), data.of(spec.inputs)))
            at = got[:, i, j] if call.shape else got[:, j]
            assert same_bits(at, one), (i, j)


def test_instruction_sets_agree() -> None:
    active = _core.isa()
    try:
        results = []
        for isa in _core.supported_isas():
            _core.set_isa(isa)
            results.append(
                [
                    run(name, choice, series(kind, 101, 6), **options)
                    for name, choice in cases()
                    for kind in ("walk", "missing")
                    for options in ({}, {"lookback": 20, "lag": [0, 3]})
                ]
            )
    finally:
        _core.set_isa(active)
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            assert same_bits(x, y)


def test_out_takes_the_results() -> None:
    close = series("walk", 30).close
    to = np.empty(30)
    assert indicators.sma(close, 4, out=to) is to
    assert same_bits(to, indicators.sma(close, 4))
    three = tuple(np.empty(30) for _ in range(3))
    assert indicators.macd(close, 3, 6, 4, out=three).signal is three[1]
    for wrong in (np.empty(29), np.empty(30, np.float32), np.empty((30, 2))[:, 0]):
        with pytest.raises(ArgumentError, match="out must be writable contiguous float64"):
            indicators.sma(close, 4, out=wrong)
    with pytest.raises(ArgumentError, match="out must hold 3 arrays: got 1"):
        indicators.macd(close, out=to)
    wide = np.empty(59)
    for out in (close, wide[:30]):
        with pytest.raises(ArgumentError, match="out must not overlap the inputs or each other"):
            indicators.macd(close, 3, 6, 4, out=(out, wide[29:], np.empty(30)))


def test_a_window_longer_than_the_series_says_so_and_gives_nan() -> None:
    warnings.simplefilter("error")
    with pytest.warns(ShortSeriesWarning, match="sma: a window needs 50 rows, the series has 20"):
        assert np.isnan(indicators.sma(np.arange(20.0), 50)).all()
    with pytest.warns(ShortSeriesWarning, match="rsi: a window needs 15 rows, lookback leaves 9"):
        assert np.isnan(indicators.rsi(np.arange(20.0), lookback=10, lag=1)).all()
    assert np.isfinite(indicators.ema(np.arange(20.0), 50, seed="first")).all()
    assert indicators.sma([], 3).shape == (0,)


def test_wrong_arguments_name_what_was_got_and_expected() -> None:
    close = np.arange(30.0)
    for window in (0, -1, 2.5, np.nan, [3, 0]):
        with pytest.raises(ArgumentError, match="sma: window must be whole numbers"):
            indicators.sma(close, window)
    with pytest.raises(UnknownNameError, match="unknown ema seed 'median': expected one of first"):
        indicators.ema(close, 3, seed="median")
    with pytest.raises(ArgumentError, match="low has shape .29,., expected that of high: .30,."):
        indicators.atr(close, close[1:], close)
    with pytest.raises(ArgumentError, match="lag needs lookback="):
        indicators.ema(close, 3, lag=2)
    with pytest.raises(ArgumentError, match="lookback must be at least 1 and above every lag"):
        indicators.ema(close, 3, lookback=5, lag=5)
    with pytest.raises(ArgumentError, match="fast must be below slow"):
        indicators.macd(close, 9, 9)
    with pytest.raises(ArgumentError, match="keep one stream for each"):
        stream.sma([3, 4])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"atr.update: expected 3 numbers, got 1"):
        stream.atr().update(1.0)
    with pytest.raises(ValueError, match="not a state of this indicator"):
        stream.IndicatorStream.__new__(stream.IndicatorStream).__setstate__(
            ("sma", [3.0], 0, 3, 0, [], b"short")
        )


def test_every_indicator_has_both_forms_and_the_table_is_right() -> None:
    kinds = _core.indicator_kinds()
    assert set(kinds) == set(SPECS)
    for name, spec in SPECS.items():
        assert kinds[name][:2] == (len(spec.inputs), len(spec.outputs)), name
        assert callable(getattr(indicators, name)), name
        assert callable(getattr(stream, name)), name
        assert name in stream.__all__
