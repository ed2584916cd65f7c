from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mixture_model import MixtureModel
from store_cases import DAY, bits, keys_for, records_for
from store_files import (
    ALPHA,
    BETA,
    NUMBERS,
    file_of,
    filled_store,
    flip,
)

from marketsim.errors import (
    ArgumentError,
    MissingDependencyError,
)
from marketsim.forecasts import Flag, PredictionStore, Schema, SeriesId
from marketsim.forecasts import export as exporting
from marketsim.forecasts.store.export import export_table
from marketsim.forecasts.store.inspect import DATA_START


@pytest.fixture
def store(tmp_path: Path) -> PredictionStore:
    return filled_store(tmp_path)


def read_table(path: Path):
    pa = pytest.importorskip("pyarrow")
    if path.suffix == ".arrow":
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_file(file).read_all()
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read()


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_export_gives_every_number_back(
    store: PredictionStore, tmp_path: Path, suffix: str, monkeypatch
) -> None:
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 7)
    drawn = SeriesId(BETA, "S", Schema.of_samples(5).text)
    samples = records_for(range(4), width=5)
    store.append(drawn, keys_for(range(4), flags=Flag.IMPORTED), samples)
    path = tmp_path / f"table{suffix}"
    done = export_table(store, path)
    table = read_table(path)
    assert done.rows == table.num_rows == 64
    assert list(done.columns) == table.column_names
    rows = table.to_pylist()
    assert table.column_names[:10] == [
        "model", "model_name", "series", "target", "horizon", "as_of", "imported", "key", "mean",
        "std",
    ]  # fmt: skip
    assert table.column_names[10:] == ["q0.1", "q0.5", "q0.9", "samples"]
    for model, symbol in ((ALPHA, "AAA"), (ALPHA, "BBB"), (BETA, "AAA")):
        part = [row for row in rows if (row["model"], row["series"]) == (model, symbol)]
        values = [[row[name] for name in ("mean", "std", "q0.1", "q0.5", "q0.9")] for row in part]
        assert bits(np.array(values, np.float32)) == bits(records_for(NUMBERS))
        assert [bytes.fromhex(row["key"]) for row in part] == keys_for(NUMBERS).digests()
        assert {(row["target"], row["horizon"], row["imported"]) for row in part} == {
            ("close", 1, False)
        }
        assert {row["samples"] for row in part} == {None}
    part = [row for row in rows if row["series"] == "S"]
    assert bits(np.array([row["samples"] for row in part], np.float32)) == bits(samples)
    assert [row["mean"] for row in part] == samples.mean(axis=1).tolist()
    assert {(row["q0.5"], row["imported"], row["model_name"]) for row in part} == {
        (None, True, "beta")
    }
    as_of = table.column("as_of")
    assert str(as_of.type) == "timestamp[ns, tz=UTC]"
    assert as_of.cast("int64").to_pylist()[:3] == [0, DAY, 2 * DAY]


def test_export_of_mixtures(store: PredictionStore, tmp_path: Path) -> None:
    schema = Schema.student_t_mixture(3)
    made = MixtureModel(3).predict_each(np.linspace(-0.01, 0.02, 8), 5)
    records = schema.encode(made)
    store.append(SeriesId(BETA, "M", schema.text), keys_for(range(4)), records)
    export_table(store, tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.column_names[-4:] == ["df", "loc", "scale", "weight"]
    rows = [row for row in table.to_pylist() if row["series"] == "M"]
    lists = [[*row["df"], *row["loc"], *row["scale"], *row["weight"]] for row in rows]
    assert bits(np.array(lists, np.float32)) == bits(records)
    np.testing.assert_allclose([row["mean"] for row in rows], made.mean[:, 0], rtol=1e-6)
    np.testing.assert_allclose([row["std"] for row in rows], made.std[:, 0], rtol=1e-6)
    assert {row["df"] for row in table.to_pylist() if row["series"] != "M"} == {None}


def test_export_of_a_part_and_of_nothing(store: PredictionStore, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    assert export_table(store, path, models={BETA}, series={"AAA"}).rows == 20
    assert set(read_table(path)["model"].to_pylist()) == {BETA}
    assert export_table(store, path, series={"ZZZ"}).rows == 0
    assert read_table(path).num_rows == 0


def test_export_leaves_out_what_cannot_be_trusted(store: PredictionStore, tmp_path: Path) -> None:
    flip(file_of(store), DATA_START)
    shutil.copy(file_of(store, BETA), file_of(store, ALPHA, "BBB"))
    done = export_table(store, tmp_path / "t.arrow")
    assert done.rows == 19 + 20
    assert [(path, why[:9]) for path, why in done.left_out] == [
        (file_of(store, ALPHA, "BBB"), "misplaced")
    ]


def test_export_fails_without_a_trace(store: PredictionStore, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("the old table")
    for wrong in ("t.csv", "t", "none/t.arrow"):
        with pytest.raises(ArgumentError):
            export_table(store, tmp_path / wrong)

    def failing(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "_values", failing)
        with pytest.raises(OSError, match="No space"):
            export_table(store, path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingDependencyError, match=r'pip install "\.\[parquet\]"'):
            export_table(store, path)
    assert path.read_text() == "the old table"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "t.parquet"]
