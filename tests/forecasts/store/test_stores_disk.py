"""What only the store on disk does: modes, views, counters, descriptions, failures."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from market import random_bars
from store_cases import (
    SERIES,
    NotingModel,
    bits,
    keys_for,
    mute,
    records_for,
)
from store_files import settle

from marketsim.errors import (
    ArgumentError,
    InvalidNameError,
    StoreMissError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreWarning,
    StoreWriteError,
)
from marketsim.forecasts import ForecastPlan, MemoryStore, PredictionStore, SeriesId, run_plan
from marketsim.models.fingerprint import stored_as

PLAN = ForecastPlan(50, 70, 1, 1)


def put(store: PredictionStore, numbers: range, version: int = 0, series: SeriesId = SERIES) -> int:
    return store.append(series, keys_for(numbers), records_for(numbers, version=version))


def holds(store: PredictionStore, numbers: range, series: SeriesId = SERIES) -> bool:
    records, found = store.read(series, keys_for(numbers))
    return bool(found.all()) and bits(records) == bits(records_for(numbers))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder: when it was changed, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def damage(path: Path, offset: int, count: int = 1) -> None:
    """Flip the lowest bit of some bytes of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        before = file.read(count)
        file.seek(offset)
        file.write(bytes(byte ^ 1 for byte in before))
    settle(path)


# ---- opening ------------------------------------------------------------------------------------


def test_only_an_append_makes_the_folder(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "a" / "b")
    assert not store.read(SERIES, keys_for([1]))[1].any()
    assert store.get(SERIES, keys_for([1]).digests()[0]) is None
    store.close()
    assert list(tmp_path.iterdir()) == []
    put(store, range(1))
    assert store.path_of(SERIES).is_file()
    assert store.path_of(SERIES).is_relative_to(tmp_path / "a" / "b" / "v1" / "00ff")


@pytest.mark.parametrize("sync", ["batch", "none"])
def test_records_survive_the_object(tmp_path: Path, sync: str) -> None:
    with PredictionStore(tmp_path, sync=sync) as store:
        assert put(store, range(5)) == 5
    with PredictionStore(str(tmp_path), sync=sync) as store:
        assert put(store, range(8)) == 3
        assert holds(store, range(8))
    assert holds(PredictionStore(tmp_path, mode="r"), range(8))


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="mode must be one of a, r: got 'w'"):
        PredictionStore(tmp_path, mode="w")
    with pytest.raises(ArgumentError, match="sync must be one of batch, none: got 'all'"):
        PredictionStore(tmp_path, sync="all")
    with pytest.raises(StoreNotFoundError, match="there is no prediction store at"):
        PredictionStore(tmp_path / "none", mode="r")
    store = PredictionStore(tmp_path)
    for model in ("", "00f", "../..", "00FF", "00gg", "0" * 129, "00ff\n", "v1/00"):
        with pytest.raises(InvalidNameError, match="4 to 128 hex digits"):
            put(store, range(1), series=SERIES._replace(model=model))
    with pytest.raises(ArgumentError, match="model, series and schema"):
        put(store, range(1), series=SERIES._replace(series="x" * 5000))
    assert list(tmp_path.iterdir()) == []


def test_reading_only_changes_nothing(tmp_path: Path) -> None:
    other, broken = SERIES._replace(series="B"), SERIES._replace(series="C")
    with PredictionStore(tmp_path) as store:
        for series in (SERIES, other, broken):
            put(store, range(6), series=series)
        store.describe("00ff", {"name": "x"})
    damage(store.path_of(other), 8192 + 40)  # one record
    damage(store.path_of(broken), 16)  # both headers
    damage(store.path_of(broken), 4096 + 16)
    before = tree(tmp_path)
    reader = PredictionStore(tmp_path, mode="r")
    assert not reader.writable
    assert holds(reader, range(6))
    assert reader.read(other, keys_for(range(6)))[1].tolist() == [False] + [True] * 5
    assert not reader.read(broken, keys_for(range(6)))[1].any()
    reader.describe("00ff", {"name": "y"})
    reader.describe("00aa", {"name": "y"})
    for series in (SERIES, other, broken):
        with pytest.raises(StoreReadOnlyError, match="mode='r'"):
            put(reader, range(9), series=series)
    with pytest.raises(OSError, match="open for reading"):
        reader._file(SERIES).compact()
    reader.close()
    assert tree(tmp_path) == before
    assert reader.counters["corrupt"] == 1
    assert reader.counters["unreadable"] >= 1
    # The one that may write sets the broken file aside, and goes on.
    assert put(store, range(6), series=broken) == 6
    assert holds(store, range(6), series=broken)
    assert len(list(tmp_path.rglob("*.bad-*"))) == 1


def test_require_complete(tmp_path: Path) -> None:
    bars, model = random_bars(80), NotingModel()
    strict = PredictionStore(tmp_path, require_complete=True)
    with pytest.raises(StoreMissError, match=r"80 of 80 forecasts of TEST are not in the store at"):
        run_plan(bars, model, PLAN, store=strict, progress=False)
    assert model.made == 0
    run_plan(bars, model, PLAN, store=PredictionStore(tmp_path), progress=False)
    run_plan(bars, mute(NotingModel()), PLAN, store=strict, progress=False)
    wider = ForecastPlan(49, 72, 1, 1)
    first = str(bars.timestamps[48])[:10]
    with pytest.raises(StoreMissError, match=rf"12 of 92 .* the first as of {first}"):
        run_plan(bars, model, wider, store=strict, progress=False)
    with pytest.raises(StoreMissError, match="is not in"):
        strict.get(SERIES, bytes(16))
    assert issubclass(StoreMissError, LookupError)


# ---- views --------------------------------------------------------------------------------------


def test_a_view_outlives_everything(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "store")
    put(store, range(300))
    keys = keys_for(range(300)).digests()
    views = [store.get(SERIES, key) for key in keys]
    assert all(view is not None and not view.flags.writeable for view in views)
    with pytest.raises(ValueError, match="WRITEABLE"):
        views[0].flags.writeable = True
    with pytest.raises(ValueError, match="read-only"):
        views[0][0] = 1.0

    def unchanged() -> bool:
        gc.collect()
        return bits(np.stack(views)) == bits(records_for(range(300)))

    put(store, range(300, 9000))  # the file outgrows its map
    assert unchanged()
    store._file(SERIES).compact()
    assert unchanged()
    store.close()
    assert unchanged()
    path = store.path_of(SERIES)
    path.unlink()
    assert not store.read(SERIES, keys_for(range(3)))[1].any()
    assert unchanged()
    shutil.rmtree(tmp_path / "store")
    del store
    assert unchanged()


def test_get_sees_what_others_append(tmp_path: Path) -> None:
    one, two = PredictionStore(tmp_path), PredictionStore(tmp_path)
    key = keys_for([5]).digests()[0]
    assert one.get(SERIES, key) is None
    put(two, range(10))
    assert bits(one.get(SERIES, key)) == bits(records_for([5]))
    with pytest.raises(ValueError, match="key must be 16 bytes: got 3"):
        one.get(SERIES, b"abc")


# ---- counters -----------------------------------------------------------------------------------


def test_counters(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path)
    expected = dict.fromkeys(store.counters, 0)

    def counted(**more: int) -> None:
        for name, by in more.items():
            expected[name] += by
        assert store.counters == expected

    store.read(SERIES, keys_for(range(3)))
    counted(misses=3)
    put(store, range(4))
    counted()
    put(store, range(2, 6), version=1)
    counted(superseded=2)
    store.read(SERIES, keys_for(range(10)))
    counted(hits=6, misses=4)
    store.get(SERIES, keys_for([0]).digests()[0])
    store.get(SERIES, bytes(16))
    counted(hits=1, misses=1)
    store.close()
    path = store.path_of(SERIES)
    damage(path, 8192 + 2 * 64 + 40)
    store.read(SERIES, keys_for(range(6)))
    counted(hits=5, misses=1, corrupt=1)
    store.close()
    path.unlink()
    path.mkdir()
    store.read(SERIES, keys_for(range(6)))
    counted(misses=6, unreadable=1)
    path.rmdir()
    path.write_bytes(b"of another kind" * 1000)
    store.read(SERIES, keys_for(range(6)))
    store.read(SERIES, keys_for(range(6)))
    counted(misses=12, unreadable=1)  # reading sets nothing aside
    settle(path)
    put(store, range(2))
    counted(quarantined=1)
    assert PredictionStore(tmp_path).counters == dict.fromkeys(expected, 0)


def test_few_files_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketsim.forecasts.store.disk.MAX_OPEN", 3)
    store = PredictionStore(tmp_path, sync="none")
    many = [SERIES._replace(series=f"S{i}") for i in range(12)]
    view = None
    for series in many * 2:
        put(store, range(4), series=series)
        view = store.get(series, keys_for([1]).digests()[0]) if view is None else view
        assert len(store._files) <= 3
    assert all(holds(store, range(4), series=series) for series in many)
    assert bits(view) == bits(records_for([1]))


# ---- model.json ---------------------------------------------------------------------------------


def test_a_model_is_described_once(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path)
    run_plan(random_bars(80), NotingModel(), PLAN, store=store, progress=False)
    model = str(stored_as(NotingModel()))
    path = tmp_path / "v1" / model / "model.json"
    found = json.loads(path.read_text())
    assert found["fingerprint"] == model
    assert found["code"] == "noting"
    assert found["levels"] == list(NotingModel().levels)
    before = path.stat()
    store.describe(model, {"name": "another"})
    PredictionStore(tmp_path).describe(model, {"name": "another"})
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    store.describe("00fe", {"name": "b"})
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    # Two descriptions, one file of records and the lock of its folder, nothing half made.
    assert len(names) == 4
    assert names[1:] == ["lock", "model.json", "model.json"]


# ---- what cannot be kept ------------------------------------------------------------------------


class Full(MemoryStore):
    """A store that answers, and cannot keep."""

    attempts = 0

    def append(self, series, keys, records):
        self.attempts += 1
        raise StoreWriteError(28, "the disk is full")


def a_file_in_the_way(tmp_path: Path) -> PredictionStore:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "v1").write_text("in the way")
    return PredictionStore(tmp_path / "store")


def only_readable(tmp_path: Path) -> PredictionStore:
    return PredictionStore(tmp_path, mode="r")


@pytest.mark.parametrize("make", [lambda path: Full(), a_file_in_the_way, only_readable])
def test_a_run_goes_on_where_nothing_can_be_kept(
    tmp_path: Path, make: Callable[[Path], PredictionStore | Full]
) -> None:
    bars, store = random_bars(80), make(tmp_path)
    with pytest.warns(StoreWarning, match="forecasts are not stored: ") as told:
        cube = run_plan(bars, NotingModel(), PLAN, store=store, progress=False)
    assert len(told) == 1
    assert getattr(store, "attempts", 1) == 1
    fresh = run_plan(bars, NotingModel(), PLAN, store=MemoryStore(), progress=False)
    assert bits(cube.records) == bits(fresh.records)
