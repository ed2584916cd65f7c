"""A small store on the disk, and what tests of its upkeep do with its files."""

from __future__ import annotations

import os
import time
from pathlib import Path

from store_cases import SCHEMA, bits, keys_for, records_for

from marketsim.forecasts import PredictionStore, SeriesId
from marketsim.forecasts.store.inspect import stride_of

ALPHA, BETA = "00ff", "ab12"
STRIDE = stride_of(SCHEMA.width)
NUMBERS = range(20)


def series_of(model: str, symbol: str) -> SeriesId:
    return SeriesId(model, symbol, SCHEMA.text)


def filled_store(tmp_path: Path) -> PredictionStore:
    """Two models, three files of 20 records each."""
    store = PredictionStore(tmp_path / "store")
    for model, name in ((ALPHA, "alpha"), (BETA, "beta")):
        store.describe(model, {"name": name})
    for model, symbol in ((ALPHA, "AAA"), (ALPHA, "BBB"), (BETA, "AAA")):
        store.append(series_of(model, symbol), keys_for(NUMBERS), records_for(NUMBERS))
    return store


def file_of(store: PredictionStore, model: str = ALPHA, symbol: str = "AAA") -> Path:
    return store.path_of(series_of(model, symbol))


def held(store: PredictionStore, model: str = ALPHA, symbol: str = "AAA", numbers=NUMBERS) -> int:
    """How many of the records are there; each must have its own value."""
    fresh = PredictionStore(store.path, mode="r")
    records, found = fresh.read(series_of(model, symbol), keys_for(numbers))
    assert bits(records[found]) == bits(records_for(numbers)[found])
    return int(found.sum())


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)
    settle(path)


def settle(path: Path) -> None:
    """Date a file back: nobody is copying it to its place any more."""
    then = time.time() - 3600
    os.utime(path, (then, then))


def tree(store: PredictionStore) -> dict[str, bytes]:
    """Every file and its content."""
    return {
        str(path.relative_to(store.path)): path.read_bytes()
        for path in store.path.rglob("*")
        if path.is_file()
    }


def ages(store: PredictionStore, days: dict[Path, float]) -> None:
    for path, age in days.items():
        then = time.time() - 86400 * age
        os.utime(path, (then, then))
