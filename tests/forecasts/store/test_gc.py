from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from store_cases import SCHEMA, SERIES, keys_for, records_for
from store_files import (
    ALPHA,
    BETA,
    NUMBERS,
    ages,
    file_of,
    filled_store,
    flip,
    held,
    series_of,
)

from marketsim import _core
from marketsim.errors import (
    ArgumentError,
    StoreWriteError,
    UnknownNameError,
)
from marketsim.forecasts import PredictionStore
from marketsim.forecasts.store import gc as collecting
from marketsim.forecasts.store.gc import collect_garbage
from marketsim.forecasts.store.inspect import take_inventory
from marketsim.forecasts.store.listing import (
    StoreEntry,
    list_entries,
)
from marketsim.forecasts.store.maintain import compact, verify


@pytest.fixture
def store(tmp_path: Path) -> PredictionStore:
    return filled_store(tmp_path)


def test_without_rules_only_what_is_left_over_goes(store: PredictionStore) -> None:
    path = file_of(store)
    now = int(time.time())
    old_bad = path.with_name(f"{path.name}.bad-{now - 31 * 86400}-5-7")
    new_bad = path.with_name(f"{path.name}.bad-{now - 60}-5-7")
    old_tmp = path.with_name(f"{path.name}.tmp-12-0-000000001")
    new_tmp = path.with_name(f"{path.name}.tmp-13-0-000000001")
    part = store.folder_of(ALPHA) / "model.json.tmp-77-0abcdef1"
    for leftover in (old_bad, new_bad, old_tmp, new_tmp, part):
        leftover.write_bytes(b"12345")
    ages(store, {old_tmp: 2, part: 2, old_bad: 0, new_bad: 500, path: 1000})
    dry = collect_garbage(store, dry_run=True)
    assert {r.entry.path for r in dry.removed} == {old_bad, old_tmp, part}
    assert dry.freed == 15
    assert all(p.exists() for p in (old_bad, old_tmp, part))
    done = collect_garbage(store)
    assert {r.entry.path for r in done.removed} == {old_bad, old_tmp, part}
    assert {r.reason for r in done.removed} == {"quarantined, 30 days old", "temporary, 1 days old"}
    assert not any(p.exists() for p in (old_bad, old_tmp, part))
    assert new_bad.exists()
    assert new_tmp.exists()
    assert held(store) == 20
    assert done.left == take_inventory(store).totals["bytes"] == dry.left
    assert collect_garbage(store, max_bytes=done.left - 1).removed[0].entry.path == new_bad


def test_models_that_are_not_kept(store: PredictionStore) -> None:
    with pytest.raises(UnknownNameError, match="unknown model of the store 'alhpa'"):
        collect_garbage(store, keep_models=["alhpa"])
    assert take_inventory(store).totals["files"] == 3
    done = collect_garbage(store, keep_models=["alpha"])
    assert [(r.entry.model, r.reason) for r in done.removed] == [(BETA, "its model is not kept")]
    assert not store.folder_of(BETA).exists()  # with its description
    assert held(store) == 20
    store.describe(BETA, {"name": "beta"})
    store.append(series_of(BETA, "AAA"), keys_for(NUMBERS), records_for(NUMBERS))
    assert held(store, BETA) == 20


def test_rules_together_must_all_agree(store: PredictionStore) -> None:
    a, b, c = file_of(store), file_of(store, ALPHA, "BBB"), file_of(store, BETA)
    ages(store, {a: 10, b: 30, c: 20})
    size = a.stat().st_size

    def removed(**rules) -> list[Path]:
        return [r.entry.path for r in collect_garbage(store, dry_run=True, **rules).removed]

    assert removed(older_than=timedelta(days=15)) == [b, c]
    assert removed(older_than=timedelta(days=15), keep_models=[ALPHA]) == [c]
    assert removed(older_than=timedelta(days=25), keep_models=[ALPHA]) == []
    assert removed(max_bytes=3 * size) == []
    assert removed(max_bytes=3 * size - 1) == [b]
    assert removed(max_bytes=size) == [b, c]
    assert removed(max_bytes=0, older_than=timedelta(days=25)) == [b]
    assert removed(max_bytes=0, keep_models=["beta"]) == [b, a]
    assert removed(older_than=datetime.now(UTC) - timedelta(days=25)) == [b]
    assert removed(older_than=datetime(1990, 1, 1)) == []
    for wrong in (timedelta(days=-1), datetime(2990, 1, 1), datetime(2990, 1, 1, tzinfo=UTC)):
        with pytest.raises(ArgumentError, match="older_than"):
            removed(older_than=wrong)
    with pytest.raises(ArgumentError, match="max_bytes must be at least 0: got -1"):
        removed(max_bytes=-1)


def test_a_file_that_changes_meanwhile_stays(store: PredictionStore, monkeypatch) -> None:
    real = list_entries
    more = range(20, 25)
    replaced = file_of(store, ALPHA, "BBB")

    def entries(*args, **kwargs) -> list[StoreEntry]:
        found = list(real(*args, **kwargs))
        store.append(series_of(ALPHA, "AAA"), keys_for(more), records_for(more))
        data = replaced.read_bytes()
        replaced.unlink()
        replaced.write_bytes(data)
        return found

    monkeypatch.setattr(collecting, "list_entries", entries)
    done = collect_garbage(store, max_bytes=0)
    assert [r.entry.model for r in done.removed] == [BETA]
    assert {(r.entry.path, r.reason) for r in done.kept} == {
        (path, "another process wrote to it or replaced it") for path in (file_of(store), replaced)
    }
    assert held(store, numbers=range(25)) == 25
    assert held(store, ALPHA, "BBB") == 20


def test_files_that_are_not_what_their_name_says_are_not_removed(store: PredictionStore) -> None:
    shutil.copy(file_of(store), file_of(store, BETA))
    flip(file_of(store, ALPHA, "BBB"), 1)
    flip(file_of(store, ALPHA, "BBB"), 4097)
    for dry_run in (True, False):
        done = collect_garbage(store, max_bytes=0, dry_run=dry_run)
        assert [r.entry.path for r in done.removed] == [file_of(store)]
        assert {r.entry.path for r in done.kept} == {
            file_of(store, BETA),
            file_of(store, ALPHA, "BBB"),
        }
        assert all("run repair first" in r.reason for r in done.kept)


def test_a_description_stays_if_a_file_comes_meanwhile(store: PredictionStore, monkeypatch) -> None:
    text = (store.folder_of(BETA) / "model.json").read_bytes()
    real = Path.rmdir

    def rmdir(path: Path) -> None:
        if path == store.folder_of(BETA):
            store.append(series_of(BETA, "AAA"), keys_for(NUMBERS), records_for(NUMBERS))
        real(path)

    monkeypatch.setattr(Path, "rmdir", rmdir)
    collect_garbage(store, keep_models=[ALPHA])
    assert held(store, BETA) == 20
    assert (store.folder_of(BETA) / "model.json").read_bytes() == text


def test_a_folder_with_something_of_another_stays(store: PredictionStore) -> None:
    note = store.folder_of(BETA) / "note.txt"
    note.write_text("mine")
    collect_garbage(store, keep_models=[ALPHA])
    assert sorted(p.name for p in store.folder_of(BETA).iterdir()) == ["model.json", "note.txt"]


def test_a_file_that_cannot_be_removed_is_an_error(store: PredictionStore, monkeypatch) -> None:
    def unlink(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(StoreWriteError, match="could not be removed: Permission denied"):
        collect_garbage(store, max_bytes=0)


WRITER = """
import sys
from pathlib import Path
from store_cases import SCHEMA, keys_for, records_for
from marketsim.errors import StoreWriteError
from marketsim.forecasts import PredictionStore, SeriesId

root, stop, acknowledged = map(Path, sys.argv[1:4])
store = PredictionStore(root, sync="none")
with acknowledged.open("w") as out:
    number = 0
    while not stop.exists():
        for model in sys.argv[4:]:
            part = range(number, number + 3)
            try:
                store.append(SeriesId(model, "AAA", SCHEMA.text), keys_for(part), records_for(part))
            except StoreWriteError:
                continue  # its folder was removed at that moment: it was told
            for i in part:
                out.write(f"{model} {i}\\n")
        number += 3
"""


def start_writer(store: PredictionStore, tmp_path: Path, *models: str) -> subprocess.Popen[str]:
    paths = [store.path, tmp_path / "stop", tmp_path / "acknowledged"]
    support = str(Path(__file__).parents[2] / "support")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, paths), *models],
        env={**os.environ, "PYTHONPATH": support},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "acknowledged").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def stop_writer(process: subprocess.Popen[str], tmp_path: Path) -> dict[str, list[int]]:
    (tmp_path / "stop").touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    told: dict[str, list[int]] = {}
    for line in (tmp_path / "acknowledged").read_text().splitlines():
        model, number = line.split()
        told.setdefault(model, []).append(int(number))
    return told


def test_gc_beside_a_writer_loses_nothing_of_what_is_kept(
    store: PredictionStore, tmp_path: Path
) -> None:
    process = start_writer(store, tmp_path, ALPHA, BETA)
    removed = kept = 0
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        done = collect_garbage(store, keep_models=[ALPHA])
        removed += len(done.removed)
        kept += len(done.kept)
        verify(store)
        compact(store)
    told = stop_writer(process, tmp_path)
    assert len(told[ALPHA]) > 100
    assert removed > 0
    assert held(store, numbers=told[ALPHA]) == len(told[ALPHA])
    assert verify(store).defects == []


def test_no_writer_appends_to_a_file_that_is_gone(
    store: PredictionStore, tmp_path: Path, monkeypatch
) -> None:
    """Removed files are moved to a graveyard here: all that was acknowledged must be in them or in
    the store, and none may grow after its removal."""
    grave = tmp_path / "grave"
    grave.mkdir()
    sizes: dict[Path, int] = {}

    def bury(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".msp":
            to = grave / f"{len(sizes)}.msp"
            sizes[to] = path.stat().st_size
            path.rename(to)

    process = start_writer(store, tmp_path, BETA)
    end = time.monotonic() + 2.0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", bury)
        while time.monotonic() < end:
            collect_garbage(store, older_than=timedelta(0), progress=False)
    told = stop_writer(process, tmp_path)
    assert len(sizes) > 3
    known = set()
    for path in [*sizes, file_of(store, BETA)]:
        if path in sizes:
            assert path.stat().st_size == sizes[path]
        if path.exists():
            file = _core.StoreFile(
                str(path), BETA, "AAA", SCHEMA.text, SCHEMA.width, _core.StoreCounters(), False,
                False, True,
            )  # fmt: skip
            known |= {tag.tobytes() for tag in file.table()[0]}
    asked = keys_for(told[BETA]).digests()
    assert len(asked) > 100
    assert set(asked) <= known


def test_an_append_beside_a_clean_up_that_removes_its_folders(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "store", sync="none")
    store.append(SERIES, keys_for(range(3)), records_for(range(3)))
    done = threading.Event()

    def clean_up() -> None:
        while not done.is_set():
            collect_garbage(store.path, max_bytes=0, progress=False)

    thread = threading.Thread(target=clean_up)
    thread.start()
    try:
        for _ in range(200):
            store.append(SERIES, keys_for(range(3)), records_for(range(3)))
    finally:
        done.set()
        thread.join()
    store.append(SERIES, keys_for(range(3)), records_for(range(3)))
    assert store.read(SERIES, keys_for(range(3)))[1].all()
