from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from store_cases import DAY, SCHEMA, keys_for, records_for
from store_files import (
    ALPHA,
    BETA,
    NUMBERS,
    STRIDE,
    ages,
    file_of,
    filled_store,
    flip,
    held,
    series_of,
    settle,
    tree,
)

from marketsim import _core
from marketsim.errors import (
    ArgumentError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreWriteError,
    UnknownNameError,
)
from marketsim.forecasts import PredictionStore
from marketsim.forecasts.store.gc import collect_garbage
from marketsim.forecasts.store.inspect import DATA_START, symbols_of, take_inventory
from marketsim.forecasts.store.listing import (
    LOCK_FILE,
    StoredModel,
    date_text,
    list_models,
    resolve_models,
)
from marketsim.forecasts.store.maintain import compact, repair, verify


@pytest.fixture
def store(tmp_path: Path) -> PredictionStore:
    return filled_store(tmp_path)


# ---- what there is ------------------------------------------------------------------------------


def test_an_inventory_lists_everything(store: PredictionStore) -> None:
    found = take_inventory(store.path)
    assert [(m.fingerprint, m.name, m.note) for m in found.models] == [
        (ALPHA, "alpha", ""),
        (BETA, "beta", ""),
    ]
    assert {f.series for f in found.files} == {
        series_of(ALPHA, "AAA"),
        series_of(ALPHA, "BBB"),
        series_of(BETA, "AAA"),
    }
    for file in found.files:
        assert (file.records, file.corrupt, file.superseded, file.torn) == (20, 0, 0, 0)
        assert (file.first, file.last) == (0, 19 * DAY)
        assert file.defects == ()
        assert file.entry.bytes == DATA_START + 20 * STRIDE == file.entry.path.stat().st_size
    assert found.totals["records"] == 60
    assert found.totals["bytes"] == 3 * (DATA_START + 20 * STRIDE)
    assert symbols_of(store) == ["AAA", "BBB"]
    only = take_inventory(store, models={ALPHA}, series={"BBB"}, dates=False)
    assert [file.series for file in only.files] == [series_of(ALPHA, "BBB")]
    assert only.files[0].first is None


def test_no_store_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match="no prediction store at"):
        take_inventory(tmp_path / "none")
    assert set(take_inventory(tmp_path).totals.values()) == {0}
    assert verify(tmp_path).defects == repair(tmp_path) == compact(tmp_path) == []
    assert collect_garbage(tmp_path, max_bytes=0).removed == ()


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"7", b'{"name": 7}', b'{"name": ""}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_description_that_says_nothing_is_no_obstacle(
    store: PredictionStore, text: bytes
) -> None:
    path = store.folder_of(ALPHA) / "model.json"
    path.write_bytes(text)
    model = next(model for model in list_models(store) if model.fingerprint == ALPHA)
    assert model.name == ""
    assert model.note.startswith("model.json")
    assert verify(store).defects == []


def test_a_description_may_be_anything_but_a_file(store: PredictionStore, tmp_path: Path) -> None:
    path = store.folder_of(ALPHA) / "model.json"
    outside = tmp_path / "outside.json"
    outside.write_text('{"name": "outside"}')

    for make in (lambda: path.symlink_to(outside), lambda: os.mkfifo(path)):
        path.unlink()
        make()
        assert [model.name for model in list_models(store)] == ["", "beta"]
    path.unlink()
    path.mkdir()
    assert [model.name for model in list_models(store)] == ["", "beta"]
    path.rmdir()
    path.write_text(json.dumps({"name": "\ud800x"}))
    assert list_models(store)[0].name == "?x"


def test_names_that_the_store_does_not_make_are_not_looked_at(
    store: PredictionStore, tmp_path: Path
) -> None:
    before = take_inventory(store).totals
    folder = file_of(store).parent
    for name in ("notes.txt", "x.msp", file_of(store).name + ".old", file_of(store).name + "\n"):
        (folder / name).write_bytes(b"not ours")
    for name in ("zz", "0", "\x1b[31m"):
        (folder.parent / name).mkdir()
    (store.path / "v1" / "NOTHEX").mkdir()
    (store.path / "v1" / "abcd").symlink_to(store.folder_of(ALPHA))  # a folder by a link
    (folder.parent / "ff").symlink_to(tmp_path)
    assert take_inventory(store).totals == before
    assert verify(store).defects == []


def test_links_and_pipes_under_names_of_files(store: PredictionStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside.msp"
    shutil.move(file_of(store), outside)
    file_of(store).symlink_to(outside)
    other = file_of(store, ALPHA, "BBB")
    other.unlink()
    os.mkfifo(other)
    found = verify(store)
    assert sorted(found.defects) == sorted(
        (path, "a link or not a file: the store does not read it")
        for path in (file_of(store), other)
    )
    assert [outcome.action for outcome in repair(store)] == ["left", "left"]
    done = collect_garbage(store, max_bytes=0)
    assert [r.entry.model for r in done.removed] == [BETA]
    assert file_of(store).is_symlink()
    assert outside.exists()
    assert other.exists()


def test_dates_of_files_may_be_anything() -> None:
    assert date_text(0) == "1970-01-01"
    assert date_text(90 * 60 * 10**9) == "1970-01-01 01:30"
    assert date_text(10**30) == date_text(-(10**30)) == "?"


def test_models_by_name_fingerprint_and_first_digits() -> None:
    known = [
        StoredModel("abcd1111", "ewma", ""),
        StoredModel("abcd2222", "ewma", ""),
        StoredModel("eeea0000", "", "missing"),
        StoredModel("cafe0000", "abcd1111x", ""),
    ]
    assert resolve_models(known, ["ewma"]) == {"abcd1111", "abcd2222"}
    assert resolve_models(known, ["abcd1"]) == {"abcd1111"}
    assert resolve_models(known, ["cafe", "abcd2222"]) == {"cafe0000", "abcd2222"}
    with pytest.raises(ArgumentError, match="'abcd' is a prefix of 2 fingerprints"):
        resolve_models(known, ["abcd"])
    for wrong in ("abc", "", "toto", "\x1b[31m"):
        with pytest.raises(UnknownNameError, match="unknown model of the store") as caught:
            resolve_models(known, [wrong])
        assert str(caught.value).isprintable()
    with pytest.raises(UnknownNameError, match="it is empty"):
        resolve_models([], ["ewma"])


# ---- verify and repair --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "defect", "lost", "done"),
    [
        (100, "first header broken", 0, "20 records kept, header restored"),
        (4096 + 4095, "second header broken", 0, "20 records kept, header restored"),
        (DATA_START, "1 corrupt", 1, "19 records kept, 1 corrupt dropped, recomputed when needed"),
        (DATA_START + 20 * STRIDE - 1, "1 corrupt", 1, "19 records kept, 1 corrupt dropped"),
    ],
)
def test_a_flipped_bit_is_found_and_mended(
    store: PredictionStore, offset: int, defect: str, lost: int, done: str
) -> None:
    path = file_of(store)
    flip(path, offset)
    before = tree(store)
    assert verify(store).defects == [(path, defect)]
    assert tree(store) == before
    (outcome,) = repair(store)
    assert (outcome.path, outcome.action) == (path, "compacted")
    assert done in outcome.text
    assert outcome.saved == lost * STRIDE
    assert verify(store).defects == []
    assert held(store) == 20 - lost
    assert repair(store) == []


def test_two_broken_headers_are_set_aside_whole(store: PredictionStore) -> None:
    path = file_of(store)
    flip(path, 100)
    flip(path, 5000)
    data = path.read_bytes()
    assert verify(store).defects == [(path, "both headers broken")]
    assert compact(store) == []  # not its business
    assert path.read_bytes() == data
    (outcome,) = repair(store)
    assert outcome.action == "set aside"
    found = verify(store)
    assert found.defects == []
    (aside,) = found.others
    assert (aside.kind, aside.path.read_bytes()) == ("quarantined", data)
    assert aside.path.name in outcome.text
    store.append(series_of(ALPHA, "AAA"), keys_for(NUMBERS), records_for(NUMBERS))
    assert held(store) == 20


def test_garbage_and_short_files(store: PredictionStore) -> None:
    for content in (b"", b"x" * 100, os.urandom(20_000)):
        file_of(store).write_bytes(content)
        assert [outcome.action for outcome in repair(store)] == ["left"]  # it may be being copied
        settle(file_of(store))
        assert [text for _, text in verify(store).defects] == ["both headers broken"]
        assert [outcome.action for outcome in repair(store)] == ["set aside"]
        assert verify(store).defects == []


def test_a_torn_tail(store: PredictionStore) -> None:
    path = file_of(store)
    path.write_bytes(path.read_bytes() + b"\x01" * 30)
    assert verify(store).defects == [(path, "30 bytes of an unfinished record at the end")]
    (outcome,) = repair(store)
    assert "20 records kept, 1 unfinished dropped" in outcome.text
    assert path.stat().st_size == DATA_START + 20 * STRIDE
    assert held(store) == 20


def test_a_misplaced_copy_is_merged_and_set_aside(store: PredictionStore) -> None:
    """BBB's file under AAA's name: its records go home, none is lost, AAA is free again."""
    stray = file_of(store)
    more = range(30)
    store.append(series_of(ALPHA, "BBB"), keys_for(more), records_for(more))
    shutil.copy(file_of(store, ALPHA, "BBB"), stray)
    path = file_of(store, ALPHA, "BBB")
    cut = path.read_bytes()[: DATA_START + 5 * STRIDE]
    path.unlink()
    path.write_bytes(cut)
    text = "misplaced: its header belongs to a file at another path"
    assert verify(store).defects == [(stray, text)]
    assert compact(store) == []
    (outcome,) = repair(store)
    assert outcome.action == "set aside"
    assert "25 of its 30 records were new" in outcome.text
    assert verify(store).defects == []
    assert held(store, ALPHA, "BBB", more) == 30
    assert held(store) == 0
    assert verify(store).totals["quarantined"] == 1


def test_a_renamed_folder_of_a_model(store: PredictionStore) -> None:
    store.folder_of(BETA).rename(store.path / "v1" / "beef")
    assert [text for _, text in verify(store).defects] == [
        "misplaced: its header belongs to a file at another path"
    ]
    repair(store)
    assert held(store, BETA) == 20
    assert verify(store).defects == []


@pytest.mark.parametrize(
    ("model", "schema"), [("x/../y", SCHEMA.text), (ALPHA, "moments(4);float32"), (ALPHA, "")]
)
def test_what_another_version_wrote_is_left_alone(
    store: PredictionStore, model: str, schema: str
) -> None:
    path = file_of(store)
    path.unlink()
    file = _core.StoreFile(
        str(path), model, "AAA", schema, SCHEMA.width, _core.StoreCounters(), True, False, True
    )
    keys = keys_for(NUMBERS)
    file.append(keys.tags, keys.as_of, keys.target, keys.horizon, keys.flags, records_for(NUMBERS))
    data = path.read_bytes()
    text = "its header names a model or schema that this version does not know"
    assert verify(store).defects == [(path, text)]
    assert [outcome.action for outcome in repair(store)] == ["left"]
    assert path.read_bytes() == data


def test_a_header_that_is_not_text(store: PredictionStore) -> None:
    """Checked like any other, and yet not UTF-8: nothing that marketsim wrote."""
    path = file_of(store)
    header = bytearray(path.read_bytes()[:4096])
    at = header.index(b"AAA")
    header[at] = 0xFF
    header[-4:] = b"\0\0\0\0"
    data = path.read_bytes()
    for crc in _crcs(bytes(header[:-4])):
        header[-4:] = crc
        path.write_bytes(bytes(header) * 2 + data[DATA_START:])
        if [text for _, text in verify(store).defects] == ["its header is not text"]:
            break
    else:
        pytest.fail("no such header could be made")
    assert [outcome.action for outcome in repair(store)] == ["left"]


def _crcs(data: bytes) -> list[bytes]:
    """CRC-32C of the data, bit by bit, with and without the last inversion."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return [value.to_bytes(4, "little") for value in (crc, crc ^ 0xFFFFFFFF)]


def test_a_record_that_is_being_written_is_no_defect(store: PredictionStore) -> None:
    path = file_of(store)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: -STRIDE // 2])  # as a writer leaves it in the middle of its work
    handle = os.open(path, os.O_RDWR)
    lock = os.open(path.parent / LOCK_FILE, os.O_WRONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    found = []
    thread = threading.Thread(target=lambda: found.append(verify(store)))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()  # it waits for the writer
    os.pwrite(handle, whole[-STRIDE:], len(whole) - STRIDE)
    os.close(handle)
    os.close(lock)
    thread.join(30)
    assert found[0].defects == []
    assert found[0].totals["records"] == 60


def test_nothing_is_written_to_a_store_for_reading(store: PredictionStore) -> None:
    flip(file_of(store), DATA_START)
    flip(file_of(store, BETA), 100)
    flip(file_of(store, BETA), 5000)
    before = tree(store)
    reader = PredictionStore(store.path, mode="r")
    assert len(verify(reader).defects) == 2
    assert collect_garbage(reader, max_bytes=0, dry_run=True).freed > 0
    for change in (repair, compact, collect_garbage):
        with pytest.raises(StoreReadOnlyError, match="this store cannot be changed"):
            change(reader)
    assert tree(store) == before


def test_a_full_disk_changes_nothing(store: PredictionStore, monkeypatch) -> None:
    flip(file_of(store), DATA_START)
    before = tree(store)
    real = _core.StoreFile

    class Full:
        def __init__(self, *args, **kwargs) -> None:
            self.file = real(*args, **kwargs)

        def contents(self):
            return self.file.contents()

        def compact(self):
            raise OSError(28, "No space left on device", "x.tmp")

    monkeypatch.setattr(_core, "StoreFile", Full)
    with pytest.raises(
        StoreWriteError, match="the rewritten file of 'AAA' could not be stored: No space"
    ):
        repair(store)
    assert tree(store) == before


# ---- compact ------------------------------------------------------------------------------------


def test_compacting_drops_what_does_not_count_and_keeps_the_age(store: PredictionStore) -> None:
    path = file_of(store)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole + whole[DATA_START : DATA_START + 3 * STRIDE])  # three keys again
    ages(store, {path: 100})
    before = {p: p.stat() for p in (path, file_of(store, BETA))}
    assert verify(store).defects == []  # superseded records do no harm
    (outcome,) = compact(store)
    assert (outcome.path, outcome.saved) == (path, 3 * STRIDE)
    assert "20 records kept, 3 superseded dropped" in outcome.text
    assert path.read_bytes() == whole
    assert path.stat().st_mtime_ns == before[path].st_mtime_ns
    assert path.stat().st_ino != before[path].st_ino
    other, was = file_of(store, BETA).stat(), before[file_of(store, BETA)]
    # Not all of it: reading may have noted the time.
    assert (other.st_ino, other.st_size, other.st_mtime_ns) == (
        was.st_ino,
        was.st_size,
        was.st_mtime_ns,
    )
    assert compact(store, series={"AAA"}) == []
