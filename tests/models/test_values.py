"""Digests of values of common kinds: equal ones are one value, all others differ."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import http
import logging
import operator
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import types
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.extra.pandas as frames
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.models.code import whole_digest

UTC, BERLIN = dt.UTC, zoneinfo.ZoneInfo("Europe/Berlin")
DAYS = pd.date_range("2020-01-01", periods=3)


class Side(enum.Enum):
    LONG = 1
    SHORT = -1

    def sign(self) -> int:
        return int(self.value)


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Settings:
    level: float = 1.0
    side: Side = Side.LONG
    since: dt.date = dt.date(2020, 1, 1)
    weights: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    level: float = 1.0


# Values of one kind that all differ.
DIFFERENT: dict[str, list[Callable[[], Any]]] = {
    "enum": [lambda: Side.LONG, lambda: Side.SHORT, lambda: Side],
    "int enum": [lambda: Rank.LOW, lambda: Rank.HIGH, lambda: 1],
    "flag": [lambda: Rights.READ, lambda: Rights.READ | Rights.WRITE],
    "installed enum": [lambda: http.HTTPStatus.OK, lambda: http.HTTPStatus.NOT_FOUND],
    "date": [lambda: dt.date(2020, 1, 1), lambda: dt.date(2020, 1, 2),
             lambda: dt.datetime(2020, 1, 1)],
    "moment": [
        lambda: dt.datetime(2020, 10, 25, 2, tzinfo=UTC),
        lambda: dt.datetime(2020, 10, 25, 2, tzinfo=BERLIN),
        lambda: dt.datetime(2020, 10, 25, 2, fold=1, tzinfo=BERLIN),
        lambda: dt.datetime(2020, 10, 25, 2),
        lambda: dt.datetime(2020, 10, 25, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    ],
    "time": [lambda: dt.time(1), lambda: dt.time(2), lambda: dt.timedelta(hours=1)],
    "zone": [lambda: BERLIN, lambda: zoneinfo.ZoneInfo("Europe/Paris"), lambda: UTC],
    "path": [lambda: pathlib.Path("a"), lambda: pathlib.Path("b"), lambda: "a",
             lambda: pathlib.PurePosixPath("a")],
    "number": [lambda: decimal.Decimal("1.1"), lambda: decimal.Decimal("1.10"), lambda: 1.1],
    "uuid": [lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=2)],
    "range": [lambda: range(3), lambda: range(4), lambda: slice(0, 3), lambda: [0, 1, 2]],
    "pattern": [lambda: re.compile("a"), lambda: re.compile("a", re.I), lambda: re.compile("b")],
    "bytes": [lambda: bytearray(b"a"), lambda: bytearray(b"b"), lambda: b"a",
              lambda: array.array("d", [1.0]), lambda: array.array("f", [1.0])],
    "deque": [lambda: collections.deque([1]), lambda: collections.deque([1], 5), lambda: [1]],
    "names": [lambda: types.SimpleNamespace(a=1), lambda: types.SimpleNamespace(a=2),
              lambda: types.MappingProxyType({"a": 1}), lambda: collections.ChainMap({"a": 1}),
              lambda: {"a": 1}],
    "getter": [lambda: operator.itemgetter("a"), lambda: operator.itemgetter("b"),
               lambda: operator.attrgetter("a"), lambda: operator.attrgetter("a", "b")],
    "dataclass": [lambda: Settings(), lambda: Settings(level=2.0),
                  lambda: Settings(side=Side.SHORT), lambda: Settings(weights=[1.0]),
                  lambda: Settings(since=dt.date(2021, 1, 1))],
    "slots": [lambda: Slotted(), lambda: Slotted(2.0)],
    "array": [
        lambda: np.array([1.0, 2.0]), lambda: np.float32([1.0, 2.0]),
        lambda: np.array([1.0, 2.0], dtype=object), lambda: np.array([[1.0, 2.0]]),
        lambda: np.ma.masked_array([1.0, 2.0], [0, 0]),
        lambda: np.ma.masked_array([1.0, 2.0], [0, 1]),
        lambda: np.ma.masked_array([1.0, 2.0], [0, 1], fill_value=0.0),
        lambda: np.array([(1.0, 2.0)], [("a", "f8"), ("b", "f8")]),
        lambda: np.array([(1.0, 2.0)], [("a", "f8"), ("c", "f8")]),
        lambda: np.rec.array([(1.0, 2.0)], [("a", "f8"), ("b", "f8")]),
    ],
    "dtype": [lambda: np.dtype("f4"), lambda: np.dtype("f8"), lambda: np.dtype([("a", "f4")])],
    "frame": [
        lambda: pd.DataFrame({"a": [1.0, 2.0]}), lambda: pd.DataFrame({"b": [1.0, 2.0]}),
        lambda: pd.DataFrame({"a": [1.0, 3.0]}), lambda: pd.DataFrame({"a": [1, 2]}),
        lambda: pd.DataFrame({"a": [1.0, 2.0]}, index=[1, 2]),
        lambda: pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"]),
        lambda: pd.DataFrame({"a": ["x", None]}), lambda: pd.DataFrame({"a": ["x", "None"]}),
        lambda: pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}),
        lambda: pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]),
        lambda: pd.DataFrame(columns=["a"]), lambda: pd.DataFrame(index=[1]),
        lambda: pd.Series([1.0, 2.0], name="a"), lambda: pd.Series([1.0, 2.0], name="b"),
    ],
    "index": [
        lambda: DAYS, lambda: DAYS.tz_localize("UTC"), lambda: DAYS.tz_localize("Europe/Berlin"),
        lambda: DAYS.as_unit("s"), lambda: DAYS.rename("day"), lambda: DAYS.to_period(),
        lambda: pd.DatetimeIndex(DAYS.to_numpy()), lambda: DAYS - DAYS[0], lambda: pd.Index([0, 1]),
        lambda: pd.RangeIndex(2), lambda: pd.MultiIndex.from_product([[1], ["a"]]),
        lambda: pd.MultiIndex.from_product([[1], ["b"]]),
        lambda: pd.MultiIndex.from_product([[1], ["a"]], names=["i", "j"]),
        lambda: pd.interval_range(0, 2), lambda: pd.interval_range(0, 2, closed="both"),
    ],
    "extension": [
        lambda: pd.array([1, None], dtype="Int64"), lambda: pd.array([1, 0], dtype="Int64"),
        lambda: pd.array(["a", None], dtype="string"), lambda: pd.array([True, None]),
        lambda: pd.Categorical(["a"]), lambda: pd.Categorical(["a"], categories=["a", "b"]),
        lambda: pd.Categorical(["a"], ordered=True), lambda: pd.arrays.SparseArray([0.0, 1.0]),
    ],
    "pandas value": [
        lambda: pd.Timestamp("2020-01-01"), lambda: pd.Timestamp("2020-01-01", tz="UTC"),
        lambda: pd.Timestamp("2020-01-01").as_unit("s"), lambda: pd.Timestamp(1),
        lambda: pd.Timestamp(2), lambda: pd.Timedelta(1), lambda: pd.Timedelta(2),
        lambda: pd.Period("2020-01"), lambda: pd.Period("2020-01-01"), lambda: pd.NaT,
        lambda: pd.NA, lambda: pd.Interval(0, 1), lambda: pd.Interval(0, 1, "both"),
        lambda: pd.offsets.BDay(1), lambda: pd.offsets.BDay(2),
        lambda: pd.offsets.CustomBusinessDay(holidays=["2020-01-01"]),
        lambda: pd.offsets.CustomBusinessDay(holidays=["2020-01-02"]),
        lambda: pd.CategoricalDtype(range(100)),
        lambda: pd.CategoricalDtype([*range(50), 101, *range(51, 100)]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", DIFFERENT)
def test_equal_values_have_one_digest_and_others_their_own(kind: str) -> None:
    found = [whole_digest(make()) for make in DIFFERENT[kind]]
    assert None not in found
    assert found == [whole_digest(make()) for make in DIFFERENT[kind]]
    assert len(set(found)) == len(found)
    # as the default of a function, an attribute, an item and the global of a function
    for wrap in (
        lambda value: lambda x, d=value: (x, d),
        lambda value: Slotted(value),
        lambda value: {"a": [value]},
        lambda value: types.FunctionType((lambda: KNOWN).__code__, {"KNOWN": value}),  # noqa: F821
    ):
        wrapped = [whole_digest(wrap(make())) for make in DIFFERENT[kind]]
        assert None not in wrapped and len(set(wrapped)) == len(found)


def test_digests_are_those_of_another_process() -> None:
    code = (
        "from test_values import *\n"
        "print([whole_digest(make()) for kind in DIFFERENT for make in DIFFERENT[kind]])"
    )
    path = [str(pathlib.Path(__file__).parent), *sys.path]
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1 and "None" not in found.pop()


def test_an_edited_enumeration_is_another() -> None:
    def digest(body: str) -> str | None:
        scope: dict[str, Any] = {"__name__": "mine", "Enum": enum.Enum}
        exec(f"class Side(Enum):\n{body}\n    def sign(self):\n        return self.value", scope)
        return whole_digest(scope["Side"].LONG)

    bodies = ["    LONG = 1", "    LONG = 2", "    LONG = 1\n    SHORT = 2",
              "    LONG = 1\n    def sgn(self):\n        return 1"]  # fmt: skip
    found = [digest(body) for body in bodies]
    assert None not in found and len(set(found)) == len(found)
    assert found == [digest(body) for body in bodies]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_frames_have_one_digest_where_they_are_equal(data: st.DataObject) -> None:
    columns = [
        frames.column("a", elements=st.sampled_from([0.0, 1.0, np.nan])),
        frames.column("b", elements=st.sampled_from(["x", "y"]), dtype=object),
        frames.column("c", dtype="datetime64[ns]"),
    ]
    index = frames.range_indexes(min_size=0, max_size=3)
    one, other = (data.draw(frames.data_frames(columns, index=index)) for _ in range(2))
    assert (whole_digest(one) == whole_digest(other)) == one.equals(other)
    assert whole_digest(one) == whole_digest(one.copy())


def test_equal_parts_are_not_taken_for_one_another() -> None:
    def first(x: int) -> int:
        return x + 1

    def second(x: int) -> int:
        return x + 2

    assert whole_digest(([first], second, first)) != whole_digest(([first], second, second))


def test_what_decides_no_result_has_a_digest() -> None:
    log, lock = logging.getLogger("mine"), threading.Lock()

    def rule(x: int) -> int:
        with lock:
            log.info("at %s", x)
        return x

    assert whole_digest(rule) is not None


@pytest.mark.parametrize(
    "value",
    [np.random.default_rng(0), random.Random(0), threading.local(), iter([1]),
     type("Frame", (pd.DataFrame,), {})({"a": [1]}), (x for x in [1])],
)  # fmt: skip
def test_what_no_digest_covers_has_none(value: Any) -> None:
    assert whole_digest(value) is None
    assert whole_digest(lambda: value) is None


def _reads_a_file(n: int) -> float:
    with open("levels.txt") as file:  # noqa: PTH123
        return float(file.read()) * n


def test_code_that_reads_outside_has_none() -> None:
    import json

    assert whole_digest(_reads_a_file) is None
    assert whole_digest(lambda: pd.read_csv("a.csv")) is None
    assert whole_digest(lambda: np.load("a.npy")) is None
    assert whole_digest(lambda: json.load(None)) is None
    assert whole_digest(lambda: os.environ["LEVEL"]) is None
    assert whole_digest(lambda bars: bars.open) is not None  # a column
    assert whole_digest(lambda own: own.load("a")) is not None


def test_an_object_that_has_read_is_what_it_read(tmp_path: pathlib.Path) -> None:
    class Rule:
        def __init__(self, path: pathlib.Path) -> None:
            self.signals = pd.read_csv(path)

        def __call__(self, n: int) -> pd.Series:
            return self.signals["a"] * n

    path = tmp_path / "a.csv"
    found = []
    for text in ("a\n1\n", "a\n2\n"):
        path.write_text(text)
        found += [whole_digest(Rule(path)), whole_digest(Rule(path))]
    assert None not in found
    assert found[0] == found[1] != found[2] == found[3]
    assert whole_digest(Rule) is None  # whoever makes one reads


def test_a_captured_module_is_what_the_code_names_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = types.ModuleType("helper")
    monkeypatch.setitem(sys.modules, "helper", helper)

    def make() -> Callable[..., Any]:
        import helper

        return lambda x: helper.level * x

    found = []
    for helper.level in (1.0, 2.0):  # type: ignore[attr-defined]
        found += [whole_digest(make()), whole_digest(make())]
    assert None not in found and found[0] == found[1] != found[2] == found[3]
    assert whole_digest(lambda name: getattr(helper, name)) is None
    assert whole_digest(types.SimpleNamespace(module=helper)) is None
    assert whole_digest(types.SimpleNamespace(module=np)) is not None
