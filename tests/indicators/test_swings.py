"""Swings: against the readable reference and recorded values; known only once confirmed."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from indicator_inputs import golden, same_bits, series
from swing_reference import swings as reference

from marketsim import indicators as ind
from marketsim.errors import ArgumentError

KINDS = ("walk", "ties", "stretches", "jumps", "flat")


def test_equal_to_the_reference_at_every_row() -> None:
    for kind in KINDS:
        for depth, lookback in ((2, None), (3, 40), (6, 60), (1, 300)):
            data = series(kind, 150, depth)
            h, l, c = (x.tolist() for x in data[1:4])  # noqa: E741
            found = ind.swings(h, l, c, depth=depth, lookback=lookback)
            for t in range(150):
                begin = 0 if lookback is None else max(0, t + 1 - lookback)
                tops, bottoms = reference(
                    h[begin : t + 1], l[begin : t + 1], c[begin : t + 1], depth=depth
                )
                top, bottom = tops[-1] + begin, bottoms[-1] + begin
                got = (found.high_row[t], found.high[t], found.low_row[t], found.low[t])
                assert got == (top, h[top], bottom, l[bottom]), (kind, depth, lookback, t)
                if found.highs[t]:
                    assert found.highs[t] == len(tops)
                if found.lows[t]:
                    assert found.lows[t] == len(bottoms)


def test_a_swing_is_known_only_once_confirmed() -> None:
    for kind in KINDS:
        data = series(kind, 400, 9)
        for lookback in (None, 50):
            found = ind.swings(*data[1:4], lookback=lookback)
            rows = np.arange(400)
            for row, known, count in (
                (found.high_row, found.high_known_at, found.highs),
                (found.low_row, found.low_known_at, found.lows),
            ):
                assert (known <= rows).all()
                assert np.array_equal(known - row, np.where(count > 0, 6.0, 0.0))


def test_recorded_cases() -> None:
    cases = json.loads(gzip.decompress(golden("unit_cases.json.gz").read_bytes()))["swings"]
    names = {
        "swing_threshold_multiple": "threshold",
        "swing_threshold_min": "least",
        "swing_threshold_step": "step",
        "max_swings": "most",
    }
    for case in cases:
        config = case["cfg"]
        settings = {names[k]: v for k, v in config.items() if k in names}
        settings["depth"] = max(1, int(config.get("atr_depth", 6)))
        found = ind.swings(case["high"], case["low"], case["close"], **settings)
        highs, lows, prices, bottoms = case["swings"]
        got = [column[-1] for column in (found.high_row, found.low_row, found.high, found.low)]
        assert got == [highs[-1], lows[-1], prices[-1], bottoms[-1]]
        assert same_bits(ind.fibonacci_levels(got[2], got[3]), case["levels"])
    assert len(cases) == 60


@pytest.mark.parametrize("name", ["BTCUSD_1h_2018-06-01_3000", "BTCUSD_1d_2014-12-01_1770"])
def test_recorded_slices(name: str) -> None:
    with np.load(golden("inputs.npz")) as inputs:
        columns = [inputs[f"{name}/{column}"] for column in ("high", "low", "close")]
    with np.load(golden("indicators.npz")) as recorded:
        for depth in (3, 6):
            found = ind.swings(*columns, depth=depth)
            tops = recorded[f"{name}/swings_depth{depth}_high_idx"]
            bottoms = recorded[f"{name}/swings_depth{depth}_low_idx"]
            assert (found.high_row[-1], found.highs[-1]) == (tops[-1], len(tops))
            assert (found.low_row[-1], found.lows[-1]) == (bottoms[-1], len(bottoms))


def test_levels_follow_the_price_by_scale() -> None:
    data = series("walk", 200, 3)
    one = ind.swings(*data[1:4])
    eight = ind.swings(*(8.0 * x for x in data[1:4]))
    assert np.array_equal(eight.high, 8.0 * one.high)
    assert np.array_equal(eight.low_row, one.low_row)
    apart = ind.fibonacci_distances(data.close, one.high, one.low, np.full(200, 2.0))
    assert apart.shape == (200, 4)
    with pytest.raises(ArgumentError, match="step must be 0, or reach"):
        ind.swings(*data[1:4], step=1e-9)
