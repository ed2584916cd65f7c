from __future__ import annotations

import builtins
import gzip
import os
import re

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars, read_folder
from marketsim.errors import (
    ArgumentError,
    BarsError,
    BarsFileNotFoundError,
    FileFormatError,
    InvalidNameError,
    MarketsimError,
    MissingDependencyError,
    UnknownNameError,
)

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = "2020-01-02,1,2,1,2,5\n2020-01-03,2,3,2,3,6\n"


@pytest.mark.parametrize("name", ["A.csv", "A.txt", "A.tsv", "A.CSV"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_told_from_the_header(frame, write, name, delimiter):
    bars = read_bars(write(name, frame.to_csv(index=False, sep=delimiter)))
    assert bars.symbol == "A"
    assert bars.fingerprint == read_bars(frame).fingerprint


def test_gzip_is_read_and_its_double_suffix_is_not_part_of_the_symbol(frame, write):
    path = write("BTC-USD.csv.gz", gzip.compress(frame.to_csv(index=False).encode()))
    bars = read_bars(path)
    assert bars.symbol == "BTC-USD"
    assert bars.fingerprint == read_bars(frame).fingerprint


@pytest.mark.parametrize("suffix", ["parquet", "pq"])
@pytest.mark.parametrize("as_index", [False, True])
def test_parquet_is_read(frame, tmp_path, suffix, as_index):
    pytest.importorskip("pyarrow")
    stored = frame.assign(timestamp=pd.to_datetime(frame["timestamp"], utc=True))
    if as_index:
        stored = stored.set_index("timestamp")
    stored.to_parquet(tmp_path / f"A.{suffix}")
    bars = read_bars(tmp_path / f"A.{suffix}")
    assert bars.symbol == "A"
    assert bars.fingerprint == read_bars(frame).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: "\n  \n" + text.replace("\n", "\n\n"),
        lambda text: text.replace(",", " , "),
        lambda text: text.rstrip("\n"),
        lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text),
    ],
    ids=["crlf", "cr", "byte order mark", "blank lines", "blanks", "no last newline", "quotes"],
)
def test_variants_of_csv_are_read_alike(write, change):
    plain = read_bars(write("A.csv", HEADER + ROWS))
    other = read_bars(write("B.csv", change(HEADER + ROWS)))
    assert other.fingerprint == plain.fingerprint


def test_str_and_pathlike_are_accepted(write):
    path = write("A.csv")

    class Named(os.PathLike):
        def __fspath__(self):
            return str(path)

    expected = read_bars(path).fingerprint
    assert read_bars(str(path)).fingerprint == expected
    assert read_bars(Named()).fingerprint == expected


@pytest.mark.parametrize("source", [None, b"A.csv", 5, {}, pd.Series([1.0])])
def test_other_sources_are_refused(source):
    with pytest.raises(ArgumentError, match=f"got a {type(source).__name__}: expected a path"):
        read_bars(source)


def test_a_dict_without_candles_is_refused():
    with pytest.raises(FileFormatError, match="dict holds no candles, but {'open': \\[1\\]}"):
        read_bars({"open": [1]})


@pytest.mark.parametrize("read", [read_bars, read_folder])
def test_an_empty_path_is_not_the_current_folder(write, monkeypatch, read):
    monkeypatch.chdir(write("A.csv").parent)
    with pytest.raises(ArgumentError, match="got an empty path: expected a file or a folder"):
        read("")


def test_what_the_system_refuses_names_the_file(write, monkeypatch):
    """A file may open and then fail, without a name: a bad disk, or /proc/self/mem."""
    path = write("A.csv")

    def fails(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(path), "read_bytes", fails)
    with pytest.raises(OSError, match=re.escape(f"Input/output error: '{path}'")) as caught:
        read_bars(path)
    assert (caught.value.errno, caught.value.filename) == (5, str(path))


@pytest.mark.parametrize("tail", ["nope.csv", "A.csv/inside.csv", "x" * 300, "a\0b.csv"])
def test_missing_paths_are_named(write, tail):
    path = write("A.csv").parent / tail
    with pytest.raises(BarsFileNotFoundError, match="does not exist") as caught:
        read_bars(path)
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, MarketsimError)
    assert str(path).replace("\0", "\\x00") in str(caught.value)  # no control character


# mtime=0: processes that run tests side by side must agree on the parameters.
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("A.xlsx", b"PK", r"suffix '\.xlsx': expected one of \.csv, \.csv\.gz"),
        ("A", b"x", r"no suffix: expected one of \.csv"),
        ("A.csv", b"", r"empty \(0 bytes\): expected a header such as timestamp,open"),
        ("A.csv", b" \n \n", "only blanks"),
        ("A.csv", bytes(range(128, 256)), "not text in UTF-8, .* .byte 0x81 at 1.*save it as"),
        ("A.csv", b"open,close\n\0\0\0", "binary data .a zero byte"),
        ("A.csv", gzip.compress(b"x", mtime=0), "no comma, semicolon or tab"),
        ("A.csv", b"PAR1....PAR1", "cannot be read as Parquet"),
        ("A.csv", b"PK\x03\x04", "not a whole zip file"),
        (
            "A.csv",
            b"hello world\nfoo",
            "no comma, semicolon or tab in its first line 'hello world'",
        ),
        ("A.csv", (HEADER + "2020-01-02,1,2,1,2,5,7\n").encode(), "7 fields in the first row, 6"),
        ("A.csv", (HEADER + ROWS + "2020-01-04,1,2,1,2,5,7\n").encode(), "line 4, saw 7"),
        ("A.csv", (HEADER + ROWS + '2020-01-04,"1,2\n').encode(), "EOF inside string"),
        ("A.csv.gz", HEADER.encode(), "not a whole gz file"),
        ("A.csv.gz", gzip.compress(HEADER.encode() * 9, mtime=0)[:-12], "not a whole gzip file"),
        ("A.csv.gz", gzip.compress(b"", mtime=0), "only blanks"),
        ("A.csv.gz", gzip.compress(b"\0\xff", mtime=0), "a zero byte"),
        ("A.parquet", b"", "empty .0 bytes.: expected a Parquet or Feather file"),
        ("A.parquet", HEADER.encode(), "does not begin and end with PAR1"),
        ("A.parquet", b"PAR1" + bytes(20), "does not begin and end with PAR1"),
        ("A.parquet", bytes(20) + b"PAR1", "does not begin and end with PAR1"),
        ("A.parquet", b"PAR1", "does not begin and end with PAR1"),
        ("A.pq", b"PAR1" + bytes(range(64)) + b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_not_what_they_promise(write, name, content, message):
    if name.endswith("pq"):
        pytest.importorskip("pyarrow")
    path = write(name, content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_bars(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".txt"])
def test_random_bytes_never_give_another_error(write, suffix):
    rng = np.random.default_rng(1)
    for size in (1, 10, 1000):
        for magic in (b"", b"PAR1", b"\x1f\x8b\x08"):
            path = write("A" + suffix, magic + rng.bytes(size))
            with pytest.raises((FileFormatError, BarsError)):
                read_bars(path)


def test_truncated_parquet_is_refused(frame, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "A.parquet"
    frame.to_parquet(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"PAR1")
    with pytest.raises(FileFormatError, match="cannot be read as Parquet"):
        read_bars(path)


def test_missing_pyarrow_names_the_extra(frame, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    path = tmp_path / "A.parquet"
    frame.to_parquet(path)
    real = builtins.__import__

    def without_pyarrow(name, *args, **kwargs):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[parquet\]"'):
        read_bars(path)


def test_special_files_are_refused(tmp_path):
    path = tmp_path / "A.csv"
    os.mkfifo(path)
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_bars(path)


def test_default_symbol_must_be_valid(write):
    path = write("my data.csv")
    with pytest.raises(InvalidNameError, match=r"'my data\.csv' gives no valid symbol.*symbol="):
        read_bars(path)
    assert read_bars(path, symbol="ABC").symbol == "ABC"


def test_default_symbol_of_a_frame(frame):
    assert read_bars(frame).symbol == "UNNAMED"
    assert read_bars(frame, symbol="^GSPC").symbol == "^GSPC"


def test_symbol_names_the_bars_of_a_file(write):
    assert read_bars(write("A.csv"), symbol="B").symbol == "B"


@pytest.mark.parametrize("symbol", ["../x", "..", "/etc/passwd", "sub/A", "", "A\0"])
def test_symbol_cannot_lead_out_of_a_folder(write, symbol):
    folder = write("data/A.csv").parent
    write("x.csv")
    write("data/sub/A.csv")
    for source in (folder, folder / "A.csv", pd.DataFrame()):
        with pytest.raises(InvalidNameError):
            read_bars(source, symbol=symbol)
    with pytest.raises(InvalidNameError):
        read_folder(folder, symbols=[symbol])


class TestFolder:
    def test_symbol_selects_a_file(self, frame, write, make_frame):
        write("A.csv")
        folder = write("B.csv", make_frame(seed=1).to_csv(index=False)).parent
        bars = read_bars(folder, symbol="B")
        assert bars.symbol == "B"
        assert bars.fingerprint == read_bars(make_frame(seed=1)).fingerprint

    def test_single_symbol_needs_no_name(self, write):
        assert read_bars(write("A.csv").parent).symbol == "A"

    def test_several_symbols_need_a_choice(self, write):
        write("A.csv")
        folder = write("B.csv.gz").parent
        with pytest.raises(ArgumentError, match=r"holds 2 symbols \(A, B\).*symbol=.*read_folder"):
            read_bars(folder)

    def test_unknown_symbol_lists_the_first_twenty(self, write):
        for i in range(25):
            folder = write(f"S{i:02}.csv").parent
        with pytest.raises(UnknownNameError, match="unknown symbol 'XX'") as caught:
            read_bars(folder, symbol="XX")
        message = str(caught.value)
        assert "S00, S01" in message
        assert "S19 and 5 more" in message
        assert "S20" not in message
        assert isinstance(caught.value, KeyError)

    def test_two_files_of_one_symbol_are_both_named(self, write):
        write("A.txt")
        folder = write("A.csv").parent
        with pytest.raises(FileFormatError, match=r"2 files of A: A\.csv and A\.txt"):
            read_bars(folder, symbol="A")
        with pytest.raises(FileFormatError, match=r"2 files of A: A\.csv and A\.txt"):
            read_bars(folder)

    def test_empty_folder(self, tmp_path):
        with pytest.raises(BarsFileNotFoundError, match=r"looked for names ending in \.csv"):
            read_bars(tmp_path)
        with pytest.raises(BarsFileNotFoundError, match="holds no file of bars"):
            read_bars(tmp_path, symbol="A")

    def test_folder_named_like_a_file(self, write, tmp_path):
        inside = write("A.csv/B.csv")
        assert read_bars(inside.parent).symbol == "B"
        with pytest.raises(BarsFileNotFoundError, match="holds no file of bars"):
            read_bars(tmp_path)  # the folder A.csv is not a file of bars

    def test_other_and_hidden_files_do_not_count(self, write):
        write("notes.md", "x")
        write(".hidden.csv")
        write("broken link.md")
        assert read_bars(write("A.csv").parent).symbol == "A"


def test_header_without_rows(write, find):
    defects = find(write("A.csv", HEADER))
    assert list(defects) == ["too_short"]
    assert defects["too_short"].message == "expected at least 2 rows: there are no rows"


def test_short_rows_are_reported_as_missing_values(write, find):
    defects = find(write("A.csv", HEADER + "2020-01-01,1\n" + ROWS))
    assert list(defects) == ["nan"]
    assert defects["nan"].rows == (0,)
    assert "2020-01-01 (high=nan, low=nan, close=nan, volume=nan)" in defects["nan"].message


def test_repeated_header_names_are_seen(write, find):
    text = "timestamp,open,high,low,close,close,volume\n2020-01-02,1,2,1,2,2,5\n"
    defects = find(write("A.csv", text + "2020-01-03,1,2,1,2,2,5\n"))
    assert list(defects) == ["repeated_column"]


def test_numbers_keep_their_last_bit(write, make_frame):
    frame = make_frame(500, seed=3)
    frame["volume"] = np.random.default_rng(0).uniform(0, 1, 500) ** 40
    bars = read_bars(write("A.csv", frame.to_csv(index=False)))
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(bars, name), frame[name].to_numpy())


def test_error_names_the_file(write):
    path = write("A.csv", HEADER)
    with pytest.raises(BarsError) as caught:
        read_bars(path)
    assert str(caught.value).startswith(f"{path}: 1 kind of defect in 0 rows\n")


def test_arguments_are_checked_before_the_file_is_opened(tmp_path):
    missing = tmp_path / "nope.csv"
    with pytest.raises(ArgumentError, match="unknown timezone 'Mars'"):
        read_bars(missing, timezone="Mars")
    with pytest.raises(UnknownNameError, match="unknown repair 'mend': expected one of sort"):
        read_bars(missing, repair="mend")
    with pytest.raises(ArgumentError, match="adjusted got 'yes': expected True, False"):
        read_bars(missing, adjusted="yes")
    for value in (0, -1, 1.5, True, None):
        with pytest.raises(ArgumentError, match="min_bars got"):
            read_bars(missing, min_bars=value)
