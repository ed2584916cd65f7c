"""Contract of stores of forecasts: what runs rely on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.errors import MarketsimError
from marketsim.forecasts.keys import RecordKeys, SeriesId
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store.base import ForecastStore

Records = npt.NDArray[np.float32]
_SCHEMA = Schema.quantiles((0.1, 0.5, 0.9))
_WIDTH = _SCHEMA.width
_DAY = 86_400_000_000_000  # nanoseconds
_SERIES = SeriesId("00ff" * 8, "AAA", _SCHEMA.text)
_THREADS, _BATCHES, _BATCH = 4, 10, 8


class StoreContractError(MarketsimError, AssertionError):
    """Raised if a store breaks the contract; the message says how."""


def check_store(
    make: Callable[[], ForecastStore],
    *,
    reopen: Callable[[ForecastStore], ForecastStore] | None = None,
    only: str | None = None,
) -> None:
    """Check that a store fulfils the contract of `marketsim.forecasts.ForecastStore`.

    Args:
        make: makes an empty store; called once a check.
        reopen: gives another object on the same records, as another process would open it; None
            for a store that lives in memory.
        only: the name of one check of `STORE_CHECKS`; all of them by default.

    Raises:
        StoreContractError: what it does not keep to.

    Example:
        >>> from marketsim.forecasts import MemoryStore
        >>> check_store(MemoryStore)
    """
    for name in STORE_CHECKS if only is None else (only,):
        _CHECKS[name](make(), reopen)


_Reopen = Callable[[ForecastStore], ForecastStore] | None


def _keys(numbers: range | list[int]) -> RecordKeys:
    digests = [blake3(number.to_bytes(8, "little")).digest(length=16) for number in numbers]
    return RecordKeys.of(digests, np.array(numbers, dtype=np.int64) * _DAY, 3, 1)


def _records(numbers: range | list[int], version: int = 0) -> Records:
    """Make values that no other number or version has."""
    base = np.array(numbers, dtype=np.float64)[:, None] * _WIDTH + np.arange(_WIDTH)
    return (base + 0.25 * version).astype(np.float32)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise StoreContractError(what)


def _read(
    store: ForecastStore, keys: RecordKeys, series: SeriesId = _SERIES
) -> tuple[Records, npt.NDArray[np.bool_]]:
    """Read records, check shapes and dtypes; NaN where nothing was found."""
    records, found = store.read(series, keys)
    _require(
        records.shape == (len(keys), _WIDTH) and records.dtype == np.float32,
        f"read must give float32 records of shape {(len(keys), _WIDTH)}: got {records.dtype} "
        f"{records.shape}",
    )
    _require(
        found.shape == (len(keys),) and found.dtype == np.bool_,
        f"read must give bool found of shape {(len(keys),)}: got {found.dtype} {found.shape}",
    )
    _require(bool(np.isnan(records[~found]).all()), "records that were not found must be NaN")
    return records, found


def _require_held(
    store: ForecastStore,
    numbers: range | list[int],
    expected: Records,
    what: str,
    series: SeriesId = _SERIES,
) -> None:
    records, found = _read(store, _keys(numbers), series)
    lost = int((~found).sum())
    _require(lost == 0, f"{what}: {lost} of {len(found)} records are lost")
    wrong = int((records.view(np.uint32) != expected.view(np.uint32)).any(axis=1).sum())
    _require(wrong == 0, f"{what}: {wrong} of {len(found)} records have other bits")


def _empty(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that an empty store finds nothing, and that a read of no keys is valid."""
    _, found = _read(store, _keys(range(5)))
    _require(not found.any(), "an empty store must find nothing")
    _read(store, _keys(range(0)))
    _require(
        store.append(_SERIES, _keys(range(0)), _records(range(0))) == 0,
        "append of no records must return 0",
    )


def _bits(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that records come back bit for bit, whatever float32 values they hold."""
    odd = np.array([-0.0, np.inf, -np.inf, 1e-45, np.finfo(np.float32).max], dtype=np.float32)
    records = _records(range(20))
    records[3, : min(_WIDTH, 5)] = odd[:_WIDTH]
    added = store.append(_SERIES, _keys(range(20)), records)
    _require(added == 20, f"append of 20 new records must return 20: got {added}")
    _require_held(store, range(20), records, "after append")


def _first(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that the first of two records with one key stays, in one batch and in two."""
    store.append(_SERIES, _keys(range(10)), _records(range(10)))
    added = store.append(_SERIES, _keys(range(15)), _records(range(15), version=1))
    _require(added == 5, f"append of 5 new records among 15 must return 5: got {added}")
    mixed = np.concatenate([_records(range(10)), _records(range(10, 15), version=1)])
    _require_held(store, range(15), mixed, "after an append of keys that were there")
    twice = [20, 21, 20]
    records = np.concatenate([_records([20, 21]), _records([20], version=1)])
    added = store.append(_SERIES, _keys(twice), records)
    _require(added == 2, f"append of 2 keys, one of them twice, must return 2: got {added}")
    _require_held(store, [20, 21], _records([20, 21]), "after a batch that repeats a key")


def _apart(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that records of another model, series or schema are never found."""
    store.append(_SERIES, _keys(range(5)), _records(range(5)))
    others = {
        "model": _SERIES._replace(model="00fe" * 8),
        "series": _SERIES._replace(series="AAB"),
        "schema": _SERIES._replace(schema=Schema.quantiles((0.2, 0.5, 0.8)).text),
    }
    for i, (kind, other) in enumerate(others.items(), 1):
        _, found = _read(store, _keys(range(5)), other)
        _require(not found.any(), f"records of another {kind} are found")
        store.append(other, _keys(range(5)), _records(range(5), version=i))
    _require_held(store, range(5), _records(range(5)), "after the same keys were kept for others")
    for i, (kind, other) in enumerate(others.items(), 1):
        expected = _records(range(5), version=i)
        _require_held(store, range(5), expected, f"of another {kind}", other)


def _order(store: ForecastStore, reopen: _Reopen) -> None:
    """Check reads of keys in any order, repeated, and among missing ones."""
    store.append(_SERIES, _keys(range(50)), _records(range(50)))
    asked = [int(number) for number in np.random.default_rng(0).integers(0, 90, 200)]
    records, found = _read(store, _keys(asked))
    there = np.array(asked) < 50
    _require(bool((found == there).all()), "found must say of each key whether it is there")
    same = records[there].view(np.uint32) == _records(asked).view(np.uint32)[there]
    _require(bool(same.all()), "records must stand in the order of the keys that were asked for")


def _copies(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that later changes to the caller's arrays change nothing in the store."""
    given = _records(range(5))
    store.append(_SERIES, _keys(range(5)), given)
    given[:] = -1.0
    _require_held(store, range(5), _records(range(5)), "after the caller changed its records")
    records, _ = _read(store, _keys(range(5)))
    if records.flags.writeable:
        records[:] = -2.0
    _require_held(store, range(5), _records(range(5)), "after the caller changed what it read")


def _refusals(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that records that do not fit their keys or schema raise ValueError and are not kept."""
    for bad in (_records(range(4)), _records(range(5))[:, 1:], _records(range(5))[0]):
        try:
            store.append(_SERIES, _keys(range(5)), bad)
        except ValueError:
            pass
        else:
            raise StoreContractError(
                f"append of 5 keys with records of shape {bad.shape} must raise ArgumentError"
            )
        _, found = _read(store, _keys(range(5)))
        _require(not found.any(), "a refused append must keep nothing")


def _threads(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that threads can append and read at the same time."""
    problems: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for batch in range(_BATCHES):
                own = range(first := (thread * _BATCHES + batch) * _BATCH, first + _BATCH)
                store.append(_SERIES, _keys(own), _records(own))
                _require_held(store, own, _records(own), "beside other threads")
        except BaseException as error:  # handed to the caller's thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise StoreContractError(f"threads at once: {problems[0]}") from problems[0]
    every = range(_THREADS * _BATCHES * _BATCH)
    _require_held(store, every, _records(every), "after threads appended at once")


def _descriptions(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that a model can be described before and after it has records, and again."""
    store.describe(_SERIES.model, {"name": "a model"})
    store.append(_SERIES, _keys(range(3)), _records(range(3)))
    store.describe(_SERIES.model, {"name": "a model", "levels": [0.1, 0.5]})
    _require_held(store, range(3), _records(range(3)), "after describe")


def _pickles(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that a pickled copy finds the records."""
    store.append(_SERIES, _keys(range(5)), _records(range(5)))
    copy: Any = ForkingPickler.loads(ForkingPickler.dumps(store))
    _require_held(copy, range(5), _records(range(5)), "of a pickled copy")


def _reopened(store: ForecastStore, reopen: _Reopen) -> None:
    """Check that a second object finds the same records, and those appended later."""
    if reopen is None:
        return
    store.append(_SERIES, _keys(range(5)), _records(range(5)))
    other = reopen(store)
    _require_held(other, range(5), _records(range(5)), "opened anew")
    store.append(_SERIES, _keys(range(5, 9)), _records(range(5, 9)))
    _require_held(other, range(9), _records(range(9)), "appended by another object")
    added = other.append(_SERIES, _keys(range(9)), _records(range(9), version=1))
    _require(added == 0, f"records that another object appended must not be new: got {added}")
    _require_held(store, range(9), _records(range(9)), "after another object's append")


_CHECKS: dict[str, Callable[[ForecastStore, _Reopen], None]] = {
    "empty": _empty,
    "bits": _bits,
    "first": _first,
    "apart": _apart,
    "order": _order,
    "copies": _copies,
    "refusals": _refusals,
    "threads": _threads,
    "descriptions": _descriptions,
    "pickles": _pickles,
    "reopened": _reopened,
}
STORE_CHECKS = tuple(_CHECKS)
