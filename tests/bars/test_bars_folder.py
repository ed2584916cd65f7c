from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping

import pandas as pd
import pytest

from marketsim.bars import BarsFolder, read_bars, read_folder
from marketsim.bars import folder as folder_module
from marketsim.errors import (
    ArgumentError,
    BarsError,
    BarsFileNotFoundError,
    FileFormatError,
    InvalidNameError,
    UnknownNameError,
)


@pytest.fixture
def folder(write, make_frame):
    for seed, name in enumerate(["C.csv", "A.txt", "B.tsv"]):
        path = write(f"data/{name}", make_frame(seed=seed).to_csv(index=False))
    write("data/notes.md", "x")
    write("data/.D.csv", "x")
    write("data/below/E.csv")
    return path.parent


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read, in order."""
    names = []
    real = folder_module.read_file

    def counted(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(folder_module, "read_file", counted)
    return names


def test_it_is_a_sorted_mapping(folder, make_frame):
    bars = read_folder(folder)
    assert isinstance(bars, BarsFolder)
    assert isinstance(bars, Mapping)
    assert list(bars) == ["A", "B", "C"]
    assert len(bars) == 3
    assert bars.path == folder
    assert bars["C"].symbol == "C"
    assert bars["C"].fingerprint == read_bars(make_frame(seed=0)).fingerprint
    assert bars["A"].fingerprint == read_bars(make_frame(seed=1)).fingerprint
    assert [(symbol, b.symbol) for symbol, b in bars.items()] == [(s, s) for s in "ABC"]


def test_repr_is_short(folder, write):
    assert repr(read_folder(folder)) == f"BarsFolder({str(folder)!r}, 3 symbols: A, B, C)"
    for i in range(100):
        write(f"data/S{i}.csv")
    assert repr(read_folder(folder)).endswith("103 symbols: A, B, ..., S99)")
    assert repr(read_folder(folder, symbols="A")).endswith("1 symbol: A)")


def test_files_are_read_only_when_asked_for(folder, reads):
    bars = read_folder(folder)
    assert list(bars.keys()) == ["A", "B", "C"]
    assert "A" in bars
    assert "Z" not in bars
    assert 5 not in bars
    assert reads == []
    bars["B"]
    bars["B"]
    assert reads == ["B.tsv", "B.tsv"]


def test_no_bars_are_held(folder):
    bars = read_folder(folder)
    # Bars have no weak references, but their arrays do.
    alive = [weakref.ref(b.close.base) for b in bars.values()]
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


def test_missing_symbols_behave_as_in_a_mapping(folder):
    bars = read_folder(folder)
    assert bars.get("Z") is None
    with pytest.raises(KeyError):
        bars["Z"]
    with pytest.raises(UnknownNameError, match=r"unknown symbol 'Z': .* holds A, B, C$"):
        bars["Z"]


def test_symbols_select(folder):
    assert list(read_folder(folder, symbols=["C", "A", "C"])) == ["A", "C"]
    assert list(read_folder(folder, symbols="B")) == ["B"]
    assert list(read_folder(folder, symbols=iter("AB"))) == ["A", "B"]
    assert list(read_folder(folder, symbols=[])) == []
    with pytest.raises(UnknownNameError, match=r"unknown symbol 'Z'.* holds A, B, C$"):
        read_folder(folder, symbols=["A", "Z"])
    with pytest.raises(UnknownNameError):
        read_folder(folder, symbols=["a"])
    with pytest.raises(InvalidNameError):
        read_folder(folder, symbols=["../data/A"])


def test_options_reach_every_file(folder, make_frame, write):
    hours = make_frame(times=pd.date_range("2020-01-06", periods=10, freq="h"))
    write("data/A.txt", hours.iloc[::-1].to_csv(index=False))
    bars = read_folder(folder, timezone="Asia/Tokyo", repair="sort")
    assert str(bars["A"].frame.index.tz) == "Asia/Tokyo"
    assert len(bars["A"].repairs) == 1
    write("data/A.txt", make_frame().assign(adjclose=1.0).to_csv(index=False))
    assert (read_folder(folder, adjusted=True)["A"].close - 1).max() < 1e-12
    with pytest.raises(BarsError, match="adjusted=True scales"):
        read_folder(folder)["A"]


def test_options_are_checked_at_once(folder):
    with pytest.raises(ArgumentError, match="unknown timezone"):
        read_folder(folder, timezone="Mars")
    with pytest.raises(UnknownNameError, match="unknown repair"):
        read_folder(folder, repair="mend")
    with pytest.raises(ArgumentError, match="adjusted got"):
        read_folder(folder, adjusted="yes")


def test_defects_name_the_file(folder, write):
    path = write("data/B.tsv", "timestamp,open,high,low,close,volume\n")
    bars = read_folder(folder)
    with pytest.raises(BarsError) as caught:
        bars["B"]
    assert str(path) in str(caught.value)
    assert len(bars["A"]) == 10, "the others are not affected"


def test_names_that_are_not_symbols_are_all_named(folder, write):
    write("data/my data.csv")
    write("data/-x.csv")
    bars = read_folder(folder)
    assert list(bars) == ["A", "B", "C"]
    assert list(bars.problems) == ["-x.csv", "my data.csv"]
    assert "gives no symbol" in bars.problems["my data.csv"]
    assert list(read_folder(folder, symbols=["A"])) == ["A"]


def test_a_folder_without_any_symbol(tmp_path, write):
    for i in range(21):
        write(f"data/x {i:02}.csv")
    with pytest.raises(InvalidNameError, match=r"'x 19\.csv'; allowed"):
        read_folder(tmp_path / "data")


def test_what_is_no_table_is_left_out_and_named(folder, write):
    write("data/README.txt", "notes\n")
    write("data/tickers.txt", "AAPL\nMSFT\n")
    write("data/config.json", "nothing")
    write("data/package.json", '{"name": "prices", "version": 3}')
    write("data/LICENSE.txt", "one, two, three, four\nall, of, you, and, 2024\n")
    write("data/utf16.txt", "notes, of, the, day, 1\n".encode("utf-16"))
    write(
        "data/columns.txt",
        "The columns are:\ndate,open,high,low,close,volume\n2024-01-02,1,2,1,2,5\n"
        "Prices are in dollars, volumes in shares, and nothing is adjusted.\n",
    )
    bars = read_folder(folder)
    assert list(bars) == ["A", "B", "C"]
    assert list(bars.skipped) == [
        "LICENSE.txt", "README.txt", "columns.txt", "config.json", "package.json", "tickers.txt",
        "utf16.txt",
    ]  # fmt: skip
    assert bars.skipped["README.txt"] == "text without a table"
    assert bars.problems == {}


@pytest.mark.parametrize(
    "text",
    [
        "date,open,high,low,close,volume\n",  # no rows is a defect, and reported
        "date,open,high,low,close,volume\n2024-01-02,1,2,1,2,5\n",
        "a\nb\nc\nd\ndate;open;high;low;close\n2024-01-02;1,5;2;1;2\n",
        "20240102 093000;1;2;1;2;5\n",
        "1704067200,1,2,1,2,5\n",
        "date|open|high|low|close\n02-Jan-2024|$1.5|2|1|2\n",
    ],
)
def test_text_that_may_be_a_table_is_not_left_out(folder, write, text):
    write("data/T.txt", text)
    assert "T" in read_folder(folder)


def test_names_of_tradingview_give_their_symbol(folder, write, make_frame):
    write("data/NASDAQ_AAPL, 1D.csv", make_frame().to_csv(index=False))
    assert read_folder(folder)["AAPL"].symbol == "AAPL"


def test_adjusted_where_there_is_an_adjusted_close(folder, write, make_frame):
    half = make_frame().assign(adj_close=lambda f: f["close"] / 2)
    write("data/A.txt", half.to_csv(index=False))
    bars = read_folder(folder, adjusted="auto")
    assert bars["A"].close == pytest.approx(make_frame()["close"].to_numpy() / 2)
    assert bars["A"].repairs and not bars["B"].repairs
    with pytest.raises(BarsError, match="missing adj close"):
        read_folder(folder, adjusted=True)["B"]


def test_two_files_of_one_symbol(folder, write):
    write("data/A.csv")
    bars = read_folder(folder)
    assert list(bars) == ["B", "C"]
    assert "2 files of A: A.csv and A.txt" in bars.problems["A"]
    with pytest.raises(FileFormatError, match=r"2 files of A: A\.csv and A\.txt"):
        read_folder(folder, symbols=["A"])
    assert list(read_folder(folder, symbols=["B"])) == ["B"]


def test_empty_and_missing_folders(tmp_path, write):
    with pytest.raises(BarsFileNotFoundError, match=r"\.csv, \.csv\.gz, .*\.parquet"):
        read_folder(tmp_path)
    with pytest.raises(BarsFileNotFoundError, match="does not exist"):
        read_folder(tmp_path / "nope")
    with pytest.raises(ArgumentError, match="is a file: expected a folder; use read_bars"):
        read_folder(write("A.csv"))
    with pytest.raises(ArgumentError, match="got a NoneType"):
        read_folder(None)


def test_a_file_that_is_gone_is_named(folder):
    bars = read_folder(folder)
    (folder / "A.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"A\.txt"):
        bars["A"]


@pytest.mark.parametrize(
    "content",
    ["AAPL\nMSFT\n", "symbol,name\nAAPL,Apple Inc.\n", "<html>no</html>", "ticker\n", "a,b\n1,2\n"],
)
def test_a_table_without_prices_is_a_problem_and_stops_nothing(folder, write, content):
    """Its name promises data, so it counts as failed; .txt of the same content is left out."""
    write("data/list.csv", content)
    write("data/list2.txt", content)
    found = read_folder(folder)
    assert list(found) == ["A", "B", "C"]
    assert list(found.problems) == ["list.csv"]
    assert "list.csv is no table of prices: its first line is" in found.problems["list.csv"]
    assert list(found.skipped) == ["list2.txt"]
    assert [len(bars) for bars in found.values()] == [10, 10, 10]


def test_tables_of_any_kind_stay_in_the_folder(write, make_frame):
    frame = make_frame()
    text = frame.to_csv(index=False)
    contents = {
        "plain": text, "wide": text.encode("utf-16"), "head": text.split("\n")[0],
        "semicolon": text.replace(",", ";"), "late": "a banner\n" * 30 + text,
        "quoted": text.replace(",", '","').replace("\n", '"\n"'), "tabs": text.replace(",", "\t"),
        "long": "note, " * 2000 + "\n" + text, "empty": b"",
    }  # fmt: skip
    for name, content in contents.items():
        path = write(f"kinds/{name}.csv", content)
    found = read_folder(path.parent)
    assert (list(found), found.problems) == (sorted(contents), {})


def test_a_folder_of_lists_says_so(write):
    path = write("lists/a.csv", "AAPL\nMSFT\n")
    found = read_folder(path.parent)
    assert (len(found), list(found.problems)) == (0, ["a.csv"])
