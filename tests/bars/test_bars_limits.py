"""Files that would not fit into memory are refused before they take it."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import marketsim as ms
from marketsim.bars import limits

HEADER = b"timestamp,open,high,low,close,volume\n"
ROW = b"2020-01-01,1,2,0.5,1,1\n"
pa = pytest.importorskip("pyarrow")


def packed(content: bytes, times: int, head: bytes = HEADER) -> bytes:
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", 1) as file:
        file.write(head)
        for _ in range(times):
            file.write(content)
    return buffer.getvalue()


def zipped(folder: Path) -> Path:
    path = folder / "A.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("A.csv", "w") as file,
    ):
        for _ in range(48):
            file.write(b"\n" * (1 << 20))
    return path


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


def sparse(name: str, size: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(HEADER)
        os.truncate(path, size)
        return path

    return write


def parquet(folder: Path) -> Path:
    import pyarrow.parquet as pq

    one = pa.array(np.ones(20_000_000))
    names = ("timestamp", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table(dict.fromkeys(names, one)), folder / "A.parquet")
    return folder / "A.parquet"


def parquet_flat(folder: Path) -> Path:
    """Few enough values to be held, from a few bytes a million."""
    import pyarrow.parquet as pq

    one = pa.array(np.ones(2_000_000))
    pq.write_table(pa.table(dict.fromkeys(("open", "high", "low"), one)), folder / "A.parquet")
    return folder / "A.parquet"


def feather_flat(folder: Path) -> Path:
    import pyarrow.feather

    one = pa.array(np.ones(2_000_000))
    table = pa.table(dict.fromkeys(("open", "high", "low"), one))
    pyarrow.feather.write_feather(table, str(folder / "A.feather"), compression="zstd")
    return folder / "A.feather"


def parquet_text(folder: Path) -> Path:
    """One text of half a megabyte, 100,000 times, by a dictionary."""
    import pyarrow.parquet as pq

    codes = pa.array(np.zeros(100_000, np.int32))
    text = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 500_000]))
    table = pa.table({"timestamp": text, "open": pa.array(np.ones(100_000))})
    pq.write_table(table, folder / "A.parquet", store_schema=False)
    return folder / "A.parquet"


def parquet_list(folder: Path) -> Path:
    import pyarrow.parquet as pq

    values = pa.LargeListArray.from_arrays([0, 9_000_000], pa.array(np.zeros(9_000_000)))
    pq.write_table(pa.table({"timestamp": ["2020-01-01"], "open": values}), folder / "A.parquet")
    return folder / "A.parquet"


def parquet_footer(folder: Path) -> Path:
    path = folder / "A.parquet"
    size = 17 << 20
    path.write_bytes(b"PAR1" + bytes(size) + size.to_bytes(4, "little") + b"PAR1")
    return path


def feather(folder: Path, **options: object) -> Path:
    import pyarrow.feather

    one = pa.array(np.ones(20_000_000))
    names = ("timestamp", "open", "high", "low", "close", "volume")
    table = pa.table(dict.fromkeys(names, one))
    pyarrow.feather.write_feather(table, str(folder / "A.feather"), compression="zstd")
    return folder / "A.feather"


def wide(names: int) -> bytes:
    head = b"timestamp,open,high,low,close" + b"".join(b",c%d" % i for i in range(names)) + b"\n"
    return head + b"2020-01-01" + b",1" * (names + 4) + b"\n"


MANY = 1_000_000
BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "gzip of line ends": (written("A.csv.gz", packed(b"\n" * (1 << 20), 300)), "unpacks to more"),
    "gzip of one row": (written("A.csv.gz", packed(ROW * (1 << 16), 30)), "times its size"),
    "zip": (zipped, "times its size"),
    "gzip of JSON": (written("A.json.gz", packed(b"[]," * (1 << 20), 7, b"[")), "values"),
    "JSON, wide": (
        written("A.json", b"[{%s}]" % b",".join(b'"%d":1' % i for i in range(MANY))),
        "1,000,000 columns",
    ),
    "JSON, deep": (written("A.json", b"[" * MANY), "not JSON"),
    "text, wide": (written("A.csv", wide(50_000)), "50,005 columns"),
    "text, a million columns": (written("A.csv", wide(MANY)), "line"),
    "hole": (sparse("A.csv", 1 << 40), "expected at most 2,147,483,648"),
    "smaller hole": (sparse("A.csv", 1 << 28), "is a hole"),
    "Parquet of one number": (parquet, "120,000,000 values"),
    "Parquet of few bytes": (parquet_flat, "times its size (6,000,000 values)"),
    "Feather of few bytes": (feather_flat, "times its size"),
    "Parquet of one text": (parquet_text, "in column 'timestamp'"),
    "Parquet with a list": (parquet_list, "8,999,999 values"),
    "Parquet with a large footer": (parquet_footer, "describes its columns in 17,825,792"),
    "Feather": (feather, "values"),
}

READ = """
import sys, marketsim as ms
try: ms.read_bars(sys.argv[1])
except ms.errors.FileFormatError as error: print(error)
status = open("/proc/self/status").read()
print("peak", status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_that_would_fill_memory_is_refused(kind: str, tmp_path: Path) -> None:
    make, message = BOMBS[kind]
    path = make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
    assert message in done.stdout
    assert int(done.stdout.split()[-1]) < 500_000  # kB, interpreter and libraries included


def test_tables_below_the_limits_are_read(tmp_path: Path) -> None:
    """Text with a dictionary, and packed batches, are read as before."""
    import pandas as pd
    import pyarrow.feather
    from market import random_frame

    frame = random_frame(300).reset_index(names="timestamp")
    expected = ms.read_bars(frame).frame
    frame["timestamp"] = frame["timestamp"].astype(str)
    frame["symbol"] = pd.Categorical(["AAA"] * len(frame))
    frame.to_parquet(tmp_path / "AAA.parquet")
    for compression in ("lz4", "zstd", "uncompressed"):
        path = tmp_path / f"{compression}.feather"
        pyarrow.feather.write_feather(frame, str(path), compression=compression, chunksize=100)
        pd.testing.assert_frame_equal(ms.read_bars(path, symbol="AAA").frame, expected)
    pd.testing.assert_frame_equal(ms.read_bars(tmp_path / "AAA.parquet").frame, expected)


def test_a_large_table_of_prices_is_no_bomb(tmp_path: Path) -> None:
    """Rounded prices that repeat pack well, and less than a hundred times."""
    import pyarrow.parquet as pq

    steps = np.random.default_rng(0).integers(-1, 2, 1_000_000)
    close = 100.0 + np.cumsum(steps) * 0.01
    times = np.arange(1_000_000) * 60_000_000_000
    frame = {"timestamp": pa.array(times.astype("M8[ns]")), "volume": np.ones(1_000_000)}
    frame |= dict.fromkeys(("open", "high", "low", "close"), pa.array(close))
    pq.write_table(pa.table(frame), tmp_path / "A.parquet", compression="zstd")
    assert len(ms.read_bars(tmp_path / "A.parquet")) == 1_000_000


def test_a_batch_states_its_size_before_it_is_unpacked() -> None:
    from marketsim.bars.arrow import _batch_sizes

    table = pa.table({"a": np.zeros(1000), "b": np.arange(1000)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    messages = pa.ipc.MessageReader.open_stream(sink.getvalue())
    sizes = [_batch_sizes(m) for m in messages if m.type == "record batch"]
    assert sizes == [(2000, 16_000)]


@pytest.mark.parametrize("check", [limits.check_columns, limits.check_cells])
def test_limits_name_what_they_got(check: Callable[[str, int], None]) -> None:
    check("x", 100)
    with pytest.raises(ms.errors.FileFormatError, match="x (has|holds) 1,000,000,000"):
        check("x", 10**9)
