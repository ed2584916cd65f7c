"""Ends of files, lines of units, tables below, rows that R numbers, and bytes of other formats."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.errors import BarsError, FileFormatError

DAYS = pd.bdate_range("2024-01-02", periods=30)
HEAD = "Date,Open,High,Low,Close,Volume"
VOLUMES = [7_000_148 + 13 * k for k in range(30)]
ROWS = [f"{day:%Y-%m-%d},10.5,12.25,9.75,11.25,{v}" for day, v in zip(DAYS, VOLUMES, strict=True)]
TEXT = "\n".join([HEAD, *ROWS]) + "\n"


def check(bars, volumes=VOLUMES):
    np.testing.assert_array_equal(bars.timestamps, DAYS.to_numpy())
    for name, value in (("open", 10.5), ("high", 12.25), ("low", 9.75), ("close", 11.25)):
        assert (getattr(bars, name) == value).all()
    np.testing.assert_array_equal(bars.volume, volumes)


@pytest.mark.parametrize("cut", range(2, 41))
@pytest.mark.parametrize("packed", [False, True])
def test_a_row_that_a_download_cut_is_named(write, cut, packed):
    data = TEXT[:-cut].encode()
    path = write("A.csv.gz" if packed else "A.csv", gzip.compress(data) if packed else data)
    try:
        bars = read_bars(path)
    except (BarsError, FileFormatError) as error:
        assert "ends within its last row" in str(error)
    else:
        assert any("no line end follows the last row" in note for note in bars.notes)
        if cut < 9:
            assert bars.close[-1] == 11.25


def test_a_whole_last_row_is_read_without_a_line_end(write):
    check(read_bars(write("A.csv", TEXT[:-1])))
    bars = read_bars(write("A.csv", TEXT + "\x1a"))
    check(bars)
    assert "line end" not in str(bars.notes)


@pytest.mark.parametrize(
    "units",
    [
        ",USD,USD,USD,USD,shares",
        "datetime64[ns],float64,float64,float64,float64,int64",
        "date,float,float,float,float,float",
        "(UTC),(USD),(USD),(USD),(USD),(shares)",
        "yyyy-mm-dd,EUR,EUR,EUR,EUR,",
        "timestamp,double,double,double,double,bigint",
    ],
)
def test_lines_of_units_and_types(write, units):
    for text in (f"{HEAD}\n{units}\n", f"{units}\n{HEAD}\n"):
        bars = read_bars(write("A.csv", text + "\n".join(ROWS) + "\n"))
        check(bars)
        assert "left out" in str(bars.notes)
    frame = pd.read_csv(io.StringIO(f"{HEAD}\n{units}\n" + "\n".join(ROWS)))
    check(read_bars(frame))


def test_units_that_change_values_are_heeded(write):
    text = f"{HEAD}\n(ET),USD,USD,USD,USD,thousands\n" + "\n".join(ROWS) + "\n"
    bars = read_bars(write("A.csv", text))
    check(bars, [1000.0 * v for v in VOLUMES])
    minutes = text
    for i, row in enumerate(ROWS):
        minutes = minutes.replace(row[:11], f"2024-01-02 09:{i:02},")
    assert str(read_bars(write("A.csv", minutes)).timezone) == "America/New_York"


def test_a_symbol_that_is_a_currency_is_no_unit(write):
    text = f"Price,Open,High,Low,Close,Volume\nTicker{',USD' * 5}\nDate{',' * 5}\n"
    bars = read_bars(write("A.csv", text + "\n".join(ROWS) + "\n"))
    check(bars)
    assert "units" not in str(bars.notes)


@pytest.mark.parametrize("total", [30, 700])
def test_the_pages_below_a_table_of_moex(write, total):
    head = "history\n\nBOARDID;TRADEDATE;SECID;OPEN;HIGH;LOW;CLOSE;VOLUME\n"
    rows = "\n".join("TQBR;" + row.replace(",", ";SBER;", 1).replace(",", ";") for row in ROWS)
    below = f"\n\nhistory.cursor\n\nINDEX;TOTAL;PAGESIZE\n0;{total};100\n"
    bars = read_bars(write("A.csv", head + rows + below), symbol="SBER")
    check(bars)
    assert "history.cursor" in str(bars.notes)
    assert ("other pages" in str(bars.notes)) == (total > 100)


def test_rows_below_a_blank_line_are_rows(write):
    text = "\n".join([HEAD, *ROWS[:12], "", *ROWS[12:29], "", ROWS[29]]) + "\n"
    check(read_bars(write("A.csv", text)))
    cut = "\n".join([HEAD, *ROWS[:29], "", "2024-02-12,10.5,12.25"]) + "\n"
    with pytest.raises(BarsError, match="must not be missing"):
        read_bars(write("A.csv", cut))


@pytest.mark.parametrize("sep", [",", " ", "\t", ";"])
@pytest.mark.parametrize("kind", ["numbers", "dates", "both"])
def test_row_names_of_r(write, sep, kind):
    names = ['"Date"', *(f'"SPY.{name}"' for name in HEAD.split(",")[1:])]
    rows = [[f'"{i}"', *row.split(",")] for i, row in enumerate(ROWS, 1)]
    if kind == "dates":  # write.table of xts: no name, and no number
        names, rows = names[1:], [row[1:] for row in rows]
    elif kind == "both":  # write.csv
        names = ['""', *names]
    text = "\n".join(sep.join(row) for row in [names, *rows]) + "\n"
    check(read_bars(write("A.txt", text)))


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


WORKBOOK = archive(**{"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"})


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("A.csv", WORKBOOK, "Excel workbook"),
        ("A.txt", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel workbook"),
        ("A.zip", archive(**{"A.xlsx": WORKBOOK}), "workbook"),
        ("A.csv", archive(**{"mimetype": "x", "content.xml": "x"}), "OpenDocument"),
        ("A.zip", archive(**{"B.zip": archive(**{"A.csv": TEXT})}), "archive within"),
        ("A.csv.gz", gzip.compress(gzip.compress(TEXT.encode())), "gzip once more"),
        ("A.gz", gzip.compress(bytes(257) + b"ustar" + bytes(900)), "tar archive"),
        ("A.csv", b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        ("A.csv", b"SQLite format 3\0" + bytes(80), "SQLite"),
        ("A.csv", b"\x89HDF\r\n\x1a\n" + bytes(80), "HDF5"),
        ("A.csv", b"\x80\x04\x95" + bytes(80), "pickle"),
        ("A.csv", b"ORC\x11\x00" + bytes(80), "ORC"),
        ("A.csv", b"BZh91AY&SY" + bytes(80), "bzip2"),
        ("A.csv", b"\xfd7zXZ\x00" + bytes(80), "xz"),
        ("A.csv", b"<?xml version='1.0'?><a/>", "XML"),
        ("A.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
    ],
)
def test_other_content_is_named_as_what_it_is(write, name, data, kind):
    with pytest.raises(FileFormatError, match=kind):
        read_bars(write(name, data))


@pytest.mark.parametrize("symbol", ["ORC", "DBN", "BZh", "GIF8", "PARE", "Rar"])
def test_symbols_that_begin_as_other_formats_do_are_text(write, symbol):
    text = "\n".join(f"{symbol},{row}" for row in ROWS) + "\n"
    check(read_bars(write("A.csv", text)))
