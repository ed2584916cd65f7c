"""What every store does: in memory, on disk with maps and with copies, and in LMDB."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lmdb_store import LmdbStore
from market import random_frame
from store_cases import (
    SCHEMA,
    SERIES,
    NotingModel,
    SampledModel,
    bits,
    keys_for,
    mute,
    records_for,
)

import marketsim as ms
from marketsim.errors import ArgumentError
from marketsim.forecasts import (
    ForecastPlan,
    ForecastStore,
    MemoryStore,
    PredictionStore,
    RecordKeys,
    ReturnTable,
    Schema,
    SeriesId,
    run_plan,
)
from marketsim.forecasts.keys import seeds_of

MAKERS: dict[str, Callable[[Path], ForecastStore]] = {
    "memory": lambda path: MemoryStore(),
    "disk": PredictionStore,
    "lmdb": LmdbStore,
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForecastStore]:
    made = MAKERS[request.param](tmp_path / "store")
    yield made
    if hasattr(made, "close"):
        made.close()


def holds(store: ForecastStore, numbers: range | list[int], version: int = 0) -> bool:
    """Whether exactly these records of version `version` are found by their keys."""
    records, found = store.read(SERIES, keys_for(numbers))
    return bool(found.all()) and bits(records) == bits(records_for(numbers, version=version))


# ---- records ------------------------------------------------------------------------------------


def test_every_store_has_the_interface(store: ForecastStore) -> None:
    assert isinstance(store, ForecastStore)


def test_what_is_appended_is_read(store: ForecastStore) -> None:
    assert store.append(SERIES, keys_for(range(20)), records_for(range(20))) == 20
    records, found = store.read(SERIES, keys_for(range(20)))
    assert records.dtype == np.float32
    assert records.shape == (20, SCHEMA.width)
    assert found.dtype == np.bool_
    assert holds(store, range(20))


def test_what_is_missing_is_nan(store: ForecastStore) -> None:
    records, found = store.read(SERIES, keys_for([1, 2]))
    assert not found.any()
    assert np.isnan(records).all()
    store.append(SERIES, keys_for([2, 4]), records_for([2, 4]))
    records, found = store.read(SERIES, keys_for([1, 2, 3, 4, 5]))
    assert found.tolist() == [False, True, False, True, False]
    assert bits(records[found]) == bits(records_for([2, 4]))
    assert np.isnan(records[~found]).all()


def test_records_come_in_the_order_asked_for(store: ForecastStore) -> None:
    store.append(SERIES, keys_for(range(6)), records_for(range(6)))
    records, found = store.read(SERIES, keys_for([3, 1, 3, 99, 5, 0, 3]))
    assert found.tolist() == [True, True, True, False, True, True, True]
    assert bits(records[found]) == bits(records_for([3, 1, 3, 5, 0, 3]))


def test_the_first_record_of_a_key_counts(store: ForecastStore) -> None:
    store.append(SERIES, keys_for([1, 2]), records_for([1, 2]))
    assert store.append(SERIES, keys_for([2, 3, 1]), records_for([2, 3, 1], version=1)) == 1
    assert holds(store, [1, 2])
    assert holds(store, [3], version=1)
    assert store.append(SERIES, keys_for([1, 2, 3]), records_for([1, 2, 3], version=2)) == 0


def test_a_key_twice_in_one_batch(store: ForecastStore) -> None:
    records = np.concatenate([records_for([1, 2]), records_for([1], version=1)])
    assert store.append(SERIES, keys_for([1, 2, 1]), records) == 2
    assert holds(store, [1, 2])


def test_nothing_is_appended_and_read(store: ForecastStore) -> None:
    nothing = np.empty((0, SCHEMA.width), dtype=np.float32)
    for _ in range(2):
        assert store.append(SERIES, keys_for([]), nothing) == 0
        records, found = store.read(SERIES, keys_for([]))
        assert (records.shape, found.shape) == ((0, SCHEMA.width), (0,))
        store.append(SERIES, keys_for([1]), records_for([1]))


@pytest.mark.parametrize("shape", [(2, 4), (2, 6), (1, 5), (3, 5), (10,), (2, 5, 1), (0, 5), ()])
def test_records_of_another_shape_are_refused(store: ForecastStore, shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"records must have shape \(2, 5\): got"):
        store.append(SERIES, keys_for([1, 2]), np.zeros(shape, dtype=np.float32))
    assert not store.read(SERIES, keys_for([1, 2]))[1].any()


def test_an_unknown_schema_is_refused(store: ForecastStore) -> None:
    series = SERIES._replace(schema="nonsense")
    with pytest.raises(ArgumentError, match="unknown record schema 'nonsense'"):
        store.read(series, keys_for([1]))
    with pytest.raises(ArgumentError, match="unknown record schema 'nonsense'"):
        store.append(series, keys_for([1]), records_for([1]))


def test_stores_and_callers_share_no_memory(store: ForecastStore) -> None:
    given = records_for(range(3))
    store.append(SERIES, keys_for(range(3)), given)
    given[:] = -1.0
    records, found = store.read(SERIES, keys_for(range(3)))
    records[:], found[:] = -2.0, False
    assert holds(store, range(3))


def test_any_layout_and_precision_is_taken(store: ForecastStore) -> None:
    wide = records_for(range(8)).astype(np.float64) * (1.0 + 1e-12)
    store.append(SERIES, keys_for(range(8)), np.asfortranarray(wide))
    assert holds(store, range(8))
    twice = records_for(range(20, 40))
    store.append(SERIES, keys_for(range(20, 40))[np.arange(20) % 2 == 0], twice[::2])
    assert holds(store, list(range(20, 40, 2)))
    store.append(SERIES, keys_for(range(21, 40))[::2], twice[1::2])
    assert holds(store, range(20, 40))


def test_values_are_kept_to_the_bit(store: ForecastStore) -> None:
    odd = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, 0.1, -1e-38]
    records = np.array(odd, dtype=np.float32).reshape(2, 5)
    store.append(SERIES, keys_for([1, 2]), records)
    kept, found = store.read(SERIES, keys_for([1, 2]))
    assert found.all()
    assert bits(kept) == bits(records)


@pytest.mark.parametrize("schema", [Schema.of_samples(1), Schema.of_samples(4096)])
def test_records_of_any_width(store: ForecastStore, schema: Schema) -> None:
    series = SERIES._replace(schema=schema.text)
    records = records_for(range(9), width=schema.width)
    assert store.append(series, keys_for(range(9)), records) == 9
    kept, found = store.read(series, keys_for(range(9)))
    assert found.all()
    assert bits(kept) == bits(records)


def test_many_records_in_any_order(store: ForecastStore) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(6000).tolist()
    for start in range(0, 6000, 1500):
        part = order[start : start + 1500]
        assert store.append(SERIES, keys_for(part), records_for(part)) == 1500
    assert holds(store, range(6000))
    assert holds(store, rng.permutation(6000).tolist())


# ---- series -------------------------------------------------------------------------------------

SYMBOLS = [
    "", ".", "..", "../x", "../../x", "/etc/passwd", "a/../b", "a\0b", "a\0", "\0a", "a\nb",
    "a b", " a", "A", "a", "CON", "~", "$HOME", "%00", "é", "e\u0301", "株式", "🙂", "x" * 3500,
    "model.json", "x.msp", "a" * 255, "a\0quantiles(0.1,0.5,0.9)+mean+std;float32",
]  # fmt: skip


def test_every_symbol_has_its_own_records(store: ForecastStore, tmp_path: Path) -> None:
    for i, symbol in enumerate(SYMBOLS):
        series = SERIES._replace(series=symbol)
        assert store.append(series, keys_for([7]), records_for([i])) == 1
    for i, symbol in enumerate(SYMBOLS):
        records, found = store.read(SERIES._replace(series=symbol), keys_for([7]))
        assert found.all()
        assert bits(records) == bits(records_for([i]))
    assert {path.name for path in tmp_path.iterdir()} <= {"store"}


@pytest.mark.parametrize(
    "other",
    [
        SERIES._replace(model="00fe"),
        SERIES._replace(model="00ff00"),
        SERIES._replace(series="TESS"),
        SERIES._replace(schema=Schema.quantiles((0.1, 0.5, 0.95)).text),
        SERIES._replace(schema=Schema.of_samples(5).text),
    ],
)
def test_another_series_has_other_records(store: ForecastStore, other: SeriesId) -> None:
    store.append(SERIES, keys_for([1]), records_for([1]))
    assert not store.read(other, keys_for([1]))[1].any()
    store.append(other, keys_for([1]), records_for([1], version=1))
    assert holds(store, [1])


def test_a_description_may_be_given_again(store: ForecastStore) -> None:
    store.describe("00ff", {"name": "first", "levels": [0.1, 0.9]})
    store.describe("00ff", {"name": "second"})
    store.append(SERIES, keys_for([1]), records_for([1]))
    store.describe("00ff", {"name": "third"})
    assert holds(store, [1])


# ---- runs ---------------------------------------------------------------------------------------

PLAN = ForecastPlan(100, 190, 1, 1)


class Runner:
    """Runs plans over a changing history and compares each with a run without a store."""

    def __init__(self, store: ForecastStore, model: NotingModel) -> None:
        self.store, self.model = store, model

    def made(self, frame: pd.DataFrame, plan: ForecastPlan = PLAN, *, symbol: str = "TEST") -> int:
        """How many forecasts the model had to make."""
        bars = ReturnTable.of(ms.read_bars(frame, symbol=symbol), "own")
        self.model.handed.clear()
        cube = run_plan(bars, self.model, plan, store=self.store, progress=False)
        made = self.model.made
        fresh = run_plan(bars, self.model, plan, store=MemoryStore(), progress=False)
        assert bits(cube.records) == bits(fresh.records)
        assert not np.isnan(cube.records).any()
        other = mute(NotingModel(self.model.context_length, self.model.identity.name))
        again = run_plan(bars, other, plan, store=self.store, progress=False)
        assert bits(again.records) == bits(cube.records)
        return made


@pytest.fixture(params=[None, 40], ids=["all", "last 40"])
def runner(request: pytest.FixtureRequest, store: ForecastStore) -> Runner:
    return Runner(store, NotingModel(request.param))


def test_a_run_makes_what_is_missing(runner: Runner) -> None:
    frame = random_frame(200)
    assert runner.made(frame, ForecastPlan(150, 180, 1, 1)) == 30 * 4
    assert runner.made(frame, ForecastPlan(155, 175, 1, 1)) == 0
    assert runner.made(frame, ForecastPlan(140, 190, 1, 1)) == (10 + 10) * 4
    assert runner.made(frame, ForecastPlan(10, 20, 1, 1)) == 10 * 4
    assert runner.made(frame, ForecastPlan(2, 200, 1, 1)) == (198 - 50 - 10) * 4


def test_a_history_that_changes(runner: Runner) -> None:
    frame, seen = random_frame(200), runner.model.context_length
    assert runner.made(frame.iloc[:190]) == 90 * 4
    assert runner.made(frame) == 0  # grown by ten days
    revised = frame.copy()
    revised.iloc[120, :4] *= 1.25  # changes the returns of rows 120 and 121
    # Day 121 is the first that sees a changed return, the last one sees that of row 121.
    last = 189 if seen is None else 121 + seen
    assert runner.made(revised) == (last - 121 + 1) * 4
    assert runner.made(frame) == 0  # the records of before are still there
    trimmed = frame.iloc[30:]  # the days keep what their context covers
    assert runner.made(trimmed, ForecastPlan(70, 160, 1, 1)) == (90 * 4 if seen is None else 0)
    one_column = frame.copy()
    one_column.iloc[150, one_column.columns.get_loc("close")] *= 1.0001
    assert runner.made(one_column) == (189 - 151 + 1 if seen is None else 39)
    volume = frame.copy()
    volume["volume"] += 1.0  # the model does not see it
    assert runner.made(volume) == 0
    rescaled = frame.copy()
    rescaled.iloc[:, :4] *= 0.5  # a split that is adjusted exactly: the returns are the same
    assert runner.made(rescaled) == 0


def test_another_model_symbol_or_date_never_hits(runner: Runner) -> None:
    frame = random_frame(200)
    assert runner.made(frame) == 360
    assert runner.made(frame, symbol="OTHER") == 360
    assert runner.made(frame.set_axis(frame.index + pd.Timedelta("1D"))) == 360
    assert runner.made(frame.set_axis(frame.index + pd.Timedelta("1ns"))) == 360
    runner.model.identity = dataclasses.replace(runner.model.identity, name="00fe")
    assert runner.made(frame) == 360
    runner.model.identity = dataclasses.replace(runner.model.identity, name="00ff")
    assert runner.made(frame) == 0


def test_samples_depend_on_no_order(store: ForecastStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = ms.read_bars(random_frame(120), symbol="TEST")

    def records(plan: ForecastPlan, store: ForecastStore) -> np.ndarray:
        return run_plan(bars, SampledModel(), plan, store=store, progress=False).records

    whole = records(ForecastPlan(60, 120, 1, 1), MemoryStore())
    assert len(np.unique(whole[..., 0])) == whole[..., 0].size
    monkeypatch.setattr("marketsim.forecasts.run.BATCH_DAYS", 7)
    for first in (110, 60, 95, 75, 100):  # bits and pieces, in no order
        records(ForecastPlan(first, first + 10, 1, 1), store)
    kept = records(ForecastPlan(60, 120, 1, 1), store)
    assert bits(kept) == bits(whole)
    again = run_plan(
        bars, mute(SampledModel()), ForecastPlan(60, 120, 1, 1), store=store, progress=False
    )
    assert bits(again.records) == bits(whole)


def test_keys_select_and_flag() -> None:
    keys = keys_for(range(5))
    assert len(keys) == 5
    assert keys[1:3].digests() == keys_for([1, 2]).digests()
    assert keys.flagged(1).flags.tolist() == [1] * 5
    assert keys.digests() == keys.flagged(1).digests()
    expected = [int.from_bytes(digest[:8], "little") for digest in keys.digests()]
    assert seeds_of(keys.tags).tolist() == expected
    assert len(RecordKeys.of([], np.empty(0, dtype=np.int64), 0, 1)) == 0
