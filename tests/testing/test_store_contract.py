"""The stores keep to the contract, and the suite finds those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketsim import testing
from marketsim.forecasts import MemoryStore, PredictionStore


@pytest.mark.parametrize("check", testing.STORE_CHECKS)
def test_the_stores_keep_to_the_contract(check: str, tmp_path: Path) -> None:
    testing.check_store(MemoryStore, only=check)
    testing.check_store(
        lambda: PredictionStore(tmp_path / "store", sync="none"),
        reopen=lambda store: PredictionStore(store.path, sync="none"),
        only=check,
    )


class Honest(MemoryStore):
    """Each store below breaks one promise of this one."""


class FindsInEmpty(Honest):
    def read(self, series, keys):
        records, found = super().read(series, keys)
        return np.zeros_like(records), np.ones_like(found)


class DoublePrecision(Honest):
    def read(self, series, keys):
        records, found = super().read(series, keys)
        return records.astype(np.float64), found


class LosesSigns(Honest):
    def append(self, series, keys, records):
        return super().append(series, keys, records + np.float32(0.0))


class LastWins(Honest):
    def append(self, series, keys, records):
        new = super().append(series, keys, records)
        self._records[series].update(zip(keys.digests(), np.array(records), strict=True))
        return new


class CountsAll(Honest):
    def append(self, series, keys, records):
        super().append(series, keys, records)
        return len(keys)


class OneModel(Honest):
    def read(self, series, keys):
        return super().read(series._replace(model="00"), keys)

    def append(self, series, keys, records):
        return super().append(series._replace(model="00"), keys, records)


class OneSchema(Honest):
    def read(self, series, keys):
        known = next((s for s in self._records if s[:2] == series[:2]), series)
        return super().read(known, keys)


class Sorted(Honest):
    def read(self, series, keys):
        order = np.argsort([int.from_bytes(d) for d in keys.digests()], kind="stable")
        return super().read(series, keys[order])


class KeepsReferences(Honest):
    def append(self, series, keys, records):
        new = super().append(series, keys, records)
        self._records[series].update(zip(keys.digests(), records, strict=True))
        return new


class GivesItself(Honest):
    def read(self, series, keys):
        records, found = super().read(series, keys)
        if not found.all():
            return records, found
        self.whole = getattr(self, "whole", records)
        return (self.whole if len(self.whole) == len(records) else records), found


class CutsToFit(Honest):
    def append(self, series, keys, records):
        count = min(len(keys), len(np.atleast_2d(records)))
        try:
            return super().append(series, keys[:count], np.atleast_2d(records)[:count])
        except ValueError:
            return 0


class OneThread(Honest):
    def append(self, series, keys, records):
        import threading

        if threading.current_thread() is not threading.main_thread():
            return 0
        return super().append(series, keys, records)


class ForgetsOnDescribe(Honest):
    def describe(self, model, facts):
        self._records.clear()


class ArrivesEmpty(Honest):
    def __reduce__(self):
        return MemoryStore, ()


class OwnFile(PredictionStore):
    """Looks at the disk once."""

    def read(self, series, keys):
        kept = vars(self).setdefault("kept", {})
        records, found = super().read(series, keys)
        known = kept.setdefault(series, set(keys.digests()) if found.any() else set())
        there = np.array([d in known for d in keys.digests()], dtype=np.bool_) & found
        records = records.copy()
        records[~there] = np.nan
        return records, there


LIARS: dict[type, str] = {
    FindsInEmpty: "empty",
    DoublePrecision: "empty",
    LosesSigns: "bits",
    LastWins: "first",
    CountsAll: "first",
    OneModel: "apart",
    OneSchema: "apart",
    Sorted: "order",
    KeepsReferences: "copies",
    GivesItself: "copies",
    CutsToFit: "refusals",
    OneThread: "threads",
    ForgetsOnDescribe: "descriptions",
    ArrivesEmpty: "pickles",
}


@pytest.mark.parametrize("liar", LIARS, ids=lambda kind: kind.__name__)
def test_a_store_that_breaks_one_promise_is_found(liar: Callable[[], Any]) -> None:
    with pytest.raises(testing.StoreContractError):
        testing.check_store(liar, only=LIARS[liar])


def test_a_store_that_never_looks_again_is_found(tmp_path: Path) -> None:
    with pytest.raises(testing.StoreContractError, match="appended by another object"):
        testing.check_store(
            lambda: PredictionStore(tmp_path, sync="none"),
            reopen=lambda store: OwnFile(store.path),
            only="reopened",
        )
    assert {*LIARS.values(), "reopened"} == {*testing.STORE_CHECKS}  # each check has its liar
