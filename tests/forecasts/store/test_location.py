from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim import _core
from marketsim.errors import (
    ArgumentError,
    InvalidNameError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreWarning,
    StoreWriteError,
)
from marketsim.forecasts import (
    MemoryStore,
    PredictionStore,
    RecordKeys,
    SeriesId,
    default_store_path,
    open_store,
)

SERIES = SeriesId("00ff", "TEST", "samples(3);float32")


def some_keys(n: int = 2, seed: int = 0) -> RecordKeys:
    generator = np.random.default_rng(seed)
    return RecordKeys.of([generator.bytes(16) for _ in range(n)], np.arange(n), 0, 1)


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("MARKETSIM_STORE")
    assert default_store_path() == tmp_path / ".cache" / "marketsim" / "store"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_store_path() == tmp_path / ".cache" / "marketsim" / "store"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_store_path() == tmp_path / "xdg" / "marketsim" / "store"
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "own"))
    assert default_store_path() == tmp_path / "own"
    monkeypatch.setenv("MARKETSIM_STORE", "off")
    assert default_store_path() is None
    assert open_store() is None


def test_what_a_store_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "own"))
    own = open_store(None)
    assert isinstance(own, PredictionStore)
    assert own.path == tmp_path / "own"
    assert open_store(None) is own  # its files stay open from run to run
    assert open_store(str(tmp_path / "own")) is own
    memory = MemoryStore()
    assert open_store(memory) is memory
    assert open_store(False) is None
    for wrong in (3, True, object()):
        with pytest.raises(ArgumentError, match="store must be a path"):
            open_store(wrong)


def test_walk_forward_keeps_its_forecasts_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path))
    bars = random_bars(300)
    first = ms.walk_forward(bars, simulations=5, progress=False)
    store = open_store()
    assert isinstance(store, PredictionStore)
    made = store.counters["misses"]
    assert made > 0
    again = ms.walk_forward(bars, simulations=5, progress=False)
    assert store.counters["misses"] == made
    assert store.counters["hits"] == made
    alone = ms.walk_forward(bars, simulations=5, progress=False, store=False)
    assert store.counters["hits"] == made
    for other in (again, alone):
        assert other.days.equals(first.days)
        assert other.forecasts.equals(first.forecasts)


def test_no_model_is_asked_when_the_store_is_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    bars = random_bars(300)
    made = ms.walk_forward(bars, "ewma", store=tmp_path, progress=False)
    monkeypatch.setattr(ms.models.EwmaModel, "predict_each", asked)
    found = ms.walk_forward(bars, "ewma", store=tmp_path, progress=False)
    assert found.days.equals(made.days)


def test_reading_only(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match="no prediction store at"):
        PredictionStore(tmp_path / "none", mode="r")
    assert not (tmp_path / "none").exists()
    keys, records = some_keys(), np.ones((2, 3), dtype=np.float32)
    PredictionStore(tmp_path / "s").append(SERIES, keys, records)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    store = PredictionStore(tmp_path / "s", mode="r")
    assert not store.writable
    assert store.read(SERIES, keys)[1].all()
    with pytest.raises(StoreReadOnlyError, match="open for reading"):
        store.append(SERIES, some_keys(seed=1), records)
    store.describe("00ff", {})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_network_file_systems_are_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, records = some_keys(), np.ones((2, 3), dtype=np.float32)
    local = PredictionStore(tmp_path)
    local.append(SERIES, keys, records)
    monkeypatch.setattr(_core, "store_network_file_system", lambda path: "nfs")
    store = PredictionStore(tmp_path)
    found = store.read(SERIES, keys)
    np.testing.assert_array_equal(found[0], records)
    with pytest.raises(StoreReadOnlyError, match=r"network file system \(nfs\).*local disk"):
        store.append(SERIES, some_keys(seed=1), records)
    local.append(SERIES, some_keys(seed=1), records)  # what grows elsewhere is seen
    assert store.read(SERIES, some_keys(seed=1))[1].all()
    with pytest.warns(
        StoreWarning, match="forecasts are not stored: .*network file system"
    ) as seen:
        ms.walk_forward(random_bars(300), store=store, simulations=3, progress=False)
    assert len([w for w in seen if issubclass(w.category, StoreWarning)]) == 1


def test_a_local_folder_is_no_network_file_system(tmp_path: Path) -> None:
    assert _core.store_network_file_system(str(tmp_path)) == ""
    assert _core.store_network_file_system(str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "mode='r'"),
        (errno.EIO, "earlier records are unchanged"),
    ],
)
def test_write_errors_say_what_to_do(tmp_path: Path, code: int, hint: str) -> None:
    class Failing:
        def append(self, *_):
            raise OSError(code, "cannot write: reason", "/some/file")

    store = PredictionStore(tmp_path)
    store._files[SERIES] = Failing()
    with pytest.raises(StoreWriteError, match=hint) as caught:
        store.append(SERIES, some_keys(), np.ones((2, 3), dtype=np.float32))
    assert caught.value.errno == code
    assert "2 forecasts of TEST could not be stored: cannot write: reason: /some/file" in str(
        caught.value
    )


@pytest.mark.parametrize("model", ["", "../x", "ABC", "00ff/..", "g" * 8, "0" * 129, "00ff\n"])
def test_a_fingerprint_never_becomes_another_path(tmp_path: Path, model: str) -> None:
    store = PredictionStore(tmp_path)
    with pytest.raises(InvalidNameError, match="hex digits"):
        store.read(SERIES._replace(model=model), some_keys())


@pytest.mark.parametrize("symbol", ["../../x", "/etc/passwd", "a\0b", "", "x" * 900, "Ünïcode\n"])
def test_any_symbol_is_a_plain_file_name(tmp_path: Path, symbol: str) -> None:
    store = PredictionStore(tmp_path / "store")
    series = SERIES._replace(series=symbol)
    keys, records = some_keys(), np.ones((2, 3), dtype=np.float32)
    store.append(series, keys, records)
    assert store.read(series, keys)[1].all()
    assert not store.read(SERIES._replace(series=symbol + "x"), keys)[1].any()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_arguments_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="mode must be one of a, r: got 'w'"):
        PredictionStore(tmp_path, mode="w")
    with pytest.raises(ArgumentError, match="sync must be one of batch, none: got 'maybe'"):
        PredictionStore(tmp_path, sync="maybe")
    store = PredictionStore(tmp_path)
    with pytest.raises(ArgumentError, match=r"records must have shape \(2, 3\): got \(2, 4\)"):
        store.append(SERIES, some_keys(), np.ones((2, 4), dtype=np.float32))
    with pytest.raises(ArgumentError, match="at most"):
        store.read(SERIES._replace(series="x" * 5000), some_keys())


@pytest.mark.parametrize("writer", _core.supported_isas())
@pytest.mark.parametrize("reader", _core.supported_isas())
def test_files_pass_between_instruction_sets(tmp_path: Path, writer: str, reader: str) -> None:
    keys = some_keys(100)
    records = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)
    before = _core.isa()
    try:
        _core.set_isa(writer)
        PredictionStore(tmp_path).append(SERIES, keys, records)
        _core.set_isa(reader)
        got, found = PredictionStore(tmp_path).read(SERIES, keys)
    finally:
        _core.set_isa(before)
    assert found.all()
    np.testing.assert_array_equal(got, records)


def test_a_path_that_leads_elsewhere_is_followed_anew(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    first = open_store(link)
    assert isinstance(first, PredictionStore)
    assert open_store(link) is first
    link.unlink()
    link.symlink_to(tmp_path / "two")
    second = open_store(link)
    assert isinstance(second, PredictionStore)
    assert (first.path.name, second.path.name) == ("one", "two")
    (tmp_path / "two").rename(tmp_path / "three")  # the folder is moved, and the link put right
    link.unlink()
    link.symlink_to(tmp_path / "three")
    third = open_store(link)
    assert isinstance(third, PredictionStore)
    assert third.path.name == "three"


def test_a_relative_path_depends_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for name in ("one", "two"):
        (tmp_path / name / "store").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        store = open_store("store")
        assert isinstance(store, PredictionStore)
        paths.append(store.path)
    assert paths == [tmp_path / "one" / "store", tmp_path / "two" / "store"]
