"""Files that are something else: an error that says so, soon and in little memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from marketsim.bars import inspection, read_bars, read_many
from marketsim.bars.layouts import LAYOUTS
from marketsim.errors import BarsError, FileFormatError, MarketsimError

HEAD = "date,open,high,low,close,volume\n"

WRONG = {
    "prose.csv": b"Dear all, please find, attached, the, file, of, prices\nKind regards\n",
    "page.csv": b"<!DOCTYPE html><html><body>404, not, found, at, all</body></html>\n",
    "report.csv": b"account,buy,sell,fee,total,note\n1,2,3,4,5,x\n",
    "trades.csv": b"time,price,qty,side\n1704067200000,1,2,buy\n1704067200001,1,2,sell\n",
    "numbers.csv": b"1,2,3,4,5,6,7\n8,9,10,11,12,13,14\n",
    "header.csv": HEAD.encode(),
    "quotes.csv": HEAD.encode() + b'"2024-01-02,1,2,1,2,9\n2024-01-03,1,2,1,2,9\n',
    "dates.csv": b"1704067200000,1704067200000,1,1,1,1\n" * 3,
    "word.txt": b"\x00\x01\x02\x03" * 200,
    "object.json": json.dumps({"error": "rate limit", "code": 429}).encode(),
    "deep.json": b"[" * 100_000,
    "texts.json": json.dumps([["a", "b", "c", "d", "e", "f"]] * 3).encode(),
    "short.json": json.dumps([[1704067200000, 1, 2, 1]] * 3).encode(),
    "cut.zip": b"PK\x03\x04" + b"\x00" * 50,
    "cut.gz": b"\x1f\x8b\x08\x00" + b"\x00" * 50,
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_files_of_every_layout(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(WRONG[name])
    for layout in (None, *(layout.name for layout in LAYOUTS)):
        for read in (read_bars, read_many):
            with pytest.raises(MarketsimError) as caught:
                read(path, layout=layout, symbol="A") if read is read_bars else read(
                    path, layout=layout
                )
            assert 20 < len(str(caught.value)) < 4000


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.pattern])
def test_lines_of_another_layout_are_not_read_as_the_stated_one(write, layout):
    path = write("A.csv", "Datum;Zuletzt;Hoch;Tief\n01.02.2024;1,5;2,5;1,5\n" * 3)
    with pytest.raises(MarketsimError):
        read_bars(path, layout=layout.name)


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "@SUM(1)", "<script>alert(1)</script>"])
def test_formulas_and_markup_in_names_and_cells(write, text):
    quoted = '"' + text.replace('"', '""') + '"'
    rows = "".join(f"2024-01-0{d},1,2,1,2,9,{quoted}\n" for d in (2, 3))
    bars = read_bars(write("A.csv", HEAD.replace("\n", f",{quoted}\n") + rows))
    assert len(bars) == 2
    with pytest.raises(BarsError) as caught:
        read_bars(write("A.csv", HEAD + f"2024-01-02,{quoted},2,1,2,9\n2024-01-03,1,2,1,2,9\n"))
    assert text[:30] in str(caught.value)
    with pytest.raises(MarketsimError):  # such a symbol is no name
        read_many(write("B.csv", "symbol," + HEAD + f"{quoted},2024-01-02,1,2,1,2,9\n"
                                 "A,2024-01-03,1,2,1,2,9\n"))  # fmt: skip


def test_a_thousand_columns_are_read_or_listed_in_part(write):
    names = [f"column {i}" for i in range(1000)]
    path = write("A.csv", ",".join(names) + "\n" + ("1," * 999 + "1\n") * 3)
    with pytest.raises(BarsError) as caught:
        read_bars(path)
    assert len(str(caught.value)) < 2000
    wide = write("B.csv", HEAD.replace("\n", "," + ",".join(names) + "\n") + "".join(
        f"2024-01-0{d},1,2,1,2,9{',1' * 1000}\n" for d in (2, 3)))  # fmt: skip
    assert len(read_bars(wide)) == 2


@pytest.mark.parametrize("size", [3_000_000])
@pytest.mark.parametrize("byte", [b"9", b",", b"[", b'"', b"\x00", b"\xff"])
@pytest.mark.parametrize("headed", [True, False])
def test_one_line_without_end(tmp_path, size, byte, headed):
    path = tmp_path / "A.csv"
    path.write_bytes((HEAD.encode() if headed else b"") + byte * size)
    tracemalloc.start()
    with pytest.raises(FileFormatError) as caught:
        read_bars(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(caught.value)) < 1000
    assert peak < 8 * size


def test_facts_of_hostile_files_are_json(tmp_path):
    path = tmp_path / "report.csv"
    path.write_bytes(WRONG["report.csv"])
    with pytest.raises(BarsError) as caught:
        read_bars(path)
    facts = inspection.defect_facts("x", caught.value)
    assert json.loads(json.dumps(facts))["ok"] is False
