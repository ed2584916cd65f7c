"""Keys: known answers, and each changes with what its forecast depends on and with nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from blake3 import blake3
from market import random_frame
from store_cases import SERIES, NotingModel, SampledModel, bits, keys_for, records_for

import marketsim as ms
from marketsim.bars import TARGETS, Bars, bar_returns, close_moves
from marketsim.forecasts import (
    Flag,
    ForecastPlan,
    MemoryStore,
    PlanKeys,
    PredictionStore,
    ReturnTable,
    Schema,
    run_plan,
)
from marketsim.models import (
    EwmaModel,
    FunctionModel,
    ModelIdentity,
    PersistenceModel,
    model_from,
)

# ---- known answers ------------------------------------------------------------------------------
#
# Whoever changes one of these makes every stored forecast unreachable, or reachable by another key:
# a new version of the format, not a repair of the test.


def fixed_bars() -> Bars:
    """Prices without rounding, so that their returns are the same everywhere."""
    close = np.array([64.0, 66.0, 65.0, 68.0, 64.0, 72.0, 70.0, 80.0, 75.0, 78.0])
    frame = pd.DataFrame(
        {
            "open": close - 0.5,
            "high": close + 2.0,
            "low": close - 2.0,
            "close": close,
            "volume": np.arange(10.0),
        },
        index=pd.date_range("2020-02-25", periods=10, freq="D", tz="UTC"),
    )
    return ms.read_bars(frame, symbol="FIXED")


def fixed_model(context_length: int | None) -> FunctionModel:
    """Known by a fingerprint and levels of its own."""
    model = model_from(len, levels=(0.1, 0.5, 0.9), rows=context_length, version="1")
    vars(model)["fingerprint"] = "0123456789abcdef"
    return model


GOLDEN_KEYS: dict[int | None, dict[str, list[str]]] = {
    None: {
        "open": [
            "c670c70d32d12a96d5a97f64f90fafa5",
            "670168a62baa4698b70e41192e73b6bf",
            "07031bd121955bc3dc7c75a6b5f9f919",
            "7d1f1e4d5a5136d1d0d48eae06641887",
            "9e58fe7e476b4a9486ba5f9fcfed6b1a",
        ],
        "high": [
            "f718ff501540b9403391fcda2b330d4e",
            "c9f653bbb21fedbcea8dbb5837a61d1f",
            "06a6efc2e57c9004e72a86b354eefd70",
            "c2386563425432d7f64012e21503f31c",
            "d1c5b055a0f2462e164401b442d72a8b",
        ],
        "low": [
            "8ef2a947b9be3ace6fe5b6daca1d63d1",
            "cb91d0338e1884a5283f7f47bb17f174",
            "fc8e02c218f9e599f9ccd89dc2fdd5be",
            "42060cee2b1bcf7f0c8a599574db117e",
            "3926a6b6f6d0b1103c2ef5464c16ef48",
        ],
        "close": [
            "0748cd72160c6ba489f25c0f7acc605c",
            "42b0fa3897acc13e297698b28db672da",
            "483d5a74edf048606ffc575b2011c8c5",
            "d811474784835f933e86aa4c4b5ee027",
            "b2e991d1c662b54cc503801d2a76031e",
        ],
    },
    4: {
        "open": [
            "c670c70d32d12a96d5a97f64f90fafa5",
            "670168a62baa4698b70e41192e73b6bf",
            "8ba7309ea6867ddcd0f434eed1fbecdc",
            "30d14e2636b00c0568b8ee42591a9e83",
            "49c72867eed58a1ffb455fa8d71e14ee",
        ],
        "high": [
            "f718ff501540b9403391fcda2b330d4e",
            "c9f653bbb21fedbcea8dbb5837a61d1f",
            "905956b40dc6645e630dca8a8e922390",
            "d2b51377860865268fec02cb1c9c8574",
            "2957f5ff7bcdd62c47439673a9233af3",
        ],
        "low": [
            "8ef2a947b9be3ace6fe5b6daca1d63d1",
            "cb91d0338e1884a5283f7f47bb17f174",
            "8166056deb67baa58e4feaf7554bcc1e",
            "f894d2e76e67f568cf3abd6089af4d5b",
            "e2411b67b7be89c285174b0c33d63946",
        ],
        "close": [
            "0748cd72160c6ba489f25c0f7acc605c",
            "42b0fa3897acc13e297698b28db672da",
            "c162e221b32f4747adfa896216b1c46a",
            "9a4c02e0e3158982e7f01c812aa1f981",
            "2a7ed0dbf45b4fd491495cdaa04fa040",
        ],
    },
}


def golden_keys(context_length: int | None) -> dict[str, list[str]]:
    asked = PlanKeys.of(
        ReturnTable.of(fixed_bars(), "own"), fixed_model(context_length), ForecastPlan(4, 9, 1, 1)
    )
    return {
        target: [digest.hex() for digest in keys.digests()]
        for target, keys in zip(TARGETS, asked.keys, strict=True)
    }


@pytest.mark.parametrize("context_length", GOLDEN_KEYS)
def test_keys_are_those_of_the_format(context_length: int | None) -> None:
    assert golden_keys(context_length) == GOLDEN_KEYS[context_length]


def test_a_key_follows_from_its_recipe() -> None:
    """The recipe in plain words: what a reader of the format would write."""
    bars, model = fixed_bars(), fixed_model(4)
    asked = PlanKeys.of(ReturnTable.of(bars, "own"), model, ForecastPlan(4, 9, 1, 1))
    returns, stamps = bar_returns(bars), bars.timestamps.astype(np.int64).tolist()
    for i, target in enumerate(TARGETS):
        for day, key in zip(range(4, 9), asked.keys[i].digests(), strict=True):
            rows = [
                struct.pack("<qd", stamps[bar], returns[i, bar - 1])
                for bar in range(max(1, day - 4), day)
            ]
            leaves = [blake3(row).digest() for row in rows]
            pairs = [blake3(a + b).digest() for a, b in itertools.pairwise(leaves)]
            # The spans of the first and of the last 2^k rows: pairs of 3 rows, all 4 of 4.
            first, last = pairs[0], pairs[-1]
            if len(rows) == 4:
                first = last = blake3(first + last).digest()
            context = blake3(len(rows).to_bytes(8, "little") + first + last).digest(length=16)
            head = b""
            schema = "quantiles(0.1,0.5,0.9)+mean+std;float32"
            for part in (schema, model.fingerprint, "FIXED", target, "1"):
                head += len(part).to_bytes(8, "little") + part.encode()
            text = blake3(head).digest() + stamps[day - 1].to_bytes(8, "little") + context
            assert key == blake3(text).digest(length=16)
        assert asked.keys[i].as_of.tolist() == stamps[3:8]
        assert set(asked.keys[i].target.tolist()) == {i}
        assert set(asked.keys[i].horizon.tolist()) == {1}


GOLDEN_FINGERPRINTS: dict[str, str] = {
    "identity": "0861087a9c4c19c310609134520c6c6e1a032cb1f479e1604ac37479f4c96270",
    "ewma": "576754ac9822b451fe1f8a15cc81c08adbc563f266fdd406ca73f87a87d08096",
    "persistence": "57460e876f40893ed5befc940c38d52ce6b28bb79a381c56cd8e5a0d1568cec1",
}


def golden_fingerprints() -> dict[str, str]:
    identity = ModelIdentity("m", "c 1", 7, (0.25, 0.5), configuration={"b": 1, "a": [2.5, "ü"]})
    return {
        "identity": identity.fingerprint,
        "ewma": EwmaModel().fingerprint,
        "persistence": PersistenceModel(window=20).fingerprint,
    }


def test_fingerprints_are_those_of_the_format() -> None:
    assert golden_fingerprints() == GOLDEN_FINGERPRINTS


GOLDEN_FILE = (
    "v1/00ff/90/9030c7bbcce30dcf5f63e4ec78d9a68d.msp",
    "b0cf993fccd61b32dd453f04a7d9348e6d609e30db237f9078ea28350d5d03c4",
)


def golden_file(folder: Path) -> tuple[str, str]:
    """(path in the store, digest of the bytes) of a file of two batches."""
    store = PredictionStore(folder, sync="none")
    store.append(SERIES, keys_for([1, 2, 3]), records_for([1, 2, 3]))
    store.append(SERIES, keys_for([4], flags=Flag.IMPORTED), records_for([4]))
    path = store.path_of(SERIES)
    return str(path.relative_to(folder)), blake3(path.read_bytes()).hexdigest()


def test_a_file_is_that_of_the_format(tmp_path: Path) -> None:
    assert golden_file(tmp_path) == GOLDEN_FILE


# ---- what a key depends on ----------------------------------------------------------------------


def all_keys(
    bars: Bars, context_length: int | None, plan: ForecastPlan, targets: str = "own"
) -> np.ndarray:
    """Keys [target, day], as text."""
    model = NotingModel()  # one identity, so that what is seen alone counts
    model.context_length = context_length
    asked = PlanKeys.of(ReturnTable.of(bars, targets), model, plan)
    return np.array([[digest.hex() for digest in keys.digests()] for keys in asked.keys])


@pytest.mark.parametrize("context_length", [None, 40, 1])
@pytest.mark.parametrize("row", [0, 1, 2, 17, 59, 60, 61, 99, 100, 138, 139])
def test_a_flip_changes_the_keys_that_saw_it(context_length: int | None, row: int) -> None:
    frame, plan = random_frame(140), ForecastPlan(2, 140, 1, 1)
    before = ms.read_bars(frame, symbol="TEST")
    seen = 10**9 if context_length is None else context_length
    days = np.arange(plan.first, plan.stop)
    for column, target in enumerate(TARGETS):
        price = frame.columns.get_loc(target)
        for change in (lambda x: x * 1.001, lambda x: np.nextafter(x, 1e9)):
            flipped = frame.copy()
            flipped.iloc[row, price] = change(flipped.iloc[row, price])
            after = ms.read_bars(flipped, symbol="TEST", repair="widen_range")
            # Bars whose move changed: this one and the next, unless rounding hides it.
            for kind, moves in (("own", bar_returns), ("close", close_moves)):
                bars = 1 + np.flatnonzero((moves(before) != moves(after))[column])
                assert set(bars) <= {row, row + 1}
                saw = ((bars < days[:, None]) & (bars >= days[:, None] - seen)).any(axis=1)
                changed = all_keys(before, context_length, plan, kind) != all_keys(
                    after, context_length, plan, kind
                )
                np.testing.assert_array_equal(changed[column], saw)


@pytest.mark.parametrize("context_length", [None, 40])
def test_a_moved_timestamp_changes_the_keys_that_saw_it(context_length: int | None) -> None:
    frame, plan = random_frame(140), ForecastPlan(2, 140, 1, 1)
    days = np.arange(plan.first, plan.stop)
    before = all_keys(ms.read_bars(frame, symbol="TEST"), context_length, plan)
    for row in (1, 30, 99, 138):
        index = frame.index.to_numpy().astype("M8[ns]").copy()
        index[row] += 1
        moved = ms.read_bars(frame.set_axis(pd.DatetimeIndex(index)), symbol="TEST")
        saw = (days > row) & (days <= row + (context_length or 10**9))
        changed = before != all_keys(moved, context_length, plan)
        np.testing.assert_array_equal(changed, np.broadcast_to(saw, changed.shape))


def test_no_two_forecasts_have_one_key() -> None:
    bars = ms.read_bars(random_frame(300), symbol="TEST")
    plan = ForecastPlan(2, 300, 1, 1)
    sets = [all_keys(bars, seen, plan) for seen in (None, 40)]
    close = all_keys(bars, None, plan, "close")
    assert len(np.unique([sets[0], close])) == 2 * sets[0].size
    # Up to day 41, the last 40 values are all there are.
    np.testing.assert_array_equal(sets[0][:, :40], sets[1][:, :40])
    assert (sets[0][:, 40:] != sets[1][:, 40:]).all()


# ---- the model ----------------------------------------------------------------------------------

IDENTITY = ModelIdentity("m", "c 1", 40, EwmaModel().levels)
OTHERS: dict[str, list[Any]] = {
    "name": ["n", "M", ""],
    "code": ["c 2", "c 1 "],
    "context_length": [39, 41, None],
    "levels": [EwmaModel().levels[1:], (0.1, 0.5, 0.9)],
    "weights": ["0", "00"],
    "configuration": [{"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": [1]}, {"b": 1}, {"a": None}],
    "preprocessing": ["scaled 1", "scaled 2"],
    "libraries": [{"torch": "2.0"}, {"torch": "2.0.1"}, {"numpy": "2.0"}],
    "kernel": ["avx2", "avx512"],
    "dtype": ["float32", "bfloat16"],
    "sampling": ["128 draws", "64 draws"],
    "seeding": ["key", "clock"],
}


class IdentifiedModel(NotingModel):
    """Known by an identity."""

    def __init__(self, identity: ModelIdentity) -> None:
        super().__init__(identity.context_length, identity.name)
        self.identity = identity


def test_every_part_of_an_identity_counts(tmp_path: Path) -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(ModelIdentity)}
    bars, plan = ms.read_bars(random_frame(80), symbol="TEST"), ForecastPlan(60, 70, 1, 1)
    store = PredictionStore(tmp_path, sync="none")

    def made(identity: ModelIdentity) -> int:
        model = IdentifiedModel(identity)
        run_plan(bars, model, plan, store=store, progress=False)
        return model.made

    assert [made(IDENTITY), made(IDENTITY)] == [40, 0]
    fingerprints = {IDENTITY.fingerprint}
    for name, values in OTHERS.items():
        for value in values:
            other = dataclasses.replace(IDENTITY, **{name: value})
            assert other.fingerprint not in fingerprints, f"{name}={value!r}"
            fingerprints.add(other.fingerprint)
            assert made(other) == 40, f"{name}={value!r}"
            assert made(other) == 0
    assert made(IDENTITY) == 0
    assert len(list((tmp_path / "v1").iterdir())) == len(fingerprints)


def test_the_order_of_a_configuration_does_not_count() -> None:
    one = dataclasses.replace(IDENTITY, configuration={"a": 1, "b": {"c": 2, "d": 3}})
    two = dataclasses.replace(IDENTITY, configuration={"b": {"d": 3, "c": 2}, "a": 1})
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("context_length", [40, None])
@pytest.mark.parametrize("first", [2, 20, 41, 42, 100])
def test_a_model_is_handed_what_the_keys_cover(context_length: int | None, first: int) -> None:
    bars = ms.read_bars(random_frame(140), symbol="TEST")
    returns, stop = close_moves(bars), 120
    model = NotingModel(context_length)
    plan = ForecastPlan(first, stop, 1, 1)
    run_plan(bars, model, plan, store=MemoryStore(), progress=False)
    assert len(model.handed) == len(TARGETS)
    seen = context_length or 10**9
    for row, (series, start) in zip(returns, model.handed, strict=True):
        # Day t sees the returns of the bars before it: row[: t - 1], and of these the last ones.
        begin = max(0, first - 1 - seen)
        np.testing.assert_array_equal(series, row[begin : stop - 2])
        assert begin + start == first - 1
        assert start <= seen


def test_seeds_are_parts_of_the_keys() -> None:
    bars, plan = ms.read_bars(random_frame(80), symbol="TEST"), ForecastPlan(60, 70, 1, 1)

    class Spy(SampledModel):
        def __init__(self) -> None:
            super().__init__()
            self.seeds: list[int] = []

        def predict_each(self, series, start, *, horizon=1, seeds):
            self.seeds += seeds.tolist()
            return super().predict_each(series, start, horizon=horizon, seeds=seeds)

    model = Spy()
    run_plan(bars, model, plan, store=MemoryStore(), progress=False)
    keys = PlanKeys.of(bars, model, plan).keys
    digests = [digest for part in keys for digest in part.digests()]
    assert model.seeds == [int.from_bytes(digest[:8], "little") for digest in digests]
    assert len(set(model.seeds)) == 40


def test_stored_records_are_those_of_the_schema(tmp_path: Path) -> None:
    """What lies in the file is mean, standard deviation and quantiles, in that order."""
    bars, plan, model = (
        ms.read_bars(random_frame(80), symbol="T"),
        ForecastPlan(60, 70, 1, 1),
        EwmaModel(),
    )
    store = PredictionStore(tmp_path)
    cube = run_plan(bars, model, plan, store=store, progress=False)
    asked = PlanKeys.of(bars, model, plan)
    alone = model.predict_each(close_moves(bars)[3][:68], 59)
    records, found = store.read(asked.series, asked.keys[3])
    assert found.all()
    assert bits(records) == bits(cube.records[:, 0, 3])
    assert bits(records) == bits(Schema.quantiles(model.levels).encode(alone))
    assert bits(records[:, 0]) == bits(alone.mean[:, 0])
    assert bits(records[:, 2:]) == bits(alone.quantiles[:, 0])
