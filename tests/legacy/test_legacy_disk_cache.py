from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import call_notes
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.errors import FileFormatError, UnsupportedTypeError
from marketsim.legacy.stock.disk_cache import disk_cache, from_bytes, to_bytes
from marketsim.legacy.stock.prediction_cache import (
    PredictionCache,
    get_cache,
    hash_dataframe,
    reset_cache,
)

torch = pytest.importorskip("torch")


def counted() -> tuple[Any, list[Any]]:
    """A cached function that returns its argument, and what it was called with."""
    calls = call_notes.fresh_notes()

    @disk_cache
    def same(value: Any, other: Any = None) -> Any:
        logging.getLogger("marketsim.tests.calls").error("%r %r", value, other)
        return value

    return same, calls


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "functions").rglob("*.npz"))


VALUES: dict[str, Any] = {
    "none": None,
    "false": False,
    "zero": 0,
    "float": 0.0,
    "minus zero": -0.0,
    "text": "0",
    "nan": float("nan"),
    "list": [0],
    "tuple": (0,),
    "nested": {"a": [1, (2.5, None)], "b": {"c": "ä\ud800"}},
    "float64": np.zeros(4),
    "float32": np.zeros(4, np.float32),
    "int": np.zeros(4, np.int64),
    "two axes": np.zeros((2, 2)),
    "other axes": np.zeros((1, 4)),
    "scalar": np.float64(0.0),
    "small scalar": np.float32(0.0),
    "0-d": np.zeros(()),
    "empty": np.zeros((0, 3)),
    "dates": np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"),
    "strings": np.array(["a", "bc"]),
    "complex": np.array([1 + 2j]),
    "big endian": np.zeros(4, ">f8"),
    "tensor": torch.zeros(4),
    "double tensor": torch.zeros(4, dtype=torch.float64),
    "bfloat16": torch.tensor([1.5, -2.0]).bfloat16(),
    "bool tensor": torch.tensor([True, False]),
    "0-d tensor": torch.tensor(3.0),
    "strided": torch.arange(6.0).reshape(2, 3).T,
}


def alike(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    return repr(a) == repr(b)


@pytest.mark.parametrize("name", VALUES)
def test_a_hit_is_what_the_function_returned(name: str) -> None:
    same, calls = counted()
    value = VALUES[name]
    first, again = same(value), same(value)
    assert len(calls) == 1
    assert first is value
    assert alike(again, value)


def test_whole_numbers_of_any_length_are_kept() -> None:
    same, calls = counted()
    for value in (2**63 - 1, -(2**63), 2**64, -(10**5000)):
        assert same(value) == same(value) == value
    assert len(calls) == 4


def test_no_two_values_share_a_file(tmp_path: Path) -> None:
    same, calls = counted()
    for value in VALUES.values():
        same(value)
        same(1, value)
    assert len(calls) == 2 * len(VALUES) == len(files(tmp_path))


def test_what_the_old_keys_took_for_the_same(tmp_path: Path) -> None:
    same, calls = counted()
    flat = torch.arange(6.0)
    long = np.arange(10_000.0)
    changed = long.copy()
    changed[5_000] += 1  # an array's text leaves it out
    pairs: list[tuple[Any, Any]] = [
        (flat, flat.reshape(2, 3)),
        (flat, flat.view(torch.int32)),
        (long, changed),
        ("a:b", ["a", "b"]),
    ]
    for one, other in pairs:
        assert alike(same(one), one) and alike(same(other), other)
    assert alike(same("a", "b:c"), "a") and alike(same("a:b", "c"), "a:b")
    assert len(calls) == 2 * len(pairs) - 1 + 2  # the first of the pairs stand twice


def test_a_call_is_the_same_however_it_is_written() -> None:
    same, calls = counted()
    for call in (lambda: same(1), lambda: same(value=1), lambda: same(1, None)):
        call()
    assert len(calls) == 1
    with pytest.raises(TypeError, match="missing a required argument"):
        same()


def test_functions_models_and_code_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def define(number: int) -> Any:
        if number == 1:

            @disk_cache
            def made(x: int) -> int:
                return x + 1

        else:

            @disk_cache
            def made(x: int) -> int:
                return x + 2

        return made

    assert (define(1)(1), define(2)(1), define(1)(1)) == (2, 3, 2)
    same, calls = counted()
    same(1)
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    same(1)
    assert len(calls) == 2
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("TOTO_MODEL_ID", str(folder))
    same(1)
    same(1)
    assert len(calls) == 3
    (folder / "config.json").write_text("{ }")
    same(1)
    assert len(calls) == 4


def test_clear_removes_this_function_s_results_only(tmp_path: Path) -> None:
    same, calls = counted()

    @disk_cache
    def another(x: int) -> int:
        return x

    same(1), another(1)
    same.cache_clear()
    assert len(files(tmp_path)) == 1
    same(1), another(1)
    assert len(calls) == 2
    same.cache_clear()
    same.cache_clear()


def test_testing_and_off_call_the_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    same, calls = counted()
    for name, text in (("TESTING", "True"), ("MARKETSIM_DISK_CACHE", "off")):
        with monkeypatch.context() as patch:
            patch.setenv(name, text)
            same(1)
            same(1)
            same(object())  # nothing is looked at
    assert len(calls) == 6 and not files(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: 2},
        {1, 2},
        b"bytes",
        pd.DataFrame({"a": [1]}),
        np.array([object()], dtype=object),
        np.zeros(2, dtype=[("a", "f8")]),
        np.ma.masked_array([1.0]),
        torch.zeros(2, requires_grad=True),
        torch.zeros(2).to_sparse(),
        Path("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_a_type_error(value: Any, tmp_path: Path) -> None:
    same, calls = counted()
    for call in (lambda: same(value), lambda: same(other=[value], value=1)):
        with pytest.raises(TypeError, match="argument '(value|other)'"):
            call()

    call_notes.logger.__dict__["result"] = value

    @disk_cache
    def returns_it() -> Any:
        return logging.getLogger("marketsim.tests.calls").__dict__["result"]

    with pytest.raises(UnsupportedTypeError, match="the result"):
        returns_it()
    assert not calls and not files(tmp_path)


def test_a_list_in_itself() -> None:
    same, _ = counted()
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnsupportedTypeError, match="nested more than"):
        same(loop)


@given(data=st.data())
def test_damaged_files_are_never_believed(data: st.DataObject) -> None:
    value = {"a": np.arange(50.0), "b": [1.5, "x"], "c": torch.arange(4)}
    content = bytearray(to_bytes(value, "x"))
    kind = data.draw(st.sampled_from(["flip", "cut", "garbage"]))
    if kind == "flip":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content = bytearray(data.draw(st.binary(max_size=100)))
    try:
        found = from_bytes(bytes(content))
    except FileFormatError:
        return
    assert alike(found, value)  # a bit that no one reads


def test_a_damaged_file_is_computed_anew(tmp_path: Path) -> None:
    same, calls = counted()
    same(1)
    (path,) = files(tmp_path)
    for content in (b"", path.read_bytes()[:-9], b"\x80\x04."):
        path.write_bytes(content)
        assert same(1) == 1
    assert len(calls) == 4
    assert same(1) == 1 and len(calls) == 4


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    import io

    file = io.BytesIO()
    np.savez(file, structure=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match="allow_pickle"):
        from_bytes(file.getvalue())


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "functions").write_text("a file")
    same, calls = counted()
    assert (same(1), same(1)) == (1, 1)
    assert len(calls) == 2
    assert "is not kept" in caplog.text


def test_threads_at_once(tmp_path: Path) -> None:
    @disk_cache
    def double(x: int) -> np.ndarray:
        return np.full(1000, 2 * x)

    wrong: list[int] = []

    def work() -> None:
        for x in range(20):
            if not (double(x) == 2 * x).all():
                wrong.append(x)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert len(list((tmp_path / "functions").rglob("*"))) == 20 + 1  # no temporary files


def test_another_process_finds_it(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(
        "from marketsim.legacy.stock.disk_cache import disk_cache\n"
        "@disk_cache\n"
        "def f(x: float, names={'a', 'b', 'c'} and None) -> float:\n"
        "    print('computed', x in {1.5, 2.5, 3.5})\n"
        "    return 2 * x\n"
        "print(f(1.5))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, str(script)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert outputs == [["computed", "True", "3.0"], ["3.0"]]


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MARKETSIM_DISK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    same, _ = counted()
    same(1)
    (path,) = (tmp_path / "cache").rglob("*.npz")
    assert path.relative_to(tmp_path / "cache").parts[:2] == ("marketsim", "functions")


def test_prediction_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PredictionCache()
    assert cache.enabled and cache.get("a", "Close", 1) is None
    cache.put("a", "Close", 1, (torch.ones(2), None, 3.0))
    assert cache.get("a", "Close", 1)[2] == 3.0
    assert cache.get("a", "Close", 2) is None and len(cache) == 1
    assert cache.stats() == {
        "enabled": True,
        "hits": 1,
        "misses": 2,
        "total_requests": 3,
        "hit_rate": pytest.approx(100 / 3),
        "cache_size": 1,
    }
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    assert cache.get("a", "Close", 1) is None  # another model's
    cache.clear()
    assert cache.stats()["hit_rate"] == 0 and len(cache) == 0
    for off in (PredictionCache(enabled=False), PredictionCache(False)):
        off.put("a", "Close", 1, 2)
        assert off.get("a", "Close", 1) is None and len(off) == 0
    monkeypatch.setenv("MARKETSIM_CACHE_PREDICTIONS", "0")
    assert not PredictionCache().enabled
    assert get_cache() is get_cache()
    reset_cache()
    assert len(get_cache()) == 0


def test_hash_dataframe_sees_every_value() -> None:
    frame = pd.DataFrame(
        {"Close": np.arange(100.0), "name": "x"}, index=pd.date_range("2020-01-01", periods=100)
    )
    whole = hash_dataframe(frame)
    assert hash_dataframe(frame.copy()) == whole
    others = [
        frame.assign(Close=frame.Close.where(frame.Close != 33.0, 33.5)),  # in the middle
        frame.assign(Close=frame.Close.astype("float32")),
        frame.assign(name=frame.name.where(frame.Close != 7.0, "y")),
        frame.rename(columns={"Close": "Open"}),
        frame.set_axis(frame.index.shift(1)),
        frame.iloc[:-1],
        frame[["name", "Close"]],
    ]
    found = {hash_dataframe(other) for other in others}
    assert len(found | {whole}) == len(others) + 1


def test_what_a_function_closes_over_and_reads_is_in_its_key() -> None:
    def make(factor: float, base: float = 0.0) -> Any:
        @disk_cache
        def scaled(x: float, plus: float = base) -> float:
            return x * factor + plus

        return scaled

    assert make(2.0)(3.0) == 6.0
    assert make(5.0)(3.0) == 15.0
    assert make(2.0, 1.0)(3.0) == 7.0


def test_a_function_that_reads_what_no_key_covers_is_not_cached(tmp_path: Path) -> None:
    counter = iter(range(9))

    @disk_cache
    def number() -> int:
        return next(counter)

    assert [number(), number()] == [0, 1]
    assert not files(tmp_path)
