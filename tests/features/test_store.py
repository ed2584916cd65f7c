"""Stored features: right or a miss; appended row by row; mapped without copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indicator_inputs import same_bits, series
from windowed_features import fifteen

from marketsim.errors import ArgumentError, StoreReadOnlyError, UnknownNameError
from marketsim.features import FeatureStore, Pipeline, column, indicator

# Windows as long as the lookback have no value at the lags.
pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")
ROWS = 700


def bars_of(rows: int, seed: int = 0) -> dict[str, Any]:
    data = series("walk", ROWS, seed)
    return {name: getattr(data, name)[:rows].copy() for name in data._fields[:5]}


def pipeline(lookback: int | None = 20) -> Pipeline:
    return Pipeline(fifteen(lookback), asof="current")


@pytest.mark.parametrize("lookback", [20, None])
def test_a_grown_series_is_appended(tmp_path: Path, lookback: int | None) -> None:
    one = pipeline(lookback)
    whole = one.all(bars_of(ROWS)).values
    for rows in (255, 256, 257, 300, 512, ROWS, 400):
        store = FeatureStore(tmp_path)
        table = store.table(one, bars_of(rows))
        assert same_bits(table.values, whole[:rows])
        assert len(list(tmp_path.rglob("*.values"))) == 1
    assert store.counters == {"hit": 400, "miss": 0, "corrupt": 0}


@pytest.mark.parametrize("lookback", [20, None])
def test_bars_are_appended_one_by_one(tmp_path: Path, lookback: int | None) -> None:
    one, bars = pipeline(lookback), bars_of(ROWS)
    stored = FeatureStore(tmp_path).open(one, bars_of(200))
    whole = one.all(bars).values
    for t in range(200, ROWS):
        row = {k: v[t] for k, v in bars.items()}
        values = stored.append(np.datetime64(t, "ns"), row)
        assert same_bits(values, whole[t])
    assert same_bits(stored.table().values, whole)
    store = FeatureStore(tmp_path, mode="r")
    table = store.table(one, bars)
    assert store.counters["miss"] == 0
    assert same_bits(table.values, whole)
    assert np.array_equal(stored.table().timestamps, table.timestamps)
    with pytest.raises(ArgumentError, match="expected a time after"):
        stored.append(np.datetime64(3, "ns"), row)


def test_slices_are_views_of_the_file(tmp_path: Path) -> None:
    table = FeatureStore(tmp_path).table(pipeline(), bars_of(300))
    assert isinstance(table.values.base, np.memmap) or isinstance(table.values, np.memmap)
    assert not table.values.flags.writeable
    assert np.shares_memory(table[10:20].values, table.values)
    assert np.shares_memory(table["atr_14"], table.values)


def test_edited_data_and_declarations_never_hit(tmp_path: Path) -> None:
    one, bars = pipeline(), bars_of(300)
    FeatureStore(tmp_path).table(one, bars)
    rng = np.random.default_rng(5)
    for _ in range(40):
        name, row = rng.choice(["high", "low", "close"]), int(rng.integers(300))
        edited = {k: v.copy() for k, v in bars.items()}
        edited[name][row] = np.nextafter(edited[name][row], np.inf)
        store = FeatureStore(tmp_path, mode="r")
        table = store.table(one, edited)
        assert store.counters["hit"] == 0
        assert same_bits(table.values, one.all(edited).values)
    for other in (Pipeline(fifteen(21), asof="current"), Pipeline(fifteen(20), asof="previous")):
        store = FeatureStore(tmp_path, mode="r")
        assert same_bits(store.table(other, bars).values, other.all(bars).values)
        assert store.counters["hit"] == 0


def test_two_histories_with_one_beginning_are_both_kept(tmp_path: Path) -> None:
    one, bars = pipeline(), bars_of(300)
    other = {k: np.where(np.arange(300) > 250, v * 1.01, v) for k, v in bars.items()}
    for _ in range(2):
        for each in (bars, other):
            store = FeatureStore(tmp_path)
            assert same_bits(store.table(one, each).values, one.all(each).values)
    assert store.counters == {"hit": 300, "miss": 0, "corrupt": 0}
    # An open handle on the common beginning goes on by itself, and disturbs neither.
    stored = FeatureStore(tmp_path).open(one, {k: v[:251] for k, v in bars.items()})
    row = {k: v[251] * 1.5 for k, v in bars.items()}
    stored.append(np.datetime64(251, "ns"), row)
    third = {k: np.append(v[:251], row[k]) for k, v in bars.items()}
    for each in (bars, other, third):
        store = FeatureStore(tmp_path, mode="r")
        assert same_bits(store.table(one, each).values, one.all(each).values)
        assert store.counters["miss"] == 0


def test_two_writers_of_the_same_rows(tmp_path: Path) -> None:
    one, bars = pipeline(), bars_of(ROWS)
    first = FeatureStore(tmp_path).open(one, bars_of(100))
    second = FeatureStore(tmp_path).open(one, bars_of(100))
    for t in range(100, 140):
        row = {k: v[t] for k, v in bars.items()}
        first.append(np.datetime64(t, "ns"), row)
        if t < 120:
            second.append(np.datetime64(t, "ns"), row)
    FeatureStore(tmp_path).table(one, bars_of(200))
    assert same_bits(second.table().values, one.all(bars_of(120)).values)
    assert len(list(tmp_path.rglob("*.values"))) == 1


def test_damage_is_a_miss(tmp_path: Path) -> None:
    one, bars = pipeline(), bars_of(300)
    whole = one.all(bars).values
    rng = np.random.default_rng(8)
    for name in ("values", "keys"):
        for _ in range(15):
            FeatureStore(tmp_path).table(one, bars)
            path = next(tmp_path.rglob(f"*.{name}"))
            content = bytearray(path.read_bytes())
            at = int(rng.integers(len(content)))
            content[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(content)
            assert same_bits(FeatureStore(tmp_path).table(one, bars).values, whole), (name, at)
    for name in ("values", "keys"):  # torn
        path = next(tmp_path.rglob(f"*.{name}"))
        path.write_bytes(path.read_bytes()[:-13])
        assert same_bits(FeatureStore(tmp_path).table(one, bars).values, whole)


def test_reading_writes_nothing(tmp_path: Path) -> None:
    one = Pipeline({"a": indicator("sma", column("close"), window=3)}, asof="current")
    store = FeatureStore(tmp_path / "none", mode="r")
    stored = store.open(one, {"close": [1.0, 2.0, 3.0]})
    assert stored.table()["a"][-1] == 2.0
    assert not (tmp_path / "none").exists()
    with pytest.raises(StoreReadOnlyError, match='open it with mode="a"'):
        stored.append(np.datetime64(3, "ns"), [4.0])
    with pytest.raises(UnknownNameError, match="unknown mode 'w'"):
        FeatureStore(tmp_path, mode="w")
    with pytest.raises(ArgumentError, match="at least one row"):
        store.open(one, {"close": []})
