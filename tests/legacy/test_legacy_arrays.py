"""Reading the old pickles: everything that numpy and torch write, and nothing else."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from legacy_pickles import PICKLES, SAMPLES

from marketsim.errors import FileFormatError
from marketsim.legacy.stock.cache.files import MAX_FILE_BYTES, read_samples

GRID = np.float32(SAMPLES).reshape(2, 3)


def read(data: bytes, folder: Path) -> np.ndarray:
    path = folder / "file.pkl"
    path.write_bytes(data)
    return read_samples(path)


def refused(data: bytes, folder: Path, problem: str = "file.pkl") -> None:
    with pytest.raises(FileFormatError, match=problem) as caught:
        read(data, folder)
    assert str(folder / "file.pkl") in str(caught.value)
    assert len(str(caught.value)) < 600


# --- what is understood -----------------------------------------------------------------------

EXPECTED = {
    "numpy1-fortran-p4": GRID.T,  # [1, 1, horizon, sample]
    "torch-2d-p4": GRID.reshape(3, 2),
    "torch-transposed-p4": GRID.T,
    "torch-sliced-p4": np.float32([3, 5, 7, 9, 11]),
    "torch-expanded-p4": np.float32([-0.25] * 5),
    "torch-int-p4": "torch.LongStorage",
    "torch-parameter-p4": "torch._utils._rebuild_parameter",
}


@pytest.mark.parametrize("name", PICKLES)
def test_what_numpy_and_torch_wrote(tmp_path: Path, name: str) -> None:
    expected = EXPECTED.get(name, np.float32(SAMPLES))
    if isinstance(expected, str):
        refused(PICKLES[name], tmp_path, expected)
        return
    before = set(sys.modules)
    samples = read(PICKLES[name], tmp_path)
    assert samples.dtype == np.float32 and samples.flags.c_contiguous and samples.flags.writeable
    np.testing.assert_array_equal(samples, expected)
    assert "torch" not in set(sys.modules) - before  # other tests may have imported it


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
def test_numpy_arrays_of_every_dtype_and_protocol(
    tmp_path: Path, protocol: int, dtype: str
) -> None:
    line = np.arange(24).astype(dtype) / 8
    for array, expected in (
        (line, line),
        (line[::3], line[::3]),
        (line[::-1], line[::-1]),
        (line.reshape(6, 4), line.reshape(6, 4)),
        (line.reshape(6, 4)[1:, ::2], line.reshape(6, 4)[1:, ::2]),
        (np.asfortranarray(line.reshape(6, 4)), line.reshape(6, 4)),
        (line.reshape(1, 24, 1), line),
        (line.reshape(24, 1), line),
        (line.reshape(1, 6, 4), line.reshape(6, 4)),
        (line[:1], line[:1]),
    ):
        for holder in (array, [array], (array,), {"samples": array}, [({"samples": array},)]):
            got = read(pickle.dumps(holder, protocol=protocol), tmp_path)
            np.testing.assert_array_equal(got, expected.astype(np.float32))


def test_values_that_can_be_written_are_bytearrays_in_protocol_5(tmp_path: Path) -> None:
    array = np.arange(100, dtype=np.float32)
    data = pickle.dumps(array, protocol=5)
    assert b"\x96\x90\x01\0" in data  # BYTEARRAY8 of 400 bytes
    np.testing.assert_array_equal(read(data, tmp_path), array)
    array.flags.writeable = False
    np.testing.assert_array_equal(read(pickle.dumps(array, protocol=5), tmp_path), array)


def test_rounding_is_to_the_nearest_float32(tmp_path: Path) -> None:
    exact = np.array([0.1, 1 / 3, -2e-5, 1e-40])
    np.testing.assert_array_equal(read(pickle.dumps(exact), tmp_path), exact.astype(np.float32))


def with_storage(name: str, change: dict[bytes, bytes]) -> bytes:
    """A tensor of PICKLES (protocol 4) with changes within its storage stream."""
    data = PICKLES[name]
    at = data.index(b"B", data.index(b"_load_from_bytes"))
    size = struct.unpack("<I", data[at + 1 : at + 5])[0]
    inner = data[at + 5 : at + 5 + size]
    for old, new in change.items():
        assert old in inner
        inner = inner.replace(old, new)
    return data[: at + 1] + struct.pack("<I", len(inner)) + inner + data[at + 5 + size :]


@pytest.mark.parametrize("name", ["torch-1d-p4", "torch-chronos-p4", "torch-bf16-p4"])
def test_tensors_that_were_on_a_gpu(tmp_path: Path, name: str) -> None:
    data = with_storage(name, {b"X\x03\0\0\0cpu": b"X\x06\0\0\0cuda:0"})
    np.testing.assert_array_equal(read(data, tmp_path), np.float32(SAMPLES))


# --- what is not ------------------------------------------------------------------------------


class Calls:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced


def hostile_calls(canary: Path) -> list[object]:
    touch = f"touch {canary}"
    python = f"open({str(canary)!r}, 'w')"
    return [
        Calls(os.system, touch),
        Calls(eval, python),
        Calls(exec, python),
        Calls(open, str(canary), "w"),
        Calls(subprocess.Popen, ["touch", str(canary)]),
        Calls(getattr, "", "format"),
        Calls(shutil.rmtree, str(canary.parent / "nothing")),
        Calls(__import__, "os"),
        Calls(np.fromfile, "/etc/passwd", "u1"),
        Calls(np.load, "/etc/passwd"),
        Calls(pickle.loads, pickle.dumps(1)),
        Calls(OrderedDict, [("a", 1)]),
        Calls(io.BytesIO, b""),
        Calls(type, "X", (), {}),
        Calls(bytearray, 2**40),
        Calls(np.zeros, 2**40),
    ]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("index", range(16))
def test_nothing_in_a_file_is_called(tmp_path: Path, index: int, protocol: int) -> None:
    canary = tmp_path / "canary"
    thing = hostile_calls(canary)[index]
    for holder in (thing, [thing], {"samples": thing}, [np.float32(SAMPLES), thing]):
        refused(pickle.dumps(holder, protocol=protocol), tmp_path)
    assert not canary.exists()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def octets(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def name(dotted: str) -> bytes:
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


RECONSTRUCT = name("numpy.core.multiarray._reconstruct")
FROM_BUFFER = name("numpy._core.numeric._frombuffer")
NDARRAY, DTYPE = name("numpy.ndarray"), name("numpy.dtype")
LOAD, TENSOR = name("torch.storage._load_from_bytes"), name("torch._utils._rebuild_tensor_v2")
FORECAST = name("src.models.toto_wrapper.TotoForecast")
F4 = DTYPE + text("f4") + b"\x89\x88\x87R"
BIG = b"\x8a\x06" + (2**40).to_bytes(6, "little")
HUGE = b"\x8a\x10" + (2**120).to_bytes(16, "little")
MINUS = b"J\xff\xff\xff\xff"
EMPTY_ARRAY = RECONSTRUCT + NDARRAY + b"K\0\x85C\x01b\x87R"
STORAGE = PICKLES["torch-1d-p4"][
    PICKLES["torch-1d-p4"].index(b"B", 60) : PICKLES["torch-1d-p4"].index(b"\x94\x85\x94R")
]
BLOCK = LOAD + STORAGE + b"\x85R"
HOOKS = name("collections.OrderedDict") + b")R"


def tensor(offset: bytes, size: bytes, stride: bytes, hooks: bytes = HOOKS) -> bytes:
    return TENSOR + b"(" + BLOCK + offset + size + stride + b"\x89" + hooks + b"tR"


HOSTILE = {
    "an allowed name with a module that is not": (name("numpy._reconstruct"), "numpy._reconstruct"),
    "a name in a name": (name("torch.storage.os.system"), "torch.storage.os.system"),
    "the class alone": (NDARRAY, "no array of samples"),
    "a class called": (NDARRAY + b"(" + BIG + b"\x85tR", "calls no function"),
    "a class made": (NDARRAY + BIG + b"\x85\x81", "unknown kind"),
    "a forecast with arguments": (FORECAST + b"K\x01\x85\x81", "unknown kind"),
    "a huge array": (RECONSTRUCT + NDARRAY + BIG + b"\x85C\x01b\x87R", "unknown way"),
    "an array of another class": (RECONSTRUCT + FORECAST + b"K\0\x85C\x01b\x87R", "unknown way"),
    "a huge shape": (EMPTY_ARRAY + b"(K\x01" + BIG + b"\x85" + F4 + b"\x89C\x04abcdtb", "shape"),
    "a shape that overflows": (
        EMPTY_ARRAY + b"(K\x01(" + 7 * (HUGE) + b"t" + F4 + b"\x89C\x04abcdtb",
        "impossible shape",
    ),
    "a negative shape": (
        EMPTY_ARRAY + b"(K\x01" + MINUS + MINUS + b"\x86" + F4 + b"\x89C\x04abcdtb",
        "impossible shape",
    ),
    "no values": (EMPTY_ARRAY + b"(K\x01K\0\x85" + F4 + b"\x89C\0tb", "0 bytes"),
    "an array that never got values": (EMPTY_ARRAY, "shape"),
    "too few values": (EMPTY_ARRAY + b"(K\x01K\x09\x85" + F4 + b"\x89C\x04abcdtb", "36 bytes"),
    "a list as values": (EMPTY_ARRAY + b"(K\x01K\x01\x85" + F4 + b"\x89]tb", "does not write"),
    "no dimension": (EMPTY_ARRAY + b"(K\x01)" + F4 + b"\x89C\x04\0\0\0\0tb", "shape"),
    "many dimensions": (
        EMPTY_ARRAY + b"(K\x01(" + b"K\x01" * 64 + b"t" + F4 + b"\x89C\x04\0\0\0\0tb",
        "impossible shape",
    ),
    "a buffer that is too long": (
        FROM_BUFFER + b"(C\x08abcdefgh" + F4 + b"K\x01\x85" + text("C") + b"tR",
        "4 bytes with 8",
    ),
    "a buffer of text": (
        FROM_BUFFER + b"(" + text("abcd") + F4 + b"K\x01\x85" + text("C") + b"tR",
        "unknown way",
    ),
    "objects": (DTYPE + text("O8") + b"\x89\x88\x87R", "'O8'"),
    "a dtype of many": (DTYPE + text("f4,O") + b"\x89\x88\x87R", "'f4,O'"),
    "a dtype with fields": (F4 + b"(K\x03" + text("<") + b"](K\x01tNNJ\0\0\0\0K\0tb", "state"),
    "a dtype of nothing": (DTYPE + b")R", "no dtype"),
    "a name with escapes": (b"cnumpy\\x2ecore.multiarray\n_reconstruct\n", "x2ecore"),
    "integers": (DTYPE + text("i8") + b"\x89\x88\x87R", "'i8'"),
    "another codec": (name("_codecs.encode") + text("a") + text("rot13") + b"\x86R", "unknown way"),
    "text that is no latin1": (
        name("_codecs.encode") + b"X\x03\0\0\0\xe2\x82\xac" + text("latin1") + b"\x86R",
        "latin-1",
    ),
    "attributes of a forecast": (FORECAST + b")\x81}" + text("__class__") + b"Nsb", "no samples"),
    "two attributes": (
        FORECAST + b")\x81}(" + text("samples") + b"N" + text("numpy") + b"Nub",
        "no samples",
    ),
    "slots of a forecast": (FORECAST + b")\x81N}" + text("samples") + b"Ns\x86b", "no samples"),
    "a state for a list": (b"]}b", "state"),
    "a state for a name": (NDARRAY + b"}b", "state"),
    "a storage of nothing": (LOAD + octets(b"") + b"\x85R", ""),
    "a storage of text": (LOAD + text("abc") + b"\x85R", "without bytes"),
    "a storage that is a zip": (LOAD + octets(b"PK\x03\x04" + bytes(60)) + b"\x85R", ""),
    "a storage that calls": (
        LOAD + octets(b"\x80\x02" + name("os.system") + b".") + b"\x85R",
        "os.system",
    ),
    "a storage in a storage": (
        LOAD + octets(b"\x80\x02" + LOAD + octets(b"") + b"\x85R.") + b"\x85R",
        "torch.storage._load_from_bytes",
    ),
    "a storage outside": (b"(" + text("storage") + b"tQ", "BINPERSID"),
    "a huge tensor": (tensor(b"K\0", BIG + b"\x85", b"K\0\x85"), "shape"),
    "a tensor of repeats": (tensor(b"K\0", b"K\x07\x85", b"K\0\x85"), "larger than its storage"),
    "a tensor that ends too late": (tensor(b"K\x01", b"K\x06\x85", b"K\x01\x85"), "ends after"),
    "a tensor with a far stride": (tensor(b"K\0", b"K\x02\x85", b"K\x07\x85"), "ends after"),
    "a tensor far away": (tensor(HUGE, b"K\x01\x85", b"K\x01\x85"), "ends after"),
    "a tensor before its storage": (tensor(MINUS, b"K\x01\x85", b"K\x01\x85"), "layout"),
    "a tensor backwards": (tensor(b"K\x05", b"K\x02\x85", MINUS + b"\x85"), "shape"),
    "a tensor with too many strides": (tensor(b"K\0", b"K\x02\x85", b"K\x01K\x01\x86"), "layout"),
    "an empty tensor": (tensor(b"K\0", b"K\0\x85", b"K\x01\x85"), "larger than"),
    "a tensor with hooks": (
        tensor(b"K\0", b"K\x02\x85", b"K\x01\x85", b"}" + text("a") + b"Ns"),
        "unknown way",
    ),
    "a tensor of a list": (TENSOR + b"(]K\0K\x01\x85K\x01\x85\x89" + HOOKS + b"tR", "unknown way"),
    "itself": (b"]q\0h\0a", "no array"),
    "itself as samples": (b"}q\0" + text("samples") + b"h\0s", "no array"),
    "many": (b"](K\x01K\x02e", "2 forecasts"),
    "none": (b"]", "0 forecasts"),
    "a number": (b"K\x01", "no array"),
    "a list deep down": (b"]" * 9 + b"a" * 8, "no array"),
    "keys that are tuples": (b"}K\x01K\x02\x86Ns", "no text"),
    "a key without a value": (b"}(" + text("a") + b"u", "without a value"),
    "items of a list": (b"]" + text("a") + b"Ns", "no dict"),
    "appending to a tuple": (b")Na", "no list"),
    "appending to nothing": (b"Na", ""),
    "a memo that is not there": (b"h\x05", ""),
    "a memo far away": (b"Nr\xff\xff\xff\xff", "no array"),
    "a stack that runs empty": (b"\x87", "runs empty"),
    "a mark that is not there": (b"Nt", "no mark"),
    "a mark that stays": (b"(N", "unbalanced"),
    "two values": (b"NN", "unbalanced"),
    "an old opcode": (b"(ios\nsystem\n", "INST"),
    "an object of old": (b"(" + NDARRAY + b"o", "OBJ"),
    "keywords": (FORECAST + b")}\x92", "NEWOBJ_EX"),
    "an extension": (b"\x82\x01", "EXT1"),
    "a persistent text": (b"Pos.system\n", "PERSID"),
    "a buffer elsewhere": (b"\x97", "NEXT_BUFFER"),
    "a set": (b"\x8f", "EMPTY_SET"),
    "text as a number": (b"I1\n", "INT"),
    "names from numbers": (b"K\x01K\x02\x93", "names what is no text"),
    "a call of text": (text("os.system") + text("true") + b"\x85R", "calls no function"),
    "a call with a list": (name("numpy.dtype") + b"]R", "calls no function"),
    "an unknown opcode": (b"\xff", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(tmp_path: Path, case: str) -> None:
    body, problem = HOSTILE[case]
    refused(b"\x80\x04" + body + b".", tmp_path, problem or "file.pkl")
    refused(b"\x80\x04" + body, tmp_path)
    if problem and "array" not in problem and "forecasts" not in problem:
        refused(b"\x80\x04]" + body + b"a.", tmp_path)


def test_hostile_parts_are_what_a_good_file_is_made_of(tmp_path: Path) -> None:
    """So that the cases above fail for their own reason."""
    good = EMPTY_ARRAY + b"(K\x01K\x01\x85" + F4 + b"\x89C\x04\0\0\0?tb"
    assert read(b"\x80\x04" + good + b".", tmp_path) == [0.5]
    good = FORECAST + b")\x81}" + text("samples") + good + b"sb"
    assert read(b"\x80\x04" + good + b".", tmp_path) == [0.5]
    good = tensor(b"K\0", b"K\x06\x85", b"K\x01\x85")
    np.testing.assert_array_equal(read(b"\x80\x04" + good + b".", tmp_path), np.float32(SAMPLES))


BOMBS = {
    "declared bytes": b"\x8e" + struct.pack("<Q", 2**62),
    "declared text": b"\x8d" + struct.pack("<Q", 2**40),
    "declared frame": b"\x95" + struct.pack("<Q", 2**62) + b"N.",
    "declared bytearray": b"\x96" + struct.pack("<Q", 2**40),
    "declared number": b"\x8b" + struct.pack("<I", 2**31 - 1),
    "deep tuples": b")" + b"\x85" * 2_000_000 + b".",
    "deep lists": b"]" * 2_000_000,
    "many marks": b"(" * 2_000_000,
    "laughs": b")q\0" + b"h\0h\0\x86q\0" * 3_000 + b".",
    "laughs as a key": b"})q\0" + b"h\0h\0\x86q\0" * 64 + b"Ns.",
    "laughs as a shape": b")q\0" + b"h\0h\0\x86q\0" * 64 + b"0" + EMPTY_ARRAY
    + b"(K\x01h\0" + F4 + b"\x89C\x04abcdtb.",
    "numbers": b"]" + b"(" + b"K\x01" * 2_000_000 + b"e.",
    "encoded again and again": text("x" * 1_000_000) + b"q\0"
    + (name("_codecs.encode") + b"h\0" + text("latin1") + b"\x86R") * 2_000 + b".",
    "loaded again and again": STORAGE + b"q\0" + (LOAD + b"h\0\x85R") * 2_500 + b".",
    "a long name": b"c" + b"a" * 1_000_000 + b"\n" + b"b" * 1_000_000 + b"\n.",
    "a long dtype": DTYPE + text("f" * 1_000_000) + b"\x89\x88\x87R.",
    "a long text": b"S" + b"'" * 1_000_000 + b"a\n.",
    "a long number": b"L" + b"9" * 1_000_000 + b"L\n.",
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_bombs(tmp_path: Path, case: str) -> None:
    data = b"\x80\x04" + BOMBS[case]
    path = tmp_path / "file.pkl"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as caught:
            read_samples(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(data) + 8_000_000
    assert len(str(caught.value)) < 600


def test_large_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(FileFormatError, match="67108865 bytes: at most 67108864"):
        read_samples(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file.pkl")
    with pytest.raises(FileFormatError, match="symbolic link"):
        read_samples(tmp_path / "link")
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_samples(tmp_path)
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_samples(Path("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        read_samples(tmp_path / "nothing")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_samples_that_are_not_finite(tmp_path: Path, value: float) -> None:
    refused(pickle.dumps(np.array([0.0, value])), tmp_path, "samples are not finite")


@pytest.mark.parametrize(
    "thing", [None, 1.5, "text", [1.0, 2.0], {"mean": 1.0}, {}, (), np.float32(1)]
)
def test_other_things(tmp_path: Path, thing: object) -> None:
    refused(pickle.dumps(thing), tmp_path)


def test_other_shapes(tmp_path: Path) -> None:
    for shape in ((2, 3, 4), (2, 1, 3, 4), ()):
        refused(pickle.dumps(np.ones(shape)), tmp_path, "shape")
    refused(pickle.dumps(np.ones(0)), tmp_path)
    refused(pickle.dumps([np.ones(2), np.ones(2)]), tmp_path, "2 forecasts")


# --- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PICKLES)
def test_every_truncation(tmp_path: Path, name: str) -> None:
    data = PICKLES[name]
    for size in range(len(data)):
        refused(data[:size], tmp_path)
    refused(data + b"\0", tmp_path)
    refused(data + data, tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({b"\x8a\nl\xfc": b"\x8a\nm\xfc"}, "unknown version"),
        ({b"\x80\x02M\xe9\x03.": b"\x80\x02M\xea\x03."}, "unknown version"),
        ({b"little_endianq\x02\x88": b"little_endianq\x02\x89"}, "little-endian"),
        ({b"FloatStorage": b"DoubleStorage"}, "6 values with 24 bytes"),
        ({b"FloatStorage": b"UntypedStorage"}, "torch.UntypedStorage"),
        ({b"X\x03\0\0\0cpuq\x03K\x06": b"X\x03\0\0\0cpuq\x03K\x05"}, "5 values with 24 bytes"),
        ({b"X\x03\0\0\0cpuq\x03K\x06": b"X\x03\0\0\0cpuq\x03K\0"}, "impossible storage"),
        ({b"\x06\0\0\0\0\0\0\0\0\0\x80\xbe": b"\x06\0\0\0\0\0\0\x80\0\0\x80\xbe"}, "values with"),
        ({b"\x80\xbe": b"\x80\xbe\0"}, "values with 25 bytes"),
        ({b"\x07\0\0\0storage": b"\x07\0\0\0stowage"}, "no storage"),
    ],
)
def test_damaged_storages(tmp_path: Path, change: dict[bytes, bytes], problem: str) -> None:
    refused(with_storage("torch-1d-p4", change), tmp_path, problem)


def test_a_storage_of_another_key(tmp_path: Path) -> None:
    data = with_storage("torch-1d-p4", {})
    at = data.rindex(b"]q\0X") + 8
    refused(data[:at] + b"0" + data[at + 1 :], tmp_path, "unknown version")


@given(st.data())
def test_changed_bytes_give_numbers_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(PICKLES[data.draw(st.sampled_from(sorted(PICKLES)))])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    numbers_or_error(bytes(whole), tmp_path_factory)


@given(st.binary(max_size=60))
@example(b"")
@example(b".")
def test_any_bytes_give_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    numbers_or_error(b"\x80\x04" + data, tmp_path_factory)


PARTS = [
    *(RECONSTRUCT, FROM_BUFFER, NDARRAY, DTYPE, LOAD, TENSOR, FORECAST, F4, BLOCK, HOOKS, STORAGE),
    *(EMPTY_ARRAY, BIG, MINUS, text("samples"), text("C"), text("<"), text("latin1"), text("f4")),
    *(b"(", b")", b"]", b"}", b"N", b"\x88", b"K\0", b"K\x01", b"K\x06", b"\x85", b"\x86", b"\x87"),
    *(b"t", b"R", b"b", b"\x81", b"a", b"e", b"s", b"u", b"q\0", b"h\0", b"\x93", b"C\x01b"),
    *(name("_codecs.encode"), name("collections.OrderedDict")),
]


@given(st.lists(st.sampled_from(PARTS), max_size=25))
def test_shuffled_parts_give_numbers_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    numbers_or_error(b"\x80\x04" + b"".join(parts) + b".", tmp_path_factory)


def numbers_or_error(data: bytes, factory: pytest.TempPathFactory) -> None:
    path = factory.getbasetemp() / "any.pkl"
    path.write_bytes(data)
    try:
        samples = read_samples(path)
    except FileFormatError:
        return
    assert samples.dtype == np.float32 and np.isfinite(samples).all() and samples.size > 0
