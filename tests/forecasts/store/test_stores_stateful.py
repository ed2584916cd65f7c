"""Any sequence of operations: the store on disk beside a dictionary and LMDB."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from lmdb_store import LmdbStore
from market import random_frame
from store_cases import SCHEMA, SERIES, NotingModel, bits, in_child, keys_for, records_for

import marketsim as ms
from marketsim.bars import TARGETS, close_moves
from marketsim.forecasts import ForecastPlan, MemoryStore, PredictionStore, Schema, run_plan

LISTS = [SERIES, SERIES._replace(series="../B"), SERIES._replace(schema=Schema.of_samples(9).text)]
WIDTHS = [SCHEMA.width, SCHEMA.width, 9]
NUMBERS = st.lists(st.integers(0, 400), max_size=12)
RUNS = st.tuples(st.integers(0, 380), st.integers(0, 200)).map(lambda r: list(range(r[0], sum(r))))
FULL = os.environ.get("MARKETSIM_FAULTS") == "full"


class Records(RuleBasedStateMachine):
    """Records of three series through two objects on one folder, and through children."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.stores = [self.fresh(), self.fresh()]
        self.lmdb = LmdbStore(self.folder / "lmdb", sync=False, map_size=1 << 26)
        self.known: list[dict[int, int]] = [{}, {}, {}]  # number -> version
        self.views: list[tuple[np.ndarray, bytes]] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.check_views()
            self.lmdb.close()
            shutil.rmtree(self.folder)
            self.check_views()

    def fresh(self) -> PredictionStore:
        return PredictionStore(self.folder / "store", sync="none")

    def values(self, numbers: list[int], which: int, version: int) -> np.ndarray:
        return records_for(numbers, version=version, width=WIDTHS[which])

    @rule(
        which=st.integers(0, 2),
        at=st.integers(0, 1),
        numbers=NUMBERS | RUNS,
        version=st.integers(0, 3),
        child=st.sampled_from([False, False, False, True]),
    )
    def append(self, which: int, at: int, numbers: list[int], version: int, child: bool) -> None:
        series, keys = LISTS[which], keys_for(numbers)
        records = self.values(numbers, which, version)
        new = len(set(numbers) - set(self.known[which]))

        def work() -> None:
            assert self.stores[at].append(series, keys, records) == new

        in_child(work) if child else work()
        assert self.lmdb.append(series, keys, records) == new
        for number in numbers:
            self.known[which].setdefault(number, version)

    @rule(which=st.integers(0, 2), at=st.integers(0, 1), numbers=NUMBERS | RUNS)
    def read(self, which: int, at: int, numbers: list[int]) -> None:
        known, width = self.known[which], WIDTHS[which]
        rows = [
            self.values([number], which, known[number])[0]
            if number in known
            else np.full(width, np.nan, dtype=np.float32)
            for number in numbers
        ]
        expected = np.array(rows, dtype=np.float32).reshape(-1, width)
        for store in (self.stores[at], self.lmdb):
            records, found = store.read(LISTS[which], keys_for(numbers))
            assert found.tolist() == [number in known for number in numbers]
            np.testing.assert_array_equal(records, expected)

    @rule(which=st.integers(0, 2), at=st.integers(0, 1), number=st.integers(0, 400))
    def get(self, which: int, at: int, number: int) -> None:
        view = self.stores[at].get(LISTS[which], keys_for([number]).digests()[0])
        version = self.known[which].get(number)
        assert (view is None) == (version is None)
        if view is not None:
            expected = bits(self.values([number], which, version))
            assert bits(view) == expected
            self.views.append((view, expected))

    @rule(which=st.integers(0, 2), at=st.integers(0, 1), child=st.booleans())
    def compact(self, which: int, at: int, child: bool) -> None:
        file = self.stores[at]._file(LISTS[which])
        in_child(file.compact) if child else file.compact()
        contents = file.contents()
        live = len(self.known[which])
        assert (contents["slots"], contents["live"]) == (live, live)

    @rule(at=st.integers(0, 1))
    def close(self, at: int) -> None:
        self.stores[at].close()

    @rule(at=st.integers(0, 1))
    def reopen(self, at: int) -> None:
        self.stores[at] = self.fresh()

    @rule(which=st.integers(0, 2), count=st.integers(1, 63))
    def tear(self, which: int, count: int) -> None:
        """A writer died within a record: some bytes that are none stand at the end."""
        path = self.stores[0].path_of(LISTS[which])
        if path.exists():
            with path.open("ab") as file:
                file.write(bytes(range(1, count + 1)))

    @invariant()
    def check_views(self) -> None:
        for view, expected in getattr(self, "views", []):
            assert bits(view) == expected

    @precondition(lambda self: hasattr(self, "known"))
    @invariant()
    def nothing_is_lost(self) -> None:
        for series, known in zip(LISTS, self.known, strict=True):
            contents = self.stores[0]._file(series).contents()
            assert contents["live"] == len(known)
            for store in self.stores:
                assert store.counters["quarantined"] == store.counters["unreadable"] == 0


class History(RuleBasedStateMachine):
    """A history that grows, is revised and trimmed: what a run makes, beside what it must make."""

    @initialize(context_length=st.sampled_from([None, 1, 12]))
    def start(self, context_length: int | None) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.model = NotingModel(context_length)
        self.frame = random_frame(160)
        self.rows = (0, 60)
        self.seen: set[tuple[object, ...]] = set()
        self.stores = [PredictionStore(self.folder / "store", sync="none")]
        self.lmdb = LmdbStore(self.folder / "lmdb", sync=False, map_size=1 << 26)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.lmdb.close()
            shutil.rmtree(self.folder)

    @rule(days=st.integers(1, 8))
    def grow(self, days: int) -> None:
        self.rows = (self.rows[0], min(self.rows[1] + days, len(self.frame)))

    @rule(days=st.integers(1, 8))
    def trim(self, days: int) -> None:
        self.rows = (min(self.rows[0] + days, self.rows[1] - 20), self.rows[1])

    @rule(at=st.floats(0, 1), column=st.sampled_from(TARGETS), factor=st.sampled_from([0.99, 1.01]))
    def revise(self, at: float, column: str, factor: float) -> None:
        row = self.rows[0] + int(at * (self.rows[1] - self.rows[0] - 1))
        self.frame.iloc[row, self.frame.columns.get_loc(column)] *= factor

    @rule()
    def reopen(self) -> None:
        self.stores = [PredictionStore(self.folder / "store", sync="none")]

    @rule()
    def compact(self) -> None:
        for file in self.stores[0]._files.values():
            file.compact()

    @rule(first=st.integers(2, 19), child=st.booleans())
    def run(self, first: int, child: bool) -> None:
        bars = ms.read_bars(
            pd.DataFrame(self.frame.iloc[slice(*self.rows)]), symbol="T", repair="widen_range"
        )
        plan = ForecastPlan(first, len(bars), 1, 1)
        needed = self.contexts(bars, plan)
        expected = len(needed - self.seen)
        self.seen |= needed

        def work() -> None:
            self.model.handed.clear()
            cube = run_plan(bars, self.model, plan, store=self.stores[0], progress=False)
            assert self.model.made == expected
            fresh = run_plan(bars, self.model, plan, store=MemoryStore(), progress=False)
            assert bits(cube.records) == bits(fresh.records)

        in_child(work) if child else work()
        self.model.handed.clear()
        rival = run_plan(bars, self.model, plan, store=self.lmdb, progress=False)
        assert self.model.made == expected
        again = run_plan(bars, self.model, plan, store=self.stores[0], progress=False)
        assert self.model.made == expected
        assert bits(again.records) == bits(rival.records)

    def contexts(self, bars: ms.Bars, plan: ForecastPlan) -> set[tuple[object, ...]]:
        """What each forecast of a plan sees, spelled out instead of hashed."""
        returns, stamps = close_moves(bars), bars.timestamps
        found: set[tuple[object, ...]] = set()
        for day in range(plan.first, plan.stop):
            begin = 0 if self.model.context_length is None else day - 1 - self.model.context_length
            rows = slice(max(0, begin), day - 1)
            dates = stamps[1:][rows].tobytes()
            for i in range(len(TARGETS)):
                found.add((i, dates, returns[i, rows].tobytes()))
        return found


TestRecords = Records.TestCase
TestRecords.settings = settings(max_examples=2000 if FULL else 30, stateful_step_count=40)
TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=500 if FULL else 15, stateful_step_count=20)
